"""Channels under supervision: restarted, apart from one another, and stopped within the bound."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from gateway import supervisor
from gateway.application import Gateway
from gateway.clock import SystemClock
from gateway.errors import NeedsOperator
from gateway.ports import Delivery, Health
from gateway.settings.model import ChannelSection
from gateway.silence import Quiet
from gateway.stages.loop import Backoff
from tests.conftest import DEADLINE, eventually
from tests.fakes import FakeChannels, FakeSettings, RecordingPublisher, fake_message, unavailable
from tests.integration.kernel import PARSERS, settings_for

NAMES = ("fake-1", "fake-2")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)
    monkeypatch.setattr(supervisor, "HEALTH_SECONDS", 0.05)


@asynccontextmanager
async def _running(url: str) -> AsyncIterator[tuple[Gateway, FakeChannels, RecordingPublisher]]:
    channels, publisher = FakeChannels(), RecordingPublisher()
    sections = [ChannelSection(name, channels.plugin(), FakeSettings()) for name in NAMES]
    for name in NAMES:
        channels.create(name, FakeSettings())
    settings = settings_for(url, channels=sections)
    gateway = Gateway(settings, clock=SystemClock(), publisher=publisher, parsers=PARSERS)
    await gateway.start()
    try:
        yield gateway, channels, publisher
    finally:
        await gateway.stop()


def _state(gateway: Gateway, name: str) -> str:
    condition = gateway.board.conditions.get(f"channel {name}")
    return condition.state if condition else ""


@pytest.mark.parametrize("method", ["open", "receive", "release", "health"])
async def test_a_channel_that_fails_is_opened_anew(sqlite_url: str, method: str) -> None:
    """Whichever call fails: its messages come out once, and it is up again."""
    async with _running(sqlite_url) as (gateway, channels, publisher):
        source = channels.by_name["fake-1"]
        await eventually(lambda: _state(gateway, "fake-1") == "up", "the channel to be up")
        source.faults[method].extend([unavailable()] * 3)
        source.faults["receive"].append(unavailable())
        source.put(fake_message("m1"))
        await eventually(lambda: not any(source.faults.values()), "every fault to have happened")
        await eventually(lambda: "m1" in source.released, "the message to be released")
        await eventually(lambda: len(publisher.confirmed) == 1, "the report to be published")
        await eventually(lambda: _state(gateway, "fake-1") == "up", "the channel to be up again")
    assert len(publisher.confirmed) == 1
    assert source.calls.count("close") >= source.calls.count("open") - 1


@pytest.mark.parametrize("hanging", ["open", "receive", "release", "health", "send"])
async def test_a_channel_that_hangs_delays_no_other(sqlite_url: str, hanging: str) -> None:
    """The other one's message is published while this one is stuck."""
    async with _running(sqlite_url) as (_gateway, channels, publisher):
        stuck, well = (channels.by_name[name] for name in NAMES)
        stuck.hangs.add(hanging)
        stuck.put(fake_message("m1", sender="+6281100000001"))
        well.put(fake_message("m2", sender="+6281100000002"))
        await eventually(lambda: "m2" in well.released, "the other channel's message to be released")
        await eventually(
            lambda: any(body["data"]["external_id"] == "m2" for body in publisher.bodies), "its report to be published"
        )
        stuck.hangs.clear()


async def test_what_a_person_has_to_mend_is_said_and_mends_itself_afterwards(sqlite_url: str) -> None:
    """The sentence of the error is what the console shows."""
    async with _running(sqlite_url) as (gateway, channels, _publisher):
        source = channels.by_name["fake-1"]
        source.always["receive"] = NeedsOperator("channels.fake-1.pin: the SIM asks for its PIN; set it.")
        source.put(fake_message("m1"))
        await eventually(lambda: _state(gateway, "fake-1") == "needs_operator", "the state to say so")
        assert "asks for its PIN" in gateway.board.conditions["channel fake-1"].reason
        assert _state(gateway, "fake-2") == "up"
        source.always.clear()
        await eventually(lambda: "m1" in source.released, "the message to be released")


async def test_a_channel_that_does_not_close_is_left_behind(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping ends although one channel hangs, and the store is closed properly."""
    monkeypatch.setattr(supervisor, "CLOSE_TIMEOUT", 0.05)
    async with _running(sqlite_url) as (gateway, channels, _publisher):
        await eventually(lambda: _state(gateway, "fake-1") == "up", "the channel to be up")
        channels.by_name["fake-1"].hangs.add("close")
    second = Gateway(settings_for(sqlite_url), publisher=RecordingPublisher(), parsers=PARSERS)
    await second.start()  # the database is free again
    await second.stop()


async def test_stopping_waits_for_what_the_queue_has_in_hand(sqlite_url: str) -> None:
    """A batch on the wire is confirmed and marked, so that it is not published twice."""
    async with _running(sqlite_url) as (gateway, channels, publisher):
        publisher.open_to = asyncio.Event()
        channels.by_name["fake-1"].put(fake_message("m1"))
        await eventually(lambda: bool(publisher.tried), "the event to be on the wire")
        stopping = asyncio.create_task(gateway.stop())
        await asyncio.sleep(0)
        publisher.open_to.set()
        await stopping
    again = RecordingPublisher()
    second = Gateway(settings_for(sqlite_url), publisher=again, parsers=PARSERS)
    await second.start()
    await eventually(lambda: "publish 1" in second.board.conditions or bool(again.tried), "the outbox to be looked at")
    await second.stop()
    assert again.tried == []


async def test_an_error_at_the_moment_of_the_stop_does_not_keep_the_channel_running(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a channel raises when it is told to end: it ends, and is not opened anew."""
    channels = FakeChannels()
    source = channels.create("fake-1", FakeSettings())

    async def fails_when_cancelled() -> Delivery:
        source.calls.append("receive")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            raise ConnectionError from error
        raise AssertionError

    monkeypatch.setattr(source, "receive", fails_when_cancelled)
    section = ChannelSection("fake-1", channels.plugin(), FakeSettings())
    gateway = Gateway(settings_for(store_url, channels=[section]), publisher=RecordingPublisher(), parsers=PARSERS)
    await gateway.start()
    await eventually(lambda: "receive" in source.calls, "the channel to receive")
    (running,) = [task for task in gateway._tasks if task.get_name() == "channel fake-1"]  # noqa: SLF001
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=DEADLINE)
    assert done == {running}
    assert source.calls.count("open") == 1
    await gateway.stop()


async def test_a_channel_that_is_improbably_silent_says_so_and_recovers(sqlite_url: str) -> None:
    """A channel that works is degraded by it, in words for operators; what the channel knows itself comes first."""
    async with _running(sqlite_url) as (gateway, channels, _publisher):
        source = channels.by_name["fake-1"]
        await eventually(lambda: _state(gateway, "fake-1") == "up", "the channel to be up")
        quiet = Quiet(timedelta(hours=3), 0, 40.0, 1e-5)
        gateway.board.quiet["fake-1"] = quiet
        await eventually(lambda: _state(gateway, "fake-1") == "degraded", "the silence to be said")
        assert gateway.board.conditions["channel fake-1"].reason == quiet.sentence
        source.state = Health("degraded", "The signal is weak.")
        condition = gateway.board.conditions["channel fake-1"]
        await eventually(lambda: condition.reason == "The signal is weak.", "the channel's own reason to be said")
        source.state = Health("up", "")
        gateway.board.quiet.clear()
        await eventually(lambda: _state(gateway, "fake-1") == "up", "the channel to be up again")
    assert _state(gateway, "fake-2") == "up"
