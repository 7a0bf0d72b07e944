"""Finds what a new report repeats or resembles: among its reporter's own reports, and among those of everybody else."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.dedup.compare import numbered_apart, same_matter
from gateway.dedup.index import SketchIndex, StoredKeys
from gateway.dedup.normalise import VERSION, Matter, normalise
from gateway.dedup.sketch import Sketch, sketches
from gateway.identifiers import reporter_key, uuid7
from gateway.parsing import Parsed
from gateway.stages.loop import progressed
from gateway.store import Store
from gateway.store import matters as matter_rows
from gateway.store.matters import KnownMatter, MatterRow

MOST_OWN: Final = 10
"""The newest reports of its reporter that a new one is compared with; older ones are found by their keys."""

MOST_OTHERS: Final = 5
"""Reports of others that it is compared with, those that share most keys."""

MOST_MISSED: Final = 1
"""Of those how many may prove to be about something else before the rest, which share less, is not looked at."""

MOST_SIMILAR: Final = 5
"""Ids in ``similar_to`` at most: each of them names others."""

_AT_ONCE: Final = 25
"""Texts that are looked at before others have their turn on the event loop."""

_ROWS_AT_ONCE: Final = 5000
_IN_FLIGHT: Final = 10_000
"""Numbers that transactions under way may hold below the newest one: far more than all gateways' batches."""

_HOLES_ASKED_SECONDS: Final = 1.0
"""How often numbers that were passed over are asked for: there may be thousands, and few ever appear."""

_HOLE_SECONDS: Final = 120.0
"""How long a number that was passed over may still appear: twice the longest transaction."""


@dataclass(frozen=True, slots=True)
class NewMatter:
    """What a report is about that nobody has heard of yet. ``at`` is when it was received, in milliseconds."""

    report_id: str
    reporter: str
    at: int
    matter: Matter


@dataclass(frozen=True, slots=True)
class Kin:
    """What was found for one report.

    Attributes:
        original: The id of the report that it repeats, or None.
        similar: The ids of reports by others on what seems the same matter, oldest first; none for a repeat.
    """

    original: str | None = None
    similar: tuple[str, ...] = ()


class _Batch:
    """What the transaction in hand adds: its own members repeat and resemble each other too."""

    def __init__(self) -> None:
        self.by_reporter: dict[str, list[NewMatter]] = {}
        self._members: list[NewMatter] = []
        self._repeats: set[str] = set()
        self._index = SketchIndex()

    def find(self, new: Sequence[NewMatter], keys: Sequence[Sketch]) -> list[list[NewMatter]]:
        """Takes reports in, and finds for each which ones before it share keys with it."""
        numbers = list(range(len(self._members), len(self._members) + len(new)))
        self._members += new
        self._index.add(numbers, [each.kept for each in keys])
        found = self._index.find([each.wanted for each in keys], MOST_OTHERS, numbers)
        return [[self._members[number] for number in some] for some in found]

    def settle(self, new: NewMatter, *, repeats: bool) -> None:
        """What a report has become: one that repeats another is not repeated or resembled itself."""
        if repeats:
            self._repeats.add(new.report_id)
        else:
            self.by_reporter.setdefault(new.reporter, []).append(new)

    def stands(self, new: NewMatter) -> bool:
        """Whether a member is no repeat."""
        return new.report_id not in self._repeats


class Kinship:
    """The index of what there is, for the whole process: a copy of committed rows, read on in every transaction.

    What it names is looked up in the database before anything is decided.

    Args:
        window: How long a matter can be repeated.
        clock: For numbers that were passed over.
    """

    def __init__(self, window: timedelta, clock: Clock) -> None:
        self.window = int(window.total_seconds() * 1000)
        self.index = SketchIndex()
        self._clock = clock
        self._read_to: int | None = None
        self._holes: dict[int, float] = {}
        self._holes_asked = -_HOLES_ASKED_SECONDS
        self._changing = asyncio.Lock()

    async def prepare(self, store: Store) -> None:
        """Reads the index when there is none yet, and merges what has grown; both in a thread."""
        async with self._changing:
            if self._read_to is None:
                self._read_to = await store.read_in_thread(self._load)
            elif self.index.needs_merging():
                async with store.read() as connection:
                    oldest = await matter_rows.oldest_number(connection)
                await asyncio.to_thread(self.index.merge, oldest)

    def _load(self, connection: Connection) -> int:
        """Reads everything; numbers that are missing among the newest may belong to a transaction under way."""
        newest = np.empty(0, np.uint64)

        def noted() -> Iterator[StoredKeys]:
            nonlocal newest
            for piece in matter_rows.all_sketches(connection):
                newest = np.sort(np.concatenate([newest, piece.numbers]))[-_IN_FLIGHT:]
                progressed()
                yield piece

        self.index.load(noted())
        numbers = {int(number) for number in newest}
        last = max(numbers, default=0)
        now = self._clock.monotonic()
        self._holes = {hole: now for hole in range(max(1, last - _IN_FLIGHT), last) if hole not in numbers}
        return last

    async def find(self, keys: Sequence[Sketch]) -> list[list[int]]:
        """The numbers of the matters that share keys with each of some texts."""
        async with self._changing:
            return self.index.find([each.wanted for each in keys], MOST_OTHERS)

    async def read_on(self, connection: AsyncConnection) -> None:
        """Takes in what was committed since the last time, by whichever gateway."""
        if self._read_to is None:
            message = "prepare() was not called"
            raise RuntimeError(message)
        async with self._changing:
            now = self._clock.monotonic()
            due = now - self._holes_asked >= _HOLES_ASKED_SECONDS
            self._holes_asked = now if due else self._holes_asked
            more = True
            while more:
                holes = list(self._holes) if due else []
                rows = await matter_rows.sketches_after(connection, self._read_to, holes, _ROWS_AT_ONCE)
                more = len(rows) == _ROWS_AT_ONCE
                numbers = [number for number, _keys in rows]
                self.index.add(numbers, [np.frombuffer(keys, np.uint32) for _number, keys in rows])
                self._note_holes(set(numbers))

    def _note_holes(self, numbers: set[int]) -> None:
        now = self._clock.monotonic()
        self._holes = {
            hole: since for hole, since in self._holes.items() if since > now - _HOLE_SECONDS and hole not in numbers
        }
        read_to = self._read_to or 0
        newest = max(numbers, default=read_to)
        if newest > read_to:
            skipped = range(max(read_to + 1, newest - _IN_FLIGHT), newest)
            self._holes |= {number: now for number in skipped if number not in numbers}
            self._read_to = newest


class KinSearch:
    """The search inside one transaction of PROCESS.

    Args:
        kinship: The index.
    """

    def __init__(self, kinship: Kinship) -> None:
        self._kinship = kinship
        self._batch = _Batch()
        self._has_read = False

    async def find(self, connection: AsyncConnection, new: Sequence[NewMatter]) -> list[Kin]:
        """What each of these repeats or resembles, in order; and keeps those that repeat nothing.

        Args:
            connection: The transaction; the reporters' keys are held.
            new: Reports that are about to be published.
        """
        if not new:
            return []
        if not self._has_read:  # once: what this transaction adds is not committed yet, and may never be
            await self._kinship.read_on(connection)
            self._has_read = True
        async with asyncio.TaskGroup() as beside_the_database:
            asked = beside_the_database.create_task(self._own(connection, new))
            await asyncio.sleep(0)
            keys = sketches([each.matter for each in new])
        own = asked.result()
        async with asyncio.TaskGroup() as beside_the_database:
            wanted = beside_the_database.create_task(self._others(connection, keys))
            await asyncio.sleep(0)
            beside = self._batch.find(new, keys)
        others = wanted.result()
        found: list[Kin] = []
        kept: list[MatterRow] = []
        for number, (each, its_keys, theirs, fellows) in enumerate(zip(new, keys, others, beside, strict=True), 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)  # comparing takes time, and channels have to be read meanwhile
            mine = [_restored(row) for row in own.get(each.reporter, ())]
            kin = self._kin(each, mine, [*map(_restored, theirs), *filter(self._batch.stands, fellows)])
            found.append(kin)
            self._batch.settle(each, repeats=kin.original is not None)
            if kin.original is None:
                kept.append(_row(each, its_keys))
        if kept:
            await matter_rows.add(connection, kept)
        return found

    async def _own(self, connection: AsyncConnection, new: Sequence[NewMatter]) -> dict[str, list[KnownMatter]]:
        """What the same reporters have reported before."""
        since = min(each.at for each in new) - self._kinship.window
        return await matter_rows.of_reporters(connection, {each.reporter for each in new}, since, MOST_OWN)

    async def _others(self, connection: AsyncConnection, keys: Sequence[Sketch]) -> list[list[KnownMatter]]:
        """What shares keys with each of them."""
        numbers = await self._kinship.find(keys)
        wanted = {number for some in numbers for number in some}
        known = await matter_rows.numbered(connection, wanted) if wanted else {}
        return [[known[number] for number in some if number in known] for some in numbers]

    def _kin(self, new: NewMatter, own: Sequence[NewMatter], others: Sequence[NewMatter]) -> Kin:
        """What one report repeats or resembles.

        Args:
            new: The report.
            own: The newest of the same reporter.
            others: What shares keys with it, by whomever.
        """
        mine = {each.report_id: each for each in (*own, *others) if each.reporter == new.reporter}
        for earlier in (*sorted(mine.values(), key=_age), *self._batch.by_reporter.get(new.reporter, ())):
            if self._same(earlier, new):
                return Kin(earlier.report_id)
        similar: list[str] = []
        missed = 0
        for each in others:
            if each.report_id in mine or numbered_apart(each.matter, new.matter):
                continue  # of thousands on one template nothing more than their numbers has to be looked at
            if self._same(each, new):
                similar.append(each.report_id)
            else:
                missed += 1
            if missed == MOST_MISSED:
                break
        return Kin(None, tuple(sorted(similar)[-MOST_SIMILAR:]))

    def _same(self, earlier: NewMatter, new: NewMatter) -> bool:
        return new.at - earlier.at <= self._kinship.window and same_matter(earlier.matter, new.matter)


def _age(known: NewMatter) -> tuple[int, str]:
    return known.at, known.report_id


async def new_matters(said: Iterable[tuple[Parsed, int]]) -> list[NewMatter]:
    """What messages are about that were received at a moment in milliseconds; each gets the id of a new report."""
    new: list[NewMatter] = []
    for number, (parsed, at) in enumerate(said, 1):
        new.append(new_matter(uuid7(), parsed, at))
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return new


def new_matter(report_id: str, parsed: Parsed, at: int) -> NewMatter:
    """What a message is about; that of a mail without a text stands in its subject."""
    keyword = parsed.keyword.normalised if parsed.keyword else ""
    reporter = reporter_key(parsed.reporter.kind, parsed.reporter.address)
    return NewMatter(report_id, reporter, at, normalise(parsed.text or parsed.title or "", keyword))


def matter_row(report_id: str, parsed: Parsed, at: int) -> MatterRow:
    """The row that keeps what the first message of a report is about."""
    (row,) = matter_rows_of([new_matter(report_id, parsed, at)])
    return row


def matter_rows_of(new: Sequence[NewMatter]) -> list[MatterRow]:
    """The rows that keep what new originals are about."""
    return [_row(each, keys) for each, keys in zip(new, sketches([each.matter for each in new]), strict=True)]


def _row(new: NewMatter, keys: Sketch) -> MatterRow:
    matter = new.matter
    return MatterRow(
        report_id=new.report_id,
        reporter=new.reporter,
        at=new.at,
        version=VERSION,
        sketch=keys.kept.tobytes(),
        words=matter.text,
        keyword=matter.keyword,
        length=matter.length,
    )


def _restored(row: KnownMatter) -> NewMatter:
    return NewMatter(row.report_id, row.reporter, row.at, Matter(row.words, row.keyword, row.length))
