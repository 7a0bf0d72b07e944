"""Locks on what has no row yet: two gateways that decide about the same reporter do it one after the other."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_KEYS = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS BIGINT[])) AS key")
_DIGITS = 15
"""Hexadecimal digits of a key: 60 bits, never the lock of the migrations."""


async def hold(connection: AsyncConnection, keys: Iterable[str]) -> None:
    """Waits until nobody else holds one of these keys, and holds them until the transaction ends.

    In sorted order, so that gateways never wait in a ring. On SQLite a writing transaction is alone anyway.

    Args:
        connection: An open transaction.
        keys: Hashes in hexadecimal digits, such as :func:`gateway.identifiers.reporter_key`.
    """
    if connection.dialect.name != "sqlite":
        numbers = sorted({int(key[:_DIGITS], 16) for key in keys})
        if numbers:
            await connection.execute(_KEYS, {"keys": numbers})
