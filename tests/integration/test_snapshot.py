"""What the console shows: counts that are right, read from indexes, once for all who look."""

import asyncio
import json
import re
import shutil
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.console import latest, places, snapshot
from gateway.console.figures import POINTS
from gateway.console.latest import Snapshots
from gateway.console.snapshot import Snapshot, take_snapshot
from gateway.errors import StoreUnavailable
from gateway.identifiers import Uuid7Factory
from gateway.settings.model import ChannelSection
from gateway.store import Store, backlog, channel_states, rates
from gateway.store.backlog import Count
from gateway.store.channel_states import ChannelRow
from gateway.store.tables import answers, messages, outbox, reports
from tests.conftest import DEADLINE
from tests.fakes import FakeChannels, FakeClock, FakeSettings, fake_message
from tests.integration.kernel import CHANNEL, Kernel, kernel_on, settings_for

LARGE = ("messages", "answers", "outbox", "reports")
PARTIAL = re.compile(r"ix_(messages_(unprocessed|open|order)|outbox_(pending|parked)|answers_(unsent|undelivered))\b")
"""Indexes that hold only what is not done."""


@asynccontextmanager
async def _kernel(url: str, clock: FakeClock) -> AsyncIterator[Kernel]:
    section = ChannelSection(CHANNEL, FakeChannels().plugin(), FakeSettings())
    async with kernel_on(url, clock, settings=settings_for(url, channels=[section])) as kernel:
        await _show_channel(kernel)
        yield kernel


async def _show_channel(kernel: Kernel, state: str = "up") -> None:
    now = to_milliseconds(kernel.clock.now())
    async with kernel.store.write() as connection:
        row = ChannelRow(CHANNEL, "fake", state, "", now, now, {"signal_percent": 70}, now)
        await channel_states.save(connection, row)


def _row(table: str, new_id: str, at: int, **values: Any) -> dict[str, Any]:
    common: dict[str, dict[str, Any]] = {
        "messages": {
            "channel": CHANNEL,
            "channel_type": "fake",
            "external_id": new_id,
            "order_key": new_id[-12:],
            "received_at": at,
            "state": "processed",
        },
        "reports": {"tracking_id": "1234567897", "sequence": 1, "created_at": at, "duplicate_of": new_id},
        "outbox": {"sequence": 1, "routing_key": "report.received.fake", "created_at": at, "confirmed_at": at},
        "answers": {
            "message_id": new_id,
            "channel": CHANNEL,
            "kind": "receipt",
            "state": "sent",
            "created_at": at,
            "next_at": at,
        },
    }
    return {"id": new_id, **common[table], **values}


async def _fill(store: Store, now: datetime, count: int, **of_every: dict[str, Any]) -> None:
    """Rows in every large table; ``of_every`` holds what differs from a message that is done."""
    at = to_milliseconds(now)
    new_id = Uuid7Factory(lambda: at)
    ids = [new_id() for _ in range(count)]
    async with store.write() as connection:
        for table in (messages, reports, outbox, answers):
            more = of_every.get(table.name, {})
            link = [{"report_id": each} if table is outbox else {} for each in ids]
            rows = [_row(table.name, each, at, **linked, **more) for each, linked in zip(ids, link, strict=True)]
            await connection.execute(insert(table), rows)


async def test_what_waits_and_what_needs_somebody_is_counted(store_url: str, clock: FakeClock) -> None:
    """Every count of the first page, and how long the oldest has waited."""
    async with _kernel(store_url, clock) as kernel:
        await _fill(kernel.store, clock.now(), 3, messages={"state": "held"}, answers={"state": "failed"})
        clock.advance(minutes=1)
        pending = {"confirmed_at": None}
        await _fill(kernel.store, clock.now(), 4, messages={"state": "received"}, outbox=pending)
        clock.advance(minutes=1)
        parked = {"confirmed_at": None, "parked_at": 1}
        await _fill(kernel.store, clock.now(), 2, messages={"state": "quarantined"}, outbox=parked)
        await _fill(kernel.store, clock.now(), 5, answers={"state": "queued"}, messages={"state": "discarded"})
        await _fill(kernel.store, clock.now(), 1, answers={"state": "unknown"}, messages={"state": "assembling"})
        await _show_channel(kernel, "needs_operator")
        clock.advance(minutes=1)
        found = await take_snapshot(kernel.gateway)
    expected = {"received": Count(4), "assembling": Count(1), "held": Count(3), "quarantined": Count(2)}
    assert found.messages == expected
    assert found.answers == {"waiting": Count(5), "failed": Count(3), "expired": Count(0), "unknown": Count(1)}
    waiting = {step.name: (step.waiting.number, step.oldest_seconds) for step in found.pipeline}
    assert waiting == {"received": (0, None), "processed": (4, 120), "published": (4, 120), "answered": (5, 60)}
    needs = found.attention
    counted = (needs.held, needs.quarantined, needs.parked, needs.answers_failed, needs.answers_unknown)
    assert [count.number for count in counted] == [3, 2, 2, 3, 1]
    assert needs.channels == (CHANNEL,)
    assert needs.total == Count(12)
    assert (found.broker.waiting, found.broker.parked) == (Count(4), Count(2))


async def test_a_large_backlog_is_counted_no_further_than_a_bound(
    store_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown as so many and more."""
    monkeypatch.setattr(backlog, "COUNTED", 10)
    async with _kernel(store_url, clock) as kernel:
        await _fill(kernel.store, clock.now(), 10, messages={"state": "held"})
        assert str((await take_snapshot(kernel.gateway)).messages["held"]) == "10"
        await _fill(kernel.store, clock.now(), 1, messages={"state": "held"})
        found = await take_snapshot(kernel.gateway)
    assert str(found.messages["held"]) == "10+"
    assert found.attention.total.more


async def test_answers_that_failed_long_ago_need_nobody_any_more(store_url: str, clock: FakeClock) -> None:
    """Those of the last week do."""
    async with _kernel(store_url, clock) as kernel:
        await _fill(kernel.store, clock.now(), 2, answers={"state": "failed"})
        clock.advance(days=4)
        await _fill(kernel.store, clock.now(), 1, answers={"state": "failed"})
        assert (await take_snapshot(kernel.gateway)).attention.answers_failed == Count(3)
        clock.advance(days=4)
        assert (await take_snapshot(kernel.gateway)).attention.answers_failed == Count(1)


async def test_rates_are_shown_by_channel_and_step(store_url: str, clock: FakeClock) -> None:
    """Now, today in Jakarta, and in each quarter of an hour; it is 15:00 there."""
    async with _kernel(store_url, clock) as kernel:
        for hours, count in ((0, 100), (14, 7), (3, 20), (7, 3)):
            clock.advance(hours=hours)
            async with kernel.store.write() as connection:
                counted = {(CHANNEL, "received"): count, ("another", "received"): 1}
                await rates.add(connection, counted, to_milliseconds(clock.now()))
        clock.advance(minutes=2)
        found = await take_snapshot(kernel.gateway)
    (channel,) = found.channels
    received = channel["rates"]["received"]
    assert received["today"] == 30
    assert received["per_minute"] == pytest.approx(0.75)  # three in the four minutes that have begun since 07:58
    assert len(received["series"]) == POINTS
    assert {point: count for point, count in enumerate(received["series"]) if count} == {55: 7, 67: 20, 95: 3}
    total = found.pipeline[0]
    assert (total.today, total.series[-1]) == (33, 4)
    assert channel["details"] == {"signal_percent": 70}


async def test_it_can_be_sent_as_json(store_url: str, clock: FakeClock) -> None:
    """Everything, in values that JSON knows."""
    async with _kernel(store_url, clock) as kernel:
        await kernel.take(fake_message("m1"))
        kernel.gateway.board.report("publish 1", "up", "")
        shown = json.loads(json.dumps((await take_snapshot(kernel.gateway)).as_json()))
    assert shown["at"] == "2026-11-01T08:00:00.000Z"
    assert shown["broker"]["state"] == "up"
    assert shown["broker"]["confirm_seconds"] == 0
    assert shown["store"]["reachable"] is True
    assert shown["messages"]["held"] == {"number": 0, "more": False}
    assert [step["name"] for step in shown["pipeline"]] == ["received", "processed", "published", "answered"]


@contextmanager
def _statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """Every query that is sent while the block runs."""
    seen: list[tuple[str, Any]] = []
    engine = store._reader.sync_engine  # noqa: SLF001 - what reaches the database

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def _plans(store: Store, statements: Sequence[tuple[str, Any]]) -> list[list[str]]:
    prefix = "EXPLAIN QUERY PLAN " if store.is_sqlite else "EXPLAIN "
    found: list[list[str]] = []
    async with store.read() as connection:
        if not store.is_sqlite:
            await connection.execute(text("SET LOCAL enable_seqscan = off"))  # few rows here are read faster as a whole
        for statement, parameters in statements:
            if statement.lstrip().startswith("SELECT"):
                rows = await connection.exec_driver_sql(prefix + statement, parameters)
                found.append([str(row[-1]) for row in rows])
    return found


def _scans(plan: Sequence[str]) -> list[str]:
    """The steps of a plan that read the whole of a large table, or of an index that holds all its rows."""
    found: list[str] = []
    for number, step in enumerate(plan):
        table = re.search(rf"(?:SCAN|Scan.* on) ({'|'.join(LARGE)})\b", step)
        if table is None or PARTIAL.search(step):
            continue
        below = " ".join(plan[number + 1 : number + 4])
        bounded = "Index Cond" in below or ("Bitmap Heap Scan" in step and PARTIAL.search(below))
        if "Seq Scan" in step or not bounded:
            found.append(step)
    return found


async def test_no_query_reads_a_large_table_as_a_whole(store_url: str, clock: FakeClock) -> None:
    """The plan of each query says which index it uses; five million messages make none of them slower."""
    async with _kernel(store_url, clock) as kernel:
        await _fill(kernel.store, clock.now(), 2000)
        await _fill(kernel.store, clock.now(), 20, messages={"state": "received"}, answers={"state": "queued"})
        await _fill(kernel.store, clock.now(), 20, messages={"state": "held"}, answers={"state": "failed"})
        if not kernel.store.is_sqlite:
            async with kernel.store.write() as connection:
                await connection.execute(text("ANALYZE"))
        with _statements(kernel.store) as seen:
            await take_snapshot(kernel.gateway)
        plans = await _plans(kernel.store, seen)
        whole = await _plans(kernel.store, [("SELECT count(*) FROM messages WHERE decision = 'x'", ())])
    assert len(plans) >= 5
    assert any(PARTIAL.search(step) for plan in plans for step in plan)
    assert [scan for plan in plans for scan in _scans(plan)] == []
    assert _scans(whole[0]), "what the test looks for would be seen"


async def test_a_hundred_who_look_cost_one_look(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second, even when the first of them goes away; after it there is a new one."""
    taken = 0
    working = snapshot.take

    async def counting(gateway: Gateway, slow: snapshot.Slow | None) -> tuple[Snapshot, snapshot.Slow]:
        nonlocal taken
        taken += 1
        return await working(gateway, slow)

    monkeypatch.setattr(latest, "take", counting)
    async with _kernel(sqlite_url, clock) as kernel:
        snapshots = Snapshots(kernel.gateway)
        first = asyncio.create_task(snapshots.latest())
        await asyncio.sleep(0)
        first.cancel()
        found = await asyncio.gather(*(snapshots.latest() for _ in range(100)))
        assert len({id(each) for each in found}) == 1
        assert (await snapshots.latest()) is found[0]
        assert taken == 1
        clock.advance(seconds=1)
        assert (await snapshots.latest()).at > found[0].at
        assert taken == 2
        await snapshots.close()


async def test_while_the_database_is_away_the_last_snapshot_says_so(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as old as it says; before there was one, there is an error."""
    working = snapshot.take

    async def fail(_gateway: Gateway, _slow: snapshot.Slow | None) -> tuple[Snapshot, snapshot.Slow]:
        message = "store.url: the database does not answer in time."
        raise StoreUnavailable(message)

    async with _kernel(sqlite_url, clock) as kernel:
        snapshots = Snapshots(kernel.gateway)
        monkeypatch.setattr(latest, "take", fail)
        with pytest.raises(StoreUnavailable):
            await snapshots.latest_known()
        monkeypatch.setattr(latest, "take", working)
        known = await snapshots.latest()
        clock.advance(seconds=30)
        monkeypatch.setattr(latest, "take", fail)
        shown = await snapshots.latest_known()
        assert shown == replace(known, store=shown.store)
        assert (shown.store.reachable, shown.store.reason) == (
            False,
            "store.url: the database does not answer in time.",
        )
        with pytest.raises(StoreUnavailable):
            await snapshots.latest()


async def _history(kernel: Kernel, since: datetime, until: datetime, count: int) -> None:
    """An even rhythm, hour by hour, written as it would have been at the time."""
    moment = since
    while moment < until:
        counted = {(CHANNEL, "received"): count, (CHANNEL, rates.LISTENED): 3600}
        async with kernel.store.write() as connection:
            await rates.add(connection, counted, to_milliseconds(moment))
        moment += timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "enabled", "quiet"),
    [
        ("up", True, True),
        ("degraded", True, True),
        ("paused", True, False),
        ("down", True, False),
        ("up", False, False),
    ],
)
async def test_a_channel_that_is_there_and_brings_nothing_is_found_silent(
    sqlite_url: str, clock: FakeClock, state: Any, *, enabled: bool, quiet: bool
) -> None:
    """Four weeks of thirty an hour, then three hours of nothing; one that is paused or down is not judged."""
    async with _kernel(sqlite_url, clock) as kernel:
        stage = kernel.gateway.silence
        now = clock.now()
        await _history(kernel, now - timedelta(days=28), now - timedelta(hours=3), 30)
        await _history(kernel, now - timedelta(hours=3), now, 0)
        async with kernel.store.write() as connection:
            last = to_milliseconds(now - timedelta(hours=3))
            await channel_states.save(connection, ChannelRow(CHANNEL, "fake", "up", "", last, last, {}, last))
        kernel.gateway.board.report(f"channel {CHANNEL}", state, "")
        if enabled:
            await stage.look()
        assert (CHANNEL in kernel.gateway.board.quiet) is quiet


async def test_a_disk_that_never_answers_holds_one_thread_and_no_more(
    sqlite_url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threads are everybody's: passwords and files wait for them as well."""
    answers_again, asked = threading.Event(), []

    def usage(folder: Path) -> None:
        asked.append(folder)
        answers_again.wait(DEADLINE)
        raise OSError

    monkeypatch.setattr(places, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(shutil, "disk_usage", usage)
    async with _kernel(sqlite_url, clock) as kernel:
        for _ in range(5):
            assert (await take_snapshot(kernel.gateway)).store.free == {}
        held = len(asked)
        answers_again.set()
    assert held == 1
