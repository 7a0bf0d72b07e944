"""Puts a whole batch of publishes on the wire in one write.

aiormq sends each publish by itself: a task, a lock and a system call for every message, and that is most of what a
publish costs (docs/performance.md). Here a batch is marshalled into one buffer under one lock, and its confirms are
awaited like aiormq's own: the channel counts and resolves them. Only public attributes of the channel are used.
"""

import asyncio
import struct
from collections.abc import Sequence
from typing import Any, Final

from aiormq import Channel
from aiormq.abc import ChannelFrame
from pamqp import frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from gateway.ports import OutboxEvent

CONTENT_TYPE: Final = "application/cloudevents+json"
_PERSISTENT: Final = 2
_MESSAGE_ID: Final = "0" * 36
"""Stands in the template for a UUID in its usual form."""

_SIZE_AT: Final = slice(11, 19)
"""Where a content header frame has the body's size: behind type, channel, length, class and weight.

AMQP 0-9-1, sections 2.3.5 and 2.3.5.2.
"""

_BODY_FRAME: Final = struct.Struct(">BHI")
_BODY_TYPE: Final = 3
_FRAME_END: Final = b"\xce"

Confirmation = asyncio.Future[Any]


async def publish_batch(channel: Channel, exchange: str, events: Sequence[OutboxEvent]) -> list[Confirmation]:
    """Sends events, persistent and mandatory; returns a future for each that ends when the broker has decided.

    Args:
        channel: An open channel with publisher confirms and ``on_return_raises``.
        exchange: Where they go.
        events: Each id has 36 characters.

    Raises:
        ChannelInvalidStateError: The channel is closed.
    """
    async with channel.lock:
        confirmations = [_expect_confirm(channel, event.id) for event in events]
        payload = b"".join(_marshal(channel, exchange, events))
        await channel.write_queue.put(ChannelFrame(payload=payload, should_close=False))
    return confirmations


def _expect_confirm(channel: Channel, message_id: str) -> Confirmation:
    channel.delivery_tag += 1
    confirmation = channel.create_future()
    channel.confirmations[channel.delivery_tag] = confirmation
    channel.message_id_delivery_tag[message_id] = channel.delivery_tag
    return confirmation


def forget(channel: Channel, events: Sequence[OutboxEvent]) -> None:
    """Drops what the channel remembers of a batch to match returned messages with their publishes."""
    for event in events:
        channel.message_id_delivery_tag.pop(event.id, None)


def _marshal(channel: Channel, exchange: str, events: Sequence[OutboxEvent]) -> list[bytes]:
    before_id, after_id = _header_template(channel.number)
    before_size, behind_size = before_id[: _SIZE_AT.start], before_id[_SIZE_AT.stop :]
    methods: dict[str, bytes] = {}
    pieces: list[bytes] = []
    for event in events:
        method = methods.get(event.routing_key)
        if method is None:
            publish = Basic.Publish(exchange=exchange, routing_key=event.routing_key, mandatory=True)
            method = methods[event.routing_key] = frame.marshal(publish, channel.number)
        size = len(event.body).to_bytes(8, "big")
        pieces += (method, before_size, size, behind_size, event.id.encode("ascii"), after_id)
        for start in range(0, len(event.body), channel.max_content_size):
            piece = event.body[start : start + channel.max_content_size]
            pieces += (_BODY_FRAME.pack(_BODY_TYPE, channel.number, len(piece)), piece, _FRAME_END)
    return pieces


def _header_template(channel_number: int) -> tuple[bytes, bytes]:
    """The content header frame that all events share, cut in two where the message id stands."""
    properties = Basic.Properties(
        content_type=CONTENT_TYPE, delivery_mode=_PERSISTENT, message_id=_MESSAGE_ID, app_id="lapor-gateway"
    )
    marshalled = frame.marshal(ContentHeader(body_size=0, properties=properties), channel_number)
    before, _, after = marshalled.partition(_MESSAGE_ID.encode("ascii"))
    return before, after
