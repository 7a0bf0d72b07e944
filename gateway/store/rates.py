"""Queries on ``rates``: how many messages took each step, in spans of a minute, five minutes and an hour."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.sql import insert_into
from gateway.store.tables import rates

Step = Literal["received", "processed", "published", "answered"]
"""What is counted of messages: taken into custody, decided, confirmed by the queue as an event, sent as an answer."""

STEPS: Final[tuple[Step, ...]] = get_args(Step)
LISTENED: Final = "listened"
"""Counted in seconds: how long a channel was there to receive. Only then is it silent when nothing comes."""

MINUTE: Final = 60
FIVE_MINUTES: Final = 300
HOUR: Final = 3600
KEPT_SECONDS: Final[Mapping[int, int]] = {MINUTE: 1800, FIVE_MINUTES: 25 * HOUR, HOUR: 36 * 24 * HOUR}
"""How long the rows of each width are kept: half an hour, 25 hours, and five weeks with a day to spare."""

Counted = Mapping[tuple[str, str], int]
"""By channel and step."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was counted in one span of time that begins at ``since``, in milliseconds."""

    since: int
    channel: str
    step: str
    count: int


async def add(connection: AsyncConnection, counted: Counted, at: int) -> None:
    """Adds to what was counted before, by this process or another.

    Args:
        connection: An open transaction.
        counted: What has come since the last time.
        at: The moment in milliseconds that it is counted for.
    """
    rows = [
        {"width": width, "since": at - at % (width * 1000), "channel": channel, "step": step, "count": count}
        for width in KEPT_SECONDS
        for (channel, step), count in sorted(counted.items())  # two gateways wait for each other in one order only
        if count
    ]
    if not rows:
        return
    statement = insert_into(connection, rates)
    total = rates.c.count + statement.excluded.count
    await connection.execute(
        statement.on_conflict_do_update(index_elements=list(rates.primary_key), set_={"count": total}), rows
    )


async def since(
    connection: AsyncConnection, width: int, first: int, steps: Collection[str], *, span: int | None = None
) -> list[Bucket]:
    """What was counted from a moment on, oldest first.

    Args:
        connection: An open transaction.
        width: Of the rows, in seconds.
        first: The moment in milliseconds; the row that it falls into is the first.
        steps: Which steps.
        span: Seconds that each answered bucket covers; the rows' width where left out.
    """
    wide = (width if span is None else span) * 1000
    begin = rates.c.since - rates.c.since % wide
    query = (
        select(begin, rates.c.channel, rates.c.step, func.sum(rates.c.count))
        .where(rates.c.width == width, rates.c.since >= first - first % wide, rates.c.step.in_(steps))
        .group_by(begin, rates.c.channel, rates.c.step)
        .order_by(begin, rates.c.channel, rates.c.step)
    )
    return [Bucket(at, channel, step, int(count)) for at, channel, step, count in await connection.execute(query)]


async def forget(connection: AsyncConnection, now: int) -> int:
    """Removes rows that are older than their width is kept. Returns how many."""
    gone = 0
    for width, kept in KEPT_SECONDS.items():
        old = (rates.c.width == width) & (rates.c.since < now - kept * 1000)
        gone += (await connection.execute(delete(rates).where(old))).rowcount
    return gone
