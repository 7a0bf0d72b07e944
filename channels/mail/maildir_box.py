"""A Maildir: an MTA delivers into it on this machine. It needs no cursor, as what was let go of bears a flag."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from channels.mail.box import NOTHING, Batch, Condition, Pace, Skipped, age
from channels.mail.maildir import Maildir
from channels.mail.settings import MailSettings
from gateway.clock import Clock
from gateway.errors import ChannelUnavailable, NeedsOperator

_SETTLED_SECONDS: Final = 2.0
"""A folder changed so lately may have changed again within one tick of the file system's clock."""

T = TypeVar("T")


class MaildirBox:
    """Implements :class:`channels.mail.box.Box`.

    Args:
        label: The channel's path in the settings, for sentences.
        settings: Its section.
        path: The Maildir.
        clock: Tells the time.
        pace: How long everything takes.
    """

    def __init__(self, label: str, settings: MailSettings, path: Path, clock: Clock, pace: Pace) -> None:
        self.condition = Condition()
        self._label = label
        self._settings = settings
        self._maildir = Maildir(path, settings.release)
        self._clock = clock
        self._pace = pace
        self._waiting: deque[str] = deque()
        self._pending: dict[str, None] = {}
        self._pending_at = 0.0
        self._skipped = Skipped(pace, clock)
        self._seen_at: tuple[int, ...] = ()
        self._looked_at: datetime | None = None

    async def open(self) -> None:
        """Makes the Maildir where there is none, and sees whether mails can be let go of there."""
        try:
            await asyncio.to_thread(self._maildir.make)
        except OSError as error:
            raise NeedsOperator(
                f"{self._label}.mailbox: {self._maildir.path} cannot be used ({error.strerror}); the gateway's user "
                "must be able to read and write it and the folders in it."
            ) from error

    async def next(self) -> Batch:
        """A batch. While the folder cannot be read it is tried again."""
        try:
            return await self._next()
        except OSError as error:
            trouble = ChannelUnavailable(f"{self._label}.mailbox: {self._maildir.path} fails ({error.strerror}).")
            self.condition.fails(trouble, self._clock.monotonic())
            await asyncio.sleep(min(self._settings.poll_seconds, self._pace.last_pause))
        return NOTHING

    async def _next(self) -> Batch:
        now = self._clock.monotonic()
        if self._pending and now >= self._pending_at:
            await self._let_go(list(self._pending))
        due = self._skipped.due()
        if due is not None:
            return await self._take([due])
        if not self._waiting:
            await self._wait()
            await self._look()
        if not self._waiting:
            return NOTHING
        return await self._take([self._waiting[n] for n in range(min(self._settings.read_limit, len(self._waiting)))])

    async def _wait(self) -> None:
        """Until a folder has changed or the poll is due."""
        until = self._clock.monotonic() + self._settings.poll_seconds
        while (left := until - self._clock.monotonic()) > 0:
            changed = await self._in_thread(self._maildir.changed_at)
            settled = self._clock.now().timestamp() - max(changed) / 1e9 > _SETTLED_SECONDS
            if changed != self._seen_at:
                return
            await asyncio.sleep(min(left, self._pace.glance))
            if not settled:
                return

    async def _look(self) -> None:
        self._seen_at = await self._in_thread(self._maildir.changed_at)
        names = await self._in_thread(self._maildir.waiting)
        there = set(names)
        self._skipped.drop([name for name in self._skipped.names() if name not in there])
        for name in [name for name in self._pending if name not in there]:
            del self._pending[name]
        self._waiting = deque(name for name in names if name not in self._pending and name not in self._skipped)
        self._looked_at = self._clock.now()
        self.condition.works()

    async def _take(self, head: Sequence[str]) -> Batch:
        found, unreadable, done = await self._in_thread(lambda: self._read(head))
        self._skipped.drop(done)
        for name in unreadable:
            self._skipped.add(name)
        if not found:
            self._advance(done)
            return NOTHING
        return Batch(tuple(raw or b"\n" for raw in found.values()), tuple(found), tuple(done))

    def _read(self, head: Sequence[str]) -> tuple[dict[str, bytes], list[str], list[str]]:
        """Mails up to ``read_bytes``, those that cannot be read, and all that were tried."""
        found: dict[str, bytes] = {}
        unreadable: list[str] = []
        done: list[str] = []
        size = 0
        for name in head:
            try:
                raw = self._maildir.read(name, self._settings.max_size)
            except OSError:
                unreadable.append(name)
            else:
                if raw is not None and found and size + len(raw) > self._settings.read_bytes:
                    break
                if raw is not None:
                    found[name] = raw
                    size += len(raw)
            done.append(name)
        return found, unreadable, done

    def _advance(self, done: Sequence[str]) -> None:
        gone = set(done)
        while self._waiting and self._waiting[0] in gone:
            self._waiting.popleft()

    async def release(self, batch: Batch) -> None:
        """Flags or moves the mails. What cannot be is tried again later; it is committed, and known here."""
        self._advance(batch.passed)
        await self._let_go(batch.keys)

    async def _let_go(self, names: Sequence[str]) -> None:
        failed = await self._in_thread(lambda: self._release(names))
        for name in names:
            self._pending.pop(name, None)
        self._pending.update(dict.fromkeys(failed))
        if failed:
            self._pending_at = self._clock.monotonic() + self._pace.release_again
            self.condition.unreleased = (
                f"{self._label}.mailbox: {len(self._pending)} mails in {self._maildir.path} cannot be renamed; they "
                "are in custody and this is tried again. Look at the rights and the room there."
            )
        elif not self._pending:
            self.condition.unreleased = ""

    def _release(self, names: Sequence[str]) -> list[str]:
        failed: list[str] = []
        for name in names:
            try:
                self._maildir.release(name)
            except OSError:
                failed.append(name)
        return failed

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Files on a network's disk may hang; the thread is left behind then."""
        try:
            async with asyncio.timeout(self._settings.timeout + self._settings.read_bytes / 1_000_000):
                return await asyncio.to_thread(work)
        except TimeoutError as error:
            raise ChannelUnavailable(f"{self._label}.mailbox: {self._maildir.path} does not answer.") from error

    @property
    def skipped(self) -> int:
        """How many mails cannot be read for now."""
        return len(self._skipped)

    def details(self) -> dict[str, Any]:
        """What operators see."""
        return {
            "mailbox": "polling",
            "waiting_mails": len(self._waiting),
            "oldest_waiting_seconds": age(_delivered(self._waiting[0]), self._clock) if self._waiting else None,
            "unreleased_mails": len(self._pending),
            "skipped_mails": len(self._skipped),
            "looked_at": self._looked_at.isoformat() if self._looked_at else None,
        }

    async def close(self) -> None:
        """There is nothing to let go of."""


def _delivered(name: str) -> datetime | None:
    """When a mail was delivered, by its name."""
    second = name.partition("/")[2].partition(".")[0]
    return datetime.fromtimestamp(int(second), UTC) if second.isdecimal() and len(second) <= len("9999999999") else None
