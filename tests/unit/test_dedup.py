"""Whether two texts tell of the same matter: what may differ, and what may not."""

import pytest

from gateway.dedup.compare import same_matter
from gateway.dedup.normalise import normalise
from gateway.dedup.typos import is_abbreviation, is_slip

_ROAD = "Jalan rusak parah di desa Sukamaju RT 05 RW 02 dekat pasar, sudah 3 bulan belum diperbaiki"


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("Jln rsk d ds Sukamaju", "jalan rusak di desa sukamaju"),
        ("TOLOOOONG jalan RUSAK!!!", "tolong jalan rusak"),
        ("j\u0430lan rus\u200bak", "jalan rusak"),
        ("rt05/rw02", "rt5 rw2"),
        ("RT 5/2", "rt5 rw2"),
        ("RT/RW 005/002", "rt5 rw2"),
        ("tiga bln", "3bulan"),
        ("Rp 1.500.000,- atau 1,5 jt", "1500000 atau 1500000"),
        ("Rp900rb", "900000"),
        ("12 Oktober 2026", "12d10"),
        ("12/10/2026", "12d10"),
        ("1234 5678 9012 3456", "1234567890123456"),
        ("KIP1A2B3C", "kip 1a2b3c"),
        ("B 1234 XYZ", "b1234xyz"),
        ("SD Negeri 3 dan SDN 3", "sdn3 dan sdn3"),
        ("dua puluh empat jam, 24 jam", "24jam 24jam"),
        ("10 % atau 10 persen", "10persen atau 10persen"),
        ("KIS bapak saya, terima kasih bapak", "kis ayah saya terima kasih bapak"),
        ("(1/2) lampu mati", "lampu mati"),
        ("puskesmas kelas III", "puskesmas kelas3"),
        ("30cm, 30 cm dan cm dua hari", "30sentimeter 30sentimeter dan hanya 2hari"),
        ("smp n 2, jam 17 smp malam", "smpn2 jam17 sampai malam"),
        ("ugal2an", "ugal ugalan"),
        ("Jan s/d Sept", "januari sampai september"),
        ("9901 2233 445566", "99012233445566"),
        ("anak-anak orang2", "anak orang"),
        ("a.n. Budi", "nama budi"),
        ("@LAPOR1708 lampu mati #LAPOR https://t.co/abc", "lampu mati"),
        ("+62811000000 dan 0811000000", "0811000000 dan 0811000000"),
    ],
)
def test_one_thing_is_written_one_way(written: str, normalised: str) -> None:
    """Abbreviations, numbers, dates, amounts, look-alikes; links and handles go."""
    assert normalise(written).text == normalised


@pytest.mark.parametrize(
    "other",
    [
        "jln rsk parah d ds sukamaju rt05 rw02 dkt psr, sdh 3 bln blm diperbaiki",
        f"LAPOR {_ROAD}. Mohon segera ditindaklanjuti, terima kasih",
        f"Yth. Bapak Bupati, {_ROAD}",
        _ROAD.replace("rusak", "rsuak").replace("Sukamaju", "Sukamju"),
        _ROAD.replace("desa Sukamaju", "desaSukamaju"),
        "Dekat pasar desa Sukamaju RT 05 RW 02 jalan rusak parah. Sudah 3 bulan belum diperbaiki",
        f"Sudah 3x lapor belum ada tanggapan! {_ROAD}",
        f"RT @warga_rekaan: {_ROAD} @LAPOR1708 #LAPOR",
    ],
)
def test_the_same_matter_in_other_words(other: str) -> None:
    """Spelling, courtesies, order and pleas change nothing."""
    assert same_matter(normalise(_ROAD), normalise(other))
    assert same_matter(normalise(other), normalise(_ROAD))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("longsor menutup jalan Malalak, alat berat belum ada", "longsor nutup jalan malalak alat berat blm ada"),
        ("pungutan dimintai petugas di pasar Induk", "petugas minta pungutan di psr induk"),
        ("pemuda mabuk di masjid dusun Krajan", "pemuda mabok di mesjid dsn krajan"),
        ("sampah menumpuk tidak diangkut di TPS Sentral", "sampah numpuk gak di angkut di tps sentral"),
        ("sopir angkot nekat di simpang Timbangan", "supir angkot nekad di simpang timbangan"),
        ("kami kehilangan lahan, dibiarkan petugas", "kami kehilangan lahan, dibiarin petugas"),
    ],
)
def test_everyday_spelling_is_no_other_matter(one: str, other: str) -> None:
    """How a verb begins and ends in speech, letters that sound alike, a preposition that stands apart."""
    assert same_matter(normalise(one), normalise(other))
    assert same_matter(normalise(other), normalise(one))


@pytest.mark.parametrize(
    "other",
    [
        _ROAD.replace("Sukamaju", "Sukaraja"),
        _ROAD.replace("RT 05", "RT 06"),
        _ROAD.replace("RT 05 RW 02", "RT 02 RW 05"),
        _ROAD.replace("3 bulan", "4 bulan"),
        _ROAD.replace("Jalan rusak", "Lampu jalan padam"),
        _ROAD.replace("desa Sukamaju", "desa Sukamaju Baru"),
        _ROAD.replace("belum diperbaiki", "akhirnya sudah diperbaiki"),
    ],
)
def test_another_matter_on_the_same_template(other: str) -> None:
    """One number, one name, one place or the opposite makes another matter of it."""
    assert not same_matter(normalise(_ROAD), normalise(other))
    assert not same_matter(normalise(other), normalise(_ROAD))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KIS bapak saya tidak aktif, Desa Tiga Rimba", "KIS ibu saya tidak aktif, Desa Tiga Rimba"),
        ("Klinik Sehat Bersama menolak pasien BPJS", "Klinik Sehat Sentosa menolak pasien BPJS"),
        ("wali murid minta sekolah lima hari", "wali murid tolak sekolah lima hari"),
        ("kami setuju pembangunan rusun di Waru", "kami tidak setuju pembangunan rusun di Waru"),
        ("air mengalir hanya malam, siang mati", "air mengalir hanya siang, malam mati"),
        ("pindah dari Arumsari ke Telagabiru, berkas hilang", "pindah dari Telagabiru ke Arumsari, berkas hilang"),
        ("sopir angkot dipukul petugas dishub", "petugas dishub dipukul sopir angkot"),
        ("saluran irigasi desa Purwosari jebol", "saluran irigasi desa Purwodadi jebol"),
        ("tidak ada air bersih di desa Cikadu", "tidak ada air bersih di desa Cikandu"),
        ("ijazah Rangga Pratama ditahan sekolah", "ijazah Rangga Permana ditahan sekolah"),
        ("bus jurusan Solo - Jakarta mogok di tol", "bus jurusan Jakarta - Solo mogok di tol"),
        ("guru pengajar di SDN 2 memukul", "pelajar di SDN 2 memukul guru"),
        (f"{_ROAD}, ongkos angkot Rp35.000,-. Trims", f"{_ROAD}, ongkos angkot Rp350.000,-. Trims"),
        ("sampah pasar Kalibaru menumpuk", "sampah pasar Kalibari menumpuk"),
        ("pos polisi Sumbersari kosong tiap malam", "pos polisi Sumberasri kosong tiap malam"),
        ("pasar Tanjung Pinang kebakaran", "pasar Tanjung Penang kebakaran"),
        ("bantuan beras dusun Ngasem sudah kami terima", "bantuan beras dusun Ngasem belum kami terima"),
    ],
)
def test_nearly_the_same_words_can_say_another_thing(one: str, other: str) -> None:
    """Whose, which, when, from where, by whom, or not at all."""
    assert not same_matter(normalise(one), normalise(other))
    assert not same_matter(normalise(other), normalise(one))


def test_a_lost_end_is_no_difference() -> None:
    """An SMS that was cut has lost its end, numbers and names included; the last word may be a stump."""
    whole = f"{_ROAD}. Kami warga sekitar kesulitan mengangkut hasil panen ke gudang nomor 17 milik Pak Wagiman"
    for length in (110, 140, 160):
        assert same_matter(normalise(whole), normalise(whole[:length]))


def test_a_number_that_is_missing_in_the_middle_is_one() -> None:
    """Nobody has cut that."""
    assert not same_matter(normalise(_ROAD), normalise(_ROAD.replace(" RT 05 RW 02", "")))


@pytest.mark.parametrize(("one", "other"), [("KENDAL", "BJN"), ("KIP", "PKH")])
def test_two_keywords_are_two_matters_and_a_lost_one_is_none(one: str, other: str) -> None:
    """The keyword says which region or programme is meant."""
    text = "dana bantuan anak saya belum cair"
    first, second = normalise(f"{one} {text}", one), normalise(f"{other} {text}", other)
    assert not same_matter(first, second)
    assert same_matter(first, normalise(text))


@pytest.mark.parametrize("text", ["Halo min", "tolong pak", "???"])
def test_a_text_that_tells_nothing_is_only_repeated_literally(text: str) -> None:
    """Courtesies alone are no matter."""
    assert same_matter(normalise(text), normalise(text)) == bool(normalise(text).words)
    assert not same_matter(normalise(text), normalise("Selamat pagi bapak"))


@pytest.mark.parametrize(
    ("one", "other", "slip"),
    [
        ("sukamaju", "sukmaju", True),
        ("lestari", "lestrai", True),
        ("kecamatan", "kecamatqn", True),
        ("desa", "deda", True),
        ("margasari", "margosari", False),
        ("sukaraja", "sukaraya", False),
        ("sidorejo", "sidoarjo", False),
        ("banjar", "banjaran", False),
        ("batu", "baru", False),
        ("rt5", "rt6", False),
    ],
)
def test_a_slip_of_the_finger_is_told_from_another_name(one: str, other: str, slip: bool) -> None:  # noqa: FBT001
    """Keys that touch, letters lost, doubled or swapped; nothing else."""
    assert is_slip(one, other) == is_slip(other, one) == slip


@pytest.mark.parametrize(("short", "word"), [("jmbtn", "jembatan"), ("msyrkt", "masyarakat"), ("prnh", "pernah")])
def test_a_word_without_its_vowels_is_known(short: str, word: str) -> None:
    """Nobody keeps a list of all of these."""
    assert is_abbreviation(short, word)
    assert not is_abbreviation(short, "kelurahan")
