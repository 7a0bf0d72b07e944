"""The handover in memory: bounded, it falls behind and catches up, loses nothing and doubles nothing."""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.stages.handover import BATCH_BYTES, Handover
from tests.fakes import FakeClock

CAPACITY = 5


@dataclass(frozen=True)
class Row:
    """A row with an id."""

    id: str


class Rows:
    """A table of waiting rows."""

    def __init__(self) -> None:
        self.waiting: dict[str, Row] = {}
        self.reads = 0
        self.error: Exception | None = None

    async def read(self, limit: int, besides: Collection[str]) -> list[Row]:
        """As the stages read: oldest first, without those ids."""
        self.reads += 1
        view = [self.waiting[id_] for id_ in sorted(self.waiting) if id_ not in besides][:limit]
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return view

    def commit(self, *ids: str) -> list[Row]:
        """Writes rows that wait from now on."""
        fresh = [Row(id_) for id_ in ids]
        self.waiting |= {row.id: row for row in fresh}
        return fresh


@pytest.fixture
def rows() -> Rows:
    """An empty table."""
    return Rows()


@pytest.fixture
def handover(rows: Rows, clock: FakeClock) -> Handover[Row]:
    """One that has caught up with an empty table."""
    made = Handover[Row](rows.read, CAPACITY, clock)
    assert asyncio.run(made.take(10)) == []
    rows.reads = 0
    return made


def ids(taken: list[Row]) -> list[str]:
    """What was taken."""
    return [row.id for row in taken]


async def test_what_is_offered_is_taken_in_order_without_a_read(rows: Rows, handover: Handover[Row]) -> None:
    """The happy path asks the database for nothing."""
    handover.offer(rows.commit("1", "2", "3"))
    assert ids(await handover.take(2)) == ["1", "2"]
    assert ids(await handover.take(2)) == ["3"]
    assert rows.reads == 0


async def test_a_start_reads_what_waits(rows: Rows, clock: FakeClock) -> None:
    """The first batch comes from the database."""
    rows.commit("1", "2")
    assert ids(await Handover[Row](rows.read, CAPACITY, clock).take(10)) == ["1", "2"]


async def test_a_taker_waits_for_work(rows: Rows, handover: Handover[Row]) -> None:
    """It is woken by the offer."""
    taker = asyncio.create_task(handover.take(10))
    await asyncio.sleep(0)
    assert not taker.done()
    handover.offer(rows.commit("1"))
    assert ids(await taker) == ["1"]


async def test_memory_is_bounded_and_the_overflow_is_the_database(rows: Rows, handover: Handover[Row]) -> None:
    """More than its capacity is forgotten, and read again in batches and in order."""
    everything = [f"{n:02d}" for n in range(23)]
    for id_ in everything:
        handover.offer(rows.commit(id_))
        assert len(handover._buffer) <= CAPACITY  # noqa: SLF001 - the bound itself
    taken: list[str] = []
    while len(taken) < len(everything):
        batch = await handover.take(4)
        taken += ids(batch)
        for row in batch:
            del rows.waiting[row.id]
    assert taken == everything


async def test_having_caught_up_it_asks_no_more(rows: Rows, handover: Handover[Row]) -> None:
    """A batch that is not full is the end of the backlog."""
    handover.fall_behind()
    rows.commit("1")
    assert ids(await handover.take(4)) == ["1"]
    rows.waiting.clear()
    handover.offer(rows.commit("2"))
    assert ids(await handover.take(4)) == ["2"]
    assert rows.reads == 1


async def test_what_a_read_and_an_offer_both_bring_is_taken_once(rows: Rows, handover: Handover[Row]) -> None:
    """Committed before the read, offered after it."""
    handover.fall_behind()
    fresh = rows.commit("1")
    taker = asyncio.create_task(handover.take(4))
    await asyncio.sleep(0)
    handover.offer(fresh)
    assert ids(await taker) == ["1"]
    handover.offer(rows.commit("2"))
    assert ids(await handover.take(4)) == ["2"]


async def test_it_is_taken_once_even_when_a_sweep_comes_between(
    rows: Rows, handover: Handover[Row], clock: FakeClock
) -> None:
    """The row of the read is done, its offer still in memory, and the sweep finds other rows."""
    handover.fall_behind()
    fresh = rows.commit("1")
    taker = asyncio.create_task(handover.take(4))
    await asyncio.sleep(0)
    handover.offer(fresh)
    assert ids(await taker) == ["1"]
    rows.waiting.clear()
    rows.commit("0")
    clock.sweep()
    assert ids(await handover.take(4)) == ["0"]
    rows.waiting.clear()
    handover.offer(rows.commit("2"))
    assert ids(await handover.take(4)) == ["2"]


async def test_a_sweep_finds_what_nobody_offered_and_leaves_nothing_waiting(
    rows: Rows, handover: Handover[Row], clock: FakeClock
) -> None:
    """Rows of another process come with those from memory, neither twice."""
    rows.commit("1")
    handover.offer(rows.commit("2"))
    clock.sweep()
    assert ids(await handover.take(4)) == ["1", "2"]


async def test_what_is_being_worked_on_is_not_read(rows: Rows, handover: Handover[Row], clock: FakeClock) -> None:
    """Neither when behind nor in a sweep."""
    rows.commit("1", "2")
    handover.fall_behind()
    assert ids(await handover.take(4, busy={"1"})) == ["2"]
    clock.sweep()
    assert ids(await handover.take(4, busy={"1", "2"})) == []


async def test_a_read_that_fails_is_tried_again(rows: Rows, handover: Handover[Row]) -> None:
    """It stays behind, and what was offered meanwhile is read as well."""
    handover.fall_behind()
    handover.offer(rows.commit("1"))
    rows.error = OSError("away")
    with pytest.raises(OSError, match="away"):
        await handover.take(4)
    handover.offer(rows.commit("2"))
    rows.error = None
    assert ids(await handover.take(4)) == ["1", "2"]


async def test_a_read_that_is_cancelled_loses_nothing(rows: Rows, handover: Handover[Row]) -> None:
    """The next one reads again."""
    handover.fall_behind()
    rows.commit("1")
    taker = asyncio.create_task(handover.take(4))
    await asyncio.sleep(0)
    taker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taker
    assert ids(await handover.take(4)) == ["1"]


async def test_a_batch_is_no_heavier_than_it_may_be(rows: Rows, clock: FakeClock) -> None:
    """A few heavy items fill a batch; the one that makes it heavy is its last."""
    third = BATCH_BYTES // 3 + 1
    handover = Handover[Row](rows.read, CAPACITY, clock, lambda _row: third)
    assert await handover.take(10) == []
    handover.offer(rows.commit("1", "2", "3", "4"))
    assert [row.id for row in await handover.take(10)] == ["1", "2", "3"]
    assert [row.id for row in await handover.take(10)] == ["4"]


async def test_memory_holds_no_more_bytes_than_it_may(rows: Rows, clock: FakeClock) -> None:
    """Beyond four batches' bytes the database holds what waits."""
    handover = Handover[Row](rows.read, 100, clock, lambda _row: BATCH_BYTES)
    assert await handover.take(10) == []
    reads = rows.reads
    handover.offer(rows.commit("1", "2", "3", "4", "5"))
    assert len(await handover.take(10)) == 5
    assert rows.reads == reads + 1


class Interleavings(RuleBasedStateMachine):
    """Commits, offers, takes, failures and sweeps in any order; a model of one stage and the table behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.rows = Rows()
        self.handover = Handover[Row](self.rows.read, CAPACITY, self.clock)
        self.made = 0
        self.done: Counter[str] = Counter()

    def teardown(self) -> None:
        """Leaves no event loop open."""
        self.loop.close()

    def _commit(self, count: int) -> list[Row]:
        ids = [f"{n:05d}" for n in range(self.made, self.made + count)]
        self.made += count
        return self.rows.commit(*ids)

    @rule(count=st.integers(1, 8))
    def commit_and_offer(self, count: int) -> None:
        """The happy path."""
        self.handover.offer(self._commit(count))

    @rule(count=st.integers(1, 3))
    def another_process_commits(self, count: int) -> None:
        """Nobody offers these."""
        self._commit(count)

    @rule(limit=st.integers(1, 7), during=st.integers(0, 7), fails=st.booleans())
    def take(self, limit: int, during: int, *, fails: bool) -> None:
        """One batch; meanwhile others commit and offer; then it is worked off, or its step fails."""
        self.loop.run_until_complete(self._take(limit, during, fails=fails))

    async def _take(self, limit: int, during: int, *, fails: bool) -> None:
        taker = asyncio.create_task(self.handover.take(limit))
        await asyncio.sleep(0)
        if during:
            self.handover.offer(self._commit(during))
        else:
            self.handover.offer([])  # woken for nothing, so that nobody waits for the sweep in real time
        batch = await taker
        assert len(batch) <= limit
        assert len({row.id for row in batch}) == len(batch)
        if fails:
            self.handover.fall_behind()
            return
        for row in batch:
            del self.rows.waiting[row.id]  # a KeyError here is a row that was handed out twice
            self.done[row.id] += 1

    @rule()
    def sweep(self) -> None:
        """Time passes."""
        self.clock.sweep()

    @rule()
    def forget(self) -> None:
        """Whoever wants may throw the buffer away."""
        self.handover.fall_behind()

    @invariant()
    def memory_is_bounded(self) -> None:
        """At all times."""
        assert len(self.handover._buffer) <= CAPACITY  # noqa: SLF001 - the bound itself

    @precondition(lambda self: self.made > 0)
    @rule()
    def drain(self) -> None:
        """In the end every row has been worked off, each once."""
        for _ in range(2 * self.made + 2):
            self.clock.sweep()
            self.loop.run_until_complete(self._take(7, 0, fails=False))
        assert not self.rows.waiting
        assert set(self.done.values()) <= {1}
        assert len(self.done) == self.made


Interleavings.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestInterleavings = Interleavings.TestCase
