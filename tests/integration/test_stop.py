"""The end of a gateway: within its bound, whatever hangs, and with everything to be found at the next start."""

import asyncio

import pytest

from gateway import supervisor
from gateway.application import Gateway
from gateway.settings.model import ChannelSection
from gateway.stages import rates
from gateway.store.tables import outbox
from tests.conftest import DEADLINE, eventually
from tests.fakes import FakeChannels, FakeClock, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import PARSERS, kernel_on, settings_for


def short_of_time(url: str, channels: FakeChannels, names: tuple[str, ...]) -> Gateway:
    """A gateway that has little time to stop."""
    sections = [ChannelSection(name, channels.plugin(), FakeSettings()) for name in names]
    settings = settings_for(url, channels=sections)
    pipeline = settings.pipeline.model_copy(update={"stop_timeout": 0.2})
    return Gateway(settings.model_copy(update={"pipeline": pipeline}), publisher=RecordingPublisher(), parsers=PARSERS)


async def test_the_end_comes_although_several_channels_and_the_queue_hang(store_url: str) -> None:
    """Not one bound for each of them but one for all; what was undone is done at the next start."""
    channels, names = FakeChannels(), ("fake-1", "fake-2", "fake-3")
    gateway = short_of_time(store_url, channels, names)
    queue = gateway._publisher  # noqa: SLF001 - the test's own
    assert isinstance(queue, RecordingPublisher)
    await gateway.start()
    queue.open_to = asyncio.Event()  # it will never answer
    for number, name in enumerate(names):
        await eventually(lambda name=name: name in channels.by_name, "the channels to be opened")
        channels.by_name[name].put(fake_message(f"m{number}"))
    await eventually(lambda: bool(queue.tried), "an event to be on the wire")
    for name in names:
        channels.by_name[name].hangs.add("close")
    async with asyncio.timeout(supervisor.CLOSE_TIMEOUT):  # three closings one after the other would take longer
        await gateway.stop()
    again = RecordingPublisher()
    async with kernel_on(store_url, FakeClock(), again) as kernel:
        await kernel.process()
        await kernel.publish()
        assert await kernel.count(outbox) == await kernel.count(outbox, parked_at=None) > 0
    assert {event.id for batch in queue.tried for event in batch} <= {event.id for event in again.confirmed}


async def test_a_channel_that_does_not_open_in_time_says_so(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is down with a sentence, not with a bug's name, and keeps that reason while it is opened again."""
    monkeypatch.setattr(supervisor, "OPEN_TIMEOUT", 0.05)
    channels = FakeChannels()
    gateway = short_of_time(sqlite_url, channels, ("fake-1",))
    channels.create("fake-1", FakeSettings()).hangs.add("open")
    await gateway.start()
    board = gateway.board.conditions
    await eventually(lambda: "channel fake-1" in board, "the channel to be shown")
    await eventually(lambda: board["channel fake-1"].reason.startswith("The channel did not open"), "the reason")
    opened = channels.by_name["fake-1"].calls.count("open")
    await eventually(lambda: channels.by_name["fake-1"].calls.count("open") > opened, "another try")
    assert board["channel fake-1"].reason.startswith("The channel did not open")
    await gateway.stop()


async def test_the_end_comes_although_the_figures_cannot_be_written(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have a bound of their own, within the one for everything."""
    monkeypatch.setattr(rates, "FINISH_SECONDS", 3600.0)
    gateway = short_of_time(sqlite_url, FakeChannels(), ())
    await gateway.start()

    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(gateway.rates, "_write", never)
    async with asyncio.timeout(DEADLINE):
        await gateway.stop()
