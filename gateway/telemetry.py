"""The closed vocabulary of log events and metrics; nothing else is logged or counted.

No event carries a phone number, an address or a message's text: a test feeds marked messages through the whole
gateway and looks for the marks.
"""

import json
import logging
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Log(StrEnum):
    """Log events. The comment says when it is written and what an operator does about it."""

    STARTED = "gateway.started"  # every stage runs
    STOPPED = "gateway.stopped"  # after an orderly end
    STOP_TIMEOUT = "gateway.stop_timeout"  # something did not end within pipeline.stop_timeout and was cut off
    STAGE_FAILED = "stage.failed"  # a stage's step failed and is tried again; `reason` says why
    STAGE_RECOVERED = "stage.recovered"  # the same step works again
    STAGE_CRASHED = "stage.crashed"  # a bug: the stage is started again; send the traceback to the developers
    CHANNEL_STATE = "channel.state"  # a channel's state has changed; `reason` says what to do
    MODEM_KILLED = "modem.killed"  # a call to the modem overran its deadline; its process was ended and restarted
    MESSAGE_QUARANTINED = "message.quarantined"  # look at it with `lapor-gateway messages show ID`
    EVENT_PARKED = "event.parked"  # the queue refused one event five times; `reason` is the queue's
    ANSWER_FAILED = "answer.failed"  # a citizen could not be answered
    REPLY_REJECTED = "reply.rejected"  # replies of the core went to lapor.gateway.replies.dead; `reason` says why
    BROKER_STATE = "broker.state"  # the connection to the queue came or went
    RETENTION = "store.retention"  # old messages were emptied
    LIBRARY = "library.error"  # a library logged an error of its own; its text may quote a citizen and is left out


_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
_BOUNDED: Final = "; 10,000 stands for that many and more"
_METRICS_PAGE: Final = """\
# Metrics

What `/metrics` tells Prometheus, all of it. Labels hold names of channels, steps and states, never anything of a
person. Counters begin at zero with the process; with several gateways each tells of its own work, while gauges that
count rows tell of the database that they share. This page is generated from the code.

| name | kind | labels | meaning |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric as the documentation shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


class Metrics:
    """Counters and gauges, one set for each gateway in a process.

    Names follow the Prometheus conventions: a unit at the end, ``_total`` for counters. Labels hold no personal data:
    names of channels, steps and states only. ``docs/metrics.md`` is made from ``declared``. Counters begin at zero with
    the process; gauges are set when somebody asks for ``/metrics`` or the console.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.declared: list[Declared] = []
        self._declare_pipeline()
        self._declare_answers()
        self._declare_channels()
        self._declare_outside()

    def _declare_pipeline(self) -> None:
        self.received = self._counter("messages_received", "Messages taken into custody.", ["channel"])
        self.redelivered = self._counter(
            "messages_redelivered", "Messages that the source brought again and that were here already.", ["channel"]
        )
        self.decided = self._counter(
            "messages_decided",
            "Messages decided; `decision` is report, repeat, update, withdrawn, command, held, ignored or quarantined.",
            ["channel", "decision"],
        )
        self.similar = self._counter("reports_similar", "New reports that name similar ones by other people.", [])
        self.index = self._gauge("dedup_index_keys", "Keys in memory by which repeats are found.", [])
        self.published = self._counter("events_confirmed", "Events that the queue confirmed.", ["channel"])
        self.published_total = 0
        self.refused = self._counter("events_refused", "Refusals of single events by the queue.", [])
        self.outbox_pending = self._gauge("outbox_pending", f"Events that wait for the queue{_BOUNDED}.", [])
        self.outbox_parked = self._gauge("outbox_parked", f"Events that the queue refused five times{_BOUNDED}.", [])
        self.messages = self._gauge(
            "messages", f"Messages that are not done: received, assembling, held, quarantined{_BOUNDED}.", ["state"]
        )
        self.oldest = self._gauge(
            "oldest_waiting_seconds",
            "Age of what has waited longest for a step (processed, published, answered); 0 where nothing waits.",
            ["step"],
        )
        self.step_failures = self._counter("step_failures", "Steps that failed and are tried again.", ["step"])
        self.commit_seconds = self._histogram("commit_seconds", "Time to commit one batch.", ["stage"])

    def _declare_answers(self) -> None:
        self.answers = self._counter(
            "answers",
            "Answers by what became of them: sent, failed, expired, or unknown (nobody can tell).",
            ["channel", "outcome"],
        )
        self.answers_waiting = self._gauge("answers_waiting", f"Answers to be sent{_BOUNDED}.", ["channel"])
        self.answers_undelivered = self._gauge(
            "answers_undelivered",
            f"Answers of the last 7 days that failed, expired, or are unknown{_BOUNDED}.",
            ["state"],
        )
        self.replies = self._counter(
            "replies",
            "Replies of the core: queued, withheld (X is public), silenced, undeliverable, redelivered; or dead"
            " letters: too_long, malformed, unknown, expired, failed.",
            ["outcome"],
        )

    def _declare_channels(self) -> None:
        self.channel_up = self._gauge("channel_up", "1 while the channel's state is up.", ["channel"])
        self.channel_state = self._gauge(
            "channel_state",
            "1 for the state that the channel is in: up, degraded, down, paused or needs_operator.",
            ["channel", "state"],
        )
        self.channel_last = self._gauge(
            "channel_last_message_timestamp_seconds", "When the channel last brought a message.", ["channel"]
        )
        self.channel_quiet = self._gauge(
            "channel_quiet_odds", "1 in so many: the odds against so long a silence; 0 where it is usual.", ["channel"]
        )
        self.gaps = self._gauge(
            "gaps",
            "Times in which a source may have had more than came: open, closed, recovered, lost.",
            ["channel", "state"],
        )

    def _declare_outside(self) -> None:
        self.broker_up = self._gauge("broker_up", "1 while events can be published.", [])
        self.confirm_seconds = self._histogram("confirm_seconds", "Time until the queue has confirmed a batch.", [])
        self.store_up = self._gauge("store_up", "1 while the database answers.", [])
        self.store_seconds = self._gauge("store_answer_seconds", "Time in which the database answered.", [])
        self.free_bytes = self._gauge(
            "free_bytes",
            "Room on the disk of the database (embedded ones only), the journal, and the files.",
            ["place"],
        )

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        self.declared.append(Declared(f"lapor_{name}_total", "counter", tuple(labels), text))
        return Counter(f"lapor_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        self.declared.append(Declared(f"lapor_{name}", "gauge", tuple(labels), text))
        return Gauge(f"lapor_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: list[str]) -> Histogram:
        self.declared.append(Declared(f"lapor_{name}", "histogram", tuple(labels), text))
        return Histogram(f"lapor_{name}", text, labels, registry=self.registry, buckets=_SECONDS)


def totals(counter: Counter, **only: str) -> dict[str, int]:
    """What a counter has counted for each channel, over its other labels, since the process began.

    Args:
        counter: One with the label ``channel``.
        only: Values that other labels must have.
    """
    found: dict[str, int] = {}
    for metric in counter.collect():
        for sample in metric.samples:
            if sample.name.endswith("_total") and only.items() <= sample.labels.items():
                channel = sample.labels["channel"]
                found[channel] = found.get(channel, 0) + int(sample.value)
    return found


def metrics_page() -> str:
    """``docs/metrics.md``."""
    lines = [_METRICS_PAGE]
    for metric in sorted(Metrics().declared, key=lambda metric: metric.name):
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |\n")
    return "".join(lines)


def configure_logging(level: str, style: str) -> None:
    """Sets up structlog: one line an event on standard error, JSON or text."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # The libraries' own lines, without their texts: what matters of them is on the board and in our events.
    plain = "%(name)s: %(levelname)s"
    as_json = json.dumps({"event": Log.LIBRARY, "logger": "%(name)s", "level": "%(levelname)s", "time": "%(asctime)s"})
    logging.basicConfig(level=logging.ERROR, format=as_json if style == "json" else plain, stream=sys.stderr)
    for noisy in ("aiormq", "aio_pika"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway")
"""The gateway's log; its first argument is always a :class:`Log`."""
