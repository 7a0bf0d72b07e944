"""The SMS parser: the record of one message, or of all parts of one, as what its sender wrote."""

import re
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from gateway.errors import Quarantine
from gateway.model import Reporter
from gateway.parsing import Parsed, PartOf, Profile
from parsers import citizen_text, gammu_record, senders
from parsers.gammu_record import Concatenation, Record
from parsers.moments import moment
from parsers.senders import SenderKind

# Reasons may be logged: they never hold a number or a text.
OWN_NUMBER: Final = "our own number"
MACHINE_DATA: Final = "machine data"
DELIVERY_REPORT: Final = "delivery report"
OWN_MESSAGE: Final = "a message that the modem sent"
EMPTY: Final = "empty message"
ONE_TIME_CODE: Final = "a one-time code"
_SENDER_REASONS: Final[dict[SenderKind, str | None]] = {
    "phone": None,
    "nobody": None,
    "name": "the sender is a name, not a phone",
    "short code": "the sender is a short code, not a phone",
}

_MISSING_PART: Final = " … "
_BROKEN_CHARACTER: Final = "\ufffd"

# A one-time code that a phone forwards: short, the code next to its name, the warning to keep it, and not one
# word of a person who tells about it. Whoever complains of codes uses such words. In doubt it is a report.
_LONGEST_CODE_MESSAGE: Final = 220
_CODE_NAME: Final = (
    r"\b(?:otp|kode (?:verifikasi|keamanan|rahasia|aktivasi|konfirmasi|otorisasi|akses|login|whatsapp|telegram|google)"
    r"|(?:verification|security|login) code)\b"
)
_CODE_NUMBER: Final = r"\b(?:[0-9]{4,8}|[0-9]{3}-[0-9]{3})\b"
_CODE: Final = re.compile(
    rf"{_CODE_NAME}[^.!?\n]{{0,40}}?{_CODE_NUMBER}"
    rf"|{_CODE_NUMBER} (?:adalah|is|merupakan)\b[^.!?\n]{{0,30}}?{_CODE_NAME}"
)
_KEEP_SECRET: Final = re.compile(
    r"\b(?:jangan|jgn) (?:pernah )?(?:berikan|beri|kasih|beritahukan|beritahu|bagikan|sebarkan|sebar)"
    r" (?:kode|otp|ini|ke|kepada|kpd|pada|siapa)\b"
    r"|\b(?:rahasiakan|bersifat rahasia|do not share|don't share)\b"
)
_A_PERSON_WRITES: Final = re.compile(
    r"\b(?:saya|sy|aku|ku|kami|kita|mohon|mhn|tolong|tlg|tidak|tdk|tak|gak|ga|gk|nggak|belum|blm|kenapa|knp|mengapa"
    r"|padahal|tapi|tp|dapat|dpt|menerima|terima|masuk|penipu|penipuan|tipu|ditipu|lapor|laporan|melapor|hilang|korban"
    r"|pak|bapak|bpk|bu|ibu|yg|apakah|gimana|bagaimana|sms|suami|istri|anak|warga)\b|\?"
)


def parse(raws: Sequence[bytes | None], profile: Profile) -> Parsed:
    """Parses one SMS, or the parts of one in order, None for a missing part.

    A part that is parsed alone says which part it is and who sent it; its text is not looked into, because a
    keyword or a number may go on in the next part.

    Raises:
        Quarantine: The bytes hold no message that can be read.
    """
    if len(raws) == 1 and raws[0] is not None:
        return _parse_one(gammu_record.decode(raws[0]), profile)
    records = [None if raw is None else gammu_record.decode(raw) for raw in raws]
    first = next((record for record in records if record is not None), None)
    if first is None:
        raise Quarantine("there is no part to parse")
    if first.type != "Deliver":
        return _not_received(first)
    times = [time for record in records if record is not None and (time := moment(record.time))]
    ported = any(record is not None and _is_machine_data(record) for record in records)
    return _whole(first, None if ported else _joined(records), min(times, default=None), profile)


def _parse_one(record: Record, profile: Profile) -> Parsed:
    if record.type != "Deliver":
        return _not_received(record)
    sent_at = moment(record.time)
    content = gammu_record.content(record)
    if record.header.type != "NoUDH":
        if _is_machine_data(record):
            return _whole(record, None, sent_at, profile)
        if (place := gammu_record.concatenation(record)) is not None:
            return _fragment(record, content, place, sent_at, profile)
    text = content if isinstance(content, str) else gammu_record.text_of_data(content)
    return _whole(record, text, sent_at, profile)


def _whole(record: Record, text: str | None, sent_at: datetime | None, profile: Profile) -> Parsed:
    """A whole message; ``text`` is None for machine data."""
    address, kind, reason = _sender(record, profile)
    written = "" if text is None else citizen_text.clean(text)
    if reason is None:
        reason = MACHINE_DATA if text is None else _no_report(written)
    report = citizen_text.without_service_word(written)
    return Parsed(
        reporter=Reporter(address=address, kind="phone"),
        text=report,
        sent_at=sent_at,
        keyword=citizen_text.leading_keyword(report),
        references=citizen_text.references(report),
        not_a_report=reason,
        answerable=kind == "phone" and reason not in (OWN_NUMBER, MACHINE_DATA),
    )


def _fragment(
    record: Record, content: str | bytes, place: Concatenation, sent_at: datetime | None, profile: Profile
) -> Parsed:
    address, kind, reason = _sender(record, profile)
    octets = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    return Parsed(
        reporter=Reporter(address=address, kind="phone"),
        text=citizen_text.clean(text),
        sent_at=sent_at,
        not_a_report=reason,
        answerable=kind == "phone" and reason is None,
        part=PartOf(
            group=f"{address}|{place.reference}|{place.width}|{place.total}",
            number=place.number,
            total=place.total,
            content=sha256(b"%b|%b" % (record.coding.encode("utf-8", "surrogatepass"), octets)).hexdigest(),
        ),
    )


def _not_received(record: Record) -> Parsed:
    """A status report, or a message that the modem keeps of what it sent; its number is whom it went to."""
    address, _ = senders.identify(record.number)
    notice = gammu_record.delivery_notice(record, address) if record.type == "Status_Report" else None
    return Parsed(
        reporter=Reporter(address=address, kind="phone"),
        text="",
        sent_at=moment(record.time) if notice is None else notice.at,
        not_a_report=OWN_MESSAGE if notice is None else DELIVERY_REPORT,
        answerable=False,
        delivery=notice,
    )


def _sender(record: Record, profile: Profile) -> tuple[str, SenderKind, str | None]:
    """The sender's address, its kind, and why nobody there can report anything, if so."""
    address, kind = senders.identify(record.number)
    if profile.own_addresses and senders.is_own(address, profile.own_addresses):
        return address, kind, OWN_NUMBER
    return address, kind, _SENDER_REASONS[kind]


def _is_machine_data(record: Record) -> bool:
    """A text with a port is still read: somebody's odd phone may have sent it."""
    return not isinstance(record.text, str) and gammu_record.has_port(record)


def _no_report(text: str) -> str | None:
    if citizen_text.is_blank(text):
        return EMPTY
    return ONE_TIME_CODE if len(text) <= _LONGEST_CODE_MESSAGE and is_one_time_code(text) else None


def is_one_time_code(text: str) -> bool:
    """Whether a phone's short message is beyond doubt a one-time code."""
    folded = text.lower()
    if "otp" not in folded and "kode" not in folded and "code" not in folded:
        return False
    return (
        _KEEP_SECRET.search(folded) is not None
        and _CODE.search(folded) is not None
        and _A_PERSON_WRITES.search(folded) is None
    )


def _joined(records: Sequence[Record | None]) -> str:
    """The parts' texts in one; a run of missing parts shows as one gap."""
    cut = None in records
    pieces: list[str] = []
    data = b""
    for record in records:
        content = None if record is None else gammu_record.content(record)
        if isinstance(content, bytes):
            data += content  # a character may be split between two parts, so octets are joined first
            continue
        if data:
            pieces.append(gammu_record.text_of_data(data, cut=cut))
            data = b""
        if content is None:
            if pieces[-1:] != [_MISSING_PART]:
                pieces.append(_MISSING_PART)
        elif content.startswith(_BROKEN_CHARACTER) and pieces and pieces[-1].endswith(_BROKEN_CHARACTER):
            pieces.append(content[1:])  # libGammu read each half of a split character as a broken one
        else:
            pieces.append(content)
    if data:
        pieces.append(gammu_record.text_of_data(data, cut=cut))
    return "".join(pieces)
