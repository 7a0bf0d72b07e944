"""The SMS channel through its child process and libGammu on a simulated modem: what arrives, goes, and stays."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta, timezone

import pytest
import pytest_asyncio

import channels.sms.channel as sms_channel
from gateway.errors import NotSent, Quarantine
from gateway.parsing import Profile
from gateway.ports import OutgoingAnswer
from parsers.sms import parse
from tests.integration.sms_bench import ANSWER, CITIZEN, SENT_AT, SENT_AT_UTC, Bench, opened, parsed
from tests.simulators import tpdu
from tests.simulators.modem import Fault, Memory, Modem, Sent

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "Yth. Bapak, jalan rusak di Desa Sukamaju {RT 05} [RW 02], 3 bulan ~ blm diperbaiki, biaya 5€. " * 4
WHOLE = tpdu.encode_smsc("+628110000900") + tpdu.encode_deliver(
    tpdu.Deliver(CITIZEN, SENT_AT, tpdu.user_data("banjir", "gsm7"))
)
ADDRESS, SCHEME, LENGTH = 9, 18, 26
"""Where those fields lie in the octets of this message."""


def spoilt(place: int, octet: int) -> str:
    """The message with one octet changed."""
    return (WHOLE[:place] + bytes((octet,)) + WHOLE[place + 1 :]).hex().upper()


BROKEN = {
    "nothing but a zero": "00",
    "a cut service centre": WHOLE[:4].hex().upper(),
    "no hexadecimal digits": "ZZ<>!",
    "octets behind the end": WHOLE.hex().upper() + "00" * 20,
    "only zeros": "00" * 170,
    "a wrong length of the address": spoilt(ADDRESS, 0x1F),
    "compressed text": spoilt(SCHEME, 0x20),
    "a length beyond the end": spoilt(LENGTH, 0xFF),
    "a report of the 0th": "04912618F1060304912618010000106210100020000062101000000000C9",
}
"""Messages that libGammu cannot decode; it can delete some of them, and does not even try with others."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[Bench]:
    """One open channel for all tests: connecting takes seconds."""
    async with opened(Modem(slots=10)) as bench:
        yield bench


@pytest_asyncio.fixture(loop_scope="module")
async def bench(shared: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The open channel on a modem that has forgotten everything; nothing is polled, deletions are retried soon."""
    monkeypatch.setattr(sms_channel, "RETRY_SECONDS", 0.2)
    shared.modem.wipe()
    return shared


# -- what arrives


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("Jalan rusak di depan SD, mhn diperbaiki", "gsm7"),
        ("biaya {resmi} [5€] ~ ^ | \\ @ £ _ Åå", "gsm7"),
        ("air mati 😀 sejak Senin 🙏", "ucs2"),
        ("Jl. Merdeka – depan “Pasar”", "ucs2"),
        ("a~b🙏xyz", "ucs2"),
        ("~~~~ab🙏", "ucs2"),
        ("teks delapan bit, ditulis é", "8bit"),
    ],
)
async def test_a_text_arrives_as_it_was_written(bench: Bench, text: str, coding: tpdu.Coding) -> None:
    """Every alphabet comes through, also right after a longer message that left its octets behind in libGammu."""
    bench.modem.deliver("1234", "x" * 160, sent_at=SENT_AT)
    bench.modem.deliver(CITIZEN, text, sent_at=SENT_AT, coding=coding)
    (message,) = [found for found in await bench.receive_parsed(2) if found.reporter.address == CITIZEN]
    assert (message.text, message.reporter.address, message.sent_at) == (text, CITIZEN, SENT_AT_UTC)


async def test_a_text_with_tildes_is_known_again_and_released(bench: Bench) -> None:
    """LibGammu spoils it at each reading; what is read from the PDU instead is the same each time."""
    bench.modem.deliver(CITIZEN, "jalan ~rusak~ 🙏 di depan SD", sent_at=SENT_AT, coding="ucs2")
    first = await bench.next_delivery()
    bench.channel._look_now.set()  # noqa: SLF001 - nothing is polled here
    again = await bench.next_delivery()
    assert [message.external_id for message in first.messages] == [message.external_id for message in again.messages]
    await bench.channel.release(again, ())
    assert list(bench.modem.stored()) == []


@pytest.mark.parametrize("quarters", [28, 32, 36, 0, -14, 23])
async def test_the_time_of_sending_is_right_in_every_zone(bench: Bench, quarters: int) -> None:
    """The service centre's stamp carries its zone in quarters of an hour: WIB, WITA, WIT, and others."""
    zone = timezone(timedelta(minutes=15 * quarters))
    bench.modem.deliver(CITIZEN, "banjir", sent_at=SENT_AT.astimezone(zone))
    assert (await bench.receive_parsed(1))[0].sent_at == SENT_AT_UTC


async def test_a_sender_may_be_a_name(bench: Bench) -> None:
    """An alphanumeric sender arrives by its name, and is nobody who can report or be answered."""
    bench.modem.deliver("PEMDA-JABAR", "Info: pemadaman bergilir", sent_at=SENT_AT)
    (message,) = await bench.receive_parsed(1)
    assert message.reporter.address == "PEMDA-JABAR"
    assert message.not_a_report
    assert not message.answerable


@pytest.mark.parametrize("wide", [False, True], ids=["8-bit reference", "16-bit reference"])
async def test_parts_name_their_place_and_join_to_the_whole(bench: Bench, wide: bool) -> None:  # noqa: FBT001 - a table
    """Parts out of order and one of them twice: each says which it is, and together they are what was written."""
    for text in (LONG, "Air PDAM mati 😀 " * 12):
        total = len(tpdu.split_into_parts(text, 7, wide=wide))
        bench.modem.deliver_multipart(
            CITIZEN, text, 7, wide=wide, order=range(total, 0, -1), double=[1], sent_at=SENT_AT
        )
        messages = await bench.receive(total + 1)
        places = [(parsed(message).part, message.raw) for message in messages]
        by_number = {part.number: raw for part, raw in places if part is not None}
        assert sorted(by_number) == list(range(1, total + 1))
        assert len({message.external_id for message in messages}) == total
        assert parse([by_number[number] for number in sorted(by_number)], Profile()).text == text.strip()
        assert bench.modem.stored() == ()


@pytest.mark.parametrize("memory", ["SM", "ME"])
async def test_an_announced_message_is_received_without_a_poll(bench: Bench, memory: Memory) -> None:
    """The modem's announcement wakes the channel, whichever memory the message lies in; polls are ten minutes apart."""
    assert (await bench.channel.receive()).messages == ()
    delivery = bench.next_delivery()
    bench.modem.deliver(CITIZEN, "jembatan putus", sent_at=SENT_AT, memory=memory)
    received = await delivery
    assert len(received.messages) == 1
    await bench.channel.release(received, ())
    assert bench.modem.stored() == ()


async def test_identities_do_not_depend_on_memory_slot_or_state(bench: Bench) -> None:
    """The same message in another memory and slot, read before or not, is the same message."""
    bench.modem.deliver(CITIZEN, "lain", sent_at=SENT_AT)
    bench.modem.deliver(CITIZEN, "sama", sent_at=SENT_AT)
    bench.modem.deliver(CITIZEN, "sama", sent_at=SENT_AT, memory="ME")
    unread = await bench.next_delivery()
    read = await bench.next_delivery()
    ids = [message.external_id for message in unread.messages]
    assert ids == [message.external_id for message in read.messages]
    assert len(ids) == 3
    assert len(set(ids)) == 2
    await bench.channel.release(read, ())


async def test_a_full_sim_is_drained_with_all_that_waits_in_the_network(bench: Bench) -> None:
    """Ten slots and sixty messages: each freed slot lets the next one in, and every one arrives once."""
    for number in range(60):
        bench.modem.deliver(CITIZEN, f"laporan {number}", sent_at=SENT_AT)
    messages = await bench.receive_parsed(60)
    assert sorted(message.text for message in messages) == sorted(f"laporan {number}" for number in range(60))
    assert (bench.modem.stored(), bench.modem.waiting()) == ((), ())


async def test_an_idle_modem_is_not_listed_again_and_again(bench: Bench) -> None:
    """After an empty look the channel waits; an announcement costs one listing of each memory for each look."""
    await bench.channel.receive()
    bench.modem.commands.clear()
    bench.modem.deliver(CITIZEN, "banjir", sent_at=SENT_AT)
    await bench.receive(1)
    assert (await bench.channel.receive()).messages == ()
    assert bench.modem.commands.count("AT+CMGL") <= 6


# -- what cannot be deleted


@pytest.mark.parametrize("code", [500, 320, 321, 302, 38])
async def test_what_the_modem_refuses_to_delete_hinders_nothing_and_goes_later(bench: Bench, code: int) -> None:
    """The message comes again under the same identity, others flow past it, and the operator is told meanwhile."""
    bench.modem.fail_deletes(None, code)
    bench.modem.deliver(CITIZEN, "satu", sent_at=SENT_AT)
    (stuck,) = await bench.receive(1)
    assert len(bench.modem.stored()) == 1
    bench.modem.deliver(CITIZEN, "dua", sent_at=SENT_AT)
    seen: list[str] = []
    while not {"satu", "dua"} <= set(seen[1:]):
        seen += [message.text for message in await bench.receive_parsed(1)]
    health = await bench.channel.health()
    assert health.state == "degraded"
    assert "does not delete" in health.reason
    bench.modem.clear_faults()
    assert stuck.external_id in {message.external_id for message in await bench.receive(1)}
    await bench.pass_by(lambda: bench.modem.stored() == ())
    await bench.channel.receive()
    assert (await bench.channel.health()).state == "up"


async def test_a_modem_that_lies_about_deleting_makes_no_hot_loop(bench: Bench) -> None:
    """OK without a deletion is noticed: the message is left alone for a while, and newer ones flow."""
    bench.modem.lie_on_deletes(None)
    bench.modem.deliver(CITIZEN, "satu", sent_at=SENT_AT)
    await bench.receive(1)
    lies = bench.modem.commands.count("AT+CMGD")
    empty = [await bench.channel.receive() for _ in range(1)]
    assert [delivery.messages for delivery in empty] == [()]
    assert bench.modem.commands.count("AT+CMGD") == lies
    bench.modem.clear_faults()
    bench.modem.deliver(CITIZEN, "dua", sent_at=SENT_AT)
    assert "dua" in {message.text for message in await bench.receive_parsed(1)}
    await bench.pass_by(lambda: bench.modem.stored() == ())


# -- what cannot be read


async def test_what_libgammu_cannot_decode_is_kept_as_evidence_and_then_deleted(bench: Bench) -> None:
    """Every kind of broken PDU arrives as it came over the wire, frees its slot, and stops nothing behind it."""
    modem = bench.modem
    modem.deliver(CITIZEN, "sebelum", sent_at=SENT_AT)
    for pdu in BROKEN.values():
        modem.deliver_pdu(pdu)
    modem.deliver(CITIZEN, "sesudah", sent_at=SENT_AT)
    modem.deliver_pdu("00", memory="ME")
    modem.deliver(CITIZEN, "di telepon", sent_at=SENT_AT, memory="ME")
    messages = await bench.receive(len(BROKEN) + 4)
    evidence = [json.loads(message.raw) for message in messages if b'"error"' in message.raw]
    assert [record["PDU"] for record in evidence] == [*BROKEN.values(), "00"]
    assert all(message.external_id and message.order_key for message in messages)
    for message in messages:
        if b'"error"' in message.raw:
            with pytest.raises(Quarantine):
                parsed(message)
    texts = [parsed(message).text for message in messages if b'"error"' not in message.raw]
    assert sorted(texts) == ["di telepon", "sebelum", "sesudah"]
    assert modem.stored() == ()


async def test_an_unreadable_message_in_the_first_used_slot_of_a_memory_is_found(bench: Bench) -> None:
    """No slot is assumed to be the first: free ones before the broken message mislead nobody."""
    modem = bench.modem
    for memory in ("SM", "ME"):
        for pdu in ("07", "07", BROKEN["a cut service centre"]):
            modem.deliver_pdu(pdu, memory=memory)
        modem.deliver(CITIZEN, "di belakang", sent_at=SENT_AT, memory=memory)
        modem.remove(memory, 1)
        modem.remove(memory, 2)
    messages = await bench.receive(4)
    assert [b'"error"' in message.raw for message in messages] == [True, False, True, False]
    assert modem.stored() == ()


async def test_a_slot_that_gives_no_evidence_is_never_deleted(bench: Bench) -> None:
    """A listed message without any PDU stays where it is; the operator is told, and the others flow."""
    bench.modem.deliver_pdu("")
    for text in ("di belakang", "yang terakhir"):
        bench.modem.deliver(CITIZEN, text, sent_at=SENT_AT)
    delivery = await bench.next_delivery()
    assert [parsed(message).text for message in delivery.messages] == ["di belakang", "yang terakhir"]
    bench.modem.deliver(CITIZEN, "sesudahnya", sent_at=SENT_AT)
    await bench.channel.release(delivery, ())
    assert [parsed(message).text for message in (await bench.next_delivery()).messages] == ["sesudahnya"]
    assert [stored.slot for stored in bench.modem.stored()] == [1, 4]
    health = await bench.channel.health()
    assert health.state == "degraded"
    assert "cannot be read" in health.reason


async def test_a_broken_message_that_the_modem_will_not_delete_is_tried_once_around_libgammu(bench: Bench) -> None:
    """That way costs a new connection, so it is not gone again and again; the message behind flows."""
    bench.modem.fail_deletes(None)
    bench.modem.deliver_pdu("00")
    await bench.receive(1)
    assert bench.modem.commands.count("AT+CMGD=1") == 1
    await bench.receive(1)
    assert bench.modem.commands.count("AT+CMGD=1") == 1
    bench.modem.deliver(CITIZEN, "di belakang", sent_at=SENT_AT)
    while not any(b"di belakang" in message.raw for message in await bench.receive(1)):
        pass


async def test_a_modem_that_cannot_list_is_read_slot_by_slot(bench: Bench) -> None:
    """Where AT+CMGL fails libGammu tries each slot, and would do so for ever behind an unreadable one."""
    bench.modem.fault(Fault("refuse", "AT+CMGL", None))
    bench.modem.deliver_pdu(BROKEN["a cut service centre"])
    bench.modem.deliver(CITIZEN, "di belakang", sent_at=SENT_AT)
    bench.modem.deliver(CITIZEN, "di telepon", sent_at=SENT_AT, memory="ME")
    messages = await bench.receive(3)
    assert [b'"error"' in message.raw for message in messages] == [True, False, False]
    assert bench.modem.stored() == ()


# -- what goes


async def test_a_short_answer_goes_out_in_one_part_and_asks_for_a_report(bench: Bench) -> None:
    """The network sees our text, the recipient and the wish for a report, and its reference comes back."""
    sent = await bench.channel.send(ANSWER)
    (out,) = bench.modem.sent
    assert (out.message.destination, out.message.text) == (CITIZEN, ANSWER.text)
    assert out.message.report_requested
    assert sent.references == (str(out.reference),)


@pytest.mark.parametrize(
    "text",
    [
        "Laporan Anda kami terima dengan nomor 1234567897. " * 5,
        "biaya {5€} [dan] ~ " * 12,
        "Terima kasih 🙏 atas laporan Anda. " * 6,
    ],
)
async def test_a_long_answer_goes_out_in_parts_with_a_reference_each(bench: Bench, text: str) -> None:
    """The parts join to what was written, none of them too long, and each has a reference of its own."""
    sent = await bench.channel.send(OutgoingAnswer("1", CITIZEN, text, 1))
    out = bench.modem.sent
    assert len(out) > 1
    assert "".join(part.message.text for part in out) == text
    assert sent.references == tuple(str(part.reference) for part in out)


@pytest.mark.parametrize(("status", "outcome"), [(0x00, "delivered"), (0x30, "pending"), (0x46, "failed")])
async def test_a_stored_delivery_report_becomes_a_notice(bench: Bench, status: int, outcome: str) -> None:
    """The report names our reference, the recipient and when it was delivered, and is then deleted."""
    sent = await bench.channel.send(ANSWER)
    deliver_report(bench.modem, bench.modem.sent[0], status)
    (report,) = await bench.receive_parsed(1)
    assert report.delivery is not None
    assert (report.delivery.reference,) == sent.references
    assert (report.delivery.recipient, report.delivery.outcome) == (CITIZEN, outcome)
    assert report.delivery.at == SENT_AT_UTC
    assert bench.modem.stored() == ()


def deliver_report(modem: Modem, sent: Sent, status: int) -> None:
    """Reports a sent message, which the service centre took an hour before it was delivered."""
    report = tpdu.StatusReport(sent.reference, CITIZEN, SENT_AT - timedelta(hours=1), SENT_AT, status)
    pdu = tpdu.encode_smsc(modem.identity.smsc) + tpdu.encode_status_report(report)
    modem.deliver_pdu(pdu.hex().upper(), report=True)


async def test_a_refused_answer_is_not_sent_and_the_channel_goes_on(bench: Bench) -> None:
    """The network's refusal concerns this answer alone."""
    bench.modem.refuse_sends()
    with pytest.raises(NotSent):
        await bench.channel.send(ANSWER)
    assert bench.modem.sent == []
    await bench.channel.send(ANSWER)
    assert len(bench.modem.sent) == 1
    bench.modem.deliver(CITIZEN, "banjir", sent_at=SENT_AT)
    assert len(await bench.receive(1)) == 1
