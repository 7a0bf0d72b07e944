"""Promise 1 in short: SMS go through the dummy phone while gateway and broker are killed, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.soak.citizens import Sms
from tests.soak.dummy_phone import House, Life, Plan, house, run
from tests.soak.intake import Event
from tests.soak.verdict import RECEIVED, WITHDRAWN, judge

# The second gateway dies while it starts, the others at work; the broker dies and freezes meanwhile.
LIVES = (Life(0.3, at_work=True), Life(1.0), Life(0.05, at_work=True), Life(0.8, at_work=True))
PLAN = Plan(
    messages=300,
    kills=4,
    seed=7,
    lives=LIVES,
    broker_plan=("kill", "freeze"),
    broker_pause=(0.5, 1.5),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def neighbours(request: pytest.FixtureRequest) -> Iterator[House]:
    """A broker, a database and a folder."""
    with house(request.param) as opened:
        yield opened


def test_every_message_is_on_the_queue_once_whatever_is_killed(neighbours: House) -> None:
    verdict = run(PLAN, neighbours)

    assert verdict.faults == [], verdict.table()
    assert verdict.figures["broker: kill"] == verdict.figures["broker: freeze"] == 1


# -- the judge itself: one that finds nothing proves nothing

FIRST = Sms("ZBBBBBZ", "+6281100000001", "jalan ZBBBBBZ", "jalan ZBBBBBZ", datetime(2026, 11, 1, tzinfo=UTC), ())
SECOND = Sms("ZCBBBBZ", FIRST.sender, "lampu ZCBBBBZ", "lampu ZCBBBBZ", FIRST.sent_at, ())
SMS, OTHER = FIRST.report, SECOND.report
EVENT = Event("m-1", "m-1", RECEIVED, 1, "r-1", "1000000008", SMS.text, SMS.sender, complete=True)
NEXT = replace(EVENT, message_id="m-2", event_id="m-2", report_id="r-2", tracking_id="1000000016", text=OTHER.text)


def test_a_redelivery_is_counted_and_forgiven() -> None:
    verdict = judge([SMS, OTHER], [EVENT, NEXT, EVENT])

    assert verdict.faults == []
    assert verdict.figures["redeliveries (same message_id)"] == 1


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([EVENT], "missing tokens: ZCBBBBZ"),
        ([EVENT, NEXT, replace(EVENT, message_id="m-3", event_id="m-3", report_id="r-3")], "doubled tokens: ZBBBBBZ"),
        ([EVENT, NEXT, replace(EVENT, message_id="m-3", event_id="m-3", sequence=2)], "doubled tokens: ZBBBBBZ"),
        ([replace(EVENT, text="jalan ZBBBBBZ ZCBBBBZ"), NEXT], "reports with other than one token: r-1"),
        ([replace(EVENT, complete=False), NEXT], "wrong or incomplete texts: ZBBBBBZ complete=False"),
        ([replace(EVENT, sender=""), NEXT], "wrong or incomplete texts: ZBBBBBZ"),
        ([EVENT, replace(NEXT, tracking_id=EVENT.tracking_id)], "tracking IDs of two reports: 1000000008"),
        (
            [replace(EVENT, sequence=2), NEXT, replace(EVENT, message_id="m-3", type="updated", sequence=1)],
            "sequences that go backwards: r-1 1",
        ),
        ([replace(EVENT, type=WITHDRAWN, text=""), NEXT], "missing tokens: ZBBBBBZ"),
        (
            [EVENT, NEXT, replace(EVENT, message_id="m-3", event_id="m-3", type=WITHDRAWN, sequence=2, text="")],
            "wrong or incomplete texts: ZBBBBBZ complete=True withdrawn ''",
        ),
    ],
)
def test_a_broken_promise_is_noticed(events: list[Event], fault: str) -> None:
    assert any(found.startswith(fault) for found in judge([SMS, OTHER], events).faults)
