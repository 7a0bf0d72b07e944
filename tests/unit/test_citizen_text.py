"""What is taken off a citizen's text, and what is found in it; the texts are invented in the manner of real ones."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model import Keyword
from parsers import citizen_text

HOSTILE = {
    "digits": "1" * 40_000,
    "spaced digits": "1 " * 20_000,
    "a programme's word again and again": "kks 1 2 3 4 5 6 7 8 9 0 1 2 " * 1_400,
    "hash signs": "#" * 40_000,
    "numbers to look at": "no laporan saya #1234567 " * 1_600,
    "marks without numbers": "tracking id : # " * 2_500,
    "blanks": "LAPOR" + " " * 40_000 + "x",
    "spasi": "LAPOR" + "(spasi)" * 5_700,
    "half a spasi": "LAPOR " + "( spasi " * 5_000,
    "one word": "a" * 40_000,
    "opening signs": "(" * 40_000,
    "words of a form": "ab " * 13_000 + "(spasi)",
}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        pytest.param("LAPOR Jalan rusak", "Jalan rusak", id="the published form"),
        pytest.param("LAPOR (spasi) Jalan rusak", "Jalan rusak", id="spasi taken literally"),
        pytest.param("LAPOR(spasi)Jalan rusak", "Jalan rusak", id="spasi without blanks"),
        pytest.param("lapor <spasi> jalan rusak", "jalan rusak", id="spasi in angle brackets"),
        pytest.param("LAPOR spasi Jalan rusak", "Jalan rusak", id="spasi as a word"),
        pytest.param("Lapor: jalan rusak", "jalan rusak", id="a colon"),
        pytest.param("LAPOR#Jalan rusak", "Jalan rusak", id="a hash for a blank"),
        pytest.param("LAPOR! Jalan rusak", "Jalan rusak", id="the name of the service"),
        pytest.param("#LAPOR Jalan rusak", "Jalan rusak", id="as a hashtag"),
        pytest.param('"LAPOR" Jalan rusak', "Jalan rusak", id="in quotes"),
        pytest.param("LAPOR\nJalan rusak", "Jalan rusak", id="on a line of its own"),
        pytest.param("lapor.. lampu mati", "lampu mati", id="dots"),
        pytest.param("LAPOR(spasi)PATI(spasi)Jalan rusak", "PATI Jalan rusak", id="a region nobody knows"),
        pytest.param("BANJARMASIN(spasi)Isi aduan", "BANJARMASIN Isi aduan", id="a region's form"),
        pytest.param("KAB. NGANJUK(spasi)Isi", "KAB. NGANJUK Isi", id="a region of two words"),
        pytest.param("LAPOR #1234567897 belum ada kabar", "#1234567897 belum ada kabar", id="a marked number"),
        pytest.param("LAPOR#1948147 belum", "#1948147 belum", id="a number's sign glued on"),
        pytest.param("LAPOR #jawabarat banjir", "#jawabarat banjir", id="the citizen's own hashtag"),
    ],
)
def test_the_service_word_is_taken_off(written: str, text: str) -> None:
    """LAPOR and the literal "(spasi)" belong to the form, not to what the citizen says."""
    assert citizen_text.without_service_word(written) == text


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("Lapor pak, jalan rusak", id="somebody is addressed"),
        pytest.param("lapor ke polisi tidak ditanggapi", id="the verb of a sentence"),
        pytest.param("LAPOR RT 05 sudah dua kali", id="perhaps a verb"),
        pytest.param("lapor-lapor terus tanpa hasil", id="a word said twice"),
        pytest.param("laporan saya belum dijawab", id="a longer word"),
        pytest.param("Laporkan oknum pungli", id="another longer word"),
        pytest.param("lapor?", id="a question"),
        pytest.param("LAPOR", id="nothing else"),
        pytest.param("LAPOR ...", id="nothing else but dots"),
        pytest.param("LAPOR HENDI jalan berlubang", id="part of a programme's name"),
        pytest.param("#LaporHendi jalan berlubang", id="part of a hashtag"),
        pytest.param("Jalan rusak, mohon lapor", id="not at the beginning"),
        pytest.param("Tulis format LAPOR (spasi) isi kok gagal", id="a sentence about the form"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_word_that_may_be_the_citizens_own_stays(written: str) -> None:
    """Keeping a service word costs nothing; losing the verb of a sentence changes what it says."""
    assert citizen_text.without_service_word(written) == written


def test_a_programme_that_is_named_after_the_service_keeps_its_name_without_spasi() -> None:
    """The form's blank is none of the keyword's letters."""
    text = citizen_text.without_service_word("LAPOR(spasi)HENDI(spasi)jalan berlubang")
    assert text == "LAPOR HENDI jalan berlubang"
    assert citizen_text.leading_keyword(text) == Keyword("LAPOR HENDI", "LAPOR HENDI")


@pytest.mark.parametrize(
    ("text", "written", "normalised"),
    [
        pytest.param("Bjn.ma,af kok blm dibenahi", "Bjn", "BJN", id="a dot for a blank"),
        pytest.param("Bandung...,,,....E KTP", "Bandung", "BANDUNG", id="many signs"),
        pytest.param("qKIP #JAWABARAT #KOTABEKASI", "qKIP", "KIP", id="a slip of the finger"),
        pytest.param("Kip Q7 mij2Saya", "Kip", "KIP", id="a programme"),
        pytest.param("KAB. NGANJUK jembatan putus", "KAB. NGANJUK", "KAB NGANJUK", id="a dot and a blank"),
        pytest.param("kab.nganjuk jembatan putus", "kab.nganjuk", "KAB NGANJUK", id="small letters, no blank"),
        pytest.param("Kabupaten Nganjuk banjir", "Kabupaten Nganjuk", "KAB NGANJUK", id="in full"),
        pytest.param("KOTA BANDUNG macet", "KOTA BANDUNG", "KOTA BANDUNG", id="a town is no regency"),
        pytest.param("KIP123ABC belum cair", "KIP", "KIP", id="a number glued on"),
        pytest.param("#DKI banjir lagi", "DKI", "DKI", id="a hashtag"),
        pytest.param("SL 3200000000000001 123456", "SL", "SL", id="two letters in capitals"),
        pytest.param("sl 3200000000000001 123456", "sl", "SL", id="two small letters before a number"),
        pytest.param("TANGKAB", "TANGKAB", "TANGKAB", id="nothing else"),
        pytest.param("LaporHendi jalan", "LaporHendi", "LAPOR HENDI", id="one word of two"),
    ],
)
def test_a_leading_region_or_programme_word_is_a_keyword(text: str, written: str, normalised: str) -> None:
    """However it is written, the keyword is normalised; what the citizen wrote is kept beside it."""
    assert citizen_text.leading_keyword(text) == Keyword(written, normalised)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("KIPAS angin puskesmas rusak", id="KIPAS"),
        pytest.param("SLAMET dari Kendal", id="SLAMET"),
        pytest.param("DIYAKINI ada pungli", id="DIYAKINI"),
        pytest.param("sl pagi pak", id="sl as an abbreviation"),
        pytest.param("Jalan di BANDUNG macet", id="a region in the middle"),
        pytest.param("Hendi tetangga saya", id="a person of the programme's name"),
        pytest.param("KAB. LAIN jembatan putus", id="another regency"),
        pytest.param("2026 KIP", id="a number first"),
        pytest.param("", id="nothing"),
        pytest.param("🙏 KIP", id="a sign first"),
    ],
)
def test_a_word_that_only_looks_like_a_keyword_is_none(text: str) -> None:
    """A word that merely begins with a keyword, or stands elsewhere, says nothing of a region."""
    assert citizen_text.leading_keyword(text) is None


def test_the_table_of_keywords_is_the_callers_choice() -> None:
    """A regency that joins later needs no other code."""
    assert citizen_text.leading_keyword("PATI banjir", frozenset({"PATI"})) == Keyword("PATI", "PATI")
    assert citizen_text.leading_keyword("KIP banjir", frozenset({"PATI"})) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("laporan #1234567897 belum selesai", ("1234567897",), id="our tracking ID"),
        pytest.param("!1948147 salah disposisi", ("1948147",), id="an exclamation mark"),
        pytest.param("Tracking ID : #6034729", ("6034729",), id="in words and signs"),
        pytest.param("TRACKING ID#: 1952491", ("1952491",), id="a hash before the colon"),
        pytest.param("ID 194067 mohon info", ("194067",), id="six digits"),
        pytest.param("no laporan saya 1940672", ("1940672",), id="the number of my report"),
        pytest.param("laporan saya nomor 1940672", ("1940672",), id="my report's number"),
        pytest.param("https://contoh.test/id/1940672 dan /pengaduan/1940673", ("1940672", "1940673"), id="addresses"),
        pytest.param("#1940672 dan #1940672", ("1940672",), id="twice the same"),
        pytest.param("KIP 1a2B3c belum cair", ("KIP1A2B3C",), id="KIP"),
        pytest.param("Kip Q7 mij2Saya belum terima", ("KIPQ7MIJ2",), id="KIP with a blank, a word glued on"),
        pytest.param("qKIP#1A2B3C", ("KIP1A2B3C",), id="KIP behind a hash"),
        pytest.param("no KIP 123456 ya", ("KIP123456",), id="KIP of digits is no number of the core"),
        pytest.param("KKS 1234 5678 9012 3456", ("1234567890123456",), id="KKS of 16 digits in groups"),
        pytest.param("KKS: 1A2B3C4D5E6F7G", ("1A2B3C4D5E6F7G",), id="KKS of letters and digits"),
        pytest.param("kks 12345678901234.", ("12345678901234",), id="KKS of 14 digits"),
        pytest.param("SL 3200000000000001 12345678", ("3200000000000001", "SL12345678"), id="SL"),
        pytest.param("SL#3200000000000001#123456789", ("3200000000000001", "123456789"), id="SL with hashes"),
        pytest.param("SL 3200000000000001 # 1234567", ("3200000000000001", "SL1234567"), id="SL, a hash apart"),
        pytest.param("NIK 3200000000000001 a.n. Fulan", ("3200000000000001",), id="NIK"),
        pytest.param("#1940672 KIP 1A2B3C 123456789", ("1940672", "KIP1A2B3C", "123456789"), id="in order"),
        pytest.param("İ kip 1A2B3C", ("KIP1A2B3C",), id="a letter that grows in lower case"),
    ],
)
def test_id_like_tokens_are_references(text: str, found: tuple[str, ...]) -> None:
    """Tracking IDs in every form, card numbers and long runs of digits tell one matter from another."""
    assert citizen_text.references(text) == found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("tgl 01-11-2026 jam 08.00", id="a date"),
        pytest.param("tgl 20261101", id="a date in one"),
        pytest.param("rugi Rp 1.500.000.000", id="an amount with dots"),
        pytest.param("rugi Rp 150000000", id="an amount without"),
        pytest.param("rugi rp150000000", id="an amount glued on"),
        pytest.param("RT 05 RW 02 no 123456", id="a house"),
        pytest.param("pelanggan 12345678", id="an unmarked number"),
        pytest.param("Halo!1948147", id="an exclamation, then a number"),
        pytest.param("contoh.go.id 1940672", id="a domain's name"),
        pytest.param("KIP 2 anak2 saya", id="KIP and a word said twice"),
        pytest.param("KIP orang2 kaya", id="KIP and another"),
        pytest.param("KIP saya 2 tahun belum cair", id="KIP in prose"),
        pytest.param("SLAMET 3200", id="a name"),
        pytest.param("1" * 33, id="longer than any ID"),
        pytest.param("jalan rusak", id="no digit"),
        pytest.param("", id="nothing"),
    ],
)
def test_other_numbers_are_no_references(text: str) -> None:
    """A number that nobody calls an ID is part of the text and nothing more."""
    assert citizen_text.references(text) == ()


def test_no_more_references_are_given_than_fifty() -> None:
    """A list of numbers does not make an event of any size."""
    text = " ".join(f"{number:010}" for number in range(1, 200))
    assert citizen_text.references(text) == tuple(f"{number:010}" for number in range(1, 51))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(" halo \n", "halo", id="blanks around"),
        pytest.param("ha\x00lo\x07\x9b", "halo", id="control characters"),
        pytest.param("satu\r\ndua\rtiga\tempat", "satu\ndua\ntiga\tempat", id="line ends"),
        pytest.param("a\ud83d b\ude00", "a\ufffd b\ufffd", id="halves of characters"),
        pytest.param("a\ud83d\ude00", "a😀", id="two halves that belong together"),
        pytest.param("e\u0301 \u00e9", "e\u0301 \u00e9", id="no normal form is forced"),
        pytest.param("\u202eabc", "\u202eabc", id="directions stay"),
    ],
)
def test_a_text_is_kept_as_written_but_for_what_nobody_writes(raw: str, text: str) -> None:
    """The cleaned text is valid UTF-8 and holds every word."""
    assert citizen_text.clean(raw) == text


@pytest.mark.parametrize("text", ["", "\u200b", " \ufeff\n", "\u00ad\u200d"])
def test_a_text_without_anything_to_see_is_blank(text: str) -> None:
    """Blanks and invisible signs are no message."""
    assert citizen_text.is_blank(text)


@pytest.mark.parametrize("text", ["?", "...", "🙏", "\ufffd"])
def test_a_single_sign_is_not_blank(text: str) -> None:
    """A person sent it, and may be asked what it means."""
    assert not citizen_text.is_blank(text)


@pytest.mark.parametrize(
    "function",
    [citizen_text.clean, citizen_text.without_service_word, citizen_text.leading_keyword, citizen_text.references],
    ids=lambda function: function.__name__,
)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_text_costs_no_time(function: Callable[[str], object], text: str) -> None:
    """No pattern goes back over what it has read: 40,000 characters take a fraction of a second."""
    start = time.process_time()
    function(text)
    assert time.process_time() - start < 0.5


@given(st.text(alphabet=st.sampled_from("LAPORlapor (spasi)#!:.-KIPkipSLDKI0123456789\n\ufffd\ud83dé😀"), max_size=80))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    """Whatever is written, the report's text is the end of it, but for the form's own signs."""
    cleaned = citizen_text.clean(text)
    cleaned.encode()
    report = citizen_text.without_service_word(cleaned)
    if "spasi" not in cleaned.lower():
        assert cleaned.endswith(report)
    assert len(citizen_text.references(report)) <= citizen_text.MOST_REFERENCES
    citizen_text.leading_keyword(report)
