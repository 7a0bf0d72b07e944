"""A window full of reports costs little: speed of PROCESS, memory, and seconds from start to the first decision.

`python -m tests.soak.window --reports 1000000 --store sqlite`

The filled database is large and takes minutes to make: `--keep FOLDER` leaves it there for the next run.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import os
import pwd
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

import uvloop
from sqlalchemy import func, select

from gateway.application import Gateway
from gateway.identifiers import uuid7
from gateway.settings.model import QueueSettings, Settings, StoreSettings
from gateway.store import Store, messages
from gateway.store.messages import StoredMessage
from gateway.store.migrate import ensure_schema
from gateway.store.tables import matters
from gateway.store.tables import messages as message_table
from gateway.telemetry import configure_logging
from tests.services import wait_until
from tests.services.postgresql import PostgreSQL
from tests.soak.process import GatewayProcess
from tests.soak.window_fill import CHANNEL, TYPE, fill
from tests.soak.window_texts import record, stream

BATCH: Final = 400
LEAST_RATIO: Final = 0.8
MOST_MB: Final = 400
MOST_SECONDS: Final = 5.0
MOST_HELD_MS: Final = 100.0

_TICK: Final = 0.002
_FIRST_SECONDS: Final = 120.0
_MIB: Final = 1 << 20

Say = Callable[[str], None]


class KeptPostgreSQL(PostgreSQL):
    """A cluster whose data outlives it, with as much shared memory as PostgreSQL takes by itself."""

    def __init__(self, data: Path) -> None:
        super().__init__(settings={"shared_buffers": "128MB", "max_wal_size": "4GB"})
        self.data = data

    def _launch(self) -> subprocess.Popen[bytes]:
        if self._account is not None:  # the server's own account has to reach the socket, too
            entry = pwd.getpwnam(self._account)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
            if not self.data.exists():
                self.data.parent.mkdir(parents=True, exist_ok=True)
                os.chown(self.data.parent, entry.pw_uid, entry.pw_gid)
        return super()._launch()


@dataclass(slots=True)
class Window:
    """One database with its window, and the gateway's stage on it."""

    url: str
    gateway: Gateway
    seconds: float = 0.0
    processor: float = 0.0
    held: float = 0.0

    @classmethod
    async def open(cls, url: str, folder: Path) -> Window:
        """Opens a database; makes its tables where there are none."""
        settings = Settings(
            store=StoreSettings(url=url, files=str(folder / "files")),
            queue=QueueSettings(url=f"journal:{folder / 'journal.jsonl'}"),
        )
        gateway = Gateway(settings)
        await ensure_schema(gateway.store)
        return cls(url, gateway)

    async def keep(self, batch: Sequence[StoredMessage]) -> None:
        """Takes messages into custody."""
        for start in range(0, len(batch), BATCH):
            async with self.gateway.store.write() as connection:
                await messages.add(connection, batch[start : start + BATCH])

    async def decide(self, batch: Sequence[StoredMessage]) -> None:
        """Takes a batch that is in custody through PROCESS, and measures."""
        watch = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        begin, processor = time.perf_counter(), time.process_time()
        await self.gateway.process.process(batch)
        self.seconds += time.perf_counter() - begin
        self.processor += time.process_time() - processor
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch

    async def _watch(self) -> None:
        """Notes how long the event loop kept others waiting."""
        while True:
            begin = time.perf_counter()
            try:
                await asyncio.sleep(_TICK)
            finally:
                self.held = max(self.held, (time.perf_counter() - begin - _TICK) * 1000)

    def forget(self) -> None:
        """Begins to measure anew."""
        self.seconds = self.processor = self.held = 0.0

    async def close(self) -> None:
        """Lets go of the database."""
        await self.gateway.store.close()


def stored(random: Random, count: int) -> list[StoredMessage]:
    """So many new messages, as custody would hold them."""
    at, found = int(time.time() * 1000), []
    for sms in islice(stream(random), count):
        raw = record(sms, f"run-{random.getrandbits(128):032x}")
        order_key = hashlib.blake2b(raw.order_key.encode(), digest_size=16).hexdigest()
        found.append(StoredMessage(uuid7(), CHANNEL, TYPE, raw.external_id, order_key, raw.raw, at))
    return found


async def ensure_filled(url: str, folder: Path, count: int, say: Say) -> None:
    """Fills a database whose window is empty."""
    window = await Window.open(url, folder)
    held = await _count(window.gateway.store)
    await window.close()
    if held == 0:
        begin = time.monotonic()
        await asyncio.to_thread(fill, window.gateway.store.url, count, int(time.time() * 1000), say)
        say(f"{count} reports filled in, {time.monotonic() - begin:.0f} s")
    elif held < count:
        message = f"The kept database holds {held} reports, not {count}; give another folder."
        raise SystemExit(message)


async def _count(store: Store) -> int:
    async with store.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(matters))).scalar_one())


async def compare(empty: Callable[[int], str], full: str, folder: Path, options: argparse.Namespace, say: Say) -> None:
    """Takes the same kind of messages through with an empty and with the full window, in turns."""
    count = options.messages // options.rounds
    filled = await Window.open(full, folder)
    random = Random(time.time_ns())
    await _warm(filled, random)
    ratios: list[tuple[float, float]] = []
    longest: list[tuple[float, float]] = []
    for number in range(options.rounds):
        bare = await Window.open(empty(number), folder)
        await _warm(bare, random)
        filled.forget()
        await _take_in_turns(bare, filled, count, random.getrandbits(64))
        await bare.close()
        ratios.append((bare.seconds / filled.seconds, bare.processor / filled.processor))
        longest.append((bare.held, filled.held))
        say(
            f"empty {count / bare.seconds:.0f}/s, full {count / filled.seconds:.0f}/s, ratio {ratios[-1][0]:.2f}, "
            f"of processor time {ratios[-1][1]:.2f}; event loop held {bare.held:.0f} and {filled.held:.0f} ms"
        )
    await filled.close()
    by_clock, by_processor = (statistics.median(each) for each in zip(*ratios, strict=True))
    say(f"{_mark(by_clock >= LEAST_RATIO)} median ratio {by_clock:.2f}, of processor time {by_processor:.2f}")
    held = statistics.median(each for _bare, each in longest)
    say(f"{_mark(held <= MOST_HELD_MS)} event loop held {held:.0f} ms at most in the median round")


async def _warm(window: Window, random: Random) -> None:
    """The first batch reads the index, prepares statements, and fills caches."""
    batch = stored(random, BATCH)
    await window.keep(batch)
    await window.decide(batch)
    window.forget()


async def _take_in_turns(bare: Window, filled: Window, count: int, seed: int) -> None:
    """The same texts through both, batch by batch in turns: whatever else the machine does, it does to both."""
    pairs = [(window, stored(Random(seed), count)) for window in (bare, filled)]
    for window, batch in pairs:
        await window.keep(batch)
    gc.collect()
    gc.freeze()  # as `lapor-gateway run` does
    for start in range(0, count, BATCH):
        for window, batch in pairs:
            await window.decide(batch[start : start + BATCH])
        pairs.reverse()


async def start(url: str, folder: Path, count: int, say: Say) -> None:
    """Starts the real process with messages that wait for it; measures seconds and memory."""
    window = await Window.open(url, folder)
    waiting = stored(Random(time.time_ns()), count)
    async with window.gateway.store.write() as connection:
        await messages.add(connection, waiting[:1])
    gateway = GatewayProcess(folder, store_url=url, queue_url=f"journal:{folder / 'journal.jsonl'}", channels={})
    begin = time.monotonic()
    gateway.start()
    try:
        wait_until(lambda: gateway.ask("/readyz") is not None, "the gateway to be ready", _FIRST_SECONDS)
        ready, ready_mb = time.monotonic() - begin, gateway.memory_mb()[0]
        while await _undecided(window.gateway.store):
            await asyncio.sleep(0.01)
        first, first_mb = time.monotonic() - begin, gateway.memory_mb()[0]
        for some in range(1, count, BATCH):
            async with window.gateway.store.write() as connection:
                await messages.add(connection, waiting[some : some + BATCH])
        while await _undecided(window.gateway.store):
            await asyncio.sleep(0.2)
        after_mb, peak = gateway.memory_mb()
    finally:
        gateway.stop()
        gateway.close()
        await window.close()
    mark = _mark(max(ready, first) <= MOST_SECONDS)
    say(f"{mark} ready after {ready:.1f} s, first decision after {first:.1f} s, at most {MOST_SECONDS:g}")
    resident = f"ready {ready_mb:.0f}, first decision {first_mb:.0f}, after {count} messages {after_mb:.0f}"
    say(f"{_mark(peak <= MOST_MB)} resident MB: {resident}, peak {peak:.0f}; at most {MOST_MB}")


async def _undecided(store: Store) -> int:
    query = select(func.count()).select_from(message_table).where(message_table.c.state == "received")
    async with store.read() as connection:
        return int((await connection.execute(query)).scalar_one())


def _mark(fine: bool) -> str:  # noqa: FBT001 - what it is about is the argument
    return "ok  " if fine else "FAIL"


@contextmanager
def databases(kind: str, folder: Path, keep: Path) -> Iterator[tuple[Callable[[int], str], str]]:
    """Addresses of empty databases by number, and that of the full one."""
    if kind == "sqlite":
        yield lambda number: f"sqlite:///{folder / f'empty-{number}.db'}", f"sqlite:///{keep / 'full.db'}"
        return
    data = keep / "postgresql" / "data"
    is_new = not data.exists()
    with KeptPostgreSQL(data) as cluster:
        full = cluster.create_database("window") if is_new else cluster.url("window")
        known = time.time_ns()
        yield lambda number: cluster.create_database(f"empty_{known}_{number}"), full


def main() -> int:
    """Fills, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=1_000_000)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a folder in which the filled database stays")
    parser.add_argument("--only", choices=("fill", "compare", "start"), help="one part of it")
    options = parser.parse_args()
    configure_logging("warning", "text")
    begin = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - begin:6.0f} s  {line}", flush=True)  # noqa: T201 - this is what it is for

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lapor-window-")))
        keep = options.keep or folder
        keep.mkdir(parents=True, exist_ok=True)
        empty, full = stack.enter_context(databases(options.store, folder, keep))
        uvloop.run(ensure_filled(full, folder, options.reports, say))
        if options.only in (None, "compare"):
            uvloop.run(compare(empty, full, folder, options, say))
        if options.only in (None, "start"):
            uvloop.run(start(full, folder, 4000, say))
    return 0


if __name__ == "__main__":
    sys.exit(main())
