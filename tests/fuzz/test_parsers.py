"""Short runs of the fuzz target; ``python -m tests.fuzz.parsers`` is the long one."""

import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Quarantine
from tests.fuzz import parsers
from tests.fuzz.targets import Target, targets

TARGETS = {target.name: target for target in targets()}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_what_once_broke_a_parser_and_every_seed(target: Target) -> None:
    """Every input that was kept."""
    tally = parsers.Tally()
    for raw in (*target.faults, *target.seeds):
        parsers.tried(target, raw, tally)
    assert tally.faults == []


def test_some_mutations_most_of_which_are_read() -> None:
    """The same ones in every run."""
    hunts = parsers.run(60, seed=1, most=300)
    assert [hunt.tally.faults for hunt in hunts] == [[], [], [], []]
    assert all(len(hunt.tally.outcomes) > 5 for hunt in hunts)
    assert all(hunt.tally.quarantined < 150 for hunt in hunts)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(chance=st.randoms(use_true_random=False))
def test_mutations_that_hypothesis_chooses_and_shrinks(name: str, chance: random.Random) -> None:
    """Whatever a parser is given, it says what the message says, or quarantines it."""
    target = TARGETS[name]
    raw = target.mutated(chance.choice(target.built_in), chance.choice(target.built_in), chance)
    with suppress(Quarantine):
        target.parse(raw)
