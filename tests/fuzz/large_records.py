"""The largest records of SMS and posts: those at which a careless parser takes minutes or gigabytes."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

MEGABYTE: Final = 1 << 20
_SIGNS: Final = 1_900_000
"""Characters; the X parser refuses records that are longer than two million bytes."""


def _post(text: str, **fields: Any) -> bytes:
    post = {"id": "1989000000000000001", "text": text, "author_id": "700001", **fields}
    return json.dumps({"data": post}, ensure_ascii=False).encode()


def _many(piece: str) -> Callable[[], bytes]:
    return lambda: _post(piece * (_SIGNS // len(piece.encode())))


def _sms(text: Any, **fields: Any) -> bytes:
    return json.dumps({"Number": "+628110000001", "Type": "Deliver", "Text": text, **fields}).encode()


POSTS: Final[Mapping[str, Callable[[], bytes]]] = {
    **{
        f"2 MB of {piece!r}": _many(piece)
        for piece in (
            "#",
            "@",
            "#LAPOR ",
            "@LAPOR1708 ",
            "https://t.co/a ",
            "https://",
            "&amp;",
            "KIP ",
            "1 ",
            "123456 ",
        )
    },
    "2 MB of full-width letters": _many("＃ＬＡＰＯＲ @ＬＡＰＯＲ1708 "),
    "2 MB of accents": lambda: _post("#LAPOR" + "\u0301" * 900_000),
    "2 MB of brackets": lambda: b"[" * _SIGNS,
    "2 MB of braces": lambda: b'{"data":' * (_SIGNS // 8),
    "a post inside of 900,000 lists": lambda: _post("a", geo=None).replace(b"null", b"[" * 900_000 + b"]" * 900_000),
    "15,000 links": lambda: _post(
        "#LAPOR @LAPOR1708 " + "https://t.co/a " * 2_000,
        entities={"urls": [{"url": "https://t.co/a", "expanded_url": "https://example.org/" + "a" * 40}] * 15_000},
    ),
    "a number of 1 MB": lambda: _post("a").replace(b'"700001"', b"9" * MEGABYTE),
    "a link of 1 MB": lambda: _post("@LAPOR1708 https://example.org/?" + "utm_source=a&" * (MEGABYTE // 13)),
    "half characters": lambda: b'{"data": {"id": "1", "text": "' + b"\\ud800" * (_SIGNS // 6) + b'"}}',
}
SMS: Final[Mapping[str, Callable[[], bytes]]] = {
    "12 MB of text": lambda: _sms("jalan rusak " * MEGABYTE),
    "12 MB of digits": lambda: _sms("9" * 12 * MEGABYTE),
    "12 MB of (spasi)": lambda: _sms("(spasi) " * 12 * (MEGABYTE // 8)),
    "12 MB of NUL": lambda: _sms("\0" * 2 * MEGABYTE, Coding="Default_No_Compression"),
    "12 MB of octets": lambda: _sms({"hex": "61" * 6 * MEGABYTE}, Coding="8bit"),
    "a header of 1 MB": lambda: _sms("a", UDH={"Type": "UserUDH", "Text": {"hex": "ff" + "0000" * (MEGABYTE // 4)}}),
    "a number of 1 MB": lambda: _sms("a", Number="0" * MEGABYTE),
    "a code of 1 MB": lambda: _sms("kode otp 123456 " * (MEGABYTE // 16)),
    "a million brackets": lambda: b"[" * MEGABYTE,
    "half characters": lambda: b'{"Number": "1", "Text": "' + b"\\udc00" * MEGABYTE + b'"}',
}
