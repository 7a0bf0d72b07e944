"""Finds everything of one citizen by the hashed key, and empties it on request; the key and the decisions stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, case, delete, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store import outbox
from gateway.store.files import forget as forget_files
from gateway.store.tables import answers, files, fragment_groups, ledger, matters, messages, replies, reports

_ERASED: Final = "The citizen asked to be erased."
_OPEN: Final = ("received", "assembling", "held", "quarantined")
_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Unattributed:
    """A message that nobody has decided yet, or could: its sender is known from its bytes only."""

    id: str
    channel: str
    channel_type: str
    state: str
    raw: bytes


async def undecided(connection: AsyncConnection) -> list[str]:
    """The ids of all messages that are not done, oldest first; read from an index that holds nothing else."""
    is_open = messages.c.state != literal_column("'processed'")  # with a value in its place SQLite reads every message
    return sorted((await connection.scalars(select(messages.c.id).where(is_open))).all())


async def unattributed(connection: AsyncConnection, ids: Sequence[str]) -> list[Unattributed]:
    """Those of these messages that are not done, have no known sender and are not emptied, oldest first."""
    columns = (messages.c.id, messages.c.channel, messages.c.channel_type, messages.c.state, messages.c.raw)
    query = (
        select(*columns)
        .where(messages.c.state != "processed", messages.c.reporter.is_(None), messages.c.raw.is_not(None))
        .where(messages.c.id.in_(ids))
        .order_by(messages.c.id)
    )
    return [Unattributed(*row) for row in await connection.execute(query)]


async def attribute(connection: AsyncConnection, ids: Sequence[str], reporter: str) -> None:
    """Notes who wrote messages, where that is not known."""
    for start in range(0, len(ids), _AT_ONCE):
        chosen = messages.c.id.in_(ids[start : start + _AT_ONCE])
        await connection.execute(
            update(messages).where(chosen, messages.c.reporter.is_(None)).values(reporter=reporter)
        )


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows were emptied of what a citizen wrote, and of what we made of it."""

    messages: int
    reports: int
    answers: int


async def erase(connection: AsyncConnection, reporter: str, address: str | None) -> Erased:
    """Empties all that a citizen has written and was told, and forgets what it was about.

    An event that the queue has not confirmed keeps its body until it does: the report was promised to the core.

    Args:
        connection: An open transaction.
        reporter: The key of :func:`gateway.identifiers.reporter_key`.
        address: The citizen's address, by which answers are found as well; None where nobody knows it.
    """
    its = messages.c.reporter == reporter
    # Locked in the order that PROCESS locks in: first messages, then reports, then the rest.
    await connection.execute(select(messages.c.id).where(its).order_by(messages.c.id).with_for_update())
    report_ids = select(messages.c.report_id).where(its, messages.c.report_id.is_not(None))
    locked = select(reports.c.id).where(reports.c.id.in_(report_ids)).order_by(reports.c.id)
    await connection.execute(locked.with_for_update())
    message_ids = select(messages.c.id).where(its)
    await _empty_told(connection, report_ids)
    told = await _empty_answers(connection, message_ids, report_ids, address)
    count = await connection.execute(
        update(reports).where(reports.c.id.in_(report_ids), reports.c.body.is_not(None)).values(body=None)
    )
    written = await _empty_messages(connection, reporter, message_ids)
    return Erased(written, count.rowcount, told)


async def _empty_messages(connection: AsyncConnection, reporter: str, message_ids: Select[tuple[str]]) -> int:
    its = messages.c.reporter == reporter
    groups = select(messages.c.group_id).where(its, messages.c.group_id.is_not(None))
    await connection.execute(update(fragment_groups).where(fragment_groups.c.id.in_(groups)).values(due_at=None))
    await forget_files(connection, files.c.message_id.in_(message_ids))
    await connection.execute(update(ledger).where(ledger.c.message_id.in_(message_ids)).values(detail=None))
    still_open = messages.c.state.in_(_OPEN)
    emptied = (
        update(messages)
        .where(its, or_(messages.c.raw.is_not(None), still_open))
        .values(
            raw=None,
            state=case((still_open, "discarded"), else_=messages.c.state),
            reason=case((still_open, _ERASED), else_=messages.c.reason),
        )
    )
    return (await connection.execute(emptied)).rowcount


async def _empty_answers(
    connection: AsyncConnection,
    message_ids: Select[tuple[str]],
    report_ids: Select[tuple[str | None]],
    address: str | None,
) -> int:
    """What the citizen was told; what has not been sent is not sent any more."""
    whose = or_(answers.c.message_id.in_(message_ids), answers.c.report_id.in_(report_ids))
    if address:
        whose = or_(whose, answers.c.recipient == address)
    waits = answers.c.state.in_(("queued", "unsure"))
    emptied = (
        update(answers)
        .where(whose, answers.c.recipient.is_not(None))
        .values(
            recipient=None,
            text=None,
            state=case((waits, "expired"), else_=answers.c.state),
            reason=case((waits, _ERASED), else_=answers.c.reason),
        )
    )
    return (await connection.execute(emptied)).rowcount


async def _empty_told(connection: AsyncConnection, report_ids: Select[tuple[str | None]]) -> None:
    """What the core was told, and has said; and what repeats are recognised by."""
    await outbox.erase(connection, report_ids)
    await connection.execute(update(replies).where(replies.c.report_id.in_(report_ids)).values(status=None))
    await connection.execute(delete(matters).where(matters.c.report_id.in_(report_ids)))


@dataclass(frozen=True, slots=True)
class Origin:
    """What tells who wrote a message; ``report`` is the body of its report."""

    channel: str
    channel_type: str
    raw: bytes | None
    reporter: str | None
    report: bytes | None


async def origin(connection: AsyncConnection, message_id: str) -> Origin | None:
    """What is known of a message's sender; None where there is no such message."""
    columns = (messages.c.channel, messages.c.channel_type, messages.c.raw, messages.c.reporter, reports.c.body)
    query = select(*columns).outerjoin(reports, reports.c.id == messages.c.report_id).where(messages.c.id == message_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Origin(*row)


async def message_of(connection: AsyncConnection, tracking_id: str) -> str | None:
    """The first message of the report that first bore a tracking ID."""
    query = (
        select(messages.c.id)
        .join(reports, reports.c.id == messages.c.report_id)
        .where(reports.c.tracking_id == tracking_id, reports.c.duplicate_of.is_(None))
        .order_by(messages.c.id)
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def any_message(connection: AsyncConnection, reporter: str) -> str | None:
    """The newest message of a sender that is not emptied."""
    query = (
        select(messages.c.id)
        .where(messages.c.reporter == reporter, messages.c.raw.is_not(None))
        .order_by(messages.c.id.desc())
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none()
