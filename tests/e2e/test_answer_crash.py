"""Promise 6 in short: `kill -9` between sending an answer and committing that; long: tests/soak/answer_crash.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.services.rabbitmq import RabbitMQ
from tests.soak.answer_crash import Outcome, faults, run
from tests.soak.mortal_gateway import Moment

BOTH_SIDES: tuple[Moment, ...] = ("after sending", "before sending", "after the commit")
LOOKING: tuple[Moment, ...] = ("after sending", "after looking", "before sending")


@pytest.mark.parametrize(
    ("channel", "moments", "told", "states"),
    [
        # What went out is found among the account's own posts, and what did not is posted then.
        ("twitter", LOOKING, [1, 1, 1, 1, 1], {"sent": 5}),
        # A mail cannot be looked for: it is not sent again, and shown as unknown whether it went out or not.
        ("email", BOTH_SIDES, [0, 1, 1, 1, 1], {"unknown": 2, "sent": 3}),
        # An SMS that was under way goes once more, whether it had gone out or not.
        ("sms", ("after sending", "after the commit", "before sending"), [1, 1, 1, 1, 2], {"sent": 5}),
    ],
)
async def test_a_gateway_that_dies_around_a_sending_doubles_nothing_but_one_sms(
    channel: str,
    moments: Sequence[Moment],
    told: list[int],
    states: dict[str, int],
    tmp_path: Path,
    rabbitmq: RabbitMQ,
) -> None:
    """Counted by X, the mail server and the modem themselves."""
    outcome = await run(channel, moments, tmp_path, rabbitmq)
    assert faults(channel, outcome) == []
    assert outcome.deaths == list(moments)
    assert (sorted(outcome.times), outcome.states) == (told, Counter(states))


# -- the judge itself: one that finds nothing proves nothing

DIED: tuple[Moment, ...] = ("after sending", "before sending")


@pytest.mark.parametrize(
    ("channel", "told", "unknown", "fault"),
    [
        ("sms", [1, 1, 2], 0, ""),
        ("sms", [0, 1, 2], 1, ""),
        ("sms", [1, 1, 3], 0, "told more often than 2 times: [1, 1, 3]"),
        ("sms", [1, 2, 2], 0, "2 doubled, 1 deaths after sending"),
        ("email", [0, 1, 1], 2, ""),
        ("email", [1, 1, 2], 0, "told more often than 1 times: [1, 1, 2]"),
        ("email", [0, 0, 1], 2, "2 citizens were told nothing"),
        ("email", [0, 1, 1], 3, "3 answers are unknown"),
        ("twitter", [1, 1, 1], 0, ""),
        ("twitter", [0, 1, 1], 0, "1 citizens were told nothing"),
        ("twitter", [1, 1, 1], 1, "1 answers are unknown"),
    ],
)
def test_a_broken_promise_is_noticed(channel: str, told: Sequence[int], unknown: int, fault: str) -> None:
    """By what each citizen was told."""
    by_citizen = {f"warga {place}": Counter({f"#{place}": times}) for place, times in enumerate(told)}
    found = faults(channel, Outcome(list(DIED), by_citizen, Counter(unknown=unknown)))
    assert found == ([fault] if fault else [])
