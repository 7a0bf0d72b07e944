"""The messages that are mutated: the corpus of mails, posts, SMS, and every input that once broke a parser."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway.parsing import Parsed, Profile
from parsers import mail, sms, twitter
from tests.corpus import mail as mails

KEPT: Final = Path(__file__).parent / "kept"
"""Inputs that broke a parser, in a folder for each; they are tried first for ever after."""

_POST: Final = {
    "data": {
        "id": "1989000000000000001",
        "text": "#LAPOR Jalan rusak &amp; @pejabat_1 diam #1946469 https://t.co/a @LAPOR1708",
        "author_id": "700001",
        "created_at": "2025-11-13T15:49:04.000Z",
        "edit_history_tweet_ids": ["1988000000000000001", "1989000000000000001"],
        "entities": {"urls": [{"url": "https://t.co/a", "expanded_url": "https://example.org/?utm_id=1&b"}]},
        "attachments": {"media_keys": ["3_1"]},
        "geo": {"place_id": "p1", "coordinates": {"type": "Point", "coordinates": [106.8, -6.2]}},
    },
    "includes": {
        "users": [{"id": "700001", "username": "warga_0001", "name": "Warga"}],
        "media": [{"media_key": "3_1", "type": "photo", "url": "https://example.org/a.jpg"}],
        "places": [{"id": "p1", "full_name": "Contoh"}],
    },
}
_NOTE: Final = {"lapor": "withdrawal", "post_id": "55", "reason": "deleted", "seen_at": "2025-11-13T15:49:04Z"}
_SMS: Final = {"Number": "+628110000001", "Type": "Deliver", "DateTime": "2025-11-13T22:49:04+07:00"}
_UDH: Final = {"Type": "ConcatenatedMessages", "Text": {"hex": "050003a70201"}, "ID8bit": 167, "PartNumber": 1}
_SMS_TEXTS: Final = (
    {"Text": "LAPOR BJN (spasi) jalan rusak KIP Q7mij2 #1948147", "Coding": "Default_No_Compression"},
    {"Text": "KKS 1234-5678-9012-34 SL 3500000000000001 123456", "Coding": "Unicode_No_Compression"},
    {"Text": "Kode OTP 123456, jangan berikan kepada siapa pun", "Coding": "Default_No_Compression"},
    {"Text": "bagian satu", "Coding": "Default_No_Compression", "UDH": _UDH | {"AllParts": 2}},
    {"Text": {"hex": "4a616c616e"}, "Coding": "8bit"},
    {"Text": "Delivered", "Type": "Status_Report", "DeliveryStatus": 0, "MessageReference": 7},
)


@dataclass(frozen=True, slots=True)
class Target:
    """One parser, what it is given, and what is mutated for it."""

    name: str
    parse: Callable[[Sequence[bytes | None], Profile], Parsed]
    profile: Profile
    seeds: tuple[bytes, ...]

    def kept(self) -> list[bytes]:
        """What once broke this parser."""
        return [path.read_bytes() for path in sorted((KEPT / self.name).glob("*.bin"))]

    def keep(self, raw: bytes) -> Path:
        """Keeps an input for ever."""
        path = KEPT / self.name / f"{sha256(raw).hexdigest()[:16]}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return path


def targets() -> tuple[Target, ...]:
    """All parsers."""
    mail_options = {"trusted_authserv": "mx.example.go.id", "address": "lapor@example.go.id"}
    return (
        Target(
            "mail", mail.parse, Profile(frozenset({"lapor@example.go.id"}), mail_options), (*mails.stored().values(),)
        ),
        Target(
            "twitter",
            twitter.parse,
            Profile(frozenset({"900001"}), {"account": "LAPOR1708", "hashtag": "LAPOR"}),
            tuple(json.dumps(record).encode() for record in (_POST, _NOTE)),
        ),
        Target(
            "sms",
            sms.parse,
            Profile(frozenset({"1708"})),
            tuple(json.dumps(_SMS | text).encode() for text in _SMS_TEXTS),
        ),
    )
