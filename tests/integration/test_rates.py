"""Rates over time: added up in the database by every process, correct over restarts, few rows whatever comes."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.errors import StoreUnavailable
from gateway.settings.model import ChannelSection
from gateway.store import Store, rates
from gateway.store.tables import rates as rate_table
from tests.conftest import eventually
from tests.fakes import FakeChannels, FakeClock, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import CHANNEL, PARSERS, Kernel, kernel_on, settings_for


async def _rows(store: Store) -> Sequence[Any]:
    async with store.read() as connection:
        return (await connection.execute(select(rate_table))).all()


async def _counted(store: Store, width: int = rates.HOUR) -> dict[str, int]:
    """What was counted of the fake channel, by step."""
    found: Counter[str] = Counter()
    for row in await _rows(store):
        if row.width == width and row.channel == CHANNEL:
            found[row.step] += row.count
    return dict(found)


async def _messages(kernel: Kernel, first: int, count: int) -> None:
    texts = (fake_message(f"m{first + number}", f"Laporan {first + number}") for number in range(count))
    await kernel.take(*texts)


async def test_every_step_is_counted_for_its_channel_in_every_width(store_url: str, clock: FakeClock) -> None:
    """Seven messages, four of them twice at the source: what is new counts."""
    async with kernel_on(store_url, clock) as kernel:
        await _messages(kernel, 0, 4)
        await _messages(kernel, 0, 7)
        await kernel.gateway.rates.flush()
        for width in rates.KEPT_SECONDS:
            assert await _counted(kernel.store, width) == {"received": 7, "processed": 7, "published": 7}


async def test_a_gateway_that_starts_again_adds_to_what_was_counted(store_url: str, clock: FakeClock) -> None:
    """The counters of a new process begin at zero; the rows do not."""
    for first in (0, 10, 20):
        async with kernel_on(store_url, clock) as kernel:
            await _messages(kernel, first, 5)
            await kernel.gateway.rates.flush()
            await kernel.gateway.rates.flush()  # what is written is not written again
    async with kernel_on(store_url, clock) as kernel:
        assert (await _counted(kernel.store))["received"] == 15


async def test_several_gateways_on_one_database_add_up(postgresql_url: str, clock: FakeClock) -> None:
    """They write at the same time, many times over."""
    async with kernel_on(postgresql_url, clock) as one, kernel_on(postgresql_url, clock) as other:
        for turn in range(10):
            for position, kernel in enumerate((one, other)):
                kernel.gateway.metrics.received.labels(CHANNEL).inc(3)
                kernel.gateway.metrics.received.labels(f"other-{turn}-{position}").inc(1)
            await asyncio.gather(one.gateway.rates.flush(), other.gateway.rates.flush())
        assert await _counted(one.store) == {"received": 60}


async def test_what_could_not_be_written_is_written_the_next_time(
    store_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, in the span of time in which it is written."""
    async with kernel_on(store_url, clock) as kernel:
        await _messages(kernel, 0, 3)
        with monkeypatch.context() as patch:

            async def fail(*_arguments: object) -> None:
                message = "The database does not answer."
                raise StoreUnavailable(message)

            patch.setattr(rates, "add", fail)
            with pytest.raises(StoreUnavailable):
                await kernel.gateway.rates.flush()
            await kernel.gateway.rates.finish()  # whoever stops does not fail by it
        await _messages(kernel, 3, 2)
        await kernel.gateway.rates.flush()
        assert (await _counted(kernel.store))["received"] == 5


async def test_stopping_writes_what_was_counted(store_url: str) -> None:
    """All of it, answers too, and how long the channel was listened to."""
    channels, publisher = FakeChannels(), RecordingPublisher()
    source = channels.create(CHANNEL, FakeSettings())
    section = ChannelSection(CHANNEL, channels.plugin(), FakeSettings())
    gateway = Gateway(settings_for(store_url, channels=[section]), publisher=publisher, parsers=PARSERS)
    source.put(*(fake_message(f"m{number}", f"Laporan {number}", f"+62811000000{number}") for number in range(5)))
    await gateway.start()
    try:
        await eventually(lambda: len(publisher.confirmed) == 5, "all reports to be published")
        await eventually(lambda: len(source.sent) == 5, "all receipts to be sent")
    finally:
        await gateway.stop()
    store = Store(store_url)
    try:
        counted = await _counted(store)
    finally:
        await store.close()
    counted.pop(rates.LISTENED, None)
    answered = counted.pop("answered")
    assert counted == {"received": 5, "processed": 5, "published": 5}
    assert answered in {4, 5}  # the last may have been under way


async def test_a_month_of_messages_is_a_few_rows(store_url: str, clock: FakeClock) -> None:
    """One row for each span, step and channel; what is too old goes, by its width."""
    async with kernel_on(store_url, clock) as kernel:
        for _hour in range(40 * 24):
            async with kernel.store.write() as connection:
                await rates.add(connection, {(CHANNEL, "received"): 1000}, to_milliseconds(clock.now()))
            clock.advance(hours=1)
        async with kernel.store.write() as connection:
            await rates.forget(connection, to_milliseconds(clock.now()))
        widths = Counter(row.width for row in await _rows(kernel.store))
        assert widths == {rates.FIVE_MINUTES: 25, rates.HOUR: 36 * 24}
        async with kernel.store.read() as connection:
            first = to_milliseconds(clock.now()) - 24 * 3600 * 1000
            days = await rates.since(connection, rates.HOUR, first, ["received"], span=12 * 3600)
        assert [bucket.count for bucket in days] == [12_000, 12_000, 8_000]  # halves of days in UTC; it is 8 o'clock


@pytest.mark.parametrize(("state", "listened"), [("up", 10), ("down", 0), ("paused", 0), ("degraded", 0)])
async def test_only_a_channel_that_is_up_is_listened_to(
    sqlite_url: str, clock: FakeClock, state: Any, listened: int
) -> None:
    """Silence is judged by the time in which something could have come."""
    section = ChannelSection(CHANNEL, FakeChannels().plugin(), FakeSettings())
    async with kernel_on(sqlite_url, clock, settings=settings_for(sqlite_url, channels=[section])) as kernel:
        kernel.gateway.board.report(f"channel {CHANNEL}", state, "")
        for _turn in range(2):
            clock.advance(seconds=5)
            await kernel.gateway.rates.flush()
        assert (await _counted(kernel.store)).get(rates.LISTENED, 0) == listened
