"""What the slots of a template are filled with: places, names, numbers, each in the forms in which people write it.

Everything is invented. Numbers are of ranges that nobody has: no province has the code 99 or 98, no plate begins with
a zero, and the phone numbers are the demo's.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

Forms = tuple[str, ...]
"""One value in the ways of writing it; the first is the usual one."""

DESA: Final = (
    "Sukamaju",
    "Sukamulya",
    "Sukajaya",
    "Sukamekar",
    "Karangrejo",
    "Karangsari",
    "Karangtengah",
    "Tanjung Baru",
    "Tanjung Lama",
    "Krajan Lor",
    "Krajan Kidul",
    "Bojong Wetan",
    "Bojong Kulon",
    "Mekarsari",
    "Mekarjaya",
    "Pasir Angin",
    "Pasir Putih",
    "Kebonagung",
    "Kedungwaru",
    "Banyuputih",
    "Wonosari",
    "Wonorejo",
    "Sidomulyo",
    "Sidorejo",
    "Teluk Dalam",
    "Muara Bening",
    "Ranca Bungur",
    "Cibodas Hilir",
    "Cibodas Girang",
    "Ngadirejo",
    "Pulau Kijang",
    "Lubuk Gaung",
)
KECAMATAN: Final = (
    "Mekarwangi",
    "Sukaraja Timur",
    "Sukaraja Barat",
    "Karanganyar",
    "Tanjung Harapan",
    "Banjarwaru",
    "Kedungjati",
    "Ngargoyoso Lor",
    "Cipatujuh",
    "Cilebar",
    "Lubuk Alung Hulu",
    "Padang Rimbun",
    "Kotabaru",
    "Sungai Pinang",
    "Wringin",
    "Gunung Halu Barat",
)
KABUPATEN: Final = (
    "Tangerang",
    "Bogor",
    "Bekasi",
    "Kendal",
    "Nganjuk",
    "Bojonegoro",
    "Garut",
    "Cirebon",
    "Sleman",
    "Jember",
    "Lampung Tengah",
    "Lampung Timur",
    "Aceh Utara",
    "Aceh Selatan",
    "Kutai Timur",
    "Kutai Barat",
    "Banjar",
    "Gowa",
)
JALAN: Final = (
    "Merdeka",
    "Diponegoro",
    "Melati",
    "Seruni",
    "Kenanga",
    "Anggrek",
    "Raya Timur",
    "Raya Barat",
    "Pahlawan",
    "Pemuda",
    "Cendana",
    "Kartini",
    "Mawar",
    "Veteran",
    "Pasar Lama",
    "Pasar Baru",
    "Stasiun",
    "Lintas Selatan",
    "Lintas Tengah",
    "Gatot Subroto",
)
NAMA: Final = (
    "Suwarni",
    "Wagiman",
    "Karsinah",
    "Dedeh Rohayati",
    "Asep Sunandar",
    "Tukiyem",
    "Parjo",
    "Nurhasanah",
    "Yohanes Lado",
    "Maria Bete",
    "Syamsul Rizal",
    "Rosmalina",
    "Poniran",
    "Juminten",
    "Cecep Hidayat",
    "Euis Komariah",
    "Made Wirya",
    "Ketut Sari",
    "Daeng Rahim",
    "Halimah",
    "Sarmin",
    "Saripah",
    "Darsono",
    "Darsinah",
    "Mulyadi",
    "Mulyani",
)
SEKOLAH: Final = ("SDN", "SMPN", "MTs Negeri", "SMKN", "MI Al Ikhlas")
BULAN: Final = (
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
)
HARI: Final = ("Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu", "Minggu")
_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_CODE: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
_PLATES: Final = ("B", "D", "F", "T", "H", "AB", "AD", "BE", "DD", "KT")


def digits(random: Random, count: int, beginning: str = "") -> str:
    """So many digits."""
    return beginning + "".join(random.choice("0123456789") for _ in range(count - len(beginning)))


def _named(pool: Sequence[str], *prefixes: str) -> Callable[[Random], Forms]:
    def make(random: Random) -> Forms:
        name = random.choice(pool)
        return tuple(f"{prefix}{name}" for prefix in prefixes or ("",))

    return make


def _grouped(number: str) -> str:
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def _long_number(count: int, beginning: str) -> Callable[[Random], Forms]:
    def make(random: Random) -> Forms:
        number = digits(random, count, beginning)
        return number, _grouped(number), _grouped(number).replace(" ", "-")

    return make


def _rt(random: Random) -> Forms:
    rt, rw = random.randrange(1, 16), random.randrange(1, 12)
    return (
        f"RT {rt:02d} RW {rw:02d}",
        f"RT.{rt:02d}/RW.{rw:02d}",
        f"rt {rt} rw {rw}",
        f"RT{rt:03d}/RW{rw:03d}",
        f"Rt {rt}/{rw}",
    )


def _km(random: Random) -> Forms:
    km = random.randrange(2, 180)
    return f"KM {km}", f"km {km}", f"Km.{km}", f"KM{km}", f"kilometer {km}"


def _house(random: Random) -> Forms:
    number = random.randrange(1, 250)
    return f"no {number}", f"nomor {number}", f"No.{number}", f"no. {number}"


def _date(random: Random) -> Forms:
    day, month = random.randrange(1, 29), random.randrange(1, 13)
    return (
        f"{day} {BULAN[month - 1]} 2026",
        f"{day} {BULAN[month - 1].lower()} 2026",
        f"{day:02d}/{month:02d}/2026",
        f"{day}-{month}-2026",
        f"{day:02d}.{month:02d}.2026",
    )


def _amount(random: Random) -> Forms:
    thousands = random.choice((15, 20, 25, 35, 50, 75, 100, 120, 150, 200, 250, 300, 350, 400, 450, 500, 600, 750))
    return f"Rp {thousands}.000", f"Rp{thousands}.000,-", f"{thousands} ribu", f"{thousands}rb", f"Rp. {thousands}000"


def _plate(random: Random) -> Forms:
    area, number = random.choice(_PLATES), f"0{random.randrange(100, 999)}"
    end = "".join(random.choice(_LETTERS) for _ in range(random.choice((2, 3))))
    return f"{area} {number} {end}", f"{area}{number}{end}", f"{area.lower()} {number} {end.lower()}"


def _phone(random: Random) -> Forms:
    tail = digits(random, 6)
    return f"08110{tail}", f"+628110{tail}", f"0811-0{tail[:3]}-{tail[3:]}"


def _kip(random: Random) -> Forms:
    code = "".join(random.choice(_CODE) for _ in range(4)) + random.choice("0123456789") + random.choice(_LETTERS)
    return f"KIP {code}", f"KIP {code.lower()}", f"kip {code}", f"KIP: {code}"


def _kks(random: Random) -> Forms:
    if random.random() < 0.5:
        number = digits(random, 16, "9899")
        return f"KKS {number}", f"kks {number}", f"KKS {_grouped(number)}"
    code = digits(random, 5, "9") + "".join(random.choice(_CODE) for _ in range(4)) + digits(random, 5)
    return f"KKS {code}", f"kks {code.lower()}"


def _sl(random: Random) -> Forms:
    nik, number = digits(random, 16, "9901"), digits(random, random.randrange(5, 13), "9")
    return f"SL {nik} {number}", f"SL {nik}  {number}", f"SL. {nik} {number}"


def _school(random: Random) -> Forms:
    kind, number = random.choice(SEKOLAH), random.randrange(1, 30)
    return f"{kind} {number}", f"{kind} {number:02d}", f"{kind.lower()} {number}"


MAKERS: Final[dict[str, Callable[[Random], Forms]]] = {
    "desa": _named(DESA, "Desa ", "desa ", "Ds. ", "ds "),
    "dusun": _named(DESA, "Dusun ", "dusun ", "Dsn "),
    "kel": _named(DESA, "Kelurahan ", "Kel. ", "kel "),
    "kec": _named(KECAMATAN, "Kecamatan ", "Kec. ", "kec ", "Kec "),
    "kab": _named(KABUPATEN, "Kabupaten ", "Kab. ", "kab ", "Kab "),
    "jalan": _named(JALAN, "Jalan ", "Jl. ", "jln ", "Jl "),
    "nama": _named(NAMA),
    "rt": _rt,
    "km": _km,
    "rumah": _house,
    "tgl": _date,
    "rp": _amount,
    "plat": _plate,
    "telp": _phone,
    "kip": _kip,
    "kks": _kks,
    "sl": _sl,
    "nik": _long_number(16, "9901"),
    "kartu": _long_number(13, "9800"),
    "kk": _long_number(16, "9902"),
    "pelanggan": _long_number(12, "99"),
    "sekolah": _school,
    "hari": _named(HARI, "hari "),
    "jam": lambda random: (f"jam {(hour := random.randrange(1, 24))}.00", f"pukul {hour:02d}.00", f"jam {hour}"),
}
"""By the slot's kind; a slot's name may end in a number."""

OTHER: Final = {
    "desa": "other place",
    "dusun": "other place",
    "kel": "other place",
    "kec": "other place",
    "kab": "other place",
    "jalan": "other place",
    "nama": "other name",
    "rt": "other rt/rw",
    "km": "other km",
    "rumah": "other house number",
    "tgl": "other date",
    "rp": "other amount",
    "plat": "other plate",
    "telp": "other phone number",
    "kip": "other id",
    "kks": "other id",
    "sl": "other id",
    "nik": "other id",
    "kartu": "other id",
    "kk": "other id",
    "pelanggan": "other id",
    "sekolah": "other school",
}
"""What a pair is called whose texts differ in such a slot alone. Days and hours tell no matter from another."""


def kind_of(slot: str) -> str:
    """The kind of a slot, by its name."""
    return slot.rstrip("0123456789")


def near(random: Random, slot: str, forms: Forms) -> Forms:
    """Another value of an ID that differs in one digit only, in every form; the same where it has no digit."""
    places = [at for at, sign in enumerate(forms[0]) if sign.isdigit()]
    if kind_of(slot) not in {"nik", "kartu", "kk", "pelanggan"} or not places:
        return forms
    nth = random.randrange(6, len(places))  # the first digits are what all of a kind share
    other = random.choice("0123456789".replace(forms[0][places[nth]], ""))
    return tuple(_with_nth_digit(form, nth, other) for form in forms)


def _with_nth_digit(text: str, nth: int, digit: str) -> str:
    at = [place for place, sign in enumerate(text) if sign.isdigit()][nth]
    return text[:at] + digit + text[at + 1 :]
