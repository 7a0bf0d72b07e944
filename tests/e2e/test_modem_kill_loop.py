"""Promise 1 on the AT driver in short: a ten-slot SIM, a modem that fails, and a gateway that is killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.soak.at_modem import Plan, run
from tests.soak.dummy_phone import House, house

# Without answers: a modem that hangs or vanishes while it sends costs a minute. The long form has them, and the strict
# limit for callbacks: here one that waits for a modem, which takes seconds, is told from one on a busy machine.
PLAN = Plan(
    messages=60,
    kills=2,
    seed=5,
    plan=("fail deletes", "hang", "lose a delete's answer", "vanish", "lie on deletes"),
    pause=(0.2, 0.5),
    flow=(3, 6),
    answers=False,
    limit_ms=1000,
)


@pytest.fixture(scope="module")
def neighbours() -> Iterator[House]:
    """A broker, a database and a folder."""
    with house("sqlite") as opened:
        yield opened


def test_every_sms_becomes_one_report_and_no_callback_holds_up_the_loop(neighbours: House) -> None:
    verdict = run(PLAN, neighbours)

    assert verdict.faults == [], verdict.table()
    assert verdict.figures["modem: hang"] == verdict.figures["modem: vanish"] == 1
