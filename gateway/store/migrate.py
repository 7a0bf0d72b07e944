"""Brings the database's schema to the version that this gateway knows, and refuses any other."""

import asyncio
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gateway.errors import SchemaMismatch
from gateway.store.engine import Store

_MIGRATION_LOCK: Final = 1708
MIGRATIONS: Final = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


async def migrate(store: Store) -> tuple[str | None, str]:
    """Applies what is missing, in one transaction. Returns the revision before and after.

    Raises:
        SchemaMismatch: The database is newer than this gateway.
    """

    def upgrade(connection: Connection) -> tuple[str | None, str]:
        if connection.dialect.name == "postgresql":
            # Gateways that start at once: one makes the tables, the others wait and find them.
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config, before = _config(), _revision(connection)
        head = _head_for(before)
        if before != head:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return before, head

    return await store.write_in_thread(upgrade)


async def ensure_schema(store: Store) -> None:
    """Sets up an empty database; refuses one of another version.

    Raises:
        SchemaMismatch: The database is older or newer than this gateway.
    """
    async with store.read() as connection:
        found = await connection.run_sync(_revision)
    if found is None:
        await migrate(store)
    elif found != await asyncio.to_thread(_head_for, found):
        message = f"store.url: the database has the older schema {found}: run `lapor-gateway migrate` once, then start."
        raise SchemaMismatch(message)


def _head_for(found: str | None) -> str:
    """The newest revision, for a database that has one of those that this gateway knows."""
    scripts = ScriptDirectory.from_config(_config())
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        message = (
            f"store.url: the database has the schema {found}, which this gateway does not know: "
            "it was made by a newer one. Run that version, or another database."
        )
        raise SchemaMismatch(message)
    return _head(scripts)


def _head(scripts: ScriptDirectory) -> str:
    head = scripts.get_current_head()
    assert head is not None, "the package ships its migrations"  # noqa: S101
    return head
