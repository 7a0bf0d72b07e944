"""A source that bears one reader has one, however many gateways could reach it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from sqlalchemy import func, select, text

from gateway import supervisor
from gateway.application import Gateway
from gateway.clock import SystemClock
from gateway.errors import LeaseLost, StoreUnavailable
from gateway.ports import Gap
from gateway.settings.model import AnswerSettings, ChannelSection
from gateway.stages import answer as answer_module
from gateway.stages.answer import AnswerStage
from gateway.stages.loop import Backoff
from gateway.stages.receive import Committed
from gateway.store import Store, channel_states, leases
from gateway.store.channel_states import ChannelRow
from gateway.store.channel_store import StoredChannel
from gateway.store.leases import Lease
from gateway.store.tables import answers, channel_values, gaps, messages
from gateway.store.tables import leases as lease_table
from tests.conftest import eventually
from tests.fakes import FAKE_TYPE, FakeChannel, FakeChannels, FakeClock, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import CHANNEL, PARSERS, Kernel, kernel_on, settings_for

LONG: Final = 600.0
"""Seconds: no lease expires in a test by itself, however slow the machine is."""


class Host:
    """One gateway with its own way to a source that it shares with others."""

    def __init__(self, url: str) -> None:
        self.source = FakeChannel()
        plugin = FakeChannels({CHANNEL: self.source}).plugin(one_reader=True)
        section = ChannelSection(CHANNEL, plugin, FakeSettings())
        self.gateway = Gateway(
            settings_for(url, channels=[section]),
            clock=SystemClock(),
            publisher=RecordingPublisher(),
            parsers=PARSERS,
        )

    @property
    def state(self) -> str:
        """What the console shows of the channel."""
        condition = self.gateway.board.conditions.get(f"channel {CHANNEL}")
        return condition.state if condition else ""

    async def until(self, state: str) -> None:
        """Waits for the channel to be in a state."""
        await eventually(lambda: self.state == state, f"the channel to be {state}")

    async def brings(self, external_id: str) -> None:
        """A message reaches the source, and is taken into custody here."""
        self.source.put(fake_message(external_id))
        await eventually(lambda: external_id in self.source.released, f"{external_id} to be released")


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each holder asked for the lease; those who wait ask often, and no lease expires by itself."""
    asked: dict[str, int] = {}
    acquire, renew = leases.acquire, leases.renew

    async def acquire_long(connection: Any, channel: str, holder: str, _seconds: float) -> Lease | None:
        asked[holder] = asked.get(holder, 0) + 1
        return await acquire(connection, channel, holder, LONG)

    async def renew_long(connection: Any, lease: Lease, _seconds: float) -> None:
        await renew(connection, lease, LONG)

    monkeypatch.setattr(leases, "acquire", acquire_long)
    monkeypatch.setattr(leases, "renew", renew_long)
    monkeypatch.setattr(supervisor, "LEASE_SECONDS", 0.03)
    monkeypatch.setattr(supervisor, "HEALTH_SECONDS", 0.05)
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)
    return asked


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Host]:
    """A gateway that runs, and is stopped in order at the end unless that has happened before."""
    host = Host(url)
    await host.gateway.start()
    try:
        yield host
    finally:
        await host.gateway.stop()


async def a_few_more(attempts: dict[str, int]) -> None:
    """Waits until whoever waits has asked for the lease three times more."""
    wanted = sum(attempts.values()) + 3
    await eventually(lambda: sum(attempts.values()) >= wanted, "the lease to be asked for again")


async def expire(store: Store) -> None:
    """Lets time pass for the database."""
    async with store.write() as connection:
        await connection.execute(lease_table.update().values(expires_at=1))


async def count(host: Host) -> int:
    """How many messages are in custody."""
    async with host.gateway.store.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(messages))).scalar_one())


async def kill(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends a gateway as ``kill -9`` does, as far as the lease can tell: it is not given back."""

    async def not_any_more(*_arguments: Any) -> None:
        return

    with monkeypatch.context() as patched:
        patched.setattr(leases, "release", not_any_more)
        await host.gateway.stop()


async def test_of_two_gateways_one_reads_and_the_other_waits(
    postgresql_url: str, attempts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second does not even open the source, says *paused*, and overwrites nothing that the first one shows."""
    shown: list[str] = []
    save = channel_states.save

    async def noting(connection: Any, row: ChannelRow) -> None:
        shown.append(row.state)
        await save(connection, row)

    async with running(postgresql_url) as one:
        await one.until("up")
        async with running(postgresql_url) as two:
            await two.until("paused")
            assert "Another gateway" in two.gateway.board.conditions[f"channel {CHANNEL}"].reason
            two.source.put(fake_message("a"))
            await one.brings("a")
            await a_few_more(attempts)
            monkeypatch.setattr(channel_states, "save", noting)
            await eventually(lambda: len(shown) >= 4, "the state to be saved a few times")
            assert (one.state, two.state, two.source.calls, set(shown)) == ("up", "paused", [], {"up"})


async def test_a_gateway_that_dies_is_followed_once_its_lease_has_run_out(
    postgresql_url: str, attempts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before; what the dead one had committed and not released comes again and is counted once."""
    one = Host(postgresql_url)
    await one.gateway.start()
    await one.until("up")
    await one.brings("a")
    async with running(postgresql_url) as two:
        await two.until("paused")
        await kill(one, monkeypatch)
        await a_few_more(attempts)
        assert (two.state, two.source.calls) == ("paused", [])
        await expire(two.gateway.store)
        await two.until("up")
        await two.brings("a")
        await two.brings("b")
        assert await count(two) == 2


async def test_a_gateway_that_stops_in_order_is_followed_at_once(postgresql_url: str, attempts: dict[str, int]) -> None:
    """Nobody has to wait for its lease to run out."""
    async with running(postgresql_url) as two_after_one:
        await two_after_one.until("up")
        async with running(postgresql_url) as waiting:
            await waiting.until("paused")
            await two_after_one.gateway.stop()
            await waiting.until("up")
            await waiting.brings("a")
    assert len(attempts) == 2


async def test_a_gateway_that_was_taken_for_dead_stops_reading(
    postgresql_url: str, attempts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It notices at the next renewal, although it has nothing to write; it lets go of the source, and waits."""

    async def nothing_to_write(*_arguments: Any) -> None:
        return

    monkeypatch.setattr(leases, "check", nothing_to_write)  # the answer stage would notice as well
    async with running(postgresql_url) as one:
        await one.until("up")
        async with one.gateway.store.write() as connection:
            await connection.execute(lease_table.update().values(holder="another", epoch=lease_table.c.epoch + 1))
        await one.until("paused")
        assert one.source.calls.count("close") == one.source.calls.count("open")
        one.source.put(fake_message("a"))
        await a_few_more(attempts)
        assert await count(one) == 0
        await expire(one.gateway.store)
        await one.until("up")
        await eventually(lambda: "a" in one.source.released, "the message to be released")


async def test_a_channel_that_fails_is_opened_anew_by_its_holder(
    postgresql_url: str, attempts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, although the database was away when the lease was to be given back."""

    async def fail(*_arguments: Any) -> None:
        raise StoreUnavailable("The database does not answer.")

    async with running(postgresql_url) as one:
        await one.until("up")
        with monkeypatch.context() as patched:
            patched.setattr(leases, "release", fail)
            one.source.faults["receive"].append(ConnectionError())
            one.source.put(fake_message("a"), fake_message("b"))
            await eventually(lambda: "b" in one.source.released, "the messages to be released")
    assert list(attempts.values()) == [one.source.calls.count("open")]


@pytest.mark.parametrize("killed", [True, False])
async def test_on_sqlite_a_restart_takes_the_source_at_once(
    sqlite_url: str, attempts: dict[str, int], monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    """The database belongs to one process: whoever held the lease before is gone, dead or alive."""
    one = Host(sqlite_url)
    await one.gateway.start()
    await one.until("up")
    await (kill(one, monkeypatch) if killed else one.gateway.stop())
    async with running(sqlite_url) as two:
        await two.until("up")
        await two.brings("a")
    assert list(attempts.values()) == [1, 1]


# What a former holder may still do: nothing.


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with kernel_on(store_url, clock) as opened:
        yield opened


@pytest.fixture
async def former(kernel: Kernel) -> Lease:
    """The lease of a gateway that another one has followed."""
    lease = await acquired(kernel.store, "one")
    await expire(kernel.store)
    newer = await acquired(kernel.store, "two")
    assert newer.epoch > lease.epoch
    return lease


async def acquired(store: Store, holder: str, seconds: float = LONG) -> Lease:
    """A lease that is free."""
    async with store.write() as connection:
        lease = await leases.acquire(connection, CHANNEL, holder, seconds)
    assert lease is not None
    return lease


async def test_a_former_holders_messages_are_refused_and_the_others_kept(kernel: Kernel, former: Lease) -> None:
    """Of one group commit: the source of the refused ones still has them."""
    custody = kernel.gateway.custody
    waiting: list[asyncio.Task[Committed]] = [
        asyncio.create_task(custody.commit(channel, FAKE_TYPE, [fake_message("a")], lease))
        for channel, lease in (("before", None), (CHANNEL, former), ("behind", None))
    ]
    await asyncio.sleep(0)
    await custody.step()
    before, refused, behind = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(refused, LeaseLost)
    assert isinstance(before, Committed)
    assert isinstance(behind, Committed)
    assert {row.channel for row in await kernel.rows(messages)} == {"before", "behind"}
    await kernel.process()
    assert await kernel.count(messages, state="processed") == 2


async def test_the_holders_messages_are_taken(kernel: Kernel, former: Lease) -> None:
    """The same source, read by whoever holds it now."""
    holder = Lease(CHANNEL, former.epoch + 1)
    commit = asyncio.create_task(kernel.gateway.custody.commit(CHANNEL, FAKE_TYPE, [fake_message("a")], holder))
    await asyncio.sleep(0)
    await kernel.gateway.custody.step()
    assert len((await commit).ids) == 1


async def test_a_former_holder_saves_nothing(kernel: Kernel, former: Lease) -> None:
    """Its cursor would lead the new one astray."""
    kept = StoredChannel(kernel.store, CHANNEL, former)
    with pytest.raises(LeaseLost):
        await kept.save({"cursor": "1"})
    with pytest.raises(LeaseLost):
        await kept.save({}, [Gap("stream", kernel.clock.now(), None, "open", "The connection broke.")])
    assert (await kernel.count(channel_values), await kernel.count(gaps)) == (0, 0)
    holder = StoredChannel(kernel.store, CHANNEL, Lease(CHANNEL, former.epoch + 1))
    await holder.save({"cursor": "2"})
    assert await kept.load("cursor") == "2"


@pytest.mark.parametrize("state", ["queued", "sending"])
async def test_a_former_holder_answers_nobody(
    kernel: Kernel, former: Lease, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does it settle, at its start, what the new one is sending, nor does it claim what waits."""
    monkeypatch.setattr(answer_module, "POLL_SECONDS", 0)
    await kernel.take(fake_message("a"))
    await kernel.change(answers, answers.c.state == "queued", state=state, attempts=1)
    channel = FakeChannel()
    stage = AnswerStage(
        CHANNEL,
        channel,
        after_crash="resend",
        wanted=asyncio.Event(),
        store=kernel.store,
        settings=AnswerSettings(),
        clock=kernel.clock,
        metrics=kernel.gateway.metrics,
        lease=former,
    )
    for recovered in (False, True):
        stage._recovered = recovered  # noqa: SLF001 - before its start, and long after it
        with pytest.raises(LeaseLost):
            await stage.step()
    assert (channel.sent, (await kernel.row(answers)).state) == ([], state)


async def test_a_former_holder_can_neither_renew_nor_give_back(kernel: Kernel, former: Lease) -> None:
    """What it does late takes nothing from the new one."""
    expiry = (await kernel.row(lease_table)).expires_at
    async with kernel.store.write() as connection:
        with pytest.raises(LeaseLost):
            await leases.renew(connection, former, LONG * 2)
        await leases.release(connection, former)
    row = await kernel.row(lease_table)
    assert (row.holder, row.expires_at) == ("two", expiry)


# The lease itself, by the database's clock.


async def test_a_lease_is_free_once_it_has_run_out(postgresql_url: str) -> None:
    """Renewed it is not; given back it is; each holder's epoch is higher than the one before."""
    store = Store(postgresql_url)
    try:
        first = await acquired(store, "one", -1)
        second = await acquired(store, "two", -1)
        async with store.write() as connection:
            await leases.renew(connection, second, LONG)
            assert await leases.acquire(connection, CHANNEL, "three", LONG) is None
            await leases.release(connection, second)
        third = await acquired(store, "three")
        assert [first.epoch, second.epoch, third.epoch] == [1, 2, 3]
    finally:
        await store.close()


async def test_a_holder_may_ask_again(postgresql_url: str) -> None:
    """It could not give the lease back (the database was away): what it did under the old one is refused."""
    store = Store(postgresql_url)
    try:
        old = await acquired(store, "one")
        new = await acquired(store, "one")
        async with store.read() as connection:
            assert await leases.still_held(connection, [old, new]) == {new}
    finally:
        await store.close()


async def test_nobody_takes_a_source_over_in_the_middle_of_a_transaction(postgresql_url: str) -> None:
    """What was checked at its beginning still holds at its commit."""
    store = Store(postgresql_url)
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    async def somebody_waits() -> bool:
        async with store.read() as connection:
            return bool((await connection.execute(waits)).scalar_one())

    try:
        lease = await acquired(store, "one", -1)
        async with store.write() as connection:
            await leases.check(connection, lease)
            follower = asyncio.create_task(acquired(store, "two"))
            await eventually(somebody_waits, "the follower to wait for the transaction")
            await leases.check(connection, lease)
        assert (await follower).epoch == lease.epoch + 1
    finally:
        await store.close()
