"""Mutations of mails by their structure: fields, encodings, charsets, parts inside of parts, mails inside of mails."""

import base64
import binascii
import re
from collections.abc import Callable
from random import Random
from typing import Final

from tests.fuzz import octets

_FIELD_END: Final = re.compile(rb"\r?\n(?![ \t])")
_BODY: Final = re.compile(rb"(?:\r\n|^)\r\n|(?:\n|^)\n")
_CHARSETS: Final = (
    *(
        "utf-8",
        "us-ascii",
        "iso-8859-1",
        "windows-1252",
        "utf-16",
        "utf-16-le",
        "utf-7",
        "iso-2022-jp",
        "gb18030",
        "hz",
    ),
    *("koi8-r", "shift_jis", "utf-32", "utf-8-sig", "idna", "punycode", "unicode_escape", "base64", "x-unknown", ""),
)
_WORDS: Final = (
    *(
        "Jalan rusak",
        "“kutip” — ü",
        "Re: ",
        "Fwd: Re[2]: ",
        "LAPOR (spasi) BJN ",
        "#1948147",
        "lampu mati 🚧",
        "Ä" * 80,
    ),
    *(
        "On Thu, 13 Nov 2025 Budi <budi@example.org> wrote:\n> a",
        "Pada hari ini a menulis:",
        "-----Original Message-----",
    ),
    *("---------- Forwarded message ---------\nFrom: a\n", "From: a <a@example.org>\nSent: b\nTo: c\n", "-- \nBudi\n"),
    *(
        "Sent from my iPhone",
        "> > kutip\n",
        "________________________________\nFrom: x\n",
        "a \nb \n",
        "\u202e\ufeff\0",
    ),
)
_FIELDS: Final = (
    *(b"From: =?utf-8?q?Budi?= <budi@example.org>", b"From: a@b, c@d", b'From: "a\\" <x@y>" <z@w>', b"Sender: <>"),
    *(b"Date: Thu, 31 Feb 2025 25:61:00 +9999", b"Date: 13 Nov 25 22:49 WIB", b"Date: 1", b"Received: from a; Mon"),
    *(b"In-Reply-To: <lapor-01234567-89ab-7def-8123-456789abcdef@x>", b"References: <a@b> <c@d>", b"Return-Path: <>"),
    *(b"Auto-Submitted: auto-replied (x)", b"Precedence: bulk", b"List-Id: <a.b>", b"X-Loop: lapor@example.go.id"),
    *(
        b"Authentication-Results: mx.example.go.id; spf=pass (a(b)) ; dkim=fail; dmarc=none",
        b"Subject:",
        b"Subject: \t",
    ),
    *(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: x-uuencode", b"Content-Disposition: inline"),
    *(
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Type: text/html; charset=utf-16",
        b"Content-Type: a/b/c",
    ),
    *(b"Content-Type: text/plain; format=flowed; delsp=yes", b"Content-Type: multipart/alternative; boundary=", b": x"),
    *(b"Content-Disposition: attachment; filename*0*=utf-8'id'%C3; filename*1=b.jpg", b"Content-Type: message/rfc822"),
    *(
        b'Content-Type: image/jpeg; name="=?utf-8?b?w6k=?="',
        b"Content-Type: message/delivery-status",
        b"X" * 1000 + b":",
    ),
    *(b"Content-Disposition: attachment; filename*=x''%ff%", b"Content-Type: text/plain; charset*=a'b'c", b"no field"),
)
_KINDS: Final = ("mixed", "alternative", "related", "report", "digest", "signed", "form-data", "x-other", "mixed")
_TAGS: Final = (
    *(
        "<p>",
        "<table><tr><td>",
        "<blockquote>",
        "<div>",
        "<br>",
        '<a href="https://example.org/a">',
        "<style>a{}</style>",
    ),
    *(
        '<img src="data:image/png;base64,iVBORw0KGgo=">',
        "<!--",
        "<script>",
        "</",
        "<pre>",
        "<title>",
        "&nbsp;",
        "<![CDATA[",
    ),
)
_TRUNCATED: Final = b"X-LAPOR-Gateway-Truncated: 13000000\r\n"

_Change = Callable[[list[bytes], bytes, bytes, Random], tuple[list[bytes], bytes]]


def mutated(raw: bytes, other: bytes, chance: Random) -> bytes:
    """One to four changes."""
    fields, body = _divided(raw)
    for _ in range(chance.choice((1, 1, 2, 4))):
        fields, body = chance.choice(_CHANGES)(fields or [b""], body, other, chance)
    mail = _joined(fields, body)
    if chance.random() < 0.03:
        mail = _TRUNCATED + mail[: chance.randint(0, len(mail))]
    return mail[: octets.LONGEST_INPUT]


def _divided(raw: bytes) -> tuple[list[bytes], bytes]:
    end = _BODY.search(raw)
    head, body = (raw, b"") if end is None else (raw[: end.start()], raw[end.end() :])
    return _FIELD_END.split(head), body


def _joined(fields: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join(fields) + b"\r\n\r\n" + body


def _change_field(fields: list[bytes], body: bytes, other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    at = chance.randrange(len(fields))
    name, colon, value = fields[at].partition(b":")
    changed = octets.mutated(value, chance.choice(_divided(other)[0]).partition(b":")[2], chance)
    return [*fields[:at], name + colon + changed, *fields[at + 1 :]], body


def _move_field(fields: list[bytes], body: bytes, _other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    at, to = chance.randrange(len(fields)), chance.randrange(len(fields))
    moved = [each for index, each in enumerate(fields) if index != at]
    return moved[:to] + fields[at : at + 1] * chance.choice((0, 1, 2, 60)) + moved[to:], body


def _add_field(fields: list[bytes], body: bytes, other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    field = chance.choice(_FIELDS) if chance.random() < 0.7 else chance.choice(_divided(other)[0])
    at = chance.randint(0, len(fields))
    same = field.partition(b":")[0].lower()
    kept = fields if chance.random() < 0.3 else [each for each in fields if each.partition(b":")[0].lower() != same]
    return [*kept[:at], field, *kept[at:]], body


def _encode_word(fields: list[bytes], body: bytes, _other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    charset, data = _written(chance)
    coded = base64.b64encode(data) if chance.random() < 0.5 else binascii.b2a_qp(data, header=True)
    kind = chance.choice((b"q", b"b", b"Q", b"B", b"x"))
    word = b"=?%b?%b?%b?=" % (charset.encode(), kind, coded[: chance.choice((60, 4, 4000))])
    name = chance.choice((b"Subject: ", b"From: ", b"Content-Type: text/plain; name=", b"Reply-To: "))
    return [*fields, name + b" ".join([word] * chance.choice((1, 2, 50))) + b" <budi@example.org>"], body


def _written(chance: Random) -> tuple[str, bytes]:
    """A text in some charset, and the charset that is declared: now and then another."""
    text = "".join(chance.choice(_WORDS) for _ in range(chance.choice((1, 2, 8))))
    charset = chance.choice(_CHARSETS)
    try:
        data = text.encode(charset, "replace")
    except (LookupError, UnicodeError):
        data = text.encode()
    return (chance.choice(_CHARSETS) if chance.random() < 0.3 else charset), data


def _write_body(fields: list[bytes], _body: bytes, _other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    """Another text, in some charset and some encoding."""
    charset, data = _written(chance)
    kind = chance.choice((b"plain", b"html", b"plain; format=flowed", b"enriched"))
    head = [b"Content-Type: text/" + kind + b"; charset=" + charset.encode()]
    return [*_without_content(fields), *head], data


def _encode_body(fields: list[bytes], body: bytes, _other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    kind = chance.choice((b"base64", b"quoted-printable", b"7bit", b"x-uue"))
    coded = base64.encodebytes(body) if kind == b"base64" else binascii.b2a_qp(body)
    if chance.random() < 0.3:
        coded = octets.mutated(coded, body, chance)
    return [*fields, b"Content-Transfer-Encoding: " + kind], coded


def _change_body(fields: list[bytes], body: bytes, other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    return fields, octets.mutated(body, _divided(other)[1], chance)


def _write_html(fields: list[bytes], body: bytes, _other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    pieces = [chance.choice(_TAGS) * chance.choice((1, 1, 2, 200)) + chance.choice(_WORDS) for _ in range(8)]
    html = "".join(chance.sample(pieces, chance.randint(1, 8))).encode()
    return [*_without_content(fields), b"Content-Type: text/html; charset=utf-8"], html + body


def _wrap(fields: list[bytes], body: bytes, other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    """The whole becomes a part, beside another mail or a part of one."""
    inner = _joined([each for each in fields if each.lower().startswith(b"content-")] or [b"X: y"], body)
    beside = other if chance.random() < 0.5 else b"Content-Type: message/rfc822\r\n\r\n" + other
    border = b"b%d" % chance.randrange(3)
    parts = chance.sample([inner, beside, inner], chance.randint(1, 3))
    packed = b"".join(b"--%b\r\n%b\r\n" % (border, part) for part in parts)
    kind = chance.choice(_KINDS).encode()
    end = b"--%b--\r\n" % border if chance.random() < 0.8 else b""
    return [*_without_content(fields), b'Content-Type: multipart/%b; boundary="%b"' % (kind, border)], packed + end


def _forward(fields: list[bytes], body: bytes, other: bytes, chance: Random) -> tuple[list[bytes], bytes]:
    inner = chance.choice((other, _joined(fields, body)))
    for _ in range(chance.choice((0, 0, 1, 20))):
        inner = b"Subject: x\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    return [*_without_content(fields), b"Content-Type: message/rfc822"], inner


def _without_content(fields: list[bytes]) -> list[bytes]:
    return [each for each in fields if not each.lower().startswith(b"content-")]


_CHANGES: Final[tuple[_Change, ...]] = (
    *(_change_field, _move_field, _add_field, _encode_word, _write_body, _encode_body, _change_body, _write_html),
    *(_wrap, _forward, _change_body, _change_field),
)
