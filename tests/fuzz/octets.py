"""Mutations of octets, and the pieces that break parsers: what the mutations by structure are built on, too."""

from random import Random
from typing import Final

LONGEST_INPUT: Final = 200_000

PIECES: Final = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1a", b" ", b"\t"),
    *(b"=?utf-8?q?", b"=?x?b?", b"?=", b"=C3=A9", b"=\r\n", b"--b1\r\n", b"--b1--\r\n", b"--", b"> ", b"-- \n", b";"),
    *(b'"', b"\\", b"(", b")", b"<", b">", b"@", b",", b":", b"*0*=", b"''", b"%", b"{", b"}", b"[", b"]", b"null"),
    *(b"Content-Type: multipart/mixed; boundary=b1\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"charset=utf-16"),
    *(b"charset=utf-7", b"charset=punycode", b"Content-Transfer-Encoding: base64\r\n", b"format=flowed; delsp=yes"),
    *(b"multipart/report", b"message/delivery-status", b"text/html", b"<blockquote>", b"<table><td>", b"<!--", b"&#x"),
    *(b"\\ud800", b"#LAPOR", b"@LAPOR1708", b"https://t.co/a", b"KIP ", b"(spasi)", b"-1", b"1e999", b"9" * 40),
)


def mutated(raw: bytes, other: bytes, chance: Random) -> bytes:
    """One to six changes: pieces out, in, twice, or from another seed; octets flipped."""
    data = bytearray(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.choice((1, 2, 8, 64, 512)))
        kind = chance.randrange(7)
        if kind == 0:
            del data[at:end]
        elif kind == 1:
            data[at:at] = chance.choice(PIECES)
        elif kind == 2:
            data[at:at] = data[at:end] * chance.choice((1, 2, 10, 100))
        elif kind == 3 and data:
            data[at % len(data)] = chance.randrange(256)
        elif kind == 4 and other:
            start = chance.randrange(len(other))
            data[at:end] = other[start : start + chance.choice((8, 64, 512, 4096))]
        elif kind == 5:
            data[at:end] = chance.choice(PIECES) * chance.choice((1, 1, 2, 50, 500))
        else:
            del data[at:]
            data += other[chance.randint(0, len(other)) :]
    return bytes(data[:LONGEST_INPUT])
