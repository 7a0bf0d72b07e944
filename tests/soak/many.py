"""The console on a database of millions of messages: how long a snapshot takes, and what it costs.

`python -m tests.soak.many --messages 5000000 --store sqlite`

The rows are made by the database itself, small and all alike but for their ids and times.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Final

from sqlalchemy import text

from gateway.application import Gateway
from gateway.clock import SystemClock, to_milliseconds
from gateway.console.latest import Snapshots
from gateway.console.snapshot import take
from gateway.settings.model import ChannelSection, QueueSettings, Settings, StoreSettings
from gateway.store import Store, messages, rates
from gateway.store.migrate import ensure_schema
from tests.fakes import FakeChannels, FakeSettings
from tests.services.postgresql import PostgreSQL

MOST_MS: Final = 100.0
CHANNELS: Final = ("sms-1708", "sms-1709", "twitter", "email")
_SPAN_MS: Final = 90 * 86_400_000
_CHUNK: Final = 100_000
_TAKEN: Final = 30

_SERIES: Final = {
    "sqlite": "WITH RECURSIVE g(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM g WHERE n < :last)",
    "postgresql": "WITH g(n) AS (SELECT generate_series(CAST(:first AS BIGINT), CAST(:last AS BIGINT)))",
}
_ID: Final = {
    "sqlite": "printf('%012x', :begin + n * :step)",
    "postgresql": "lpad(to_hex(CAST(:begin + n * :step AS BIGINT)), 12, '0')",
}
_TAIL: Final = {"sqlite": "printf('%012x', n)", "postgresql": "lpad(to_hex(n), 12, '0')"}
_BLOB: Final = {"sqlite": "zeroblob(200)", "postgresql": "decode(repeat('00', 200), 'hex')"}


_INSERTS: Final = (
    (
        "INSERT INTO messages (id, channel, channel_type, external_id, order_key, raw, received_at, released_at, state,"
        " decision, report_id, processed_at, deaths) $series"
        " SELECT $id, $channel, 'fake', $tail, $tail, $blob, $at, $at,"
        " CASE WHEN n % 5000 = 1 THEN 'held' WHEN n % 5000 = 2 THEN 'quarantined' ELSE 'processed' END,"
        " 'report', $id, $at, 0 FROM g"
    ),
    (
        "INSERT INTO reports (id, tracking_id, body, sequence, created_at) $series"
        " SELECT $id, CAST(1000000000 + n AS VARCHAR(10)), $blob, 1, $at FROM g"
    ),
    (
        "INSERT INTO outbox (id, report_id, sequence, routing_key, body, created_at, confirmed_at) $series"
        " SELECT $id, $id, 1, 'report.received.fake', $blob, $at, $at FROM g"
    ),
    (
        "INSERT INTO answers (id, message_id, report_id, channel, kind, recipient, text, state, created_at, next_at,"
        " sent_at) $series SELECT $id, $id, $id, $channel, 'receipt', $tail, 'Diterima.',"
        " CASE WHEN n % 2000 = 3 THEN 'failed' WHEN n % 2000 = 4 THEN 'unknown' ELSE 'sent' END, $at, $at, $at FROM g"
    ),
    (
        "INSERT INTO rates (width, since, channel, step, count) $series"
        " SELECT 3600, $at, $channel, 'received', 30 FROM g WHERE n % 500 = 0 ON CONFLICT DO NOTHING"
    ),
)
"""One statement for each table, the same on both databases but for how a number becomes an id."""


def _statements(kind: str) -> list[str]:
    head, tail = _ID[kind], _TAIL[kind]
    names = " ".join(f"WHEN {place} THEN '{name}'" for place, name in enumerate(CHANNELS))
    parts = {
        "series": _SERIES[kind],
        "id": f"substr({head}, 1, 8) || '-' || substr({head}, 9, 4) || '-7000-8000-' || {tail}",
        "tail": tail,
        "at": "CAST(:begin + n * :step AS BIGINT)",
        "channel": f"CASE n % {len(CHANNELS)} {names} END",
        "blob": _BLOB[kind],
    }
    return [Template(statement).substitute(parts) for statement in _INSERTS]


async def fill(store: Store, count: int, tell: Callable[[str], None]) -> None:
    """Fills an empty database with messages that are done, their reports, events and answers."""
    kind = "sqlite" if store.is_sqlite else "postgresql"
    step = _SPAN_MS // count
    begin = to_milliseconds(SystemClock().now()) - count * step
    for first in range(0, count, _CHUNK):
        values = {"first": first, "last": min(first + _CHUNK, count) - 1, "begin": begin, "step": step}
        for statement in _statements(kind):
            async with store.write() as connection:
                await connection.execute(text(statement), values)
        if (first // _CHUNK) % 10 == 9:
            tell(f"{first + _CHUNK} of {count}")
    await _fill_rates(store)
    if not store.is_sqlite:
        async with store.write() as connection:
            await connection.execute(text("ANALYZE"))


async def _fill_rates(store: Store) -> None:
    """Every bucket of the last day, for each channel and step."""
    now = to_milliseconds(SystemClock().now())
    counted = {(channel, step): 25 for channel in CHANNELS for step in (*rates.STEPS, rates.LISTENED)}
    async with store.write() as connection:
        for bucket in range(300):
            await rates.add(connection, counted, now - bucket * rates.FIVE_MINUTES * 1000)


async def measure(url: str, folder: Path, count: int, tell: Callable[[str], None]) -> bool:
    """Fills a database, takes snapshots, and prints what they took."""
    channels = FakeChannels()
    sections = {name: ChannelSection(name, channels.plugin(), FakeSettings()) for name in CHANNELS}
    settings = Settings(
        store=StoreSettings(url=url, files=str(folder / "files")),
        queue=QueueSettings(url=f"journal:{folder / 'journal.jsonl'}"),
        channels=sections,
    )
    gateway = Gateway(settings)
    await ensure_schema(gateway.store)
    async with gateway.store.read() as connection:
        filled = (await connection.execute(text("SELECT 1 FROM messages LIMIT 1"))).first() is not None
    if not filled:
        await fill(gateway.store, count, tell)
    wholly = [await _timed(lambda: take(gateway, None)) for _ in range(_TAKEN)]
    _, slow = await take(gateway, None)
    quick = [await _timed(lambda: take(gateway, slow)) for _ in range(_TAKEN)]
    snapshots = Snapshots(gateway)
    begin = time.perf_counter()
    await asyncio.gather(*(snapshots.latest() for _ in range(100)))
    hundred = (time.perf_counter() - begin) * 1000
    newest = [await _timed(lambda: _newest(gateway.store)) for _ in range(_TAKEN)]
    found = await snapshots.latest()
    tell(f"{'SQLite' if gateway.store.is_sqlite else 'PostgreSQL'}, {count} messages; milliseconds, median and most:")
    for name, taken in (("all of it", wholly), ("what is read each second", quick), ("newest messages", newest)):
        tell(f"  {name}: {statistics.median(taken):.1f}, {max(taken):.1f}")
    tell(f"  a hundred at once: {hundred:.1f}")
    tell(f"  needs somebody: {found.attention}")
    await gateway.store.close()
    return statistics.median(wholly) <= MOST_MS


async def _newest(store: Store) -> None:
    async with store.read() as connection:
        await messages.page(connection, state=None, channel=None, before=None, limit=20)


async def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    await work()  # type: ignore[misc]
    return (time.perf_counter() - begin) * 1000


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """An empty database of a kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'gateway.db'}"
        return
    with PostgreSQL(fsync=False, settings={"max_wal_size": "4GB"}) as cluster:
        yield cluster.create_database("many")


def main() -> int:
    """Runs it; returns 0 if a snapshot is quick enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=5_000_000)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    arguments = parser.parse_args()

    def tell(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, database(arguments.store, Path(name)) as url:
        quick = asyncio.run(measure(url, Path(name), arguments.messages, tell))
    return 0 if quick else 1


if __name__ == "__main__":
    sys.exit(main())
