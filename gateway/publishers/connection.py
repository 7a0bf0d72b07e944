"""Connects to RabbitMQ and declares what is ours there; the same for what goes out and for what comes in.

The connection is a plain one and is made anew by the back-off of the stage that needs it: a connection that mends
itself would hide from the operator that it is gone.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AuthenticationError, ChannelPreconditionFailed, ProbableAuthenticationError
from aiormq import Channel as UnderlayChannel
from aiormq.exceptions import InvalidFrameError
from yarl import URL

from gateway.errors import BrokerUnavailable, GatewayError, NeedsOperator
from gateway.publishers.topology import EXCHANGES, QUEUES
from gateway.settings.model import QueueSettings

CLOSE_SECONDS: Final = 3.0

Lost = Callable[[object, BaseException | None], None]
"""What is called when a connection has ended, with the reason."""


class Broker:
    """The way to RabbitMQ.

    Args:
        settings: The broker's address and the deadlines.
    """

    def __init__(self, settings: QueueSettings) -> None:
        self._url = URL(settings.url).update_query(heartbeat=settings.heartbeat)
        self._shown = URL(settings.url).with_password(None).with_query(None)
        self._timeout = settings.connect_timeout

    async def connect(self, lost: Lost) -> tuple[AbstractConnection, UnderlayChannel]:
        """A new connection with one channel that confirms publishes, once every exchange and queue of ours is declared.

        Args:
            lost: Called when the connection has ended.

        Raises:
            BrokerUnavailable: The broker cannot be reached now.
            NeedsOperator: It refuses the login, or a queue of the name exists with other properties.
        """
        connection: AbstractConnection | None = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = await aio_pika.connect(self._url)
                connection.close_callbacks.add(lost)
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                await declare(channel)
                return connection, await underlay(channel)
        except BaseException as error:
            await close(connection, lost)
            translated = self.translate(error)
            if translated is None:
                raise
            raise translated from error

    async def further_channel(self, connection: AbstractConnection) -> UnderlayChannel:
        """One more channel on a connection. Raises what ``connect`` does."""
        try:
            async with asyncio.timeout(self._timeout):
                return await underlay(await connection.channel(publisher_confirms=True, on_return_raises=True))
        except Exception as error:
            raise self.translate(error) or error from error

    def translate(self, error: BaseException) -> GatewayError | None:
        """What an error of the broker or its library calls for, or None for what is no error."""
        if isinstance(error, AuthenticationError | ProbableAuthenticationError):
            return NeedsOperator(
                f"queue.url: RabbitMQ refuses the login at {self._shown}: check user, password and vhost."
            )
        if isinstance(error, InvalidFrameError):
            # What aiormq makes of a connection that RabbitMQ closes instead of opening the virtual host.
            return NeedsOperator(f"queue.url: RabbitMQ does not open the vhost at {self._shown}: check that it exists.")
        if isinstance(error, ChannelPreconditionFailed):
            return NeedsOperator(
                "queue.url: an exchange or queue of ours exists on RabbitMQ with other properties; compare "
                "queue/definitions.json, and delete or migrate it."
            )
        if isinstance(error, Exception):
            return BrokerUnavailable(
                f"queue.url: RabbitMQ cannot be reached at {self._shown} ({type(error).__name__})."
            )
        return None


async def close(connection: AbstractConnection | None, lost: Lost) -> None:
    """Closes a connection within seconds, without a call of ``lost``. Never raises."""
    if connection is not None:
        connection.close_callbacks.discard(lost)
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.close()


async def underlay(channel: AbstractChannel) -> UnderlayChannel:
    """The channel of aiormq beneath one of aio-pika."""
    beneath = await channel.get_underlay_channel()
    assert isinstance(beneath, UnderlayChannel)  # noqa: S101 - the only kind that aio-pika has
    return beneath


async def declare(channel: AbstractChannel) -> None:
    """Declares every exchange, queue and binding of ours; what stands already is left as it is."""
    exchanges = {each.name: await channel.declare_exchange(each.name, each.type, durable=True) for each in EXCHANGES}
    for each in QUEUES:
        queue = await channel.declare_queue(each.name, durable=True, arguments=each.arguments)
        await queue.bind(exchanges[each.exchange], routing_key=each.routing_key)
