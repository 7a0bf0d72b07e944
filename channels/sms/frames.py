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
    """Where a message lies in the phone."""

    folder: int
    location: int


class Record(Struct, frozen=True):
    """One message as read from the phone."""

    slot: Slot
    external_id: str
    sender: str
    raw: bytes


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
