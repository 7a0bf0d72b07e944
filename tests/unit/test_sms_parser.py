"""What the SMS parser makes of libGammu's records; the records are as libGammu 1.45 gave them, the texts invented."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Quarantine
from gateway.model import Keyword
from gateway.parsing import Parsed, Profile
from parsers import sms
from parsers.senders import SenderKind, identify, is_own

PROFILE = Profile(own_addresses=frozenset({"1708", "0811-0000-099"}))
NO_HEADER = {"AllParts": 0, "ID16bit": 0, "ID8bit": 0, "PartNumber": -1, "Text": {"hex": ""}, "Type": "NoUDH"}
# Beside the concatenation stands a national language's table (25 01 01): libGammu fills in nothing then.
MIXED_HEADER = "0825010100030902{:02x}"


def raw(text: str | bytes = "Jalan rusak di depan pasar", **fields: Any) -> bytes:
    """The record of one message, canonically encoded as the channel does it."""
    record: dict[str, Any] = {
        "Class": -1,
        "Coding": "8bit" if isinstance(text, bytes) else "Default_No_Compression",
        "DateTime": "2026-11-01T08:00:00+07:00",
        "DeliveryStatus": 0,
        "Folder": 1,
        "Length": len(text),
        "Location": 1,
        "Memory": "SM",
        "MessageReference": 0,
        "Number": "+6281100000001",
        "SMSC": {"Number": "+6281100000000", "Validity": "NA"},
        "SMSCDateTime": "2026-11-21T20:30:52+00:00",
        "State": "UnRead",
        "Text": {"hex": text.hex()} if isinstance(text, bytes) else text,
        "Type": "Deliver",
        "UDH": NO_HEADER,
    }
    return json.dumps(record | fields, sort_keys=True, separators=(",", ":")).encode()


def header(octets: str, kind: str = "UserUDH", **fields: int) -> dict[str, Any]:
    """A user data header as python-gammu gives it: the octets, and what libGammu made of them."""
    numbers = {"AllParts": -1, "ID16bit": -1, "ID8bit": -1, "PartNumber": -1}
    return numbers | fields | {"Text": {"hex": octets}, "Type": kind}


def part(text: str | bytes, number: int, total: int, **fields: Any) -> bytes:
    """One part of a message with the 8-bit reference 59."""
    octets = f"0500033b{total:02x}{number:02x}"
    udh = header(octets, "ConcatenatedMessages", AllParts=total, ID8bit=59, PartNumber=number)
    return raw(text, **({"UDH": udh} | fields))


def parse(*raws: bytes | None) -> Parsed:
    """Parses with the profile of a channel that is known as 1708."""
    return sms.parse(raws, PROFILE)


def test_a_plain_message_is_a_report() -> None:
    """Sender, text and time come out; the time in UTC, never the time of reading."""
    parsed = parse(raw("LAPOR BJN jalan rusak, laporan #1940672"))
    assert parsed.reporter.address == "+6281100000001"
    assert parsed.reporter.kind == "phone"
    assert parsed.text == "BJN jalan rusak, laporan #1940672"
    assert parsed.keyword == Keyword("BJN", "BJN")
    assert parsed.references == ("1940672",)
    assert parsed.sent_at == datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
    assert (parsed.not_a_report, parsed.answerable, parsed.part, parsed.delivery) == (None, True, None, None)


@pytest.mark.parametrize(
    ("text", "fields", "read"),
    [
        pytest.param("halo {pak}\0\0z", {}, "halo {pak}", id="stale octets behind GSM-7"),
        pytest.param("a\0b", {"Coding": "Unicode_No_Compression"}, "ab", id="a NUL within UCS-2"),
        pytest.param("baris satu\r\nbaris dua\x07", {}, "baris satu\nbaris dua", id="line ends and a bell"),
        pytest.param("halo \ud83d pak", {"Coding": "Unicode_No_Compression"}, "halo \ufffd pak", id="half a sign"),
        pytest.param("halo 😀", {"Coding": "Unicode_No_Compression"}, "halo 😀", id="an emoji"),
        pytest.param(b"jalan rusak", {}, "jalan rusak", id="8-bit ASCII"),
        pytest.param("café mahal".encode(), {}, "café mahal", id="8-bit UTF-8"),
        pytest.param("jalan di depan café rusak".encode("latin-1"), {}, "jalan di depan café rusak", id="Latin-1"),
        pytest.param(b"jalan\0\0", {}, "jalan", id="8-bit, padded"),
        pytest.param("?", {}, "?", id="a single sign"),
        pytest.param("LAPOR", {}, "LAPOR", id="the service word alone"),
        pytest.param("kartu", {"UDH": header("0605041581158a")}, "kartu", id="a text with a port"),
    ],
)
def test_the_text_is_what_was_written(text: str | bytes, fields: dict[str, Any], read: str) -> None:
    """Every coding gives valid text, and what the modem's memory left behind is cut."""
    parsed = parse(raw(text, **fields))
    assert parsed.text == read
    assert parsed.not_a_report is None
    parsed.text.encode()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        pytest.param(b'{"Location":7,"error":"ERR_CORRUPTED"}', "decode the message: ERR_CORRUPTED", id="corrupted"),
        pytest.param(b'{"Location":7,"error":"+62811 halo"}', "decode the message: an error", id="an odd error"),
        pytest.param(raw(b"\x01\x06\x03\xae\x81\xea"), "8-bit data that is no text", id="binary"),
        pytest.param(raw(b"abc\x01"), "8-bit data that is no text", id="control octets"),
        pytest.param(raw("", Coding="Default_Compression"), "compressed", id="compressed"),
        pytest.param(raw(Text={"hex": "0"}), "not a record", id="not hexadecimal"),
        pytest.param(raw(UDH=header("zz")), "not a record", id="a header that is not hexadecimal"),
        pytest.param(raw(Type="Baru"), "no message", id="an unknown type"),
        pytest.param(raw(Text=7), "not a record", id="a number for a text"),
        pytest.param(b"{}", "no message", id="an empty record"),
        pytest.param(b"[]", "not a record", id="no record"),
        pytest.param(b"\xff\xfe", "not a record", id="no JSON"),
        pytest.param(b"", "not a record", id="no bytes"),
        pytest.param(b"[" * 100_000, "not a record", id="nested too deep"),
        pytest.param(b'{"x":' + b"[" * 100_000, "not a record", id="nested too deep inside"),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_a_reason(record: bytes, reason: str) -> None:
    """The reason is a sentence for an operator and never repeats the message."""
    with pytest.raises(Quarantine, match=reason) as caught:
        parse(record)
    assert "62811" not in str(caught.value)


def test_no_part_at_all_is_quarantined() -> None:
    """There is nothing to make a report of."""
    for raws in ((), (None,), (None, None)):
        with pytest.raises(Quarantine, match="no part"):
            parse(*raws)


@pytest.mark.parametrize(
    ("written", "sent_at"),
    [
        pytest.param("2026-11-01T08:00:00+07:00", datetime(2026, 11, 1, 1, tzinfo=UTC), id="western Indonesia"),
        pytest.param("2026-11-01T08:00:00+00:00", datetime(2026, 11, 1, 8, tzinfo=UTC), id="UTC"),
        pytest.param("2026-11-01T08:00:00", None, id="no zone"),
        pytest.param("2026-13-01T08:00:00+07:00", None, id="no such month"),
        pytest.param("0001-01-01T00:00:00+07:00", None, id="before all years"),
        pytest.param(None, None, id="none"),
    ],
)
def test_the_time_is_the_service_centres_or_unknown(written: str | None, sent_at: datetime | None) -> None:
    """A time that is not certain is left out; the message is read all the same."""
    assert parse(raw(DateTime=written)).sent_at == sent_at


@pytest.mark.parametrize(
    ("number", "address", "kind"),
    [
        pytest.param("+6281100000001", "+6281100000001", "phone", id="E.164"),
        pytest.param("081100000001", "+6281100000001", "phone", id="national"),
        pytest.param("6281100000001", "+6281100000001", "phone", id="no plus"),
        pytest.param("006281100000001", "+6281100000001", "phone", id="dialled abroad"),
        pytest.param("+62081100000001", "+6281100000001", "phone", id="a trunk zero too many"),
        pytest.param("0811-0000 0001", "+6281100000001", "phone", id="separators"),
        pytest.param("(021) 5550001", "+62215550001", "phone", id="a fixed line"),
        pytest.param("+60123456789", "+60123456789", "phone", id="abroad"),
        pytest.param("0060123456789", "+60123456789", "phone", id="abroad, dialled"),
        pytest.param("+44 (0)20 7946 0018", "+442079460018", "phone", id="a trunk zero of another country"),
        pytest.param("00 60 012 345 6789", "+60123456789", "phone", id="a trunk zero abroad, dialled"),
        pytest.param("+39 06 1234 5678", "+390612345678", "phone", id="a country whose zero is part of the number"),
        pytest.param("+62 021 5550001", "+62215550001", "phone", id="a fixed line with both codes"),
        pytest.param("+8881234567", "+8881234567", "phone", id="no country"),
        pytest.param("0" + "8" * 400, "+62" + "8" * 400, "phone", id="longer than any number"),
        pytest.param("81100000001", "81100000001", "phone", id="no way to tell"),
        pytest.param("1708", "1708", "short code", id="four digits"),
        pytest.param("123", "123", "short code", id="three digits"),
        pytest.param("+123456", "+123456", "phone", id="seven signs"),
        pytest.param("TELKOMSEL", "TELKOMSEL", "name", id="a name"),
        pytest.param(" Bank Contoh ", "Bank Contoh", "name", id="a name in blanks"),
        pytest.param("*123#", "*123#", "name", id="a service code"),
        pytest.param("+628११", "+628११", "name", id="digits of another script"),
        pytest.param("\ud83d", "\ufffd", "name", id="half a sign"),
        pytest.param("", "", "nobody", id="empty"),
        pytest.param(" - ", "", "nobody", id="separators alone"),
        pytest.param("\x07", "", "nobody", id="a control character"),
    ],
)
def test_a_number_has_one_form_and_a_kind(number: str, address: str, kind: SenderKind) -> None:
    """A citizen is one reporter, however the modem writes the number."""
    assert identify(number) == (address, kind)


@given(st.text(st.sampled_from("+0123456789 -()/."), max_size=24))
def test_the_one_form_is_its_own_one_form(number: str) -> None:
    """Whoever compares two forms need not know how often they were made."""
    address, kind = identify(number)
    assert identify(address) == (address, kind)


@pytest.mark.parametrize(
    ("number", "reason", "answerable"),
    [
        pytest.param("TELKOMSEL", "the sender is a name, not a phone", False, id="a name"),
        pytest.param("999", "the sender is a short code, not a phone", False, id="a short code"),
        pytest.param("1708", "our own number", False, id="our short code"),
        pytest.param("+628110000099", "our own number", False, id="our number, written otherwise"),
        pytest.param("", None, False, id="nobody"),
        pytest.param("081100000001", None, True, id="a phone"),
    ],
)
def test_only_phones_report_and_are_answered(number: str, reason: str | None, answerable: bool) -> None:  # noqa: FBT001
    """Promotions come from names and short codes; a withheld number may be a citizen, whom nobody can answer."""
    parsed = parse(raw(Number=number))
    assert (parsed.not_a_report, parsed.answerable) == (reason, answerable)
    assert parsed.text == "Jalan rusak di depan pasar"


def test_an_own_number_is_known_in_every_form() -> None:
    """The settings may write it as the operator likes."""
    assert is_own("+6281100000099", ["0811 0000 0099"])
    assert is_own("1708", {"1708"})
    assert not is_own("+6281100000098", ["0811 0000 0099", ""])
    assert not is_own("", ["1708"])


@pytest.mark.parametrize("text", ["", "  ", "\0\0", "\u200b\ufeff"])
def test_an_empty_message_is_no_report(text: str) -> None:
    """A phone in a pocket sends these."""
    assert parse(raw(text, Coding="Unicode_No_Compression")).not_a_report == "empty message"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Kode OTP Anda 123456. JANGAN BERIKAN kode ini kepada siapa pun", id="the usual form"),
        pytest.param("123456 adalah kode verifikasi Anda. Rahasiakan kode ini.", id="the code first"),
        pytest.param("Kode WhatsApp Anda: 123-456 Jangan bagikan kode ini", id="in two groups"),
        pytest.param("Your OTP code is 9876. Do not share it with anyone", id="in English"),
    ],
)
def test_a_one_time_code_from_a_phone_is_no_report(text: str) -> None:
    """Only a text that nobody but a machine writes is set aside."""
    assert parse(raw(text)).not_a_report == "a one-time code"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Kode OTP dari bank tidak masuk, saya tidak bisa daftar", id="a code that never came"),
        pytest.param("Kode OTP 123456 jangan berikan ke siapa2 itu penipuan pak", id="a warning to others"),
        pytest.param("Saya dapat SMS: Kode OTP 123456 jangan berikan. Ini apa?", id="a code that is quoted"),
        pytest.param("Kode OTP Anda 123456", id="no warning with it"),
        pytest.param("Jangan beri izin tambang di kode pos 12345", id="another kind of code"),
        pytest.param("OTP 123456. Jangan beri ke lurah itu, warga susah", id="a person's words among them"),
        pytest.param("GRATIS kuota 10GB! Hub *123#", id="a promotion from a phone"),
    ],
)
def test_whoever_writes_of_codes_is_heard(text: str) -> None:
    """When in doubt it is a report."""
    assert parse(raw(text)).not_a_report is None


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [
        pytest.param(0x00, "Delivered", "delivered", id="received"),
        pytest.param(0x05, "Unknown", "delivered", id="a reserved success"),
        pytest.param(0x1F, "Unknown", "delivered", id="the last success"),
        pytest.param(0x20, "Pending", "pending", id="congestion"),
        pytest.param(0x3F, "Pending", "pending", id="the last retry"),
        pytest.param(0x46, "Failed", "failed", id="expired"),
        pytest.param(0x63, "Failed", "failed", id="service rejected"),
        pytest.param(0x90, "Unknown", "failed", id="reserved: read as service rejected"),
        pytest.param(-1, "Delivered", "delivered", id="no status, delivered"),
        pytest.param(-1, "Failed", "failed", id="no status, failed"),
        pytest.param(-1, "Unknown", "pending", id="no status, no word"),
    ],
)
def test_a_status_report_tells_what_became_of_an_answer(status: int, text: str, outcome: str) -> None:
    """TP-Status decides; the word that libGammu puts in the text is only asked where it is missing."""
    parsed = parse(
        raw(
            text,
            Type="Status_Report",
            Number="081100000009",
            MessageReference=77,
            DeliveryStatus=status,
            SMSCDateTime="2026-11-01T08:01:00+07:00",
        )
    )
    assert parsed.delivery is not None
    assert (parsed.delivery.reference, parsed.delivery.recipient) == ("77", "+6281100000009")
    assert parsed.delivery.outcome == outcome
    assert parsed.delivery.at == datetime(2026, 11, 1, 1, 1, tzinfo=UTC)
    assert (parsed.not_a_report, parsed.answerable, parsed.text) == ("delivery report", False, "")


def test_the_later_time_of_a_status_report_is_the_delivery() -> None:
    """A modem that passes a report on fills the two times the other way round than one that stores it."""
    times = {"DateTime": "2026-11-01T08:01:00+07:00", "SMSCDateTime": "2026-11-01T08:00:00+07:00"}
    delivery = parse(raw("Delivered", Type="Status_Report", **times)).delivery
    assert delivery is not None
    assert delivery.at == datetime(2026, 11, 1, 1, 1, tzinfo=UTC)


def test_what_the_modem_sent_itself_is_no_report() -> None:
    """Its number is whom it went to, who has said nothing."""
    parsed = parse(raw("Terima kasih", Type="Submit"))
    assert (parsed.not_a_report, parsed.answerable, parsed.delivery) == ("a message that the modem sent", False, None)


@pytest.mark.parametrize(
    ("udh", "group", "number", "total"),
    [
        pytest.param(header("0500033b0201", "ConcatenatedMessages"), "59|8|2", 1, 2, id="8-bit reference"),
        pytest.param(header("06080412340303"), "4660|16|3", 3, 3, id="16-bit reference"),
        pytest.param(header(MIXED_HEADER.format(1)), "9|8|2", 1, 2, id="beside another element"),
        pytest.param(header("0500033bff80", "ConcatenatedMessages"), "59|8|255", 128, 255, id="of 255"),
        pytest.param(header("0a0003010201" + "0003020302"), "2|8|3", 2, 3, id="twice: the last one counts"),
        pytest.param(
            {"AllParts": 2, "ID8bit": 7, "ID16bit": -1, "PartNumber": 1, "Type": "ConcatenatedMessages"},
            "7|8|2",
            1,
            2,
            id="no octets kept",
        ),
        pytest.param(
            {"AllParts": 2, "ID8bit": -1, "ID16bit": 700, "PartNumber": 2, "Type": "ConcatenatedMessages16bit"},
            "700|16|2",
            2,
            2,
            id="no octets kept, 16-bit reference",
        ),
    ],
)
def test_a_part_says_what_it_is_part_of(udh: dict[str, Any], group: str, number: int, total: int) -> None:
    """Parts are grouped by sender, reference, its width and total; the header's octets decide."""
    parsed = parse(raw("Jalan rusak", UDH=udh, Number="081100000001"))
    assert parsed.part is not None
    assert parsed.part.group == f"+6281100000001|{group}"
    assert (parsed.part.number, parsed.part.total) == (number, total)
    assert (parsed.text, parsed.not_a_report, parsed.answerable) == ("Jalan rusak", None, True)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("0500033b0101", id="one of one"),
        pytest.param("0500033b0203", id="three of two"),
        pytest.param("0500033b0200", id="part zero"),
        pytest.param("0500033b0000", id="nothing of nothing"),
        pytest.param("0500093b0201", id="an element longer than the header"),
        pytest.param("05", id="a header without elements"),
        pytest.param("", id="no octets"),
        pytest.param("ff", id="a length that cannot be"),
        pytest.param("03250101", id="another element"),
    ],
)
def test_a_part_that_cannot_be_is_a_whole_message(octets: str) -> None:
    """Nothing would ever complete it, and its text can be read."""
    parsed = parse(raw("Jalan rusak", UDH=header(octets, "ConcatenatedMessages")))
    assert (parsed.part, parsed.text, parsed.not_a_report) == (None, "Jalan rusak", None)


def test_the_content_of_a_part_is_known_again_and_told_apart() -> None:
    """What the modem's memory leaves behind a text is no content; another text or coding is."""

    def content(text: str | bytes, **fields: Any) -> str:
        found = parse(part(text, 1, 2, **fields)).part
        assert found is not None
        return found.content

    assert content("satu {\0lama") == content("satu {\0", Location=9, State="Read", SMSCDateTime=None)
    assert content("satu") != content("dua")
    assert content("satu") != content("satu", Coding="Unicode_No_Compression")
    assert content(b"satu") != content(b"satu\xff")
    assert len(content("satu\ud83d", Coding="Unicode_No_Compression")) == 64


def test_an_empty_or_broken_part_waits_for_the_others() -> None:
    """Alone it proves nothing: only the whole message is empty or no text."""
    assert parse(part("", 1, 2)).not_a_report is None
    assert parse(part("café".encode()[:-1], 1, 2)).text == "caf\ufffd"


@pytest.mark.parametrize(
    ("raws", "text"),
    [
        pytest.param((part("LAPOR jal", 1, 2), part("an rusak", 2, 2)), "jalan rusak", id="a word in two parts"),
        pytest.param((part("satu", 1, 3), None, part("tiga", 3, 3)), "satu … tiga", id="the middle is missing"),
        pytest.param((part("satu", 1, 4), None, None, part("empat", 4, 4)), "satu … empat", id="two are missing"),
        pytest.param((None, part("BANDUNG dua", 2, 2)), "… BANDUNG dua", id="the beginning is missing"),
        pytest.param((part("satu", 1, 2), None), "satu …", id="the end is missing"),
        pytest.param((part("a\ufffd", 1, 2), part("\ufffdb", 2, 2)), "a\ufffdb", id="a sign split in two"),
        pytest.param((part("a\ufffd", 1, 2), part("b", 2, 2)), "a\ufffdb", id="a broken sign alone"),
        pytest.param((part("a\ud83d", 1, 2), part("\ude00b", 2, 2)), "a😀b", id="both halves kept"),
        pytest.param((part("a{\0x", 1, 2), part("b}\0", 2, 2)), "a{b}", id="stale octets in each"),
        pytest.param((part("café".encode()[:-1], 1, 2), part("é!".encode()[1:], 2, 2)), "café!", id="split UTF-8"),
        pytest.param((part("jalan café".encode()[:-1], 1, 2), None), "jalan caf\ufffd …", id="cut UTF-8"),
        pytest.param((part(b"satu ", 1, 2), part("dua", 2, 2)), "satu dua", id="two codings"),
    ],
)
def test_parts_become_one_text(raws: tuple[bytes | None, ...], text: str) -> None:
    """The parts are joined in order; a gap is shown where one is missing."""
    parsed = parse(*raws)
    assert (parsed.text, parsed.part, parsed.not_a_report) == (text, None, None)
    assert parsed.keyword is None


def test_what_spans_two_parts_is_found() -> None:
    """A keyword or a number may be broken anywhere."""
    parsed = parse(part("LAPOR KI", 1, 2), part("P 1A2B3C belum cair", 2, 2))
    assert parsed.keyword == Keyword("KIP", "KIP")
    assert parsed.references == ("KIP1A2B3C",)


def test_the_earliest_part_tells_when_a_message_was_sent() -> None:
    """Parts are stamped as they pass the service centre, in any order, and one may have no stamp."""
    raws = (
        part("a", 1, 3, DateTime="2026-11-01T08:00:02+07:00"),
        part("b", 2, 3, DateTime="2026-11-01T08:00:00+07:00"),
        part("c", 3, 3, DateTime=None),
    )
    assert parse(*raws).sent_at == datetime(2026, 11, 1, 1, 0, tzinfo=UTC)


def test_a_message_of_255_parts_is_read_at_once() -> None:
    """The most that a header can count, with and without gaps."""
    raws = [part("x" * 153, number, 255) for number in range(1, 256)]
    start = time.process_time()
    assert parse(*raws).text == "x" * 153 * 255
    assert parse(raws[0], *[None] * 253, raws[254]).text == f"{'x' * 153} … {'x' * 153}"
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("0605040b8423f0", id="WAP push"),
        pytest.param("0b05040b8423f00003070201", id="the first part of one"),
        pytest.param("040402f0f1", id="an 8-bit port"),
    ],
)
def test_data_for_an_application_is_no_report(octets: str) -> None:
    """Settings and MMS notices are talk between machines, in one part or in many."""
    machine = raw(b"\x01\x06\x03\xae", UDH=header(octets), Number="+6281100000001")
    for parsed in (parse(machine), parse(machine, None)):
        assert (parsed.not_a_report, parsed.text, parsed.part) == ("machine data", "", None)
        assert not parsed.answerable


def test_parts_of_a_promotion_say_so() -> None:
    """The sender is known from the first part on."""
    assert parse(part("GRATIS", 1, 2, Number="TELKOMSEL")).not_a_report == "the sender is a name, not a phone"
    whole = parse(part("GRA", 1, 2, Number="TELKOMSEL"), part("TIS", 2, 2, Number="TELKOMSEL"))
    assert whole.not_a_report == "the sender is a name, not a phone"


def test_a_status_report_among_parts_is_no_text() -> None:
    """Whatever was grouped, a report by the network stays one."""
    assert parse(raw("Delivered", Type="Status_Report"), None).delivery is not None


def test_a_hostile_text_costs_no_time() -> None:
    """The longest message there is, made of what the patterns look for."""
    for pattern in ("#1234567 ", "kode otp 1234 jangan ", "sl 3200000000000001 ", "LAPOR(spasi)", "kip q7 "):
        text = (pattern * 20_000)[:40_000]
        start = time.process_time()
        assert parse(raw(text)).reporter.address == "+6281100000001"
        assert time.process_time() - start < 0.5


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["8bit", "Deliver", "+62811"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
octets_values = st.binary(max_size=20).map(lambda octets: {"hex": octets.hex()})
records = st.fixed_dictionaries(
    {},
    optional={
        "Text": st.text(st.characters(), max_size=200) | octets_values | json_values,
        "Coding": st.sampled_from(["8bit", "Default_No_Compression", "Unicode_No_Compression"]) | json_values,
        "Number": st.text(st.characters(), max_size=15)
        | st.from_regex(r"\+?[0-9]{0,14}", fullmatch=True)
        | json_values,
        "Type": st.sampled_from(["Deliver", "Status_Report", "Submit"]) | json_values,
        "DateTime": st.datetimes().map(lambda moment: f"{moment.isoformat()}+07:00") | json_values,
        "DeliveryStatus": st.integers(-1, 255) | json_values,
        "UDH": st.builds(lambda octets: header("", "UserUDH") | {"Text": octets}, octets_values) | json_values,
        "error": json_values,
    },
)


def check(raws: list[bytes | None]) -> None:
    """Parses, and holds what comes out to what every consumer relies on."""
    try:
        parsed = sms.parse(raws, PROFILE)
    except Quarantine:
        return
    assert isinstance(parsed, Parsed)
    f"{parsed.text}{parsed.reporter.address}{parsed.keyword}{parsed.references}{parsed.part}".encode()
    assert parsed.sent_at is None or parsed.sent_at.tzinfo is UTC


@given(st.lists(st.none() | records.map(lambda record: json.dumps(record).encode()), max_size=4))
def test_any_record_is_parsed_or_quarantined(raws: list[bytes | None]) -> None:
    """Nothing but a Parsed or a Quarantine ever leaves the parser."""
    check(raws)


@given(st.lists(st.none() | st.binary(max_size=60), max_size=3))
def test_any_bytes_are_parsed_or_quarantined(raws: list[bytes | None]) -> None:
    """The store may hold what no version of the channel ever wrote."""
    check(raws)


@given(st.text(st.characters(), max_size=300), st.sampled_from(["Default_No_Compression", "Unicode_No_Compression"]))
def test_no_word_of_a_citizen_is_lost(text: str, coding: str) -> None:
    """A text that is neither a form nor broken comes out as it went in, but for the blanks around it."""
    kept = "".join(sign for sign in text if sign.isprintable() and not "\ud800" <= sign <= "\udfff")
    if "spasi" not in kept.lower() and "lapor" not in kept.lower():
        assert parse(raw(kept, Coding=coding)).text == kept.strip()
