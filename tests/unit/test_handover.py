"""The handover between two stages: bounded, and the database holds what it does not."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.stages.handover import Handover
from tests.fakes import FakeClock


@dataclass(frozen=True, slots=True)
class Row:
    """A row that waits for the next stage."""

    id: str


class Table:
    """What the database holds: every row that was committed and not taken out."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.reads = 0

    async def read(self, limit: int, besides: Collection[str]) -> list[Row]:
        self.reads += 1
        await asyncio.sleep(0)
        return [row for row in self.rows if row.id not in besides][:limit]


def _rows(*numbers: int) -> list[Row]:
    return [Row(f"{number:04}") for number in numbers]


async def _started(table: Table, capacity: int = 10) -> tuple[Handover[Row], FakeClock]:
    """A handover that has caught up with an empty table."""
    clock = FakeClock()
    handover = Handover[Row](table.read, capacity, clock)
    assert await handover.take(5) == []
    return handover, clock


async def test_what_is_offered_is_taken_in_order_without_a_read() -> None:
    """The happy path costs no query."""
    table = Table()
    handover, _clock = await _started(table)
    handover.offer(_rows(1, 2, 3))
    assert await handover.take(2) == _rows(1, 2)
    assert await handover.take(2) == _rows(3)
    assert table.reads == 1


async def test_at_the_start_the_database_is_read_first() -> None:
    """What an earlier process left behind comes before what is new."""
    table = Table()
    table.rows = _rows(1, 2)
    handover = Handover[Row](table.read, 10, FakeClock())
    handover.offer(_rows(3))
    assert await handover.take(5) == _rows(1, 2)


async def test_what_does_not_fit_is_read_from_the_database() -> None:
    """Memory stays bounded however far the next stage falls behind."""
    table = Table()
    handover, _clock = await _started(table, capacity=3)
    table.rows = _rows(1, 2, 3, 4)
    handover.offer(table.rows)
    assert await handover.take(10) == _rows(1, 2, 3, 4)
    assert table.reads == 2


async def test_a_row_that_was_read_and_offered_is_taken_once() -> None:
    """A commit and the read behind it may overlap."""
    table = Table()
    handover, _clock = await _started(table)
    handover.fall_behind()
    table.rows = _rows(1, 2)
    taking = asyncio.create_task(handover.take(5))
    await asyncio.sleep(0)
    handover.offer(_rows(2, 3))
    assert await taking == _rows(1, 2)
    assert await handover.take(5) == _rows(3)


async def test_a_failed_read_is_repeated() -> None:
    """The database was away; nothing of it is forgotten."""
    table = Table()
    handover, _clock = await _started(table)
    handover.fall_behind()
    table.rows = _rows(1)
    read = handover._read  # noqa: SLF001 - the seam for a fault

    async def fail(_limit: int, _besides: Collection[str]) -> list[Row]:
        raise OSError("away")

    handover._read = fail  # noqa: SLF001
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await handover.take(5)
    handover._read = read  # noqa: SLF001
    assert await handover.take(5) == _rows(1)


async def test_now_and_then_the_database_is_asked_for_what_nobody_offered() -> None:
    """Another process has put a row back, while this one is busy."""
    table = Table()
    handover, clock = await _started(table)
    handover.offer(_rows(1, 2))
    table.rows = _rows(1, 2, 9)
    clock.sweep()
    assert await handover.take(5) == _rows(9)
    assert await handover.take(5) == _rows(1, 2)


async def test_what_is_being_worked_on_is_not_taken_again() -> None:
    """Its row is still in the table."""
    table = Table()
    handover, _clock = await _started(table)
    table.rows = _rows(1, 2)
    handover.fall_behind()
    assert await handover.take(5, busy={"0001"}) == _rows(2)


class World:
    """A stage before, a stage behind and other processes, at one table."""

    def __init__(self, capacity: int) -> None:
        self.table, self.clock = Table(), FakeClock()
        self.handover = Handover[Row](self.table.read, capacity, self.clock)
        self.finished: list[str] = []
        self.made = 0

    def commit(self, count: int) -> list[Row]:
        new = _rows(*range(self.made, self.made + count))
        self.made += count
        self.table.rows += new
        return new

    async def take(self) -> list[Row]:
        if not self.handover._buffer:  # noqa: SLF001
            self.clock.sweep()  # or it would wait for work
        return await self.handover.take(3)

    async def finish(self) -> None:
        for row in await self.take():
            if row in self.table.rows:  # as each stage asks the database before it writes
                self.table.rows.remove(row)
                self.finished.append(row.id)

    async def step(self, name: str) -> None:
        match name:
            case "commit one" | "commit many":
                self.handover.offer(self.commit(1 if name == "commit one" else 4))
            case "other process":
                self.commit(1)
            case "sweep":
                self.clock.sweep()
            case "fail":
                await self.take()
                self.handover.fall_behind()
            case _:
                await self.finish()


@settings(max_examples=200, deadline=None)
@given(
    capacity=st.integers(1, 6),
    steps=st.lists(
        st.sampled_from(["commit one", "commit many", "take", "fail", "sweep", "other process"]), max_size=60
    ),
)
def test_nothing_is_lost_and_nothing_taken_twice(capacity: int, steps: list[str]) -> None:
    """Whatever happens in whatever order, each row is taken, and finished once."""

    async def run() -> World:
        world = World(capacity)
        for name in steps:
            await world.step(name)
        for _ in range(world.made + 5):
            world.clock.sweep()
            await world.finish()
        return world

    world = asyncio.run(run())
    assert sorted(world.finished) == [row.id for row in _rows(*range(world.made))]
