"""Queries on ``blocked_senders`` and ``pauses``: what holds until an operator says otherwise."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Column, Table, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.sql import insert_new
from gateway.store.tables import blocked_senders, pauses


@dataclass(frozen=True, slots=True)
class Order:
    """What was ordered, and when (ms); ``key`` names a channel, or is a sender's hashed key."""

    key: str
    since: int
    operator: str
    reason: str


async def block(connection: AsyncConnection, order: Order) -> bool:
    """What a sender writes is ignored from now on; False where it was already."""
    return await _give(connection, blocked_senders, blocked_senders.c.reporter, order)


async def unblock(connection: AsyncConnection, reporter: str) -> bool:
    """Takes that back; False where the sender was not blocked."""
    return await _take_back(connection, blocked_senders, blocked_senders.c.reporter, reporter)


async def blocked(connection: AsyncConnection, reporters: Collection[str]) -> set[str]:
    """Which of these senders are blocked, by their keys."""
    query = select(blocked_senders.c.reporter).where(blocked_senders.c.reporter.in_(reporters))
    return set((await connection.scalars(query)).all())


async def all_blocked(connection: AsyncConnection, limit: int) -> list[Order]:
    """The senders that are blocked, the newest first."""
    query = select(blocked_senders).order_by(blocked_senders.c.since.desc(), blocked_senders.c.reporter).limit(limit)
    return [Order(*row) for row in await connection.execute(query)]


async def pause(connection: AsyncConnection, order: Order) -> bool:
    """A channel rests from now on, whichever process runs it; False where it did already."""
    return await _give(connection, pauses, pauses.c.channel, order)


async def resume(connection: AsyncConnection, channel: str) -> bool:
    """Takes that back; False where the channel was not paused."""
    return await _take_back(connection, pauses, pauses.c.channel, channel)


async def paused(connection: AsyncConnection, channel: str) -> Order | None:
    """The order by which a channel rests, or None."""
    row = (await connection.execute(select(pauses).where(pauses.c.channel == channel))).one_or_none()
    return None if row is None else Order(*row)


async def all_paused(connection: AsyncConnection) -> dict[str, Order]:
    """The orders by which channels rest, by the channel's name."""
    return {row.channel: Order(*row) for row in await connection.execute(select(pauses))}


async def _give(connection: AsyncConnection, table: Table, key: Column[str], order: Order) -> bool:
    values = {key.name: order.key, "since": order.since, "operator": order.operator, "reason": order.reason}
    statement = insert_new(connection, table).values(values).returning(key)
    return (await connection.execute(statement)).first() is not None


async def _take_back(connection: AsyncConnection, table: Table, key: Column[str], name: str) -> bool:
    return (await connection.execute(delete(table).where(key == name))).rowcount == 1
