"""The canonical report and its event: the names that consumers rely on."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from gateway.decisions import Identity, is_report, new_report, receipt_text, sha256_of
from gateway.model import (
    Keyword,
    Parts,
    Report,
    Reporter,
    decode_event,
    decode_report,
    encode,
    event_for,
    event_type,
    routing_key,
)
from gateway.ports import Parsed

AT = datetime(2026, 11, 21, 8, 0, 0, 250_000, tzinfo=UTC)
IDENTITY = Identity(
    id="019a0000-0000-7000-8000-0000000000a1",
    tracking_id="1234567897",
    channel="sms-1708",
    channel_type="sms",
    external_id="e" * 64,
    received_at=AT,
    raw_sha256="f" * 64,
)
PARSED = Parsed(
    reporter=Reporter(address="+628110000001", kind="phone"),
    text="BJN jalan rusak",
    sent_at=AT,
    keyword=Keyword("Bjn", "BJN"),
)
KEYS = [
    "id", "tracking_id", "channel", "channel_name", "external_id", "reporter", "title", "text", "keyword", "references",
    "attachments", "location", "visibility", "sent_at", "received_at", "complete", "parts", "duplicate_of",
    "repeat_count", "similar_to", "trust", "raw_sha256", "schema_version",
]  # fmt: skip


def _report(parts: Parts | None = None) -> Report:
    return new_report(PARSED, IDENTITY, parts)


def test_a_report_has_exactly_the_promised_keys() -> None:
    """In the promised order too, which people who read it by eye get used to."""
    shown = json.loads(encode(_report()))
    assert list(shown) == KEYS
    assert list(shown["reporter"]) == ["address", "kind", "name", "handle", "language"]


def test_channel_is_the_type_and_channel_name_the_section() -> None:
    """Consumers route by the first and ask operators about the second."""
    assert (_report().channel, _report().channel_name) == ("sms", "sms-1708")


def test_times_are_rfc_3339_in_utc() -> None:
    """With a Z, as every parser takes it."""
    assert json.loads(encode(_report()))["received_at"] == "2026-11-21T08:00:00.250000Z"


@pytest.mark.parametrize(
    ("parts", "complete"),
    [(None, True), (Parts(total=3, present=(1, 2, 3)), True), (Parts(total=3, present=(1, 3)), False)],
)
def test_a_report_is_complete_when_no_part_is_missing(parts: Parts | None, complete: bool) -> None:  # noqa: FBT001
    """Of one part, of all parts, of some."""
    assert _report(parts).complete is complete


def test_an_event_is_a_cloudevent_about_its_report() -> None:
    """Each attribute as consumers find it in the promise."""
    event = event_for(_report(), "updated", event_id="019a0000-0000-7000-8000-0000000000e1", sequence=2, time=AT)
    shown = json.loads(encode(event))
    assert {name: value for name, value in shown.items() if name != "data"} == {
        "specversion": "1.0",
        "id": "019a0000-0000-7000-8000-0000000000e1",
        "type": "id.go.lapor.report.updated.v1",
        "source": "/channels/sms-1708",
        "subject": "1234567897",
        "time": "2026-11-21T08:00:00.250000Z",
        "datacontenttype": "application/json",
        "sequence": 2,
    }
    assert shown["data"]["id"] != shown["id"]


def test_types_and_routing_keys_name_the_event() -> None:
    """One for CloudEvents, one for AMQP."""
    assert event_type("withdrawn") == "id.go.lapor.report.withdrawn.v1"
    assert routing_key("received", "twitter") == "report.received.twitter"


def test_a_report_and_an_event_survive_the_wire() -> None:
    """What was encoded is decoded to the same value."""
    report = _report(Parts(total=2, present=(2,)))
    event = event_for(report, "received", event_id="019a0000-0000-7000-8000-0000000000e1", sequence=1, time=AT)
    assert decode_report(encode(report)) == report
    assert decode_event(encode(event)) == event


def test_a_report_without_its_keys_is_refused() -> None:
    """A body that is not whole is no report."""
    with pytest.raises(msgspec.ValidationError):
        decode_report(b'{"id": "019a0000-0000-7000-8000-0000000000a1"}')


def test_only_what_has_no_reason_against_it_is_a_report() -> None:
    """The parser gives the reason; the decision follows it."""
    assert is_report(PARSED)
    assert not is_report(Parsed(reporter=PARSED.reporter, text="", sent_at=None, not_a_report="empty message"))


def test_the_receipt_names_the_tracking_id() -> None:
    """That is all that a citizen needs."""
    assert receipt_text("Laporan #{tracking_id} kami terima.", "1234567897") == "Laporan #1234567897 kami terima."


def test_the_hash_of_parts_is_that_of_their_bytes_in_order() -> None:
    """So that evidence can be checked with any tool."""
    assert sha256_of([b"ab", b"c"]) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of([b"c", b"ab"]) != sha256_of([b"ab", b"c"])
