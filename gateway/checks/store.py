"""Tries the database: its schema, its durability, that it can be written to, and what time it thinks it is."""

from contextlib import suppress
from datetime import datetime
from typing import Final

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock, from_milliseconds
from gateway.errors import GatewayError, NeedsOperator
from gateway.findings import CLOCK_TOLERANCE, Finding, clock_finding, tried
from gateway.settings import Settings
from gateway.store import Store
from gateway.store.migrate import ensure_schema
from gateway.store.tables import messages, watermarks

_FULL: Final = 2
"""What ``PRAGMA synchronous`` answers for FULL."""

_POSTGRESQL_NEEDS: Final = ("fsync", "full_page_writes", "synchronous_commit")
_PROBE: Final = "check"


class _Undone(Exception):
    """Ends a transaction that was to change nothing."""


async def check_store(settings: Settings, clock: Clock) -> list[Finding]:
    """What was found of the database; only that it cannot be opened, where it cannot."""
    try:
        store = Store(settings.store.url, settings.store.files)
    except GatewayError as error:
        return [Finding("store", "failed", str(error))]
    try:
        opened = await tried("store", _open(store))
        if opened.state == "failed":
            return [opened]
        return [
            opened,
            await tried("store writing", _write(store)),
            await tried("store durability", _durability(store)),
            await _clock(store, clock),
        ]
    finally:
        await store.close()


async def _open(store: Store) -> str:
    await ensure_schema(store)
    return f"{store.shown_url} is open and has this version's schema."


async def _write(store: Store) -> str:
    """Writes a row and takes it back."""
    with suppress(_Undone):
        async with store.write() as connection:
            await connection.execute(insert(watermarks).values(name=_PROBE, value=""))
            raise _Undone
    return "It can be written to."


async def _durability(store: Store) -> str:
    await store.check_durability()
    async with store.write() as connection:
        if store.is_sqlite:
            mode = await _one(connection, "PRAGMA journal_mode")
            synchronous = await _one(connection, "PRAGMA synchronous")
            if (mode, synchronous) == ("wal", _FULL):
                return "Every commit is forced to the disk (WAL, synchronous=FULL)."
            message = f"store.url: SQLite runs with journal_mode={mode}, synchronous={synchronous}: use a local disk."
            raise NeedsOperator(message)
        off = [name for name in _POSTGRESQL_NEEDS if await _one(connection, f"SHOW {name}") == "off"]
        if off:
            message = f"store.url: PostgreSQL runs with {', '.join(off)} off, which can lose messages; turn it on."
            raise NeedsOperator(message)
    return f"Every commit is forced to the disk ({', '.join(_POSTGRESQL_NEEDS)} are on)."


async def _one(connection: AsyncConnection, question: str) -> object:
    return (await connection.execute(text(question))).scalar_one()


async def _clock(store: Store, clock: Clock) -> Finding:
    subject = "store clock"
    try:
        async with store.read() as connection:
            if not store.is_sqlite:
                theirs: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
                return clock_finding(subject, clock.now(), theirs, "PostgreSQL's machine")
            query = select(messages.c.received_at).order_by(messages.c.id.desc()).limit(1)
            newest = (await connection.execute(query)).scalar_one_or_none()
    except GatewayError as error:
        return Finding(subject, "failed", str(error))
    ahead = 0.0 if newest is None else (from_milliseconds(newest) - clock.now()).total_seconds()
    if ahead > CLOCK_TOLERANCE:
        sentence = f"The newest message was received {ahead:.0f} s from now: the clock was set back; see timedatectl."
        return Finding(subject, "weak", sentence)
    return Finding(subject, "ok", "No message was received later than now.")
