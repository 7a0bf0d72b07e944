"""Small pieces of SQL that the two databases write differently."""

from sqlalchemy import ColumnElement, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

_NOW_SQLITE = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
_NOW_POSTGRESQL = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


def insert_into(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that can say what happens when a unique key is taken (``on_conflict_do_…``)."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def insert_new(connection: AsyncConnection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that passes over rows which a unique key already holds."""
    return insert_into(connection, table).on_conflict_do_nothing()


def database_now(connection: AsyncConnection) -> ColumnElement[int]:
    """The database's own clock in milliseconds, the one that all processes share."""
    return literal_column(_NOW_SQLITE if connection.dialect.name == "sqlite" else _NOW_POSTGRESQL)
