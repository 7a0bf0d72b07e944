"""A short run of the fuzz target; ``python -m tests.fuzz.parsers`` is the long one."""

import pytest

from tests.fuzz import parsers
from tests.fuzz.seeds import Target, targets


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_what_once_broke_a_parser(target: Target) -> None:
    """Every input that was kept."""
    tally = parsers.Tally()
    for raw in (*target.kept(), *target.seeds):
        parsers.tried(target, raw, tally)
    assert tally.faults == []


def test_some_mutations() -> None:
    """The same ones in every run."""
    tallies = parsers.run(60, seed=1, most=300)
    assert [tally.faults for tally in tallies.values()] == [[], [], []]
    assert all(len(tally.outcomes) > 5 for tally in tallies.values())
