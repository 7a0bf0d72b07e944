"""How much one channel may still send today: ``answers.per_channel_per_day``."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.conversation.guards import DAY
from gateway.store import conversation as rows

SURE_FOR: Final = 50
"""Sends after which the database is counted again, at the latest; another gateway may send on the channel, too."""

CLOSED_SECONDS: Final = 60.0
"""How often a budget that is used up is looked at."""


class ChannelBudget:
    """Counts what a channel has sent within 24 hours, in the database and seldom.

    Args:
        channel: The channel's name.
        per_day: Answers within 24 hours; 0 is no bound.
        max_age: How old an answer may be when it is sent.
    """

    def __init__(self, channel: str, per_day: int, max_age: timedelta) -> None:
        self._channel = channel
        self._per_day = per_day
        self._max_age = max_age
        self._sure = 0
        self._closed_until: float | None = None

    async def has_room(self, connection: AsyncConnection, now: datetime, monotonic: float) -> bool:
        """Whether one more answer may be sent. The caller sends it, or asks again.

        Args:
            connection: An open transaction.
            now: The time of day.
            monotonic: The time that never jumps, in seconds.
        """
        if self._per_day == 0:
            return True
        if self._closed_until is not None and monotonic < self._closed_until:
            return False
        self._closed_until = None
        if self._sure <= 0:
            since, oldest = to_milliseconds(now - DAY), to_milliseconds(now - DAY - self._max_age)
            room = self._per_day - await rows.attempted_since(connection, self._channel, since, oldest)
            self._sure = min(room, SURE_FOR)
            if room <= 0:
                self._closed_until = monotonic + CLOSED_SECONDS
                return False
        return True

    def spend(self) -> None:
        """An attempt begins."""
        self._sure -= 1
