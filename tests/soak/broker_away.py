"""Memory stays flat while the broker is away, and everything drains when it comes: promise 4.

`python -m tests.soak.broker_away --messages 200000`

Unlike the kill loops this one feeds at RECEIVE, in the gateway's own process: no phone is that quick.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import aio_pika
import uvloop

from gateway.application import Gateway
from gateway.bench import CHANNEL, invented_records
from gateway.plugins import parsers
from gateway.ports import RawMessage
from gateway.settings.model import QueueSettings, Settings, StoreSettings
from gateway.store import messages, outbox
from gateway.telemetry import configure_logging
from tests.services.rabbitmq import RabbitMQ
from tests.soak.intake import INTAKE
from tests.soak.verdict import Verdict

BATCH = 100
FEEDERS = 8
MARKS = (10_000, 50_000, 100_000, 200_000)
ALLOWANCE_MB = 128.0
"""How much the memory may grow after the first mark: SQLite's page caches, one of 64 MiB for each of two
connections in use, fill up with the database. The backlog itself is several times as large."""

_POLL_SECONDS = 0.2
_DRAIN_SECONDS = 3600.0
_MIB = 1 << 20


def rss_mb() -> float:
    """The memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


class Run:
    """One gateway that is fed while its broker is away.

    Args:
        broker: A node that is not started yet.
        folder: Where the database goes.
        count: How many messages.
        tell: Called with a line now and then.
    """

    def __init__(self, broker: RabbitMQ, folder: Path, count: int, tell: Callable[[str], None]) -> None:
        settings = Settings(
            store=StoreSettings(url=f"sqlite:///{folder / 'gateway.db'}"),
            queue=QueueSettings(url=broker.url, retry_cap=2.0),
        )
        self._gateway = Gateway(settings, parsers={CHANNEL: parsers()["sms"]})
        self._broker = broker
        self._database = folder / "gateway.db"
        self._count = count
        self._tell = tell
        self._fed = 0
        self._marks = [mark for mark in MARKS if mark <= count]
        self.verdict = Verdict()

    async def run(self) -> Verdict:
        """Feeds, waits, drains and counts."""
        await self._gateway.start()
        try:
            await self._feed()
            await self._decide()
            await self._drain()
        finally:
            await self._gateway.stop()
        figures = self.verdict.figures
        figures["peak RSS, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        first = figures.get(_mark(MARKS[0]))
        if isinstance(first, float):
            grown = float(str(figures["peak RSS, MB"])) - first
            self.verdict.add(f"growth over {ALLOWANCE_MB:g} MB", [f"{grown:.0f} MB"] if grown > ALLOWANCE_MB else [])
        return self.verdict

    async def _feed(self) -> None:
        begin = time.monotonic()
        records = invented_records(self._count, seed=1)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(FEEDERS):
                tasks.create_task(self._feed_some(records))
        self.verdict.figures["received, messages/s"] = round(self._count / (time.monotonic() - begin))

    async def _feed_some(self, records: Iterator[RawMessage]) -> None:
        """As one channel would: a batch waits for its commit before the next one is made."""
        while batch := list(islice(records, BATCH)):
            await self._gateway.custody.commit(CHANNEL, CHANNEL, batch)
            self._fed += len(batch)
            if self._fed % 5000 < BATCH:
                self._sample()

    def _sample(self) -> None:
        size = self._database.stat().st_size / _MIB
        self._tell(f"{self._fed} received, RSS {rss_mb():.0f} MB, database {size:.0f} MB")
        while self._marks and self._fed >= self._marks[0]:
            self.verdict.figures[_mark(self._marks.pop(0))] = round(rss_mb(), 1)

    async def _decide(self) -> None:
        """Waits until every message is decided and its event in the outbox."""
        begin = time.monotonic()
        while await self._undecided():
            self._tell(f"deciding, RSS {rss_mb():.0f} MB")
            await asyncio.sleep(_POLL_SECONDS * 10)
        async with self._gateway.store.read() as connection:
            waiting = await outbox.count_pending(connection)
        gc.collect()
        self.verdict.figures |= {
            "seconds until all are decided": round(time.monotonic() - begin, 1),
            "events that wait for the broker": waiting,
            "RSS with the whole backlog, MB": round(rss_mb(), 1),
            "database, MB": round(self._database.stat().st_size / _MIB),
        }
        self.verdict.add("events missing in the outbox", [waiting] if waiting != self._count else [])

    async def _undecided(self) -> int:
        async with self._gateway.store.read() as connection:
            return (await messages.counts(connection)).get("received", 0)

    async def _drain(self) -> None:
        """Starts the broker and waits until nothing is left."""
        await asyncio.to_thread(self._broker.start)
        begin = told = time.monotonic()
        metrics = self._gateway.metrics
        while metrics.published_total < self._count and time.monotonic() < begin + _DRAIN_SECONDS:
            await asyncio.sleep(_POLL_SECONDS)
            if time.monotonic() > told + 5:
                told = time.monotonic()
                self._tell(f"{metrics.published_total} drained, RSS {rss_mb():.0f} MB")
        seconds = time.monotonic() - begin
        self.verdict.figures |= {
            "seconds of draining": round(seconds, 1),
            "drained, events/s": round(metrics.published_total / seconds),
            "RSS after draining, MB": round(rss_mb(), 1),
        }


def _mark(count: int) -> str:
    return f"RSS at {count} received, MB"


async def distinct_on_queue(broker: RabbitMQ) -> tuple[int, int, int]:
    """How many deliveries, distinct message ids and distinct messages of citizens are on the queue."""
    depth = await asyncio.to_thread(broker.queue_depth, INTAKE)
    ids: set[str | None] = set()
    sources: set[str] = set()
    connection = await aio_pika.connect(broker.url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1000)
        queue = await channel.get_queue(INTAKE)
        seen = 0
        if depth:
            async with queue.iterator(timeout=60) as deliveries:
                async for delivery in deliveries:
                    ids.add(delivery.message_id)
                    sources.add(json.loads(delivery.body)["data"]["external_id"])
                    seen += 1
                    if seen % 500 == 0 or seen == depth:
                        await delivery.channel.basic_ack(delivery.delivery_tag or 0, multiple=True)
                    if seen == depth:
                        break
    return depth, len(ids), len(sources)


async def run(broker: RabbitMQ, folder: Path, count: int, tell: Callable[[str], None]) -> Verdict:
    """The whole run; the broker is started by it."""
    verdict = await Run(broker, folder, count, tell).run()
    found = await distinct_on_queue(broker)
    names = ("deliveries on the queue", "distinct message ids", "distinct messages of citizens")
    verdict.figures |= dict(zip(names, found, strict=True))
    verdict.add("wrong counts on the queue", [found] if set(found) != {count} else [])
    return verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it, prints the figures, and returns 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=200_000)
    options = parser.parse_args(arguments)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - how far a long run is

    configure_logging("error", "text")
    broker = RabbitMQ()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lapor-soak-") as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            verdict = runner.run(run(broker, Path(folder), options.messages, tell))
    finally:
        broker.close()
    sys.stdout.write(verdict.table() + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
