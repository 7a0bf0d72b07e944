"""The vocabulary of metrics: closed, declared in one place, in Prometheus' style, and without a place for people."""

import re

import pytest
from prometheus_client import generate_latest

from gateway.model import encode, source_of
from gateway.schema import example_events
from gateway.telemetry import Declared, Metrics, metrics_page, totals

LABELS = {"channel", "decision", "outcome", "place", "stage", "state", "step"}
UNITS = ("_total", "_seconds", "_bytes", "_odds", "_keys", "_up", "_state", "_waiting", "_undelivered", "_pending")
COUNTED = ("lapor_messages", "lapor_gaps", "lapor_outbox_parked")
DECLARED = Metrics().declared


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_a_metric_is_named_in_the_style_of_prometheus(metric: Declared) -> None:
    """What it counts or its unit stands at the end; counters, and nothing else, end in _total."""
    assert re.fullmatch(r"lapor_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith(UNITS) or metric.name in COUNTED
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert set(metric.labels) <= LABELS, "a label that could hold something of a person"
    assert metric.text.endswith(".")
    assert f"| `{metric.name}` |" in metrics_page()


def test_what_is_told_is_what_is_declared() -> None:
    """No metric is made beside the list."""
    told = re.findall(r"^# TYPE (\S+) (\S+)$", generate_latest(Metrics().registry).decode(), re.MULTILINE)
    assert {(name, kind) for name, kind in told if not name.endswith("_created")} == {
        (metric.name, metric.kind) for metric in DECLARED
    }


def test_a_counter_is_added_up_for_each_channel() -> None:
    """Over its other labels, or for one value of them."""
    metrics = Metrics()
    for channel, outcome, count in (("sms", "sent", 3), ("sms", "failed", 2), ("mail", "sent", 1)):
        metrics.answers.labels(channel, outcome).inc(count)
    assert totals(metrics.answers) == {"sms": 5, "mail": 1}
    assert totals(metrics.answers, outcome="sent") == {"sms": 3, "mail": 1}


@pytest.mark.parametrize(
    ("body", "channel"),
    [
        pytest.param(encode(example_events()["received"]), "sms-1708", id="an event"),
        pytest.param(encode(example_events()["undeliverable"]), "sms-1708", id="an event with attributes of its own"),
        pytest.param(b"{}", "", id="no event"),
        pytest.param(b"x" * 500 + b'"source":"/channels/sms"', "", id="far behind what an event begins with"),
    ],
)
def test_an_event_is_counted_for_its_channel(body: bytes, channel: str) -> None:
    """Its name is found without decoding the report."""
    assert source_of(body) == channel
