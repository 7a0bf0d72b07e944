"""A mailbox on an IMAP server: a cursor of UIDVALIDITY and UID, mails in bounded pieces, released after the commit."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

from channels.mail.box import NOTHING, Batch, Condition, Pace, Skipped, age
from channels.mail.cursor import Cursor, at_opening, behind, load, searches
from channels.mail.identity import truncated
from channels.mail.imap import Connection, Declined, Lost, Opened
from channels.mail.oauth import AccessToken
from channels.mail.settings import MailSettings
from gateway.clock import Clock
from gateway.errors import ChannelUnavailable, GatewayError, LeaseLost, NeedsOperator
from gateway.ports import ChannelStore

CURSOR: Final = "cursor"
_RELEASE_AT_ONCE: Final = 500
_MOST_REFUSALS: Final = 16
"""So many STOREs may fail before the rest waits: enough to find a single mail among thousands by halving."""


class ImapBox:
    """Implements :class:`channels.mail.box.Box`.

    A lost connection is made anew in here: the kernel would end answers under way with the channel. What only a person
    can mend is raised by :meth:`open`, and afterwards shown.

    Args:
        label: The channel's path in the settings, for sentences.
        settings: Its section.
        store: Keeps the cursor.
        clock: Tells the time.
        pace: How long everything takes.
    """

    def __init__(self, label: str, settings: MailSettings, store: ChannelStore, clock: Clock, pace: Pace) -> None:
        self.condition = Condition()
        self._label = label
        self._settings = settings
        self._store = store
        self._clock = clock
        self._pace = pace
        self._token = AccessToken(label, settings, clock)
        self._connection: Connection | None = None
        self._closed = False
        self._cursor: Cursor | None = None
        self._waiting: deque[int] = deque()
        self._pending: set[int] = set()
        self._pending_at = 0.0
        self._skipped = Skipped(pace, clock)
        self._alone: set[int] = set()
        self._others_served = False
        self._look_below = True
        self._unsaved = False
        self._quiet = False
        self._failures = 0
        self._doing = "away"
        self._capabilities: tuple[str, ...] = ()
        self._looked_at: datetime | None = None
        self._oldest: datetime | None = None

    async def open(self) -> None:
        """Reads the cursor, connects and opens the folder."""
        self._cursor = load(await self._store.load(CURSOR))
        await self._connect()

    async def _connect(self) -> None:
        self._drop()
        connection = Connection(self._label, self._settings, self._token)
        self._connection = connection
        try:
            opened = await connection.open()
            await self._need_release(connection, opened)
        except BaseException:
            connection.abort()
            raise
        if self._closed:
            connection.abort()
        self._capabilities = opened.capabilities
        self._resume(opened)

    async def _need_release(self, connection: Connection, opened: Opened) -> None:
        """Whether mails can be let go of as the settings say; found out before the first is taken."""
        setting, release = f"{self._label}.release", self._settings.release
        if opened.read_only:
            raise NeedsOperator(f"{self._label}.mailbox: the folder may only be read; let the user change it.")
        if release.startswith("move:"):
            if not connection.can("MOVE", "UIDPLUS"):
                raise NeedsOperator(f"{setting}: the server cannot move single mails; use seen or flag:NAME.")
            try:
                await connection.need_folder(release.removeprefix("move:"))
            except Declined as error:
                raise NeedsOperator(f"{setting}: the folder cannot be made; correct the name.") from error
        elif self._flag.lower() not in opened.flags and ("\\*" not in opened.flags or self._flag.startswith("\\")):
            raise NeedsOperator(f"{setting}: the server does not keep this flag; use another, or move:FOLDER.")

    @property
    def _flag(self) -> str:
        return "\\Seen" if self._settings.release == "seen" else self._settings.release.removeprefix("flag:")

    def _resume(self, opened: Opened) -> None:
        """Goes on where reading stopped; in a mailbox whose UIDs are new, from its beginning."""
        before = self._cursor
        today = self._clock.now().date()
        self._cursor = at_opening(before, opened.validity, opened.next_uid, self._settings.backlog, today)
        if before is None or before.validity != opened.validity:
            self._pending.clear()
            self._alone.clear()
            self._skipped.remember(())
            self._unsaved = True
        elif self._look_below:
            self._skipped.remember(before.skipped)
        self._waiting.clear()
        self._quiet = False

    async def next(self) -> Batch:
        """A batch. While the mailbox is away it is tried again, with growing pauses."""
        try:
            connection = await self._connected()
            return await self._next(connection)
        except LeaseLost:
            raise
        except Declined as error:
            self._away(ChannelUnavailable(f"{self._label}.mailbox: the server refuses a command: {error}"))
            self._drop()
        except (ChannelUnavailable, NeedsOperator) as error:
            self._away(error)
        return NOTHING

    def _away(self, error: GatewayError) -> None:
        self._doing = "away"
        self._failures += 1
        self.condition.fails(error, self._clock.monotonic())

    async def _connected(self) -> Connection:
        if self._connection is not None and self._connection.alive:
            return self._connection
        if self._failures:
            pause = self._pace.first_pause * 2.0 ** min(self._failures - 1, 16)
            await asyncio.sleep(min(self._pace.last_pause, pause))
        if self._closed:
            raise ChannelUnavailable(f"{self._label}: the channel is closed.")
        await self._connect()
        connection = self._connection
        if connection is None:
            raise ChannelUnavailable(f"{self._label}: the channel is closed.")
        return connection

    async def _next(self, connection: Connection) -> Batch:
        if self._pending and self._clock.monotonic() >= self._pending_at:
            await self._let_go(connection)
        due = self._skipped.due() if self._others_served else None
        if due is not None:
            self._others_served = False
            return await self._take_alone(connection, [due])
        if not self._waiting:
            if self._quiet:
                self._quiet = False
                self._doing = "idle" if self._may_idle(connection) else "polling"
                await self._wait(connection)
            await self._look(connection)
        if not self._waiting:
            return NOTHING
        self._doing = "fetching"
        head = [self._waiting[index] for index in range(min(self._settings.read_limit, len(self._waiting)))]
        if head[0] in self._alone:
            return await self._take_alone(connection, list(takewhile(self._alone.__contains__, head)))
        return await self._take(connection, list(takewhile(lambda uid: uid not in self._alone, head)))

    def _may_idle(self, connection: Connection) -> bool:
        return self._settings.idle and connection.can("IDLE")

    async def _wait(self, connection: Connection) -> None:
        seconds = self._settings.poll_seconds
        if self._pending:
            seconds = min(seconds, self._pace.release_again)
        if len(self._skipped):
            seconds = min(seconds, self._pace.skip_first)
        if self._may_idle(connection):
            await connection.wait(seconds)
        else:
            await asyncio.sleep(seconds)

    async def _look(self, connection: Connection) -> None:
        """Looks for what is new; at the first look also for what an earlier life took and did not let go of."""
        cursor = self._need_cursor()
        if self._unsaved:  # before anything is taken: what arrives from now on is new, whoever reads it
            await self._store.save({CURSOR: cursor.dump()})
            self._unsaved = False
        await connection.refresh()
        found: set[int] = set()
        for search in searches(cursor, self._settings.release, below=self._look_below):
            found.update(uid for uid in await connection.search(search.keys) if uid >= search.least)
        self._waiting = deque(sorted(uid for uid in found - self._pending if uid not in self._skipped))
        self._look_below = False
        self._quiet = self._others_served = not self._waiting
        self._works()
        if not self._waiting:
            self._oldest = None

    def _works(self) -> None:
        self._failures = 0
        self._looked_at = self._clock.now()
        self.condition.works()

    async def _take(self, connection: Connection, head: Sequence[int]) -> Batch:
        """Several mails, as many as ``read_bytes`` has room for; after a failure each of them alone."""
        try:
            sizes = await connection.sizes(head)
            self._oldest = next((moment for _size, moment in sizes.values() if moment is not None), None)
            chosen, total = self._fitting(head, sizes)
            small = [uid for uid in chosen if uid in sizes and sizes[uid][0] <= self._settings.max_size]
            found = await connection.bodies(small, total) if small else {}
            for uid in chosen:
                if uid in sizes and uid not in found and sizes[uid][0] > self._settings.max_size:
                    raw = await self._beginning(connection, uid, sizes[uid][0])
                    found |= {} if raw is None else {uid: raw}
        except (Lost, Declined) as error:
            self._alone.update(head)
            if isinstance(error, Lost):
                raise
            return NOTHING
        missing = [uid for uid in chosen if uid not in found]
        if missing and (there := await self._still_there(connection, missing)):
            self._alone.update(there)
            chosen = chosen[: min(chosen.index(uid) for uid in there)]
        return self._batch(chosen, {uid: found[uid] for uid in chosen if uid in found})

    def _fitting(self, head: Sequence[int], sizes: dict[int, tuple[int, Any]]) -> tuple[list[int], int]:
        """The first mails, up to the limit of bytes; the first always."""
        chosen: list[int] = []
        total = 0
        for uid in head:
            size = min(sizes[uid][0], self._settings.max_size) if uid in sizes else 0
            if chosen and total + size > self._settings.read_bytes:
                break
            chosen.append(uid)
            total += size
        return chosen, total

    async def _take_alone(self, connection: Connection, uids: Sequence[int]) -> Batch:
        """Mails of which one cannot be read: it is passed over, and none of the others waits for it."""
        found: dict[int, bytes] = {}
        done: list[int] = []
        size = 0
        for uid in uids:
            if size > self._settings.read_bytes or not connection.alive:
                break
            try:
                raw = await self._single(connection, uid)
            except (Lost, Declined) as error:
                if self._skipped.full and uid not in self._skipped:
                    raise ChannelUnavailable(
                        f"{self._label}.mailbox: the server hands out one mail after the other not; mend it there."
                    ) from error
                self._skipped.add(uid)
                if isinstance(error, Lost):
                    self._away(error)
            else:
                self._skipped.drop([uid])
                if raw is not None:
                    found[uid] = raw
                    size += len(raw)
            self._alone.discard(uid)
            done.append(uid)
        return self._batch(done, found)

    async def _single(self, connection: Connection, uid: int) -> bytes | None:
        """One mail; None when it is gone."""
        sizes = await connection.sizes([uid])
        if uid in sizes and sizes[uid][0] > self._settings.max_size:
            raw = await self._beginning(connection, uid, sizes[uid][0])
        else:
            raw = (await connection.bodies([uid], sizes[uid][0] if uid in sizes else 0)).get(uid)
        if raw is None and await self._still_there(connection, [uid]):
            raise Declined("The server leaves the mail out.")
        return raw

    async def _beginning(self, connection: Connection, uid: int, size: int) -> bytes | None:
        parts = await connection.beginning(uid)
        return None if parts is None else truncated(*parts, size)

    async def _still_there(self, connection: Connection, uids: Sequence[int]) -> set[int]:
        return set(uids) & set(await connection.search(["UID", ",".join(map(str, uids))]))

    def _batch(self, passed: Sequence[int], found: dict[int, bytes]) -> Batch:
        cursor = self._need_cursor()
        after = behind(cursor, passed, self._skipped.names())
        if not found:
            self._advance(passed, after)
            return NOTHING
        keys = [uid for uid in passed if uid in found]
        raws = tuple(found[uid] or b"\r\n" for uid in keys)
        return Batch(raws, tuple(keys), tuple(passed), {CURSOR: after.dump()}, cursor.validity)

    def _advance(self, passed: Sequence[int], after: Cursor) -> None:
        gone = set(passed)
        while self._waiting and self._waiting[0] in gone:
            self._waiting.popleft()
        self._cursor = after

    async def release(self, batch: Batch) -> None:
        """Flags or moves the mails. What the server refuses is tried again later; it is committed, and known here."""
        cursor = self._need_cursor()
        if not batch.keys or batch.life != cursor.validity:
            return
        self._advance(batch.passed, behind(cursor, batch.passed, self._skipped.names()))
        self._others_served = True
        connection = self._connection
        try:
            if connection is None or not connection.alive:
                self._pending.update(batch.keys)
            elif self._pending_at > self._clock.monotonic():
                await self._store_flags(connection, list(batch.keys), [_MOST_REFUSALS])
            else:
                self._pending.update(batch.keys)
                await self._let_go(connection)
        except Lost as error:
            self._away(error)

    async def _let_go(self, connection: Connection) -> None:
        uids = sorted(self._pending)
        self._pending_at = 0.0
        refusals = [_MOST_REFUSALS]
        for start in range(0, len(uids), _RELEASE_AT_ONCE):
            await self._store_flags(connection, uids[start : start + _RELEASE_AT_ONCE], refusals)
        if not self._pending:
            self.condition.unreleased = ""

    async def _store_flags(self, connection: Connection, uids: list[int], refusals: list[int]) -> None:
        """Lets go of some, halving what is refused; the rest stays pending."""
        self._pending.update(uids)
        if refusals[0] <= 0:
            return
        try:
            if self._settings.release.startswith("move:"):
                await connection.move(uids, self._settings.release.removeprefix("move:"))
            else:
                await connection.flag(uids, self._flag)
        except Declined:
            refusals[0] -= 1
            self._pending_at = self._clock.monotonic() + self._pace.release_again
            self.condition.unreleased = (
                f"{self._label}.release: the server does not let mails be flagged or moved; they are in custody and "
                "this is tried again. Look at the user's rights and quota there."
            )
            if len(uids) > 1:
                middle = len(uids) // 2
                await self._store_flags(connection, uids[:middle], refusals)
                await self._store_flags(connection, uids[middle:], refusals)
        else:
            self._pending.difference_update(uids)

    def _need_cursor(self) -> Cursor:
        if self._cursor is None:
            raise ChannelUnavailable(f"{self._label}: the channel is not open.")
        return self._cursor

    @property
    def skipped(self) -> int:
        """How many mails cannot be read for now."""
        return len(self._skipped)

    def details(self) -> dict[str, Any]:
        """What operators see."""
        return {
            "mailbox": self._doing,
            "waiting_mails": len(self._waiting),
            "oldest_waiting_seconds": age(self._oldest, self._clock) if self._waiting else None,
            "unreleased_mails": len(self._pending),
            "skipped_mails": len(self._skipped),
            "looked_at": self._looked_at.isoformat() if self._looked_at else None,
            "capabilities": " ".join(self._capabilities),
        }

    async def close(self) -> None:
        """Ends the connection."""
        self._closed = True
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
