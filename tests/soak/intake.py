"""Reads the intake queue as the core does, and keeps what the verdict needs of each event."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import aio_pika

from tests.services.rabbitmq import RabbitMQ

INTAKE = "lapor.intake"
QUEUES = (INTAKE, "lapor.intake.dead", "lapor.gateway.replies", "lapor.gateway.replies.dead")
_IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class Event:
    """One delivery from the queue, in the queue's order."""

    message_id: str
    event_id: str
    type: str
    sequence: int
    report_id: str
    tracking_id: str
    text: str
    sender: str
    complete: bool


def read_intake(broker: RabbitMQ) -> list[Event]:
    """Everything on the queue, oldest first; the queue is empty afterwards."""
    depth = broker.queue_depth(INTAKE)
    return asyncio.run(_read(broker.url, depth))


async def _read(url: str, depth: int) -> list[Event]:
    events: list[Event] = []
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=500)
        queue = await channel.get_queue(INTAKE)
        if depth:
            async with queue.iterator(timeout=_IDLE_SECONDS) as messages:
                async for message in messages:
                    events.append(event_of(message.message_id or "", message.body))
                    await message.ack()
                    if len(events) == depth:
                        break
    return events


def event_of(message_id: str, body: bytes) -> Event:
    """The parts of an event that the verdict looks at."""
    event = json.loads(body)
    report = event["data"]
    return Event(
        message_id=message_id,
        event_id=event["id"],
        type=event["type"],
        sequence=event["sequence"],
        report_id=report["id"],
        tracking_id=report["tracking_id"],
        text=report["text"],
        sender=report["reporter"]["address"],
        complete=report["complete"],
    )
