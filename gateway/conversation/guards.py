"""Decides when the gateway keeps silent: too many answers to one reporter, a flood, the quiet hours of the night.

Two machines that answer each other stop at these bounds, whatever they say; so does the bill. Silence concerns answers
only: every message is taken into custody and published all the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

DAY: Final = timedelta(hours=24)
FLOOD: Final = timedelta(minutes=10)
"""The span of time in which answers are counted to tell a flood."""


@dataclass(frozen=True, slots=True)
class Told:
    """How often a reporter was answered.

    Attributes:
        day: Answers of all kinds within 24 hours.
        lately: Receipts and answers to commands within ten minutes.
    """

    day: int = 0
    lately: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a reporter is answered at most: within 24 hours, and within ten minutes."""

    per_day: int
    flood: int


def allowed(recipients: Sequence[str], told: Mapping[str, Told], limits: Limits) -> list[bool]:
    """Which answers of a batch go out.

    Where those of the batch would make a flood, only the first goes out, and none if there was one lately: the
    citizen knows then that we hear, and the rest would only cost.

    Args:
        recipients: To whom each answer would go, in order.
        told: What each was answered before; whoever is missing was not.
        limits: The bounds.
    """
    wanted = Counter(recipients)
    given: Counter[str] = Counter()
    decisions: list[bool] = []
    for recipient in recipients:
        before = told.get(recipient, Told())
        flood = before.lately + wanted[recipient] > limits.flood
        goes = before.day + given[recipient] < limits.per_day and not (flood and before.lately + given[recipient])
        given[recipient] += goes
        decisions.append(goes)
    return decisions


def quiet_until(now: datetime, hours: str, zone: tzinfo) -> datetime | None:
    """When the quiet hours end that a moment lies in, in UTC; None outside of them.

    Args:
        now: The moment, with a zone.
        hours: ``21:00-06:00``, checked before; the end is no longer quiet. Empty: never quiet.
        zone: Where the citizens sleep.
    """
    if not hours:
        return None
    begin, end = (time.fromisoformat(each) for each in hours.split("-"))
    local = now.astimezone(zone)
    at = local.time()
    if begin < end:
        quiet, over_night = begin <= at < end, False
    else:
        quiet, over_night = at >= begin or at < end, at >= begin
    if not quiet:
        return None
    day = local.date() + timedelta(days=1) if over_night else local.date()
    return datetime.combine(day, end, zone).astimezone(UTC)
