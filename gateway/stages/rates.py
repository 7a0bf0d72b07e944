"""Writes down every few seconds how many messages took each step, from what the metrics have counted since.

The stages count in memory, as they do anyway; nothing of this is in their way. A process that is killed forgets the
seconds since it last wrote, and a commit that broke off may count twice: these are figures to look at, and no message
depends on them.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gateway.clock import Clock, to_milliseconds
from gateway.errors import GatewayError
from gateway.stages.loop import Board
from gateway.store import Store
from gateway.store import rates as rate_rows
from gateway.telemetry import totals

FLUSH_SECONDS: Final = 5.0
FORGET_SECONDS: Final = 600.0
FINISH_SECONDS: Final = 2.0
_LONGEST: Final = 3 * FLUSH_SECONDS
"""What counts as listening at most between two writings: whoever was away for longer did not listen."""


class RateStage:
    """Writes the rates of this process.

    Args:
        store: The database.
        board: Which channels listen; its metrics are what is written.
        clock: Which span of time it is.
        channels: The names of the gateway's channels.
    """

    def __init__(self, store: Store, board: Board, clock: Clock, channels: Sequence[str]) -> None:
        self._store = store
        self._board = board
        self._clock = clock
        self._channels = channels
        self._written: dict[tuple[str, str], int] = {}
        self._listened = dict.fromkeys(channels, 0.0)
        self._writing: asyncio.Task[None] | None = None
        self._looked_at = clock.monotonic()
        self._forget_at = clock.monotonic()

    async def step(self) -> None:
        """Waits, then writes what has come."""
        await asyncio.sleep(FLUSH_SECONDS)
        await self.flush()
        if self._clock.monotonic() >= self._forget_at:
            async with self._store.write() as connection:
                await rate_rows.forget(connection, to_milliseconds(self._clock.now()))
            self._forget_at = self._clock.monotonic() + FORGET_SECONDS

    async def flush(self) -> None:
        """Writes what has come since the last time. What cannot be written now is written the next time."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await asyncio.shield(self._writing)  # cut off in the middle, nobody would know whether it was written

    async def _write(self) -> None:
        self._listen()
        counted = self._counted()
        new = {key: count - self._written.get(key, 0) for key, count in counted.items()}
        if any(new.values()):
            async with self._store.write() as connection:
                await rate_rows.add(connection, new, to_milliseconds(self._clock.now()))
            self._written = counted

    async def finish(self) -> None:
        """Writes what is left when the gateway stops, if the database lets it."""
        try:
            with suppress(GatewayError, TimeoutError):
                async with asyncio.timeout(FINISH_SECONDS):
                    if self._writing is not None:
                        await asyncio.wait({self._writing})
                    await self.flush()
        finally:
            if self._writing is not None:
                self._writing.cancel()

    def _listen(self) -> None:
        now = self._clock.monotonic()
        passed, self._looked_at = min(now - self._looked_at, _LONGEST), now
        for name in self._channels:
            condition = self._board.conditions.get(f"channel {name}")
            if condition is not None and condition.state in ("up", "degraded" if name in self._board.quiet else "up"):
                self._listened[name] += passed

    def _counted(self) -> dict[tuple[str, str], int]:
        metrics = self._board.metrics
        by_step = {
            "received": totals(metrics.received),
            "processed": totals(metrics.decided),
            "published": totals(metrics.published),
            "answered": totals(metrics.answers, outcome="sent"),
            rate_rows.LISTENED: {name: int(seconds) for name, seconds in self._listened.items()},
        }
        return {(name, step): count for step, counts in by_step.items() for name, count in counts.items()}
