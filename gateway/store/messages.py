"""Queries on ``messages`` and ``ledger``: custody, claims, decisions."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Row, bindparam, func, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.identifiers import uuid7
from gateway.store.files import forget as forget_files
from gateway.store.sql import insert_new
from gateway.store.tables import files, ledger, messages

MessageState = Literal["received", "assembling", "processed", "held", "quarantined", "discarded"]
DecisionName = Literal["report", "repeat", "update", "withdrawn", "command", "held", "ignored", "quarantined"]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message in custody that has to be processed. ``received_at`` is in milliseconds."""

    id: str
    channel: str
    channel_type: str
    external_id: str
    order_key: str
    raw: bytes
    received_at: int
    report_id: str | None = None
    deaths: int = 0
    accepted: bool = False
    """Whether an operator has made it a report."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided for a message; one row of an UPDATE."""

    id: str
    state: MessageState
    decision: DecisionName | None
    reason: str | None
    report_id: str | None
    at: int
    group_id: str | None = None
    part_number: int | None = None
    part_content: str | None = None
    reporter: str | None = None
    """The key of whoever wrote it, where the bytes tell."""


_TO_PROCESS = (
    messages.c.id,
    messages.c.channel,
    messages.c.channel_type,
    messages.c.external_id,
    messages.c.order_key,
    messages.c.raw,
    messages.c.received_at,
    messages.c.report_id,
    messages.c.deaths,
    messages.c.accepted_at.is_not(None),
)


async def add(connection: AsyncConnection, batch: Sequence[StoredMessage]) -> dict[str, str]:
    """Commits messages to custody; those whose key is known already are passed over.

    Returns:
        The id in the store of each (channel, external id), joined by a NUL: the given one where the message is new.
    """
    await connection.execute(
        insert_new(connection, messages),
        [
            {
                "id": message.id,
                "channel": message.channel,
                "channel_type": message.channel_type,
                "external_id": message.external_id,
                "order_key": message.order_key,
                "raw": message.raw,
                "received_at": message.received_at,
                "state": "received",
            }
            for message in batch
        ],
    )
    known = select(messages.c.channel, messages.c.external_id, messages.c.id).where(_has_key(batch))
    return {f"{channel}\0{external_id}": id_ for channel, external_id, id_ in await connection.execute(known)}


def _has_key(batch: Sequence[StoredMessage]) -> ColumnElement[bool]:
    names = {message.channel for message in batch}
    if len(names) == 1:  # the usual case, and the one that an index serves best
        return (messages.c.channel == names.pop()) & messages.c.external_id.in_([m.external_id for m in batch])
    return tuple_(messages.c.channel, messages.c.external_id).in_([(m.channel, m.external_id) for m in batch])


async def mark_released(connection: AsyncConnection, ids: Sequence[str], at: int) -> None:
    """Notes that the source has let go of messages; the first time counts."""
    await connection.execute(
        update(messages).where(messages.c.id.in_(ids), messages.c.released_at.is_(None)).values(released_at=at)
    )


async def unprocessed(
    connection: AsyncConnection, limit: int, most_bytes: int, *, besides: Collection[str] = ()
) -> list[StoredMessage]:
    """The oldest messages that wait to be processed.

    Args:
        connection: An open transaction.
        limit: How many at most.
        most_bytes: The message that makes all of them weigh so much is the last.
        besides: Ids to leave out.
    """
    sizes = select(messages.c.id, func.length(messages.c.raw)).where(messages.c.state == "received")
    if besides:
        sizes = sizes.where(messages.c.id.not_in(list(besides)))
    last, total = "", 0
    for id_, size in await connection.execute(sizes.order_by(messages.c.id).limit(limit)):
        last, total = id_, total + (size or 0)
        if total >= most_bytes:
            break
    query = select(*_TO_PROCESS).where(messages.c.state == "received", messages.c.id <= last)
    if besides:
        query = query.where(messages.c.id.not_in(list(besides)))
    return [StoredMessage(*row) for row in await connection.execute(query.order_by(messages.c.id).limit(limit))]


async def claim(connection: AsyncConnection, batch: Sequence[StoredMessage]) -> list[StoredMessage]:
    """Takes the messages that are still to be processed, for this transaction.

    A message waits for an older unprocessed one with the same order key: on PostgreSQL another gateway may hold it.
    """
    ids = [message.id for message in batch]
    query = select(messages.c.id).where(messages.c.id.in_(ids), messages.c.state == "received")
    free = set((await connection.scalars(query.with_for_update(skip_locked=True))).all())
    if connection.dialect.name == "sqlite":
        return [message for message in batch if message.id in free]
    keys = {message.order_key for message in batch}
    query = (
        select(messages.c.order_key, func.min(messages.c.id))
        .where(messages.c.state == "received", messages.c.order_key.in_(keys), messages.c.id.not_in(free))
        .group_by(messages.c.order_key)
    )
    oldest_elsewhere: dict[str, str] = dict((await connection.execute(query)).all())
    return [m for m in batch if m.id in free and m.id < oldest_elsewhere.get(m.order_key, "g")]


_DECIDE = (
    update(messages)
    .where(messages.c.id == bindparam("b_id"))
    .values({name: bindparam(name) for name in ("state", "decision", "reason", "report_id", "processed_at")})
    .values(deaths=0)  # a replay after a fix starts afresh
    .values(reporter=func.coalesce(bindparam("b_reporter"), messages.c.reporter))
)
_DECIDE_PART = _DECIDE.values({name: bindparam(name) for name in ("group_id", "part_number", "part_content")})


async def decide(connection: AsyncConnection, outcomes: Iterable[Outcome]) -> None:
    """Writes down what was decided."""
    whole: list[dict[str, object]] = []
    parts: list[dict[str, object]] = []
    for outcome in outcomes:
        row: dict[str, object] = {
            "b_id": outcome.id,
            "state": outcome.state,
            "decision": outcome.decision,
            "reason": outcome.reason,
            "report_id": outcome.report_id,
            "processed_at": outcome.at,
            "b_reporter": outcome.reporter,
        }
        if outcome.group_id is None:
            whole.append(row)
        else:
            row.update(group_id=outcome.group_id, part_number=outcome.part_number, part_content=outcome.part_content)
            parts.append(row)
    if whole:
        await connection.execute(_DECIDE, whole)
    if parts:
        await connection.execute(_DECIDE_PART, parts)


async def count_death(connection: AsyncConnection, message_id: str, change: int) -> None:
    """Counts a possible death of the process with this message alone in hand, or takes that back."""
    await connection.execute(
        update(messages)
        .where(messages.c.id == message_id, messages.c.deaths + change >= 0)
        .values(deaths=messages.c.deaths + change)
    )


async def replay(connection: AsyncConnection, ids: Sequence[str], at: int, detail: str) -> list[str]:
    """Has decided messages processed again, and notes it in their ledgers. Emptied ones cannot be. Returns which."""
    ready = messages.c.id.in_(ids) & messages.c.raw.is_not(None) & messages.c.state.not_in(("received", "assembling"))
    found = list((await connection.scalars(select(messages.c.id).where(ready).with_for_update())).all())
    if found:
        await connection.execute(
            update(messages).where(messages.c.id.in_(found)).values(state="received", deaths=0, processed_at=None)
        )
    for message_id in found:
        await note(connection, message_id, at, "replayed", detail)
    return found


async def accept(connection: AsyncConnection, ids: Sequence[str], at: int, detail: str) -> list[str]:
    """Makes held messages reports, when they are processed next; noted in their ledgers. Returns which."""
    held = messages.c.id.in_(ids) & (messages.c.state == "held") & messages.c.raw.is_not(None)
    found = list((await connection.scalars(select(messages.c.id).where(held).with_for_update())).all())
    if found:
        change = update(messages).where(messages.c.id.in_(found))
        await connection.execute(change.values(state="received", accepted_at=at, processed_at=None))
    for message_id in found:
        await note(connection, message_id, at, "accepted", detail)
    return found


async def discard(connection: AsyncConnection, ids: Sequence[str], at: int, detail: str) -> list[str]:
    """Sets held and quarantined messages aside for good; noted in their ledgers. Returns which."""
    waiting = messages.c.id.in_(ids) & messages.c.state.in_(("held", "quarantined"))
    found = list((await connection.scalars(select(messages.c.id).where(waiting).with_for_update())).all())
    if found:
        await connection.execute(update(messages).where(messages.c.id.in_(found)).values(state="discarded"))
    for message_id in found:
        await note(connection, message_id, at, "discarded", detail)
    return found


@dataclass(frozen=True, slots=True)
class Named:
    """A message that was asked for by its external id."""

    id: str
    external_id: str
    state: MessageState
    report_id: str | None


async def by_external_ids(connection: AsyncConnection, channel: str, external_ids: Collection[str]) -> list[Named]:
    """Those messages of a channel that are here."""
    query = select(messages.c.id, messages.c.external_id, messages.c.state, messages.c.report_id).where(
        messages.c.channel == channel, messages.c.external_id.in_(external_ids)
    )
    return [Named(*row) for row in await connection.execute(query)]


async def lock(connection: AsyncConnection, message_id: str) -> None:
    """Keeps other gateways from deciding about a message until the transaction ends."""
    await connection.execute(select(messages.c.id).where(messages.c.id == message_id).with_for_update())


async def erase(connection: AsyncConnection, message_id: str) -> None:
    """Removes a message's raw bytes; its key and its decision stay."""
    await connection.execute(update(messages).where(messages.c.id == message_id).values(raw=None))
    await forget_files(connection, files.c.message_id == message_id)


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A message that a report is made of, or one part of it."""

    id: str
    channel: str
    channel_type: str
    external_id: str
    decision: DecisionName
    raw: bytes
    group_id: str | None
    part_number: int | None


async def sources_of(connection: AsyncConnection, report_id: str) -> list[StoredSource]:
    """The messages that a report is made of and that are not emptied, oldest first."""
    query = (
        select(
            messages.c.id,
            messages.c.channel,
            messages.c.channel_type,
            messages.c.external_id,
            messages.c.decision,
            messages.c.raw,
            messages.c.group_id,
            messages.c.part_number,
        )
        .where(
            messages.c.report_id == report_id,
            messages.c.decision.in_(("report", "repeat", "update")),
            messages.c.raw.is_not(None),
        )
        .order_by(messages.c.id)
    )
    return [StoredSource(*row) for row in await connection.execute(query)]


async def note(connection: AsyncConnection, message_id: str, at: int, step: str, detail: str | None) -> None:
    """Adds a step that is out of the ordinary to a message's ledger."""
    await connection.execute(ledger.insert().values(id=uuid7(), message_id=message_id, at=at, step=step, detail=detail))


async def find(connection: AsyncConnection, message_id: str) -> Row[tuple[object, ...]] | None:
    """One message with all its columns."""
    return (await connection.execute(select(messages).where(messages.c.id == message_id))).one_or_none()


async def page(
    connection: AsyncConnection, *, state: str | None, channel: str | None, before: str | None, limit: int
) -> list[Row[tuple[object, ...]]]:
    """The newest messages first, without their raw bytes; ``before`` is the id that the page before ended with."""
    columns = [column for column in messages.c if column is not messages.c.raw]
    query = select(*columns).where(_chosen(state, channel)).order_by(messages.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(messages.c.id < before)
    return list((await connection.execute(query)).all())


async def count(connection: AsyncConnection, *, state: str | None, channel: str | None) -> int:
    """How many messages there are."""
    query = select(func.count()).select_from(messages).where(_chosen(state, channel))
    return int((await connection.execute(query)).scalar_one())


def _chosen(state: str | None, channel: str | None) -> ColumnElement[bool]:
    chosen: ColumnElement[bool] = true()
    if state is not None:
        chosen = chosen & (messages.c.state == state)
    if channel is not None:
        chosen = chosen & (messages.c.channel == channel)
    return chosen


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """How many messages are not simply processed, by state."""
    query = select(messages.c.state, func.count()).where(messages.c.state != "processed").group_by(messages.c.state)
    return dict((await connection.execute(query)).all())
