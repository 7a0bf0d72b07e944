"""What the tests share: one private RabbitMQ, one PostgreSQL, a fresh database of either kind for each test."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest
from psycopg import sql

from gateway.publishers.topology import QUEUES, definitions
from gateway.store import Store
from gateway.store.migrate import ensure_schema
from tests.fakes import FakeClock
from tests.services.postgresql import PostgreSQL
from tests.services.rabbitmq import RabbitMQ

DEADLINE = 30.0
"""Seconds after which a condition that a test waits for has failed; only ever reached by a failure."""

LARGEST_MESSAGE = 200_000
"""Bytes that the tests' broker takes in one message, few enough for a test to exceed."""

_names = itertools.count(1)

# How long an example takes says something about the machine, nothing about the code.
hypothesis.settings.register_profile("steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("steady")


async def eventually(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], what: str) -> None:
    """Waits until a condition holds."""
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                answer = condition()
                if answer is True or (not isinstance(answer, bool) and await answer):
                    return
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"waited {DEADLINE:g} s in vain for: {what}")


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """One broker for the whole session, with our queues settled."""
    limit = f"{{max_message_size, {LARGEST_MESSAGE}}}"
    with RabbitMQ(definitions=definitions(), settings=(limit,)) as node:
        for queue in QUEUES:
            node.settle(queue.name)
        yield node


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One cluster for the whole session."""
    with PostgreSQL(fsync=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgresql_template(postgresql: PostgreSQL) -> str:
    """The name of a database with the newest schema, to copy from."""
    asyncio.run(_migrate(postgresql.create_database("template_lapor")))
    return "template_lapor"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the newest schema, to copy from."""
    path = tmp_path_factory.mktemp("template") / "gateway.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL, postgresql_template: str) -> Iterator[str]:
    """A fresh database on PostgreSQL, with the newest schema."""
    with _database(postgresql, postgresql_template) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A fresh database on SQLite, with the newest schema."""
    shutil.copy(sqlite_template, tmp_path / "gateway.db")
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each kind in turn, with the newest schema."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    with _database(request.getfixturevalue("postgresql"), "template1") as url:
        yield url


@contextmanager
def _database(cluster: PostgreSQL, template: str) -> Iterator[str]:
    name = f"test_{next(_names)}"
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")  # ten times faster here than through the log
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(copy.format(*map(sql.Identifier, (name, template))))
    yield cluster.url(name)
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _migrate(url: str) -> None:
    store = Store(url)
    await ensure_schema(store)
    await store.close()


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open database."""
    opened = Store(store_url)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until it is moved."""
    return FakeClock()
