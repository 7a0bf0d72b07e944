"""Tries the queue: the login, exchanges and queues, and who reads from them."""

from gateway.errors import GatewayError
from gateway.findings import Finding, tried
from gateway.publishers import look_at_queues, make_publisher
from gateway.publishers.inspection import QueueFigures
from gateway.publishers.topology import EXCHANGES, INTAKE_QUEUE, QUEUES, REPLIES_QUEUE
from gateway.settings import Settings


async def check_queue(settings: Settings) -> list[Finding]:
    """What was found of the queue; only that it cannot be opened, where it cannot."""
    opened = await tried("queue", _open(settings))
    if opened.state == "failed":
        return [opened]
    try:
        figures = await look_at_queues(settings.queue)
    except GatewayError as error:
        return [opened, Finding("queue", "failed", str(error))]
    return [opened, *map(_judge, figures)]


async def _open(settings: Settings) -> str:
    publisher = make_publisher(settings.queue)
    try:
        await publisher.open()
    finally:
        await publisher.close()
    shown = settings.queue.url.rpartition("@")[2]
    if shown.startswith("journal:"):
        return f"{shown} can be written to."
    exchanges, queues = ", ".join(each.name for each in EXCHANGES), ", ".join(each.name for each in QUEUES)
    return f"RabbitMQ at {shown} lets us in; exchanges {exchanges} and queues {queues} are there."


def _judge(queue: QueueFigures) -> Finding:
    subject = f"queue {queue.name}"
    counted = f"{queue.messages} messages wait, {queue.consumers} consumers read."
    if queue.name == INTAKE_QUEUE and queue.consumers == 0:
        return Finding(subject, "weak", f"{counted} Nobody reads the reports: see that the core intake service runs.")
    if queue.name not in (INTAKE_QUEUE, REPLIES_QUEUE) and queue.messages:
        return Finding(subject, "weak", f"{counted} They were refused: look at them, mend the cause, and move them.")
    return Finding(subject, "ok", counted)
