"""One snapshot for all who look within a second: a hundred open pages cost what one does."""

import asyncio
from dataclasses import replace
from typing import Final

from aiohttp import web

from gateway.application import Gateway
from gateway.console.gauges import set_gauges
from gateway.console.snapshot import Slow, Snapshot, take
from gateway.errors import StoreUnavailable

FRESH_SECONDS: Final = 1.0


class Snapshots:
    """Takes snapshots when somebody asks, one at a time, and keeps the newest.

    Args:
        gateway: What they show.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._slow: Slow | None = None
        self._newest: Snapshot | None = None
        self._taken_at = 0.0
        self._taking: asyncio.Task[Snapshot] | None = None

    async def latest(self) -> Snapshot:
        """A snapshot that is no older than a second; its metrics' gauges are set.

        Raises:
            StoreUnavailable: The database does not answer; everyone who waited for this one hears of it.
        """
        if self._newest is not None and self._gateway.clock.monotonic() - self._taken_at < FRESH_SECONDS:
            return self._newest
        if self._taking is None:
            self._taking = asyncio.create_task(self._take())
            self._taking.add_done_callback(self._done)
        return await asyncio.shield(self._taking)  # who goes away leaves it to the others

    async def latest_known(self) -> Snapshot:
        """The same, but while the database is away the last one that could be taken, as old as its ``at`` says.

        Its ``store`` says that it is not reachable, and why.

        Raises:
            StoreUnavailable: The database does not answer, and never did.
        """
        try:
            return await self.latest()
        except StoreUnavailable as error:
            if self._newest is None:
                raise
            return replace(self._newest, store=replace(self._newest.store, reachable=False, reason=str(error)))

    async def close(self) -> None:
        """Ends what is being read."""
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait({self._taking})

    async def _take(self) -> Snapshot:
        begun_at = self._gateway.clock.monotonic()
        try:
            snapshot, self._slow = await take(self._gateway, self._slow)
        except StoreUnavailable:
            self._gateway.metrics.store_up.set(0)
            raise
        self._newest, self._taken_at = snapshot, begun_at
        set_gauges(self._gateway.metrics, snapshot)
        return snapshot

    def _done(self, task: asyncio.Task[Snapshot]) -> None:
        self._taking = None
        if not task.cancelled():
            task.exception()  # whoever waited for it has it; nobody may be left


SNAPSHOTS: Final = web.AppKey("SNAPSHOTS", Snapshots)
"""Where a handler finds them: ``request.app[SNAPSHOTS]``."""
