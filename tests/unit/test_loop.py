"""A stage's loop: what fails is tried again, ever more slowly, and the operator reads why."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from gateway.errors import ChannelUnavailable, NeedsOperator, StoreUnavailable
from gateway.stages.loop import Backoff, Board, repeat
from gateway.telemetry import Metrics
from tests.fakes import FakeClock

MARK = "+6281100000099"
"""Stands for a phone number in the text of an error that is none of ours."""


@pytest.fixture
def logs() -> Iterator[LogCapture]:
    """Everything that is logged, at every level."""
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


@pytest.fixture
def board(clock: FakeClock) -> Board:
    """An empty board."""
    return Board(clock, Metrics())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the loop asked for; none is made."""
    asked: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        asked.append(seconds)
        await sleep(0)

    monkeypatch.setattr("gateway.stages.loop.asyncio.sleep", note)
    return asked


async def run(board: Board, *outcomes: Exception | None, **options: Any) -> None:
    """Repeats a step that ends as told, until there is nothing more to tell."""
    left = iter(outcomes)
    end = asyncio.Event()

    async def step() -> None:
        try:
            outcome = next(left)
        except StopIteration:
            end.set()
            await asyncio.Event().wait()
        if outcome is not None:
            raise outcome

    task = asyncio.create_task(repeat("part", step, board, **options))
    ended = asyncio.create_task(end.wait())
    await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    ended.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    if not isinstance(result, asyncio.CancelledError) and result is not None:
        raise result


def test_pauses_double_up_to_a_cap() -> None:
    """Each is shortened by a quarter at most, and none is longer than the cap, however many failures."""
    backoff = Backoff(first=0.2, cap=30.0)
    for expected in [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, *[30.0] * 5000]:
        assert expected * 0.75 <= backoff.next() <= expected


def test_after_a_success_pauses_begin_anew() -> None:
    """The first pause is short again."""
    backoff = Backoff(first=0.2, cap=30.0)
    for _ in range(10):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 0.2


async def test_a_step_that_fails_is_tried_again_after_a_pause(board: Board, pauses: list[float]) -> None:
    """Two failures are two pauses, a success none, and the next failure has the first pause again."""
    away = StoreUnavailable("The database does not answer.")
    await run(board, away, away, None, away)
    assert [round(pause / (0.2 * factor), 2) <= 1 for pause, factor in zip(pauses, (1, 2, 1), strict=True)] == [
        True
    ] * 3
    assert pauses[1] >= 0.2 * 2 * 0.75


async def test_the_cap_of_the_pauses_can_be_set(board: Board, pauses: list[float]) -> None:
    """As ``queue.retry_cap`` does."""
    await run(board, *[StoreUnavailable("away")] * 8, cap=0.3)
    assert max(pauses) <= 0.3


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (StoreUnavailable("The database does not answer."), "down", "The database does not answer."),
        (ChannelUnavailable("The modem is gone."), "down", "The modem is gone."),
        (NeedsOperator("Free some space."), "needs_operator", "Free some space."),
        (ValueError(MARK), "down", "An error in the gateway itself (ValueError); see the log."),
    ],
)
async def test_the_board_shows_what_an_operator_should_do(
    board: Board, pauses: list[float], error: Exception, state: str, reason: str
) -> None:
    """State and sentence follow from the class of the error."""
    await run(board, error)
    assert len(pauses) == 1
    assert (board.conditions["part"].state, board.conditions["part"].reason) == (state, reason)


async def test_a_step_that_works_again_is_shown_as_up(board: Board, pauses: list[float]) -> None:
    """With no reason, and since now."""
    await run(board, StoreUnavailable("away"), None)
    assert len(pauses) == 1
    assert (board.conditions["part"].state, board.conditions["part"].reason) == ("up", "")


async def test_a_failure_is_logged_once_until_it_is_over(board: Board, pauses: list[float], logs: LogCapture) -> None:
    """An outage of hours is one line, its end another; every failure is counted."""
    await run(board, *[StoreUnavailable("away")] * 50, None)
    assert len(pauses) == 50
    assert [entry["event"] for entry in logs.entries] == ["stage.failed", "stage.recovered"]
    assert board.metrics.step_failures.labels("part")._value.get() == 50  # noqa: SLF001 - the library has no getter


async def test_a_crash_is_logged_with_its_place_and_without_its_text(
    board: Board, pauses: list[float], logs: LogCapture
) -> None:
    """The text of an error that is none of ours may hold a phone number."""
    await run(board, ValueError(MARK))
    assert len(pauses) == 1
    (entry,) = logs.entries
    assert (entry["event"], entry["error"]) == ("stage.crashed", "ValueError")
    assert any(frame.startswith("step:") for frame in entry["frames"])
    assert MARK not in str(logs.entries) + str(board.conditions)


async def test_other_errors_than_named_end_the_loop(board: Board, pauses: list[float]) -> None:
    """A channel's own failure goes to whoever opens it anew."""
    with pytest.raises(ChannelUnavailable):
        await run(board, StoreUnavailable("away"), ChannelUnavailable("gone"), only=(StoreUnavailable,))
    assert len(pauses) == 1


def test_a_condition_keeps_its_time_while_its_state_stays(board: Board, clock: FakeClock) -> None:
    """``since`` is when the state began; the reason is the newest."""
    began = clock.now()
    assert board.report("part", "down", "first")
    clock.advance(minutes=1)
    assert not board.report("part", "down", "second")
    assert (board.conditions["part"].since, board.conditions["part"].reason) == (began, "second")
    assert board.report("part", "up", "")
    assert board.conditions["part"].since == clock.now()
