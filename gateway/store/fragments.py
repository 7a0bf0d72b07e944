"""Queries on ``fragment_groups``: the parts of a multi-part SMS on their way to one report."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import fragment_groups, messages


@dataclass(frozen=True, slots=True)
class Group:
    """The parts of one message, as far as they have come. ``report_id`` is set once a report was made of them."""

    id: str
    channel: str
    key: str
    total: int
    opened_at: int
    due_at: int | None
    report_id: str | None


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part in custody."""

    message_id: str
    group_id: str
    number: int
    content: str
    raw: bytes | None
    channel_type: str
    external_id: str
    received_at: int


async def open_groups(connection: AsyncConnection, keys: Collection[str], since: int) -> list[Group]:
    """The groups with one of these keys that were opened since, newest first, locked until the transaction ends."""
    query = (
        select(*_columns())
        .where(fragment_groups.c.key.in_(keys), fragment_groups.c.opened_at >= since)
        .order_by(fragment_groups.c.opened_at.desc(), fragment_groups.c.id.desc())
        .with_for_update()
    )
    return [Group(*row) for row in await connection.execute(query)]


async def due_groups(connection: AsyncConnection, now: int, limit: int) -> list[Group]:
    """Groups whose missing parts have been waited for long enough."""
    query = (
        select(*_columns())
        .where(fragment_groups.c.due_at <= now)
        .order_by(fragment_groups.c.due_at, fragment_groups.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [Group(*row) for row in await connection.execute(query)]


async def parts_of(connection: AsyncConnection, group_ids: Collection[str]) -> list[StoredPart]:
    """Every part that these groups hold, with its raw bytes."""
    query = select(
        messages.c.id,
        messages.c.group_id,
        messages.c.part_number,
        messages.c.part_content,
        messages.c.raw,
        messages.c.channel_type,
        messages.c.external_id,
        messages.c.received_at,
    ).where(messages.c.group_id.in_(group_ids))
    return [StoredPart(*row) for row in await connection.execute(query.order_by(messages.c.id))]


async def totals(connection: AsyncConnection, group_ids: Collection[str]) -> dict[str, int]:
    """How many parts each of these groups has when it is complete."""
    if not group_ids:
        return {}
    query = select(fragment_groups.c.id, fragment_groups.c.total).where(fragment_groups.c.id.in_(group_ids))
    return dict((await connection.execute(query)).all())


async def add(connection: AsyncConnection, groups: Iterable[Group]) -> None:
    """Opens groups."""
    rows = [
        {
            "id": group.id,
            "channel": group.channel,
            "key": group.key,
            "total": group.total,
            "opened_at": group.opened_at,
            "due_at": group.due_at,
            "report_id": group.report_id,
        }
        for group in groups
    ]
    if rows:
        await connection.execute(fragment_groups.insert(), rows)


async def settle(connection: AsyncConnection, reports: dict[str, str | None]) -> None:
    """Notes the report of each group (by id), or None where its parts cannot be understood; it is no longer due."""
    if reports:
        statement = (
            update(fragment_groups)
            .where(fragment_groups.c.id == bindparam("b_id"))
            .values(report_id=bindparam("b_report"), due_at=None)
        )
        await connection.execute(statement, [{"b_id": id_, "b_report": report} for id_, report in reports.items()])


def _columns() -> list:  # type: ignore[type-arg]
    table = fragment_groups.c
    return [table.id, table.channel, table.key, table.total, table.opened_at, table.due_at, table.report_id]
