"""Invented citizens on X: what they post, in the ways citizens post. No name, handle or message is real."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final, Literal

from gateway.demo.x.world import Media, Place, Post, PostDetails, World

ACCOUNT: Final = "LAPOR1708"
CROWD: Final = 20
"""How many handles the posts name that are nearly nothing but handles."""

PostKind = Literal[
    "report", "untagged", "unaddressed", "share", "chaser", "crowd", "emoji", "long", "reply", "repost", "promotion"
]
"""report: #LAPOR … @LAPOR1708. untagged: the mention alone. unaddressed: #LAPOR alone. share: "via @LAPOR1708".
chaser: asks after a report by its number. crowd: twenty handles. reply: answers another post. repost: a retweet."""

_RECENT: Final = 30
_SINCE: Final = datetime(2012, 1, 1, tzinfo=UTC)
_DAYS: Final = 5000
_MATTERS: Final = (
    "jalan lintas desa rusak parah dan membahayakan pengendara",
    "lampu jalan padam sdh 2 minggu, rawan kecelakaan",
    "air PDAM mati dr kemarin malam, mhn penjelasan",
    "sampah menumpuk di belakang pasar & baunya sampai ke sekolah",
    "pungli di tempat parkir, karcis tdk pernah diberi",
    "dana bantuan sekolah anak sy blm cair jg",
    "antrean berobat dr subuh, dokter baru dtg siang",
    "drainase mampet, tiap hujan jalan jadi sungai",
    "KTP elektronik sdh 8 bulan blm jadi",
    "jembatan kayu lapuk, anak2 nyebrang tiap hari",
)
_PLACES: Final = ("Desa Sukamaju", "Kec. Mekarsari", "Kel. Tanjung Baru", "Dusun Krajan", "Pasar Wetan")
_REPORT_FORMS: Final = (
    "#LAPOR {0} @LAPOR1708",
    "#LAPOR {0}, mohon segera diperbaiki @LAPOR1708",
    "@LAPOR1708 {0} #lapor",
    "#Lapor (spasi) {0} @lapor1708",
    "Min @LAPOR1708 tolong dong #LAPOR! {0}",
    "{0} #lapor #warga @LAPOR1708",
    "#LAPOR, {0} cc @{1} @LAPOR1708",
)
_MENTION_FORMS: Final = (
    "@LAPOR1708 {0}",
    "{0} @LAPOR1708 🙏",
    "tolong @LAPOR1708 ... {0} !!!",
    "@{1} @LAPOR1708 gmn ini {0}",
)
_SHARE_FORMS: Final = (
    "Silakan dukung @LAPOR1708 #{2} {0} https://lapor.go.id/id/{2}",
    "{0} https://lapor.go.id/id/{2} via @LAPOR1708",
)
_CHASER_FORMS: Final = (
    "@LAPOR1708 tracking ID #{2} sampai mana ya? blm ada kabar",
    "min @LAPOR1708 laporan sy #{2} salah disposisi",
    "@LAPOR1708 Tracking ID : #{2} kok sdh ditutup, pdhl blm selesai",
)
_EMOJI: Final = ("🙏🙏🙏 @LAPOR1708", "😡😡 @LAPOR1708 🕳️🛣️", "@LAPOR1708 👍🏽")
_PROMOTION: Final = "#AyoLAPOR! Sampaikan laporan lewat @LAPOR1708 atau SMS 1708"
_LONG: Final = (
    "#LAPOR @LAPOR1708 {0}. Kami sudah berkali-kali menyampaikan hal ini kepada pengurus setempat tetapi belum ada "
    "tindak lanjut. Sudah ada beberapa warga yang jatuh, terutama pada malam hari dan ketika hujan, karena lubangnya "
    "tidak kelihatan. Mohon kiranya dapat ditinjau langsung ke lokasi. Terima kasih atas perhatiannya, semoga lekas "
    "ditangani. #lapor"
)
_REPLIES: Final = (
    "betul, di tempat sy jg begitu @LAPOR1708",
    "sy tambahkan: sdh 3 bulan @LAPOR1708",
    "@LAPOR1708 ini lokasinya dkt balai desa",
)
_SHARES: Final[tuple[tuple[PostKind, int], ...]] = (
    ("report", 40), ("untagged", 18), ("share", 8), ("chaser", 8), ("long", 6), ("crowd", 5), ("reply", 5),
    ("unaddressed", 3), ("emoji", 3), ("repost", 2), ("promotion", 2),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class InventedPost:
    """What somebody is about to post; a reply or repost takes any recent post for its other half."""

    kind: PostKind
    author: str
    text: str
    picture: str | None = None
    place: Place | None = None


def handle(random: Random) -> str:
    """An invented username."""
    return f"warga_{random.randrange(10_000):04d}"


def invent_posts(random: Random) -> Iterator[InventedPost]:
    """Invented posts without end, in a lively mix."""
    kinds = [kind for kind, _ in _SHARES]
    weights = [weight for _, weight in _SHARES]
    while True:
        kind = random.choices(kinds, weights)[0]
        picture = f"foto-{random.randrange(1000)}.jpg" if kind == "report" and random.random() < 1 / 5 else None
        place = _place(random) if kind in ("report", "long") and random.random() < 1 / 8 else None
        yield InventedPost(kind, handle(random), _TEXTS[kind](random), picture, place)


def put(world: World, invented: InventedPost, recent: Sequence[Post], random: Random) -> Post:
    """Posts what was invented; ``recent`` is what replies and reposts refer to."""
    details: PostDetails = {}
    if invented.picture:
        details["media"] = [Media(invented.picture, alt_text="Foto lokasi")]
    if invented.place:
        details["place"] = invented.place
    if recent and invented.kind == "reply":
        details["reply_to"] = random.choice(recent)
    if recent and invented.kind == "repost":
        details["retweet"] = random.choice(recent)
    joined = _SINCE + timedelta(days=random.randrange(_DAYS))
    text = invented.text or ("" if "retweet" in details else f"@{ACCOUNT}")
    return world.post(world.user(invented.author, created_at=joined), text, **details)


async def keep_posting(world: World, random: Random, a_second: float) -> None:
    """Has invented citizens post at about this pace until cancelled."""
    recent: deque[Post] = deque(maxlen=_RECENT)
    for invented in invent_posts(random):
        recent.append(put(world, invented, recent, random))
        await asyncio.sleep(random.uniform(0.5, 1.5) / a_second)


def _matter(random: Random) -> str:
    return f"{random.choice(_MATTERS)} di {random.choice(_PLACES)} no {random.randrange(1, 400)}"


def _filled(forms: Sequence[str]) -> Callable[[Random], str]:
    def fill(random: Random) -> str:
        return random.choice(forms).format(_matter(random), handle(random), random.randrange(1_000_000, 10_000_000))

    return fill


def _crowd(random: Random) -> str:
    names = [ACCOUNT, *(handle(random) for _ in range(CROWD - 1))]
    random.shuffle(names)
    return " ".join(f"@{name}" for name in names) + " tolong"


def _place(random: Random) -> Place:
    number = random.randrange(len(_PLACES))
    west, south = 106.0 + number, -7.0 - number / 10
    return Place(f"07d9{number:012x}", f"{_PLACES[number]}, Indonesia", (west, south, west + 0.1, south + 0.1))


_TEXTS: Final[dict[PostKind, Callable[[Random], str]]] = {
    "report": _filled(_REPORT_FORMS),
    "untagged": _filled(_MENTION_FORMS),
    "unaddressed": _filled(("#LAPOR {0}",)),
    "share": _filled(_SHARE_FORMS),
    "chaser": _filled(_CHASER_FORMS),
    "crowd": _crowd,
    "emoji": _filled(_EMOJI),
    "long": _filled((_LONG,)),
    "reply": _filled(_REPLIES),
    "repost": lambda _random: "",
    "promotion": lambda _random: _PROMOTION,
}
