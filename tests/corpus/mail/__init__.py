"""Invented mails, ``*.eml``, and what is expected of each, ``expected.json``; the large ones are made here."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent
MEGABYTE: Final = 1 << 20
SIZE: Final = 12 * MEGABYTE

_HEAD: Final = (
    b"From: Budi Contoh <budi@example.org>\r\nTo: lapor@example.go.id\r\nSubject: Jalan rusak\r\n"
    b"Date: Thu, 13 Nov 2025 22:49:04 +0700\r\nMessage-ID: <besar@example.org>\r\nMIME-Version: 1.0\r\n"
)
_TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\n\r\nJalan di desa rusak.\r\n"


def stored() -> dict[str, bytes]:
    """The stored mails by name."""
    return {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.eml"))}


def expected() -> dict[str, dict[str, Any]]:
    """What is expected of each stored mail; only what is named is compared."""
    found: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_bytes())
    return found


def _multipart(parts: list[bytes]) -> bytes:
    body = b"".join(b"--b1\r\n" + part + b"\r\n" for part in parts)
    return _HEAD + b'Content-Type: multipart/mixed; boundary="b1"\r\n\r\n' + body + b"--b1--\r\n"


def _file(number: int, size: int) -> bytes:
    line = b"/9j/" + b"A" * 72 + b"\r\n"
    digits = line * max(1, size // len(line)) + b"%04d" % number
    return (
        b'Content-Type: image/jpeg; name="foto-%d.jpg"\r\nContent-Transfer-Encoding: base64\r\n' % number
        + b'Content-Disposition: attachment; filename="foto-%d.jpg"\r\n\r\n' % number
        + digits
    )


def _nested(levels: int) -> bytes:
    """Multiparts inside of each other, the text innermost."""
    head = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(levels)
    )
    tail = b"".join(b"--b%d--\r\n" % level for level in reversed(range(levels)))
    return _HEAD + head + _TEXT + tail


def _forwarded(levels: int) -> bytes:
    """Mails inside of each other."""
    return (_HEAD + b"Content-Type: message/rfc822\r\n\r\n") * levels + _HEAD + _TEXT


def _html(inner: bytes) -> bytes:
    return _HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>" + inner + b"</body></html>"


LARGE: Final[Mapping[str, Callable[[], bytes]]] = {
    "12 MB in one file": lambda: _multipart([_TEXT, _file(1, SIZE)]),
    "12 MB in short lines of base64": lambda: _multipart(
        [_TEXT, _file(1, 10).replace(b"A" * 72, b"AAAA\r\n" * 2_000_000)]
    ),
    "12 MB of text": lambda: (
        _HEAD + b"\r\n" + b"Jalan di desa kami rusak sejak bulan lalu, mohon diperbaiki.\r\n" * (SIZE // 62)
    ),
    "12 MB of one line": lambda: _HEAD + b"\r\n" + b"rusak " * (SIZE // 6),
    "12 MB of empty lines": lambda: _HEAD + b"\r\n" + b"\n" * SIZE,
    "12 MB of carriage returns": lambda: _HEAD + b"\r\n" + b"\r" * SIZE,
    "12 MB beyond ASCII": lambda: _HEAD + b"\r\n" + "Jalan “rusak” — ü\r\n".encode() * (SIZE // 28),
    "12 MB of octets in no charset": lambda: _HEAD + b"\r\n" + b"\x81\x8d\xff\xfe" * (SIZE // 4),
    "12 MB of quotes": lambda: _HEAD + b"In-Reply-To: <x@example.org>\r\n\r\n" + b"> " * (SIZE // 2),
    "12 MB of heads of quotes": lambda: (
        _HEAD + b"In-Reply-To: <x@example.org>\r\n\r\n" + b"Pada a <a@b>\r\n" * (SIZE // 14)
    ),
    "12 MB of HTML": lambda: _html(b"<p>Jalan <b>rusak</b></p>" * (SIZE // 25)),
    "12 MB of nested HTML": lambda: _html(b"<div><blockquote><table><td><b>x" * (SIZE // 32)),
    "12 MB of a picture in HTML": lambda: _html(b'<img src="data:image/png;base64,' + b"A" * SIZE + b'">'),
    "12 MB of quoted-printable": lambda: (
        _HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=C3=A9=20=\r\n" * (SIZE // 13)
    ),
    "12 MB of header fields": lambda: _HEAD + b"X-A: b\r\n" * (SIZE // 8) + b"\r\nJalan rusak.",
    "12 MB of boundaries": lambda: _multipart([b"\r\n"] * (SIZE // 10)),
    "12 MB in sixteen levels": lambda: _nested(16).replace(
        b"Jalan di desa rusak.", b"Jalan di desa rusak.\r\n" * (SIZE // 22)
    ),
    "60 levels": lambda: _nested(60),
    "60 forwarded mails": lambda: _forwarded(60),
    "2,000 levels": lambda: _nested(2000),
    "300 attachments": lambda: _multipart([_TEXT, *(_file(number, 500) for number in range(300))]),
    "5,000 attachments": lambda: _multipart([_TEXT, *(_file(number, 100) for number in range(5000))]),
    "12 MB of a header line without a colon": lambda: _HEAD + b"9" * SIZE + b"\r\n\r\nJalan rusak.",
    "a header line of 1 MB": lambda: _HEAD.replace(b"Jalan rusak", b"Jalan rusak " * (MEGABYTE // 12)) + b"\r\nIsi.",
    "a header of 1 MB in lines": lambda: (
        _HEAD.replace(b"Jalan rusak", b"Jalan\r\n rusak" * (MEGABYTE // 13)) + b"\r\nIsi."
    ),
    "a type of 1 MB": lambda: _HEAD + b"Content-Type: text/plain" + b';a="' * (MEGABYTE // 4) + b"\r\n\r\nIsi.",
    "an author of 1 MB": lambda: _HEAD.replace(b"Budi", b"(" * MEGABYTE) + b"\r\nIsi.",
    "encoded words of 1 MB": lambda: _HEAD.replace(b"Jalan", b"=?utf-8?q?a?= =?x?b?" * (MEGABYTE // 20)) + b"\r\nIsi.",
    "references of 1 MB": lambda: (
        _HEAD + b"References:" + b" <lapor-1@example.org>" * (MEGABYTE // 22) + b"\r\n\r\nIsi."
    ),
    "100,000 recipients": lambda: _HEAD.replace(b"To: ", b"To: " + b"a@example.org, " * 100_000) + b"\r\nIsi.",
}
"""Mails at which a careless parser takes minutes or gigabytes, by what they are made of."""
