"""Keeps the filtered stream connected, within X's budget, and opens and closes the gaps between the connections."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal

from channels.twitter.api import ApiError, translate
from channels.twitter.backoff import Recovery
from channels.twitter.budget import ConnectBudget
from channels.twitter.condition import Path
from channels.twitter.connection import read_stream
from channels.twitter.context import Context
from channels.twitter.gaps import STREAM
from channels.twitter.keeping import STORE_TROUBLE, persist
from channels.twitter.rules import difference, wanted_rules
from gateway.clock import from_milliseconds, to_milliseconds
from gateway.errors import GatewayError

SIGN_OF_LIFE: Final = "alive"
"""The name under which the last proof that the stream lived is saved."""

TOO_MANY_CONNECTIONS: Final = "TooManyConnections"
_NO_RULES: Final = 409
_STORE_PAUSE: Final = 1.0

StreamState = Literal["idle", "connecting", "connected", "waiting"]


class _OverflowError(Exception):
    """The store does not keep up with the stream; search brings what is left out."""


class Stream:
    """The stream of one channel.

    Args:
        context: What it stands on.
        reconnected: Called after each connect: search has to look into what was before.
    """

    def __init__(self, context: Context, reconnected: Callable[[], None]) -> None:
        self._context = context
        self._reconnected = reconnected
        self._recovery = Recovery(context.pace)
        self._budget = ConnectBudget(context.settings.connects_per_window)
        self._rules_at: float | None = None
        self._cleared_at: float | None = None
        self._connected_at: float | None = None
        self._last_byte: int | None = None
        self._written: int | None = None
        self.path = Path()
        self.state: StreamState = "idle"
        self.first_connect: int | None = None
        """When the stream was connected for the very first time, in milliseconds: before that it owed nothing."""

    async def load(self) -> None:
        """Reads what the last life left. Raises StoreUnavailable."""
        self._budget = ConnectBudget.load(
            self._context.settings.connects_per_window, await self._context.store.load("connects")
        )
        alive, first = await self._context.store.load(SIGN_OF_LIFE), await self._context.store.load("stream_since")
        self._last_byte = self._written = int(alive) if alive else None
        self.first_connect = int(first) if first else None

    async def run(self) -> None:
        """Connects, again and again. Raises LeaseLost, and what is wrong in the gateway itself."""
        began = self._now()
        if self._last_byte is not None:
            self._context.gaps.open(STREAM, from_milliseconds(self._last_byte), "The channel was not running.")
        while True:
            try:
                await self._attempt()
            except ApiError as error:
                pause = await self._ended(error, began)
                await asyncio.sleep(pause)
            except _OverflowError:
                reason = "The store does not keep up, so the stream was let go of; it is connected again by itself."
                self._away(reason, began)
                await self._context.inbox.drained()
                await asyncio.sleep(self._context.pace.network_step)

    async def keep(self) -> None:
        """Writes down, soon after each change, the gaps and, now and then, the last sign of life."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._context.pace.alive):
                    await self._context.gaps.changed.wait()
            self._context.gaps.changed.clear()
            try:
                await self.save()
            except STORE_TROUBLE:
                self._context.gaps.changed.set()
                await asyncio.sleep(_STORE_PAUSE)

    async def save(self) -> None:
        """Writes the state down. Raises StoreUnavailable and LeaseLost."""
        await self._context.gaps.flush()
        mark = self.sign_of_life()
        if mark is not None and mark != self._written:
            await self._context.store.save({SIGN_OF_LIFE: str(mark), "stream_since": str(self.first_connect or mark)})
            self._written = mark

    def sign_of_life(self) -> int | None:
        """Everything that the stream brought before this moment is committed, or was given up; in milliseconds."""
        times = [time for time in (self._last_byte, self._context.inbox.oldest()) if time is not None]
        given_up = to_milliseconds(self._context.gaps.lost_until) if self._context.gaps.lost_until else None
        return max(min(times), given_up or 0) if times else given_up

    def connects(self) -> int:
        """Connects of the last 15 minutes."""
        return self._budget.used(self._now())

    def age(self) -> float | None:
        """Seconds since the connection was made, or None without one."""
        return None if self._connected_at is None else self._context.clock.monotonic() - self._connected_at

    async def _attempt(self) -> None:
        """One connection, from the rules to its end, which is always an exception."""
        self.state = "connecting"
        await self._sync_rules()
        why = self.path.reason
        while (wait := self._budget.wait(self._now())) > 0:
            self.state = "waiting"
            self.path.reason = f"{why} X bears so many connects only; the next one is due in {wait:.0f} s."
            await asyncio.sleep(wait)
        self.state = "connecting"
        self._budget.spend(self._now())
        await persist(lambda: self._context.store.save({"connects": self._budget.dump()}))
        await read_stream(
            self._context.settings,
            self._context.clock,
            on_connect=self._connected,
            on_bytes=self._alive,
            on_line=self._take,
        )

    async def _sync_rules(self) -> None:
        """Puts our rules in force; now and then, for X keeps them, and a stream without any is refused (409)."""
        now = self._context.clock.monotonic()
        if self._rules_at is not None and now - self._rules_at < self._context.pace.rules:
            return
        wanted = wanted_rules(self._context.name, self._context.settings.account, self._context.settings.hashtag)
        try:
            add, delete = difference(self._context.name, wanted, await self._context.api.rules())
            if add:
                await self._context.api.add_rules(add)
            if delete:
                await self._context.api.delete_rules(delete)
        except ApiError:
            if self._rules_at is None:
                raise
        self._rules_at = now

    def _connected(self) -> None:
        self.state = "connected"
        self.path.works()
        self._connected_at = self._context.clock.monotonic()
        self._alive()
        self.first_connect = self.first_connect or self._now()
        self._context.gaps.close(STREAM, self._context.clock.now())
        self._context.gaps.changed.set()
        self._reconnected()

    def _alive(self) -> None:
        self._last_byte = self._now()

    def _take(self, line: bytes) -> None:
        if not self._context.inbox.put(line, self._now()):
            raise _OverflowError

    async def _ended(self, error: ApiError, began: int) -> float:
        """Notes a failure; returns the seconds until the next attempt."""
        lasted = self.age()
        if lasted is not None and lasted >= self._context.pace.healthy:
            self._recovery.reset()
        if lasted is None:
            self._away(translate(error, self._context.name), began)
        else:
            self._away(f"The stream ended: {error.title}.", began)
        if error.status == _NO_RULES:
            self._rules_at = None
        if error.issue == TOO_MANY_CONNECTIONS and await self._clear_connections():
            return self._context.pace.http_first
        return self._recovery.pause(error)

    def _away(self, why: GatewayError | str, began: int) -> None:
        """From here on there is a gap."""
        if self._context.gaps.open_since(STREAM) is None:
            self._context.gaps.open(STREAM, from_milliseconds(self._last_byte or began), str(why))
        self.path.fails(why, self._context.clock.monotonic())
        self._connected_at = None
        self.state = "waiting"

    async def _clear_connections(self) -> bool:
        """Ends a connection that only X believes in; not at once again, for it could be another gateway's."""
        now = self._context.clock.monotonic()
        if self._cleared_at is not None and now - self._cleared_at < self._context.pace.limit_first:
            return False
        self._cleared_at = now
        try:
            await self._context.api.clear_connections()
        except ApiError:
            return False
        return True

    def _now(self) -> int:
        return to_milliseconds(self._context.clock.now())
