"""Keeps raw messages, texts and senders as long as ``store.keep_days`` says, and no longer."""

import asyncio
from datetime import timedelta
from typing import Final

from gateway.clock import Clock, to_milliseconds
from gateway.identifiers import first_uuid7
from gateway.store import Store
from gateway.store import files as file_rows
from gateway.store import matters as matter_rows
from gateway.store.retention import empty_before
from gateway.telemetry import Log, logger

PAUSE_SECONDS: Final = 600.0
CLEAN_SECONDS: Final = 6 * 3600.0
"""How often files are compared with the messages that speak of them."""

ROWS_AT_ONCE: Final = 500
"""Rows of each table in one transaction: receiving waits no longer than that takes."""


class RetainStage:
    """Empties old rows, a few at a time.

    Args:
        store: The database.
        keep: How long raw messages are kept.
        window: How long a matter can be repeated.
        clock: Tells what is old.
    """

    def __init__(self, store: Store, keep: timedelta, window: timedelta, clock: Clock) -> None:
        self._store = store
        self._clean_at = clock.monotonic()
        self._keep = keep
        self._window = window
        self._clock = clock

    async def step(self) -> None:
        """Empties what has become too old; then waits."""
        await self.empty()
        await self.forget_matters()
        if self._clock.monotonic() >= self._clean_at:
            await self.remove_files()
            self._clean_at = self._clock.monotonic() + CLEAN_SECONDS
        await asyncio.sleep(PAUSE_SECONDS)

    async def remove_files(self) -> int:
        """Removes files that no message speaks of any more; returns how many."""
        async with self._store.read() as connection:
            spoken_of = await file_rows.known(connection)
        return await asyncio.to_thread(self._store.files.remove_others, spoken_of)

    async def forget_matters(self) -> int:
        """Forgets what reports were about that nobody can repeat any more; returns how many."""
        before = to_milliseconds(self._clock.now() - self._window)
        total = 0
        while True:
            async with self._store.write() as connection:
                count = await matter_rows.expire(connection, before, ROWS_AT_ONCE)
            total += count
            if count < ROWS_AT_ONCE:
                return total

    async def empty(self) -> int:
        """Empties what has become too old; returns how many rows that were."""
        bound = first_uuid7(to_milliseconds(self._clock.now() - self._keep))
        total = 0
        while True:
            async with self._store.write() as connection:
                count = await empty_before(connection, bound, ROWS_AT_ONCE)
            total += count
            if count == 0:
                break
        if total:
            logger.info(Log.RETENTION, rows=total)
        return total
