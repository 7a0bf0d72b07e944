"""Asks RabbitMQ how many messages wait in our queues, and how many consumers read them."""

import asyncio
from dataclasses import dataclass

from gateway.publishers.connection import Broker, close
from gateway.publishers.topology import QUEUES
from gateway.settings.model import QueueSettings


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One queue at a moment."""

    name: str
    messages: int
    consumers: int


async def inspect(settings: QueueSettings) -> tuple[QueueFigures, ...]:
    """How each of our queues is. Raises BrokerUnavailable or NeedsOperator."""
    broker = Broker(settings)
    connection, channel = await broker.connect(_ignore)
    try:
        async with asyncio.timeout(settings.connect_timeout):
            declared = [(each.name, await channel.queue_declare(each.name, passive=True)) for each in QUEUES]
    except Exception as error:
        raise broker.translate(error) or error from error
    finally:
        await close(connection, _ignore)
    return tuple(QueueFigures(name, found.message_count or 0, found.consumer_count or 0) for name, found in declared)


def _ignore(_sender: object, _error: BaseException | None) -> None:
    """A connection for one look needs no care when it ends."""
