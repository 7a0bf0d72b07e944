"""What open consoles cost: throughput with and without a hundred of them in turns; and pages over millions of messages.

`python -m tests.soak.consoles --consoles 100 --rounds 5` and `python -m tests.soak.consoles --pages --store sqlite`

The gateway runs in a process of its own with its console; the readers are here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from gateway.application import Gateway
from gateway.bench import invented_records
from gateway.console import Console
from gateway.plugins import parsers
from gateway.ports import RawMessage
from gateway.settings.model import ChannelSection, ConsoleSettings, QueueSettings, Settings, StoreSettings
from gateway.store.migrate import ensure_schema
from tests.fakes import FakeChannels, FakeSettings
from tests.services import free_port
from tests.services.rabbitmq import RabbitMQ
from tests.soak.many import CHANNELS, database, fill

MOST_COST: Final = 0.10
"""The part of its throughput that the gateway may lose to open pages."""

MOST_PAGE_MS: Final = 200.0
_BATCH: Final = 20
_AT_ONCE: Final = 8
_TAKEN: Final = 20


def _settings(store: str, queue: str, port: int, folder: Path) -> Settings:
    plugin = FakeChannels().plugin()
    return Settings(
        store=StoreSettings(url=store, files=str(folder / "files")),
        queue=QueueSettings(url=queue),
        console=ConsoleSettings(listen=f"127.0.0.1:{port}"),
        channels={name: ChannelSection(name, plugin, FakeSettings()) for name in CHANNELS},
    )


async def serve(queue: str, port: int, folder: Path) -> None:
    """The gateway's process: for each line with a count, a pace and a seed it answers messages a second."""
    settings = _settings(f"sqlite:///{folder / 'gateway.db'}", queue, port, folder)
    gateway = Gateway(settings, parsers={"sms": parsers()["sms"]})
    served = Console(gateway)
    await gateway.start()
    await served.start()
    _say({"ready": True})
    done = 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        count, pace, seed = json.loads(line)
        records = list(invented_records(count, seed))
        begun, used = time.perf_counter(), time.process_time()
        await _feed(gateway, records, pace)
        fed, done = time.perf_counter() - begun, done + count
        while gateway.metrics.published_total < done:
            await asyncio.sleep(0.002)
        took = time.perf_counter() - begun
        _say({"rate": count / took, "late": took - fed, "cpu": (time.process_time() - used) / took})
    await served.stop()
    await gateway.stop()


async def _feed(gateway: Gateway, records: Sequence[RawMessage], pace: float) -> None:
    """Hands messages over as eight busy channels would; with a pace, no faster than that many a second."""
    starts = iter(range(0, len(records), _BATCH))
    begun = time.perf_counter()

    async def channel() -> None:
        for start in starts:
            if pace:
                await asyncio.sleep(begun + start / pace - time.perf_counter())
            await gateway.custody.commit(CHANNELS[0], "sms", records[start : start + _BATCH])

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(channel())


def _say(told: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def readers(count: int, address: str) -> AsyncIterator[list[int]]:
    """So many open pages; the yielded list counts their events."""
    seen = [0]

    async def read(session: aiohttp.ClientSession) -> None:
        async with session.get(f"{address}/api/v1/events?as=page") as response:
            async for line in response.content:
                seen[0] += line.startswith(b"event: page")

    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=2**20) as session:
        tasks = [asyncio.create_task(read(session)) for _ in range(count)]
        while count and seen[0] < count:
            await asyncio.sleep(0.05)
        try:
            yield seen
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)


async def compare(consoles: int, rounds: int, messages: int, pace: float, tell: Callable[[str], None]) -> bool:
    """Runs rounds with and without consoles in turns, and one at a steady pace; whether they cost little enough."""
    with RabbitMQ() as broker, tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        port = free_port()
        command = ["-m", "tests.soak.consoles", "--serve", broker.url, "--port", str(port), "--folder", name]
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=pipe, stdout=pipe)
        ask = _asker(child)
        await _line(child)
        rates: dict[int, list[float]] = {0: [], consoles: []}
        for number in range(-1, rounds):  # the first round warms up
            for open_pages in (0, consoles) if number % 2 else (consoles, 0):
                async with readers(open_pages, f"http://127.0.0.1:{port}"):
                    told = await ask(messages, 0, 2 * number + bool(open_pages) + 10)
                tell(f"{open_pages} consoles: {told['rate']:.0f} messages a second")
                if number >= 0:
                    rates[open_pages].append(told["rate"])
        async with readers(consoles, f"http://127.0.0.1:{port}") as seen:
            told = await ask(int(pace * 30), pace, 10**6)
        tell(f"{consoles} consoles at {pace:g} a second: {told['rate']:.0f}, last one {told['late']:.2f} s late")
        tell(f"  {seen[0]} events, {told['cpu']:.0%} of one processor")
        assert child.stdin is not None
        child.stdin.close()
        await child.wait()
    cost = 1 - statistics.median(rates[consoles]) / statistics.median(rates[0])
    tell(f"{consoles} consoles cost {cost:.1%} of the throughput (at most {MOST_COST:.0%})")
    return cost <= MOST_COST


def _asker(child: asyncio.subprocess.Process) -> Callable[[int, float, int], asyncio.Future[dict[str, float]]]:
    def ask(count: int, pace: float, seed: int) -> asyncio.Future[dict[str, float]]:
        assert child.stdin is not None
        child.stdin.write(json.dumps([count, pace, seed]).encode() + b"\n")
        return asyncio.ensure_future(_line(child))

    return ask


async def _line(child: asyncio.subprocess.Process) -> dict[str, float]:
    """The child's next answer; its log lines are passed over."""
    assert child.stdout is not None
    while line := await child.stdout.readline():
        if line.startswith(b"{"):
            told: dict[str, float] = json.loads(line)
            return told
    message = "the gateway's process has ended"
    raise RuntimeError(message)


async def pages(url: str, folder: Path, count: int, tell: Callable[[str], None]) -> bool:
    """Fills a database and loads each page again and again; whether the slowest median is quick enough."""
    port = free_port()
    gateway = Gateway(_settings(url, f"journal:{folder / 'journal.jsonl'}", port, folder))
    await ensure_schema(gateway.store)
    await fill(gateway.store, count, tell)
    served = Console(gateway)
    async with AsyncExitStack() as stack:
        address = await served.start()
        stack.push_async_callback(gateway.store.close)
        stack.push_async_callback(served.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
        return await _load(session, address, tell)


async def _load(session: aiohttp.ClientSession, address: str, tell: Callable[[str], None]) -> bool:
    async with session.get(f"{address}/api/v1/messages?state=held&limit=1") as response:
        held = (await response.json())["items"][0]["id"]
    async with session.get(f"{address}/api/v1/session") as response:
        csrf = (await response.json())["csrf"]
    slowest = 0.0
    for path, form in (
        ("/", None),
        ("/messages", None),
        ("/messages?state=held", None),
        ("/messages?state=quarantined&channel=email", None),
        ("/messages?channel=email", None),
        (f"/messages/{held}", None),
        ("/answers?state=failed", None),
        ("/audit", None),
        ("/search", {"q": "jembatan", "csrf": csrf}),
    ):
        taken: list[float] = []
        for _ in range(_TAKEN):
            begun = time.perf_counter()
            async with session.request("POST" if form else "GET", address + path, data=form) as response:
                await response.read()
                response.raise_for_status()
            taken.append((time.perf_counter() - begun) * 1000)
        tell(f"  {path.replace(held, 'ID')}: {statistics.median(taken):.1f} ms, most {max(taken):.1f} ms")
        slowest = max(slowest, statistics.median(taken))
    tell(f"slowest: {slowest:.1f} ms (at most {MOST_PAGE_MS:g})")
    return slowest <= MOST_PAGE_MS


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Runs it; returns 0 if open consoles, or pages, are cheap enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--consoles", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, help="of one round; with --pages, in the store")
    parser.add_argument("--pace", type=float, default=300.0)
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    for own in ("--serve", "--port", "--folder"):
        parser.add_argument(own, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve, int(given.port), Path(given.folder)))
        return 0
    if not given.pages:
        done = asyncio.run(compare(given.consoles, given.rounds, given.messages or 10_000, given.pace, _tell))
        return 0 if done else 1
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, database(given.store, Path(name)) as url:
        return 0 if asyncio.run(pages(url, Path(name), given.messages or 5_000_000, _tell)) else 1


if __name__ == "__main__":
    sys.exit(main())
