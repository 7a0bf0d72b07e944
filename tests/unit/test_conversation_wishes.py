"""By which words people ask to be left unnamed or secret, and by which they do not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversation.wishes import LIMIT, strictest, visibility_of
from gateway.model import Visibility


@pytest.mark.parametrize(
    "text",
    [
        "Kepala desa minta uang. Rahasiakan identitas saya",
        "rahasiakan nama saya pak",
        "Tolong rahasiakan laporan ini",
        "tolong rahasiakan nama dan nomor hp saya",
        "Ada pungli di SD. Mohon dirahasiakan.",
        "mohon identitas saya dirahasiakan",
        "Mohon untuk dirahasiakan identitas pelapor",
        "mhn agar nama sy dirahasiakan pak",
        "identitas pelapor mohon dirahasiakan",
        "Identitas saya tolong dirahasiakan ya pak",
        "nama saya dirahasiakan saja",
        "data diri saya harap dirahasiakan, saya takut",
        "Pungli di kantor. Identitas dirahasiakan.",
        "laporan ini mohon dirahasiakan",
        "Laporan ini bersifat rahasia",
        "laporan ini rahasia ya",
        "mohon jaga kerahasiaan identitas saya",
        "mohon dijaga kerahasiaannya",
        "kerahasiaan identitas saya mohon dijaga",
        "minta tolong merahasiakan identitas saya",
        "Ada korupsi dana desa #rahasia",
        "#Rahasia jalan rusak",
        "jalan rusak #rahasiakan",
        "RAHASIA: kades kami menjual beras bantuan",
        "Kades menjual beras\nRAHASIA",
        "rahasiakan",
        "Tolong rahasiakan ya",
        "jalan rusak (rahasiakan)",
        "rahasiakan\nidentitas saya",
        "Please keep my identity confidential",
        "please keep this report secret",
        "anonim, dan rahasiakan laporan saya",
    ],
)
def test_a_wish_for_secrecy(text: str) -> None:
    """In full, in short, by hashtag, as a heading."""
    assert visibility_of(text) == "secret"


@pytest.mark.parametrize(
    "text",
    [
        "Anonim",
        "Jalan rusak di depan pasar. Anonim",
        "Jalan rusak di depan pasar\n- anonim -",
        "anonim: guru memungut uang",
        "saya lapor secara anonim",
        "Saya ingin anonim",
        "mohon laporan saya dibuat anonim",
        "laporan anonim, ada pungli di pasar",
        "ada pungli #anonim",
        "tanpa nama",
        "Jalan rusak, tanpa nama",
        "saya melapor tanpa nama",
        "jangan sebut nama saya",
        "Jgn sebutkan nama sy pak",
        "tolong jangan cantumkan nama saya",
        "jangan tampilkan identitas saya",
        "jangan publikasikan nama dan nomor hp saya",
        "nama saya jangan disebut",
        "Nama saya tidak usah dicantumkan",
        "jangan sampai nama saya diketahui",
        "jangan sampai identitas saya bocor",
        "nama saya jangan sampai bocor",
        "tanpa menyebut nama saya",
        "saya tidak mau disebut namanya",
        "tidak mau menyebut nama saya",
        "I want to report this anonymously",
        "please do not publish my name",
    ],
)
def test_a_wish_to_be_unnamed(text: str) -> None:
    """The content may be read, the name not."""
    assert visibility_of(text) == "anonymous"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Jalan rusak di depan pasar",
        "Saya dapat SMS minta kode rahasia",
        "jangan berikan kode rahasia OTP",
        "Rahasiakan kode OTP anda",
        "sudah bukan rahasia lagi kalau di sana ada pungli",
        "Pungli itu rahasia umum",
        "sudah jadi rahasia umum",
        "rahasia negara bocor",
        "dokumen rahasia dijual di pasar",
        "anggaran desa dirahasiakan oleh kades",
        "dana yang dirahasiakan",
        "mohon diperiksa, anggarannya dirahasiakan kades",
        "kenapa kades merahasiakan data penerima",
        "identitas pelaku dirahasiakan polisi",
        "identitas saya tidak perlu dirahasiakan",
        "mohon jangan dirahasiakan",
        "jangan rahasiakan laporan saya",
        "tidak usah rahasiakan nama saya",
        "tidak rahasia",
        "akun anonim menyebar fitnah",
        "surat anonim beredar di desa",
        "ditelepon nomor anonim",
        "bukan anonim",
        "saya tidak anonim",
        "Jalan tanpa nama di RT 5 rusak",
        "surat tanpa nama dikirim ke rumah",
        "nama saya Budi, jalan rusak",
        "nama saya tidak ada di daftar penerima",
        "identitas saya dipakai orang",
        "jangan salah tulis nama jalan",
        "tidak ada nama saya di daftar",
        "nama anak saya tidak muncul di data PKH",
        "nama saya tidak muncul di data PKH",
        "petugas tidak mencantumkan nama saya",
        "nama kami tidak ditulis di daftar",
        "no hp saya tidak diketahui petugas",
        "nama saya disembunyikan dari daftar",
        "a secret meeting",
        "#rahasianegara",
        "#anonimitas",
    ],
)
def test_the_same_words_about_something_else_are_no_wish(text: str) -> None:
    """Codes, accounts, roads, officials; and who says that no secret is needed."""
    assert visibility_of(text) == "public"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), "public"),
        ((None, "Jalan rusak"), "public"),
        (("Mohon dirahasiakan", "Jalan rusak"), "secret"),
        (("Anonim", "rahasiakan identitas saya"), "secret"),
        (("RAHASIA", None), "secret"),
        (("x " * LIMIT + "#rahasia",), "public"),
    ],
)
def test_every_text_is_read_and_the_strictest_wish_wins(texts: tuple[str | None, ...], expected: Visibility) -> None:
    """A title counts as much; what nobody can have meant to be read is not searched."""
    assert visibility_of(*texts) == expected


def test_the_strictest_of_wishes() -> None:
    """An addition may only hide more."""
    assert strictest(["public", "secret", "anonymous"]) == "secret"
    assert strictest(["anonymous", "public"]) == "anonymous"
    assert strictest([]) == "public"


@given(st.text(max_size=300))
def test_any_text_has_a_visibility(text: str) -> None:
    """Nothing raises."""
    assert visibility_of(text, "rahasia " + text) in ("public", "secret", "anonymous")


@pytest.mark.parametrize(
    "piece",
    [
        "mohon ",
        "mohon identitas saya nama ",
        "identitas saya mohon ",
        "laporan ini saya secara ",
        "jangan sampai nama nomor hp ",
        "nama saya jangan mau ",
        "kerahasiaan nama ",
        "jaga mohon ",
        "rahasiakan untuk ",
        "\nrahasia x",
        "| anonim|",
    ],
)
def test_hostile_texts_are_read_once(piece: str) -> None:
    """Ten times the text takes about ten times as long, not a hundred."""
    visibility_of("rahasia nama " + piece * 50)
    begun = time.process_time()
    for _ in range(5):
        visibility_of("rahasia nama " + piece * (LIMIT // len(piece)))
    assert time.process_time() - begun < 5
