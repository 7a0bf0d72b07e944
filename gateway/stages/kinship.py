"""Finds what a new report repeats or resembles: among its reporter's own reports, and among those of everybody else."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock
from gateway.dedup.compare import same_matter
from gateway.dedup.index import FEWEST_SHARED, SketchIndex
from gateway.dedup.normalise import VERSION, Matter, normalise, restored
from gateway.dedup.sketch import Sketch, sketch
from gateway.identifiers import reporter_key
from gateway.parsing import Parsed
from gateway.store import Store
from gateway.store import matters as matter_rows
from gateway.store.matters import MatterRow

MOST_OWN: Final = 10
"""The newest reports of its reporter that a new one is compared with; older ones are found by their keys."""

MOST_OTHERS: Final = 8
"""Reports of others that it is compared with, those that share most keys."""

MOST_SIMILAR: Final = 5
"""Ids in ``similar_to`` at most: each of them names others."""

_ROWS_AT_ONCE: Final = 5000
_LOADED_AT_ONCE: Final = 50_000
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


@dataclass(slots=True)
class _Batch:
    """What the batch in hand adds: its own members repeat and resemble each other too."""

    by_reporter: dict[str, list[NewMatter]] = field(default_factory=dict)
    by_key: dict[int, list[NewMatter]] = field(default_factory=dict)

    def add(self, new: NewMatter, keys: Sketch) -> None:
        self.by_reporter.setdefault(new.reporter, []).append(new)
        for key in keys.kept.tolist():
            self.by_key.setdefault(key, []).append(new)

    def sharing(self, keys: Sketch) -> list[NewMatter]:
        shared: Counter[str] = Counter()
        by_id: dict[str, NewMatter] = {}
        for key in keys.wanted.tolist():
            for new in self.by_key.get(key, ())[-MOST_OTHERS:]:
                shared[new.report_id] += 1
                by_id[new.report_id] = new
        return [by_id[report_id] for report_id, count in shared.most_common(MOST_OTHERS) if count >= FEWEST_SHARED]


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
        last = 0
        for numbers, keys in matter_rows.all_sketches(connection, _LOADED_AT_ONCE):
            self.index.load(numbers, [np.frombuffer(each, np.uint32) for each in keys])
            last = numbers[-1]
        return last

    async def read_on(self, connection: AsyncConnection) -> None:
        """Takes in what was committed since the last time, by whichever gateway."""
        if self._read_to is None:
            message = "prepare() was not called"
            raise RuntimeError(message)
        async with self._changing:
            more = True
            while more:
                rows = await matter_rows.sketches_after(connection, self._read_to, list(self._holes), _ROWS_AT_ONCE)
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
            self._holes |= {number: now for number in range(read_to + 1, newest) if number not in numbers}
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
        own = await self._own(connection, new)
        keys = [sketch(each.matter) for each in new]
        others = await self._others(connection, keys)
        found: list[Kin] = []
        kept: list[MatterRow] = []
        for each, its_keys, theirs in zip(new, keys, others, strict=True):
            kin = self._kin(each, its_keys, own.get(each.reporter, []), theirs)
            found.append(kin)
            if kin.original is None:
                self._batch.add(each, its_keys)
                kept.append(_row(each, its_keys))
        if kept:
            await matter_rows.add(connection, kept)
        return found

    async def _own(self, connection: AsyncConnection, new: Sequence[NewMatter]) -> dict[str, list[NewMatter]]:
        """What the same reporters have reported before."""
        since = min(each.at for each in new) - self._kinship.window
        rows = await matter_rows.of_reporters(connection, {each.reporter for each in new}, since, MOST_OWN)
        return {reporter: [_restored(row) for row in own] for reporter, own in rows.items()}

    async def _others(self, connection: AsyncConnection, keys: Sequence[Sketch]) -> list[list[NewMatter]]:
        """What shares keys with each of them."""
        numbers = self._kinship.index.find([each.wanted for each in keys], MOST_OTHERS)
        wanted = {number for some in numbers for number in some}
        rows = await matter_rows.numbered(connection, wanted) if wanted else {}
        known = {number: _restored(row) for number, row in rows.items()}
        return [[known[number] for number in some if number in known] for some in numbers]

    def _kin(self, new: NewMatter, keys: Sketch, own: Sequence[NewMatter], others: Sequence[NewMatter]) -> Kin:
        own = sorted({*own, *(each for each in others if each.reporter == new.reporter)}, key=_age)
        for earlier in (*own, *self._batch.by_reporter.get(new.reporter, ())):
            if self._same(earlier, new):
                return Kin(earlier.report_id)
        similar = {
            each.report_id
            for each in (*others, *self._batch.sharing(keys))
            if each.reporter != new.reporter and self._same(each, new)
        }
        return Kin(None, tuple(sorted(similar)[-MOST_SIMILAR:]))

    def _same(self, earlier: NewMatter, new: NewMatter) -> bool:
        return new.at - earlier.at <= self._kinship.window and same_matter(earlier.matter, new.matter)


def _age(known: NewMatter) -> tuple[int, str]:
    return known.at, known.report_id


def new_matter(report_id: str, parsed: Parsed, at: int) -> NewMatter:
    """What a message is about; that of a mail without a text stands in its subject."""
    keyword = parsed.keyword.normalised if parsed.keyword else ""
    reporter = reporter_key(parsed.reporter.kind, parsed.reporter.address)
    return NewMatter(report_id, reporter, at, normalise(parsed.text or parsed.title or "", keyword))


def matter_row(report_id: str, parsed: Parsed, at: int) -> MatterRow:
    """The row that keeps what the first message of a report is about."""
    new = new_matter(report_id, parsed, at)
    return _row(new, sketch(new.matter))


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


def _restored(row: MatterRow) -> NewMatter:
    return NewMatter(row.report_id, row.reporter, row.at, restored(row.words, row.keyword, row.length))
