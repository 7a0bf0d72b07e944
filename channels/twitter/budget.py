"""How often the stream may be connected: X refuses more than 50 connects in 15 minutes."""

from collections.abc import Iterable
from typing import Final, Self

import msgspec

WINDOW_MS: Final = 15 * 60 * 1000


class ConnectBudget:
    """The connects of the last 15 minutes. Half of the budget is spent freely, the other half evenly.

    Spending it evenly means that after a storm of failures there is always a connect left soon. The times are those
    of the day, since they outlive the process.

    Args:
        limit: Connects in 15 minutes, at most.
        times: When the known connects were tried, in milliseconds.
    """

    def __init__(self, limit: int, times: Iterable[int] = ()) -> None:
        self._limit = limit
        self._times = sorted(times)

    @classmethod
    def load(cls, limit: int, saved: str | None) -> Self:
        """From what :meth:`dump` made."""
        return cls(limit, msgspec.json.decode(saved, type=list[int]) if saved else ())

    def dump(self) -> str:
        """For the store; written before each connect, so that it counts whatever happens then."""
        return msgspec.json.encode(self._times).decode()

    def used(self, now: int) -> int:
        """Connects within the 15 minutes up to now."""
        self._forget(now)
        return len(self._times)

    def wait(self, now: int) -> float:
        """Seconds until the next connect is allowed."""
        used = self.used(now)
        if used < max(1, self._limit // 2):
            return 0.0
        allowed = self._times[-1] + WINDOW_MS / self._limit
        if used >= self._limit:
            allowed = max(allowed, self._times[-self._limit] + WINDOW_MS)
        return max(0.0, (allowed - now) / 1000)

    def spend(self, now: int) -> None:
        """A connect is about to be tried."""
        self._forget(now)
        self._times.append(now)

    def _forget(self, now: int) -> None:
        """Drops what is over; a time ahead of now, from before the clock was set back, counts as now."""
        self._times = [min(time, now) for time in self._times if time > now - WINDOW_MS]
