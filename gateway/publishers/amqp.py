"""Publishes to RabbitMQ: persistent, mandatory, confirmed, a whole batch in flight before the first confirm returns."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelClosed, ChannelInvalidStateError, DeliveryError
from aiormq import Channel as UnderlayChannel
from aiormq import spec

from gateway.errors import BrokerUnavailable, GatewayError
from gateway.ports import OutboxEvent, PublishResult
from gateway.publishers.connection import Broker, close
from gateway.publishers.pipeline import Confirmation, forget, publish_batch
from gateway.publishers.topology import REPORTS_EXCHANGE
from gateway.settings.model import QueueSettings
from gateway.telemetry import Log, logger


class AmqpPublisher:
    """One connection and one channel with publisher confirms.

    Args:
        settings: The broker's address and the deadlines.
    """

    def __init__(self, settings: QueueSettings) -> None:
        self._broker = Broker(settings)
        self._publish_timeout = settings.publish_timeout
        self._connection: AbstractConnection | None = None
        self._channel: UnderlayChannel | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connects and declares the topology, unless that stands already.

        Raises:
            BrokerUnavailable: The broker cannot be reached now.
            NeedsOperator: It refuses the login, or a queue of the name exists with other properties.
        """
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                await self.close()
                self._connection, self._channel = await self._broker.connect(self._lost)
                logger.info(Log.BROKER_STATE, state="up")

    def _lost(self, _sender: object, error: BaseException | None) -> None:
        self._channel = None
        if error is not None:
            logger.warning(Log.BROKER_STATE, state="down", error=type(error).__name__)

    async def publish(self, events: Sequence[OutboxEvent]) -> PublishResult:
        """Publishes a batch and waits for every confirm, within ``queue.publish_timeout``."""
        if not events:
            return PublishResult((), {}, None)
        result = await self._publish_together(events, self._channel)
        if isinstance(result.failure, _ChannelClosed) and len(events) > 1:
            return await self._publish_one_by_one(events, result)
        return result

    async def _publish_together(self, events: Sequence[OutboxEvent], channel: UnderlayChannel | None) -> PublishResult:
        if channel is None:
            return PublishResult((), {}, BrokerUnavailable("RabbitMQ is not connected."))
        connection = self._connection
        confirmations: list[Confirmation] = []
        failure: Exception | None = None
        try:
            async with asyncio.timeout(self._publish_timeout):
                confirmations = await publish_batch(channel, REPORTS_EXCHANGE, events)
                for confirmation in confirmations:
                    if not confirmation.done():
                        await asyncio.wait((confirmation,))
        except TimeoutError:
            failure = self._late()
            if self._connection is connection:
                await self.close()  # nobody knows any more what the channel has taken
        except (AMQPError, ChannelInvalidStateError, ConnectionError) as error:
            return PublishResult((), {}, self._failure(error))
        finally:
            forget(channel, events)
        return self._sort(events, confirmations, failure)

    def _sort(
        self, events: Sequence[OutboxEvent], confirmations: Sequence[Confirmation], failure: Exception | None
    ) -> PublishResult:
        confirmed: list[str] = []
        refused: dict[str, str] = {}
        for event, confirmation in zip(events, confirmations, strict=False):
            error = _error_of(confirmation)
            if error is None:
                confirmed.append(event.id)
            elif isinstance(error, DeliveryError):
                refused[event.id] = _reason(error)
            else:
                failure = failure or self._failure(error)
        return PublishResult(tuple(confirmed), refused, failure)

    def _failure(self, error: BaseException) -> Exception:
        if isinstance(error, ChannelClosed):
            return _ChannelClosed(f"RabbitMQ closed the channel ({type(error).__name__}).")
        if isinstance(error, TimeoutError):
            return self._late()
        return BrokerUnavailable(f"The connection to RabbitMQ was lost ({type(error).__name__}).")

    def _late(self) -> BrokerUnavailable:
        return BrokerUnavailable(f"RabbitMQ gave no confirm within {self._publish_timeout:g} s.")

    async def _publish_one_by_one(self, events: Sequence[OutboxEvent], first: PublishResult) -> PublishResult:
        """Finds the event that makes the broker close the channel: it alone is refused.

        On a channel of its own: whenever that is closed, nothing else was on its way.
        """
        confirmed = list(first.confirmed)
        refused = dict(first.refused)
        channel: UnderlayChannel | None = None
        for event in events:
            if event.id in refused or event.id in first.confirmed:
                continue
            try:
                if channel is None or channel.is_closed:
                    channel = await self._further_channel()
            except GatewayError as error:
                return PublishResult(tuple(confirmed), refused, error)
            alone = await self._publish_together([event], channel)
            confirmed += alone.confirmed
            refused |= alone.refused
            if isinstance(alone.failure, _ChannelClosed):
                refused[event.id] = str(alone.failure)
            elif alone.failure is not None:
                return PublishResult(tuple(confirmed), refused, alone.failure)
        if channel is not None:
            with suppress(Exception):
                await channel.close()
        return PublishResult(tuple(confirmed), refused, None)

    async def _further_channel(self) -> UnderlayChannel:
        await self.open()
        if self._connection is None:
            raise BrokerUnavailable("RabbitMQ is not connected.")
        return await self._broker.further_channel(self._connection)

    async def close(self) -> None:
        """Closes the connection, within seconds."""
        connection, self._connection, self._channel = self._connection, None, None
        await close(connection, self._lost)


class _ChannelClosed(BrokerUnavailable):
    """The broker has ended the channel, which it does for a single bad publish too."""


def _error_of(confirmation: Confirmation) -> BaseException | None:
    """Why an event is not confirmed, or None if it is."""
    if not confirmation.done() or confirmation.cancelled():
        return TimeoutError()
    return confirmation.exception()


def _reason(error: DeliveryError) -> str:
    frame = error.frame
    if isinstance(frame, spec.Basic.Return):
        return f"returned: {frame.reply_text}"
    return f"refused: {type(frame).__name__}"
