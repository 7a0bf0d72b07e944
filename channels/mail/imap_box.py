"""A mailbox on an IMAP server: a cursor of UIDVALIDITY and UID, mails in bounded pieces, released after the commit."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import date, datetime
from itertools import takewhile
from typing import Any, Final

import msgspec

from channels.mail.box import NOTHING, Batch, Condition, Pace, Skipped, age
from channels.mail.cursor import (
    Cursor,
    at_opening,
    backlog_search,
    behind,
    is_another_life,
    load,
    searches,
    uid_set,
    uids_of,
    waiting,
)
from channels.mail.identity import truncated
from channels.mail.imap import Connection, Declined, Lost
from channels.mail.imap_folder import Opened
from channels.mail.imap_release import Release
from channels.mail.oauth import AccessToken
from channels.mail.settings import MailSettings
from gateway.clock import Clock
from gateway.errors import ChannelUnavailable, GatewayError, LeaseLost, NeedsOperator
from gateway.ports import ChannelStore

CURSOR: Final = "cursor"
BACKLOG: Final = "backlog"
"""Beside the cursor, and written with its first value: the UIDs of the backlog as a sequence set."""

_LONG_AGO: Final = date(1971, 1, 1)


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
        self._backlog: frozenset[int] | None = None
        self._life = 0
        self._release = Release(label, settings.release, clock, pace, self.condition)
        self._skipped = Skipped(pace, clock)
        self._alone: set[int] = set()
        self._others_served = False
        self._look_below = True
        self._undated = False
        self._quiet = False
        self._failures = 0
        self._doing = "away"
        self._capabilities: tuple[str, ...] = ()
        self._looked_at: datetime | None = None
        self._oldest: datetime | None = None
        self._renumbered_at: datetime | None = None

    async def open(self) -> None:
        """Reads the cursor, connects and opens the folder."""
        self._cursor = load(await self._store.load(CURSOR))
        backlog = await self._store.load(BACKLOG)
        self._backlog = None if backlog is None else uids_of(backlog)
        await self._connect()

    async def _connect(self) -> None:
        self._drop()
        connection = Connection(self._label, self._settings, self._token)
        self._connection = connection
        try:
            opened = await connection.open()
            await self._release.need(connection, opened)
            goes_on = await self._goes_on(connection, opened)
        except BaseException:
            connection.abort()
            raise
        if self._closed:
            connection.abort()
        self._capabilities = opened.capabilities
        self._resume(opened, goes_on=goes_on)

    async def _goes_on(self, connection: Connection, opened: Opened) -> bool:
        """Whether the mailbox is still the one that was read."""
        before = self._cursor
        if before is None:
            return False
        uid, when = before.known
        dates: dict[int, datetime] = {}
        if when and before.validity == opened.validity:
            dates = await self._arrivals(connection, [uid])
        return not is_another_life(before, opened.validity, opened.next_uid, _second(dates.get(uid)))

    def _resume(self, opened: Opened, *, goes_on: bool) -> None:
        """Goes on where reading stopped; in a mailbox whose UIDs are new, from its beginning."""
        before = self._cursor
        if before is None or not goes_on:
            now = self._clock.now()
            self._renumbered_at = now if before is not None else None
            self._cursor = at_opening(before, opened.validity, opened.last_uid, self._settings.backlog, now.date())
            self._backlog = None
            self._life += 1
            self._release.forget()
            self._alone.clear()
            self._skipped.remember(())
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
        if self._release.is_due:
            await self._release.again(connection)
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
        if len(self._release):
            seconds = min(seconds, self._pace.release_again)
        if len(self._skipped):
            seconds = min(seconds, self._pace.skip_first)
        if self._may_idle(connection):
            await connection.wait(seconds)
        else:
            await asyncio.sleep(seconds)

    async def _look(self, connection: Connection) -> None:
        """Looks for what is new; at the first look also for what an earlier life took and did not let go of."""
        await connection.refresh()
        backlog = self._backlog if self._backlog is not None else await self._begin(connection)
        cursor = self._need_cursor()
        found: set[int] = set()
        for search in searches(cursor, self._settings.release, below=self._look_below):
            found.update(uid for uid in await connection.search(search.keys) if uid >= search.least)
        wanted = waiting(cursor, backlog, found)
        self._waiting = deque(sorted(uid for uid in wanted if uid not in self._release and uid not in self._skipped))
        self._look_below = False
        self._quiet = self._others_served = not self._waiting
        self._works()
        if not self._waiting:
            self._oldest = None

    async def _begin(self, connection: Connection) -> frozenset[int]:
        """Writes down what the backlog is, before anything is taken: from now on it does not matter who reads what."""
        cursor = self._need_cursor()
        uids: list[int] = []
        if cursor.floor:
            found = await connection.search(backlog_search(cursor, self._settings.release).keys)
            uids = [uid for uid in found if uid <= cursor.floor]
        oldest: date | None = None
        if uids and cursor.backlog != "all":
            dates = await self._arrivals(connection, uids)
            oldest = min((moment.date() for moment in dates.values()), default=_LONG_AGO)
        cursor = msgspec.structs.replace(cursor, last=max(uids, default=0), oldest=oldest)
        await self._store.save({CURSOR: cursor.dump(), BACKLOG: uid_set(uids)})
        self._cursor, self._backlog = cursor, frozenset(uids)
        return self._backlog

    async def _arrivals(self, connection: Connection, uids: Sequence[int]) -> dict[int, datetime]:
        """When mails came; nothing where a mail among them hinders this question: it holds nobody up twice."""
        if self._undated:
            return {}
        try:
            return await connection.arrivals(uids)
        except Lost:
            self._undated = True
            raise
        except Declined:
            return {}

    def _works(self) -> None:
        self._failures = 0
        self._undated = False
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
        last = next((uid for uid in reversed(chosen) if uid in found and uid in sizes), 0)
        known = (last, _second(sizes[last][1]) or 0) if last else None
        return self._batch(chosen, {uid: found[uid] for uid in chosen if uid in found}, known)

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

    def _batch(self, passed: Sequence[int], found: dict[int, bytes], known: tuple[int, int] | None = None) -> Batch:
        after = behind(self._need_cursor(), passed, self._skipped.names(), known)
        if not found:
            self._advance(passed, after)
            return NOTHING
        keys = [uid for uid in passed if uid in found]
        raws = tuple(found[uid] or b"\r\n" for uid in keys)
        return Batch(raws, tuple(keys), tuple(passed), {CURSOR: after.dump()}, self._life)

    def _advance(self, passed: Sequence[int], after: Cursor) -> None:
        gone = set(passed)
        while self._waiting and self._waiting[0] in gone:
            self._waiting.popleft()
        self._cursor = after

    async def release(self, batch: Batch) -> None:
        """Flags or moves the mails. What the server refuses is tried again later; it is committed, and known here."""
        if not batch.keys or batch.life != self._life:
            return
        self._advance(batch.passed, load(batch.values[CURSOR]) or self._need_cursor())
        self._others_served = True
        try:
            await self._release.these(self._connection, batch.keys)
        except Lost as error:
            self._away(error)

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
            "unreleased_mails": len(self._release),
            "skipped_mails": len(self._skipped),
            "looked_at": self._looked_at.isoformat() if self._looked_at else None,
            "renumbered_at": self._renumbered_at.isoformat() if self._renumbered_at else None,
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


def _second(moment: datetime | None) -> int | None:
    """A moment in seconds since 1970: servers give it in changing time zones."""
    return None if moment is None else int(moment.timestamp())
