"""What the headers of a mail say: decoded words, who wrote it, when, what the trusted server found out about it."""

import binascii
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from parsers import citizen_text, mail_charset
from parsers.mail_message import Part, undone_base64

LONGEST_NAME: Final = 200
_LONGEST_WORD: Final = 4_000
_LONGEST_ADDRESS_FIELD: Final = 4_000

# RFC 2047, section 2; RFC 2231, section 5, for the language behind the charset. Blanks inside are forgiven.
_ENCODED: Final = re.compile(rf"=\?([^?\s*]{{1,40}})(?:\*[^?\s]{{0,20}})?\?([bBqQ])\?(.{{0,{_LONGEST_WORD}}}?)\?=")

# A field with one parameter, in signs that mean nothing else in any encoding: what nearly every text has.
_ONLY_PARAMETER: Final = re.compile(
    r"[A-Za-z]{1,20}(?:/[A-Za-z0-9.+-]{1,100})?;[ \t]{0,9}([A-Za-z]{1,20})="
    r"(?:\"([A-Za-z0-9._-]{1,100})\"|([A-Za-z0-9._-]{1,100}))"
)
_QUOTED_NAME: Final = re.compile(r'\s*"((?:[^"\\]|\\.){0,1000}+)"\s*<([^<>]{0,400})>', re.DOTALL)
_NAME: Final = re.compile(r"([^<]{0,1000}+)<([^<>]{0,400})>")
_BARE: Final = re.compile(r"[^\s,;:<>()\"@]{1,64}@[^\s,;:<>()\"@]{1,255}")
_COMMENT: Final = re.compile(r"\(([^()]{0,400})\)")
# RFC 5321, section 4.5.3.1, has the lengths. Letters of all scripts: RFC 6532.
_ADDRESS: Final = re.compile(r"([^\s@<>()\[\],:;\\\"\x00-\x20\x7f]{1,64})@([^\s@<>()\[\],:;\\\"/\x00-\x20\x7f]{1,255})")

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# As nearly every program writes it; the library's parser, which reads all other forms, takes five times as long.
_USUAL_DATE: Final = re.compile(
    r"\s?(?:[A-Z][a-z]{2}, )?([0-9]{1,2}) ([A-Z][a-z]{2}) (20[0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r" ([+-])([0-9]{2})([0-9]{2})(?: \([A-Z]{1,5}\))?"
)
_DAY: Final = timedelta(days=1)
_ZONE: Final = re.compile(r"[+-][0-9]{4}|\b(?:GMT|UTC?|Z|[ECMP][SD]T)\b", re.IGNORECASE)
_LOCAL_ZONE: Final = re.compile(r"\b(WIB|WITA|WIT)\b", re.IGNORECASE)
_LOCAL_ZONES: Final = {"WIB": "+0700", "WITA": "+0800", "WIT": "+0900"}
_LONGEST_DATE: Final = 200
_FIRST_YEAR: Final = 1995
_LAST_YEAR: Final = 2200
_MAY_BE_EARLY: Final = timedelta(days=60)
_MAY_BE_LATE: Final = timedelta(days=1)

_OURS: Final = re.compile(r"<\s{0,2}(lapor-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@[^<>\s]{1,255}>", re.IGNORECASE)

_TOKENS: Final = re.compile(r"[^()\"\\]++|\\.?|[()\"]", re.DOTALL)
_METHODS: Final = ("spf", "dkim", "dmarc")
_RESULT: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]{0,30})(?:\s*/\s*[0-9]+)?\s*=\s*([A-Za-z]{1,20})(?![A-Za-z0-9])")
# RFC 8601, sections 2.7.1 and 2.7.2; RFC 7489, section 11.2.
_RESULTS: Final = frozenset(
    {"none", "pass", "fail", "softfail", "policy", "neutral", "temperror", "permerror", "hardfail", "bestguesspass"}
)


class Sender(NamedTuple):
    """Who wrote a mail: an address, empty where there is none, and a name."""

    address: str
    name: str | None


def readable(value: str) -> str:
    """A header's value with its raw octets and encoded words as text."""
    if not value.isascii():
        value = mail_charset.text_of(value.encode("utf-8", "surrogateescape"))
    return citizen_text.clean(_words_decoded(value) if "=?" in value else value)


def _words_decoded(value: str) -> str:
    """Encoded words next to each other are one text: a character may be split between them."""
    pieces: list[str] = []
    data, charset, end = b"", "", 0
    for match in _ENCODED.finditer(value):
        gap = value[end : match.start()]
        apart = bool(gap.strip()) or not end
        if data and (apart or match[1].lower() != charset):
            pieces.append(mail_charset.text_of(data, charset))
            data = b""
        if apart:
            pieces.append(gap)
        charset, end = match[1].lower(), match.end()
        data += _word(match[2], match[3])
    if data:
        pieces.append(mail_charset.text_of(data, charset))
    pieces.append(value[end:])
    return "".join(pieces)


def _word(encoding: str, text: str) -> bytes:
    if encoding in "qQ":
        return binascii.a2b_qp(text.encode(), header=True)
    return undone_base64(text.encode())


def parameter(part: Part, name: str, header: str = "content-type") -> str:
    """A parameter of a Content-* field as text: RFC 2231, and encoded words, which many send there."""
    written = part.first(header)
    if name not in written.lower():
        return ""
    if (only := _ONLY_PARAMETER.fullmatch(written)) is not None:
        return (only[2] or only[3]) if only[1].lower() == name else ""
    try:
        value = part.get_param(name, header=header)
    except (ValueError, TypeError, LookupError, AttributeError):
        return ""
    if isinstance(value, tuple):
        charset, _, text = value
        return citizen_text.clean(mail_charset.text_of(text.encode("latin-1", "replace"), charset))
    return readable(value) if isinstance(value, str) else ""


def sender(mail: Part) -> Sender:
    """The author, or who stands in for a missing one: RFC 5322, section 3.6.2."""
    for field in ("from", "sender", "reply-to"):
        if (value := mail.first(field)) and (found := mailbox(value)).address:
            return found
    return Sender("", mailbox(mail.first("from")).name)


def mailbox(value: str) -> Sender:
    """The first mailbox of a field; the part in angle brackets is the address, whatever the name pretends."""
    value = value[:_LONGEST_ADDRESS_FIELD]
    match = _QUOTED_NAME.match(value) or _NAME.match(value)
    if match is None and "=?" in value and "@" not in value:
        value = readable(value)  # some encode the whole field
        match = _NAME.match(value)
    if match is not None:
        return Sender(normal(match[2]), _name(match[1].replace("\\", "")))
    bare = _BARE.search(_COMMENT.sub(" ", value))
    comment = _COMMENT.search(value)
    if bare is None:
        return Sender("", _name(value))
    return Sender(normal(bare[0]), _name(comment[1]) if comment is not None else None)


def normal(written: str) -> str:
    """An address in one form: the domain in small letters. Empty where it is none."""
    written = readable(written).strip(" \t\n'\u200b\u200e\u200f\ufeff").removeprefix("mailto:")
    match = _ADDRESS.fullmatch(written)
    if match is None or not written.isprintable():
        return ""
    return f"{match[1]}@{match[2].rstrip('.').lower()}"


def _name(written: str) -> str | None:
    name = " ".join(readable(written).strip(" \t\n\"'").split())
    return name[:LONGEST_NAME] if name and _ADDRESS.fullmatch(name) is None else None


def sent_at(mail: Part) -> datetime | None:
    """When the mail was written, in UTC; None for a time without a zone or one that cannot be.

    The time at which our own server took the mail, its topmost Received field, tells what cannot be.
    """
    stated = date(mail.first("date"))
    if stated is None:
        return None
    arrived = date(mail.first("received").rpartition(";")[2])
    if arrived is not None and not arrived - _MAY_BE_EARLY <= stated <= arrived + _MAY_BE_LATE:
        return None
    return stated


def date(written: str) -> datetime | None:
    """A time as RFC 5322, section 3.3, has it, in UTC."""
    written = written[:_LONGEST_DATE]
    if (usual := _USUAL_DATE.fullmatch(written)) is not None and usual[2] in _MONTHS:
        return _usual_date(usual)
    if _ZONE.search(written) is None:
        if _LOCAL_ZONE.search(written) is None:
            return None
        written = _LOCAL_ZONE.sub(lambda match: _LOCAL_ZONES[match[0].upper()], written)
    try:
        time = parsedate_to_datetime(written)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return time if _FIRST_YEAR <= time.year < _LAST_YEAR else None


def _usual_date(found: re.Match[str]) -> datetime | None:
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset >= _DAY:
        return None
    try:
        time = datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return None
    return time - offset if sign == "+" else time + offset


def answered(mail: Part) -> str | None:
    """The reference of the newest answer of ours that this mail replies to."""
    for field in ("in-reply-to", "references"):
        for value in reversed(mail.all(field)):
            if (found := ours(value)) is not None:
                return found
    return None


def ours(value: str) -> str | None:
    """The reference in the last Message-ID of ours in a text; RFC 5322, section 3.6.4: the last is the newest."""
    found = _OURS.findall(value)
    return found[-1].lower() if found else None


def authentication(mail: Part, trusted: str) -> dict[str, str]:
    """What the trusted server found out: RFC 8601. Anybody can write such a field; only the topmost of it counts.

    Args:
        mail: The mail.
        trusted: The server's authserv-id; empty for none.
    """
    if not trusted:
        return {}
    for value in mail.all("authentication-results"):
        server, _, rest = _without_comments(value).partition(";")
        if server.split()[:1] and server.split()[0].lower() == trusted.lower():
            return _results(rest)
    return {}


def _results(text: str) -> dict[str, str]:
    """One result of each method; of several signatures a good one counts."""
    found: dict[str, str] = {}
    for each in text.split(";"):
        match = _RESULT.match(each)
        if match is None:
            continue
        method, result = match[1].lower(), match[2].lower()
        if method in _METHODS and result in _RESULTS and (method not in found or result == "pass"):
            found[method] = result
    return {method: found[method] for method in _METHODS if method in found}


def _without_comments(value: str) -> str:
    """The value without comments and without what stands in quotes: neither says anything that is read here."""
    if "(" not in value and '"' not in value:
        return value
    kept: list[str] = []
    depth, quoted = 0, False
    for piece in _TOKENS.findall(value):
        if piece == '"' and not depth:
            quoted = not quoted
        elif piece == "(" and not quoted:
            depth += 1
        elif piece == ")" and depth and not quoted:
            depth -= 1
        elif not depth and not quoted:
            kept.append(piece)
    return "".join(kept)
