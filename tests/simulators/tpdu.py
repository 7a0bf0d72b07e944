"""Encodes and decodes SMS transfer-layer protocol data units (TPDUs) for the modem simulator; pure functions.

Sources: 3GPP TS 23.040 (the TPDUs and their fields), 3GPP TS 23.038 (alphabets and the data coding scheme),
3GPP TS 27.005 clause 3.1 (a modem's PDU: the service centre address, then the TPDU, in hexadecimal).
It shares no code with the gateway on purpose: a fault in one must not hide a fault in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

Coding = Literal["gsm7", "ucs2", "8bit"]

# 3GPP TS 23.038, clause 6.2.1: the default alphabet, in the order of its codes; code 0x1B is the escape.
GSM7_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# 3GPP TS 23.038, clause 6.2.1.1: the extension table, reached through the escape.
GSM7_EXTENSION = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F,
    "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
ESCAPE = 0x1B
_BASIC_CODES = {character: code for code, character in enumerate(GSM7_BASIC) if code != ESCAPE}
_EXTENSION_CHARACTERS = {code: character for character, code in GSM7_EXTENSION.items()}

# TP-DCS, 3GPP TS 23.038 clause 4, general data coding group without a message class.
DATA_CODING_SCHEME: dict[Coding, int] = {"gsm7": 0x00, "8bit": 0x04, "ucs2": 0x08}
# TP-UDL counts septets for the default alphabet and octets for the others (3GPP TS 23.040, 9.2.3.16).
SEPTETS_PER_MESSAGE = 160
OCTETS_PER_MESSAGE = 140

_ADDRESS_DIGITS = "0123456789*#abc"
_INTERNATIONAL, _UNKNOWN_TYPE, _ALPHANUMERIC = 0x91, 0x81, 0xD0


class TpduError(ValueError):
    """The octets are not the TPDU that they were taken for."""


@dataclass(frozen=True)
class UserData:
    """TP-UD and what is needed to read it: coding, the header's elements (without UDHL), content."""

    coding: Coding
    content: bytes
    udh: bytes = b""

    @property
    def text(self) -> str:
        """The content as text; what is not text (8 bit) comes as Latin-1, one character an octet."""
        if self.coding == "gsm7":
            return decode_gsm7(self.content)
        if self.coding == "ucs2":
            return self.content.decode("utf-16-be", "surrogatepass")
        return self.content.decode("latin-1")


@dataclass(frozen=True)
class Deliver:
    """What an SMS-DELIVER says (3GPP TS 23.040, 9.2.2.1)."""

    sender: str
    sent_at: datetime
    user_data: UserData
    protocol: int = 0
    coding_scheme: int | None = None


@dataclass(frozen=True)
class StatusReport:
    """What an SMS-STATUS-REPORT says (3GPP TS 23.040, 9.2.2.3); status 0: delivered, from 0x40 on: failed."""

    reference: int
    recipient: str
    sent_at: datetime
    discharged_at: datetime
    status: int = 0


@dataclass(frozen=True)
class Submit:
    """What an SMS-SUBMIT says (3GPP TS 23.040, 9.2.2.2)."""

    destination: str
    user_data: UserData
    reference: int
    report_requested: bool
    protocol: int
    coding_scheme: int
    validity: bytes
    smsc: str = ""

    @property
    def text(self) -> str:
        """The text of this part."""
        return self.user_data.text

    @property
    def udh(self) -> bytes:
        """The user data header's information elements, without UDHL."""
        return self.user_data.udh


def encode_gsm7(text: str) -> bytes:
    """Turn text into codes of the default alphabet, one septet an octet (3GPP TS 23.038, 6.2.1)."""
    septets = bytearray()
    for character in text:
        if character in _BASIC_CODES:
            septets.append(_BASIC_CODES[character])
        elif character in GSM7_EXTENSION:
            septets += bytes((ESCAPE, GSM7_EXTENSION[character]))
        else:
            raise TpduError(f"{character!r} is not in the GSM default alphabet")
    return bytes(septets)


def decode_gsm7(septets: bytes) -> str:
    """Turn codes of the default alphabet into text; unknown extensions read as basic ones (6.2.1.1)."""
    characters: list[str] = []
    escaped = False
    for code in septets:
        if code == ESCAPE and not escaped:
            escaped = True
            continue
        basic = GSM7_BASIC[code & 0x7F]
        characters.append(_EXTENSION_CHARACTERS.get(code, basic) if escaped else basic)
        escaped = False
    return "".join(characters)


def fits_gsm7(text: str) -> bool:
    """Whether the default alphabet with its extension table can write this text."""
    return all(character in _BASIC_CODES or character in GSM7_EXTENSION for character in text)


def pack_septets(septets: bytes, fill_bits: int = 0) -> bytes:
    """Pack septets into octets, lowest bits first, after some fill bits (3GPP TS 23.038, 6.1.2.1)."""
    bits = 0
    for position, septet in enumerate(septets):
        bits |= (septet & 0x7F) << (7 * position + fill_bits)
    return bits.to_bytes((7 * len(septets) + fill_bits + 7) // 8, "little")


def unpack_septets(octets: bytes, count: int, fill_bits: int = 0) -> bytes:
    """Take septets out of octets: the inverse of pack_septets."""
    bits = int.from_bytes(octets, "little") >> fill_bits
    return bytes((bits >> (7 * position)) & 0x7F for position in range(count))


def user_data(text: str | bytes, coding: Coding, udh: bytes = b"") -> UserData:
    """Make TP-UD content; bytes are taken as they are, so that a lone surrogate can be sent too."""
    if isinstance(text, bytes):
        return UserData(coding, text, udh)
    if coding == "gsm7":
        return UserData(coding, encode_gsm7(text), udh)
    if coding == "ucs2":
        return UserData(coding, text.encode("utf-16-be", "surrogatepass"), udh)
    return UserData(coding, text.encode(), udh)


def _fill_bits(header_length: int) -> int:
    """Bits that bring the text after a header to a septet boundary (3GPP TS 23.040, figure 9.2.3.24)."""
    return -8 * header_length % 7


def encode_user_data(data: UserData) -> bytes:
    """TP-UDL and TP-UD (3GPP TS 23.040, 9.2.3.16 and 9.2.3.24)."""
    header = bytes((len(data.udh),)) + data.udh if data.udh else b""
    if data.coding != "gsm7":
        return bytes((len(header) + len(data.content),)) + header + data.content
    fill = _fill_bits(len(header))
    length = (8 * len(header) + fill) // 7 + len(data.content)
    return bytes((length,)) + header + pack_septets(data.content, fill)


def decode_user_data(octets: bytes, coding: Coding, *, with_header: bool) -> UserData:
    """Read TP-UDL and TP-UD: the inverse of encode_user_data."""
    if not octets:
        raise TpduError("TP-UDL is missing")
    length, rest = octets[0], octets[1:]
    header_length = rest[0] + 1 if with_header and rest else 0
    udh = rest[1:header_length]
    if coding != "gsm7":
        if len(rest) < length:
            raise TpduError(f"TP-UDL says {length} octets, {len(rest)} are there")
        return UserData(coding, rest[header_length:length], udh)
    if len(rest) < (length * 7 + 7) // 8:
        raise TpduError(f"TP-UDL says {length} septets, {len(rest)} octets are there")
    fill = _fill_bits(header_length)
    count = length - (8 * header_length + fill) // 7
    return UserData(coding, unpack_septets(rest[header_length:], count, fill), udh)


def coding_of(scheme: int) -> Coding:
    """The alphabet that a TP-DCS stands for (3GPP TS 23.038, clause 4)."""
    if scheme & 0xF0 == 0xF0:
        return "8bit" if scheme & 0x04 else "gsm7"
    if scheme & 0xF0 == 0xE0:
        return "ucs2"
    if scheme & 0x80:
        return "gsm7"
    alphabets: dict[int, Coding] = {0x04: "8bit", 0x08: "ucs2"}
    return alphabets.get(scheme & 0x0C, "gsm7")


def _swap_digits(digits: str) -> bytes:
    """Semi-octets: two digits an octet, the first in the low half, filled up with F (TS 23.040, 9.1.2.3)."""
    values = [_ADDRESS_DIGITS.index(digit) for digit in digits]
    if len(values) % 2:
        values.append(0xF)
    return bytes(low | high << 4 for low, high in zip(values[::2], values[1::2], strict=True))


def _unswap_digits(octets: bytes) -> str:
    halves = [half for octet in octets for half in (octet & 0x0F, octet >> 4)]
    return "".join(_ADDRESS_DIGITS[half] for half in halves if half != 0xF)


def encode_address(address: str) -> bytes:
    """An address field: length in useful semi-octets, type, value (3GPP TS 23.040, 9.1.2.5); names too."""
    digits = address.removeprefix("+")
    if digits and all(digit in _ADDRESS_DIGITS for digit in digits):
        kind = _INTERNATIONAL if address.startswith("+") else _UNKNOWN_TYPE
        return bytes((len(digits), kind)) + _swap_digits(digits)
    septets = encode_gsm7(address)
    if len(septets) > 11:
        raise TpduError("an alphanumeric address has at most 11 characters")
    return bytes(((7 * len(septets) + 3) // 4, _ALPHANUMERIC)) + pack_septets(septets)


def decode_address(octets: bytes) -> tuple[str, int]:
    """Read an address field; returns the address and the number of octets that it took."""
    if len(octets) < 2:
        raise TpduError("the address is cut short")
    size = 2 + (octets[0] + 1) // 2
    value = octets[2:size]
    if len(octets) < size:
        raise TpduError("the address is cut short")
    if octets[1] & 0x70 == 0x50:
        return decode_gsm7(unpack_septets(value, octets[0] * 4 // 7)), size
    return ("+" if octets[1] & 0x70 == 0x10 else "") + _unswap_digits(value), size


def encode_smsc(number: str) -> bytes:
    """The service centre's address before the TPDU: length in octets, type, digits; 00: the modem's own."""
    if not number:
        return b"\x00"
    digits = _swap_digits(number.removeprefix("+"))
    return bytes((len(digits) + 1, _INTERNATIONAL if number.startswith("+") else _UNKNOWN_TYPE)) + digits


def split_smsc(pdu: bytes) -> tuple[str, bytes]:
    """Divide what a modem calls a PDU into the service centre's number and the TPDU."""
    if not pdu or len(pdu) < 1 + pdu[0]:
        raise TpduError("the service centre address is cut short")
    if pdu[0] == 0:
        return "", pdu[1:]
    international = "+" if pdu[1] & 0x70 == 0x10 else ""
    return international + _unswap_digits(pdu[2 : 1 + pdu[0]]), pdu[1 + pdu[0] :]


def encode_scts(moment: datetime) -> bytes:
    """TP-SCTS: seven swapped octets with the zone in quarters of an hour (3GPP TS 23.040, 9.2.3.11)."""
    offset = moment.utcoffset()
    if offset is None:
        raise TpduError("a service centre time stamp needs a time zone")
    quarters = int(offset / timedelta(minutes=15))
    fields = (
        moment.year % 100,
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
        abs(quarters),
    )
    octets = bytearray((field % 10) << 4 | field // 10 for field in fields)
    if quarters < 0:
        octets[6] |= 0x08  # the sign of the zone, in the half that holds its first digit
    return bytes(octets)


def decode_scts(octets: bytes) -> datetime:
    """Read a TP-SCTS; the century is taken as the 21st."""
    if len(octets) != 7:
        raise TpduError("a time stamp has seven octets")
    values = [(octet & 0x0F) * 10 + (octet >> 4) for octet in (*octets[:6], octets[6] & 0xF7)]
    year, month, day, hour, minute, second, quarters = values
    offset = timedelta(minutes=-15 * quarters if octets[6] & 0x08 else 15 * quarters)
    zone = timezone(offset) if offset else UTC
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError as error:
        raise TpduError(f"not a time: {octets.hex()}") from error


def encode_deliver(message: Deliver) -> bytes:
    """Encode an SMS-DELIVER (3GPP TS 23.040, 9.2.2.1): TP-MTI 00, TP-MMS set (nothing more is waiting)."""
    first = 0x04 | (0x40 if message.user_data.udh else 0x00)
    scheme = message.coding_scheme
    if scheme is None:
        scheme = DATA_CODING_SCHEME[message.user_data.coding]
    return (
        bytes((first,))
        + encode_address(message.sender)
        + bytes((message.protocol, scheme))
        + encode_scts(message.sent_at)
        + encode_user_data(message.user_data)
    )


def decode_deliver(tpdu: bytes) -> Deliver:
    """Read an SMS-DELIVER: the inverse of encode_deliver, to show what a simulated SIM holds."""
    if not tpdu or tpdu[0] & 0x03 != 0x00:
        raise TpduError("not an SMS-DELIVER")
    sender, used = decode_address(tpdu[1:])
    rest = tpdu[1 + used :]
    if len(rest) < 10:
        raise TpduError("the SMS-DELIVER is cut short")
    data = decode_user_data(rest[9:], coding_of(rest[1]), with_header=bool(tpdu[0] & 0x40))
    return Deliver(sender, decode_scts(rest[2:9]), data, rest[0], rest[1])


def encode_status_report(report: StatusReport) -> bytes:
    """Encode an SMS-STATUS-REPORT (3GPP TS 23.040, 9.2.2.3): TP-MTI 10, no optional parameters."""
    return (
        bytes((0x06, report.reference))
        + encode_address(report.recipient)
        + encode_scts(report.sent_at)
        + encode_scts(report.discharged_at)
        + bytes((report.status,))
    )


def decode_submit(pdu: bytes) -> Submit:
    """Read what a modem was given: the service centre, then an SMS-SUBMIT (3GPP TS 23.040, 9.2.2.2)."""
    smsc, tpdu = split_smsc(pdu)
    if len(tpdu) < 2 or tpdu[0] & 0x03 != 0x01:
        raise TpduError("not an SMS-SUBMIT")
    first = tpdu[0]
    destination, used = decode_address(tpdu[2:])
    rest = tpdu[2 + used :]
    # TP-VPF (9.2.3.3): no validity period, an enhanced one, a relative one, an absolute one.
    validity_length = (0, 7, 1, 7)[first >> 3 & 0x03]
    if len(rest) < 3 + validity_length:
        raise TpduError("the SMS-SUBMIT is cut short")
    return Submit(
        destination=destination,
        user_data=decode_user_data(rest[2 + validity_length :], coding_of(rest[1]), with_header=bool(first & 0x40)),
        reference=tpdu[1],
        report_requested=bool(first & 0x20),
        protocol=rest[0],
        coding_scheme=rest[1],
        validity=rest[2 : 2 + validity_length],
        smsc=smsc,
    )


def concatenation_header(reference: int, total: int, number: int, *, wide: bool = False) -> bytes:
    """The concatenation element, with an 8-bit or a 16-bit reference (3GPP TS 23.040, 9.2.3.24.1 and .8)."""
    if wide:
        return bytes((0x08, 0x04)) + reference.to_bytes(2, "big") + bytes((total, number))
    return bytes((0x00, 0x03, reference, total, number))


def _chunks(units: Sequence[bytes], limit: int) -> Iterable[bytes]:
    """Join units (an escape with its character, a surrogate pair) up to a limit: none of them may be torn."""
    current = b""
    for unit in units:
        if current and len(current) + len(unit) > limit:
            yield current
            current = b""
        current += unit
    yield current


def split_into_parts(text: str, reference: int, *, wide: bool = False, coding: Coding | None = None) -> list[UserData]:
    """Split a text into the parts of a concatenated message (3GPP TS 23.040, 9.2.3.24.1)."""
    chosen = coding or ("gsm7" if fits_gsm7(text) else "ucs2")
    header_length = 1 + len(concatenation_header(0, 1, 1, wide=wide))
    if chosen == "gsm7":
        limit = SEPTETS_PER_MESSAGE - (8 * header_length + 6) // 7
    else:
        limit = OCTETS_PER_MESSAGE - header_length
    contents = list(_chunks([user_data(character, chosen).content for character in text], limit))
    return [
        UserData(chosen, content, concatenation_header(reference, len(contents), number, wide=wide))
        for number, content in enumerate(contents, start=1)
    ]
