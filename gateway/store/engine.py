"""Opens the database and runs transactions on it; SQLite and PostgreSQL with the same code above this module.

SQLite (WAL, ``synchronous=FULL``) belongs to one gateway process: one connection writes, in the order of asking, and
the others read. PostgreSQL may be shared by several.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.errors import GatewayError, NeedsOperator, SettingsError, StoreFull, StoreUnavailable
from gateway.store.files import FileFolder

DEFAULT_FILES: Final = "var/files"
TRANSACTION_TIMEOUT: Final = 60.0
"""Seconds after which a transaction is given up; far more than any batch needs."""

_SQLITE_BUSY_TIMEOUT: Final = 30_000
_SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA busy_timeout={_SQLITE_BUSY_TIMEOUT}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA wal_autocheckpoint=4000",  # 16 MiB: fewer, larger writes into the database file
)
_SQLITE_WRITER_CACHE: Final = "PRAGMA cache_size=-65536"  # 64 MiB: the indexes of a busy month stay in memory
_SQLITE_READER_CACHE: Final = "PRAGMA cache_size=-4096"  # every commit empties it: more would be memory for nothing


_POSTGRESQL_ARGUMENTS: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "tcp_user_timeout": 30_000,
}
T = TypeVar("T")


class Store:
    """A database that is open, and the folder of files beside it.

    Args:
        url: As in ``store.url``.
        files: As in ``store.files``.
    """

    def __init__(self, url: str, files: str = DEFAULT_FILES) -> None:
        self.url = make_url(url)
        self.files = FileFolder(files)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._lock_file: int | None = None
        self._writing = asyncio.Lock()
        self._writer: AsyncEngine = _engine(self.url, writer=True)
        self._reader: AsyncEngine = _engine(self.url, writer=False) if self.is_sqlite else self._writer

    @property
    def shown_url(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True)

    def own(self) -> None:
        """Makes this process the only gateway on an SQLite database, until it ends.

        Raises:
            NeedsOperator: Another gateway runs on it.
        """
        if not self.is_sqlite:
            return
        path = f"{self.url.database}.lock"
        self._lock_file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"store.url: another gateway is running on {self.url.database}; stop it first."
            raise NeedsOperator(message) from error

    async def check_durability(self) -> None:
        """Refuses a PostgreSQL that acknowledges commits before they are safe.

        Raises:
            NeedsOperator: ``synchronous_commit`` is off.
        """
        if self.is_sqlite:
            return
        async with self.read() as connection:
            setting = (await connection.execute(text("SHOW synchronous_commit"))).scalar_one()
        if setting == "off":
            message = "store.url: PostgreSQL runs with synchronous_commit=off, which can lose messages; turn it on."
            raise NeedsOperator(message)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            StoreUnavailable: The database does not answer, or not in time.
            StoreFull: There is no room left.
        """
        if self.is_sqlite:
            async with self._writing, self._transaction(self._writer) as connection:
                yield connection
        else:
            async with self._transaction(self._writer) as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view of the database. Raises StoreUnavailable."""
        async with self._transaction(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(TRANSACTION_TIMEOUT), engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeoutError, TimeoutError, OSError) as error:
            translated = translate(error)
            if translated is None:
                raise
            raise translated from error

    async def write_in_thread(self, work: Callable[[Connection], T]) -> T:
        """One transaction in a thread of its own, for work that would hold the event loop up.

        Raises:
            StoreUnavailable: The database does not answer.
            StoreFull: There is no room left.
        """
        async with self._writing:
            return await self._in_thread(work, writer=True)

    async def read_in_thread(self, work: Callable[[Connection], T]) -> T:
        """The same for work that reads only."""
        return await self._in_thread(work, writer=False)

    async def _in_thread(self, work: Callable[[Connection], T], *, writer: bool) -> T:
        try:
            return await asyncio.to_thread(self._work_alone, work, writer=writer)
        except (DBAPIError, OSError) as error:
            translated = translate(error)
            if translated is None:
                raise
            raise translated from error

    def _work_alone(self, work: Callable[[Connection], T], *, writer: bool) -> T:
        driver = "sqlite" if self.is_sqlite else "postgresql+psycopg"
        arguments = {} if self.is_sqlite else _POSTGRESQL_ARGUMENTS
        engine = create_engine(self.url.set(drivername=driver), poolclass=NullPool, connect_args=arguments)
        if self.is_sqlite:
            _prepare_sqlite(engine, writer=writer)
        try:
            with engine.begin() as connection:
                return work(connection)
        finally:
            engine.dispose()

    async def close(self) -> None:
        """Closes every connection, and gives an SQLite database free for another gateway."""
        for engine in {self._writer, self._reader}:
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await engine.dispose()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


def translate(error: Exception) -> GatewayError | None:
    """The error of a database driver as one of ours, or None where it is a mistake of the gateway itself."""
    original = error.orig if isinstance(error, DBAPIError) else error
    match original:
        case sqlite3.OperationalError():
            return _translate_sqlite(original)
        case psycopg.errors.DiskFull():
            return StoreFull("store.url: PostgreSQL has no room left; free some space on its disk.")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return StoreUnavailable(f"store.url: PostgreSQL cannot be used now: {_reason(original)}")
        case PoolTimeoutError() | OSError():  # TimeoutError is an OSError
            return StoreUnavailable(f"store.url: the database does not answer in time ({type(error).__name__}).")
        case _:
            return None


def _translate_sqlite(error: sqlite3.OperationalError) -> GatewayError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StoreFull("store.url: there is no room left for the database; free some space on its disk.")
    name = getattr(error, "sqlite_errorname", "no code")
    return StoreUnavailable(f"store.url: the SQLite database cannot be used now ({name}).")


def _reason(error: psycopg.Error) -> str:
    """Why; of a failed login what the server said, since its text then names nothing but user, host and database."""
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return type(error).__name__


def blames_a_value(error: Exception) -> bool:
    """Whether an error may come from what one message holds, rather than from the database or its connection."""
    return not isinstance(error, GatewayError | DBAPIError) or isinstance(error, DataError)


def _engine(url: URL, *, writer: bool) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, writer=writer)
    return create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=12,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        connect_args=_POSTGRESQL_ARGUMENTS,
    )


def _sqlite_engine(url: URL, *, writer: bool) -> AsyncEngine:
    try:
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError("store.url", f"the folder of {url.database} cannot be made ({error.strerror})") from error
    engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), pool_size=1 if writer else 4, max_overflow=0)
    _prepare_sqlite(engine.sync_engine, writer=writer)
    return engine


def _prepare_sqlite(engine: Engine, *, writer: bool) -> None:
    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's hook
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        cursor = connection.cursor()
        for pragma in (*_SQLITE_PRAGMAS, _SQLITE_WRITER_CACHE if writer else _SQLITE_READER_CACHE):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's hook
        # A writer takes the write lock at once: a lock taken in the middle could fail after the reading is done.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")
