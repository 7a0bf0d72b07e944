"""When to try X again: its own recovery schedule, and the other times that the channel lives by."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from channels.twitter.session import ApiError

Failure = Literal["network", "http", "limit", "operator"]

OPERATOR_STATUSES: Final = frozenset({401, 402, 403})
_LIMIT_STATUS: Final = 429


@dataclass(frozen=True, slots=True)
class Pace:
    """All times in seconds. The defaults are X's, from its guide to disconnections, and ours.

    Attributes:
        network_step: A broken connection is made again at once, then each time so much later, ...
        network_cap: ... up to this.
        http_first: After an HTTP error, doubling ...
        http_cap: ... up to this.
        limit_first: After a 429 that names no reset time, doubling ...
        limit_cap: ... up to this; a reset time farther away than this is not believed either.
        operator: What needs a person is tried again so often.
        healthy: A connection that lasted so long was a good one, and the counting starts anew.
        patience: A stream may be away so long before the channel calls itself degraded.
        lateness: A post may come so late by the stream before it counts as left out.
        apart: Posts that were left out farther apart than this show two silences.
        alive: The proof that the stream lives is written down so often.
        rules: The stream's rules are looked at so often, at a reconnect.
    """

    network_step: float = 0.25
    network_cap: float = 16.0
    http_first: float = 5.0
    http_cap: float = 320.0
    limit_first: float = 60.0
    limit_cap: float = 960.0
    operator: float = 300.0
    healthy: float = 60.0
    patience: float = 30.0
    lateness: float = 60.0
    apart: float = 60.0
    alive: float = 10.0
    rules: float = 600.0


def classify(error: ApiError) -> Failure:
    """Which part of the schedule a failure belongs to."""
    if error.status is None:
        return "network"
    if error.status in OPERATOR_STATUSES:
        return "operator"
    return "limit" if error.status == _LIMIT_STATUS else "http"


def a_little_longer() -> float:
    """A factor that keeps many clients from coming back together; never shorter than X asks for."""
    return random.uniform(1.0, 1.2)  # noqa: S311 - a pause is no secret


@dataclass(slots=True)
class Recovery:
    """Counts the failures of one path and tells the pause after each."""

    pace: Pace
    jitter: Callable[[], float] = a_little_longer
    _failures: dict[Failure, int] = field(default_factory=dict)

    def reset(self) -> None:
        """It works again."""
        self._failures.clear()

    def pause(self, error: ApiError) -> float:
        """Seconds until the next try."""
        kind = classify(error)
        before = self._failures.get(kind, 0)
        self._failures[kind] = before + 1
        return self._schedule(kind, before, error.wait) * self.jitter()

    def _schedule(self, kind: Failure, before: int, wait: float | None) -> float:
        pace = self.pace
        if kind == "network":
            return min(pace.network_cap, pace.network_step * before)
        if kind == "operator":
            return pace.operator
        doubling = 2.0 ** min(before, 16)
        if kind == "http":
            return min(pace.http_cap, pace.http_first * doubling)
        if wait is not None and 0 < wait <= pace.limit_cap:
            return wait
        return min(pace.limit_cap, pace.limit_first * doubling)
