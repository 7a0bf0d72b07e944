"""One citizen is erased on request: no table keeps a byte that says who wrote what; decisions and audit log stay."""

import pytest
from sqlalchemy import event, select, update

from gateway.actions import senders
from gateway.actions.act import act
from gateway.actions.senders import Erasure, Sender
from gateway.identifiers import reporter_key
from gateway.store import citizens, replies
from gateway.store.outbox import PARKED_AFTER, refuse
from gateway.store.replies import NewReply
from gateway.store.tables import answers, audit, fragment_groups, messages, metadata, outbox, reports
from tests.fakes import FakeClock, RecordingPublisher, fake_message
from tests.integration.kernel import Kernel, kernel_on

SENDER, OTHER = "+6281100007777", "+6281100000002"
KEY = reporter_key("phone", SENDER)
NAME, TEXT = "Budi-Rahasia", "jalan-rahasia berlubang"
MARKS = (SENDER, SENDER[3:], NAME, NAME.lower(), TEXT, "jalan-rahasia", "rahasia", "status-rahasia")


async def _everything(kernel: Kernel) -> str:
    """Every value of every table, as text."""
    async with kernel.store.read() as connection:
        rows = [row for table in metadata.sorted_tables for row in await connection.execute(select(table))]
    return repr([[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in rows])


async def _erase(kernel: Kernel, sender: Sender | None = None) -> Erasure:
    what = act("budi", "console", 1, "asked in person")
    sender = sender or senders.sender_of("phone", SENDER)
    return await senders.erase(kernel.store, kernel.gateway.understanding, sender, what)


async def _life(kernel: Kernel) -> None:
    """Everything that a citizen may leave behind: reports, repeats, updates, parts, promos, what nobody can read."""
    said = {"sender": SENDER, "name": NAME}
    await kernel.take(fake_message("m1", TEXT, **said))
    await kernel.take(fake_message("m2", TEXT, **said))
    await kernel.take(fake_message("m3", f"{TEXT} lagi", **said, reply_to="m1"))
    await kernel.take(fake_message("m4", TEXT, **said, not_a_report="a promotion"))
    await kernel.take(fake_message("m5", TEXT, **said, held="a mention"))
    await kernel.take(fake_message("m6", TEXT, **said, quarantine="odd"))
    await kernel.take(fake_message("m7", TEXT, **said, poison=True))
    await kernel.take(fake_message("m8", TEXT, **said, delivery=["17", "delivered"]))
    await kernel.take(fake_message("m9", TEXT, **said, part=["g", 1, 2]))
    await kernel.take(fake_message("m10", "STATUS", **said))
    await kernel.receive(fake_message("m11", TEXT, **said))
    report_id = (await kernel.rows(reports))[0].id
    async with kernel.store.write() as connection:
        await replies.add(connection, [NewReply("r1", report_id, "progress", "status-rahasia")], 1)


async def test_nothing_personal_is_left_in_any_table(store_url: str, clock: FakeClock) -> None:
    """Whatever the messages became; the decisions, the tracking IDs and the hashed key stay."""
    async with kernel_on(store_url, clock) as kernel:
        await _life(kernel)
        decided = [(row.id, row.decision) for row in await kernel.rows(messages)]
        before = await _everything(kernel)
        assert [mark for mark in MARKS if mark not in before] == ["budi-rahasia"]
        done = await _erase(kernel)
        kept = await _everything(kernel)
        assert [mark for mark in MARKS if mark in kept] == []
        assert done.unreadable == 0
        assert [(row.id, row.decision) for row in await kernel.rows(messages)] == decided
        assert {row.reporter for row in await kernel.rows(messages)} == {KEY}
        assert {row.state for row in await kernel.rows(messages)} == {"processed", "discarded"}
        (entry,) = await kernel.rows(audit)
        assert (entry.operator, entry.action, entry.subject) == ("budi", "sender.erase", KEY)


async def test_others_keep_everything(store_url: str, clock: FakeClock) -> None:
    """Also what they wrote about the same matter, and what nobody can read of theirs."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.take(fake_message("o1", TEXT, OTHER))
        await kernel.take(fake_message("o2", "x", OTHER, quarantine="odd"))
        await kernel.receive(fake_message("o3", "y", OTHER))
        others = [tuple(row) for table in (messages, reports, outbox, answers) for row in await kernel.rows(table)]
        await kernel.take(fake_message("m1", TEXT, SENDER, quarantine="odd"))
        assert (await _erase(kernel)).unreadable == 1  # o2: nobody can tell whose it is
        after = [tuple(row) for table in (messages, reports, outbox, answers) for row in await kernel.rows(table)]
        # o3 was processed on the way
        assert [row for row in others if row not in after and row[3] != "o3"] == []


async def test_what_the_queue_has_not_confirmed_is_published_first(store_url: str, clock: FakeClock) -> None:
    """The core was promised the report; its body goes with the confirmation. A parked event goes at once."""
    async with kernel_on(store_url, clock, publisher := RecordingPublisher()) as kernel:
        await kernel.receive(fake_message("m1", TEXT, SENDER), fake_message("m2", "Lampu mati", SENDER))
        await kernel.process()
        first, second = await kernel.rows(outbox)
        await kernel.change(outbox, outbox.c.id == second.id, parked_at=1)
        await _erase(kernel)
        assert (await kernel.row(outbox, id=first.id)).body is not None
        assert (await kernel.row(outbox, id=second.id)).body is None
        await kernel.publish()
        assert [event.id for event in publisher.confirmed] == [first.id]
        assert TEXT not in await _everything(kernel)


async def test_an_event_that_is_refused_for_good_after_the_erasure_keeps_nothing(
    store_url: str, clock: FakeClock
) -> None:
    """It is never published, and it is the one place that no clean-up looks at."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.receive(fake_message("m1", TEXT, SENDER))
        await kernel.process()
        await _erase(kernel)
        async with kernel.store.write() as connection:
            for _ in range(PARKED_AFTER):
                assert TEXT in await _everything(kernel)
                await refuse(connection, {(await kernel.row(outbox)).id: "too large"}, 1)
        assert (await kernel.row(outbox)).parked_at is not None
        assert TEXT not in await _everything(kernel)


async def test_what_has_not_been_answered_is_not_answered_any_more(store_url: str, clock: FakeClock) -> None:
    """There is nobody left to tell."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.take(fake_message("m1", TEXT, SENDER))
        assert (await kernel.row(answers)).state == "queued"
        assert (await _erase(kernel)).erased.answers == 1
        row = await kernel.row(answers)
        assert (row.state, row.recipient, row.text) == ("expired", None, None)


async def test_an_erased_message_that_comes_again_is_still_known(store_url: str, clock: FakeClock) -> None:
    """And is neither replayed nor put together with others."""
    async with kernel_on(store_url, clock) as kernel:
        ids = await kernel.take(fake_message("m1", TEXT, SENDER), fake_message("p1", TEXT, SENDER, part=["g", 1, 2]))
        await _erase(kernel)
        assert await kernel.receive(fake_message("m1", TEXT, SENDER)) == ids[:1]
        clock.advance(days=1)
        await kernel.assemble_due()
        assert await kernel.count(reports) == 1
        assert (await kernel.row(fragment_groups)).due_at is None


async def test_a_new_message_after_the_erasure_begins_afresh(store_url: str, clock: FakeClock) -> None:
    """Nobody knows any more that the same was said before."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.take(fake_message("m1", TEXT, SENDER))
        await _erase(kernel)
        (again,) = await kernel.take(fake_message("m2", TEXT, SENDER))
        assert (await kernel.row(messages, id=again)).decision == "report"


@pytest.mark.parametrize("known", [True, False], ids=["whose bytes still tell the address", "of whom all is empty"])
async def test_a_citizen_is_erased_by_the_hashed_key_alone(store_url: str, clock: FakeClock, known: bool) -> None:  # noqa: FBT001
    """The address is found where a message tells it; what cannot be read then counts as not found."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.take(fake_message("m1", TEXT, SENDER))
        await kernel.take(fake_message("m2", TEXT, SENDER, quarantine="odd"))
        if not known:
            async with kernel.store.write() as connection:
                await connection.execute(update(messages).where(messages.c.external_id == "m1").values(raw=None))
                await connection.execute(update(reports).values(body=None))
        done = await _erase(kernel, Sender(KEY, None))
        assert done.unreadable == (0 if known else 1)
        assert ((await kernel.row(messages, external_id="m2")).raw is None) is known


async def test_what_nobody_has_decided_is_found_without_reading_what_is_done(sqlite_url: str, clock: FakeClock) -> None:
    """Of millions of messages a handful: from the index that holds only those."""
    async with kernel_on(sqlite_url, clock) as kernel:
        await kernel.take(fake_message("m1", TEXT, SENDER))
        (odd,) = await kernel.take(fake_message("m2", TEXT, SENDER, quarantine="odd"))
        asked: list[str] = []
        async with kernel.store.read() as connection:
            event.listen(connection.sync_connection, "before_cursor_execute", lambda *about: asked.append(about[2]))
            assert await citizens.undecided(connection) == [odd]
            plan = repr((await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0]}")).all())
        assert "COVERING INDEX ix_messages_open" in plan
