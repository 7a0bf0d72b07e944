"""Stage 1: bytes are committed before their source lets go of them, and nothing is handed on before that."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import ChannelUnavailable, StoreUnavailable
from gateway.ports import Delivery
from gateway.stages.receive import Committed, ReceiveStage
from gateway.store.channel_store import StoredChannel
from gateway.store.tables import messages
from tests.fakes import FAKE_TYPE, FakeChannel, FakeClock, fake_message, unavailable
from tests.integration.kernel import CHANNEL, Kernel, kernel_on, settings_for


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with kernel_on(store_url, clock) as opened:
        yield opened


@pytest.fixture
def channel() -> FakeChannel:
    """A source in memory."""
    return FakeChannel()


@pytest.fixture
def stage(kernel: Kernel, channel: FakeChannel) -> ReceiveStage:
    """The receive stage of the source."""
    return ReceiveStage(CHANNEL, FAKE_TYPE, channel, kernel.gateway.custody)


@pytest.fixture
def commits(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order: a ``commit`` for each of the gateway's."""
    happened: list[str] = []
    write = kernel.store.write

    @asynccontextmanager
    async def noting() -> AsyncIterator[AsyncConnection]:
        async with write() as connection:
            yield connection
        happened.append("commit")

    monkeypatch.setattr(kernel.store, "write", noting)
    return happened


def fail_writes(kernel: Kernel, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Makes every transaction fail."""

    def fail() -> Any:
        raise error

    monkeypatch.setattr(kernel.store, "write", fail)


async def one_step(kernel: Kernel, stage: ReceiveStage) -> None:
    """One step of the channel, with custody committing until it is done."""
    step = asyncio.create_task(stage.step())
    while not step.done():
        commit = asyncio.create_task(kernel.gateway.custody.step())
        await asyncio.wait((step, commit), return_when=asyncio.FIRST_COMPLETED)
        commit.cancel()
        with suppress(asyncio.CancelledError):
            await commit
    await step


async def gather_commits(kernel: Kernel, *commits: Awaitable[Committed]) -> list[tuple[str, ...]]:
    """Lets several commits wait, then steps once."""
    waiting = [asyncio.ensure_future(commit) for commit in commits]
    await asyncio.sleep(0)
    await kernel.gateway.custody.step()
    return [committed.ids for committed in await asyncio.gather(*waiting)]


async def test_what_waits_together_is_committed_together(kernel: Kernel, commits: list[str]) -> None:
    """Three channels' batches share one transaction, and each learns its own ids."""
    custody = kernel.gateway.custody
    found = await gather_commits(
        kernel, *(custody.commit(f"c{n}", FAKE_TYPE, [fake_message("a"), fake_message("b")]) for n in range(3))
    )
    assert commits == ["commit"]
    stored = {(row.channel, row.external_id): row.id for row in await kernel.rows(messages)}
    assert found == [(stored[f"c{n}", "a"], stored[f"c{n}", "b"]) for n in range(3)]


async def test_a_transaction_is_no_larger_than_a_batch(store_url: str, clock: FakeClock) -> None:
    """What does not fit waits for the next transaction; a delivery is never torn apart."""
    async with kernel_on(store_url, clock, settings=settings_for(store_url, batch=5)) as kernel:
        custody = kernel.gateway.custody
        waiting = [
            asyncio.create_task(custody.commit(f"c{n}", FAKE_TYPE, [fake_message(f"m{i}") for i in range(size)]))
            for n, size in enumerate((3, 3, 9))
        ]
        await asyncio.sleep(0)
        for done in ((0,), (1,), (2,)):
            await custody.step()
            await asyncio.wait([waiting[n] for n in done])
            assert await kernel.count(messages) == sum((3, 3, 9)[: done[0] + 1])


async def test_the_source_lets_go_only_after_the_commit(
    kernel: Kernel, stage: ReceiveStage, channel: FakeChannel, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Release follows the commit, and is written down after it happened."""
    release = channel.release

    async def noting(delivery: Any, new: Collection[str]) -> None:
        commits.append("release")
        await release(delivery, new)

    monkeypatch.setattr(channel, "release", noting)
    channel.put(fake_message("a"), fake_message("b"))
    await one_step(kernel, stage)
    assert {row.released_at for row in await kernel.rows(messages)} == {None}
    await kernel.gateway.custody.step()
    assert commits == ["commit", "release", "commit"]
    assert None not in {row.released_at for row in await kernel.rows(messages)}
    assert channel.inbox == {}


async def test_nothing_is_handed_on_before_the_commit(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database fails, the next stage hears of nothing; afterwards of each message once."""
    offered: list[str] = []
    inbox = kernel.gateway.custody._to_process  # noqa: SLF001 - a spy
    monkeypatch.setattr(inbox, "offer", lambda items: offered.extend(item.external_id for item in items))
    with monkeypatch.context() as patched:
        fail_writes(kernel, patched, StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable):
            await kernel.receive(fake_message("a"))
        assert offered == []
    await kernel.receive(fake_message("a"))
    await kernel.receive(fake_message("a"), fake_message("b"))
    assert offered == ["a", "b"]


async def test_a_redelivery_is_dropped_by_the_unique_key_and_released_too(
    kernel: Kernel, stage: ReceiveStage, channel: FakeChannel
) -> None:
    """What the source hands over again is in custody once, keeps its id, and the source may forget it."""
    first = await kernel.receive(fake_message("a"))
    channel.put(fake_message("a"), fake_message("b"))
    await one_step(kernel, stage)
    assert channel.released == ["a", "b"]
    assert [row.external_id for row in await kernel.rows(messages)] == ["a", "b"]
    assert (await kernel.row(messages, external_id="a")).id == first[0]
    assert kernel.gateway.metrics.redelivered.labels(CHANNEL)._value.get() == 1  # noqa: SLF001 - the library has no getter


@pytest.mark.parametrize("times", [2, 3])
async def test_the_same_message_twice_in_one_delivery_is_one(kernel: Kernel, times: int) -> None:
    """A SIM and a phone's memory may list the same SMS: both listings get the one id."""
    ids = await kernel.receive(*[fake_message("a")] * times)
    assert len(set(ids)) == 1
    assert await kernel.count(messages) == 1


async def test_the_same_message_by_two_channels_is_two(kernel: Kernel) -> None:
    """The key is the channel's name and the external id."""
    await kernel.receive(fake_message("a"), channel="one")
    await kernel.receive(fake_message("a"), channel="two")
    assert await kernel.count(messages) == 2


async def test_a_store_failure_keeps_the_batch_in_hand_and_releases_it_later(
    kernel: Kernel, stage: ReceiveStage, channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is released while the database is away, the source is not asked again, and then all goes on."""
    channel.put(fake_message("a"))
    with monkeypatch.context() as patched:
        fail_writes(kernel, patched, StoreUnavailable("away"))
        for _ in range(3):
            step = asyncio.create_task(stage.step())
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable):
                await kernel.gateway.custody.step()
            with pytest.raises(StoreUnavailable):
                await step
    assert (channel.released, channel.calls) == ([], ["receive"])
    await one_step(kernel, stage)
    assert (channel.released, channel.calls) == (["a"], ["receive", "release"])
    assert await kernel.count(messages) == 1


async def test_a_release_that_fails_comes_again_and_is_released_then(
    kernel: Kernel, stage: ReceiveStage, channel: FakeChannel
) -> None:
    """The message is committed once, not counted twice, and in the end gone from its source."""
    channel.put(fake_message("a"))
    channel.faults["release"].append(unavailable())
    with pytest.raises(ChannelUnavailable):
        await one_step(kernel, stage)
    assert channel.inbox
    await one_step(kernel, stage)
    assert not channel.inbox
    assert await kernel.count(messages) == 1


async def test_a_release_is_noted_even_when_the_store_fails_first(
    kernel: Kernel, stage: ReceiveStage, channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note is written at the next try, without waiting for another message."""
    channel.put(fake_message("a"))
    await one_step(kernel, stage)
    with monkeypatch.context() as patched:
        fail_writes(kernel, patched, StoreUnavailable("away"))
        with pytest.raises(StoreUnavailable):
            await kernel.gateway.custody.step()
    await kernel.gateway.custody.step()
    assert (await kernel.row(messages)).released_at is not None


async def test_what_the_database_cannot_hold_is_refused_to_its_own_channel_only(kernel: Kernel) -> None:
    """A batch under a broken name fails alone; the batch that shared its transaction is committed."""
    custody = kernel.gateway.custody
    bad = asyncio.create_task(custody.commit("half \ud83d", FAKE_TYPE, [fake_message("a")]))
    good = asyncio.create_task(custody.commit("good", FAKE_TYPE, [fake_message("a")]))
    await asyncio.sleep(0)
    await custody.step()
    assert len((await good).ids) == 1
    with pytest.raises(UnicodeEncodeError):
        await bad
    assert [row.channel for row in await kernel.rows(messages)] == ["good"]


async def test_a_channel_that_stops_waiting_is_forgotten(kernel: Kernel) -> None:
    """A cancelled commit that has not begun is not written; the next one is."""
    custody = kernel.gateway.custody
    given_up = asyncio.create_task(custody.commit("c", FAKE_TYPE, [fake_message("a")]))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await kernel.receive(fake_message("b"))
    assert [row.external_id for row in await kernel.rows(messages)] == ["b"]


async def test_the_order_key_is_kept_as_a_hash(kernel: Kernel) -> None:
    """The column by which messages are ordered holds no phone number."""
    await kernel.receive(fake_message("a", sender="+6281100000001"), fake_message("b", sender="+6281100000001"))
    (key,) = {row.order_key for row in await kernel.rows(messages)}
    assert re.fullmatch("[0-9a-f]{32}", key)


async def test_an_empty_delivery_commits_nothing(
    kernel: Kernel, stage: ReceiveStage, channel: FakeChannel, commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source may return with nothing now and then."""

    async def nothing() -> Delivery:
        return Delivery((), None)

    monkeypatch.setattr(channel, "receive", nothing)
    await stage.step()
    assert (commits, await kernel.count(messages)) == ([], 0)


@pytest.mark.parametrize("external_id", ["x" * 300, "a\0b", "\ud800", "id-dengan-é"])
async def test_an_id_that_no_column_holds_is_kept_by_its_hash(
    store_url: str, clock: FakeClock, external_id: str
) -> None:
    """Whoever chose it cannot block the channel, and a redelivery is still known."""
    async with kernel_on(store_url, clock) as kernel:
        first = await kernel.receive(fake_message(external_id))
        assert await kernel.receive(fake_message(external_id)) == first
        assert (await kernel.row(messages)).external_id.startswith("sha256:")


async def test_a_cursor_is_committed_together_with_its_messages(
    kernel: Kernel, stage: ReceiveStage, channel: FakeChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a delivery says that the channel keeps is there if its messages are, and not otherwise."""
    kept = StoredChannel(kernel.store, CHANNEL)
    channel.values = {"cursor": "17"}
    channel.put(fake_message("a"))
    with monkeypatch.context() as patched:
        patched.setattr("gateway.stages.receive.save_values", _fail)
        with pytest.raises(StoreUnavailable):
            await one_step(kernel, stage)
    assert (await kernel.count(messages), await kept.load("cursor")) == (0, None)
    await one_step(kernel, stage)
    assert (await kernel.count(messages), await kept.load("cursor")) == (1, "17")


async def _fail(*_arguments: Any) -> None:
    raise StoreUnavailable("The database does not answer.")
