"""Empties what is older than it may be kept; hashed keys and decisions stay, so nothing old can be doubled."""

from sqlalchemy import Column, ColumnElement, Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.files import forget as forget_files
from gateway.store.sql import insert_into
from gateway.store.tables import answers, files, messages, outbox, reports, watermarks

_EMPTIED: dict[Table, tuple[tuple[Column[object], ...], ColumnElement[bool] | None]] = {
    messages: ((messages.c.raw,), None),
    reports: ((reports.c.body,), None),
    outbox: ((outbox.c.body,), outbox.c.confirmed_at.is_not(None)),
    answers: ((answers.c.recipient, answers.c.text), answers.c.state.not_in(("queued", "sending", "unsure"))),
}
"""What is emptied in each table, and of which rows only. An event that was never confirmed keeps its body."""


async def empty_before(connection: AsyncConnection, bound: str, limit: int) -> int:
    """Empties up to ``limit`` rows of each table that are older than an id; returns how many rows were looked at.

    Stops short of a message that nobody has processed: it is not lost because it is old.
    """
    oldest = select(func.min(messages.c.id)).where(messages.c.state.in_(("received", "assembling")))
    unprocessed = (await connection.execute(oldest)).scalar_one()
    if unprocessed is not None:
        bound = min(bound, unprocessed)
    return sum([await _empty(connection, table, bound, limit) for table in _EMPTIED])


async def _empty(connection: AsyncConnection, table: Table, bound: str, limit: int) -> int:
    name = f"emptied {table.name}"
    known = await connection.execute(select(watermarks.c.value).where(watermarks.c.name == name))
    since = known.scalar_one_or_none() or ""
    waiting = select(table.c.id).where(table.c.id > since, table.c.id < bound).order_by(table.c.id).limit(limit)
    ids = list((await connection.scalars(waiting)).all())
    if not ids:
        return 0
    columns, only = _EMPTIED[table]
    chosen = table.c.id.between(ids[0], ids[-1])
    await connection.execute(
        update(table).where(chosen if only is None else chosen & only).values(dict.fromkeys(columns))
    )
    if table is messages:
        await forget_files(connection, files.c.message_id.between(ids[0], ids[-1]))
    statement = insert_into(connection, watermarks).values(name=name, value=ids[-1])
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[watermarks.c.name], set_={"value": ids[-1]})
    )
    return len(ids)
