"""Rates for the page: what took each step lately, today, and in each quarter of an hour of the last day."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.store import rates
from gateway.store.rates import Bucket

SPAN_SECONDS: Final = 900
POINTS: Final = 96
"""Points of a series: 24 hours; the last one is the quarter of an hour that is not over yet."""

LATELY_MINUTES: Final = 5
ALL: Final = ""
"""Stands for all channels together."""

Key = tuple[str, str]
"""A channel, or :data:`ALL`, and a step."""


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours: read seldom.

    Attributes:
        since: The beginning of each series, in milliseconds.
        series: Messages in each quarter of an hour, oldest first.
        today: Messages since midnight.
    """

    since: int
    series: Mapping[Key, tuple[int, ...]]
    today: Mapping[Key, int]

    def points(self, channel: str, step: str) -> tuple[int, ...]:
        """One series."""
        return self.series.get((channel, step), (0,) * POINTS)


async def read_day(connection: AsyncConnection, now: datetime, zone: tzinfo) -> Day:
    """Reads the last 24 hours, and today in the operators' time zone."""
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    wide = SPAN_SECONDS * 1000
    at = to_milliseconds(now)
    since = at - at % wide - (POINTS - 1) * wide
    first = min(since, to_milliseconds(midnight))
    rows = await rates.since(connection, rates.FIVE_MINUTES, first, rates.STEPS, span=SPAN_SECONDS)
    series: dict[Key, list[int]] = {}
    for row in rows:
        point = (row.since - since) // wide
        if 0 <= point < POINTS:
            for channel in (row.channel, ALL):
                series.setdefault((channel, row.step), [0] * POINTS)[point] += row.count
    today = [row for row in rows if row.since >= to_milliseconds(midnight)]
    return Day(since, {key: tuple(points) for key, points in series.items()}, summed(today))


async def read_per_minute(connection: AsyncConnection, now: datetime) -> Mapping[Key, float]:
    """Messages a minute over the last five minutes."""
    begin = (now - timedelta(minutes=LATELY_MINUTES - 1)).replace(second=0, microsecond=0)
    rows = await rates.since(connection, rates.MINUTE, to_milliseconds(begin), rates.STEPS)
    minutes = (now - begin) / timedelta(minutes=1)
    return {key: count / minutes for key, count in summed(rows).items()}


def summed(rows: Sequence[Bucket]) -> Counter[Key]:
    """The counts of each channel and of all together."""
    found: Counter[Key] = Counter()
    for row in rows:
        found[row.channel, row.step] += row.count
        found[ALL, row.step] += row.count
    return found
