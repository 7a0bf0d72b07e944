"""The closed vocabulary of log events and metrics; nothing else is logged or counted.

No event carries a phone number, an address or a message's text: a test feeds marked messages through the whole
gateway and looks for the marks.
"""

import logging
import sys
from enum import StrEnum
from typing import Any

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


class Metrics:
    """Counters and gauges, one set for each gateway in a process.

    Names follow the Prometheus conventions: a unit at the end, ``_total`` for counters; labels hold no personal data.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # What the receive stage committed, and what the unique key dropped.
        self.received = self._counter("messages_received", "Messages taken into custody.", ["channel"])
        self.redelivered = self._counter("messages_redelivered", "Messages that were already here.", ["channel"])
        # What the process stage decided.
        self.decided = self._counter("messages_decided", "Messages decided.", ["channel", "decision"])
        # The outbox.
        self.published = self._counter("events_confirmed", "Events that the queue confirmed.", [])
        self.published_total = 0
        self.refused = self._counter("events_refused", "Refusals of single events by the queue.", [])
        self.outbox_pending = self._gauge("outbox_pending", "Events that wait for the queue.", [])
        # Answers to citizens.
        self.answers = self._counter("answers", "Answers by what became of them.", ["channel", "outcome"])
        # The core's replies. Outcomes: queued, withheld (X is public), silenced, undeliverable, redelivered; of dead
        # letters: too_long, malformed, unknown, expired, failed.
        self.replies = self._counter("replies", "Replies of the core by what became of them.", ["outcome"])
        # Faults.
        self.step_failures = self._counter("step_failures", "Steps that failed and are tried again.", ["step"])
        self.channel_up = self._gauge("channel_up", "1 while the channel's state is up.", ["channel"])
        self.gaps = self._gauge("gaps", "Times in which a source may have had more than came.", ["channel", "state"])
        self.commit_seconds = Histogram(
            "lapor_commit_seconds",
            "Time to commit one batch.",
            ["stage"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
        )

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(f"lapor_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: list[str]) -> Gauge:
        return Gauge(f"lapor_{name}", text, labels, registry=self.registry)


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
    logging.basicConfig(level=logging.ERROR, format="%(name)s: %(levelname)s", stream=sys.stderr)
    for noisy in ("aiormq", "aio_pika"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("gateway")
"""The gateway's log; its first argument is always a :class:`Log`."""
