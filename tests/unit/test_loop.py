"""The loop that every stage runs in: it outlives errors, tells why, and never repeats an error's text in the log."""

import asyncio
import random
from collections.abc import Callable

import pytest
import structlog

from gateway.clock import SystemClock
from gateway.errors import NeedsOperator, StoreFull, StoreUnavailable
from gateway.stages import loop
from gateway.stages.loop import Backoff, Board, repeat
from gateway.telemetry import Log, Metrics


@pytest.fixture
def board() -> Board:
    """An empty board."""
    return Board(SystemClock(), Metrics())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.0)


class _Script:
    """A step that raises what it is told, one after the other, and then stops the loop."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self._outcomes = list(outcomes)
        self.seen: list[tuple[str, str]] = []

    async def step(self, board: Board) -> None:
        if "stage" in board.conditions:
            condition = board.conditions["stage"]
            self.seen.append((condition.state, condition.reason))
        if not self._outcomes:
            raise asyncio.CancelledError
        outcome = self._outcomes.pop(0)
        if outcome is not None:
            raise outcome


async def _run(board: Board, script: _Script) -> None:
    with pytest.raises(asyncio.CancelledError):
        await repeat("stage", lambda: script.step(board), board)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (StoreUnavailable("The database does not answer."), "down", "The database does not answer."),
        (NeedsOperator("Plug it in."), "needs_operator", "Plug it in."),
        (StoreFull("Free some space."), "needs_operator", "Free some space."),
        (ValueError("nomor 0811"), "down", "An error in the gateway itself (ValueError); see the log."),
    ],
)
async def test_a_failing_step_is_tried_again_and_shown(board: Board, error: Exception, state: str, reason: str) -> None:
    """The error's class decides the state, its sentence is the reason, and the step's next success clears it."""
    script = _Script(error, None, None)
    await _run(board, script)
    assert script.seen == [(state, reason), ("up", ""), ("up", "")]


async def test_an_error_that_is_not_meant_for_it_is_raised(board: Board) -> None:
    """A channel's trouble ends the loop of its stage, so that the channel is opened anew."""
    script = _Script(NeedsOperator("The SIM asks for its PIN."))
    with pytest.raises(NeedsOperator):
        await repeat("stage", lambda: script.step(board), board, only=(StoreUnavailable,))


async def test_a_bug_is_logged_with_its_frames_and_without_its_text(board: Board) -> None:
    """The text of an error may hold a citizen's number."""
    with structlog.testing.capture_logs() as logs:
        await _run(board, _Script(ValueError("+628110000001 Jalan rusak")))
    (crash,) = [entry for entry in logs if entry["event"] == Log.STAGE_CRASHED]
    assert crash["error"] == "ValueError"
    assert any("test_loop.py" in frame for frame in crash["frames"])
    assert "0811" not in str(logs)
    assert "Jalan" not in str(logs)


async def test_a_failure_that_lasts_is_logged_once(board: Board) -> None:
    """An hour without the broker must not fill the disk."""
    with structlog.testing.capture_logs() as logs:
        await _run(board, _Script(*[StoreUnavailable("away")] * 50))
    assert len([entry for entry in logs if entry["event"] == Log.STAGE_FAILED]) == 1
    assert board.metrics.registry.get_sample_value("lapor_step_failures_total", {"step": "stage"}) == 50


@pytest.fixture
def real_backoff(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Backoff]:
    """Back-offs as they are, without the dice."""
    monkeypatch.undo()
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    return Backoff


def test_pauses_double_up_to_the_cap_and_start_again(real_backoff: Callable[..., Backoff]) -> None:
    """Nobody is hammered, and nobody waits for ever."""
    backoff = real_backoff(first=1.0, cap=10.0)
    assert [backoff.next() for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    backoff.reset()
    assert backoff.next() == 1.0


def test_a_year_of_failures_does_not_overflow(real_backoff: Callable[..., Backoff]) -> None:
    """Doubling has to end somewhere."""
    backoff = real_backoff(first=1.0, cap=30.0)
    assert {backoff.next() for _ in range(5000)} == {1.0, 2.0, 4.0, 8.0, 16.0, 30.0}
