"""What time it is: injected everywhere, so that tests and replays decide."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day and, for durations, a time that never jumps."""

    def now(self) -> datetime:
        """The time of day in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes backwards."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time of day in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some moment; never goes backwards."""
        return time.monotonic()


def to_milliseconds(moment: datetime) -> int:
    """The moment as whole milliseconds since 1970-01-01 UTC, the form in which the store keeps time."""
    return int(moment.timestamp() * 1000)


def from_milliseconds(milliseconds: int) -> datetime:
    """The inverse of :func:`to_milliseconds`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
