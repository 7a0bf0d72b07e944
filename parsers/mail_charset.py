"""Octets as text, whatever their charset is declared to be: what is declared is often wrong, and sometimes nothing.

UTF-8 is tried before every single-byte charset, declared or not: a text that is no UTF-8 hardly ever reads as such
by chance, while every octet is some Latin-1 character. What is neither is guessed by charset-normalizer.
"""

import codecs
import re
from functools import lru_cache
from typing import Final

import charset_normalizer

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Codecs of Python that are no charset of mails; some take quadratic time, some warn or always raise.
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-8-sig"})
# The WHATWG's Encoding standard reads these as windows-1252 (section 4.2), as everybody means them.
_WESTERN: Final = frozenset({"ascii", "iso8859-1", "cp1252"})
_SEVEN_BIT: Final = ("iso2022", "utf-7", "hz")
_GUESSED: Final = (
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1256", "cp1255", "cp1253", "cp1254"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
)
_SAMPLE: Final = 2_048
_BEFORE: Final = 64
_HIGH: Final = bytes(range(0x80, 0x100))
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")
_FEW: Final = 0.1
_MOSTLY: Final = 0.25
_WIDE_SAMPLE: Final = 512
_MANY_NULS: Final = 0.35

# As the WHATWG has it, the five octets that windows-1252 leaves free are control characters.
_WESTERN_SIGNS: Final = "".join(bytes([octet]).decode("cp1252", "ignore") or chr(octet) for octet in range(256))

# Mojibake: UTF-8 that somebody took for windows-1252 and encoded once more.
_OCTET_OF: Final = {sign: octet for octet, sign in enumerate(_WESTERN_SIGNS) if octet >= 0x80}  # noqa: PLR2004
_LEADS_MANGLED: Final = b"\xc3"  # the first octet in UTF-8 of each sign that mojibake begins with
_MANGLED: Final = re.compile(f"[\u00c2-\u00f4][{re.escape(''.join(_OCTET_OF))}]++")


def text_of(data: bytes, declared: str | None = None, *, guess: bool = False) -> str:
    """The text; never raises, and loses nothing but octets that are no character in any guess.

    Args:
        data: The octets.
        declared: Their charset as declared, if it is.
        guess: Whether to guess at length where nothing fits: for the text of a mail, not for each word of a header.
    """
    codec = _codec(declared.lower()) if declared else None
    if data.isascii() and b"\0" not in data and (codec is None or not codec.startswith(_SEVEN_BIT)):
        return data.decode("ascii")
    if (unicode := _unicode(data)) is not None:
        return data.decode(unicode, "replace").removeprefix("\ufeff")
    if codec is None or codec == "utf-8" or codec in _WESTERN:
        try:
            text = data.decode()
            return _unmangled(text) if _LEADS_MANGLED in data else text
        except UnicodeDecodeError:
            return _broken(data, None if codec == "utf-8" else codec, guess=guess)
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError):
        return _broken(data, codec, guess=guess)


@lru_cache(maxsize=256)
def _codec(declared: str) -> str | None:
    """Python's name for a charset, or None for one that it does not know."""
    name = declared.strip(" \t\"'<>;.").removeprefix("cs")[:40]
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    if found in _NO_CHARSETS:
        return None
    try:
        b"a".decode(found)  # "base64" and the like turn octets into octets
    except (LookupError, UnicodeError):
        return found if found.startswith("utf-") else None
    return found


def _unicode(data: bytes) -> str | None:
    """What a byte order mark says; or UTF-16 without one: every other octet of a text in Latin letters is NUL."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return name
    sample = data[:_WIDE_SAMPLE]
    if sample.count(0) < _MANY_NULS * len(sample):
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < 4 * min(even, odd) + 1:
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _broken(data: bytes, codec: str | None, *, guess: bool) -> str:
    """What is neither UTF-8 nor what was declared."""
    sample = _around(data)
    high = len(sample) - len(sample.translate(None, _HIGH))
    if sample.decode("utf-8", "replace").count("\ufffd") < _MOSTLY * (high / 2):
        return data.decode("utf-8", "replace")  # UTF-8, but for a few octets
    if codec is not None and codec not in _WESTERN:
        return data.decode(codec, "replace")
    if guess and codec is None and high > _FEW * len(sample):
        best = charset_normalizer.from_bytes(sample, cp_isolation=list(_GUESSED)).best()
        if best is not None:
            return data.decode(best.encoding, "replace")
    return codecs.charmap_decode(data, "strict", _WESTERN_SIGNS)[0]


def _around(data: bytes) -> bytes:
    """A piece of the data that begins before its first octet beyond ASCII."""
    first = _BEYOND_ASCII.search(data)
    return data[max(0, first.start() - _BEFORE if first is not None else 0) :][:_SAMPLE]


def _unmangled(text: str) -> str:
    """The text with mojibake undone where it is certain: where what was mangled is UTF-8 again."""
    return _MANGLED.sub(_undone, text)


def _undone(match: re.Match[str]) -> str:
    octets = bytes(_OCTET_OF[sign] for sign in match[0])
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return match[0]
