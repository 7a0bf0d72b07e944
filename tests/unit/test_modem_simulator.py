"""Tests of the simulated modem: its PDUs, its commands on a bare terminal, and libGammu driving it."""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.simulators import tpdu
from tests.simulators.modem import Conditions, Fault, FaultPlan, Identity, Modem, Network

gammu: Any = pytest.importorskip("gammu")

WIB = timezone(timedelta(hours=7))
SENT_AT = datetime(2026, 11, 1, 8, 30, 15, tzinfo=WIB)
CITIZEN = "+628110000001"


class Terminal:
    """A bare program on the port: types commands and reads what comes back."""

    def __init__(self, modem: Modem) -> None:
        self._path = modem.path
        self._port = -1
        self.heard = ""

    def __enter__(self) -> Self:
        self._port = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._port)

    def write(self, text: str) -> None:
        os.write(self._port, text.encode("latin-1"))

    def read_until(self, *ends: str, seconds: float = 5.0) -> str:
        """Read until one of the ends was heard, or the time is over."""
        deadline, heard = time.monotonic() + seconds, ""
        while not any(end in heard for end in ends) and (left := deadline - time.monotonic()) > 0:
            if select.select([self._port], [], [], left)[0]:
                heard += os.read(self._port, 4096).decode("latin-1")
        self.heard += heard
        return heard

    def hears(self, text: str) -> bool:
        """Whether this was heard, or is heard before long."""
        return text in self.heard or text in self.read_until(text)

    def ask(self, command: str) -> list[str]:
        """Type a command; returns the lines of its answer without the echo."""
        self.write(command + "\r")
        answer = self.read_until("\r\nOK\r\n", "ERROR\r\n", "ERROR: ", "\r\n> ")
        if "ERROR: " in answer and not answer.endswith("\r\n"):
            answer += self.read_until("\r\n")
        return [line for line in answer.replace("\r", "\n").split("\n") if line][1:]


@pytest.fixture
def modem() -> Iterator[Modem]:
    with Modem(slots=3, phone_slots=5) as plugged:
        yield plugged


# -- PDUs


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("Jalan rusak di depan SD 01", "gsm7"),
        ("kurung {siku} [kotak] ~ ^ | \\ € @ £ _", "gsm7"),
        ("", "gsm7"),
        ("lampu mati 😀 tolong", "ucs2"),
        ("\ud83d", "ucs2"),
    ],
)
def test_a_delivered_text_reads_back_as_it_was(text: str, coding: tpdu.Coding) -> None:
    """Encoding and decoding an SMS-DELIVER loses nothing, in either alphabet."""
    for udh in (b"", b"\x00\x03\x07\x02\x01", b"\x08\x04\x01\x02\x02\x01"):
        message = tpdu.Deliver(CITIZEN, SENT_AT, tpdu.user_data(text, coding, udh))
        read = tpdu.decode_deliver(tpdu.encode_deliver(message))
        assert (read.sender, read.sent_at, read.user_data) == (CITIZEN, SENT_AT, message.user_data)
        assert read.user_data.text == text


def test_the_encoder_agrees_with_a_published_example() -> None:
    """The septets of "hellohello" are those of the packing example that every PDU tutorial prints."""
    assert tpdu.pack_septets(tpdu.encode_gsm7("hellohello")).hex().upper() == "E8329BFD4697D9EC37"


@pytest.mark.parametrize("address", ["+628110000001", "1708", "+62811000017", "LAPOR", "Bank Ku", "PEMDA-JABAR"])
def test_an_address_reads_back_as_it_was(address: str) -> None:
    """International and short numbers of odd and even length and names survive the address field."""
    assert tpdu.decode_address(tpdu.encode_address(address)) == (address, len(tpdu.encode_address(address)))


@pytest.mark.parametrize("hours", [7, 9, 0, -3.5, 5.75])
def test_a_time_stamp_keeps_its_zone(hours: float) -> None:
    """TP-SCTS carries the offset in quarters of an hour, with its sign."""
    moment = SENT_AT.astimezone(timezone(timedelta(hours=hours)))
    read = tpdu.decode_scts(tpdu.encode_scts(moment))
    assert (read, read.utcoffset()) == (moment, moment.utcoffset())


def test_a_time_stamp_without_a_zone_is_refused() -> None:
    """A naive time cannot be written as TP-SCTS."""
    with pytest.raises(tpdu.TpduError):
        tpdu.encode_scts(SENT_AT.replace(tzinfo=None))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("text", ["jalan {rusak} " * 40, "banjir 😀 " * 40])
def test_parts_fit_and_join_to_the_whole(text: str, wide: bool) -> None:  # noqa: FBT001 - from the table
    """No part is longer than 140 octets, tears an escape or a surrogate pair, or is missing."""
    parts = tpdu.split_into_parts(text, 7, wide=wide)
    assert "".join(part.text for part in parts) == text
    assert all(len(tpdu.encode_user_data(part)) <= 1 + tpdu.OCTETS_PER_MESSAGE for part in parts)
    assert [part.udh[-1] for part in parts] == list(range(1, len(parts) + 1))


# -- commands on a bare terminal


def test_what_the_modem_does_not_know_is_an_error(modem: Modem) -> None:
    """An unknown command is answered with ERROR, never with OK."""
    with Terminal(modem) as terminal:
        assert terminal.ask("AT+MODE=2") == ["ERROR"]
        assert terminal.ask("AT") == ["OK"]
    assert modem.commands.count("AT+MODE") == 1


def test_a_full_sim_leaves_the_rest_in_the_network(modem: Modem) -> None:
    """Messages beyond the slots wait, and each freed slot brings the next one with a notification."""
    with Terminal(modem) as terminal:
        terminal.ask("AT+CNMI=2,1")
        for number in range(5):
            modem.deliver(CITIZEN, f"pesan {number}", sent_at=SENT_AT)
        assert (len(modem.stored("SM")), len(modem.waiting())) == (3, 2)
        assert terminal.hears('+CMTI: "SM",3')
        terminal.heard = ""
        terminal.ask("AT+CMGD=2")
        assert terminal.hears('+CMTI: "SM",2')
    assert [stored.message.user_data.text for stored in modem.stored()] == ["pesan 0", "pesan 3", "pesan 2"]
    assert [(gone.memory, gone.slot) for gone in modem.deleted] == [("SM", 2)]


def test_parts_arrive_out_of_order_doubled_and_not_at_all(modem: Modem) -> None:
    """The order of parts, an omitted one and a doubled one are the test's choice."""
    pdus = modem.deliver_multipart(
        CITIZEN, "jalan rusak " * 40, 9, order=(3, 1, 2, 4), omit=(2,), double=(1,), memory="ME"
    )
    assert [stored.message.user_data.udh[-1] for stored in modem.stored("ME")] == [3, 1, 1, 4]
    assert len(pdus) == 4


def test_the_armed_faults_strike_as_often_as_asked(modem: Modem) -> None:
    """A refused and a lying delete keep the message, a lost answer has deleted it."""
    modem.deliver(CITIZEN, "satu", sent_at=SENT_AT)
    modem.fail_deletes(2, code=500)
    modem.lie_on_deletes()
    modem.lose_delete_answers()
    with Terminal(modem) as terminal:
        assert terminal.ask("AT+CMGD=1") == ["+CMS ERROR: 500"]
        assert terminal.ask("AT+CMGD=1") == ["+CMS ERROR: 500"]
        assert terminal.ask("AT+CMGD=1") == ["OK"]
        assert len(modem.stored()) == 1
        terminal.write("AT+CMGD=1\r")
        assert modem.wait_until(lambda: not modem.stored())
        assert "OK" not in terminal.read_until("OK", seconds=0.2)
        assert terminal.ask("AT+CMGD=1") == ["+CMS ERROR: 321"]


@pytest.mark.parametrize(
    ("fault", "heard"),
    [(Fault("half", "AT+CSQ"), "+CSQ: 2"), (Fault("slow", "AT+CSQ", seconds=0.3), "\r\nOK\r\n")],
)
def test_an_answer_comes_half_or_late(modem: Modem, fault: Fault, heard: str) -> None:
    """Half a line has no end; a slow answer is whole."""
    modem.fault(fault)
    with Terminal(modem) as terminal:
        began = time.monotonic()
        terminal.write("AT+CSQ\r")
        answer = terminal.read_until("\r\nOK\r\n", seconds=1.0)
        assert heard in answer
        assert ("OK" in answer) is (fault.effect == "slow")
        assert time.monotonic() - began >= 0.3


def test_noise_stands_before_the_answer(modem: Modem) -> None:
    """A noisy line carries octets that nobody sent, and the answer after them."""
    modem.fault(Fault("noise", "AT+CSQ"))
    with Terminal(modem) as terminal:
        answer = terminal.ask("AT+CSQ")
        assert answer[-2:] == ["+CSQ: 21,99", "OK"]
        assert len("".join(answer)) > len("+CSQ: 21,99OK")


def test_a_hung_modem_answers_nothing_until_released(modem: Modem) -> None:
    """Commands to a hung modem are swallowed, and the network keeps its messages meanwhile."""
    with Terminal(modem) as terminal:
        terminal.ask("AT")
        modem.hang()
        modem.deliver(CITIZEN, "menunggu", sent_at=SENT_AT)
        terminal.write("AT\r")
        assert terminal.read_until("OK", seconds=0.2) == ""
        assert (len(modem.waiting()), modem.stored()) == (1, ())
        modem.release()
        assert terminal.ask("AT") == ["OK"]
    assert len(modem.stored()) == 1


def test_an_unplugged_modem_comes_back_under_the_same_name(modem: Modem) -> None:
    """The port fails and its name is gone; after the replug the SIM still holds its message."""
    modem.deliver(CITIZEN, "satu", sent_at=SENT_AT)
    with Terminal(modem) as terminal:
        terminal.ask("AT")
        modem.vanish()
        with pytest.raises(OSError, match="Input/output error"):
            terminal.write("AT\r")
        assert not Path(modem.path).is_symlink()
    modem.come_back()
    with Terminal(modem) as terminal:
        assert terminal.ask("AT+CMGL=4")[0].startswith("+CMGL: 1,0,,")


def test_the_third_wrong_pin_blocks_the_sim() -> None:
    """A wrong PIN counts, and after three of them the SIM wants its PUK."""
    with Modem(conditions=Conditions(sim="pin", pin="1234")) as modem, Terminal(modem) as terminal:
        terminal.ask("AT+CMEE=1")
        assert terminal.ask("AT+CMGL=4") == ["+CMS ERROR: 311"]
        assert terminal.ask("AT+CPIN=9999") == ["+CME ERROR: 16"]
        assert terminal.ask("AT+CPIN?") == ["+CPIN: SIM PIN", "OK"]
        terminal.ask("AT+CPIN=9999")
        terminal.ask("AT+CPIN=9999")
        assert terminal.ask("AT+CPIN?") == ["+CPIN: SIM PUK", "OK"]
        assert terminal.ask("AT+CPIN=1234") == ["+CME ERROR: 12"]


def test_without_sim_or_network_nothing_is_delivered(modem: Modem) -> None:
    """A modem that is not registered shows it and receives nothing until it is."""
    with Terminal(modem) as terminal:
        modem.conditions = Conditions(registration=2)
        modem.deliver(CITIZEN, "nanti", sent_at=SENT_AT)
        assert terminal.ask("AT+CREG?") == ["+CREG: 0,2", "OK"]
        assert terminal.ask("AT+CSQ") == ["+CSQ: 99,99", "OK"]
        modem.conditions = Conditions(sim="absent")
        terminal.ask("AT+CMEE=1")
        assert terminal.ask("AT+CPIN?") == ["+CME ERROR: 10"]
        assert modem.stored() == ()
        modem.conditions = Conditions()
    assert len(modem.stored()) == 1


def test_chance_faults_repeat_with_their_seed() -> None:
    """The same seed makes the same faults for the same commands."""

    def strikes(seed: int) -> list[str]:
        plan = FaultPlan(chance=random.Random(seed), rate=0.5, effects=("lose", "refuse", "noise"))
        return [fault.effect if (fault := plan.take("AT")) else "" for _ in range(50)]

    assert strikes(7) == strikes(7) != strikes(8)


def test_two_modems_share_a_network() -> None:
    """Each modem gets its own messages only."""
    network = Network()
    with (
        Modem(network=network, number="+628110000170") as one,
        Modem(network=network, number="+628110000171"),
    ):
        one.deliver(CITIZEN, "untuk satu", sent_at=SENT_AT)
        assert len(one.stored()) == 1
        assert network.waiting("+628110000171") == ()


@pytest.mark.parametrize(("routes", "code"), [("0-2", "+CDSI"), ("0,1", "+CDS")])
def test_a_status_report_is_stored_or_passed_on(routes: str, code: str) -> None:
    """A report goes into the memory with +CDSI or straight to the terminal with +CDS."""
    with Modem(identity=Identity(report_routes=routes)) as modem, Terminal(modem) as terminal:
        terminal.ask(f"AT+CNMI=2,1,0,{2 if code == '+CDSI' else 1},0")
        assert terminal.ask("AT+CMGS=13") == ["> "]
        terminal.write("0021000B912618010000F1000002E834\x1a")
        assert "+CMS ERROR: 304" in terminal.read_until("304\r\n")
        pdu = "0021000C91261801000010000002E834"
        terminal.ask(f"AT+CMGS={len(pdu) // 2 - 1}")
        terminal.write(pdu + "\x1a")
        assert "+CMGS: 1" in terminal.read_until("OK\r\n")
        assert (modem.sent[0].message.text, modem.sent[0].message.report_requested) == ("hi", True)
        report = modem.report(modem.sent[0], at=SENT_AT)
        heard = terminal.read_until('"SM",1\r\n', report)
        assert f"\r\n{code}: " in heard
        assert len(modem.stored()) == (1 if code == "+CDSI" else 0)


# -- libGammu on the port


@pytest.fixture(scope="module")
def connection() -> Iterator[tuple[Modem, Any]]:
    """One modem and one initialised libGammu, which takes four seconds."""
    with Modem(slots=5) as modem:
        phone = gammu_on(modem)
        yield modem, phone
        # The lost answer spoils the next call for twenty seconds; an aborted connection closes at once.
        phone.Abort()
        phone.Terminate()


@pytest.fixture
def phone(connection: tuple[Modem, Any]) -> tuple[Modem, Any]:
    """The shared connection with a modem that has forgotten everything."""
    connection[0].wipe()
    return connection


def gammu_on(modem: Modem) -> Any:
    """Initialise libGammu as a gateway does: from a file, since SetConfig breaks the notifications."""
    settings = Path(modem.path).with_name("gammurc")
    settings.write_text(f"[gammu]\nconnection = at115200\nmodel = at\ndevice = {modem.path}\n", encoding="utf-8")
    machine = gammu.StateMachine()
    machine.ReadConfig(Filename=str(settings))
    machine.Init()
    # Without a callback the first notification after SetIncomingSMS(True) crashes the whole process.
    machine.SetIncomingCallback(lambda _machine, _kind, _event: None)
    return machine


def listed(machine: Any) -> list[dict[str, Any]]:
    """One pass over all memories."""
    found: list[dict[str, Any]] = []
    while True:
        try:
            arguments = {"Start": False, "Location": found[-1]["Location"]} if found else {"Start": True}
            found.append(machine.GetNextSMS(Folder=0, **arguments)[0])
        except gammu.ERR_EMPTY:
            return found


def test_libgammu_reads_both_memories(phone: tuple[Modem, Any]) -> None:
    """Texts, senders, times and UDH come through libGammu, from the SIM and from the modem's memory."""
    modem, machine = phone
    modem.deliver(CITIZEN, "halo {dunia} €", sent_at=SENT_AT)
    modem.deliver("LAPOR", "banjir 😀", sent_at=SENT_AT, coding="ucs2")
    modem.deliver(CITIZEN, b"\x00\xff\x01", sent_at=SENT_AT, coding="8bit", memory="ME")
    modem.deliver(CITIZEN, "rusak", sent_at=SENT_AT, udh=tpdu.concatenation_header(7, 2, 1))
    messages = listed(machine)
    texts = [part["Text"].split("\0")[0] if isinstance(part["Text"], str) else part["Text"] for part in messages]
    assert texts == ["halo {dunia} €", "banjir 😀", "rusak", b"\x00\xff\x01"]
    assert [part["Location"] for part in messages] == [1, 2, 3, 100001]
    assert [part["Number"] for part in messages] == [CITIZEN, "LAPOR", CITIZEN, CITIZEN]
    assert {part["DateTime"] for part in messages} == {SENT_AT}
    assert messages[2]["UDH"]["Text"] == b"\x05\x00\x03\x07\x02\x01"
    assert modem.commands.count("AT+CMGL") == 2


def test_libgammu_steps_over_a_malformed_pdu(phone: tuple[Modem, Any]) -> None:
    """A broken message raises ERR_CORRUPTED, the one behind it can be read, and it can be deleted."""
    modem, machine = phone
    modem.deliver_pdu("07912618")
    modem.deliver(CITIZEN, "di belakang", sent_at=SENT_AT)
    with pytest.raises(gammu.ERR_CORRUPTED):
        machine.GetNextSMS(Folder=0, Start=True)
    assert machine.GetNextSMS(Folder=0, Start=False, Location=1)[0]["Text"] == "di belakang"
    machine.DeleteSMS(Folder=0, Location=1)
    assert [stored.slot for stored in modem.stored()] == [2]


@pytest.mark.parametrize(("pdu", "error"), [("00", "ERR_EMPTY"), ("00" * 170, "ERR_UNKNOWN")])
def test_libgammu_cannot_delete_some_slots(phone: tuple[Modem, Any], pdu: str, error: str) -> None:
    """DeleteSMS reads first and gives up on what it cannot read, without ever sending AT+CMGD."""
    modem, machine = phone
    modem.deliver_pdu(pdu)
    modem.deliver(CITIZEN, "di belakang", sent_at=SENT_AT)
    with pytest.raises(getattr(gammu, error)):
        machine.GetNextSMS(Folder=0, Start=True)
    assert machine.GetNextSMS(Folder=0, Start=False, Location=1)[0]["Text"] == "di belakang"
    with pytest.raises(getattr(gammu, error)):
        machine.DeleteSMS(Folder=0, Location=1)
    assert modem.commands.count("AT+CMGD") == 0


def test_libgammu_is_notified_of_what_arrives(phone: tuple[Modem, Any]) -> None:
    """After SetIncomingSMS the callback names the location; reports look the same."""
    modem, machine = phone
    events: list[int] = []
    machine.SetIncomingCallback(lambda _machine, _kind, event: events.append(event["Location"]))
    machine.SetIncomingSMS(True)
    modem.deliver(CITIZEN, "baru", sent_at=SENT_AT)
    modem.deliver(CITIZEN, "baru", sent_at=SENT_AT, memory="ME")
    deadline = time.monotonic() + 5
    while len(events) < 2 and time.monotonic() < deadline:
        machine.ReadDevice(True)
    assert events == [1, 200001]


def test_libgammu_sends_parts_and_reads_their_report(phone: tuple[Modem, Any]) -> None:
    """SendSMS returns the message reference, which the stored report names again."""
    modem, machine = phone
    machine.SetIncomingSMS(True)
    text = "Laporan Anda kami terima. " * 8
    whole = {"Class": -1, "Unicode": False, "Entries": [{"ID": "ConcatenatedTextLong", "Buffer": text}]}
    references = []
    for part in gammu.EncodeSMS(whole):
        part |= {"Number": CITIZEN, "SMSC": {"Location": 1}, "Type": "Status_Report"}
        references.append(machine.SendSMS(part))
    assert "".join(sent.message.text for sent in modem.sent) == text
    assert [sent.reference for sent in modem.sent] == references
    assert all(sent.message.report_requested and sent.message.destination == CITIZEN for sent in modem.sent)
    modem.report(modem.sent[1], status=0x46, at=SENT_AT)
    (report,) = listed(machine)
    assert (report["Type"], report["Number"], report["Text"]) == ("Status_Report", CITIZEN, "Failed")
    assert (report["MessageReference"], report["DeliveryStatus"]) == (references[1], 0x46)


def test_libgammu_sees_refused_sends_signal_and_network(phone: tuple[Modem, Any]) -> None:
    """A refused send raises; signal, registration and slots are as the test set them."""
    modem, machine = phone
    modem.refuse_sends()
    with pytest.raises(gammu.ERR_UNKNOWN):
        machine.SendSMS({"Text": "balas", "Number": CITIZEN, "SMSC": {"Location": 1}})
    assert modem.sent == []
    modem.deliver(CITIZEN, "satu", sent_at=SENT_AT)
    assert machine.GetSignalQuality()["SignalPercent"] == 63
    assert machine.GetNetworkInfo()["State"] == "HomeNetwork"
    assert {key: machine.GetSMSStatus()[key] for key in ("SIMUsed", "SIMSize")} == {
        "SIMUsed": 1,
        "SIMSize": 5,
    }
    modem.conditions = Conditions(registration=2)
    assert machine.GetNetworkInfo()["State"] == "RequestingNetwork"
    assert machine.GetSignalQuality()["SignalPercent"] == -1


def test_libgammu_never_repeats_a_delete_whose_answer_was_lost(phone: tuple[Modem, Any]) -> None:
    """One AT+CMGD goes out, so that a newer message in the same slot survives the time-out."""
    modem, machine = phone
    modem.deliver(CITIZEN, "lama", sent_at=SENT_AT)
    listed(machine)
    modem.lose_delete_answers(None)
    with pytest.raises(gammu.ERR_TIMEOUT):
        machine.DeleteSMS(Folder=0, Location=1)
    assert modem.commands.count("AT+CMGD") == 1
    modem.clear_faults()
    modem.deliver(CITIZEN, "baru", sent_at=SENT_AT)
    assert [(stored.slot, stored.message.user_data.text) for stored in modem.stored()] == [(1, "baru")]


def test_libgammu_finds_the_replugged_modem() -> None:
    """The old connection fails with a write error, a new one reads what arrived meanwhile."""
    with Modem() as modem:
        machine = gammu_on(modem)
        modem.vanish()
        modem.deliver(CITIZEN, "selama dicabut", sent_at=datetime(2026, 11, 1, 1, 0, tzinfo=UTC))
        with pytest.raises(gammu.ERR_DEVICEWRITEERROR):
            machine.GetSignalQuality()
        machine.Terminate()
        modem.come_back()
        machine = gammu_on(modem)
        assert [part["Text"] for part in listed(machine)] == ["selama dicabut"]
        machine.Terminate()
