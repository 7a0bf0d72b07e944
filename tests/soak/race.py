"""Two gateway processes on one PostgreSQL take the same repeat at the same moment: one original, one repeat, each time.

`python -m tests.soak.race --tries 1000`
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from random import Random
from typing import Any, Final

import psycopg

from gateway.application import Gateway
from gateway.identifiers import uuid7
from gateway.settings.model import QueueSettings, Settings, StoreSettings
from gateway.store import Store, messages
from gateway.store.messages import StoredMessage
from gateway.store.migrate import ensure_schema
from tests.services.postgresql import PostgreSQL
from tests.soak.window_texts import Sms, invented, record

GATEWAYS: Final = 2
_PATIENCE: Final = 60.0
_PAUSE: Final = 0.002

_OUTCOME: Final = """
    SELECT m.decision, r.id, r.tracking_id, r.duplicate_of
    FROM messages AS m LEFT JOIN reports AS r ON r.id = m.report_id WHERE m.id = ANY(%s)
"""
_STATE: Final = "SELECT state FROM messages WHERE id = %s"


def race(url: str, tries: int, seed: int) -> list[str]:
    """Lets two processes decide about the same text of the same reporter, again and again.

    Args:
        url: A PostgreSQL database with its tables.
        tries: How often.
        seed: Of the texts.

    Returns:
        What each try that went wrong has come to.
    """
    random = Random(seed)
    wrong: list[str] = []
    with _gateways(url) as (inboxes, done), psycopg.connect(url, autocommit=True) as connection:
        for number in range(tries):
            pair = _pair(invented(random), f"{seed}-{number}", alike=number % 2 == 0)
            asyncio.run(_keep(url, pair))
            for inbox, message in zip(inboxes, pair, strict=True):
                inbox.put(message)
            problems = [problem for _ in pair if (problem := done.get(timeout=_PATIENCE)) is not None]
            outcome = connection.execute(_OUTCOME, ([message.id for message in pair],)).fetchall()
            if problems or not _is_right(outcome):
                wrong.append(f"try {number}: {problems or outcome}")
    return wrong


def _is_right(outcome: list[tuple[Any, ...]]) -> bool:
    """Whether of two messages one is the original and the other its repeat, under the original's tracking ID."""
    by_decision = {decision: rest for decision, *rest in outcome}
    if len(outcome) != GATEWAYS or by_decision.keys() != {"report", "repeat"}:
        return False
    id_, tracking_id, duplicate_of = by_decision["report"]
    _repeat, its_tracking_id, its_original = by_decision["repeat"]
    return duplicate_of is None and its_original == id_ and its_tracking_id == tracking_id


def _pair(sms: Sms, name: str, *, alike: bool) -> list[StoredMessage]:
    """One text twice, through one channel, or through two that know nothing of each other's order."""
    pair: list[StoredMessage] = []
    for number in range(GATEWAYS):
        channel = "race" if alike else f"race-{number}"
        raw = record(sms, f"{name}-{number}")
        order_key = hashlib.blake2b(f"{channel}:{sms.sender}".encode(), digest_size=16).hexdigest()
        at = int(time.time() * 1000)
        pair.append(StoredMessage(uuid7(), channel, "sms", raw.external_id, order_key, raw.raw, at))
    return pair


async def _keep(url: str, pair: list[StoredMessage]) -> None:
    store = Store(url)
    async with store.write() as connection:
        await messages.add(connection, pair)
    await store.close()


@contextmanager
def _gateways(url: str) -> Iterator[tuple[list[Queue[StoredMessage | None]], Queue[str | None]]]:
    """Processes with a stage PROCESS each, started, with their indexes read."""
    context = multiprocessing.get_context("spawn")
    barrier, done = context.Barrier(GATEWAYS), context.Queue()
    inboxes = [context.Queue() for _ in range(GATEWAYS)]
    processes = [context.Process(target=_work, args=(url, inbox, done, barrier), daemon=True) for inbox in inboxes]
    for process in processes:
        process.start()
    try:
        yield inboxes, done
    finally:
        for inbox in inboxes:
            inbox.put(None)
        for process in processes:
            process.join(_PATIENCE)
            process.kill()


def _work(url: str, inbox: Queue[StoredMessage | None], done: Queue[str | None], barrier: Barrier) -> None:
    asyncio.run(_decide_all(url, inbox, done, barrier))


async def _decide_all(url: str, inbox: Queue[StoredMessage | None], done: Queue[str | None], barrier: Barrier) -> None:
    settings = Settings(store=StoreSettings(url=url), queue=QueueSettings(url="journal:unused"))
    gateway = Gateway(settings)
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    while (message := await asyncio.to_thread(inbox.get)) is not None:
        await asyncio.to_thread(barrier.wait, _PATIENCE)
        problem: str | None = None
        try:
            await _decide(gateway, connection, message)
        except Exception as error:  # noqa: BLE001 - told to the other process, which waits for a word
            problem = f"{type(error).__name__}: {error}"
        done.put(problem)
    await connection.close()
    await gateway.store.close()


async def _decide(gateway: Gateway, connection: psycopg.AsyncConnection[Any], message: StoredMessage) -> None:
    """Until it is decided: it waits for an older one of the same sender that the other gateway has in hand."""
    async with asyncio.timeout(_PATIENCE):
        while True:
            await gateway.process.process([message])
            state = await (await connection.execute(_STATE, (message.id,))).fetchone()
            if state is not None and state[0] != "received":
                return
            await asyncio.sleep(_PAUSE)


async def _migrate(url: str) -> None:
    store = Store(url)
    await ensure_schema(store)
    await store.close()


def main() -> int:
    """Returns 1 when any try went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with PostgreSQL() as cluster:
        url = cluster.create_database("race")
        asyncio.run(_migrate(url))
        begin = time.monotonic()
        wrong = race(url, options.tries, options.seed)
    right = options.tries - len(wrong)
    figures = {"tries": options.tries, "right": right, "seconds": round(time.monotonic() - begin), "wrong": wrong[:10]}
    print(json.dumps(figures, indent=2))  # noqa: T201 - this is what it is for
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
