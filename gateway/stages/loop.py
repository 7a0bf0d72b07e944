"""Repeats one step of a stage for ever: back-off, its cap, and a reason that an operator can see."""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.clock import Clock
from gateway.errors import GatewayError, NeedsOperator
from gateway.ports import ChannelState
from gateway.silence import Quiet
from gateway.telemetry import Log, Metrics, logger

FIRST_PAUSE: Final = 0.2
LAST_PAUSE: Final = 30.0


class Backoff:
    """Pauses that double up to a cap, each shortened at random so that many callers do not come back together.

    Args:
        first: The first pause in seconds.
        cap: The longest pause in seconds.
    """

    def __init__(self, first: float = FIRST_PAUSE, cap: float = LAST_PAUSE) -> None:
        self._first = first
        self._cap = cap
        self._failures = 0

    def reset(self) -> None:
        """The step works again."""
        self._failures = 0

    def next(self) -> float:
        """The pause before the next try, in seconds."""
        pause = min(self._cap, self._first * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return pause * random.uniform(0.75, 1.0)  # noqa: S311 - a pause is no secret


@dataclass(slots=True)
class Condition:
    """How one component is, since when, and why."""

    state: ChannelState
    reason: str
    since: datetime


@dataclass(slots=True)
class Turn:
    """One step under way. ``moved_at`` is the monotonic time of its beginning, or of its last progress."""

    clock: Clock
    moved_at: float


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


def progressed() -> None:
    """Says, from inside a step that may rightly take long, that it does not stand still."""
    turn = _turn.get()
    if turn is not None:
        turn.moved_at = turn.clock.monotonic()


@dataclass(slots=True)
class Board:
    """What the console shows of the gateway's own components: one condition each, and the steps under way."""

    clock: Clock
    metrics: Metrics
    conditions: dict[str, Condition] = field(default_factory=dict)
    turns: dict[str, Turn] = field(default_factory=dict)
    quiet: dict[str, Quiet] = field(default_factory=dict)
    """The channels that are improbably silent, by name."""

    def report(self, component: str, state: ChannelState, reason: str) -> bool:
        """Notes a condition. Returns whether the state is another than before."""
        known = self.conditions.get(component)
        if known is not None and known.state == state:
            known.reason = reason
            return False
        self.conditions[component] = Condition(state, reason, self.clock.now())
        return True


async def repeat(
    component: str,
    step: Callable[[], Awaitable[None]],
    board: Board,
    *,
    cap: float = LAST_PAUSE,
    only: tuple[type[Exception], ...] = (Exception,),
) -> None:
    """Runs ``step`` again and again until cancelled. A step that fails is tried again after a pause.

    Args:
        component: What the board calls it.
        step: One unit of work; it waits for work by itself.
        board: Where its condition is shown.
        cap: The longest pause in seconds.
        only: The errors after which it is tried again; any other is raised.
    """
    backoff = Backoff(cap=cap)
    while True:
        try:
            await _take_turn(component, step, board)
        except only as error:
            report_failure(component, error, board)
            await asyncio.sleep(backoff.next())
        else:
            backoff.reset()
            if board.report(component, "up", ""):
                logger.debug(Log.STAGE_RECOVERED, component=component)


async def _take_turn(component: str, step: Callable[[], Awaitable[None]], board: Board) -> None:
    turn = Turn(board.clock, board.clock.monotonic())
    board.turns[component] = turn
    _turn.set(turn)
    try:
        await step()
    finally:
        board.turns.pop(component, None)


def report_failure(component: str, error: Exception, board: Board) -> None:
    """Shows a failure on the board and, when it is a new one, in the log."""
    board.metrics.step_failures.labels(component).inc()
    if isinstance(error, GatewayError):
        state: ChannelState = "needs_operator" if isinstance(error, NeedsOperator) else "down"
        if board.report(component, state, str(error)):
            logger.warning(Log.STAGE_FAILED, component=component, reason=str(error))
        return
    board.report(component, "down", f"An error in the gateway itself ({type(error).__name__}); see the log.")
    logger.error(Log.STAGE_CRASHED, component=component, error=type(error).__name__, frames=frames(error))


def frames(error: BaseException) -> list[str]:
    """Where an error comes from, without its text: that could hold a message or a phone number."""
    return [f"{frame.name}:{frame.lineno} {frame.filename}" for frame in traceback.extract_tb(error.__traceback__)]
