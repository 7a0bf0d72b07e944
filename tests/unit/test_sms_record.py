"""Tests of the raw form of an SMS and of its identity."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from channels.sms.record import clean_text, encode_record, evidence, external_id

WIB = timezone(timedelta(hours=7))
MESSAGE: dict[str, Any] = {
    "Number": "+628110000001",
    "DateTime": datetime(2026, 11, 1, 8, 30, 15, tzinfo=WIB),
    "Coding": "Default_No_Compression",
    "Type": "Deliver",
    "MessageReference": 0,
    "DeliveryStatus": 0,
    "UDH": {"Type": "NoUDH", "Text": b"", "ID8bit": -1},
    "Text": "banjir",
    "Location": 1,
    "Folder": 1,
    "Memory": "SM",
    "State": "UnRead",
    "SMSC": {"Number": "+628110000900"},
    "SMSCDateTime": datetime(2026, 11, 1, 9, tzinfo=WIB),
}


@pytest.mark.parametrize(
    "change",
    [
        {"Location": 100007, "Folder": 3, "Memory": "ME"},
        {"State": "Read"},
        {"SMSC": {"Number": "+628110000901"}},
        {"SMSCDateTime": datetime(2026, 11, 2, tzinfo=UTC)},
        {"DateTime": datetime(2026, 11, 1, 1, 30, 15, tzinfo=UTC)},
        {"UDH": {"Type": "NoUDH", "Text": b"", "ID8bit": 0}},
        {"Text": "banjir\0and what an earlier message left"},
    ],
)
def test_the_identity_is_the_same_at_every_reading(change: dict[str, Any]) -> None:
    """Place, memory, state, service centre, time of reading and stale octets are not part of the message."""
    assert external_id(MESSAGE | change) == external_id(MESSAGE)


@pytest.mark.parametrize(
    "change",
    [
        {"Number": "+628110000002"},
        {"DateTime": datetime(2026, 11, 1, 8, 30, 16, tzinfo=WIB)},
        {"DateTime": None},
        {"Text": "Banjir"},
        {"Text": b"banjir"},
        {"Coding": "Unicode_No_Compression"},
        {"UDH": {"Type": "ConcatenatedMessages", "Text": b"\x05\x00\x03\x07\x02\x01"}},
        {"Type": "Status_Report", "MessageReference": 7},
    ],
)
def test_another_message_has_another_identity(change: dict[str, Any]) -> None:
    """Sender, time stamp, coding, header and text tell messages apart, and reports by their reference."""
    assert external_id(MESSAGE | change) != external_id(MESSAGE)


def test_the_raw_form_is_canonical_and_keeps_everything() -> None:
    """Keys are sorted, octets are hexadecimal, times keep their zone, and lone surrogates survive."""
    fields = MESSAGE | {"Text": "\ud83d", "UDH": {"Text": b"\x05\x00"}}
    raw = encode_record(fields)
    assert raw == encode_record(dict(reversed(fields.items())))
    decoded = json.loads(raw)
    assert decoded.keys() == fields.keys()
    assert decoded["Text"] == "\ud83d"
    assert decoded["UDH"] == {"Text": {"hex": "0500"}}
    assert decoded["DateTime"] == "2026-11-01T08:30:15+07:00"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"Coding": "Default_No_Compression", "Text": "satu\0dua"}, "satu"),
        ({"Coding": "Unicode_No_Compression", "Text": "satu\0dua"}, "satu\0dua"),
        ({"Coding": "8bit", "Text": b"satu\0dua"}, b"satu\0dua"),
        ({"Coding": "8bit", "Text": None}, None),
        ({}, None),
        ({"Text": 7}, "7"),
    ],
)
def test_only_septets_are_cut_at_a_nul(fields: dict[str, Any], text: str | bytes | None) -> None:
    """NUL is no character of that alphabet; elsewhere it is part of the message."""
    assert clean_text(fields) == text


def test_evidence_is_known_by_its_pdu_alone() -> None:
    """The same PDU in another slot, failing otherwise, is the same message; another PDU is not."""
    first, raw = evidence(1, "ERR_UNKNOWN", "0791")
    assert json.loads(raw) == {"Location": 1, "PDU": "0791", "error": "ERR_UNKNOWN"}
    assert evidence(100002, "ERR_CORRUPTED", "0791")[0] == first
    assert evidence(1, "ERR_UNKNOWN", "0792")[0] != first
