"""Queries on ``matters``: what may be repeated, by its reporter and by the keys of its text."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import matters, reports


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
    number: int = 0
    """Given by the database."""


_COLUMNS = (
    matters.c.report_id,
    matters.c.reporter,
    matters.c.at,
    matters.c.version,
    matters.c.sketch,
    matters.c.words,
    matters.c.keyword,
    matters.c.length,
    matters.c.number,
)


async def add(connection: AsyncConnection, new: Sequence[MatterRow]) -> None:
    """Keeps what new originals are about; their numbers follow those that there are."""
    await connection.execute(
        matters.insert(),
        [
            {column.name: getattr(row, column.name) for column in _COLUMNS if column is not matters.c.number}
            for row in new
        ],
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


async def of_reporters(
    connection: AsyncConnection, reporters: Collection[str], since: int, most: int
) -> dict[str, list[MatterRow]]:
    """What each reporter has reported since and what still stands, oldest first; the newest ``most`` of each."""
    newest_first = func.row_number().over(partition_by=matters.c.reporter, order_by=matters.c.number.desc())
    ranked = (
        select(*_COLUMNS, newest_first.label("rank"))
        .join(reports, reports.c.id == matters.c.report_id)
        .where(matters.c.reporter.in_(reporters), matters.c.at >= since)
        .where(reports.c.withdrawn_at.is_(None), reports.c.body.is_not(None))
        .subquery()
    )
    names = [ranked.c[column.name] for column in _COLUMNS]
    rows = await connection.execute(select(*names).where(ranked.c.rank <= most).order_by(ranked.c.number))
    found: dict[str, list[MatterRow]] = {}
    for row in rows:
        matter = MatterRow(*row)
        found.setdefault(matter.reporter, []).append(matter)
    return found


async def numbered(connection: AsyncConnection, numbers: Collection[int]) -> dict[int, MatterRow]:
    """Those of these that still stand, by number."""
    rows = await connection.execute(select(*_COLUMNS).where(matters.c.number.in_(numbers)))
    return {row.number: MatterRow(*row) for row in rows}


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


def all_sketches(connection: Connection, at_once: int) -> Iterator[tuple[list[int], list[bytes]]]:
    """Every number and its keys, so many at once; for a thread."""
    query = select(matters.c.number, matters.c.sketch).order_by(matters.c.number)
    rows = connection.execution_options(yield_per=at_once).execute(query)
    for some in rows.partitions(at_once):
        yield [row[0] for row in some], [row[1] for row in some]


async def expire(connection: AsyncConnection, before: int, limit: int) -> int:
    """Forgets up to ``limit`` matters that were received before a moment in milliseconds. Returns how many."""
    old = select(matters.c.number).where(matters.c.at < before).order_by(matters.c.at).limit(limit)
    return (await connection.execute(delete(matters).where(matters.c.number.in_(old)))).rowcount
