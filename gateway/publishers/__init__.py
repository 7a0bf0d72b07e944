"""The queue: where events go, and where the core's replies come from. RabbitMQ, or a journal file when embedded."""

from gateway.ports import Publisher
from gateway.publishers.amqp import AmqpPublisher
from gateway.publishers.inspection import QueueFigures, inspect
from gateway.publishers.journal import JournalPublisher
from gateway.publishers.replies import AmqpReplies
from gateway.settings.model import QueueSettings

_JOURNAL = "journal:"


def make_publisher(settings: QueueSettings) -> Publisher:
    """The publisher that ``queue.url`` names."""
    if settings.url.startswith(_JOURNAL):
        return JournalPublisher(settings.url.removeprefix(_JOURNAL))
    return AmqpPublisher(settings)


def make_replies(settings: QueueSettings) -> AmqpReplies | None:
    """What reads the core's replies from ``queue.url``; None for a journal, by which nobody can reply."""
    return None if settings.url.startswith(_JOURNAL) else AmqpReplies(settings)


async def look_at_queues(settings: QueueSettings) -> tuple[QueueFigures, ...]:
    """How RabbitMQ's queues of ours are; none for a journal. Raises BrokerUnavailable or NeedsOperator."""
    return () if settings.url.startswith(_JOURNAL) else await inspect(settings)


__all__ = ["AmqpPublisher", "AmqpReplies", "JournalPublisher", "look_at_queues", "make_publisher", "make_replies"]
