"""Queries on ``reports``: the canonical report as last published."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.model import Report, decode_report, encode
from gateway.store.tables import outbox, reports


@dataclass(frozen=True, slots=True)
class Published:
    """A report, the sequence of its newest event, and whether that withdrew it."""

    report: Report
    sequence: int
    withdrawn: bool = False


async def taken(connection: AsyncConnection, tracking_ids: Collection[str]) -> set[str]:
    """Which of these tracking IDs are in use."""
    query = select(reports.c.tracking_id).where(reports.c.tracking_id.in_(tracking_ids))
    return set((await connection.scalars(query)).all())


async def add(connection: AsyncConnection, new: Sequence[Report]) -> None:
    """Keeps new reports, each with sequence 1."""
    await connection.execute(
        reports.insert(),
        [
            {
                "id": report.id,
                "tracking_id": report.tracking_id,
                "body": encode(report),
                "sequence": 1,
                "duplicate_of": report.duplicate_of,
                "created_at": to_milliseconds(report.received_at),
            }
            for report in new
        ],
    )


async def find(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Published]:
    """Reports by id, locked until the transaction ends. One that was emptied is left out."""
    newest = (outbox.c.report_id == reports.c.id) & (outbox.c.sequence == reports.c.sequence)
    withdrawn = exists().where(newest, outbox.c.routing_key.startswith("report.withdrawn."))
    query = select(reports.c.id, reports.c.body, reports.c.sequence, withdrawn).where(reports.c.id.in_(ids))
    rows = await connection.execute(query.with_for_update(of=reports))
    return {id_: Published(decode_report(body), *rest) for id_, body, *rest in rows if body is not None}


_AMEND = (
    update(reports)
    .where(reports.c.id == bindparam("b_id"))
    .values(body=bindparam("b_body"), sequence=bindparam("b_sequence"))
)


async def amend(connection: AsyncConnection, changed: Iterable[Published]) -> None:
    """Keeps what reports have become."""
    rows = [{"b_id": item.report.id, "b_body": encode(item.report), "b_sequence": item.sequence} for item in changed]
    if rows:
        await connection.execute(_AMEND, rows)
