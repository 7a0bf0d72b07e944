"""Queries on ``matters``: what may be repeated, by its reporter and by the keys of its text."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.dedup.index import StoredKeys
from gateway.store.sql import insert_into
from gateway.store.tables import matters, reports, watermarks


@dataclass(frozen=True, slots=True)
class MatterRow:
    """What an original report is about. ``at`` is when it was received, in milliseconds."""

    report_id: str
    reporter: str
    at: int
    version: int
    sketch: bytes
    words: str
    keyword: str
    length: int


class KnownMatter(NamedTuple):
    """What a comparison needs of a matter that is kept."""

    number: int
    report_id: str
    reporter: str
    at: int
    words: str
    keyword: str
    length: int


_ROWS_LOADED: Final = 20_000
_JOIN_SQLITE: Final = """
    SELECT group_concat(number), group_concat(length(sketch)), group_concat(hex(sketch), '')
    FROM matters WHERE number BETWEEN ? AND ?
"""
_JOIN_POSTGRESQL: Final = """
    SELECT string_agg(int8send(number), ''), string_agg(int4send(length(sketch)), ''), string_agg(sketch, '')
    FROM matters WHERE number BETWEEN %s AND %s
"""

_KNOWN: Final = tuple(matters.c[name] for name in KnownMatter._fields)
_NEW: Final = tuple(field.name for field in fields(MatterRow))


async def add(connection: AsyncConnection, new: Sequence[MatterRow]) -> None:
    """Keeps what new originals are about; their numbers follow those that there are."""
    await connection.execute(
        matters.insert(),
        [{name: getattr(row, name) for name in _NEW} for row in new],
    )


async def change(connection: AsyncConnection, changed: Mapping[str, MatterRow | None]) -> None:
    """Replaces what reports are about, None to forget it; those of which nothing is kept stay like that.

    A replacement has a number of its own: whoever has read the old one finds nothing under it.
    """
    if changed:
        gone = delete(matters).where(matters.c.report_id.in_(list(changed))).returning(matters.c.report_id)
        known = (await connection.scalars(gone)).all()
        if replaced := [row for report_id in known if (row := changed[report_id]) is not None]:
            await add(connection, replaced)


@dataclass(frozen=True, slots=True)
class Outdated:
    """A matter of another version, and the report as it now stands; None where it was emptied."""

    report_id: str
    reporter: str
    at: int
    body: bytes | None


_VERSION: Final = "matters version"


async def made_by(connection: AsyncConnection) -> int | None:
    """The version of the normaliser that has made all matters, as far as that is on record."""
    known = await connection.execute(select(watermarks.c.value).where(watermarks.c.name == _VERSION))
    value = known.scalar_one_or_none()
    return None if value is None else int(value)


async def set_made_by(connection: AsyncConnection, version: int) -> None:
    """Puts on record that every matter is of this version."""
    statement = insert_into(connection, watermarks).values(name=_VERSION, value=str(version))
    changed = statement.on_conflict_do_update(index_elements=[watermarks.c.name], set_={"value": str(version)})
    await connection.execute(changed)


async def outdated(connection: AsyncConnection, version: int, limit: int) -> list[Outdated]:
    """Matters that another version of the normaliser has made."""
    query = (
        select(matters.c.report_id, matters.c.reporter, matters.c.at, reports.c.body)
        .join(reports, reports.c.id == matters.c.report_id)
        .where(matters.c.version != version)
        .limit(limit)
    )
    return [Outdated(*row) for row in await connection.execute(query)]


async def of_reporters(
    connection: AsyncConnection, reporters: Collection[str], since: int, most: int
) -> dict[str, list[KnownMatter]]:
    """What each reporter has reported since and what still stands, oldest first; of the newest ``most`` of each.

    Those are chosen by the index alone: there are reporters with thousands.
    """
    newest_first = func.row_number().over(partition_by=matters.c.reporter, order_by=matters.c.number.desc())
    ranked = (
        select(matters.c.number, newest_first.label("rank")).where(matters.c.reporter.in_(reporters)).subquery("ranked")
    )
    rows = await connection.execute(
        select(*_KNOWN)
        .join(ranked, ranked.c.number == matters.c.number)
        .where(ranked.c.rank <= most, matters.c.at >= since)
        .order_by(matters.c.number)
    )
    found: dict[str, list[KnownMatter]] = {}
    for row in rows:
        matter = KnownMatter._make(row)
        found.setdefault(matter.reporter, []).append(matter)
    return found


async def numbered(connection: AsyncConnection, numbers: Collection[int]) -> dict[int, KnownMatter]:
    """Those of these that still stand, by number."""
    rows = await connection.execute(select(*_KNOWN).where(matters.c.number.in_(numbers)))
    return {row[0]: KnownMatter._make(row) for row in rows}


async def sketches_after(
    connection: AsyncConnection, number: int, holes: Collection[int], limit: int
) -> list[tuple[int, bytes]]:
    """The numbers and keys behind a number, in order, and those of earlier numbers that were not there then.

    Numbers are given before transactions end: one that was missing may have been committed since.
    """
    wanted = matters.c.number > number
    if holes:
        wanted |= matters.c.number.in_(holes)
    query = select(matters.c.number, matters.c.sketch).where(wanted).order_by(matters.c.number).limit(limit)
    return [(row.number, row.sketch) for row in await connection.execute(query)]


async def oldest_number(connection: AsyncConnection) -> int:
    """The lowest number that there is; 0 where there is none."""
    return (await connection.execute(select(func.min(matters.c.number)))).scalar_one() or 0


def all_sketches(connection: Connection) -> Iterator[StoredKeys]:
    """Every number and its keys, some at once; for a thread.

    The database joins the rows: a million of them one by one would keep the event loop from running.
    """
    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor() if connection.dialect.name == "sqlite" else driver.cursor(binary=True)
    read = _joined_by_sqlite if connection.dialect.name == "sqlite" else _joined_by_postgresql
    cursor.execute("SELECT min(number), max(number) FROM matters")
    first, last = cursor.fetchone()
    for begin in range(first or 0, (last or -1) + 1, _ROWS_LOADED):
        if (piece := read(cursor, begin, begin + _ROWS_LOADED - 1)) is not None:
            yield piece
    cursor.close()


def _joined_by_sqlite(cursor: Any, first: int, last: int) -> StoredKeys | None:  # noqa: ANN401 - the driver's own
    numbers, sizes, keys = cursor.execute(_JOIN_SQLITE, (first, last)).fetchone()
    if numbers is None:
        return None
    return StoredKeys(
        np.fromstring(numbers, np.uint64, sep=","), np.fromstring(sizes, np.intp, sep=","), bytes.fromhex(keys)
    )


def _joined_by_postgresql(cursor: Any, first: int, last: int) -> StoredKeys | None:  # noqa: ANN401 - the driver's own
    numbers, sizes, keys = cursor.execute(_JOIN_POSTGRESQL, (first, last)).fetchone()
    if numbers is None:
        return None
    return StoredKeys(
        np.frombuffer(numbers, ">i8").astype(np.uint64), np.frombuffer(sizes, ">i4").astype(np.intp), keys
    )


async def expire(connection: AsyncConnection, before: int, limit: int) -> int:
    """Forgets up to ``limit`` matters that were received before a moment in milliseconds. Returns how many."""
    old = select(matters.c.number).where(matters.c.at < before).order_by(matters.c.at).limit(limit)
    return (await connection.execute(delete(matters).where(matters.c.number.in_(old)))).rowcount
