"""One connection to the filtered stream, through tweepy: connects once, hands every line on, and says why it ended."""

import asyncio
from collections.abc import Callable
from typing import Any

from tweepy.asynchronous import AsyncStreamingClient

from channels.twitter.api import POST_FIELDS
from channels.twitter.posts import control_problem
from channels.twitter.session import ApiError, OriginSession
from channels.twitter.settings import TwitterSettings
from gateway.clock import Clock


class _Reader(AsyncStreamingClient):  # type: ignore[misc]  # tweepy has no types
    """tweepy's client without what it does by itself: parsing, waiting, connecting again, logging texts.

    Whatever ends a connection is raised inside tweepy, which then lets go of it and calls ``on_exception``.
    """

    def __init__(self, bearer_token: str, on_connect: Callable[[], None], on_line: Callable[[bytes], None]) -> None:
        super().__init__(bearer_token, return_type=dict, max_retries=0)
        self._connected = on_connect
        self._line = on_line
        self.ended: Exception = ApiError(None, "the stream ended")

    async def on_connect(self) -> None:
        self._connected()

    async def on_data(self, raw_data: bytes) -> None:
        problem = control_problem(raw_data)
        if problem is not None:
            raise ApiError(None, f"X ended the stream ({problem})")
        self._line(raw_data)

    async def on_keep_alive(self) -> None:
        """The session has noticed it already, as it does every byte."""

    async def on_closed(self, resp: Any) -> None:  # noqa: ANN401, ARG002 - tweepy's
        raise ApiError(None, "X closed the stream")

    async def on_exception(self, exception: Exception) -> None:
        self.ended = exception

    async def on_disconnect(self) -> None:
        """Whoever supervises the connection knows."""


async def read_stream(
    settings: TwitterSettings,
    clock: Clock,
    *,
    on_connect: Callable[[], None],
    on_bytes: Callable[[], None],
    on_line: Callable[[bytes], None],
) -> None:
    """Connects and reads until it ends; it never returns in peace.

    Args:
        settings: The channel's section.
        clock: Tells the time.
        on_connect: Called once X has taken the connection.
        on_bytes: Called for whatever arrives, signs of life too.
        on_line: Called for every complete line. What it raises ends the connection, and is raised here.

    Raises:
        ApiError: X refused the connection, or it ended.
    """
    session = OriginSession(
        settings.api_url,
        clock,
        connect=settings.connect_timeout,
        silence=settings.silence_seconds,
        on_bytes=on_bytes,
    )
    reader = _Reader(settings.bearer_token.get_secret_value(), on_connect, on_line)
    reader.session = session
    task: asyncio.Task[None] = reader.filter(backfill_minutes=settings.backfill_minutes or None, **POST_FIELDS)
    try:
        await asyncio.wait({task})  # not the task itself: tweepy swallows a cancellation
    finally:
        task.cancel()
        await asyncio.wait({task})
        await session.close()
    raise reader.ended
