"""The database: durable, owned by one gateway where it is a file, and clear about what is wrong with it."""

import psycopg
import pytest
from sqlalchemy import func, select, text

from gateway.application import Gateway
from gateway.errors import NeedsOperator, SettingsError, StoreUnavailable
from gateway.ports import RawMessage
from gateway.settings.model import ChannelSection
from gateway.store import Store
from gateway.store import messages as message_rows
from gateway.store.messages import StoredMessage
from gateway.store.tables import messages
from tests.conftest import eventually
from tests.fakes import FakeChannel, FakeChannels, FakeClock, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import PARSERS, settings_for
from tests.services.postgresql import PostgreSQL


async def test_sqlite_forces_every_commit_to_the_disk(sqlite_url: str) -> None:
    """WAL with synchronous=FULL: a power cut loses nothing that was committed."""
    store = Store(sqlite_url)
    try:
        async with store.write() as connection:
            assert (await connection.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
            assert (await connection.execute(text("PRAGMA synchronous"))).scalar_one() == 2
    finally:
        await store.close()


async def test_two_gateways_on_one_sqlite_are_refused(sqlite_url: str) -> None:
    """The second is told to stop the first, and may start once that has ended."""
    first, second = Store(sqlite_url), Store(sqlite_url)
    first.own()
    with pytest.raises(NeedsOperator, match="another gateway is running"):
        second.own()
    await first.close()
    second.own()
    await second.close()


async def test_a_postgresql_that_forgets_is_refused(postgresql: PostgreSQL, postgresql_url: str) -> None:
    """With synchronous_commit=off an acknowledged message could be lost."""
    name = postgresql_url.rpartition("/")[2]
    with psycopg.connect(postgresql.url(), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = Store(postgresql_url)
    try:
        with pytest.raises(NeedsOperator, match="synchronous_commit=off"):
            await store.check_durability()
    finally:
        await store.close()


async def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    """All or nothing, also when the gateway itself is at fault."""

    async def fail_in_between() -> None:
        async with store.write() as connection:
            await connection.execute(text("INSERT INTO watermarks (name, value) VALUES ('x', '1')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_in_between()
    async with store.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM watermarks"))).scalar_one() == 0


@pytest.mark.parametrize("url", ["postgresql://lapor:geheim@127.0.0.1:9/lapor"])
async def test_a_server_that_is_away_is_named_without_its_password(url: str) -> None:
    """The sentence begins with the setting's key."""
    store = Store(url)
    try:
        with pytest.raises(StoreUnavailable, match=r"^store\.url: PostgreSQL cannot be used now") as away:
            async with store.read():
                pass
        assert "geheim" not in str(away.value)
        assert "geheim" not in store.shown_url
    finally:
        await store.close()


def test_a_folder_that_cannot_be_made_names_the_setting() -> None:
    """Before anything else is tried."""
    with pytest.raises(SettingsError, match=r"^store\.url: the folder of /proc/no/where\.db cannot be made"):
        Store("sqlite:////proc/no/where.db")


async def _limit_pages(store: Store, pages: int) -> None:
    async with store.write() as connection:
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))


def _big(number: int) -> RawMessage:
    return fake_message(f"big-{number}", text="x" * 50_000)


async def _stored(store: Store) -> int:
    async with store.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(messages))).scalar_one())


async def test_a_full_disk_stops_receiving_and_goes_on_by_itself(sqlite_url: str) -> None:
    """Nothing is released that is not committed; the channel says what to do; room makes it go on."""
    channels = FakeChannels({"fake-1": FakeChannel()})
    source = channels.by_name["fake-1"]
    section = ChannelSection("fake-1", channels.plugin(), FakeSettings())
    settings = settings_for(sqlite_url, channels=[section], answers_enabled=False)
    gateway = Gateway(settings, clock=FakeClock(), publisher=RecordingPublisher(), parsers=PARSERS)
    await gateway.start()
    try:
        await _limit_pages(gateway.store, 100)
        source.put(*(_big(number) for number in range(20)))
        await eventually(
            lambda: gateway.board.conditions["channel fake-1"].state == "needs_operator", "the channel to ask for room"
        )
        assert "free some space" in gateway.board.conditions["channel fake-1"].reason
        assert source.released == []
        await _limit_pages(gateway.store, 1_000_000)
        await eventually(lambda: not source.inbox, "all messages to be released")
        assert await _stored(gateway.store) == 20
        await eventually(lambda: gateway.board.conditions["channel fake-1"].state == "up", "the channel to be up")
    finally:
        await gateway.stop()


async def test_what_waits_is_read_up_to_a_weight(store: Store) -> None:
    """A few large messages fill a batch; the one that makes it heavy is the last."""
    batch = [StoredMessage(f"id-{n}", "c", "fake", f"m{n}", "key", bytes(1000), n) for n in range(5)]
    async with store.write() as connection:
        await message_rows.add(connection, batch)
    async with store.read() as connection:
        for most, expected in ((10**6, 5), (2500, 3), (1, 1)):
            found = await message_rows.unprocessed(connection, 10, most, besides=())
            assert [message.id for message in found] == [f"id-{n}" for n in range(expected)]
        found = await message_rows.unprocessed(connection, 10, 2000, besides=["id-0", "id-2"])
        assert [message.id for message in found] == ["id-1", "id-3"]
        assert await message_rows.unprocessed(connection, 10, 1, besides=[m.id for m in batch]) == []
