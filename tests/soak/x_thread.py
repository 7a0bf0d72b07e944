"""The simulated X on a thread of its own, and what is true of its stream: when it delivered and when it did not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from gateway.demo.x import Options, XSimulator

_LOOK_SECONDS = 0.01
_CALL_SECONDS = 60.0

T = TypeVar("T")


class Times:
    """When something was so."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._spans: list[tuple[datetime, datetime]] = []

    def note(self, now: datetime, *, is_so: bool) -> None:
        """How it is now."""
        if is_so:
            self._since = self._since or now
        elif self._since is not None:
            self._spans.append((self._since, now))
            self._since = None

    def spans(self) -> list[tuple[datetime, datetime]]:
        """All of them, the one that lasts included."""
        return [*self._spans, *([(self._since, datetime.now(UTC))] if self._since is not None else [])]


class Truth:
    """Notes when the stream does not deliver. Used on the thread of the simulator's loop.

    Attributes:
        without_delivery: When no post reached a client.
        without_stream: When there was not even a connection that is alive.
        largest_queue: The most lines that ever waited for a client.
        largest_buffer: The most bytes that ever waited for the network, and so for a client that reads.
    """

    def __init__(self, x: XSimulator) -> None:
        self._x = x
        self.without_delivery = Times()
        self.without_stream = Times()
        self.largest_queue = 0
        self.largest_buffer = 0

    def is_alive(self) -> bool:
        """Whether a client is connected and hears anything."""
        lines = self._x.stream._connections  # noqa: SLF001 - the simulator counts the dead ones as well
        return not self._x.faults.silent and any(not line.muted and not line.ending for line in lines)

    def delivers(self) -> bool:
        """Whether a post of this moment reaches a client."""
        return not self._x.faults.blackout and not self._x.faults.half_lines and self.is_alive()

    async def run(self) -> None:
        """Looks, for ever."""
        while True:
            now = datetime.now(UTC)
            self.without_delivery.note(now, is_so=not self.delivers())
            self.without_stream.note(now, is_so=not self.is_alive())
            self._measure()
            await asyncio.sleep(_LOOK_SECONDS)

    def _measure(self) -> None:
        for line in self._x.stream._connections:  # noqa: SLF001 - nobody else wants to know
            self.largest_queue = max(self.largest_queue, len(line._lines))  # noqa: SLF001
            transport = line._request.transport  # noqa: SLF001
            if transport is not None:
                self.largest_buffer = max(self.largest_buffer, transport.get_write_buffer_size())


class XThread:
    """Runs a simulator. Everything that touches it goes through :meth:`call`.

    Args:
        options: Limits, patience and keys.
    """

    def __init__(self, options: Options) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated X", daemon=True)
        self._tasks: list[asyncio.Task[None]] = []
        self.x = XSimulator(options)
        self.truth = Truth(self.x)

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        self.spawn(self.truth.run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.x.stop()

    def start(self) -> None:
        """X is there, again."""
        self._wait(self.x.start())

    def stop(self) -> None:
        """X is away."""
        self._wait(self.x.stop())

    def spawn(self, endless: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Has something run beside it until the end."""

        async def start() -> None:
            self._tasks.append(asyncio.create_task(endless()))

        self._wait(start())

    def call(self, action: Callable[[], T]) -> T:
        """Does something on the simulator's thread. Raises what a task beside it died of."""

        async def act() -> T:
            for task in self._tasks:
                if task.done():
                    task.result()
            return action()

        return self._wait(act())

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_SECONDS)
