"""X's own ceiling for a stream, 250 posts a second, for two minutes: nothing dropped, everything published at once.

`python -m tests.soak.x_rate --posts-per-second 250 --seconds 120`

The gateway is the real one with the pauses that it ships with; RabbitMQ is real; the store is SQLite. Search runs
beside the stream, once a minute, and has to find nothing new.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sqlalchemy import func, select

from gateway.demo.x import Credentials, Options, XSimulator
from gateway.store import Store
from gateway.store.channel_store import list_gaps
from gateway.store.tables import messages, outbox
from tests.services import wait_until
from tests.services.rabbitmq import RabbitMQ
from tests.soak.arrivals import Arrival, read_arrivals
from tests.soak.citizens import invented_text, token_of
from tests.soak.faults import settle
from tests.soak.process import GatewayProcess, Section
from tests.soak.verdict import Verdict
from tests.soak.x_citizens import ACCOUNT
from tests.soak.x_thread import XThread

CHANNEL = "twitter"
MEDIAN_LIMIT = 1000.0
"""Milliseconds from the stream to the confirmed publish."""

_AUTHORS = 3000
_DRAIN_SECONDS = 300.0
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Confirmed:
    """What the database says of one post: when it was in custody and when its event was confirmed, in ms."""

    received_at: int
    confirmed_at: int


class Fountain:
    """Posts evenly. Used on the thread of the simulator's loop.

    Args:
        x: The simulator.
        a_second: How many posts.
        count: How many posts in all.

    Attributes:
        posted: When each post was put on the stream, in milliseconds, by its id.
        latest: By how many milliseconds a post was ever late against its plan.
    """

    def __init__(self, x: XSimulator, a_second: float, count: int) -> None:
        self._x = x
        self._a_second = a_second
        self._count = count
        self._random = Random(1)
        self.posted: dict[str, float] = {}
        self.latest = 0.0
        self.seconds = 0.0

    async def run(self) -> None:
        """Posts until everything is posted, then waits for ever."""
        authors = [self._x.world.user(f"warga_{number:04d}") for number in range(_AUTHORS)]
        texts = [f"#LAPOR {invented_text(token_of(number), self._random)} @LAPOR1708" for number in range(self._count)]
        begin = time.monotonic()
        for number, text in enumerate(texts):
            due = begin + number / self._a_second
            now = time.monotonic()
            if due > now:
                await asyncio.sleep(due - now)
            elif number % 10 == 0:
                await asyncio.sleep(0)
            at = time.time() * 1000
            post = self._x.world.post(authors[number % _AUTHORS], text)
            self.latest = max(self.latest, (time.monotonic() - due) * 1000)
            self.posted[post.id] = at
        self.seconds = time.monotonic() - begin
        await asyncio.Event().wait()

    def is_done(self) -> bool:
        """Whether everything is posted."""
        return bool(self.seconds)


@contextmanager
def consumer(url: str, file: Path) -> Iterator[Path]:
    """The core's side, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "tests.soak.arrivals", url, str(file)], env=environment)
    try:
        yield file
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(a_second: float, seconds: float, folder: Path, broker: RabbitMQ, tell: Callable[[str], None]) -> Verdict:
    """The whole run."""
    options = Options(search_delay_seconds=0.0, search_limit=5000, keep_alive_seconds=5.0)
    with XThread(options) as thread:
        section: Section = {
            "type": "twitter",
            "account": ACCOUNT,
            "api_url": thread.x.origin,
            "bearer_token": Credentials().bearer_token,
            "search_minutes": 1.0,
            "rewind_minutes": 0.5,
            "search_delay_seconds": 1.0,
            "recheck_hours": 0,
        }
        store_url = f"sqlite:///{folder / 'gateway.db'}"
        gateway = GatewayProcess(
            folder, store_url=store_url, queue_url=broker.url, channels={CHANNEL: section}, answers=False
        )
        try:
            gateway.start()
            gateway.wait_up()
            settle(broker)
            wait_until(lambda: thread.call(thread.truth.is_alive), "the stream to be connected", 60)
            with consumer(broker.url, folder / "arrivals.jsonl") as file:
                fountain = Fountain(thread.x, a_second, round(a_second * seconds))
                waiting = _pour(thread, gateway, fountain, tell)
                ended = datetime.now(UTC)
                wait_until(gateway.is_idle, "the outbox to be empty", _DRAIN_SECONDS)
                tell("the outbox is empty")
                wait_until(lambda: _searched_beyond(gateway, ended), "search to have seen everything", _DRAIN_SECONDS)
                wait_until(lambda: len(list(read_arrivals(file))) >= len(fountain.posted), "the consumer", 60)
                details = _details(gateway)
                assert gateway.stop() == 0
                arrivals = list(read_arrivals(file))
            return _judge(thread, fountain, arrivals, waiting, details, asyncio.run(_read(store_url)))
        finally:
            gateway.close()


def _pour(thread: XThread, gateway: GatewayProcess, fountain: Fountain, tell: Callable[[str], None]) -> int:
    """Has everything posted; returns how many posts ever waited inside the channel, as its console says."""
    most = 0
    thread.spawn(fountain.run)
    while not thread.call(fountain.is_done):
        time.sleep(1.0)
        waiting = _details(gateway).get("waiting_posts")
        most = max(most, waiting if isinstance(waiting, int) else 0)
        tell(f"{len(fountain.posted)} posted, {waiting} wait in the channel")
    return most


def _details(gateway: GatewayProcess) -> dict[str, object]:
    details = (gateway.channel(CHANNEL) or {}).get("details")
    return details if isinstance(details, dict) else {}


def _searched_beyond(gateway: GatewayProcess, moment: datetime) -> bool:
    lag = _details(gateway).get("search_lag_seconds")
    return isinstance(lag, int) and (datetime.now(UTC) - moment).total_seconds() > lag + 6


@dataclass(frozen=True)
class Kept:
    """What the database says at the end."""

    confirmed: Mapping[str, Confirmed]
    states: Mapping[str, int]
    gaps: Sequence[str]
    by_search: int


async def _read(store_url: str) -> Kept:
    store = Store(store_url)
    kept = messages.c
    try:
        async with store.read() as connection:
            query = select(kept.external_id, kept.received_at, outbox.c.confirmed_at).join(
                outbox, outbox.c.report_id == kept.report_id
            )
            rows = (await connection.execute(query)).all()
            counted = await connection.execute(select(kept.state, func.count()).group_by(kept.state))
            states = {str(state): int(count) for state, count in counted.all()}
            raws = (await connection.execute(select(kept.raw))).scalars()
            by_search = sum(b'"found_by":"search"' in (raw or b"") for raw in raws)
            gaps = [
                f"{gap.path} {gap.since} to {gap.until} {gap.state} {gap.found} {gap.reason}"
                for _, gap in await list_gaps(connection, limit=100)
            ]
    finally:
        await store.close()
    return Kept({name: Confirmed(received, at) for name, received, at in rows if at}, states, gaps, by_search)


def _judge(
    thread: XThread,
    fountain: Fountain,
    arrivals: Sequence[Arrival],
    waiting: int,
    details: Mapping[str, object],
    kept: Kept,
) -> Verdict:
    posted, x, truth = fountain.posted, thread.x, thread.truth
    verdict = Verdict()
    to_custody = [kept.confirmed[name].received_at - at for name, at in posted.items() if name in kept.confirmed]
    to_confirm = [kept.confirmed[name].confirmed_at - at for name, at in posted.items() if name in kept.confirmed]
    first: dict[str, float] = {}
    for arrival in arrivals:
        first.setdefault(arrival.external_id, arrival.at)
    to_core = [at - posted[name] for name, at in first.items() if name in posted]
    verdict.figures |= {
        "posts": len(posted),
        "posts a second, as made": round(len(posted) / fountain.seconds, 1),
        "a post was late against its plan by, ms, at most": round(fountain.latest),
        "posts streamed": x.stream.sent,
        "most lines that waited for the gateway, in X": truth.largest_queue,
        "most bytes that waited for the network, in X": truth.largest_buffer,
        "most posts that waited in the channel (by its console)": waiting,
        "most posts between stream and confirm": _most_in_flight(posted, kept.confirmed),
        "connects": len(x.stream.connect_attempts),
        "searches (pages)": x.calls["GET /2/tweets/search/recent"],
        "last gap": details.get("last_gap", ""),
        "messages": dict(kept.states),
        **_spread("stream to custody", to_custody),
        **_spread("stream to confirmed publish", to_confirm),
        **_spread("stream to the consumer's hands", to_core),
    }
    counts = Counter(arrival.external_id for arrival in arrivals)
    ids = Counter(arrival.message_id for arrival in arrivals)
    verdict.add("dropped by X", [x.stream.dropped] if x.stream.dropped else [])
    verdict.add("posts that are not on the queue", sorted(posted.keys() - counts.keys()))
    verdict.add("posts that are on the queue twice", [name for name, count in counts.items() if count > 1])
    verdict.add("events on the queue twice", [name for name, count in ids.items() if count > 1])
    verdict.add("events of others", sorted(counts.keys() - posted.keys()))
    verdict.add("posts not confirmed", sorted(posted.keys() - kept.confirmed.keys()))
    verdict.add("posts that search brought", [kept.by_search] if kept.by_search else [])
    verdict.add("gaps", kept.gaps)
    median = _quantile(to_confirm, 0.5)
    verdict.add("median of a second or more", [median] if median >= MEDIAN_LIMIT else [])
    return verdict


def _most_in_flight(posted: Mapping[str, float], confirmed: Mapping[str, Confirmed]) -> int:
    """How many posts were at most on their way at any moment."""
    steps = [(at, 1) for name, at in posted.items() if name in confirmed]
    steps += [(float(confirmed[name].confirmed_at), -1) for name in posted if name in confirmed]
    now = most = 0
    for _at, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


def _spread(what: str, milliseconds: Sequence[float]) -> dict[str, object]:
    parts = (("median", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    return {f"{what}, ms: {name}": round(_quantile(milliseconds, share), 1) for name, share in parts}


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it, prints the figures, and returns 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--posts-per-second", type=float, default=250.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args(arguments)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - how far a long run is

    with tempfile.TemporaryDirectory(prefix="lapor-soak-") as folder, RabbitMQ() as broker:
        verdict = run(options.posts_per_second, options.seconds, Path(folder), broker, tell)
    sys.stdout.write(verdict.table() + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
