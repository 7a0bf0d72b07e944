"""Reads the core's replies from RabbitMQ: a bounded number in hand, acknowledged only when the caller says so.

On a connection of its own: RabbitMQ holds up connections that publish when it runs short of memory or disk, and replies
must not wait for that.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from aiormq import Channel as UnderlayChannel
from aiormq import spec
from aiormq.abc import DeliveredMessage

from gateway.errors import BrokerUnavailable
from gateway.publishers.connection import Broker, close
from gateway.publishers.topology import REPLIES_QUEUE
from gateway.settings.model import QueueSettings
from gateway.telemetry import Log, logger

PREFETCH: Final = 400
"""Replies that the broker hands over before one of them is acknowledged."""

LONGEST_BODY: Final = 65_536
"""Bytes. The longest reply with every letter escaped has some 50,000; what is longer is not even kept in memory."""

LOOK_SECONDS: Final = 5.0
"""How long to wait for replies before looking whether the queue is still there and still ours."""

_TROUBLE: Final = (AMQPError, ChannelInvalidStateError, ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message from the queue.

    Attributes:
        tag: What the broker calls this delivery.
        body: As it came; None when it is longer than ``LONGEST_BODY``.
    """

    tag: int
    body: bytes | None


@dataclass(slots=True, eq=False)
class _Consumption:
    """What one channel has brought: delivery tags mean nothing on any other."""

    channel: UnderlayChannel
    consumer: str = ""
    waiting: deque[Arrival] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def arrived(self, message: DeliveredMessage) -> None:
        """Called by the channel for each message, in their order."""
        frame = message.delivery
        if isinstance(frame, spec.Basic.Deliver) and frame.delivery_tag is not None:
            tag = frame.delivery_tag
            self.waiting.append(Arrival(tag, message.body if len(message.body) <= LONGEST_BODY else None))
            self.news.set()

    @property
    def goes_on(self) -> bool:
        """Whether more may come. The broker cancels a consumer whose queue goes away, and closes no channel for it."""
        return not self.channel.is_closed and self.consumer in self.channel.consumers


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages in the order of their arrival, to be settled together."""

    arrivals: tuple[Arrival, ...]
    origin: _Consumption


class AmqpReplies:
    """The queue ``lapor.gateway.replies``. Several gateways may read it at once. Used by one task only.

    Args:
        settings: The broker's address and the deadlines.
        prefetch: Replies in hand at most.
    """

    def __init__(self, settings: QueueSettings, prefetch: int = PREFETCH) -> None:
        self._broker = Broker(settings)
        self._timeout = settings.connect_timeout
        self._prefetch = prefetch
        self._connection: AbstractConnection | None = None
        self._current: _Consumption | None = None

    async def open(self) -> None:
        """Connects, declares the topology and begins to consume, unless that goes on already.

        Raises:
            BrokerUnavailable: The broker cannot be reached now.
            NeedsOperator: It refuses the login, or the queue exists with other properties.
        """
        if self._current is not None and self._current.goes_on:
            return
        await self.close()
        self._connection, channel = await self._broker.connect(self._lost)
        consumption = _Consumption(channel)
        try:
            async with asyncio.timeout(self._timeout):
                await channel.basic_qos(prefetch_count=self._prefetch)
                begun = await channel.basic_consume(REPLIES_QUEUE, consumption.arrived)
        except Exception as error:
            await self.close()
            raise self._broker.translate(error) or error from error
        consumption.consumer = begun.consumer_tag or ""
        self._current = consumption
        logger.info(Log.BROKER_STATE, state="up")

    def _lost(self, _sender: object, error: BaseException | None) -> None:
        lost, self._current = self._current, None
        if lost is not None:
            lost.news.set()
        if error is not None:
            logger.warning(Log.BROKER_STATE, state="down", error=type(error).__name__)

    async def take(self, limit: int) -> Batch:
        """Waits a few seconds for replies. What is not settled is returned again, first.

        Args:
            limit: How many at most.

        Raises:
            BrokerUnavailable: The connection or the queue is gone; what was in hand comes again.
        """
        current = self._current
        if current is None:
            raise BrokerUnavailable("RabbitMQ is not connected.")
        if not current.waiting:
            current.news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await current.news.wait()
        if not current.waiting:
            await self._look(current)
        return Batch(tuple(arrival for arrival, _ in zip(current.waiting, range(limit), strict=False)), current)

    async def _look(self, current: _Consumption) -> None:
        """Asks the broker for the queue: a silent connection may be one on which nothing can come any more."""
        try:
            async with asyncio.timeout(self._timeout):
                if current.goes_on:
                    await current.channel.queue_declare(REPLIES_QUEUE, passive=True)
        except _TROUBLE as error:
            await self.close()
            reason = f"RabbitMQ does not answer for {REPLIES_QUEUE} ({type(error).__name__})."
            raise BrokerUnavailable(reason) from error
        if current is not self._current or not current.goes_on:
            raise BrokerUnavailable(f"RabbitMQ has ended the reading of {REPLIES_QUEUE}.")

    async def settle(self, batch: Batch, rejected: Collection[int]) -> None:
        """Lets the broker forget a batch, whose replies have been committed.

        Args:
            batch: What ``take`` returned.
            rejected: Tags of those that go to the dead letters instead.

        Raises:
            BrokerUnavailable: The connection was lost before; the whole batch comes again.
        """
        current = batch.origin
        accepted = [arrival.tag for arrival in batch.arrivals if arrival.tag not in rejected]
        if current is not self._current:
            raise BrokerUnavailable("RabbitMQ was lost before the replies in hand were acknowledged; they come again.")
        try:
            async with asyncio.timeout(self._timeout):
                for tag in rejected:
                    await current.channel.basic_reject(tag, requeue=False)
                if accepted:  # all before it in this batch, and nothing behind it
                    await current.channel.basic_ack(accepted[-1], multiple=True)
        except _TROUBLE as error:
            await self.close()
            reason = f"RabbitMQ was lost while replies were acknowledged ({type(error).__name__}); they come again."
            raise BrokerUnavailable(reason) from error
        for _ in batch.arrivals:
            current.waiting.popleft()

    async def close(self) -> None:
        """Lets go of the queue, within seconds. What was not settled goes back to it."""
        connection, self._connection, self._current = self._connection, None, None
        await close(connection, self._lost)
