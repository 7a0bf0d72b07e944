"""Server-sent events: one producer looks and renders every two seconds for all open pages together."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import tzinfo
from typing import Final, Literal

from aiohttp import web

from gateway.application import Gateway
from gateway.console.access import Access
from gateway.console.language import language_of
from gateway.console.latest import Snapshots
from gateway.console.overview import sections
from gateway.console.pages import shown_time
from gateway.console.snapshot import Snapshot
from gateway.console.web import dumps, refusal
from gateway.errors import StoreUnavailable

EVERY_SECONDS: Final = 2.0
"""How often all who watch are told; it is the heartbeat, too."""

MOST_READERS: Final = 500
MOST_WAITING: Final = 8
"""Events that one reader may be behind; a slower one is let go, and may come again."""

WRITE_SECONDS: Final = 15.0
"""How long a reader's connection may take no bytes."""

RECHECK_SECONDS: Final = 30.0
"""How often is asked whether the reader's session still stands."""

_Kind = Literal["json", "id", "en"]
_END: Final = b""


class _Reader:
    """One open stream: what is to be written to it."""

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)

    def tell(self, event: bytes) -> bool:
        """Adds an event; False for a reader that is too far behind, which is then let go."""
        if self._queue.full():
            self.end()
            return False
        self._queue.put_nowait(event)
        return True

    def end(self) -> None:
        """Has the stream end, whatever still waits."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(_END)

    async def next(self) -> bytes:
        """The next event; empty at the end."""
        return await self._queue.get()


class Live:
    """Tells all who watch what changes.

    Args:
        gateway: Its clock.
        snapshots: What is shown.
        access: Asked again and again whether a reader may still look.
        zone: The operators' time zone.
    """

    def __init__(self, gateway: Gateway, snapshots: Snapshots, access: Access, zone: tzinfo) -> None:
        self._clock = gateway.clock
        self._snapshots = snapshots
        self._access = access
        self._zone = zone
        self._readers: set[_Reader] = set()
        self._shown: dict[_Kind, Mapping[str, str]] = {}
        self._producer: asyncio.Task[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        """Rooms for viewers."""
        return [web.get("/api/v1/events", self.events, allow_head=False)]

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The stream: snapshots in JSON, or with ``?as=page`` the changed sections of the first page in HTML."""
        if len(self._readers) >= MOST_READERS:
            raise refusal(web.HTTPServiceUnavailable, "too many pages are open")
        reader = _Reader(language_of(request) if request.query.get("as") == "page" else "json")
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with suppress(TimeoutError, ConnectionError):
            await _write(response, b"retry: 2000\n\n")
            self._add(reader)
            await self._feed(request, response, reader)
        self._readers.discard(reader)
        return response

    async def _feed(self, request: web.Request, response: web.StreamResponse, reader: _Reader) -> None:
        checked_at = self._clock.monotonic()
        try:
            while event := await reader.next():
                if self._clock.monotonic() - checked_at >= RECHECK_SECONDS:
                    checked_at = self._clock.monotonic()
                    if not await self._may_look(request):
                        await _write(response, _event("gone", {}))
                        return
                await _write(response, event)
        finally:
            self._readers.discard(reader)

    async def _may_look(self, request: web.Request) -> bool:
        try:
            return await self._access.identify(request) is not None
        except web.HTTPForbidden:
            return False
        except StoreUnavailable:  # nobody can tell, and the page says that the database is away
            return True

    def _add(self, reader: _Reader) -> None:
        self._readers.add(reader)
        self._shown.pop(reader.kind, None)  # the next event holds everything
        if self._producer is None or self._producer.done():
            self._producer = asyncio.create_task(self._produce())

    async def _produce(self) -> None:
        """Looks, renders and serialises once for all, as long as somebody watches."""
        while self._readers:
            with suppress(StoreUnavailable):  # never seen yet: the silence tells
                self.tell(await self._snapshots.latest_known())
            await asyncio.sleep(EVERY_SECONDS)

    def tell(self, snapshot: Snapshot) -> None:
        """Gives every reader one event."""
        events: dict[_Kind, bytes] = {}
        for reader in list(self._readers):
            if reader.kind not in events:
                events[reader.kind] = self._event_of(reader.kind, snapshot)
            if not reader.tell(events[reader.kind]):
                self._readers.discard(reader)

    def _event_of(self, kind: _Kind, snapshot: Snapshot) -> bytes:
        if kind == "json":
            return _event("snapshot", snapshot.as_json())
        clock = str(shown_time(kind, self._zone, snapshot.at))
        made = sections(snapshot, kind, self._zone)
        shown = {name: html.replace(clock, "") for name, html in made.items()}
        before = self._shown.get(kind, {})
        self._shown[kind] = shown
        changed = {name: str(html) for name, html in made.items() if before.get(name) != shown[name]}
        return _event("page", {"clock": clock, "sections": changed})

    async def close(self, _application: web.Application | None = None) -> None:
        """Ends every stream; the server waits for them before it stops."""
        for reader in self._readers:
            reader.end()
        if self._producer is not None:
            self._producer.cancel()
            await asyncio.wait({self._producer})


def _event(name: str, data: object) -> bytes:
    """One event; JSON on one line holds no line break that could end it early."""
    return f"event: {name}\ndata: {dumps(data)}\n\n".encode()


async def _write(response: web.StreamResponse, event: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(event)
