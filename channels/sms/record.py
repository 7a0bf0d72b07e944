"""The raw form of an SMS: every field that libGammu returned, canonically encoded, and its identity."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

_IDENTITY: Final = ("Number", "DateTime", "Coding", "Type", "MessageReference", "DeliveryStatus")
"""What the network gave the message, besides its text and header. Never the location, memory, state, SMSC or the
time of reading: those differ from one reading to the next."""


def encode_record(fields: Mapping[str, Any]) -> bytes:
    """Every field as ASCII JSON: keys sorted, bytes as ``{"hex": …}``, times as ISO 8601."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_plain).encode("ascii")


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def evidence(location: int, error: str, pdu: str) -> tuple[str, bytes]:
    """The identity and the raw form of a message that libGammu cannot decode: the PDU as it came over the wire."""
    identity = hashlib.sha256(b"PDU " + pdu.encode("utf-8", "surrogatepass")).hexdigest()
    return identity, encode_record({"error": error, "Location": location, "PDU": pdu})


def external_id(fields: Mapping[str, Any]) -> str:
    """The identity of a message: SHA-256 over sender, the service centre's time stamp, coding, header and text."""
    identity = {name: fields.get(name) for name in _IDENTITY}
    moment = fields.get("DateTime")
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        identity["DateTime"] = moment.astimezone(UTC)
    udh = fields.get("UDH") or {}
    identity["UDH"] = udh.get("Text")
    identity["Text"] = clean_text(fields)
    return hashlib.sha256(encode_record(identity)).hexdigest()


def clean_text(fields: Mapping[str, Any]) -> str | bytes | None:
    """The text; of GSM-7 only what stands before the first NUL, as libGammu leaves stale bytes behind it."""
    text = fields.get("Text")
    if isinstance(text, str) and "Default" in str(fields.get("Coding")):
        return text.split("\0", 1)[0]
    if isinstance(text, str | bytes) or text is None:
        return text
    return str(text)
