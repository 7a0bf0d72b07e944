"""A consumer of the intake queue that notes when each event arrived: `python -m tests.soak.arrivals URL FILE`.

A process of its own, so that neither the simulator nor the gateway makes it wait. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from tests.soak.intake import INTAKE

_PREFETCH = 2000
_FLUSH_SECONDS = 0.2


@dataclass(frozen=True)
class Arrival:
    """One delivery, and when it came, in milliseconds."""

    message_id: str
    external_id: str
    at: float


async def consume(url: str, path: Path) -> None:
    """Takes everything off the queue until it is asked to end."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    arrived: list[tuple[str | None, bytes, float]] = []

    async def take(message: AbstractIncomingMessage) -> None:
        arrived.append((message.message_id, message.body, time.time() * 1000))
        await message.ack()

    with path.open("w") as file:
        connection = await aio_pika.connect(url)
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=_PREFETCH)
            await (await channel.get_queue(INTAKE)).consume(take)
            while not ended.is_set():
                await asyncio.sleep(_FLUSH_SECONDS)
                taken = arrived.copy()
                arrived.clear()
                for message_id, body, at in taken:
                    external_id = json.loads(body)["data"]["external_id"]
                    file.write(json.dumps([message_id, external_id, at]) + "\n")
                file.flush()


def read_arrivals(path: Path) -> Iterator[Arrival]:
    """What was noted, oldest first; a line that is being written is passed over."""
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield Arrival(*json.loads(line))


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1], Path(sys.argv[2])))
