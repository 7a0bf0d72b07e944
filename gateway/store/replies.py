"""Queries on ``replies`` and ``silenced``, and on the answers of which the core is told when they do not arrive."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.model import ReplyKind, Report, decode_report
from gateway.store.sql import insert_new
from gateway.store.tables import answer_parts, answers, channels, matters, replies, reports, silenced

_LAST_REPORTS = 20
"""Reports of one citizen that are looked through for a channel that works, the newest first."""


@dataclass(frozen=True, slots=True)
class NewReply:
    """A reply of the core, as far as it is kept: what it said goes into the answer only."""

    id: str
    report_id: str
    kind: ReplyKind
    status: str | None


async def add(connection: AsyncConnection, new: Sequence[NewReply], at: int) -> set[str]:
    """Notes replies; returns the ids of those that were not known before.

    Args:
        connection: An open transaction.
        new: Each id once.
        at: The time in milliseconds.
    """
    if not new:
        return set()
    rows = [
        {"id": reply.id, "report_id": reply.report_id, "kind": reply.kind, "status": reply.status, "received_at": at}
        for reply in sorted(new, key=lambda reply: reply.id)  # two gateways wait for each other in one order only
    ]
    statement = insert_new(connection, replies).returning(replies.c.id)
    return set((await connection.scalars(statement, rows)).all())


async def silent(connection: AsyncConnection, reporters: Collection[str]) -> set[str]:
    """Which of these reporters, by their keys, want no notifications."""
    return set((await connection.scalars(select(silenced.c.reporter).where(silenced.c.reporter.in_(reporters)))).all())


async def served_channels(connection: AsyncConnection, since: int) -> dict[str, str]:
    """The types of the channels that some gateway has served since a moment in milliseconds, by name."""
    query = select(channels.c.name, channels.c.type).where(channels.c.updated_at >= since)
    return dict((await connection.execute(query)).all())


async def last_report(connection: AsyncConnection, reporter: str, channel_names: Collection[str]) -> Report | None:
    """The newest report of a reporter, by its key, that came by one of these channels and stands."""
    query = (
        select(reports.c.body)
        .join(matters, matters.c.report_id == reports.c.id)
        .where(matters.c.reporter == reporter, reports.c.body.is_not(None), reports.c.withdrawn_at.is_(None))
        .order_by(matters.c.number.desc())
        .limit(_LAST_REPORTS)
    )
    found = map(decode_report, await connection.scalars(query))
    return next((report for report in found if report.channel_name in channel_names), None)


@dataclass(frozen=True, slots=True)
class Pending:
    """An answer that belongs to a report and has not failed so far."""

    id: str
    report_id: str
    reply_id: str


async def pending(connection: AsyncConnection, ids: Collection[str], *, only_replies: bool = False) -> list[Pending]:
    """Those of these answers of which the core would be told if they failed now.

    Args:
        connection: An open transaction.
        ids: Of answers.
        only_replies: Whether a receipt that fails is no news.
    """
    return await _pending(connection, answers.c.id.in_(ids), only_replies=only_replies)


async def pending_since(connection: AsyncConnection, channel: str, created_before: int) -> list[Pending]:
    """Those that wait for their first or next attempt on a channel, and are older than a moment in milliseconds."""
    waits = (answers.c.channel == channel) & (answers.c.state == "queued") & (answers.c.created_at < created_before)
    return await _pending(connection, waits)


async def pending_part(connection: AsyncConnection, channel: str, reference: str, recipient: str) -> list[Pending]:
    """Those that a delivery report may mean."""
    part = select(answer_parts.c.answer_id).where(
        answer_parts.c.channel == channel, answer_parts.c.reference == reference
    )
    return await _pending(connection, answers.c.id.in_(part) & (answers.c.recipient == recipient))


async def _pending(
    connection: AsyncConnection, which: ColumnElement[bool], *, only_replies: bool = False
) -> list[Pending]:
    kinds = ("reply",) if only_replies else ("reply", "receipt")
    query = select(answers.c.id, answers.c.report_id, answers.c.reply_id).where(
        which,
        answers.c.kind.in_(kinds),
        answers.c.report_id.is_not(None),
        answers.c.recipient.is_not(None),  # else the report was withdrawn, and nobody waits for it
        answers.c.state.not_in(("failed", "expired")),
    )
    return [Pending(*row) for row in await connection.execute(query)]


async def given_up(connection: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    """Why answers will never be sent, by their ids; those that may still be, or were, are left out."""
    query = select(answers.c.id, answers.c.reason).where(
        answers.c.id.in_(ids), answers.c.state.in_(("failed", "expired"))
    )
    return {id_: reason or "" for id_, reason in await connection.execute(query)}
