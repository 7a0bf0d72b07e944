"""Queries on ``leases``: which process may read a source that bears only one reader."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import LeaseLost
from gateway.store.sql import database_now, insert_into
from gateway.store.tables import leases


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to read one channel's source. Whoever takes it over raises the epoch."""

    channel: str
    epoch: int


async def acquire(connection: AsyncConnection, channel: str, holder: str, seconds: float) -> Lease | None:
    """Takes a channel's lease when it is free or has expired; None while another process holds it.

    A holder that could not give it back takes it again, under a new epoch. On SQLite it is always free: the database
    belongs to one process, so whoever held it before is gone.
    """
    now = database_now(connection)
    statement = insert_into(connection, leases).values(
        channel=channel, holder=holder, epoch=1, expires_at=now + _milliseconds(seconds)
    )
    free = true() if connection.dialect.name == "sqlite" else (leases.c.expires_at < now) | (leases.c.holder == holder)
    taken = statement.on_conflict_do_update(
        index_elements=[leases.c.channel],
        set_={"holder": holder, "epoch": leases.c.epoch + 1, "expires_at": now + _milliseconds(seconds)},
        where=free,
    ).returning(leases.c.epoch)
    epoch = (await connection.execute(taken)).scalar_one_or_none()
    return None if epoch is None else Lease(channel, epoch)


async def renew(connection: AsyncConnection, lease: Lease, seconds: float) -> None:
    """Holds a lease for so many seconds more. Raises LeaseLost when another process has it."""
    statement = update(leases).where(_is(lease)).values(expires_at=database_now(connection) + _milliseconds(seconds))
    if (await connection.execute(statement)).rowcount == 0:
        raise lost(lease.channel)


async def release(connection: AsyncConnection, lease: Lease) -> None:
    """Lets another process have it at once. The epoch stays, so that the next one's is higher."""
    await connection.execute(update(leases).where(_is(lease)).values(expires_at=0))


async def still_held(connection: AsyncConnection, held: Collection[Lease]) -> set[Lease]:
    """Those leases that nobody has taken over; nobody can until the transaction ends."""
    query = select(leases.c.channel, leases.c.epoch).where(leases.c.channel.in_({lease.channel for lease in held}))
    found = {Lease(*row) for row in await connection.execute(query.with_for_update(read=True))}
    return found & set(held)


async def check(connection: AsyncConnection, lease: Lease | None) -> None:
    """Raises LeaseLost when another process has taken a lease over; a channel without one may always write."""
    if lease is not None and not await still_held(connection, [lease]):
        raise lost(lease.channel)


def lost(channel: str) -> LeaseLost:
    """The error that ends whatever a former holder does."""
    return LeaseLost(f"channels.{channel}: another gateway reads this source now.")


def _is(lease: Lease) -> ColumnElement[bool]:
    return (leases.c.channel == lease.channel) & (leases.c.epoch == lease.epoch)


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
