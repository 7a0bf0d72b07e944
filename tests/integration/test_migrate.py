"""The schema: made by the migrations, equal to the tables, and refused when it is another's."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from gateway.errors import SchemaMismatch
from gateway.store import Store
from gateway.store.migrate import ensure_schema, migrate
from gateway.store.tables import metadata


async def _set_revision(store: Store, revision: str) -> None:
    async with store.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


async def test_the_migrations_make_the_tables_that_the_code_knows(store: Store) -> None:
    """On both databases, column by column and index by index."""

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with store.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_an_empty_database_is_set_up_and_then_left_alone(empty_url: str) -> None:
    """A first start needs no command; a second one finds everything as it is."""
    store = Store(empty_url)
    try:
        await ensure_schema(store)
        before, after = await migrate(store)
        assert before == after
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("revision", "sentence"),
    [
        ("9999", "the database has the schema 9999, which this gateway does not know: it was made by a newer one."),
    ],
)
async def test_a_schema_that_is_not_ours_is_refused(store: Store, revision: str, sentence: str) -> None:
    """Neither start nor migrate touches it, and one line says what to do."""
    await _set_revision(store, revision)
    for work in (ensure_schema, migrate):
        with pytest.raises(SchemaMismatch, match=r"^store\.url: ") as refused:
            await work(store)
        assert sentence in str(refused.value)


async def test_an_older_schema_waits_for_the_command(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of the database is somebody's decision."""
    monkeypatch.setattr("gateway.store.migrate._head", lambda _config: "9998")
    with pytest.raises(SchemaMismatch, match="run `lapor-gateway migrate` once"):
        await ensure_schema(store)
