"""The parsers that are tried, and the messages that are mutated for each: a corpus, and what earlier runs have kept."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

from gateway.parsing import Parsed, Profile
from parsers import mail, sms, twitter
from tests.corpus import mail as mails
from tests.fuzz import letters, octets, records

_HERE: Final = Path(__file__).parent
FAULTS: Final = _HERE / "faults"
"""Inputs that broke a parser, in a folder for each; they are tried first for ever after."""
SEEDS: Final = _HERE / "seeds"
"""Inputs by which a run reached code that no other seed reaches, in a folder for each; every later run begins there."""

_BY_OCTETS: Final = 0.1
"""How many of the mutations do not care for the structure."""

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
_LONG_POST: Final = {
    "data": {
        "id": "1989000000000000002",
        "text": "@LAPOR1708 Lampu jalan di depan sekolah mati sejak …",
        "author_id": "700002",
        "lang": "in",
        "in_reply_to_user_id": "900001",
        "referenced_tweets": [{"type": "replied_to", "id": "1988000000000000009"}, {"type": "quoted", "id": "55"}],
        "note_tweet": {
            "text": "@LAPOR1708 Lampu jalan di depan sekolah mati sejak bulan lalu, tolong. #lapor cc: @dinas via @a",
            "entities": {
                "mentions": [{"username": "LAPOR1708", "id": "900001"}],
                "hashtags": [{"tag": "lapor"}],
                "urls": [{"url": "https://t.co/b", "media_key": "7_1"}],
            },
        },
        "attachments": {"media_keys": ["7_1", "7_2"]},
        "geo": {"place_id": "p2"},
    },
    "includes": {
        "users": [
            {
                "id": "700002",
                "username": "warga_0002",
                "name": "Warga \u202e dua",
                "created_at": "2011-02-03T04:05:06.000Z",
                "verified": False,
                "verified_type": "blue",
                "protected": False,
                "public_metrics": {"followers_count": 12},
            }
        ],
        "media": [
            {
                "media_key": "7_1",
                "type": "video",
                "alt_text": "lampu",
                "preview_image_url": "https://example.org/a?format=png",
                "variants": [{"content_type": "video/mp4", "url": "https://example.org/a.mp4", "bit_rate": 832000}],
            },
            {"media_key": "7_2", "type": "animated_gif", "preview_image_url": "https://example.org/a.webp"},
        ],
        "places": [{"id": "p2", "full_name": "Sukamaju"}],
    },
}
_SHARED: Final = {
    "data": {
        "id": "1989000000000000003",
        "text": "Silakan dukung @LAPOR1708 #216750 https://t.co/c via @LAPOR1708 #AyoLapor",
        "author_id": "700003",
        "referenced_posts": [{"type": "retweeted", "id": "1988000000000000010"}],
        "edit_history_post_ids": ["1989000000000000003"],
        "note_post": {"text": "ayo sampaikan laporan #AyoLapor @LAPOR1708"},
        "entities": {"urls": [{"url": "https://t.co/c", "expanded_url": "https://www.lapor.go.id/id/216750"}]},
    }
}
_NOTE: Final = {"lapor": "withdrawal", "post_id": "55", "reason": "deleted", "seen_at": "2025-11-13T15:49:04Z"}
_FILE: Final = {
    "lapor": "media",
    "post_id": "1989000000000000001",
    "author_id": "700001",
    "url": "https://example.org/a.jpg",
    "sha256": "0123456789abcdef" * 4,
    "size": 1234,
    "media_type": "image/jpeg",
    "name": "lubang",
}
_SMS: Final = {"Number": "+628110000001", "Type": "Deliver", "DateTime": "2025-11-13T22:49:04+07:00"}
_UDH: Final = {"Type": "ConcatenatedMessages", "Text": {"hex": "050003a70201"}, "ID8bit": 167, "PartNumber": 1}
_WIDE_UDH: Final = {
    "Type": "UserUDH",
    "Text": {"hex": "0b0504158a158a0804a7000201"},
    "ID16bit": 0xA700,
    "PartNumber": 1,
}
_SMS_TEXTS: Final[tuple[dict[str, Any], ...]] = (
    {"Text": "LAPOR BJN (spasi) jalan rusak KIP Q7mij2 #1948147", "Coding": "Default_No_Compression"},
    {"Text": "KKS 1234-5678-9012-34 SL 3500000000000001 123456", "Coding": "Unicode_No_Compression"},
    {"Text": "Kode OTP 123456, jangan berikan kepada siapa pun", "Coding": "Default_No_Compression"},
    {"Text": "bagian satu", "Coding": "Default_No_Compression", "UDH": _UDH | {"AllParts": 2}},
    {"Text": "bagian satu", "Coding": "8bit", "UDH": _WIDE_UDH | {"AllParts": 2}},
    {"Text": "bagian satu", "UDH": {"Type": "ConcatenatedMessages", "ID16bit": 167, "PartNumber": 1, "AllParts": 3}},
    {"Text": {"hex": "4a616c616e"}, "Coding": "8bit"},
    {"Text": {"hex": "4a616c616e206be96e"}, "Coding": "8bit", "UDH": _WIDE_UDH | {"AllParts": 2}},
    {"Text": "Delivered", "Type": "Status_Report", "DeliveryStatus": 0, "MessageReference": 7},
    {"Text": "terkirim", "Type": "Submit", "SMSCDateTime": "2025-11-13T22:49:05+07:00", "Number": "0811-0000 001"},
)
_PARTS: Final = tuple(
    tuple(
        _SMS | {"Text": text, "Coding": coding, "UDH": _UDH | {"AllParts": 3, "Text": {"hex": f"050003a7030{number}"}}}
        for number, text in enumerate(texts, 1)
    )
    for coding, texts in (
        ("Default_No_Compression", ("LAPOR KIP Q7", "mij2 jalan rusak ", "sekali #1948147")),
        ("Unicode_No_Compression", ("lampu \ufffd", "\ufffd mati", " lagi")),
        ("8bit", ({"hex": "4a616c616ec3"}, {"hex": "a9207275"}, {"hex": "73616b0000"})),
    )
)


@dataclass(frozen=True, slots=True)
class Target:
    """One parser, what it is given, and what is mutated for it, by octets and by structure."""

    name: str
    parse: Callable[[bytes], Parsed]
    built_in: tuple[bytes, ...]
    by_structure: Callable[[bytes, bytes, Random], bytes | None]

    @property
    def faults(self) -> list[bytes]:
        """What once broke this parser."""
        return [path.read_bytes() for path in sorted((FAULTS / self.name).glob("*.bin"))]

    @property
    def seeds(self) -> tuple[bytes, ...]:
        """What is mutated: whole messages, and what earlier runs have found."""
        return (*self.built_in, *(path.read_bytes() for path in sorted((SEEDS / self.name).glob("*.bin"))))

    def keep(self, raw: bytes, folder: Path) -> Path:
        """Keeps an input for ever."""
        path = folder / self.name / f"{sha256(raw).hexdigest()[:16]}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
        return path

    def mutated(self, raw: bytes, other: bytes, chance: Random) -> bytes:
        """An input that is a little, or much, unlike ``raw``."""
        if chance.random() >= _BY_OCTETS and (made := self.by_structure(raw, other, chance)) is not None:
            return made
        return octets.mutated(raw, other, chance)


def _of_one(parse: Callable[[Sequence[bytes | None], Profile], Parsed], profile: Profile) -> Callable[[bytes], Parsed]:
    return lambda raw: parse([raw], profile)


def _sms_parts(raw: bytes) -> Parsed:
    return sms.parse([line or None for line in raw.split(b"\n")], Profile(frozenset({"1708"})))


def targets() -> tuple[Target, ...]:
    """All parsers; that of SMS twice, as it is given one record, or one for each part."""
    mail_options = {"trusted_authserv": "mx.example.go.id", "address": "lapor@example.go.id"}
    mail_profile = Profile(frozenset({"lapor@example.go.id"}), mail_options)
    x_profile = Profile(frozenset({"900001"}), {"account": "LAPOR1708", "hashtag": "LAPOR"})
    posts = tuple(json.dumps(record).encode() for record in (_POST, _LONG_POST, _SHARED, _NOTE, _FILE))
    singles = tuple(json.dumps(_SMS | text).encode() for text in _SMS_TEXTS)
    parts = tuple(b"\n".join(json.dumps(part).encode() for part in each) for each in _PARTS)
    return (
        Target("mail", _of_one(mail.parse, mail_profile), (*mails.stored().values(),), letters.mutated),
        Target("twitter", _of_one(twitter.parse, x_profile), posts, records.mutated),
        Target("sms", _of_one(sms.parse, Profile(frozenset({"1708"}))), singles, records.mutated),
        Target("sms-parts", _sms_parts, parts, records.mutated),
    )
