"""What waits to be taken into custody: lines of the stream in a bounded queue, and the finds of the other paths."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from channels.twitter.posts import from_line
from gateway.ports import Delivery, RawMessage

MOST_LINES: Final = 20_000
MOST_BYTES: Final = 64 * 1024 * 1024
BYTES_AT_ONCE: Final = 8 * 1024 * 1024

Settle = Callable[[Collection[str]], Awaitable[None]]
"""What is done once a batch is committed, with the external ids that were new. It may be done twice."""


async def _nothing(_new: Collection[str]) -> None:
    """For batches that are done with once they are committed."""


@dataclass(slots=True, eq=False)
class _Batch:
    messages: tuple[RawMessage, ...]
    settle: Settle
    released: asyncio.Future[None]


@dataclass(frozen=True, slots=True, eq=False)
class _Handle:
    """Which of the two kinds a delivery is: a batch, or lines, the first of which arrived at ``oldest``."""

    batch: _Batch | None
    oldest: int


class Inbox:
    """Hands everything over, one delivery at a time; a delivery that was not released is handed over again.

    Args:
        most_lines: Lines that wait, at most.
        most_bytes: Their bytes, at most.
    """

    def __init__(self, most_lines: int = MOST_LINES, most_bytes: int = MOST_BYTES) -> None:
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._lines: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self._batches: deque[_Batch] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._in_hand: Delivery | None = None
        self._batch_next = True

    def waiting(self) -> int:
        """Lines that wait."""
        return len(self._lines)

    def put(self, line: bytes, arrived: int) -> bool:
        """Queues a line of the stream; False if there is no room for it."""
        if len(self._lines) >= self._most_lines or self._bytes + len(line) > self._most_bytes:
            return False
        self._lines.append((line, arrived))
        self._bytes += len(line)
        self._wake.set()
        return True

    def oldest(self) -> int | None:
        """When the first line arrived of those that are not committed, in milliseconds."""
        handle = self._in_hand.handle if self._in_hand else None
        if isinstance(handle, _Handle) and handle.batch is None:
            return handle.oldest
        return self._lines[0][1] if self._lines else None

    async def drained(self) -> None:
        """Waits until half of the room is free."""
        while len(self._lines) > self._most_lines // 2 or self._bytes > self._most_bytes // 2:
            self._room.clear()
            await self._room.wait()

    async def deliver(self, messages: Sequence[RawMessage], settle: Settle = _nothing) -> None:
        """Hands messages over as one delivery; returns once they are committed and ``settle`` is done."""
        if not messages:
            await settle(())
            return
        batch = _Batch(_once(messages), settle, asyncio.get_running_loop().create_future())
        self._batches.append(batch)
        self._wake.set()
        try:
            await batch.released
        finally:
            with suppress(ValueError):
                self._batches.remove(batch)

    async def next(self, limit: int, seconds: float) -> Delivery:
        """What comes next; an empty delivery if there was nothing for so long."""
        if self._in_hand is not None:
            return self._in_hand
        if not self._lines and not self._batches:
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
        if self._batches and (self._batch_next or not self._lines):
            self._batch_next = False
            batch = self._batches.popleft()
            self._in_hand = Delivery(batch.messages, _Handle(batch, 0))
        elif self._lines:
            self._batch_next = True
            oldest = self._lines[0][1]
            self._in_hand = Delivery(_once(from_line(line) for line in self._take(limit)), _Handle(None, oldest))
        return self._in_hand or Delivery((), None)

    async def release(self, delivery: Delivery, new: Collection[str]) -> None:
        """A delivery is committed. One that was released before changes nothing."""
        if delivery is not self._in_hand:
            return
        batch = delivery.handle.batch
        if batch is not None:
            await batch.settle(new)
            if not batch.released.done():
                batch.released.set_result(None)
        self._in_hand = None

    def wake(self) -> None:
        """Lets whoever waits in :meth:`next` look around."""
        self._wake.set()

    def _take(self, limit: int) -> list[bytes]:
        taken: list[bytes] = []
        size = 0
        while self._lines and len(taken) < limit and (not taken or size + len(self._lines[0][0]) <= BYTES_AT_ONCE):
            line, _ = self._lines.popleft()
            taken.append(line)
            size += len(line)
        self._bytes -= size
        self._room.set()
        return taken


def _once(messages: Iterable[RawMessage]) -> tuple[RawMessage, ...]:
    """Of several with one id the first: X sends duplicates."""
    seen: dict[str, RawMessage] = {}
    for message in messages:
        seen.setdefault(message.external_id, message)
    return tuple(seen.values())
