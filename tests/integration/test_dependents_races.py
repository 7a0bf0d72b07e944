"""What belongs to a report, in the orders and at the moments that nobody thinks of."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from gateway.ports import RawMessage
from gateway.store.tables import messages, outbox, reports
from tests.conftest import eventually
from tests.fakes import FAKE_TYPE, FakeClock, RecordingPublisher, fake_message, fake_parse, fake_raw
from tests.integration.kernel import Kernel, kernel_on
from tests.integration.test_dependents import decisions, gone, texts, version

CORE: dict[str, Any] = {"references": ["1948147"]}
UPDATE = ("processed", "update")


@pytest.fixture
def queue() -> RecordingPublisher:
    """The queue in memory."""
    return RecordingPublisher()


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock, queue: RecordingPublisher) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with kernel_on(store_url, clock, queue) as opened:
        yield opened


@pytest.mark.parametrize("named", ["the core's number", "the sender's own tracking ID"])
async def test_every_part_of_an_sms_that_is_an_update_is_decided(
    kernel: Kernel, queue: RecordingPublisher, named: str
) -> None:
    """The part that waited for the others does not wait for ever: retention would wait with it."""
    await kernel.take(fake_message("a"))
    number = "1948147" if named == "the core's number" else (await kernel.row(reports)).tracking_id
    await kernel.take(fake_message("p1", "Kapan", part=["g", 1, 2], references=[number]))
    await kernel.take(fake_message("p2", "selesai", part=["g", 2, 2]))
    found = await decisions(kernel)
    assert (found["p1"], found["p2"]) == (UPDATE, UPDATE)
    assert len({row.report_id for row in await kernel.rows(messages) if row.external_id != "a"}) == 1
    assert len(queue.seen()) == 2


async def test_a_thread_below_a_post_that_names_a_number_of_the_core(kernel: Kernel, queue: RecordingPublisher) -> None:
    """It belongs to that report, as anywhere else."""
    await kernel.take(version(1, "Laporan 1948147", **CORE))
    await kernel.take(version(2, "Laporan #1948147", **CORE))
    await kernel.take(fake_message("b", "Belum selesai", reply_to="v1"))
    assert queue.seen() == [("updated", 1), ("updated", 2), ("updated", 3)]
    assert texts(queue)[-1] == "Laporan #1948147\n\nBelum selesai"


async def test_a_replay_of_a_post_that_names_a_number_of_the_core(kernel: Kernel) -> None:
    """It is what it was."""
    ids = await kernel.take(fake_message("a", **CORE))
    await kernel.replay(*ids)
    assert (await decisions(kernel))["a"] == UPDATE


async def test_a_replay_does_not_bring_back_what_an_edit_took_back(kernel: Kernel, queue: RecordingPublisher) -> None:
    """The older version is replayed, and the newer one still counts."""
    ids = await kernel.take(version(1, "Jalan rusak"))
    ids += await kernel.take(version(2, "Sudah beres", not_a_report="no report any more"))
    for each in (ids, ids[:1], ids[1:]):
        await kernel.replay(*each)
        await kernel.publish()
    assert queue.seen() == [("received", 1), ("withdrawn", 2)]


async def test_an_addition_that_an_edit_took_back_stays_away(kernel: Kernel, queue: RecordingPublisher) -> None:
    """Also when somebody adds something else afterwards."""
    await kernel.take(fake_message("a", "Jalan rusak"))
    await kernel.take(version(1, "Rahasia", reply_to="a"))
    await kernel.take(version(2, "Maaf", reply_to="a", not_a_report="no addition any more"))
    await kernel.take(fake_message("c", "Di Sukamaju", reply_to="a"))
    assert texts(queue)[-1] == "Jalan rusak\n\nDi Sukamaju"


@pytest.mark.parametrize("late", [fake_message("b", "Rahasia", reply_to="a"), version(2, "Rahasia")])
async def test_a_deletion_cancels_what_is_undecided_in_the_same_batch(
    kernel: Kernel, queue: RecordingPublisher, late: RawMessage
) -> None:
    """Although the deletion came first, nothing of the message is published or kept."""
    await kernel.take(fake_message("a", "Jalan rusak"), version(1, "Jalan rusak"))
    await kernel.take(gone(late.external_id), late)
    assert "Rahasia" not in "".join(texts(queue))
    row = await kernel.row(messages, external_id=late.external_id)
    assert (row.state, row.decision, row.raw) == ("processed", "withdrawn", None)


async def waits(kernel: Kernel) -> bool:
    """Whether a transaction waits for another one's lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with kernel.store.read() as connection:
        return bool((await connection.execute(text(query))).scalar_one())


async def test_an_event_that_is_confirmed_while_its_message_is_deleted_is_emptied(
    postgresql_url: str, clock: FakeClock, queue: RecordingPublisher
) -> None:
    """One gateway publishes, another one deletes: whoever comes second empties the event."""
    async with kernel_on(postgresql_url, clock, queue) as one, kernel_on(postgresql_url, clock) as two:
        await one.receive(fake_message("a", "Rahasia"))
        await one.process()
        queue.open_to = asyncio.Event()
        publishing = asyncio.create_task(one.gateway.publish.step())
        while not queue.tried:
            await asyncio.sleep(0.01)
        await two.receive(gone("a"))
        deleting = asyncio.create_task(two.process())
        await eventually(lambda: waits(one), "the deletion to wait for the event that is held")
        queue.open_to.set()
        await asyncio.gather(publishing, deleting)
        await one.publish()
        assert (await one.row(outbox, sequence=1)).body is None


async def test_two_gateways_that_amend_the_same_reports_never_wait_in_a_ring(
    postgresql_url: str, clock: FakeClock
) -> None:
    """One goes through them forwards, the other backwards: no transaction is given up, nothing is missing."""
    senders = [f"+62811{number:08}" for number in range(40)]

    def batch(kind: str) -> list[RawMessage]:
        return [
            RawMessage(f"{kind}{n}", fake_raw(kind, sender, reply_to=f"a{n}"), f"{kind}{n}")
            for n, sender in enumerate(senders)
        ]

    async with kernel_on(postgresql_url, clock) as one, kernel_on(postgresql_url, clock) as two:
        await one.take(*(fake_message(f"a{n}", sender=sender) for n, sender in enumerate(senders)))
        await one.receive(*batch("b"))
        forwards = await one.gateway._read_inbox(100, ())  # noqa: SLF001 - each gateway gets its own half
        await one.receive(*reversed(batch("c")))
        backwards = await one.gateway._read_inbox(100, {message.id for message in forwards})  # noqa: SLF001
        await asyncio.gather(one.gateway.process.process(forwards), two.gateway.process.process(backwards))
        for row in await one.rows(reports):
            assert row.sequence == 3
            assert b"Jalan rusak" in row.body


async def test_a_deletion_takes_every_version_with_it(kernel: Kernel, queue: RecordingPublisher) -> None:
    """Whichever version it names: the source has no other one left either."""
    await kernel.take(version(1, "Rahasia"))
    await kernel.take(version(2, "Masih rahasia"))
    await kernel.take(gone("v2"))
    assert queue.seen() == [("received", 1), ("updated", 2), ("withdrawn", 3)]
    assert {row.raw for row in await kernel.rows(messages) if row.external_id in ("v1", "v2")} == {None}
    await kernel.take(gone("v1"))
    assert len(queue.seen()) == 3


async def test_a_report_does_not_grow_for_ever(
    kernel: Kernel, queue: RecordingPublisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each addition reads all that came before: beyond a limit a message is a report of its own."""
    monkeypatch.setattr("gateway.stages.dependents.MOST_SOURCES", 3)
    await kernel.take(fake_message("a"), *(fake_message(f"b{n}", f"tambahan {n}", reply_to="a") for n in range(4)))
    assert queue.seen() == [("received", 1), ("received", 1), ("received", 1), ("updated", 2), ("updated", 3)]


async def test_a_deleted_addition_to_what_cannot_be_parsed_leaves_nothing_behind(
    store_url: str, clock: FakeClock, queue: RecordingPublisher
) -> None:
    """What is left can only be said once a mended parser reads the first message again."""
    broken: set[str] = set()

    def parse(raws: Any, profile: Any) -> Any:
        if b"Jalan rusak" in raws[0] and broken:
            raise ValueError
        return fake_parse(raws, profile)

    async with kernel_on(store_url, clock, queue, {FAKE_TYPE: parse}) as kernel:
        await kernel.take(fake_message("a", "Jalan rusak"), fake_message("b", "Rahasia", reply_to="a"))
        broken.add("now")
        await kernel.take(gone("b"))
        assert b"Rahasia" not in (await kernel.row(reports)).body
        broken.clear()
        await kernel.take(fake_message("c", "Di Sukamaju", reply_to="a"))
    assert texts(queue)[-1] == "Jalan rusak\n\nDi Sukamaju"
