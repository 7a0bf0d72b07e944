"""Invented SMS that can be told apart: each holds a token of its own, at its beginning and at its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from tests.simulators import tpdu
from tests.simulators.tpdu import UserData
from tests.soak.verdict import Expected

_LETTERS = "BCDFGHJKLMNPQRSTVWX"
_WORDS = """
    jalan berlubang depan pasar desa lampu padam sekolah jembatan rusak sawah kering irigasi jebol sampah menumpuk
    bau puskesmas antre dokter obat habis bantuan beras belum cair pungutan parkir liar terminal pelabuhan ikan
    nelayan pupuk langka harga naik listrik mati hujan banjir got mampet pohon tumbang warga lewat malam takut
    anak kecil jatuh motor truk pasir debu tetangga bising pabrik limbah sungai hitam sumur keruh kantor tutup
    petugas marah surat pindah lama ijazah tertahan guru honor gaji pensiun kakek sakit kursi roda ambulans telat
""".split()  # noqa: SIM905 - words read better so
_EMOJI = ("🙏", "😡", "🚧", "👍🏽", "🇮🇩", "💧💡")
_EXTENDED = ("{rt 5}", "[rw 2]", "~3 km", "5€", "a^b", "kiri|kanan")
"""Characters of the GSM-7 extension table: each takes two septets."""

_FIRST_SENT = datetime(2026, 11, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sms:
    """What a citizen sends, and the text that the report must have."""

    token: str
    sender: str
    text: str
    expected: str
    sent_at: datetime
    parts: tuple[UserData, ...]

    @property
    def report(self) -> Expected:
        """The report that it has to become."""
        return Expected((self.token,), self.sender, self.expected)


def sms_figures(fed: Sequence[Sms]) -> dict[str, object]:
    """How much was fed, for the verdict."""
    return {
        "messages fed": len(fed),
        "of them in parts": sum(len(sms.parts) > 1 for sms in fed),
        "SMS fed": sum(len(sms.parts) for sms in fed),
    }


def token_of(number: int) -> str:
    """A word that no other message holds and that looks like neither a number nor a keyword."""
    letters = ""
    for _ in range(5):
        number, digit = divmod(number, len(_LETTERS))
        letters += _LETTERS[digit]
    return f"Z{letters}Z"


def citizens(count: int, random: Random, *, senders: int | None = None) -> Iterator[Sms]:
    """So many SMS; one in five has several parts, and some of them emoji or characters of two septets."""
    pool = senders or max(1, count // 3)
    references: defaultdict[str, int] = defaultdict(lambda: random.randrange(256))
    for number in range(count):
        sender = f"+6281100{random.randrange(pool):06d}"
        expected = invented_text(token_of(number), random, long=random.random() < 0.2)
        # The bare service word is all that the gateway takes off a citizen's text; the colon says that it is no verb.
        text = f"LAPOR: {expected}" if random.random() < 0.25 else expected
        references[sender] = (references[sender] + 1) % 256
        sent_at = _FIRST_SENT + timedelta(seconds=number)
        yield Sms(sender=sender, token=token_of(number), text=text, expected=expected, sent_at=sent_at,
                  parts=_parts(text, references[sender], random))  # fmt: skip


def invented_text(token: str, random: Random, *, long: bool = False) -> str:
    """A citizen's words, with the token at their beginning and at their end."""
    words = random.choices(_WORDS, k=random.randrange(40, 90) if long else random.randrange(4, 9))
    if random.random() < 0.2:
        words.insert(random.randrange(1, len(words)), random.choice(_EMOJI))
    if random.random() < 0.15:
        words.insert(random.randrange(1, len(words)), random.choice(_EXTENDED))
    return " ".join([words[0], token, *words[1:], token])


def _parts(text: str, reference: int, random: Random) -> tuple[UserData, ...]:
    parts = tpdu.split_into_parts(text, reference)
    if len(parts) == 1 or _fits_one(text):
        return (tpdu.user_data(text, "gsm7" if tpdu.fits_gsm7(text) else "ucs2"),)
    if random.random() < 0.3:
        parts.reverse()  # the network promises no order
    return tuple(parts)


def _fits_one(text: str) -> bool:
    if tpdu.fits_gsm7(text):
        return len(tpdu.encode_gsm7(text)) <= tpdu.SEPTETS_PER_MESSAGE
    return len(text.encode("utf-16-be")) <= tpdu.OCTETS_PER_MESSAGE
