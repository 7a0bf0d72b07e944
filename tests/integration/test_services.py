"""The tests' own servers: they start, die, freeze and come back as the tests that use them need."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import aio_pika
import pytest

from tests.services import HOST, Service, ServiceError, wait_until
from tests.services.postgresql import PostgreSQL
from tests.services.rabbitmq import RabbitMQ

QUORUM_QUEUE = {
    "name": "reports",
    "vhost": "/",
    "durable": True,
    "auto_delete": False,
    "arguments": {"x-queue-type": "quorum"},
}
CHILD = """
import sys
from tests.services.postgresql import PostgreSQL
server = PostgreSQL(fsync=False)
server.start()
print(server.pid, server.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    """One node for all tests here, with a queue from a definitions file."""
    with RabbitMQ(definitions={"queues": [QUORUM_QUEUE]}) as node:
        yield node


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    """One cluster for all tests here."""
    with PostgreSQL() as server:
        yield server


async def publish(url: str, queue: str) -> None:
    """Publish one persistent message and await the broker's confirmation."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(on_return_raises=True)
        message = aio_pika.Message(b"text", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue, mandatory=True, timeout=20)


def silent(service: Service, hello: bytes) -> bool:
    """Whether the service takes a connection and then says nothing for a moment."""
    with socket.create_connection((HOST, service.port), 2) as connection:
        connection.sendall(hello)
        return not select.select([connection], [], [], 0.3)[0]


def gone(pid: int) -> bool:
    """Whether a process has ended, collected by its parent or not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return True


def refused(service: Service) -> bool:
    """Whether nobody listens on the service's port."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, service.port)) != 0


def test_a_broker_loads_its_definitions_and_lets_guest_in(broker: RabbitMQ) -> None:
    """The queue of the definitions file is there, and the address that tests use is valid."""
    broker.settle("reports")
    assert broker.ctl("authenticate_user", "guest", "guest") == "Success"
    assert broker.ctl("list_queues", "name", "type").splitlines()[-1].split() == ["reports", "quorum"]


def test_a_broker_listens_on_loopback_only(broker: RabbitMQ) -> None:
    """No listener of the node, its distribution included, is open to other machines."""
    addresses = broker.evaluate("[inet:sockname(P) || P <- erlang:ports(), {error, _} <- [inet:peername(P)]]")
    assert str(broker.port) in addresses
    assert "{0,0,0,0}" not in addresses
    assert "{0,0,0,0,0,0,0,0}" not in addresses


async def test_a_settled_queue_and_its_messages_survive_a_killed_broker(broker: RabbitMQ) -> None:
    """After kill -9 and a restart, ports, queue and confirmed message are as before."""
    broker.settle("reports")
    await publish(broker.url, "reports")
    url = broker.url
    broker.kill()
    assert refused(broker)
    assert not broker.running
    broker.restart()
    assert broker.url == url
    await publish(broker.url, "reports")
    assert broker.queue_depth("reports") == 2


def test_a_frozen_broker_takes_connections_and_says_nothing(broker: RabbitMQ) -> None:
    """Frozen, it neither answers nor refuses; thawed, it goes on."""
    broker.freeze()
    assert silent(broker, b"AMQP\x00\x00\x09\x01")
    broker.thaw()
    broker.wait_ready()


def test_a_broker_says_what_it_could_not_evaluate(broker: RabbitMQ) -> None:
    """A mistake in a test's Erlang is an error of the test, not an empty answer."""
    with pytest.raises(ServiceError, match="could not evaluate"):
        broker.evaluate("no_such_module:f()")


def test_a_database_survives_a_killed_server(database: PostgreSQL) -> None:
    """After kill -9 and a restart, the database made before is there."""
    url = database.create_database("kept")
    database.kill()
    assert refused(database)
    database.restart()
    assert url == database.url("kept")
    with pytest.raises(ServiceError, match="already exists"):
        database.create_database("kept")
    database.drop_database("kept")


def test_a_frozen_database_takes_connections_and_says_nothing(database: PostgreSQL) -> None:
    """Frozen, it neither answers nor refuses; thawed, it goes on."""
    database.freeze()
    assert silent(database, b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
    database.thaw()
    database.wait_ready()


def test_a_stopped_server_keeps_its_data_until_it_is_closed() -> None:
    """`stop` and `start` keep a database; `close` removes the folder."""
    server = PostgreSQL(fsync=False)
    with server:
        server.create_database("kept")
        server.stop()
        assert refused(server)
        server.start()
        server.drop_database("kept")
    assert not server.folder.exists()
    with pytest.raises(ServiceError, match="closed"):
        server.start()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing() -> None:
    """The error names the server's own reason."""
    server = PostgreSQL(fsync=False, settings={"shared_buffers": "none"})
    with pytest.raises(ServiceError, match="invalid value for parameter"), server:
        pass
    assert not server.folder.exists()


def test_a_killed_test_run_leaves_no_server_behind() -> None:
    """When the run that started a server is killed with -9, frozen server and folder go as well."""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        os.kill(int(pid), signal.SIGSTOP)
        run.kill()
    wait_until(lambda: gone(int(pid)), "the server to be killed", 15)
    wait_until(lambda: not Path(folder).exists(), "the server's folder to be removed", 15)
