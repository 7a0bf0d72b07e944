"""Hands work from one stage to the next in memory while that keeps up, and through the database when it does not."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from gateway.clock import Clock


class Identified(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> str:
        """The row's id."""
        ...


Item = TypeVar("Item", bound=Identified)

ReadStore = Callable[[int, Collection[str]], Awaitable[list[Item]]]
"""Reads up to so many waiting rows from the database, oldest first, without those ids."""

BATCH_BYTES: Final = 32 * 1024 * 1024
"""What one batch may weigh: messages of an ordinary size never come near it, a few large mails do."""

SWEEP_SECONDS: Final = 5.0
"""How often the database is asked for what nobody handed over: rows of other processes, replays."""


class Handover(Generic[Item]):
    """A bounded buffer whose overflow is the database.

    Everything in it has been committed before, so it may be thrown away at any time: it saves a read, never a row.

    Args:
        read: Reads waiting rows from the database.
        capacity: Items held in memory at most; four batches' bytes besides.
        clock: Tells when to sweep.
        weigh: Tells the bytes of an item. A read stops with the item that makes a batch heavy.
    """

    def __init__(
        self, read: ReadStore[Item], capacity: int, clock: Clock, weigh: Callable[[Item], int] = lambda _item: 0
    ) -> None:
        self._read = read
        self._capacity = capacity
        self._clock = clock
        self._weigh = weigh
        self._bytes = 0
        self._buffer: deque[Item] = deque()
        self._seen: set[str] = set()
        self._behind = True
        self._sweep_at = clock.monotonic() + SWEEP_SECONDS
        self._wake = asyncio.Event()

    def offer(self, items: Iterable[Item]) -> None:
        """Hands over rows that were just committed."""
        if not self._behind:
            for item in items:
                self._buffer.append(item)
                self._bytes += self._weigh(item)
            if len(self._buffer) > self._capacity or self._bytes > 4 * BATCH_BYTES:
                self.fall_behind()
        self._wake.set()

    def fall_behind(self) -> None:
        """Forgets the buffer; the next batch comes from the database."""
        self._behind = True
        self._clear()
        self._wake.set()

    def _clear(self) -> None:
        self._buffer.clear()
        self._bytes = 0

    async def take(self, limit: int, busy: Collection[str] = ()) -> list[Item]:
        """Waits for work and returns up to ``limit`` items, or none when the database had nothing either.

        Args:
            limit: How many at most.
            busy: Ids that are being worked on already.
        """
        if not self._behind and not self._buffer:
            await self._wait()
        if self._behind:
            return await self._from_store(limit, busy)
        if self._clock.monotonic() >= self._sweep_at:
            missed = await self._sweep(limit, busy)
            return missed + self._from_buffer(limit - len(missed))
        return self._from_buffer(limit)

    async def _wait(self) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._sweep_at - self._clock.monotonic())):
                await self._wake.wait()

    def _from_buffer(self, limit: int) -> list[Item]:
        batch: list[Item] = []
        heavy = 0
        while self._buffer and len(batch) < limit and heavy < BATCH_BYTES:
            item = self._buffer.popleft()
            weight = self._weigh(item)
            self._bytes -= weight
            if item.id not in self._seen:
                batch.append(item)
                heavy += weight
        return batch

    async def _from_store(self, limit: int, busy: Collection[str]) -> list[Item]:
        # From here on new rows are offered to memory; those that the read sees as well are passed over there.
        self._clear()
        self._behind = False
        try:
            items = await self._read(limit, busy)
        except BaseException:
            self._behind = True
            raise
        self._note_read(items)
        if len(items) == limit or sum(map(self._weigh, items)) >= BATCH_BYTES:
            self.fall_behind()
        return items

    async def _sweep(self, limit: int, busy: Collection[str]) -> list[Item]:
        items = await self._read(limit, {*busy, *(item.id for item in self._buffer)})
        still_offered = self._seen & {item.id for item in self._buffer}
        self._note_read(items)
        self._seen |= still_offered
        return items

    def _note_read(self, items: list[Item]) -> None:
        self._seen = {item.id for item in items}
        self._sweep_at = self._clock.monotonic() + SWEEP_SECONDS
