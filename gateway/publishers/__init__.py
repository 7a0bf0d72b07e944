"""Where events go: RabbitMQ, or a journal file when the queue is embedded."""

from gateway.ports import Publisher
from gateway.publishers.amqp import AmqpPublisher
from gateway.publishers.journal import JournalPublisher
from gateway.settings.model import QueueSettings


def make_publisher(settings: QueueSettings) -> Publisher:
    """The publisher that ``queue.url`` names."""
    if settings.url.startswith("journal:"):
        return JournalPublisher(settings.url.removeprefix("journal:"))
    return AmqpPublisher(settings)


__all__ = ["AmqpPublisher", "JournalPublisher", "make_publisher"]
