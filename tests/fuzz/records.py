"""Mutations of records by their structure: decoded, changed in values, types, fields and nesting, and encoded again.

So the parser's outer decoding is passed nearly always, and what lies behind it is reached. A message of several parts
is a line for each; an empty line is a part that is missing.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any, Final, NamedTuple

from tests.fuzz import octets

_LONGEST_TEXT: Final = 60_000
_MOST_PLACES: Final = 2_000
_DEEPEST: Final = 40

_PHRASES: Final = (
    *(
        "#LAPOR ",
        "@LAPOR1708 ",
        "＃ＬＡＰＯＲ",
        "@ＬＡＰＯＲ1708",
        "#lapor1708",
        "lapor pak ",
        "LAPOR HENDI ",
        "LAPOR ",
    ),
    *("(spasi)", " spasi ", "[ spasi ]", "BJN ", "kab. nganjuk ", "KIP Q7mij2", "KIP1A 2B3", "qKIP 1A2B3C", "sl "),
    *(
        "KKS 1234-5678-9012-34",
        "KKS ABCDEFGHIJ1234",
        "SL 3500000000000001 123456",
        "#1234567",
        "Tracking ID : #1948147",
    ),
    *("https://lapor.go.id/id/1234567", "nomor aduan saya 12345678", "1234567890", "0123456789", "Rp. 100000000"),
    *("https://t.co/a", "https://x.com/warga/status/1989000000000000001", "https://x.com/intent/tweet?text=a"),
    *("http://www.lapor.go.id/?utm_source=x&fbclid=1#a?b", "via @LAPOR1708", "cc: ", "dan ", "RT @warga: ", "://"),
    *("Silakan dukung @LAPOR1708 #216750 ", "#AyoLapor ", "ayo ", "kode OTP 123456 ", "jangan berikan kode ", "?"),
    *("&amp;", "&lt;", "&amp;amp;", "&", "&#38;", "<b>", "1-2-3", "orang2", "-1", "1e999", "0" * 20, "9" * 40, "%s{}"),
    *("123-456 adalah kode verifikasi", "rahasiakan", "Delivered", "Failed", "\r\n", "\n", "\r", "\t", " ", "  ", ""),
)
_SIGNS: Final = (
    *("\0", "\x1a", "\x7f", "\x85", "\u00a0", "\u00ad", "\u200b", "\u200d", "\u200e", "\u202e", "\u2028", "\u2060"),
    *("\ufeff", "\ufffd", "\ud800", "\udc00", "\ud83d\ude00", "\U0001f6a7", "\U0010ffff", "\u0301", "\u20e3", "\ufe0f"),
    *("İ", "ß", "ŉ", "ﷺ", "Ａ", "１", "\U0001d400", "\U0001d7d8", "٣", "²", "ｱ", "ऩ", "\u1e9e", "\u0345", "ǰ"),
)
_MOMENTS: Final = (
    *("2025-11-13T15:49:04.000Z", "2025-11-13T22:49:04+07:00", "2025-11-13T22:49:04", "2025-11-13", "20251113T154904Z"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2025-02-30T00:00:00Z", "2025-11-13T24:00:00Z"),
    *("2025-W46-4T00:00Z", "1970-01-01T00:00:00+23:59:59.999999", "2025-11-13T15:49:60Z", "2025-11-13 15:49:04,5Z"),
)
_NUMBERS: Final = (
    *(-1, 0, 1, 2, 3, 0x1F, 0x20, 0x3F, 0x40, 127, 128, 255, 256, 65_535, 65_536, -(1 << 31), 1 << 31, 1 << 53),
    *((1 << 63) - 1, -(1 << 63)),
)
_STRANGE: Final = (1 << 63, 1 << 64, -(1 << 63) - 1, 10**19, 10**40, 0.5, -0.0, 1e300, 180.0, 90.0, -180.1, 5e-324)
_FEW_WORDS: Final = (
    ("Deliver", "Submit", "Status_Report"),
    ("NoUDH", "UserUDH", "ConcatenatedMessages", "ConcatenatedMessages16bit"),
    ("Default_No_Compression", "Unicode_No_Compression", "8bit", "Default_Compression"),
    ("quoted", "replied_to", "retweeted"),
    ("photo", "video", "animated_gif"),
    ("withdrawal", "media"),
    ("deleted", "withheld", "protected", "suspended", "unavailable"),
)
"""What fields of few words hold: any other word is quarantined, or as if it were not there."""
_OTHER_TYPES: Final = (
    *("null", "true", "0", "-1.5", '""', '"a"', "[]", "[null]", "{}", '{"a": []}', "[[]]", '{"hex": "00"}', "[{}]"),
)
_DIGITS: Final = re.compile(r"[0-9]+")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class _Place(NamedTuple):
    """A value inside of a record: what holds it, under which key, and the name of the field that it belongs to."""

    holder: Any
    key: Any
    name: str


def mutated(raw: bytes, other: bytes, chance: Random) -> bytes | None:
    """One to six changes of a message's records, or None where one of them cannot be decoded."""
    try:
        parts = [json.loads(line) if line else None for line in raw.split(b"\n")]
        others = [json.loads(line) for line in other.split(b"\n") if line]
    except (ValueError, RecursionError):
        return None
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        if len(parts) > 1 and chance.random() < 0.15:
            _change_parts(parts, others, chance)
            continue
        _change(parts, others, chance)
    lines = (b"" if part is None else _encoded(part, chance) for part in parts)
    return b"\n".join(lines)[: octets.LONGEST_INPUT]


def _change_parts(parts: list[Any], others: list[Any], chance: Random) -> None:
    """A part is lost, comes twice, comes later, or is another message's."""
    at = chance.randrange(len(parts))
    kind = chance.randrange(4)
    if kind == 0:
        parts[at] = None
    elif kind == 1:
        parts.insert(at, json.loads(json.dumps(parts[at])))
    elif kind == 2:
        parts.append(parts.pop(at))
    elif others:
        parts[at] = chance.choice(others)


def _change(parts: list[Any], others: list[Any], chance: Random) -> None:
    places = list(islice(_places(parts, ""), _MOST_PLACES))
    if not places:
        return
    leaves = [place for place in places if not isinstance(place.holder[place.key], list | dict)]
    kind = chance.random()
    if kind < 0.82 and leaves:
        place = chance.choice(leaves)
        place.holder[place.key] = _changed(place.holder[place.key], place.name, leaves, chance)
    elif kind < 0.92:
        _graft(places, others, chance)
    elif kind < 0.98:
        _rearrange(chance.choice(places), chance)
    else:
        place = chance.choice(places)
        place.holder[place.key] = json.loads(chance.choice(_OTHER_TYPES))


def _places(value: Any, name: str, depth: int = 0) -> Iterator[_Place]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for key in value:
            yield _Place(value, key, key)
            yield from _places(value[key], key, depth + 1)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            if each is not None:
                yield _Place(value, index, name)
            yield from _places(each, name, depth + 1)


def _changed(value: Any, name: str, leaves: list[_Place], chance: Random) -> Any:
    """Another value of the same type, nearly always."""
    if isinstance(value, bool) or value is None:
        return chance.choice((True, False, None))
    if isinstance(value, int | float):
        return chance.choice(_STRANGE if chance.random() < 0.1 else (*_NUMBERS, value + 1, value - 1, -value))
    words = next((each for each in _FEW_WORDS if value in each), ())
    if words and chance.random() < 0.95:
        return chance.choice(words)
    if chance.random() < 0.1:
        texts = [place.holder[place.key] for place in leaves if isinstance(place.holder[place.key], str)]
        return chance.choice(texts)
    return _changed_word(value, name, chance)


def _changed_word(value: str, name: str, chance: Random) -> str:
    """A text by what it is: octets, a time, a number, or words."""
    if name == "hex" and chance.random() < 0.9:
        return octets.mutated(bytes.fromhex(value) if _is_hex(value) else b"a", b"\x05\0\x03\xa7\2\1", chance).hex()
    if _MOMENT.match(value) and chance.random() < 0.8:
        return chance.choice(_MOMENTS)
    if value.isdecimal() and chance.random() < 0.5:
        return "".join(chance.choice("0123456789") for _ in range(chance.choice((len(value), 1, 18, 19, 20))))
    return _changed_text(value, chance)


def _is_hex(value: str) -> bool:
    return len(value) % 2 == 0 and re.fullmatch(r"[0-9a-f]*", value) is not None


def _changed_text(text: str, chance: Random) -> str:
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randint(0, len(text))
        end = min(len(text), at + chance.choice((1, 2, 8, 64)))
        kind = chance.randrange(7)
        if kind == 0:
            text = text[:at] + text[end:]
        elif kind == 1:
            text = text[:at] + chance.choice(_PHRASES) + text[at:]
        elif kind == 2:
            text = text[:at] + text[at:end] * chance.choice((2, 10, 100, 1000)) + text[end:]
        elif kind == 3:
            text = text[:at] + chance.choice(_SIGNS) * chance.choice((1, 1, 1, 5, 300)) + text[end:]
        elif kind == 4:
            text = text[:at] + chance.choice(_PHRASES) * chance.choice((1, 1, 2, 50, 1000)) + text[end:]
        elif kind == 5:
            text = _DIGITS.sub(lambda found: str(chance.randrange(10 ** min(40, len(found[0])))), text)
        else:
            text = text[:at] + chance.choice((str.swapcase, str.upper, str.lower))(text[at:end]) + text[end:]
    return text[:_LONGEST_TEXT]


def _graft(places: list[_Place], others: list[Any], chance: Random) -> None:
    """A field that another record has at the same place."""
    taken = [place for place in places if isinstance(place.holder[place.key], dict)]
    if not taken:
        return
    place = chance.choice(taken)
    given = [each.holder[each.key] for each in _places(others, "") if each.name == place.name]
    source = chance.choice(given) if given else None
    if isinstance(source, dict) and source:
        key = chance.choice(list(source))
        place.holder[place.key][key] = json.loads(json.dumps(source[key]))


def _rearrange(place: _Place, chance: Random) -> None:
    """A field goes, is nested deeper, or an entry comes many times."""
    holder, key, name = place
    kind = chance.randrange(6)
    if kind <= 1 and isinstance(holder, dict):
        if key != "Text" or chance.random() < 0.1:  # without it nothing is read at all
            del holder[key]
    elif kind == 2:
        for _ in range(chance.choice((1, 1, 3, 200))):
            holder[key] = [holder[key]] if chance.random() < 0.5 else {name: holder[key]}
    elif isinstance(holder, list) and name:
        holder[key:key] = holder[key : key + 1] * chance.choice((1, 2, 60, 300))
    elif isinstance(holder[key], list):
        holder[key] = holder[key][::-1]


def _encoded(part: Any, chance: Random) -> bytes:
    """JSON as one program or another writes it; a half of a character only ever stands there as an escape."""
    try:
        return json.dumps(part, ensure_ascii=chance.random() < 0.5).encode()
    except UnicodeEncodeError:
        return json.dumps(part).encode()
    except RecursionError:
        return b"{}"
