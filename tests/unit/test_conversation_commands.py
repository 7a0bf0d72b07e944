"""What is a command: a whole message, however people write it, and never a complaint."""

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversation.commands import LONGEST, REASONS, Command, command_in, command_of
from gateway.identifiers import luhn_digit
from gateway.model import Attachment, Reporter
from gateway.parsing import Parsed, Revision

ID, OTHER, MISTYPED = "1234567897", "9876543217", "1234567890"
STATUS, BARE, NEWEST = Command("status", (ID,)), Command("status", (ID,), sure=False), Command("status")
HELP, STOP, START = Command("help"), Command("stop"), Command("start")


def test_the_numbers_of_these_tests_are_what_they_say() -> None:
    """Two with a right check digit, one with a wrong one."""
    assert [number[-1] == luhn_digit(number[:-1]) for number in (ID, OTHER, MISTYPED)] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "command"),
    [
        # by number
        (f"STATUS {ID}", STATUS),
        (f"status#{ID}", STATUS),
        (f"Status: {ID}.", STATUS),
        (f"LAPOR STATUS {ID}", STATUS),
        (f"status laporan saya #{ID}", STATUS),
        (f"Cek status tracking id : #{ID}", STATUS),
        (f"cek {ID}", STATUS),
        (f"CEK LAPORAN NO {ID} PAK", STATUS),
        (f"tolong cek laporan saya dgn nomor {ID} ya min, terima kasih", STATUS),
        (f"Tracking ID: {ID}", STATUS),
        (f"TRACKING ID#: {ID}", STATUS),
        (f"no laporan {ID}", STATUS),
        (f"Laporan !{ID} sudah sampai mana?", STATUS),
        (f"Assalamualaikum wr wb. Bagaimana tindak lanjut laporan saya no. {ID}? Terima kasih.", STATUS),
        (f"bagaimana laporanku {ID}", STATUS),
        (f"statusnya {ID} gimana", STATUS),
        (f"piye laporanku {ID}", STATUS),
        (f"https://www.lapor.go.id/id/{ID}", STATUS),
        (f"what is the status of my report {ID}", STATUS),
        ("status 1234 567 897", STATUS),
        ("status 12345-67897", STATUS),
        ("status １２３４５６７８９７", STATUS),
        (f"status {ID} dan {OTHER}", Command("status", (ID, OTHER))),
        (f"status {ID} {OTHER}", Command("status", (ID, OTHER))),
        (f"status {ID} {ID}", STATUS),
        (f"cek status {ID} ke 1708", STATUS),
        (f"status {MISTYPED}", Command("status", (MISTYPED,))),
        ("status 123456789", Command("status", ("123456789",))),
        (f"#{ID}", STATUS),
        (ID, BARE),
        (f" {ID}. ", BARE),
        (f"Pak {ID}", BARE),
        (f"LAPOR {ID}", BARE),
        # the newest
        ("STATUS", NEWEST),
        ("status?", NEWEST),
        ("Status laporan saya", NEWEST),
        ("cek laporan saya pak", NEWEST),
        ("Bagaimana kabar laporan saya?", NEWEST),
        ("laporan saya sudah sampai mana min", NEWEST),
        # help
        ("BANTUAN", HELP),
        ("bantuan!", HELP),
        ("Help", HELP),
        ("LAPOR BANTUAN", HELP),
        ("Lapor pak", HELP),
        ("LAPOR", HELP),
        ("INFO LAPOR", HELP),
        ("cara lapor", HELP),
        ("Cara lapornya gimana min?", HELP),
        ("Bagaimana cara melapor ke 1708?", HELP),
        ("gimana lapor lewat sms?", HELP),
        ("format sms lapor", HELP),
        ("how to report", HELP),
        # stop and start
        ("STOP", STOP),
        ("stop.", STOP),
        ("Stop pak", STOP),
        ("BERHENTI", STOP),
        ("Mohon berhenti kirim sms ke nomor saya", STOP),
        ("stop notifikasi", STOP),
        ("jangan kirim sms lagi", STOP),
        ("UNREG LAPOR", STOP),
        (f"STOP {ID}", STOP),
        ("hentikan notifikasi", STOP),
        ("MULAI", START),
        ("start", START),
        ("Mulai lagi pak, terima kasih", START),
        ("aktifkan notifikasi lagi", START),
    ],
)
def test_a_command_is_recognised_in_the_ways_people_write_it(text: str, command: Command) -> None:
    """With greetings and signs, with and without the service word, in groups of digits."""
    assert command_in(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "…😀",
        "Stop pungli di pasar",
        "STOP! Sampah menumpuk di depan sekolah",
        "Stop sms penipuan pak",
        "Stop SMS iklan pinjol",
        "Berhenti beroperasi pabrik di kampung kami",
        "Bus tidak mau berhenti di halte",
        "Bantuan sosial belum cair",
        "bantuan pkh saya",
        "Bantuan banjir",
        "Mohon bantuan pak, rumah saya roboh",
        "tolong bantu saya",
        "Tolong!",
        "Help! Ada kebakaran",
        "Info jalan rusak",
        "cara lapor pungli di sekolah",
        "mulai hari ini air mati",
        "Mulai jam 6 listrik padam",
        "jangan kirim sampah lagi",
        "hentikan pembangunan ini",
        "aktifkan lagi lampu jalan",
        "matikan",
        "status tanah saya",
        "Status KTP saya belum jadi",
        f"Status laporan saya #{ID} kenapa belum ada kabar",
        f"status {ID} jalan masih rusak",
        f"Laporan {ID} salah disposisi",
        f"tracking ID #{ID} belum ditindak",
        "status bantuan saya",
        "cek",
        "cek cek",
        "tes",
        "apa kabar pak",
        "Bagaimana ini pak?",
        "saya",
        "terima kasih",
        "ok",
        "cek nomor 081234567890",
        "cek 62811000001",
        "status #1948147",  # a number of the core's: the core is told
        "status 1948147",
        "#1948147",
        MISTYPED,
        f"#{MISTYPED}",
        "0811000001",
        "3201010101010001",
        "cek NIK 3201010101010001",
        "1234567897123",
        "1234567897 2",
        f"{ID} {OTHER} 1111111116 2222222224",
        f"bantuan {ID} pkh",
        f"status {ID} " + "x" * LONGEST,
        "статус",
    ],
)
def test_what_says_anything_else_is_no_command(text: str) -> None:
    """One word out of the list, and people read it."""
    assert command_in(text) is None


PARSED = Parsed(reporter=Reporter(address="+6281100000001", kind="phone"), text="STATUS", sent_at=None)


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, NEWEST),
        ({"not_a_report": "a promotion"}, None),
        ({"held": "a bare mention"}, NEWEST),
        ({"held": "a bare mention", "text": "Jalan rusak"}, None),
        ({"held": "the hashtag alone", "answerable": False}, None),
        ({"completes": "post-1"}, None),
        ({"revision": Revision(("post-1",), 1)}, NEWEST),
        ({"revision": Revision(("post-1", "post-2"), 2)}, None),
        ({"attachments": (Attachment(name=None, media_type="image/png", size=1, sha256=None, url="u"),)}, None),
        ({"title": "Laporan saya"}, NEWEST),
        ({"title": f"STATUS {ID}", "text": "Terima kasih."}, STATUS),
        ({"title": f"STATUS {ID}", "text": "Jalan masih rusak."}, None),
        ({"title": "STOP", "text": "STOP"}, STOP),
        ({"title": "Pertanyaan", "text": "Jalan rusak"}, None),
    ],
)
def test_a_message_is_a_command_by_its_words_alone(changes: dict[str, Any], command: Command | None) -> None:
    """A file, another version, a reason against it: no command. A mail may say it in its subject."""
    assert command_of(replace(PARSED, **changes)) == command


def test_the_ledger_has_a_sentence_for_each_kind() -> None:
    """It never holds a word of the citizen's."""
    assert {Command(kind).reason for kind in REASONS} == set(REASONS.values())


@given(st.text(max_size=300))
def test_any_text_has_an_answer(text: str) -> None:
    """Nothing raises, and what is found is in the text."""
    found = command_in(text)
    assert found is None or len(found.numbers) <= 3


def test_hostile_texts_take_no_time() -> None:
    """Long ones are not looked into, short ones are read once."""
    begun = time.process_time()
    for text in ("1 " * 100, "#" * LONGEST, "status " * 28, "1-" * 100, "ya" * 100, "status " * 10**5):
        for _ in range(100):
            command_in(text)
    assert time.process_time() - begun < 2
