"""The exchanges and queues on RabbitMQ: declared at start, and exported for the broker's own definitions file."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

REPORTS_EXCHANGE: Final = "lapor.reports"
INTAKE_QUEUE: Final = "lapor.intake"
REPLIES_EXCHANGE: Final = "lapor.replies"
REPLIES_QUEUE: Final = "lapor.gateway.replies"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange."""

    name: str
    type: Literal["topic", "fanout"]


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable quorum queue and its binding."""

    name: str
    exchange: str
    routing_key: str
    arguments: dict[str, Any] = field(default_factory=dict)


EXCHANGES: Final = (
    Exchange(REPORTS_EXCHANGE, "topic"),
    Exchange("lapor.reports.dead", "fanout"),
    Exchange(REPLIES_EXCHANGE, "topic"),
    Exchange("lapor.replies.dead", "fanout"),
)


def _quorum(dead_letter_exchange: str | None = None) -> dict[str, Any]:
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    if dead_letter_exchange:
        # At-least-once dead lettering needs reject-publish (RabbitMQ documentation, "Quorum Queues", Dead Lettering).
        arguments |= {
            "x-dead-letter-exchange": dead_letter_exchange,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    return arguments


QUEUES: Final = (
    Queue(INTAKE_QUEUE, REPORTS_EXCHANGE, "report.#", _quorum("lapor.reports.dead")),
    Queue("lapor.intake.dead", "lapor.reports.dead", "", _quorum()),
    Queue(REPLIES_QUEUE, REPLIES_EXCHANGE, "reply.#", _quorum("lapor.replies.dead")),
    Queue("lapor.gateway.replies.dead", "lapor.replies.dead", "", _quorum()),
)


def definitions() -> dict[str, Any]:
    """The topology in the form that ``rabbitmqctl import_definitions`` loads."""
    return {
        "vhosts": [{"name": "/"}],
        "exchanges": [
            {
                "name": exchange.name,
                "vhost": "/",
                "type": exchange.type,
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {},
            }
            for exchange in EXCHANGES
        ],
        "queues": [
            {
                "name": queue.name,
                "vhost": "/",
                "durable": True,
                "auto_delete": False,
                "arguments": queue.arguments,
            }
            for queue in QUEUES
        ],
        "bindings": [
            {
                "source": queue.exchange,
                "vhost": "/",
                "destination": queue.name,
                "destination_type": "queue",
                "routing_key": queue.routing_key,
                "arguments": {},
            }
            for queue in QUEUES
        ],
    }
