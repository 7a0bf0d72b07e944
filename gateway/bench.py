"""The yardstick: the whole gateway beside what aio-pika alone publishes, in the same run on the same queue type."""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

import aio_pika

from gateway.application import Gateway
from gateway.demo.citizens import phone_number
from gateway.errors import NeedsOperator
from gateway.plugins import parsers
from gateway.ports import RawMessage
from gateway.publishers.topology import INTAKE_QUEUE
from gateway.settings.model import PipelineSettings, QueueSettings, Settings, StoreSettings

BASELINE_QUEUE: Final = "lapor.bench"
IN_FLIGHT: Final = 1000
"""Publishes of the baseline that wait for their confirm at once."""

CHANNEL: Final = "bench"
_TEXT: Final = (
    "TANGKAB jalan rusak parah di depan pasar Mekarsari no {number}, sdh 3 bulan blm diperbaiki, byk warga jatuh kalau "
    "hujan. Mhn segera ditindaklanjuti"
)


@dataclass(frozen=True, slots=True)
class Round:
    """Messages per second of one round."""

    baseline: float
    gateway: float

    @property
    def ratio(self) -> float:
        """What part of the baseline the gateway reaches."""
        return self.gateway / self.baseline


def invented_records(count: int, seed: int) -> Iterator[RawMessage]:
    """So many different SMS in the raw form of the SMS channel, each from its own sender."""
    random = Random(seed)
    sent_at = datetime(2026, 11, 1, 8, tzinfo=UTC).isoformat()
    no_header = {"AllParts": -1, "ID16bit": -1, "ID8bit": -1, "PartNumber": -1, "Text": {"hex": ""}, "Type": "NoUDH"}
    for number in range(count):
        sender = phone_number(random)
        fields = {
            "Class": -1,
            "Coding": "Default_No_Compression",
            "DateTime": sent_at,
            "Folder": 1,
            "Location": number % 50,
            "Memory": "SM",
            "Number": sender,
            "State": "UnRead",
            "Text": _TEXT.format(number=number),
            "Type": "Deliver",
            "UDH": no_header,
        }
        raw = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")
        yield RawMessage(f"{seed:032x}{number:032x}", raw, sender)


async def run_rounds(url: str, folder: Path, count: int, rounds: int, tell: Callable[[Round], None]) -> list[Round]:
    """Runs baseline and gateway in turn.

    Args:
        url: A RabbitMQ that nothing else uses.
        folder: Where the databases go, one a round.
        count: Messages in each half of a round.
        rounds: How many rounds.
        tell: Called after each round.

    Raises:
        NeedsOperator: The intake queue is not empty or has a consumer: this is somebody's broker.
    """
    await _refuse_a_busy_broker(url)
    body_size = 1100
    done: list[Round] = []
    for number in range(rounds):
        baseline = await plain_aio_pika(url, count, body_size)
        gateway, body_size = await whole_gateway(url, folder / f"round-{number}.db", count, seed=number)
        done.append(Round(baseline, gateway))
        tell(done[-1])
    return done


def medians(rounds: Sequence[Round]) -> Round:
    """The median of each figure; the ratio is taken round by round elsewhere."""
    return Round(
        statistics.median(each.baseline for each in rounds), statistics.median(each.gateway for each in rounds)
    )


async def plain_aio_pika(url: str, count: int, body_size: int) -> float:
    """What aio-pika publishes alone: persistent, mandatory, confirmed, a quorum queue. Returns messages a second."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.declare_queue(BASELINE_QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        gate = asyncio.Semaphore(IN_FLIGHT)
        exchange = channel.default_exchange
        body = b"x" * body_size

        async def publish(number: int) -> None:
            message = aio_pika.Message(
                body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, message_id=f"baseline-{number}"
            )
            await exchange.publish(message, routing_key=BASELINE_QUEUE, mandatory=True)
            gate.release()

        start = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                await gate.acquire()
                tasks.create_task(publish(number))
        elapsed = time.perf_counter() - start
        await channel.queue_delete(BASELINE_QUEUE)
    return count / elapsed


async def whole_gateway(url: str, database: Path, count: int, seed: int) -> tuple[float, int]:
    """The gateway from RECEIVE to the broker's confirm, with a receipt queued for each message.

    Returns:
        Messages a second, and the size of an event's body in bytes.
    """
    settings = Settings(
        store=StoreSettings(url=f"sqlite:///{database}"), queue=QueueSettings(url=url), pipeline=PipelineSettings()
    )
    gateway = Gateway(settings, parsers={CHANNEL: parsers()["sms"]})
    records = list(invented_records(count, seed))
    await gateway.start()
    try:
        while not any(name.startswith("publish") for name in gateway.board.conditions):
            await asyncio.sleep(0.02)
        start = time.perf_counter()
        await _feed(gateway, records)
        while gateway.metrics.published_total < count:
            await asyncio.sleep(0.002)
        elapsed = time.perf_counter() - start
    finally:
        await gateway.stop()
    return count / elapsed, await _drain_intake(url, count)


async def _feed(gateway: Gateway, records: Sequence[RawMessage], batch: int = 100, at_once: int = 8) -> None:
    """Hands messages over as eight busy channels would: each waits for its commit before the next batch."""
    queue = iter(range(0, len(records), batch))

    async def channel() -> None:
        for start in queue:
            await gateway.custody.commit(CHANNEL, CHANNEL, records[start : start + batch])

    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(channel())


async def _drain_intake(url: str, count: int) -> int:
    """Checks that the queue holds every report, empties it, and returns the size of one event."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(INTAKE_QUEUE)
        message = await queue.get(no_ack=True, timeout=10)
        held = (queue.declaration_result.message_count or 0) if message else 0
        if held != count:
            text = f"The intake queue holds {held} events, not {count}."
            raise NeedsOperator(text)
        await queue.purge()
        return len(message.body) if message else 0


async def _refuse_a_busy_broker(url: str) -> None:
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        try:
            queue = await channel.get_queue(INTAKE_QUEUE)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return
        found = queue.declaration_result
        if found.message_count or found.consumer_count:
            text = (
                "queue.url: this broker's lapor.intake is in use; the benchmark empties it, so give it one of its own."
            )
            raise NeedsOperator(text)
