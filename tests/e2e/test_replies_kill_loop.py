"""Promise 1 for replies: the gateway is killed again and again, and each reply is heard of once, on either side."""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import aio_pika

from gateway.publishers.topology import INTAKE_QUEUE, REPLIES_EXCHANGE, REPLIES_QUEUE
from gateway.store.tables import answers, reports
from tests.conftest import eventually
from tests.fakes import FakeClock, fake_message
from tests.integration.kernel import kernel_on
from tests.services.rabbitmq import RabbitMQ
from tests.soak.process import GatewayProcess

BOX = "box"
REPLIES = 120
SETTLED = "answers WHERE kind = 'reply' AND state IN ('failed', 'unknown')"
FAILED = "answers WHERE kind = 'reply' AND state = 'failed'"
KILLS = (
    ("replies", 1),
    ("replies", 60),
    (FAILED, 15),
    (FAILED, 50),
    ("outbox WHERE confirmed_at IS NOT NULL AND routing_key LIKE 'report.undeliverable.%'", 90),
)
"""At which moments the gateway is killed: when a table has so many rows."""


def count(database: Path, rows: str) -> int:
    """Rows of the gateway's store, read from outside."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])  # noqa: S608 - our own words


def free_mailbox(database: Path) -> None:
    """Spares the test the seconds for which a source stays with a dead gateway."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE leases SET expires_at = 0")


def told_of(database: Path) -> list[str]:
    """The replies that failed for good."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT reply_id FROM answers WHERE kind = 'reply' AND state = 'failed'")
        return [row[0] for row in rows]


async def publish(node: RabbitMQ, tracking_ids: Sequence[str]) -> None:
    """Every reply twice, as a core that was restarted too does."""
    async with await aio_pika.connect(node.url) as connection:
        exchange = await (await connection.channel()).get_exchange(REPLIES_EXCHANGE)
        for number, tracking_id in enumerate([*tracking_ids, *tracking_ids]):
            body = {"id": f"r{number % REPLIES}", "tracking_id": tracking_id, "text": "Selesai.", "kind": "closed"}
            message = aio_pika.Message(json.dumps(body).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await exchange.publish(message, "reply.closed", mandatory=True, timeout=20)


async def came_back(node: RabbitMQ) -> Counter[str]:
    """How many events name each reply; redeliveries of one event count once."""
    events: dict[str, str] = {}
    async with await aio_pika.connect(node.url) as connection:
        queue = await (await connection.channel()).get_queue(INTAKE_QUEUE)
        while (message := await queue.get(fail=False, no_ack=True)) is not None:
            body = json.loads(message.body)
            if body["type"] == "id.go.lapor.report.undeliverable.v1":
                events[body["id"]] = body["replyid"]
    return Counter(events.values())


async def test_each_reply_is_tried_and_reported_once_whenever_the_gateway_is_killed(
    sqlite_url: str, tmp_path: Path, rabbitmq: RabbitMQ
) -> None:
    """The channel answers nobody, so each reply has to come back: its failure and the event are one transaction."""
    async with kernel_on(sqlite_url, FakeClock()) as kernel:
        await kernel.take(*(fake_message(f"m{n}", sender=f"+62811{n:08d}") for n in range(REPLIES)), channel=BOX)
        await kernel.change(answers, answers.c.kind == "receipt", state="sent")
        tracking_ids = [row.tracking_id for row in await kernel.rows(reports)]
    (tmp_path / "mails").mkdir()
    await publish(rabbitmq, tracking_ids)
    section = {"type": "mail", "mailbox": f"maildir:{tmp_path}/mails", "address": "lapor@example.go.id"}
    database = tmp_path / "gateway.db"
    gateway = GatewayProcess(tmp_path, store_url=sqlite_url, queue_url=rabbitmq.url, channels={BOX: section})
    try:
        for rows, number in KILLS:
            gateway.start()
            await eventually(lambda rows=rows, number=number: count(database, rows) >= number, f"{number} {rows}")
            gateway.kill()
            free_mailbox(database)
        gateway.start()
        await eventually(lambda: count(database, SETTLED) == REPLIES, "every reply to be settled")
        await eventually(
            lambda: count(database, "outbox WHERE confirmed_at IS NULL") == 0, "every event to be published"
        )
        await eventually(lambda: rabbitmq.queue_depth(REPLIES_QUEUE) == 0, "every reply to be acknowledged")
    finally:
        gateway.close()
    assert count(database, "replies") == count(database, "answers WHERE kind = 'reply'") == REPLIES
    assert await came_back(rabbitmq) == Counter(told_of(database))
    assert REPLIES - count(database, FAILED) <= len(KILLS)  # under way at a kill: nobody knows, and no event says so
