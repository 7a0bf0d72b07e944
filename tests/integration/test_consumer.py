"""The consumer that ``queue/README.md`` shows, and the definitions beside it, on a real RabbitMQ."""

import asyncio
import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import aio_pika

from gateway.ports import OutboxEvent
from gateway.publishers import AmqpPublisher
from gateway.schema import generated_files
from gateway.settings.model import QueueSettings
from tests.services.rabbitmq import RabbitMQ

README = Path(__file__).parents[2] / "queue" / "README.md"


def _cases(database: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT sequence, body FROM cases").fetchall()


async def _eventually(database: Path, sequence: int) -> list[tuple[int, str]]:
    async with asyncio.timeout(60):
        while True:
            try:
                cases = await asyncio.to_thread(_cases, database)
            except sqlite3.OperationalError:
                cases = []
            if cases and cases[0][0] == sequence:
                return cases
            await asyncio.sleep(0.05)


async def test_the_consumer_of_the_readme_survives_redelivery_and_disorder(tmp_path: Path) -> None:
    """Copied as it stands, it handles each event once and keeps the newest state of a report."""
    files = generated_files()
    received, updated = (files[f"queue/examples/{kind}.json"].encode() for kind in ("received", "updated"))
    with RabbitMQ(definitions=json.loads(files["queue/definitions.json"])) as broker:
        publisher = AmqpPublisher(QueueSettings(url=broker.url))
        await publisher.open()  # the definitions are what the gateway declares, or this would be refused
        events = [
            OutboxEvent(json.loads(body)["id"], "", 1, "report.received.sms", body)
            for body in (received, updated, received, updated)
        ]
        for event in events:
            assert (await publisher.publish([event])).confirmed == (event.id,)
        code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
        assert code is not None
        script = tmp_path / "consumer.py"
        script.write_text(code[1].replace("amqp://guest:guest@127.0.0.1/", broker.url), encoding="utf-8")
        consumer = await asyncio.create_subprocess_exec(sys.executable, str(script), cwd=tmp_path)
        try:
            ((sequence, body),) = await _eventually(tmp_path / "core.db", sequence=2)
        finally:
            consumer.kill()
            await consumer.wait()
        assert sequence == 2
        assert json.loads(body)["complete"] is True
        await publisher.close()


async def test_what_a_consumer_rejects_is_found_in_the_dead_letter_queue() -> None:
    """Nothing that the core cannot handle disappears."""
    with RabbitMQ() as broker:
        publisher = AmqpPublisher(QueueSettings(url=broker.url))
        await publisher.open()
        await asyncio.to_thread(broker.settle, "lapor.intake.dead")
        body = generated_files()["queue/examples/received.json"].encode()
        await publisher.publish([OutboxEvent(json.loads(body)["id"], "", 1, "report.received.sms", body)])
        connection = await aio_pika.connect(broker.url)
        async with connection:
            channel = await connection.channel()
            message = await (await channel.get_queue("lapor.intake")).get(timeout=20)
            assert message is not None
            await message.reject(requeue=False)
            dead = await channel.get_queue("lapor.intake.dead")
            async with asyncio.timeout(30):
                while (found := await dead.get(fail=False)) is None:
                    await asyncio.sleep(0.05)
            assert found.body == body
        await publisher.close()
