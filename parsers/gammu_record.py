"""Reads the record that the SMS channel keeps of a message: libGammu's fields as canonical JSON.

libGammu gives no PDU. What is trusted here is what it copies (the user data header's octets, the text), not
what it concludes: it calls a header that holds anything besides the concatenation ``UserUDH`` and fills in no
part numbers, and without any header it leaves zeros or minus ones, depending on the phone.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from gateway.errors import Quarantine
from gateway.parsing import DeliveryNotice
from parsers.moments import moment

# Information elements of the user data header: 3GPP TS 23.040, clause 9.2.3.24.
_CONCATENATION_8_BIT: Final = 0x00
_CONCATENATION_16_BIT: Final = 0x08
_PORT_ELEMENTS: Final = (0x04, 0x05)
# TP-Status, clause 9.2.3.15. Reserved values are to be read as "service rejected", which is a failure.
_FIRST_PENDING_STATUS: Final = 0x20
_FIRST_FAILED_STATUS: Final = 0x40

_GAMMU_ERROR: Final = re.compile(r"ERR_[A-Z_]{1,40}")
_UNDECODED_CODINGS: Final = frozenset({"Default_Compression", "Unicode_Compression"})
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LEAST_ASCII: Final = 0.9


class Octets(Struct, frozen=True, gc=False):
    """Bytes, as canonical JSON writes them."""

    hex: str


class Header(
    Struct,
    frozen=True,
    gc=False,
    rename={
        "type": "Type",
        "octets": "Text",
        "reference_8_bit": "ID8bit",
        "reference_16_bit": "ID16bit",
        "number": "PartNumber",
        "total": "AllParts",
    },
):
    """The user data header (UDH)."""

    type: str = "NoUDH"
    octets: Octets | None = None
    reference_8_bit: int = -1
    reference_16_bit: int = -1
    number: int = -1
    total: int = -1


NO_HEADER: Final = Header()


class Record(
    Struct,
    frozen=True,
    gc=False,
    rename={
        "text": "Text",
        "coding": "Coding",
        "number": "Number",
        "type": "Type",
        "header": "UDH",
        "time": "DateTime",
        "other_time": "SMSCDateTime",
        "reference": "MessageReference",
        "status": "DeliveryStatus",
    },
):
    """The fields of python-gammu's dictionary that say something about the message, and no others."""

    text: str | Octets | None = None
    coding: str = ""
    number: str = ""
    type: str = "Deliver"
    header: Header = NO_HEADER
    time: str | None = None
    other_time: str | None = None
    reference: int = 0
    status: int = -1
    error: Any = None


class Concatenation(NamedTuple):
    """Which part of which message this is."""

    reference: int
    width: Literal[8, 16]
    number: int
    total: int


_decode_fast = msgspec.json.Decoder(Record).decode


def decode(raw: bytes) -> Record:
    """The record in ``raw``; raises Quarantine for anything that does not hold a message's text."""
    try:
        record = _decode_fast(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        record = _decode_slowly(raw)
    if record.error is not None:
        name = record.error if isinstance(record.error, str) and _GAMMU_ERROR.fullmatch(record.error) else "an error"
        raise Quarantine(f"libGammu could not decode the message: {name}")
    if record.text is None or record.type not in {"Deliver", "Submit", "Status_Report"}:
        raise Quarantine("the record holds no message")
    if record.coding in _UNDECODED_CODINGS:
        raise Quarantine("the text is compressed, which libGammu cannot undo")
    return record


def _decode_slowly(raw: bytes) -> Record:
    """For what the fast decoder refuses although JSON allows it: a lone surrogate, written as an escape."""
    try:
        return msgspec.convert(json.loads(raw), Record)
    except (msgspec.ValidationError, RecursionError, ValueError):
        raise Quarantine("the raw bytes are not a record of libGammu's fields") from None


def content(record: Record) -> str | bytes:
    """The text, or the octets of 8-bit data.

    libGammu counts septets but stores characters: behind a text with GSM-7 extension characters stand a NUL
    and stale octets of earlier messages. NUL is no character of that alphabet, so what follows one is cut.
    """
    text = record.text
    if isinstance(text, str):
        if record.coding == "Default_No_Compression" and "\0" in text:
            return text[: text.index("\0")]
        return text
    return b"" if text is None else _octets(text)


def _octets(written: Octets) -> bytes:
    try:
        return bytes.fromhex(written.hex)
    except ValueError:
        raise Quarantine("the raw bytes are not a record of libGammu's fields") from None


def _elements(header: Header) -> Iterator[tuple[int, bytes]]:
    """The header's information elements; stops where one claims more octets than there are."""
    octets = b"" if header.octets is None else _octets(header.octets)
    end = min(len(octets), octets[0] + 1) if octets else 0
    at = 1
    while at + 2 <= end and at + 2 + octets[at + 1] <= end:
        yield octets[at], octets[at + 2 : at + 2 + octets[at + 1]]
        at += 2 + octets[at + 1]


def concatenation(record: Record) -> Concatenation | None:
    """Which part the message is, or None for a whole message.

    A part that cannot be (the third of two, the only one of one) is a whole message: nothing would ever
    complete it, and its text can be read.
    """
    header = record.header
    if header.type == "NoUDH":
        return None
    found: Concatenation | None = None
    for kind, data in _elements(header):  # the last one counts: 3GPP TS 23.040, clause 9.2.3.24
        if kind == _CONCATENATION_8_BIT and len(data) == 3:  # noqa: PLR2004 - reference, total, number
            found = Concatenation(data[0], 8, data[2], data[1])
        elif kind == _CONCATENATION_16_BIT and len(data) == 4:  # noqa: PLR2004 - the reference has two octets
            found = Concatenation(data[0] << 8 | data[1], 16, data[3], data[2])
    if found is None and header.octets is None:
        found = _from_fields(header)
    if found is None or not 1 <= found.number <= found.total <= 255 or found.total == 1:  # noqa: PLR2004 - an octet
        return None
    return found


def _from_fields(header: Header) -> Concatenation | None:
    """What libGammu concluded, for a record that kept no octets of the header."""
    if header.reference_16_bit >= 0:
        return Concatenation(header.reference_16_bit, 16, header.number, header.total)
    if header.reference_8_bit >= 0:
        return Concatenation(header.reference_8_bit, 8, header.number, header.total)
    return None


def has_port(record: Record) -> bool:
    """Whether the message is addressed to an application on the phone, as WAP push and settings are."""
    return record.header.type != "NoUDH" and any(kind in _PORT_ELEMENTS for kind, _ in _elements(record.header))


def text_of_data(data: bytes, *, cut: bool = False) -> str:
    """8-bit data as text: UTF-8, or Latin-1 if nearly all is ASCII; raises Quarantine for anything else.

    Every octet is some Latin-1 character, so Latin-1 alone proves nothing. But a text in Indonesian is ASCII
    save for a stray accent or sign, and is then better read with that one sign in doubt than set aside.

    Args:
        data: What was sent; octets of NUL at its end are padding.
        cut: Whether parts are missing, so that a character may be broken off at either end.
    """
    data = data.rstrip(b"\0")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        if sum(octet < 0x80 for octet in data) < _LEAST_ASCII * len(data):  # noqa: PLR2004 - the end of ASCII
            raise Quarantine("8-bit data that is no text") from None
        text = data.decode("utf-8", "replace") if cut else data.decode("latin-1")
    if _CONTROL.search(text):
        raise Quarantine("8-bit data that is no text")
    return text


def delivery_notice(record: Record, recipient: str) -> DeliveryNotice:
    """What a status report says.

    One of its times is when the service centre took our message, the other when it was delivered or given up.
    Which is which depends on whether the modem stored the report or passed it on; the later one is meant.
    """
    if record.status < 0:
        outcome = {"Delivered": "delivered", "Failed": "failed"}.get(str(record.text), "pending")
    elif record.status < _FIRST_PENDING_STATUS:
        outcome = "delivered"
    else:
        outcome = "pending" if record.status < _FIRST_FAILED_STATUS else "failed"
    times = [time for time in (moment(record.time), moment(record.other_time)) if time is not None]
    return DeliveryNotice(str(record.reference), recipient, outcome, max(times, default=None))  # type: ignore[arg-type]
