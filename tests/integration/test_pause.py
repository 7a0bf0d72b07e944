"""An operator pauses a channel through the database: whichever process runs it, and over restarts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select

from gateway import supervisor
from gateway.actions import channels as acts
from gateway.actions.act import act
from gateway.application import Gateway
from gateway.clock import SystemClock
from gateway.ports import OutgoingAnswer, Sent
from gateway.settings.model import ChannelSection
from gateway.stages.loop import Backoff
from gateway.store import Store
from gateway.store.tables import answers
from tests.conftest import eventually
from tests.fakes import FakeChannels, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import PARSERS, settings_for

NAMES = ("fake-1", "fake-2")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)
    monkeypatch.setattr(supervisor, "HEALTH_SECONDS", 0.05)
    monkeypatch.setattr(supervisor, "PAUSE_SECONDS", 0.05)


@asynccontextmanager
async def _running(url: str, *, one_reader: bool = False) -> AsyncIterator[tuple[Gateway, FakeChannels]]:
    channels = FakeChannels()
    plugin = channels.plugin(one_reader=one_reader)
    for name in NAMES:
        channels.create(name, FakeSettings())
    settings = settings_for(url, channels=[ChannelSection(name, plugin, FakeSettings()) for name in NAMES])
    gateway = Gateway(settings, clock=SystemClock(), publisher=RecordingPublisher(), parsers=PARSERS)
    await gateway.start()
    try:
        yield gateway, channels
    finally:
        await gateway.stop()


async def _order(url: str, *, pause: bool) -> None:
    """As another process does it."""
    store = Store(url)
    try:
        async with store.write() as connection:
            work = acts.pause if pause else acts.resume
            assert await work(connection, "fake-1", act("budi", "console", 1, "new SIM"))
    finally:
        await store.close()


def _state(gateway: Gateway, name: str) -> str:
    condition = gateway.board.conditions.get(f"channel {name}")
    return condition.state if condition else ""


@pytest.mark.parametrize("one_reader", [False, True])
async def test_a_paused_channel_rests_over_a_restart_until_it_is_resumed(store_url: str, one_reader: bool) -> None:  # noqa: FBT001
    """It is closed, says by whom and why, and brings nothing; the other channel goes on."""
    async with _running(store_url, one_reader=one_reader) as (gateway, channels):
        await eventually(lambda: _state(gateway, "fake-1") == "up", "the channel to be up")
        await _order(store_url, pause=True)
        await eventually(lambda: _state(gateway, "fake-1") == "paused", "the channel to rest")
        assert gateway.board.conditions["channel fake-1"].reason == "Paused by budi: new SIM"
        assert channels.by_name["fake-1"].calls[-1] == "close"
    async with _running(store_url, one_reader=one_reader) as (gateway, channels):
        for name in NAMES:
            channels.by_name[name].put(fake_message(name))
        await eventually(lambda: bool(channels.by_name["fake-2"].released), "the other channel to work")
        await eventually(lambda: _state(gateway, "fake-1") == "paused", "the channel to rest still")
        assert channels.by_name["fake-1"].calls == []
        await _order(store_url, pause=False)
        await eventually(lambda: bool(channels.by_name["fake-1"].released), "the channel to work again")
        await eventually(lambda: _state(gateway, "fake-1") == "up", "the channel to be up again")


@pytest.mark.parametrize("hanging", ["open", "receive"])
async def test_a_channel_that_hangs_can_be_paused(sqlite_url: str, hanging: str) -> None:
    """That is when an operator wants to unplug it."""
    async with _running(sqlite_url) as (gateway, channels):
        channels.by_name["fake-1"].hangs.add(hanging)
        await eventually(lambda: hanging in channels.by_name["fake-1"].calls, "the channel to hang")
        await _order(sqlite_url, pause=True)
        await eventually(lambda: _state(gateway, "fake-1") == "paused", "the channel to rest")


async def test_an_answer_under_way_is_finished_first(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause in the middle of it would have it sent twice."""
    async with _running(sqlite_url) as (gateway, channels):
        source, taken = channels.by_name["fake-1"], asyncio.Event()

        async def slow(answer: OutgoingAnswer) -> Sent:
            source.sent.append(answer)
            await taken.wait()
            return Sent()

        monkeypatch.setattr(source, "send", slow)
        source.put(fake_message("m1"))
        await eventually(lambda: bool(source.sent), "an answer to be under way")
        await _order(sqlite_url, pause=True)
        looks = source.calls.count("health")
        await eventually(lambda: source.calls.count("health") > looks + 1, "time to have passed at the channel")
        assert "close" not in source.calls
        taken.set()
        await eventually(lambda: _state(gateway, "fake-1") == "paused", "the channel to rest")
        async with gateway.store.read() as connection:
            assert (await connection.scalars(select(answers.c.state))).all() == ["sent"]
        assert len(source.sent) == 1


async def test_an_answer_that_never_ends_is_cut_off(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while; what becomes of it is decided as after a crash."""
    monkeypatch.setattr(supervisor, "SEND_GRACE", 0.05)
    async with _running(sqlite_url) as (gateway, channels):
        source = channels.by_name["fake-1"]
        source.hangs.add("send")
        source.put(fake_message("m1"))
        await eventually(lambda: bool(source.sent), "an answer to be under way")
        await _order(sqlite_url, pause=True)
        await eventually(lambda: _state(gateway, "fake-1") == "paused", "the channel to rest")
