"""Composes the mail that answers a mail: pure, and safe whatever stands in the citizen's headers.

Nothing of the citizen's mail is copied as it is. The subject is decoded, cleaned and encoded anew; of Message-ID and
References only what has the form of an identifier is taken, and only so much of it.
"""

import binascii
import quopri
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import Header, decode_header
from email.utils import format_datetime, formataddr, parsedate_to_datetime
from typing import Final

LONGEST_SUBJECT: Final = 200
LONGEST_ID: Final = 500
"""Longer than any that mail programs make; it fits on a line of 998 letters, RFC 5322, 2.1.1."""

MOST_REFERENCES: Final = 20
LONGEST_REFERENCES: Final = 4000
_LONGEST_RAW_SUBJECT: Final = 4000
_LONGEST_HEADER: Final = 2_000_000
_LONGEST_DATE: Final = 100

_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(
    rb"^(Subject|Message-ID|References|In-Reply-To|Date|Received)[ \t]*:"
    rb"((?:[^\r\n]*+(?:\r?\n|\r)(?=[ \t]))*+[^\r\n]*+)",
    re.IGNORECASE | re.MULTILINE,
)
_ID = re.compile(rf"<[!-;=?-~]{{1,{LONGEST_ID - 2}}}>")
_REPLY_MARK = re.compile(r"^(?:(?:re|balas|bls)\s?(?:\[\d+\])?\s?[:：]\s*)+", re.IGNORECASE)
_REPLIES = re.compile(
    r"(?:^|[^\w])(?:re|bls|balas|balasan|aw|sv|antw|auto|autoreply)\s?(?:\[\d+\])?\s?[:：]", re.IGNORECASE
)
"""A reply's mark anywhere: ticket systems put theirs before it. *Auto:* is RFC 3834's, 3.1.5."""

_INVISIBLE: Final = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Marks that turn the direction of what follows, or that nobody sees."""

_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]{1,64}")
_LABEL: Final = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_ADDRESS: Final = 254  # RFC 5321, 4.5.3.1.3: a path of 256, its brackets included


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer takes from the mail that it answers.

    Attributes:
        subject: Decoded and cleaned, without its *Re:*.
        message_id: With its brackets; empty where there is none that can be used.
        references: The identifiers of the conversation before it, the oldest first.
        is_reply: Whether its subject says that it is a reply.
        dated: When its author's clock says that it was written.
        arrived: When the last server on its way took it.
    """

    subject: str = ""
    message_id: str = ""
    references: tuple[str, ...] = ()
    is_reply: bool = False
    dated: datetime | None = None
    arrived: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """What is answered: the text, to whom, and under which name.

    Attributes:
        id: The answer's own id; the mail's Message-ID is made of it.
        address: Our address.
        name: Our name beside it; may be empty.
        to: The citizen's address, as :func:`mailable` has returned it.
    """

    id: str
    address: str
    name: str
    to: str
    text: str


def mailable(address: str) -> str | None:
    """The address as SMTP takes it, its domain in ASCII; None for what mail cannot or should not be sent to.

    Quoted local parts and numbers for domains are left out: nobody has such a mailbox, and they are good for tricks.
    """
    local, _, domain = address.strip().rpartition("@")
    if not _LOCAL_PART.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        return None
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    whole = f"{local}@{domain}"
    return whole if len(whole.encode()) <= _LONGEST_ADDRESS else None


def reference(answer_id: str) -> str:
    """What a report on the delivery names an answer by: its envelope id (RFC 3461, 4.4), and its Message-ID's left."""
    return f"lapor-{answer_id}"


def message_id(answer_id: str, address: str) -> str:
    """The Message-ID of an answer: the same at every attempt, so that a mail sent twice shows once."""
    return f"<{reference(answer_id)}@{address.rpartition('@')[2]}>"


def read_asked(raw: bytes) -> Asked:
    """Reads what an answer needs from a mail of any kind."""
    end = _END_OF_HEADER.search(raw, 0, _LONGEST_HEADER)
    found: dict[str, str] = {}
    for field in _FIELD.finditer(raw, 0, end.start() if end else _LONGEST_HEADER):  # the first of several counts
        found.setdefault(field[1].decode().lower(), field[2].decode("ascii", "surrogateescape"))
    ids = _ID.findall(found.get("message-id", ""))
    references = _ID.findall(found.get("references", ""))
    if not references:  # RFC 5322, 3.6.4: In-Reply-To takes their place if it names one mail
        parents = _ID.findall(found.get("in-reply-to", ""))
        references = parents if len(parents) == 1 else []
    subject = _subject(found.get("subject", ""))
    return Asked(
        subject=_shortened(_REPLY_MARK.sub("", subject)),
        message_id=ids[0] if ids else "",
        references=_bounded(references),
        is_reply=_REPLIES.search(subject) is not None,
        dated=_moment(found.get("date", "")),
        arrived=_moment(found.get("received", "").rpartition(";")[2]),
    )


def compose(letter: Letter, asked: Asked, at: datetime) -> bytes:
    """The whole mail, lines ended by CRLF, in ASCII unless the citizen's address is not.

    Its marks of an automatic answer: *Auto-Submitted* (RFC 3834, 3.1.7); *X-Auto-Response-Suppress* for Exchange
    ([MS-OXCMAIL] 2.1.3.2.20); *Precedence: bulk*, which RFC 3834, 3.1.8 allows for responders older than itself, and
    which Pigeonhole and Zammad write too; *X-Loop*, by which we know our own mail again. In-Reply-To and References are
    those of any reply (RFC 3834, 3.1.6; RFC 5322, 3.6.4).
    """
    lines = [
        f"Date: {format_datetime(at)}",
        f"From: {_sender(letter)}",
        f"To: {letter.to}",
        f"Subject: {_encoded(f'Re: {asked.subject or _clean(letter.name) or letter.address}', 'Subject')}",
        f"Message-ID: {message_id(letter.id, letter.address)}",
    ]
    if asked.message_id:
        lines.append(f"In-Reply-To: {asked.message_id}")
        lines.append("References: " + "\r\n ".join(_bounded((*asked.references, asked.message_id))))
    lines += [
        "Auto-Submitted: auto-replied",
        "X-Auto-Response-Suppress: All",
        "Precedence: bulk",
        f"X-Loop: {letter.address}",
        "MIME-Version: 1.0",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: quoted-printable",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + _body(letter.text)


def _sender(letter: Letter) -> str:
    name = _clean(letter.name)
    if name.isascii() and "=?" not in name:
        return formataddr((name, letter.address))
    return f"{_encoded(name, 'From')}\r\n <{letter.address}>"


def _encoded(text: str, name: str) -> str:
    """A header's text, folded and encoded (RFC 2047); ASCII stays as it is, unless it looks encoded itself."""
    charset = "us-ascii" if text.isascii() and "=?" not in text else "utf-8"
    return Header(text, charset, maxlinelen=76, header_name=name).encode(linesep="\r\n")


def _body(text: str) -> bytes:
    plain = "".join(letter for letter in "\n".join(text.splitlines()) if letter in "\n\t" or _is_plain(letter))
    return quopri.encodestring((plain + "\n").encode()).replace(b"\n", b"\r\n")


def _subject(raw: str) -> str:
    text = raw[:_LONGEST_RAW_SUBJECT]
    try:
        parts = decode_header(text)
    except (HeaderParseError, binascii.Error, ValueError):
        parts = [(text, None)]
    decoded = "".join(
        part if isinstance(part, str) else _decoded(part, charset) for part, charset in parts
    )  # a part that is a string still holds the bytes of the mail as surrogates
    if any("\udc80" <= letter <= "\udcff" for letter in decoded):
        decoded = _decoded(decoded.encode("utf-8", "surrogateescape"), None)
    return _clean(decoded)


def _shortened(subject: str) -> str:
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1].rstrip() + "…"


def _moment(written: str) -> datetime | None:
    """A moment as mails name them (RFC 5322, 3.3); None for anything else."""
    try:
        moment = parsedate_to_datetime(written.strip()[:_LONGEST_DATE])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _decoded(part: bytes, charset: str | None) -> str:
    for name in (charset, "utf-8", "cp1252"):
        try:
            return part.decode(name) if name else part.decode("utf-8")
        except (LookupError, ValueError):
            continue
    return part.decode("latin-1")


def _clean(text: str) -> str:
    """One line without anything that has no shape, composed (NFC), single spaces between its words."""
    spaced = "".join(" " if letter.isspace() or unicodedata.category(letter) == "Cc" else letter for letter in text)
    return unicodedata.normalize("NFC", " ".join("".join(filter(_is_plain, spaced)).split()))


def _is_plain(letter: str) -> bool:
    return unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") and letter not in _INVISIBLE


def _bounded(ids: Sequence[str]) -> tuple[str, ...]:
    """The first, which names the conversation, and the newest: so many as fit."""
    once = list(dict.fromkeys(ids))
    if not once:
        return ()
    first, rest = once[0], once[1:]
    kept: list[str] = []
    room = LONGEST_REFERENCES - len(first)
    for one in reversed(rest[-(MOST_REFERENCES - 1) :]):
        room -= len(one) + 1
        if room < 0:
            break
        kept.append(one)
    return (first, *reversed(kept))
