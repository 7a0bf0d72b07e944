"""The times at which X is tried again: its recovery schedule, and the budget of connects."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.twitter.backoff import Pace, Recovery
from channels.twitter.budget import WINDOW_MS, ConnectBudget
from channels.twitter.session import ApiError

NOW = 1_800_000_000_000


def recovery() -> Recovery:
    return Recovery(Pace(), jitter=lambda: 1.0)


def pauses(error: ApiError, count: int) -> list[float]:
    one = recovery()
    return [one.pause(error) for _ in range(count)]


def test_a_broken_connection_is_made_again_at_once_then_later_and_later() -> None:
    found = pauses(ApiError(None, "closed"), 100)
    assert found[:4] == [0, 0.25, 0.5, 0.75]
    assert found[-1] == 16
    assert found == sorted(found)


def test_http_errors_double() -> None:
    assert pauses(ApiError(503, "x"), 8) == [5, 10, 20, 40, 80, 160, 320, 320]


def test_limits_double_unless_x_says_when() -> None:
    assert pauses(ApiError(429, "x"), 6) == [60, 120, 240, 480, 960, 960]
    assert pauses(ApiError(429, "x", wait=33.0), 2) == [33, 33]
    assert pauses(ApiError(429, "x", wait=0.0), 2) == [60, 120]
    assert pauses(ApiError(429, "x", wait=1e9), 2) == [60, 120]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_what_needs_a_person_is_tried_slowly(status: int) -> None:
    assert pauses(ApiError(status, "x"), 3) == [300, 300, 300]


def test_a_good_connection_starts_the_counting_anew() -> None:
    one = recovery()
    assert [one.pause(ApiError(None, "x")) for _ in range(3)] == [0, 0.25, 0.5]
    one.reset()
    assert one.pause(ApiError(None, "x")) == 0


def test_the_jitter_never_shortens() -> None:
    assert all(60 <= Recovery(Pace()).pause(ApiError(429, "x")) <= 72 for _ in range(100))


@given(st.integers(1, 50), st.lists(st.integers(0, 60_000), max_size=200))
def test_the_budget_holds_whatever_happens(limit: int, patience: list[int]) -> None:
    """Every connect waits as long as it is told to, or longer; the process dies after each."""
    now, times, saved = NOW, [], None
    for extra in patience:
        budget = ConnectBudget.load(limit, saved)
        now += extra
        while (wait := budget.wait(now)) > 0:
            now += max(1, int(wait * 1000))
        budget.spend(now)
        times.append(now)
        saved = budget.dump()
    for position, time in enumerate(times):
        assert sum(time - WINDOW_MS < other <= time for other in times[: position + 1]) <= limit


def test_half_of_the_budget_is_free_and_the_rest_is_even() -> None:
    budget, now, times = ConnectBudget(40), NOW, []
    for _ in range(120):
        now += int(budget.wait(now) * 1000 + 0.999)
        budget.spend(now)
        times.append(now)
    assert times[19] == NOW
    assert all(20_000 <= later - before <= 25_000 for before, later in pairwise(times[19:38]))
    assert budget.used(now) <= 40


def test_a_clock_that_was_set_back_blocks_no_longer_than_a_window() -> None:
    budget = ConnectBudget(2, [NOW + 10 * WINDOW_MS] * 2)
    assert 0 < budget.wait(NOW) <= WINDOW_MS / 1000
    assert budget.wait(NOW + WINDOW_MS) == 0
