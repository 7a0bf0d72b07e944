"""The canonical report and its events as JSON: what the consumers of the queue rely on."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import model
from gateway.model import Attachment, Keyword, Location, Parts, Report, Reporter, decode_event, decode_report, encode

REPORT = Report(
    id="01890a5d-ac96-774b-bcce-b302099a8057",
    tracking_id="1234567897",
    channel="sms",
    channel_name="sms-1708",
    external_id="a" * 64,
    reporter=Reporter(address="+6281100000001", kind="phone"),
    title=None,
    text="Jalan rusak",
    keyword=Keyword("Kab. Nganjuk", "KAB NGANJUK"),
    references=("1234567",),
    attachments=(Attachment(name="foto.jpg", media_type="image/jpeg", size=3, sha256="b" * 64, url=None),),
    location=Location(latitude=-7.6, longitude=111.9, place=None),
    visibility="public",
    sent_at=datetime(2026, 11, 1, 7, 59, 30, tzinfo=UTC),
    received_at=datetime(2026, 11, 1, 8, 0, 0, 250000, tzinfo=UTC),
    complete=False,
    parts=Parts(total=3, present=(1, 3)),
    duplicate_of=None,
    repeat_count=0,
    similar_to=(),
    trust={"spf": "pass"},
    raw_sha256="c" * 64,
    schema_version=1,
)
EVENT = model.event_for(
    REPORT,
    "received",
    event_id="01890a5d-ac96-774b-bcce-b302099a8058",
    sequence=1,
    time=datetime(2026, 11, 1, 8, 0, 1, tzinfo=UTC),
)

REPORT_KEYS = [
    *("id", "tracking_id", "channel", "channel_name", "external_id", "reporter", "title", "text", "keyword"),
    *("references", "attachments", "location", "visibility", "sent_at", "received_at", "complete", "parts"),
    *("duplicate_of", "repeat_count", "similar_to", "trust", "raw_sha256", "schema_version"),
]
EVENT_KEYS = ["specversion", "id", "type", "source", "subject", "time", "datacontenttype", "sequence", "data"]


def as_json(value: Any) -> Any:
    """A value as a consumer reads it."""
    return json.loads(encode(value))


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        (REPORT, REPORT_KEYS),
        (EVENT, EVENT_KEYS),
        (REPORT.reporter, ["address", "kind", "name", "handle", "language"]),
        (REPORT.keyword, ["written", "normalised"]),
        (REPORT.attachments[0], ["name", "media_type", "size", "sha256", "url"]),
        (REPORT.location, ["latitude", "longitude", "place"]),
        (REPORT.parts, ["total", "present"]),
    ],
)
def test_the_keys_are_those_of_the_contract(value: Any, keys: list[str]) -> None:
    """Every key is always there, in the contract's order; null where nothing is known."""
    assert list(as_json(value)) == keys


def test_times_are_rfc_3339_in_utc() -> None:
    """With a Z, and with fractions only where there are any."""
    body = as_json(EVENT)
    assert body["time"] == "2026-11-01T08:00:01Z"
    assert body["data"]["sent_at"] == "2026-11-01T07:59:30Z"
    assert body["data"]["received_at"] == "2026-11-01T08:00:00.250000Z"


def test_an_event_is_a_structured_cloud_event() -> None:
    """The attributes of CloudEvents 1.0, and ours."""
    body = as_json(EVENT)
    assert {key: body[key] for key in EVENT_KEYS[:-1]} == {
        "specversion": "1.0",
        "id": "01890a5d-ac96-774b-bcce-b302099a8058",
        "type": "id.go.lapor.report.received.v1",
        "source": "/channels/sms-1708",
        "subject": "1234567897",
        "time": "2026-11-01T08:00:01Z",
        "datacontenttype": "application/json",
        "sequence": 1,
    }
    assert body["data"] == as_json(REPORT)


@pytest.mark.parametrize("kind", ["received", "repeated", "updated", "withdrawn", "undeliverable"])
def test_type_and_routing_key_name_what_has_happened(kind: model.EventKind) -> None:
    """One for each kind of event."""
    assert model.event_type(kind) == f"id.go.lapor.report.{kind}.v1"
    assert model.routing_key(kind, "twitter") == f"report.{kind}.twitter"


def test_bytes_become_the_same_values_again() -> None:
    """Report and event survive the way through JSON."""
    assert decode_report(encode(REPORT)) == REPORT
    assert decode_event(encode(EVENT)) == EVENT


_text = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    _text,
    _text,
    st.datetimes(timezones=st.just(UTC)),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.dictionaries(_text, _text | st.booleans() | st.none() | st.integers(-(2**53), 2**53)),
)
def test_any_text_and_time_survives(
    text: str, address: str, received_at: datetime, sent_at: datetime | None, trust: dict[str, Any]
) -> None:
    """Whatever citizens write, and again to the same bytes."""
    report = msgspec.structs.replace(
        REPORT,
        text=text,
        reporter=Reporter(address=address, kind="phone"),
        received_at=received_at,
        sent_at=sent_at,
        trust=trust,
    )
    assert decode_report(encode(report)) == report
    assert encode(decode_report(encode(report))) == encode(report)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "not-a-uuid"},
        {"id": "01890a5d-ac96-474b-bcce-b302099a8057"},
        {"tracking_id": "0234567893"},
        {"tracking_id": "12345"},
        {"reporter": {"address": "x", "kind": "pigeon"}},
        {"visibility": "hidden"},
        {"received_at": "2026-11-01T08:00:00"},
        {"received_at": None},
        {"repeat_count": -1},
        {"raw_sha256": "short"},
        {"location": {"latitude": 91}},
        {"parts": {"total": 0, "present": []}},
        {"similar_to": ["x"]},
    ],
)
def test_what_breaks_the_contract_is_not_read(changed: Mapping[str, Any]) -> None:
    """The decoder holds the limits that the schema names."""
    with pytest.raises(msgspec.ValidationError):
        decode_report(json.dumps(as_json(REPORT) | changed).encode())


def test_a_time_of_another_zone_is_read_as_the_same_moment() -> None:
    """Consumers compare moments, not texts."""
    jakarta = timezone(timedelta(hours=7))
    moved = msgspec.structs.replace(REPORT, received_at=REPORT.received_at.astimezone(jakarta))
    assert decode_report(encode(moved)).received_at == REPORT.received_at


def test_the_model_is_frozen() -> None:
    """Nobody changes a report behind another's back."""
    with pytest.raises(AttributeError):
        REPORT.text = "x"  # type: ignore[misc]
