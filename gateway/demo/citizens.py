"""Invented citizens: what they text, in the ways citizens text. No name, number or message is real."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class InventedSms:
    """One SMS as a phone would send it; longer than 160 characters it goes out in parts."""

    sender: str
    text: str


_OPENINGS: Final = (
    "LAPOR ",
    "",
    "Lapor ",
    "Yth. Bapak/Ibu, ",
    "LAPOR (spasi) ",
    "mhn perhatian: ",
    "Assalamualaikum. ",
)
_KEYWORDS: Final = ("", "", "BJN ", "TANGKAB ", "Bandung. ", "KAB. NGANJUK ", "DKI ", "PKH ")
_MATTERS: Final = (
    "jalan berlubang di depan pasar sdh 3 bulan blm diperbaiki",
    "lampu jalan padam dr minggu lalu, warga takut lewat malam hari",
    "air PDAM tdk mengalir sejak hari senin, mhn ditindaklanjuti 🙏",
    "jembatan gantung putus, anak sekolah hrs memutar jauh",
    "sampah menumpuk di dekat sekolah dan baunya mengganggu",
    "pungutan liar di tempat parkir, petugas tdk memberi karcis",
    "saluran irigasi jebol dan sawah kami kekeringan",
    "dana bantuan sekolah anak saya belum cair sampai sekarang",
    "antrean di puskesmas sangat lama, dokter sering tdk ada",
    "bantuan sembako tdk merata, yg mampu malah dapat",
)
_PLACES: Final = ("Desa Sukamaju", "Kec. Mekarsari", "Kel. Tanjung Baru", "Dusun Krajan", "RT 05 RW 02 Karangrejo")
_LONG: Final = (
    " Kami sudah melapor ke kantor desa dan kecamatan tetapi belum ada jawaban. Mohon kiranya dapat segera ditinjau "
    "karena sudah banyak warga yang jatuh, apalagi kalau hujan lubangnya tidak kelihatan. Terima kasih banyak."
)
_PROMO: Final = InventedSms("PROMO-KU", "Gratis kuota 5GB! Balas YA sekarang juga. Info S&K cek aplikasi.")
_CODE: Final = InventedSms("INFO", "Kode OTP Anda 000000. JANGAN berikan kode ini kepada siapa pun.")


def phone_number(random: Random) -> str:
    """An invented subscriber's number."""
    return f"+628110{random.randrange(10**6):06d}"


def invent_sms(random: Random) -> Iterator[InventedSms]:
    """Invented messages without end: one in five is long, now and then a promotion, a code or a repeat."""
    previous: InventedSms | None = None
    while True:
        dice = random.random()
        if dice < 0.05:  # noqa: PLR2004 - shares that make the demo lively
            yield _PROMO
        elif dice < 0.08:  # noqa: PLR2004
            yield _CODE
        elif dice < 0.16 and previous is not None:  # noqa: PLR2004
            yield previous
        else:
            previous = _complaint(random)
            yield previous


def _complaint(random: Random) -> InventedSms:
    place = f" di {random.choice(_PLACES)} no {random.randrange(1, 400)}"
    text = random.choice(_OPENINGS) + random.choice(_KEYWORDS) + random.choice(_MATTERS) + place
    if random.random() < 0.2:  # noqa: PLR2004 - one in five
        text += "." + _LONG
    return InventedSms(phone_number(random), text)
