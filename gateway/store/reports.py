"""Queries on ``reports``: the canonical report as last published."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.model import Report, decode_report, encode
from gateway.store.sql import insert_new
from gateway.store.tables import aliases, reports


@dataclass(frozen=True, slots=True)
class Published:
    """A report, the sequence of its newest event, and when it was withdrawn (in milliseconds), if it was."""

    report: Report
    sequence: int
    withdrawn_at: int | None = None


async def taken(connection: AsyncConnection, tracking_ids: Collection[str]) -> set[str]:
    """Which of these tracking IDs are in use."""
    query = select(reports.c.tracking_id).where(
        reports.c.tracking_id.in_(tracking_ids), reports.c.duplicate_of.is_(None)
    )
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
    columns = (reports.c.id, reports.c.body, reports.c.sequence, reports.c.withdrawn_at)
    rows = await connection.execute(select(*columns).where(reports.c.id.in_(ids)).with_for_update())
    return {id_: Published(decode_report(body), *rest) for id_, body, *rest in rows if body is not None}


async def lock(connection: AsyncConnection, ids: Collection[str]) -> None:
    """Keeps other gateways from amending reports until the transaction ends; locked in order, never in a ring."""
    if ids and connection.dialect.name != "sqlite":
        query = select(reports.c.id).where(reports.c.id.in_(ids)).order_by(reports.c.id)
        await connection.execute(query.with_for_update())


async def with_tracking_ids(connection: AsyncConnection, tracking_ids: Collection[str]) -> dict[str, str]:
    """The ids of the reports that first bore these tracking IDs."""
    query = select(reports.c.tracking_id, reports.c.id).where(
        reports.c.tracking_id.in_(tracking_ids), reports.c.duplicate_of.is_(None)
    )
    return dict((await connection.execute(query)).all())


async def add_aliases(connection: AsyncConnection, new: Collection[tuple[str, str, str]]) -> None:
    """Notes further external ids (channel, external id, report id) that a report is known by at its source."""
    if new:
        await connection.execute(
            insert_new(connection, aliases),
            [{"channel": channel, "external_id": name, "report_id": report} for channel, name, report in new],
        )


async def with_aliases(connection: AsyncConnection, channel: str, external_ids: Collection[str]) -> dict[str, str]:
    """The ids of the reports that were noted for these external ids."""
    query = select(aliases.c.external_id, aliases.c.report_id).where(
        aliases.c.channel == channel, aliases.c.external_id.in_(external_ids)
    )
    return dict((await connection.execute(query)).all())


_AMEND = (
    update(reports)
    .where(reports.c.id == bindparam("b_id"))
    .values(body=bindparam("b_body"), sequence=bindparam("b_sequence"), withdrawn_at=bindparam("b_withdrawn_at"))
)


async def amend(connection: AsyncConnection, changed: Iterable[Published]) -> None:
    """Keeps what reports have become."""
    rows = [
        {
            "b_id": item.report.id,
            "b_body": encode(item.report),
            "b_sequence": item.sequence,
            "b_withdrawn_at": item.withdrawn_at,
        }
        for item in changed
    ]
    if rows:
        await connection.execute(_AMEND, rows)
