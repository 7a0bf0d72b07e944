"""Acts on channels: pause, resume, a test message. They work on the database, so any process may run the channel."""

import re
from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.actions.act import Act, write_down
from gateway.errors import Refused
from gateway.identifiers import uuid7
from gateway.settings import ChannelSection
from gateway.store import answers, orders
from gateway.store.answers import NewAnswer
from gateway.store.orders import Order


async def pause(connection: AsyncConnection, channel: str, what: Act) -> bool:
    """Has a channel rest until it is resumed, over restarts: it receives and sends nothing, and lets go of its device.

    Returns:
        Whether that is news.
    """
    changed = await orders.pause(connection, Order(channel, what.at, what.operator, what.reason))
    if changed:
        await write_down(connection, what, "channel.pause", [channel])
    return changed


async def resume(connection: AsyncConnection, channel: str, what: Act) -> bool:
    """Has a paused channel work again. Returns whether that is news."""
    changed = await orders.resume(connection, channel)
    if changed:
        await write_down(connection, what, "channel.resume", [channel])
    return changed


async def send_test(
    connection: AsyncConnection, sections: Mapping[str, ChannelSection], channel: str, to: str, text: str, what: Act
) -> str:
    """Queues a test message to somebody who has asked nothing; it takes the way of every answer.

    Args:
        connection: An open transaction.
        sections: The channels of the settings.
        channel: The channel's name.
        to: The address, in the channel's own form; it is kept with the answer only, as long as answers are.
        text: What is sent.
        what: Who, when and why.

    Returns:
        The id of the answer.

    Raises:
        Refused: The channel can only answer, or this is no address of its kind.
    """
    pattern = sections[channel].plugin.writes_to
    if pattern is None:
        message = f"channels.{channel}: a channel of this type can only answer; it cannot send a test."
        raise Refused(message)
    if re.fullmatch(pattern, to) is None:
        message = f"channels.{channel}: this is no address that the channel can write to; a number is written as +62…"
        raise Refused(message)
    answer_id = uuid7()
    answer = NewAnswer(answer_id, answer_id, None, channel, "test", to, text)
    await answers.add(connection, [answer], what.at)
    await write_down(connection, what, "channel.test", [channel])
    return answer_id
