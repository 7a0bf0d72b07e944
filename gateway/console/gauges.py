"""Sets the metrics that are no counters from a snapshot."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from gateway.console.snapshot import Snapshot
from gateway.ports import ChannelState
from gateway.telemetry import Metrics


def set_gauges(metrics: Metrics, snapshot: Snapshot) -> None:
    """Everything that ``/metrics`` tells of the moment."""
    for state, count in snapshot.messages.items():
        metrics.messages.labels(state).set(count.number)
    for step in snapshot.pipeline:
        if step.name != "received":  # nothing waits for that here
            metrics.oldest.labels(step.name).set(step.oldest_seconds or 0)
    metrics.outbox_pending.set(snapshot.broker.waiting.number)
    metrics.outbox_parked.set(snapshot.broker.parked.number)
    for state, count in snapshot.answers.items():
        if state != "waiting":
            metrics.answers_undelivered.labels(state).set(count.number)
    metrics.broker_up.set(snapshot.broker.state == "up")
    metrics.store_up.set(snapshot.store.reachable)
    metrics.store_seconds.set(snapshot.store.answer_seconds)
    for place, free in snapshot.store.free.items():
        metrics.free_bytes.labels(place).set(free)
    for channel in snapshot.channels:
        _set_channel(metrics, channel)


def _set_channel(metrics: Metrics, channel: Mapping[str, Any]) -> None:
    name = channel["name"]
    for state in get_args(ChannelState):
        metrics.channel_state.labels(name, state).set(channel["state"] == state)
    for state, count in channel["gap_counts"].items():
        metrics.gaps.labels(name, state).set(count)
    metrics.answers_waiting.labels(name).set(channel["answers_waiting"]["number"])
    metrics.channel_quiet.labels(name).set(channel["details"].get("silence", {}).get("odds", 0))
    if channel["last_message_at"] is not None:
        metrics.channel_last.labels(name).set(datetime.fromisoformat(channel["last_message_at"]).timestamp())
