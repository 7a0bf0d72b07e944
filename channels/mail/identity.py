"""Which mail a mail is: its identity without what servers add on its way, and whose it is; pure functions.

The identity is a SHA-256 over the fields Message-ID, From, Date and Subject and the first half megabyte of the body.
Everything else of the header stays out of it, so that no field that a server adds, changes or drops on the way makes
another mail of it: Received, Return-Path, Delivered-To, X-Original-To, Authentication-Results, DKIM-Signature, ARC-*,
X-* and the rest. Message-ID alone would not do: it may be missing, or a stranger may use another mail's (RFC 5322,
3.6.4 only asks that it be unique).
"""

import hashlib
import re
from typing import Final

TRUNCATED: Final = b"X-LAPOR-Gateway-Truncated:"
"""How the first line of a mail begins that was too large to be taken whole; its value is the mail's size in bytes."""

KEPT_OF_LARGE: Final = 1_048_576
"""Bytes of the body, and of the header, that are taken of a mail that is too large."""

_IDENTITY_BODY: Final = 524_288
"""Bytes of the body that make the identity: fewer than are kept of any mail, whatever ``max_size`` is."""

_FIELDS: Final = (b"message-id", b"from", b"date", b"subject")
_FIELD: Final = re.compile(
    rb"^(message-id|from|date|subject)[ \t]*:((?:.*)(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE
)
_ADDRESS: Final = re.compile(rb"[^\s<>,;:\"()@]{1,100}@[^\s<>,;:\"()@]{1,255}")
_IN_BRACKETS: Final = re.compile(rb"<([^\s<>]{1,100}@[^\s<>]{1,255})>")
_LONGEST_SENDER: Final = 2_000


def external_id(raw: bytes) -> str:
    """The identity of a mail as 64 hexadecimal digits."""
    header, body = _split(raw)
    fields: dict[bytes, list[bytes]] = {name: [] for name in _FIELDS}
    for match in _FIELD.finditer(header):
        fields[match[1].lower()].append(b" ".join(match[2].split()))
    digest = hashlib.sha256()
    for name in _FIELDS:
        for value in fields[name]:
            digest.update(name + b":%d:" % len(value) + value)
    digest.update(b"body:" + body)
    return digest.hexdigest()


def order_key(raw: bytes, identity: str) -> str:
    """The address that the mail says it is from, in lower case; the mail's identity where it says none."""
    header, _body = _split(raw)
    for match in _FIELD.finditer(header):
        if match[1].lower() == b"from":
            value = match[2][:_LONGEST_SENDER]
            found = _IN_BRACKETS.search(value)
            address = found[1] if found else next(iter(_ADDRESS.findall(value)), b"")
            if address:
                return address.decode("utf-8", "backslashreplace").lower()
    return identity


def truncated(header: bytes, body: bytes, size: int) -> bytes:
    """What is taken of a mail that is too large, with the line before it that says so."""
    if header and not header.endswith(b"\n"):
        header += b"\r\n\r\n"  # the header alone was too large: what follows is no header any more
    return TRUNCATED + b" %d\r\n" % size + header + body


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """The header without the line that we add, and what of the body makes the identity; every line end a LF."""
    if raw.startswith(TRUNCATED):
        raw = raw.partition(b"\n")[2]
    end = body_start(raw)
    body = raw[end : end + 2 * _IDENTITY_BODY].replace(b"\r\n", b"\n")
    whole = len(raw) - end <= 2 * _IDENTITY_BODY and len(body) <= _IDENTITY_BODY
    return raw[:end].replace(b"\r\n", b"\n"), body.rstrip(b"\n") if whole else body[:_IDENTITY_BODY]


def body_start(raw: bytes) -> int:
    """Where the body begins: after the first empty line, whichever line ends are used (RFC 5322, 2.1)."""
    if raw.startswith((b"\n", b"\r\n")):
        return raw.index(b"\n") + 1
    ends = [found + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (found := raw.find(mark)) >= 0]
    return min(ends, default=len(raw))
