"""Tests of the frames between the gateway and a modem's child process."""

import asyncio
import io

import pytest

from channels.sms.frames import MAX_FRAME, Reading, Record, Reply, Request, Slot, pack, read_reply, read_request


async def reply_from(octets: bytes) -> Reply:
    reader = asyncio.StreamReader()
    reader.feed_data(octets)
    reader.feed_eof()
    return await read_reply(reader)


def test_a_request_comes_through_the_pipe_as_it_was() -> None:
    """Method and arguments survive, and the next request follows."""
    first = Request(1, "read", {"limit": 100, "again": False})
    second = Request(2, "send", {"text": "air mati 😀", "smsc": None})
    pipe = io.BytesIO(pack(first) + pack(second))
    assert [read_request(pipe), read_request(pipe), read_request(pipe)] == [first, second, None]


@pytest.mark.parametrize("length", [0, 3, 4, 10])
def test_a_request_that_is_cut_short_is_the_end(length: int) -> None:
    """The gateway has died while it was writing: there is nothing to do."""
    assert read_request(io.BytesIO(pack(Request(1, "status", {}))[:length])) is None


async def test_a_reply_comes_through_the_pipe_as_it_was() -> None:
    """A reading arrives as plain values, with its raw bytes untouched."""
    reading = Reading([Record(Slot(1, "id"), "+628110000001", b"\x00\xff")], 0, 0)
    reply = await reply_from(pack(Reply(7, result=reading)))
    assert reply.id == 7
    assert reply.result["records"][0]["raw"] == b"\x00\xff"


async def test_a_reply_that_is_cut_short_says_that_the_child_is_gone() -> None:
    """Whoever waits learns it from the exception."""
    with pytest.raises(asyncio.IncompleteReadError):
        await reply_from(pack(Reply(1, error="ERR_TIMEOUT"))[:-1])


async def test_nonsense_on_the_pipe_is_refused() -> None:
    """A length that cannot be, or a body that is no reply, is an error and not an endless wait."""
    with pytest.raises(ValueError, match="a frame of"):
        await reply_from((MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(ValueError, match=r"MessagePack|Invalid|malformed"):
        await reply_from(b"\x00\x00\x00\x01\xc1")
