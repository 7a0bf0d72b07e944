"""Promise 1 on X in short: the stream, the answers and the gateway fail, and every post is one report, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.ports import Gap
from tests.soak.dummy_phone import House, house
from tests.soak.verdict import Verdict
from tests.soak.x import Plan, run
from tests.soak.x_steps import external_id, malformed_lines
from tests.soak.x_verdict import (
    Ledger,
    Span,
    Stored,
    StreamTruth,
    judge_gaps,
    judge_times_without,
    uncovered,
)

# The long form has X's other faults; see tests/soak/x.py.
PLAN = Plan(
    posts=180,
    steps=("mute", "503 with HTML + kill", "malformed lines", "blackout", "kill at the start", "answers lost + kill"),
    seed=3,
    pace={
        "http_first": 0.5,
        "limit_first": 1.0,
        "operator": 1.0,
        "lateness": 1.0,
        "alive": 0.5,
        "patience": 5.0,
        "rules": 20.0,
    },
    section={"search_minutes": 0.05, "silence_seconds": 1.0, "recheck_hours": 0.001},
    crowd_pace=40.0,
)


@pytest.fixture(scope="module")
def neighbours() -> Iterator[House]:
    """A broker, a database and a folder."""
    with house("sqlite") as opened:
        yield opened


def test_every_post_is_one_report_and_every_gap_is_on_record(neighbours: House) -> None:
    verdict = run(PLAN, neighbours)

    assert verdict.faults == [], verdict.table()
    assert verdict.figures["kills of the gateway"] == 4
    assert verdict.figures["malformed lines"] == len(malformed_lines(0))


# -- the judge of the gaps itself

START = datetime(2026, 11, 1, 8, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment of the run."""
    return START + timedelta(seconds=seconds)


AWAY: Span = (at(10), at(20))
GAP = Gap("stream", at(9.8), at(20.1), "recovered", "The stream ended: a reset.", 1)
POST = Stored("m-1", "processed", "report", "r-1", by_search=True)
TRUTH = StreamTruth(away=[AWAY], only_search={"15": at(15)}, lateness=4.0, alive=1.0)


def faults_of(*gaps: Gap) -> list[str]:
    """What is wrong with a list of gaps."""
    verdict = Verdict()
    ledger = Ledger({"15": POST}, gaps, {})
    judge_gaps(verdict, ledger, TRUTH)
    judge_times_without(verdict, ledger, TRUTH.away, 1.0)
    return verdict.faults


def test_a_true_list_of_gaps_is_not_blamed() -> None:
    assert faults_of(GAP) == []


@pytest.mark.parametrize(
    ("gaps", "fault"),
    [
        ([], "times without a stream that are in no gap: 08:00:10"),
        ([], "posts that only search brought, in no gap: 15"),
        ([replace(GAP, until=at(15))], "times without a stream that are in no gap: 08:00:10"),
        ([replace(GAP, found=0)], "too few found: 0 of 1"),
        ([replace(GAP, found=2)], "too many found: 2 of 1"),
        ([replace(GAP, state="open", until=None)], "gaps that are not recovered: stream 08:00:09"),
        ([replace(GAP, since=at(5))], "gaps over times in which everything was delivered: stream 08:00:05"),
        ([GAP, replace(GAP, since=at(40), until=at(45))], "gaps over times in which everything was delivered"),
        ([GAP, replace(GAP, path="search")], "gaps of search: search"),
    ],
)
def test_an_untrue_list_of_gaps_is_noticed(gaps: list[Gap], fault: str) -> None:
    assert any(found.startswith(fault) for found in faults_of(*gaps))


def test_what_of_a_time_no_other_covers() -> None:
    assert uncovered(AWAY, []) == timedelta(seconds=10)
    assert uncovered(AWAY, [(at(0), at(12)), (at(11), at(13)), (at(18), at(30))]) == timedelta(seconds=5)
    assert uncovered(AWAY, [(at(5), at(25))]) == timedelta(0)


def test_broken_lines_are_told_apart_by_what_the_channel_calls_them() -> None:
    names = {external_id(line) for number in (0, 16) for line in malformed_lines(number)}
    assert len(names) == 2 * len(malformed_lines(0))
