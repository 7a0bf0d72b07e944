"""What tweepy is given as its HTTP session: any origin, deadlines, bounded bodies, and one kind of error."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import datetime
from typing import Any, Final

import aiohttp
import msgspec
from yarl import URL

from gateway.clock import Clock
from gateway.findings import time_in

TWEEPY_ORIGIN: Final = "https://api.twitter.com"
"""The host that tweepy has fixed in its code."""

MAX_BODY: Final = 10_000_000
MAX_LINE: Final = 4 * 1024 * 1024
KEPT_OF_A_LONG_LINE: Final = 64 * 1024
_OK: Final = range(200, 300)
_TITLE_LENGTH: Final = 80
_DETAIL_LENGTH: Final = 300

# tweepy writes requests with their keys at debug level, and X's answers at error level.
logging.getLogger("tweepy").setLevel(logging.CRITICAL)


class ApiError(Exception):
    """A call to X failed. Its text holds no post, no key and no query.

    Args:
        status: The HTTP status, or None where there was no answer.
        title: X's word for it, or ours.
        wait: Seconds until X's own limit is reset, where it says so.
        issue: X's own name for the cause, where it gives one, such as TooManyConnections.
        detail: X's sentence, to decide by; it may repeat what was sent and is never shown.
        reached: False only if the request certainly did not reach X.
    """

    def __init__(
        self,
        status: int | None,
        title: str,
        wait: float | None = None,
        *,
        issue: str = "",
        detail: str = "",
        reached: bool = True,
    ) -> None:
        super().__init__(f"{status} {title}" if status else title)
        self.status = status
        self.title = title
        self.wait = wait
        self.issue = issue
        self.detail = detail
        self.reached = reached


def _network_error(error: Exception) -> ApiError:
    if isinstance(error, TimeoutError):
        connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        return ApiError(None, "no answer in time", reached=not connecting)
    if isinstance(error, aiohttp.ClientConnectorError):
        return ApiError(None, "no connection", reached=False)
    return ApiError(None, f"the connection broke ({type(error).__name__})")


_NETWORK_ERRORS: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""What aiohttp raises; ValueError for answers that are no HTTP."""
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Response:
    """A response that has been read, as far as tweepy looks at one."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str], content: Any) -> None:  # noqa: ANN401
        self.status = status
        self.reason = reason
        self.headers = headers
        self._content = content

    async def read(self) -> bytes:
        """Nothing is left to read."""
        return b""

    async def json(self) -> Any:  # noqa: ANN401 - JSON
        """The decoded body."""
        return self._content


class _Stream:
    """A response whose body goes on, as far as tweepy looks at one."""

    status = 200

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        self.content = lines


class OriginSession:
    """Makes tweepy's requests at another origin. The connections are made with the first request.

    Args:
        origin: Where requests go.
        clock: Tells how far away X's reset time is.
        connect: Seconds that connecting may take.
        total: Seconds that a call may take; None for the stream, where ``silence`` holds instead.
        silence: Seconds that the stream may be without a byte.
        on_bytes: Called for whatever arrives on the stream.
    """

    def __init__(
        self,
        origin: str,
        clock: Clock,
        *,
        connect: float,
        total: float | None = None,
        silence: float = 30.0,
        on_bytes: Callable[[], None] = lambda: None,
    ) -> None:
        self._origin = origin
        self._clock = clock
        self._connect = connect
        self._total = total
        self._silence = silence
        self._on_bytes = on_bytes
        self._session: aiohttp.ClientSession | None = None
        self.headers: dict[str, str] = {}
        self.closed = False
        self.server_time: datetime | None = None
        """What time it was there at the last answer, where a header says so."""

    def request(
        self,
        method: str,
        url: str | URL,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
        json: object = None,
        data: object = None,  # noqa: ARG002 - tweepy's stream names it, always empty
        proxy: object = None,  # noqa: ARG002 - likewise
    ) -> AbstractAsyncContextManager[_Response | _Stream]:
        """One request, as tweepy asks for it."""
        target = URL(self._origin + str(url).removeprefix(TWEEPY_ORIGIN), encoded=True)
        arguments = {"params": params, "json": json, "headers": {**self.headers, **headers}, "allow_redirects": False}
        if self._total is None:
            return self._stream(method, target, arguments)
        return self._call(method, target, self._total, arguments)

    @asynccontextmanager
    async def _call(
        self, method: str, target: URL, total: float, arguments: Mapping[str, Any]
    ) -> AsyncIterator[_Response]:
        try:
            async with (
                asyncio.timeout(total),
                self._opened().request(method, target, **arguments) as response,
            ):
                self.server_time = time_in(response.headers.get("Date", ""))
                body = await _read(response)
        except _NETWORK_ERRORS as error:
            raise _network_error(error) from error
        if response.status not in _OK:
            raise self._refusal(response, body)
        yield _Response(response.status, response.reason or "", response.headers, _decode(response.status, body))

    @asynccontextmanager
    async def _stream(self, method: str, target: URL, arguments: Mapping[str, Any]) -> AsyncIterator[_Stream]:
        response: aiohttp.ClientResponse | None = None
        try:
            try:
                async with asyncio.timeout(self._connect + self._silence):
                    response = await self._opened().request(method, target, **arguments)
                    if response.status != _Stream.status or response.content_type == "text/html":
                        raise self._refusal(response, await _read(response))
            except _NETWORK_ERRORS as error:
                raise _network_error(error) from error
            async with aclosing(self._lines(response)) as lines:
                yield _Stream(lines)
        finally:
            if response is not None:
                response.close()

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
        """The complete lines; one that the end of the connection has cut is left to search."""
        splitter = LineSplitter()
        while True:
            try:
                async with asyncio.timeout(self._silence):
                    chunk = await response.content.readany()
            except TimeoutError as error:
                raise ApiError(None, f"silent for {self._silence:g} s") from error
            except _NETWORK_ERRORS as error:
                raise _network_error(error) from error
            if not chunk:
                return
            self._on_bytes()
            for line in splitter.feed(chunk):
                yield line

    def _opened(self) -> aiohttp.ClientSession:
        if self.closed:
            raise ApiError(None, "closed", reached=False)
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=self._connect)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def _refusal(self, response: aiohttp.ClientResponse, body: bytes) -> ApiError:
        title, issue, detail = _problem(body)
        wait: float | None = None
        reset = response.headers.get("x-rate-limit-reset", "")
        if reset.isascii() and reset.isdigit() and len(reset) <= len("9999999999"):
            wait = max(0.0, int(reset) - self._clock.now().timestamp())
        return ApiError(response.status, title, wait, issue=issue, detail=detail)

    async def close(self) -> None:
        """Closes all connections."""
        self.closed = True
        if self._session is not None:
            await self._session.close()


class LineSplitter:
    """Cuts a stream of bytes into lines. Of a line that is too long its beginning is kept, as evidence."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._length = 0
        self._too_long = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that this chunk completes, without their ends."""
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            self._add(piece)
            yield b"".join(self._pieces)
            self._pieces, self._length, self._too_long = [], 0, False
        if rest:
            self._add(rest)

    def _add(self, piece: bytes) -> None:
        if self._too_long:
            return
        self._pieces.append(piece)
        self._length += len(piece)
        if self._length > self._limit:
            self._too_long = True
            self._pieces = [b"".join(self._pieces)[:KEPT_OF_A_LONG_LINE]]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY:
            response.close()
            raise ApiError(response.status, "an answer that is too large")
    return bytes(body)


def _decode(status: int, body: bytes) -> Any:  # noqa: ANN401 - JSON
    if not body:
        return {}
    try:
        content = msgspec.json.decode(body)
    except _NOT_JSON as error:
        raise ApiError(status, "an answer that is not JSON") from error
    if not isinstance(content, dict):
        raise ApiError(status, "an answer of an unknown form")
    return content


def _problem(body: bytes) -> tuple[str, str, str]:
    """X's title, cause and sentence, of its problem format or of the older list of errors."""
    try:
        content = msgspec.json.decode(body)
    except _NOT_JSON:
        return "an answer that is not JSON", "", ""
    if not isinstance(content, dict):
        return "an answer of an unknown form", "", ""
    errors = content.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    issue = _text(content.get("connection_issue")) or _text(content.get("reason"))
    title = _text(content.get("title")) or _text(first.get("title")) or "refused"
    detail = _text(content.get("detail")) or _text(first.get("detail")) or _text(first.get("message"))
    return title[:_TITLE_LENGTH], issue[:_TITLE_LENGTH], detail[:_DETAIL_LENGTH]


def _text(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else ""
