"""The schema: made by the migrations, equal to the tables, and refused when it is another's."""

import json

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select, text

from gateway.errors import SchemaMismatch
from gateway.identifiers import reporter_key
from gateway.store import Store
from gateway.store.migrate import MIGRATIONS, ensure_schema, migrate
from gateway.store.tables import messages, metadata, outbox, reports


async def _set_revision(store: Store, revision: str) -> None:
    async with store.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_migrations_make_the_tables_that_the_code_knows(store: Store) -> None:
    """On both databases, column by column and index by index."""
    async with store.read() as connection:
        assert await connection.run_sync(_differences) == []


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


async def test_withdrawn_reports_are_known_as_such_after_the_upgrade(empty_url: str) -> None:
    """The first schema told it by the newest event only: its time is kept, and whatever stands again, stands."""
    histories = {"stands": ["received"], "gone": ["received", "updated", "withdrawn"], "back": ["withdrawn", "updated"]}
    store = Store(empty_url)
    try:
        async with store.write() as connection:
            await connection.run_sync(_upgrade, "0001")
        async with store.write() as connection:
            for number, (report_id, kinds) in enumerate(histories.items()):
                await connection.execute(
                    text("INSERT INTO reports (id, tracking_id, sequence, created_at) VALUES (:id, :tracking, :n, 1)"),
                    {"id": report_id, "tracking": f"{number:010}", "n": len(kinds)},
                )
                await connection.execute(
                    text(
                        "INSERT INTO outbox (id, report_id, sequence, routing_key, created_at)"
                        " VALUES (:id, :report, :n, :key, :at)"
                    ),
                    [
                        {
                            "id": f"{report_id}{n}",
                            "report": report_id,
                            "n": n,
                            "key": f"report.{kind}.sms",
                            "at": n * 10,
                        }
                        for n, kind in enumerate(kinds, start=1)
                    ],
                )
        with pytest.raises(SchemaMismatch, match="run `lapor-gateway migrate` once"):
            await ensure_schema(store)
        assert (await migrate(store))[0] == "0001"
        await ensure_schema(store)
        async with store.read() as connection:
            rows = await connection.execute(select(reports.c.id, reports.c.withdrawn_at))
            assert dict(rows.all()) == {"stands": None, "gone": 30, "back": None}
            assert await connection.run_sync(_differences) == []
            assert {erase for (erase,) in await connection.execute(select(outbox.c.erase))} == {False}
    finally:
        await store.close()


async def test_messages_know_who_wrote_them_after_the_upgrade(empty_url: str) -> None:
    """By the reporter's hashed key, of a report; of an emptied one nobody knows it, and nobody is no sender."""
    reporter = {"kind": "phone", "address": "+6281100000001"}
    body, nobodys = (json.dumps({"reporter": each}).encode() for each in (reporter, reporter | {"address": ""}))
    store = Store(empty_url)
    try:
        async with store.write() as connection:
            await connection.run_sync(_upgrade, "0003")
        async with store.write() as connection:
            for number, (name, content) in enumerate([("full", body), ("empty", None), ("nobody", nobodys)]):
                values = {"id": name, "tracking": f"{number:010}", "body": content}
                await connection.execute(
                    text(
                        "INSERT INTO reports (id, tracking_id, body, sequence, created_at)"
                        " VALUES (:id, :tracking, :body, 1, 1)"
                    ),
                    values,
                )
                await connection.execute(
                    text(
                        "INSERT INTO messages (id, channel, channel_type, external_id, order_key, received_at, state,"
                        " report_id) VALUES (:id, 'c', 'sms', :id, '', 1, 'processed', :id)"
                    ),
                    {"id": name},
                )
        await migrate(store)
        async with store.read() as connection:
            known = dict((await connection.execute(select(messages.c.id, messages.c.reporter))).all())
        assert known == {"full": reporter_key(**reporter), "empty": None, "nobody": None}
    finally:
        await store.close()


async def test_an_older_schema_waits_for_the_command(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of the database is somebody's decision."""
    monkeypatch.setattr("gateway.store.migrate._head", lambda _scripts: "9998")
    with pytest.raises(SchemaMismatch, match="run `lapor-gateway migrate` once"):
        await ensure_schema(store)
