"""Queries on ``outbox``: events that were decided and wait for the queue's confirmation."""

from collections.abc import Collection, Sequence

from sqlalchemy import Select, bindparam, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ports import OutboxEvent
from gateway.store.tables import messages, outbox

PARKED_AFTER = 5
"""Refusals of one event, while the queue took others, after which it is set aside."""

_pending = outbox.c.confirmed_at.is_(None) & outbox.c.parked_at.is_(None)


async def add(connection: AsyncConnection, events: Sequence[OutboxEvent], at: int) -> None:
    """Puts events into the outbox, in the transaction that decides them."""
    await connection.execute(
        outbox.insert(),
        [
            {
                "id": event.id,
                "report_id": event.report_id,
                "sequence": event.sequence,
                "routing_key": event.routing_key,
                "body": event.body,
                "created_at": at,
            }
            for event in events
        ],
    )


async def pending(connection: AsyncConnection, limit: int, besides: Collection[str]) -> list[OutboxEvent]:
    """The oldest events to publish: of one report only the first that is unconfirmed.

    Args:
        connection: An open transaction.
        limit: How many at most.
        besides: Ids to leave out: they are being published.
    """
    earlier = outbox.alias("earlier")
    blocked = (
        select(earlier.c.id)
        .where(
            earlier.c.report_id == outbox.c.report_id,
            earlier.c.sequence < outbox.c.sequence,
            earlier.c.confirmed_at.is_(None),
        )
        .exists()
    )
    query = (
        select(outbox.c.id, outbox.c.report_id, outbox.c.sequence, outbox.c.routing_key, outbox.c.body)
        .where(_pending, ~blocked)
        .order_by(outbox.c.id)
        .limit(limit + len(besides))
    )
    busy = set(besides)
    rows = [OutboxEvent(*row) for row in await connection.execute(query) if row[0] not in busy]
    return rows[:limit]


async def claim(connection: AsyncConnection, ids: Sequence[str]) -> set[str]:
    """Those that no other gateway is publishing and nobody has confirmed; locked until the transaction ends."""
    query = select(outbox.c.id).where(outbox.c.id.in_(ids), _pending).with_for_update(skip_locked=True)
    return set((await connection.scalars(query)).all())


async def confirm(connection: AsyncConnection, ids: Sequence[str], at: int) -> None:
    """The queue has taken these events for good."""
    body = case((outbox.c.erase, None), else_=outbox.c.body)
    await connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(confirmed_at=at, body=body))


async def erase(connection: AsyncConnection, report_ids: Collection[str] | Select[tuple[str | None]]) -> None:
    """Removes what reports' events say: at once where the queue has confirmed or refused them, else when it does."""
    # One statement: an event may be confirmed by another transaction while this one waits for it.
    body = case((_pending, outbox.c.body), else_=None)
    await connection.execute(update(outbox).where(outbox.c.report_id.in_(report_ids)).values(erase=True, body=body))


_parks = outbox.c.refusals + 1 >= PARKED_AFTER
_REFUSE = (
    update(outbox)
    .where(outbox.c.id == bindparam("b_id"))
    .values(
        refusals=outbox.c.refusals + 1,
        reason=bindparam("b_reason"),
        parked_at=case((_parks, bindparam("b_at")), else_=None),
        body=case((_parks & outbox.c.erase, None), else_=outbox.c.body),
    )
)


async def refuse(connection: AsyncConnection, refused: dict[str, str], at: int) -> list[tuple[str, str]]:
    """Counts a refusal against each event; returns those that it parks, and the message that each began with."""
    await connection.execute(
        _REFUSE, [{"b_id": id_, "b_reason": reason, "b_at": at} for id_, reason in refused.items()]
    )
    query = (
        select(outbox.c.id, func.coalesce(func.min(messages.c.id), ""))
        .outerjoin(messages, messages.c.report_id == outbox.c.report_id)
        .where(outbox.c.id.in_(refused), outbox.c.parked_at.is_not(None))
        .group_by(outbox.c.id)
        .order_by(outbox.c.id)
    )
    return [(event_id, message_id) for event_id, message_id in await connection.execute(query)]


async def count_pending(connection: AsyncConnection) -> int:
    """How many events wait for the queue."""
    return int((await connection.execute(select(func.count()).where(_pending))).scalar_one())
