"""The SMS channel and a modem that misbehaves: hangs, noise, lost answers, unplugging, PINs, deaths of processes."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

import channels.sms.channel as sms_channel
from channels.sms import lock
from channels.sms.modem import ModemProcess
from channels.sms.settings import SmsSettings
from gateway.errors import ChannelUnavailable, GatewayError, MaybeSent, NeedsOperator
from tests.conftest import DEADLINE, eventually
from tests.integration.sms_bench import ANSWER, CITIZEN, SENT_AT, SENT_AT_UTC, Bench, opened, parsed
from tests.simulators import tpdu
from tests.simulators.modem import Conditions, Fault, Identity, Modem

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPARES = 9
TIMEOUT = 3.0
"""Seconds after which the child process of a hanging modem is killed here."""

WORLDS = {
    "a SIM whose PIN is given": (Conditions(sim="pin", pin="1234"), {"pin": "1234"}),
    "a SIM whose PIN is missing": (Conditions(sim="pin", pin="1234"), {}),
    "a SIM whose PIN is wrong": (Conditions(sim="pin", pin="1234"), {"pin": "9999"}),
    "a SIM that wants its PUK": (Conditions(sim="puk"), {"pin": "1234"}),
    "no SIM": (Conditions(sim="absent", registration=0), {}),
    "no network": (Conditions(registration=2), {}),
    "a weak signal": (Conditions(rssi=1), {}),
}


class World:
    """A modem in some condition, and what became of opening a channel on it."""

    def __init__(self, conditions: Conditions, settings: dict[str, str]) -> None:
        self.modem = Modem(conditions=conditions).start()
        self.bench = Bench(self.modem, timeout=10, **settings)
        self.error: GatewayError | None = None

    async def open(self) -> None:
        """Opens a channel; where that fails another one, as the kernel does."""
        try:
            await self.bench.channel.open()
        except GatewayError as error:
            self.error = error
            with pytest.raises(type(error), match=re.escape(str(error))):
                await self.bench.reopen()

    async def close(self) -> None:
        await self.bench.channel.close()
        await asyncio.to_thread(self.modem.stop)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def spares() -> AsyncIterator[list[Bench]]:
    """Open channels to break, each on a modem of its own; connected all at once, since that takes seconds."""
    async with contextlib.AsyncExitStack() as stack:
        identities = [Identity()] * (SPARES - 1) + [Identity(report_routes="0-1")]
        opening = [opened(Modem(identity=identity), timeout=TIMEOUT) for identity in identities]
        yield list(await asyncio.gather(*map(stack.enter_async_context, opening)))


@pytest_asyncio.fixture(loop_scope="module")
async def bench(spares: list[Bench]) -> Bench:
    """An open channel that this test may break."""
    return spares.pop(0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds() -> AsyncIterator[dict[str, World]]:
    """Every condition that a modem may be found in, all tried at once."""
    found = {name: World(conditions, settings) for name, (conditions, settings) in WORLDS.items()}
    await asyncio.gather(*(world.open() for world in found.values()))
    yield found
    await asyncio.gather(*(world.close() for world in found.values()))


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def child_of(bench: Bench) -> int:
    """The process id of the channel's child."""
    pid = bench.channel._modem.pid  # noqa: SLF001 - the test plays the operating system
    assert pid is not None
    return pid


async def fails(ask: Callable[[], Awaitable[object]], error: type[GatewayError] = ChannelUnavailable) -> str:
    """Asks something that has to fail within the bound; returns the sentence."""
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(error) as caught:
            await ask()
    return str(caught.value)


# -- the line


def hang(modem: Modem) -> None:
    modem.hang()


def half_a_line(modem: Modem) -> None:
    modem.fault(Fault("half", "AT+CMGL"))


def noise(modem: Modem) -> None:
    modem.fault(Fault("lose", "AT+CMGL"))
    modem.noise()


async def test_a_line_that_says_nothing_sensible_costs_one_child_and_no_message(spares: list[Bench]) -> None:
    """A hang, half a line, noise: the call ends with its process within the bound; a new channel reads what waits."""

    async def suffer(trouble: Callable[[Modem], None]) -> None:
        bench = spares.pop(0)
        modem, child = bench.modem, child_of(bench)
        modem.deliver(CITIZEN, "banjir", sent_at=SENT_AT)
        trouble(modem)
        assert "did not answer for 3 s" in await fails(bench.channel.receive)
        assert not alive(child)
        modem.clear_faults()
        modem.release()
        await bench.reopen()
        assert [message.text for message in await bench.receive_parsed(1)] == ["banjir"]
        assert modem.stored() == ()

    await asyncio.gather(*map(suffer, (hang, half_a_line, noise)))


async def test_a_listing_that_libgammu_crashes_on_stops_nothing(bench: Bench) -> None:
    """A last slot without a PDU ends the child process; the next one reads slot by slot, and the messages flow."""
    bench.modem.deliver(CITIZEN, "di depan", sent_at=SENT_AT)
    bench.modem.deliver_pdu("")
    assert "has died" in await fails(bench.next_delivery)
    await bench.reopen()
    assert [message.text for message in await bench.receive_parsed(1)] == ["di depan"]
    assert [stored.slot for stored in bench.modem.stored()] == [2]


async def test_a_lost_answer_to_a_deletion_takes_no_newer_message_away(bench: Bench) -> None:
    """The message is gone although nobody said so; what lies in its slot by now is read, and not deleted blindly."""
    modem = bench.modem
    modem.deliver(CITIZEN, "lama", sent_at=SENT_AT)
    delivery = await bench.next_delivery()
    modem.lose_delete_answers()
    failing = asyncio.create_task(fails(lambda: bench.channel.release(delivery, ())))
    await bench.until(lambda: modem.deleted)
    modem.deliver(CITIZEN, "baru", sent_at=SENT_AT)
    await failing
    assert modem.commands.count("AT+CMGD") == 1
    await bench.reopen()
    assert [message.text for message in await bench.receive_parsed(1)] == ["baru"]
    assert modem.stored() == ()


async def test_an_unplugged_modem_is_noticed_and_found_again(bench: Bench) -> None:
    """Reading fails, opening says which setting names the missing device, and after the replug all is there."""
    modem = bench.modem
    modem.vanish()
    modem.deliver(CITIZEN, "selama dicabut", sent_at=SENT_AT)
    await fails(bench.channel.receive)
    await bench.channel.close()
    sentence = await fails(Bench(modem).channel.open)
    assert sentence.startswith("channels.sms-1708.device: ")
    assert "does not exist" in sentence
    modem.come_back()
    await bench.reopen()
    assert [message.text for message in await bench.receive_parsed(1)] == ["selama dicabut"]


async def test_a_device_that_is_no_modem_is_named_with_its_setting(tmp_path: Path) -> None:
    """A file that is no port, and a folder that is no phone's, end in a sentence with the setting's key."""
    (tmp_path / "file").touch()
    for device in ("file", "nothing"):
        settings = SmsSettings(type="sms", device=str(tmp_path / device), number="1708")
        channel = sms_channel.SmsChannel("sms-1708", settings)
        assert "channels.sms-1708.device: " in await fails(channel.open)
        await channel.close()


# -- sending


async def test_a_lost_answer_to_a_send_may_have_gone_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether the network took it: that is what the channel says, and not that it failed."""
    monkeypatch.setattr(sms_channel, "SEND_SECONDS_PER_PART", 0.0)
    bench.modem.lose_send_answers()
    await fails(lambda: bench.channel.send(ANSWER), MaybeSent)
    assert len(bench.modem.sent) == 1


async def test_what_was_never_handed_to_the_modem_was_not_sent(bench: Bench) -> None:
    """With the process already dead, sending fails like receiving does: the answer is tried again for certain."""
    reading = asyncio.create_task(fails(bench.next_delivery))
    os.kill(child_of(bench), signal.SIGKILL)
    await reading
    with pytest.raises(ChannelUnavailable) as caught:
        await bench.channel.send(ANSWER)
    assert not isinstance(caught.value, MaybeSent)


async def test_a_report_that_the_modem_passes_on_becomes_a_notice(spares: list[Bench]) -> None:
    """+CDS is stored nowhere: it comes through the announcement, and there is nothing to delete."""
    bench = spares.pop()
    sent = await bench.channel.send(ANSWER)
    report = tpdu.StatusReport(bench.modem.sent[0].reference, CITIZEN, SENT_AT, SENT_AT)
    pdu = tpdu.encode_smsc(bench.modem.identity.smsc) + tpdu.encode_status_report(report)
    bench.modem.deliver_pdu(pdu.hex().upper(), report=True)
    (message,) = await bench.receive(1)
    notice = parsed(message).delivery
    assert notice is not None
    assert (notice.reference,) == sent.references
    assert (notice.recipient, notice.outcome, notice.at) == (CITIZEN, "delivered", SENT_AT_UTC)
    assert bench.modem.commands.count("AT+CMGD") == 0


# -- the SIM and the network


async def test_a_pin_that_is_given_opens_the_sim(worlds: dict[str, World]) -> None:
    """The channel is up, and messages arrive."""
    world = worlds["a SIM whose PIN is given"]
    assert world.error is None
    assert world.modem.conditions.sim == "ready"
    world.modem.deliver(CITIZEN, "banjir", sent_at=SENT_AT)
    assert len(await world.bench.receive(1)) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a SIM whose PIN is missing", "channels.sms-1708.pin: the SIM asks for its PIN"),
        ("a SIM whose PIN is wrong", "channels.sms-1708.pin: the SIM refused this PIN"),
        ("a SIM that wants its PUK", "asks for its PUK"),
        ("no SIM", "has no SIM; put it in"),
    ],
)
async def test_what_only_a_person_can_mend_is_said_in_a_sentence(
    worlds: dict[str, World], name: str, words: str
) -> None:
    """The channel asks for the operator and says what to do."""
    error = worlds[name].error
    assert isinstance(error, NeedsOperator)
    assert words in str(error)


async def test_a_wrong_pin_is_tried_once_only(worlds: dict[str, World]) -> None:
    """The third wrong one would lock the SIM: the second channel said the same as the first, without trying."""
    assert worlds["a SIM whose PIN is wrong"].modem.commands.count("AT+CPIN=") == 1


@pytest.mark.parametrize(("name", "words"), [("no network", "not in a network"), ("a weak signal", "signal is weak")])
async def test_a_modem_that_hears_little_is_degraded(worlds: dict[str, World], name: str, words: str) -> None:
    """It can be read, so the channel is open; its health says what is wrong."""
    world = worlds[name]
    assert world.error is None
    health = await world.bench.channel.health()
    assert health.state == "degraded"
    assert words in health.reason


# -- processes


GATEWAY = """
import asyncio, sys
from channels.sms.modem import ModemProcess
from channels.sms.settings import SmsSettings

async def main():
    modem = ModemProcess("sms-1708", lambda: None)
    await modem.start()
    await modem.call("open", 60, device=sys.argv[1], connection="none", model="dummy", pin=None, listing=True)
    print(modem.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
"""A process with a phone's child, like the gateway."""


async def test_a_killed_gateway_leaves_no_child_behind(tmp_path: Path) -> None:
    """The kernel ends the child with its parent: one that lived on could still delete messages."""
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", GATEWAY, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert gateway.stdout is not None
    async with asyncio.timeout(DEADLINE):
        child = int(await gateway.stdout.readline())
    assert alive(child)
    gateway.kill()
    await gateway.wait()
    await eventually(lambda: not alive(child), "the child's end")


@pytest.mark.parametrize("kind", ["a modem", "a dummy phone"])
async def test_a_second_process_waits_until_the_phone_is_free(tmp_path: Path, kind: str) -> None:
    """Whoever comes second while the first is being ended gets the phone once it is let go, and not before."""
    arguments = {"device": str(tmp_path), "connection": "none", "model": "dummy", "pin": None, "listing": True}
    with Modem() as modem:
        if kind == "a modem":
            arguments |= {"device": modem.path, "connection": "at115200", "model": "at"}
        held = lock.take(str(arguments["device"]))
        second = ModemProcess("sms-1708", lambda: None)
        await second.start()
        opening = asyncio.create_task(second.call("open", DEADLINE, **arguments))
        await asyncio.sleep(1)
        assert not opening.done()
        assert modem.commands.count("AT") == 0
        os.close(held)
        await opening
        with pytest.raises(lock.InUse):
            lock.take(str(arguments["device"]))
        await second.kill()
        os.close(lock.take(str(arguments["device"])))
