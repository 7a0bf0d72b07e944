"""How the gateway and a modem's child process talk: length-prefixed MessagePack over two pipes."""

import asyncio
import struct
from typing import Any, BinaryIO, Final

import msgspec
from msgspec import Struct

_LENGTH: Final = struct.Struct(">I")
MAX_FRAME: Final = 64 << 20


class Request(Struct, frozen=True):
    """A call to the phone. ``method`` is a method of :class:`channels.sms.phone.Phone`."""

    id: int
    method: str
    arguments: dict[str, Any]


class Reply(Struct, frozen=True):
    """What a call returned; or, with id 0, an event that nobody asked for. ``error`` is the class of an error."""

    id: int
    result: Any = None
    error: str | None = None
    text: str = ""


class Slot(Struct, frozen=True):
    """Where a message lies in the phone, and which message: a slot that holds another one by now is left alone.

    ``undecoded`` says that libGammu cannot read it, and so may not be able to delete it either.
    """

    location: int
    external_id: str
    undecoded: bool = False


class Record(Struct, frozen=True):
    """One message as read from the phone."""

    slot: Slot
    sender: str
    raw: bytes


class Reading(Struct, frozen=True):
    """One look into the phone.

    Attributes:
        records: The messages.
        unreadable: How many slots gave neither a message nor its PDU.
        undeletable: How many messages the phone keeps although they were deleted.
    """

    records: list[Record]
    unreadable: int
    undeletable: int


_encode = msgspec.msgpack.Encoder().encode


def pack(frame: Request | Reply) -> bytes:
    """A frame as bytes."""
    body = _encode(frame)
    return _LENGTH.pack(len(body)) + body


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """The next reply. Raises IncompleteReadError when the child is gone."""
    size = _size(await reader.readexactly(_LENGTH.size))
    return msgspec.msgpack.decode(await reader.readexactly(size), type=Reply)


def read_request(pipe: BinaryIO) -> Request | None:
    """The next request, or None when the gateway is gone."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _size(head)
    body = pipe.read(size)
    return msgspec.msgpack.decode(body, type=Request) if len(body) == size else None


def _size(head: bytes) -> int:
    size: int = _LENGTH.unpack(head)[0]
    if size > MAX_FRAME:
        message = f"a frame of {size} bytes"
        raise ValueError(message)
    return size
