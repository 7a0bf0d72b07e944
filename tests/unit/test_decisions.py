"""What becomes of a message, decided from what it says alone."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gateway.decisions import Identity, new_report, reads_english, receipt_text, sha256_of, verdict
from gateway.model import SCHEMA_VERSION, Attachment, Keyword, Location, Parts, Reporter
from gateway.parsing import Parsed
from gateway.settings.model import DEFAULT_RECEIPT

PARSED = Parsed(
    reporter=Reporter(address="+6281100000001", kind="phone", name="Warga"),
    text="Jalan rusak",
    sent_at=datetime(2026, 11, 1, 7, 59, tzinfo=UTC),
    title="Jalan",
    keyword=Keyword("Tangkab", "TANGKAB"),
    references=("1234567",),
    attachments=(Attachment(name=None, media_type="image/png", size=1, sha256=None, url=None),),
    location=Location(place="Mekarsari"),
    visibility="secret",
    trust={"spf": "pass"},
)
IDENTITY = Identity(
    id="01890a5d-ac96-774b-bcce-b302099a8057",
    tracking_id="1234567897",
    channel="sms-1708",
    channel_type="sms",
    external_id="e",
    received_at=datetime(2026, 11, 1, 8, tzinfo=UTC),
    raw_sha256="c" * 64,
)


@pytest.mark.parametrize(
    ("changes", "accepted", "expected"),
    [
        ({}, False, "report"),
        ({"not_a_report": "a promotion"}, False, "ignored"),
        ({"not_a_report": ""}, False, "ignored"),
        ({"not_a_report": "a promotion", "held": "a bare mention"}, True, "ignored"),
        ({"held": "a bare mention"}, False, "held"),
        ({"held": "a bare mention"}, True, "report"),
        ({"references": ("1948147",)}, False, "update"),
        ({"references": ("123456", "KIP1A2B3C")}, False, "update"),
        ({"references": ("12345", "123456789", "KIP123456")}, False, "report"),
        ({"references": ("1948147",), "held": "a bare mention"}, False, "held"),
    ],
)
def test_a_message_has_a_verdict_on_its_own_merits(changes: dict[str, Any], expected: str, *, accepted: bool) -> None:
    """Any reason against it counts; a number of the core makes an update; an operator settles what is held."""
    assert verdict(replace(PARSED, **({"references": ()} | changes)), accepted=accepted) == expected


def test_a_report_holds_what_was_said_and_who_it_is() -> None:
    """Everything of the message and of its identity, nothing invented."""
    report = new_report(PARSED, IDENTITY)
    for name in ("reporter", "title", "text", "keyword", "references", "attachments", "location", "visibility"):
        assert getattr(report, name) == getattr(PARSED, name)
    for name in ("id", "tracking_id", "external_id", "received_at", "raw_sha256"):
        assert getattr(report, name) == getattr(IDENTITY, name)
    assert (report.channel, report.channel_name) == ("sms", "sms-1708")
    assert (report.trust, report.sent_at, report.schema_version) == ({"spf": "pass"}, PARSED.sent_at, SCHEMA_VERSION)
    assert (report.duplicate_of, report.repeat_count, report.similar_to) == (None, 0, ())


@pytest.mark.parametrize(
    ("parts", "complete"),
    [(None, True), (Parts(total=2, present=(1, 2)), True), (Parts(total=2, present=(2,)), False)],
)
def test_a_report_is_complete_when_no_part_is_missing(parts: Parts | None, *, complete: bool) -> None:
    """A message of one part always is."""
    report = new_report(PARSED, IDENTITY, parts)
    assert (report.complete, report.parts) == (complete, parts)


@pytest.mark.parametrize(
    ("sent_at", "expected"),
    [
        (None, None),
        (datetime(2026, 11, 1, 15, tzinfo=timezone(timedelta(hours=7))), "2026-11-01T08:00:00+00:00"),
        (datetime(2026, 11, 1, 15), None),  # noqa: DTZ001 - a parser that forgot the zone
    ],
)
def test_the_time_of_sending_is_utc_or_unknown(sent_at: datetime | None, expected: str | None) -> None:
    """Another zone is converted; a time without one is not guessed."""
    found = new_report(replace(PARSED, sent_at=sent_at), IDENTITY).sent_at
    assert (found and found.isoformat()) == expected


def test_the_receipt_names_the_tracking_id() -> None:
    """The template's field is filled, the rest left as it is."""
    assert "#1234567897." in receipt_text(DEFAULT_RECEIPT, "1234567897")
    assert receipt_text("{{}} {tracking_id}", "1234567897") == "{} 1234567897"


def test_the_hash_is_over_all_parts_in_order() -> None:
    """As if they were one."""
    assert sha256_of([b"a", b"b"]) == hashlib.sha256(b"ab").hexdigest() != sha256_of([b"b", b"a"])


@pytest.mark.parametrize(
    ("kind", "language", "expected"),
    [("email", "en", True), ("email", "id", False), ("email", None, False), ("x", "en", False), ("phone", "en", False)],
)
def test_only_an_english_mail_is_answered_in_english(kind: Any, language: str | None, *, expected: bool) -> None:
    """Everybody else reads Indonesian."""
    assert reads_english(Reporter(address="a", kind=kind, language=language)) is expected
