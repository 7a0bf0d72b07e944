"""Reads the bytes of one mail into its tree of parts, by the standard library's parser within bounds of our own.

The parser is ``email.feedparser`` with its older message class. The newer policies parse every header by a parser
that is quadratic in the header's length and raises on some (CPython issues 136063, 87075 and 105285), and cost ten
times as much on a plain mail. What is needed of the headers is decoded in :mod:`parsers.mail_headers`.

The library's parser goes through a mail line by line and tries, at each line, the boundaries of all multiparts around
it. So the bounds are on lines, on depth and on parts; with them the work on 12 MB is bounded whatever they hold.
"""

import binascii
import re
from collections.abc import Collection
from email.feedparser import BytesFeedParser
from email.message import Message
from email.policy import Policy, compat32
from itertools import islice
from typing import Any, Final

from gateway.errors import Quarantine
from parsers import mail_charset

TRUNCATED: Final = b"X-LAPOR-Gateway-Truncated:"
"""The channel's own first line on a mail that it cut: how many bytes there were."""

DEEPEST: Final = 16
"""Parts that are nested deeper are not opened but kept as a file. People's mails have four levels, chains of
forwarded mails up to two for each; every level is tried at every line."""
MOST_PARTS: Final = 1_000
"""More parts than this are not read. A mail of 300 pictures has 302; each costs as much as a small mail."""
MOST_LINES: Final = 250_000
"""Lines behind this one are not read. 12 MB of base64 are 164,000 lines of 76 characters, as every program writes."""
MOST_HEADERS: Final = 1_000
"""Header fields of one part; a mail that went through twenty servers has less than 200."""
LONGEST_HEADER: Final = 65_536
"""Characters of one header field. RFC 5322, section 2.1.1, has 998 in a line; a long list of addresses is 20,000."""
LONGEST_STRUCTURED: Final = 4_096
"""Characters of a Content-* field: its parameters are parsed in quadratic time."""
MOST_PARAMETERS: Final = 64
"""Parameters of a Content-* field; a name continued by RFC 2231, section 3, in pieces of 70 characters needs 10."""

_PIECE: Final = 1 << 16
_LINE_END: Final = re.compile(rb"\r\n?|\n")
_LEADING: Final = b"\xef\xbb\xbf\r\n \t\x00"
_DIGITS: Final = re.compile(rb"\s{0,8}([0-9]{1,15})\s*")
_NO_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")
_UNFOLD: Final = re.compile(r"[\r\n]+[ \t]*")
_OPENED: Final = ("multipart/", "message/")
_NOT_ENCODED: Final = frozenset({"", "7bit", "8bit", "binary"})
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_FIELD: Final = re.compile(r"([!-9;-~]++):[ \t]*+([^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+)(?:\r?\n)?")


class _TooManyParts(Exception):
    """The rest of the mail is not read."""


class Bounds:
    """What of a mail was left out, counted while it is read.

    Attributes:
        cut: Whether lines, parts, or parts of headers were left out.
        truncated: How many bytes there were, where the channel has cut the mail; or None.
    """

    def __init__(self) -> None:
        self.parts = 0
        self.cut = False
        self.truncated: int | None = None


class Part(Message):
    """One part of a mail, or the mail itself."""

    def __init__(self, policy: "Policy[Any]" = compat32, *, bounds: Bounds | None = None) -> None:
        super().__init__(policy)
        self.bounds = bounds or Bounds()
        self.depth = 0
        self._fields: dict[str, list[str]] = {}
        self._count = 0
        self._kind: str | None = None
        self._body: bytes | None = None

    def set_raw(self, name: str, value: str) -> None:
        """Keeps a header field as it was sent, within the bounds; called by the parser."""
        self._count += 1
        lower = name.lower().strip()
        limit = LONGEST_STRUCTURED if lower.startswith("content-") else LONGEST_HEADER
        if self._count > MOST_HEADERS or len(value) > limit:
            self.bounds.cut = True
            if self._count > MOST_HEADERS:
                return
            value = value[:limit]
        if limit is LONGEST_STRUCTURED and value.count(";") > MOST_PARAMETERS:
            value = ";".join(value.split(";")[:MOST_PARAMETERS])
            self.bounds.cut = True
        self._fields.setdefault(lower, []).append(value)
        self._kind = None

    def attach(self, payload: Any) -> None:  # noqa: ANN401 - as the library has it
        """Takes a part in; called by the parser before that part is read."""
        self.bounds.parts += 1
        if self.bounds.parts > MOST_PARTS:
            raise _TooManyParts
        payload.depth = self.depth + 1
        super().attach(payload)

    def get_content_type(self) -> str:
        """The type; for what is nested too deep not one that the parser would open."""
        if self._kind is None:
            written = self.first("content-type").partition(";")[0].strip().lower()
            self._kind = written if written.count("/") == 1 else "text/plain" if written else self.get_default_type()
            if self.depth >= DEEPEST and self._kind.startswith(_OPENED):
                self.bounds.cut = True
                self._kind = "application/octet-stream"
        return self._kind

    def get_content_disposition(self) -> str | None:
        """``attachment``, ``inline``, another word, or None: RFC 2183."""
        return self.first("content-disposition").partition(";")[0].strip().lower() or None

    def get(self, name: str, failobj: Any = None) -> Any:  # noqa: ANN401 - as the library has it
        """The first value of a header field as text; the library asks here for types and their parameters."""
        found = self._fields.get(name.lower())
        if found is None:
            return failobj
        value = found[0]
        return value if value.isascii() else mail_charset.text_of(value.encode("utf-8", "surrogateescape"))

    def all(self, name: str) -> list[str]:
        """All values of a header field in their order, unfolded; raw octets are surrogates."""
        found = self._fields.get(name)
        return [] if found is None else [_unfolded(value) for value in found]

    def first(self, name: str) -> str:
        """The first value of a header field, or an empty text."""
        found = self._fields.get(name)
        return "" if found is None else _unfolded(found[0])

    def has(self, name: str) -> bool:
        """Whether there is such a header field."""
        return name in self._fields

    def has_any(self, names: Collection[str]) -> bool:
        """Whether there is one of these header fields."""
        return not self._fields.keys().isdisjoint(names)

    # The library's parser asks for both; it would look through a list of its own, which is not kept.
    def __len__(self) -> int:
        return self._count

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    @property
    def is_bare(self) -> bool:
        """Whether there is no header field at all."""
        return not self._fields

    @property
    def children(self) -> "list[Part]":
        """The parts inside; none for a part that was not opened."""
        inner: object = self._payload  # type: ignore[attr-defined]
        return [each for each in inner if isinstance(each, Part)] if isinstance(inner, list) else []

    def hold(self, body: bytes) -> None:
        """Takes in what the only part of a mail holds, as it was sent."""
        if str(self.get("content-transfer-encoding", "")).lower() in _NOT_ENCODED:
            self._body = body
        else:
            self.set_payload(body.decode("ascii", "surrogateescape"))

    def octets(self) -> bytes:
        """What the part holds, its transfer encoding undone; what cannot be undone stays as it was sent."""
        if self._body is not None:
            return self._body
        if isinstance(self._payload, list):  # type: ignore[attr-defined]
            return b""
        try:
            if self.first("content-transfer-encoding").lower() == "base64":
                return undone_base64(str(self._payload).encode("ascii", "surrogateescape"))  # type: ignore[attr-defined]
            data = self.get_payload(decode=True)
        except (ValueError, AssertionError, LookupError):
            data = str(self._payload).encode("utf-8", "surrogateescape")  # type: ignore[attr-defined]
        return data if isinstance(data, bytes) else b""


def undone_base64(data: bytes) -> bytes:
    """What was encoded, however it is cut or spoilt: RFC 2045, section 6.8, has other signs ignored."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        digits = _NO_BASE64.sub(b"", data)
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def _unfolded(value: str) -> str:
    return (_UNFOLD.sub(" ", value) if "\n" in value or "\r" in value else value).strip()


def read(raw: bytes) -> Part:
    """The mail in ``raw``.

    Raises:
        Quarantine: There is not one header field, so this is no mail.
    """
    bounds = Bounds()
    if raw.startswith(TRUNCATED):
        first, _, raw = raw.partition(b"\n")
        total = _DIGITS.fullmatch(first[len(TRUNCATED) :])
        bounds.truncated = int(total[1]) if total is not None else len(raw)
    raw = _bounded(raw.lstrip(_LEADING), bounds)
    root = _of_one_part(raw, bounds)
    if root is None:
        root = _parsed(raw, bounds)
    if root is None or root.is_bare:
        raise Quarantine("the bytes are no mail: there is no header field")
    return root


def _bounded(raw: bytes, bounds: Bounds) -> bytes:
    """As many lines as are read."""
    if raw.count(b"\n") + raw.count(b"\r") <= MOST_LINES:
        return raw
    line = next(islice(_LINE_END.finditer(raw), MOST_LINES, None), None)
    if line is None:
        return raw
    bounds.cut = True
    return raw[: line.start()]


def _of_one_part(raw: bytes, bounds: Bounds) -> Part | None:
    """A mail of one part whose header is in order, as nearly all are; None for any other.

    The library's parser comes to the same: it reads such a header line by line, and of the rest it makes lines only
    to put them together again.
    """
    end = _HEAD_END.search(raw)
    if end is None:
        return None
    head = raw[: end.start()].decode("ascii", "surrogateescape")
    part = Part(bounds=Bounds())
    at = 0
    while (found := _FIELD.match(head, at)) is not None:  # a search would try a long word anew from each of its signs
        part.set_raw(found[1], found[2])
        at = found.end()
    if at != len(head) or part.get_content_type().startswith(_OPENED):
        return None
    bounds.cut = bounds.cut or part.bounds.cut
    part.bounds = bounds
    part.hold(raw[end.end() :])
    return part


def _parsed(raw: bytes, bounds: Bounds) -> Part | None:
    made: list[Part] = []

    def make(policy: "Policy[Any]" = compat32) -> Part:
        part = Part(policy, bounds=bounds)
        if len(made) <= 1:
            made.append(part)
        return part

    parser = BytesFeedParser(_factory=make, policy=compat32)  # this makes one to try
    try:
        if len(raw) <= _PIECE:
            parser.feed(raw)
        else:
            for at in range(0, len(raw), _PIECE):
                parser.feed(raw[at : at + _PIECE])
        parser.close()
    except (_TooManyParts, TypeError, AssertionError):
        bounds.cut = True  # the two others: a few contradictions inside of a mail trip the library's parser
    return made[1] if len(made) > 1 else None
