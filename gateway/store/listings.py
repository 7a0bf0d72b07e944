"""Queries for the operators' lists: each reads an index, or no more rows than it says, however many there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.tables import PARKED, UNDELIVERED, answers, messages, outbox, reports

WINDOW: Final = 20_000
"""Messages among which one channel's are looked for at a time."""

_COLUMNS: Final = tuple(column for column in messages.c if column is not messages.c.raw)
_PLAIN: Final = frozenset({"received", "assembling", "held", "quarantined", "discarded", "processed"})


@dataclass(frozen=True, slots=True)
class Found:
    """Messages, newest first, without their raw bytes; ``next`` is where the next page begins, None at the end."""

    rows: Sequence[Row[Any]]
    next: str | None


def in_state(state: str) -> ColumnElement[bool]:
    """Messages in a state; written so that both databases use the index of those that are not done.

    Raises:
        ValueError: There is no such state.
    """
    if state not in _PLAIN:
        message = "no such state"
        raise ValueError(message)
    chosen = messages.c.state == literal_column(f"'{state}'")
    return chosen if state == "processed" else chosen & (messages.c.state != literal_column("'processed'"))


async def page(
    connection: AsyncConnection, *, state: str | None, channel: str | None, before: str | None, limit: int
) -> Found:
    """The newest messages; of one channel those among the next :data:`WINDOW`, so that a quiet one costs no more."""
    query = select(*_COLUMNS).order_by(messages.c.id.desc())
    if state is not None:
        query = query.where(in_state(state))
    if before is not None:
        query = query.where(messages.c.id < before)
    if channel is None:
        return _cut(list((await connection.execute(query.limit(limit + 1))).all()), limit)
    window = query.limit(WINDOW).subquery()
    within = select(window).where(window.c.channel == channel).order_by(window.c.id.desc()).limit(limit + 1)
    found = _cut(list((await connection.execute(within)).all()), limit)
    if found.next is not None:
        return found
    ends = query.with_only_columns(messages.c.id).offset(WINDOW - 1).limit(1)
    return Found(found.rows, (await connection.execute(ends)).scalar_one_or_none())


async def of_sender(connection: AsyncConnection, reporter: str, before: str | None, limit: int) -> Found:
    """The newest messages of a sender, by the hashed key."""
    query = select(*_COLUMNS).where(messages.c.reporter == reporter, messages.c.reporter.is_not(None))
    return await _newest(connection, query, before, limit)


async def of_tracking_id(connection: AsyncConnection, tracking_id: str, before: str | None, limit: int) -> Found:
    """The newest messages of the report that first bore a tracking ID."""
    report = select(reports.c.id).where(reports.c.tracking_id == tracking_id, reports.c.duplicate_of.is_(None))
    report_id = (await connection.execute(report)).scalar_one_or_none()
    if report_id is None:
        return Found((), None)
    query = select(*_COLUMNS).where(messages.c.report_id == report_id, messages.c.report_id.is_not(None))
    return await _newest(connection, query, before, limit)


async def _newest(connection: AsyncConnection, query: Select[Any], before: str | None, limit: int) -> Found:
    if before is not None:
        query = query.where(messages.c.id < before)
    rows = (await connection.execute(query.order_by(messages.c.id.desc()).limit(limit + 1))).all()
    return _cut(list(rows), limit)


def _cut(rows: Sequence[Row[Any]], limit: int) -> Found:
    return Found(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


async def chosen(connection: AsyncConnection, ids: Sequence[str]) -> Sequence[Row[Any]]:
    """These messages, newest first."""
    query = select(*_COLUMNS).where(messages.c.id.in_(ids)).order_by(messages.c.id.desc())
    return list((await connection.execute(query)).all())


@dataclass(frozen=True, slots=True)
class Searched:
    """What a text is looked for in: the body of the message's report, or its raw bytes where it has none."""

    id: str
    received_at: int
    content: bytes
    is_report: bool


async def to_search(connection: AsyncConnection, before: str | None, limit: int) -> list[Searched]:
    """The newest messages with what a text is looked for in; emptied ones are empty."""
    columns = (messages.c.id, messages.c.received_at, reports.c.body, messages.c.raw)
    query = select(*columns).outerjoin(reports, reports.c.id == messages.c.report_id)
    if before is not None:
        query = query.where(messages.c.id < before)
    rows = await connection.execute(query.order_by(messages.c.id.desc()).limit(limit))
    return [Searched(id_, at, body or raw or b"", body is not None) for id_, at, body, raw in rows]


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An answer that reached nobody, or an event that the queue refused; times in milliseconds."""

    id: str
    message_id: str | None
    channel: str
    kind: str
    state: str
    at: int
    reason: str | None


async def undelivered(connection: AsyncConnection, state: str, before: str | None, limit: int) -> list[Undelivered]:
    """The newest answers that failed, expired, or may not have arrived.

    Raises:
        ValueError: There is no such state.
    """
    if state not in ("failed", "expired", "unknown"):
        message = "no such state"
        raise ValueError(message)
    names = ("id", "message_id", "channel", "kind", "state", "created_at", "reason")
    query = select(*(answers.c[name] for name in names)).where(
        answers.c.state == literal_column(f"'{state}'"), UNDELIVERED
    )
    if before is not None:
        query = query.where(answers.c.id < before)
    rows = await connection.execute(query.order_by(answers.c.id.desc()).limit(limit))
    return [Undelivered(*row) for row in rows]


async def parked(connection: AsyncConnection, before: str | None, limit: int) -> list[Undelivered]:
    """The newest events that the queue refused for good, each with the first message of its report."""
    first = (
        select(messages.c.id)
        .where(messages.c.report_id == outbox.c.report_id, messages.c.report_id.is_not(None))
        .order_by(messages.c.id)
        .limit(1)
        .scalar_subquery()
    )
    query = select(outbox.c.id, first.label("message_id"), outbox.c.routing_key, outbox.c.parked_at, outbox.c.reason)
    query = query.where(PARKED)
    if before is not None:
        query = query.where(outbox.c.id < before)
    rows = await connection.execute(query.order_by(outbox.c.id.desc()).limit(limit))
    return [
        Undelivered(row.id, row.message_id, row.routing_key.rpartition(".")[2], row.routing_key, "parked", *row[3:])
        for row in rows
    ]
