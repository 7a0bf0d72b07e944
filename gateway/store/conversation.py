"""Queries for the conversation with citizens: who wants silence, how a report stands, what a reporter was told."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.conversation.guards import Told
from gateway.identifiers import first_uuid7
from gateway.model import ReplyKind, Report, decode_report
from gateway.store.sql import insert_new
from gateway.store.tables import answers, matters, replies, reports, silenced

_ATTEMPTED = ("sending", "unsure", "sent", "delivered", "unknown")


async def silence(connection: AsyncConnection, reporter: str, at: int) -> None:
    """Notes that a reporter wants no notifications; the first time counts.

    Args:
        connection: An open transaction.
        reporter: The key of :func:`gateway.identifiers.reporter_key`.
        at: Now, in milliseconds.
    """
    await connection.execute(insert_new(connection, silenced), [{"reporter": reporter, "since": at}])


async def unsilence(connection: AsyncConnection, reporter: str) -> None:
    """Forgets that a reporter wanted no notifications."""
    await connection.execute(delete(silenced).where(silenced.c.reporter == reporter))


async def is_silenced(connection: AsyncConnection, reporter: str) -> bool:
    """Whether a reporter wants no notifications."""
    query = select(silenced.c.reporter).where(silenced.c.reporter == reporter)
    return (await connection.execute(query)).first() is not None


@dataclass(frozen=True, slots=True)
class KnownReport:
    """A report that somebody asks for, as last published; times in milliseconds."""

    report: Report
    created_at: int
    withdrawn_at: int | None


_KNOWN = (reports.c.body, reports.c.created_at, reports.c.withdrawn_at)


async def by_tracking_ids(connection: AsyncConnection, tracking_ids: Collection[str]) -> dict[str, KnownReport]:
    """The reports that first bore these tracking IDs, whoever wrote them, by tracking ID; emptied ones are left out."""
    query = select(reports.c.tracking_id, *_KNOWN).where(
        reports.c.tracking_id.in_(tracking_ids), reports.c.duplicate_of.is_(None), reports.c.body.is_not(None)
    )
    rows = await connection.execute(query)
    return {tracking_id: KnownReport(decode_report(body), *times) for tracking_id, body, *times in rows}


async def newest_of(connection: AsyncConnection, reporter: str, address: str, most: int) -> list[KnownReport]:
    """A reporter's newest reports, the newest first; of repeats the original.

    Found by the index of matters, and by what the reporter was told: neither alone knows of all.

    Args:
        connection: An open transaction.
        reporter: The key of :func:`gateway.identifiers.reporter_key`.
        address: The reporter's address, to which answers went. Whoever uses this compares the kind as well.
        most: How many at most.
    """
    matter = (
        select(matters.c.report_id).where(matters.c.reporter == reporter).order_by(matters.c.number.desc()).limit(most)
    )
    told = (
        select(func.coalesce(reports.c.duplicate_of, reports.c.id))
        .join(answers, answers.c.report_id == reports.c.id)
        .where(answers.c.recipient == address)
        .order_by(answers.c.created_at.desc())
        .limit(4 * most)  # a report may have been told of more than once
    )
    ids = {*(await connection.scalars(matter)).all(), *(await connection.scalars(told)).all()}
    query = (
        select(*_KNOWN)
        .where(reports.c.id.in_(ids), reports.c.body.is_not(None))
        .order_by(reports.c.created_at.desc(), reports.c.id.desc())
        .limit(most)
    )
    return [KnownReport(decode_report(body), *times) for body, *times in await connection.execute(query)]


@dataclass(frozen=True, slots=True)
class LastReply:
    """What the core said last of a report; ``at`` in milliseconds."""

    kind: ReplyKind
    status: str | None
    at: int


async def last_replies(connection: AsyncConnection, report_ids: Collection[str]) -> dict[str, LastReply]:
    """What the core said last of each of these reports, by id.

    A reply that names no state leaves the one before in force where it is of the same kind.
    """
    query = (
        select(replies.c.report_id, replies.c.kind, replies.c.status, replies.c.received_at)
        .where(replies.c.report_id.in_(report_ids))
        .order_by(replies.c.received_at, replies.c.id)
    )
    found: dict[str, LastReply] = {}
    for report_id, kind, status, at in await connection.execute(query):
        before = found.get(report_id)
        same = before is not None and before.kind == kind
        found[report_id] = LastReply(kind, status or (before.status if before is not None and same else None), at)
    return found


async def answered(
    connection: AsyncConnection, recipients: Collection[str], since: int, lately: int
) -> dict[str, Told]:
    """How many answers were made for each of these addresses, in one query; whoever is missing got none.

    Args:
        connection: An open transaction.
        recipients: Addresses, as answers bear them.
        since: In milliseconds: from when all answers count.
        lately: In milliseconds: from when receipts and answers to commands count as recent.
    """
    recent = (answers.c.created_at >= lately) & answers.c.kind.in_(("receipt", "command"))
    query = (
        select(answers.c.recipient, func.count(), func.sum(case((recent, 1), else_=0)))
        .where(answers.c.recipient.in_(recipients), answers.c.created_at >= since)
        .group_by(answers.c.recipient)
    )
    return {recipient: Told(day, int(late)) for recipient, day, late in await connection.execute(query)}


async def receipts_since(connection: AsyncConnection, recipients: Collection[str], since: int) -> set[tuple[str, str]]:
    """Which tracking IDs were told to whom by receipt since a moment (ms): pairs of address and tracking ID."""
    query = (
        select(answers.c.recipient, reports.c.tracking_id)
        .join(reports, reports.c.id == answers.c.report_id)
        .where(answers.c.recipient.in_(recipients), answers.c.created_at >= since, answers.c.kind == "receipt")
    )
    return {(recipient, tracking_id) for recipient, tracking_id in await connection.execute(query)}


async def attempted_since(connection: AsyncConnection, channel: str, since: int, oldest: int) -> int:
    """How many answers a channel has sent, or may have sent, since a moment; that under way included.

    Args:
        connection: An open transaction.
        channel: The channel's name.
        since: In milliseconds.
        oldest: In milliseconds: no answer that was queued before can have been sent since. It bounds what is read.
    """
    query = select(func.count()).where(
        answers.c.id >= first_uuid7(oldest),
        answers.c.channel == channel,
        answers.c.state.in_(_ATTEMPTED),
        func.coalesce(answers.c.sent_at, answers.c.next_at) >= since,
    )
    return int((await connection.execute(query)).scalar_one())
