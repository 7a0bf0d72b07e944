"""Stage 2: what is decided for a message is written as one, and poison never stops the flow."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text

from gateway.errors import StoreUnavailable
from gateway.model import decode_event
from gateway.parsing import Parsed, Profile
from gateway.ports import RawMessage
from gateway.stages import writes as writes_module
from gateway.stages.process import DEATHS_TO_QUARANTINE
from gateway.store.tables import answers, messages, outbox, reports
from tests.fakes import FAKE_TYPE, FakeClock, RecordingPublisher, fake_message, fake_parse, fake_raw
from tests.integration.kernel import CHANNEL, Kernel, kernel_on, settings_for

Readings = dict[bytes, bytes]


@pytest.fixture
def queue() -> RecordingPublisher:
    """The queue in memory."""
    return RecordingPublisher()


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock, queue: RecordingPublisher) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with kernel_on(store_url, clock, queue) as opened:
        yield opened


@pytest.fixture
async def mended(store_url: str, clock: FakeClock, queue: RecordingPublisher) -> AsyncIterator[tuple[Kernel, Readings]]:
    """A gateway whose parser reads other bytes than those in custody, as a mended or a broken parser would."""
    readings: Readings = {}

    def parse(raws: Sequence[bytes | None], profile: Profile) -> Parsed:
        return fake_parse([raw and readings.get(raw, raw) for raw in raws], profile)

    async with kernel_on(store_url, clock, queue, {FAKE_TYPE: parse}) as opened:
        yield opened, readings


async def test_a_report_its_event_and_its_receipt_are_written_together(
    kernel: Kernel, queue: RecordingPublisher
) -> None:
    """One message becomes one report, one event and one queued answer that names the tracking ID."""
    (message_id,) = await kernel.take(fake_message("a", "Jembatan putus"))
    report = await kernel.row(reports)
    event = decode_event(queue.confirmed[0].body)
    answer = await kernel.row(answers)
    message = await kernel.row(messages, id=message_id)
    assert (message.state, message.decision, message.report_id) == ("processed", "report", report.id)
    assert (event.data.id, event.subject, event.sequence) == (report.id, report.tracking_id, 1)
    assert event.data.text == "Jembatan putus"
    assert (answer.message_id, answer.report_id, answer.state) == (message_id, report.id, "queued")
    assert report.tracking_id in answer.text
    assert event.id == queue.confirmed[0].id != report.id


async def test_what_is_no_report_is_ignored_with_its_reason(kernel: Kernel) -> None:
    """Nothing is published or answered; the message keeps its bytes and says why."""
    (message_id,) = await kernel.receive(fake_message("a", not_a_report="a promotion"))
    await kernel.process()
    message = await kernel.row(messages, id=message_id)
    assert (message.state, message.decision, message.reason) == ("processed", "ignored", "a promotion")
    assert json.loads(message.raw)["not_a_report"] == "a promotion"
    assert await kernel.totals() == {"messages": 1, "reports": 0, "outbox": 0, "answers": 0}


async def test_nobody_is_answered_who_cannot_be(kernel: Kernel) -> None:
    """A report by a sender that a machine must not answer has no receipt."""
    await kernel.receive(fake_message("a", answerable=False))
    await kernel.process()
    assert await kernel.totals() == {"messages": 1, "reports": 1, "outbox": 1, "answers": 0}


async def test_nobody_is_answered_where_answers_are_switched_off(store_url: str, clock: FakeClock) -> None:
    """``answers.enabled = false`` leaves the report without a receipt."""
    async with kernel_on(store_url, clock, settings=settings_for(store_url, answers_enabled=False)) as kernel:
        await kernel.receive(fake_message("a"))
        await kernel.process()
        assert await kernel.totals() == {"messages": 1, "reports": 1, "outbox": 1, "answers": 0}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (fake_raw(quarantine="The record holds no message."), "The record holds no message."),
        (fake_raw(poison=True), "The parser failed (PoisonError); send the raw message to the developers."),
        (b"\xff", "The parser failed (UnicodeDecodeError); send the raw message to the developers."),
    ],
)
async def test_poison_is_set_aside_with_its_bytes_and_the_next_message_flows(
    kernel: Kernel, queue: RecordingPublisher, raw: bytes, reason: str
) -> None:
    """Whatever a parser does, the message is quarantined with its reason and its neighbours are published."""
    poison = RawMessage("poison", raw, "+6281100000009")
    ids = await kernel.take(fake_message("a"), poison, fake_message("b"))
    message = await kernel.row(messages, id=ids[1])
    assert (message.state, message.decision, message.reason) == ("quarantined", "quarantined", reason)
    assert bytes(message.raw) == raw
    assert [body["data"]["external_id"] for body in queue.bodies] == ["a", "b"]


async def test_a_channel_without_a_parser_is_quarantined(kernel: Kernel) -> None:
    """A message of a type that no installed parser reads waits in quarantine for one."""
    await kernel.receive(fake_message("a"), channel_type="pigeon")
    await kernel.process()
    message = await kernel.row(messages)
    assert message.state == "quarantined"
    assert "pigeon" in message.reason


async def test_a_failed_transaction_leaves_nothing_and_is_tried_again(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the outbox cannot be written, neither report nor decision nor answer is; the next step writes all."""
    await kernel.receive(fake_message("a"), fake_message("b", sender="+6281100000002"))

    async def fail(*_arguments: Any) -> None:
        raise StoreUnavailable("The database does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.store.outbox.add", fail)
        with pytest.raises(StoreUnavailable):
            await kernel.gateway.process.step()
    assert await kernel.totals() == {"messages": 2, "reports": 0, "outbox": 0, "answers": 0}
    assert {row.state for row in await kernel.rows(messages)} == {"received"}
    assert {row.deaths for row in await kernel.rows(messages)} == {0}
    await kernel.process()
    assert await kernel.totals() == {"messages": 2, "reports": 2, "outbox": 2, "answers": 2}


async def test_a_decision_that_raises_costs_its_own_message_only(kernel: Kernel, queue: RecordingPublisher) -> None:
    """A message that the decision itself cannot bear is found, set aside, and the others are published."""
    await kernel.take(fake_message("first"))
    ids = await kernel.receive(fake_message("a"), fake_message("b", "half a character: \ud83d"), fake_message("c"))
    await kernel.process()
    await kernel.publish()
    assert [body["data"]["external_id"] for body in queue.bodies] == ["first", "a", "c"]
    message = await kernel.row(messages, id=ids[1])
    assert message.state == "quarantined"
    assert "UnicodeEncodeError" in message.reason


async def test_parts_whose_decision_raises_are_set_aside_when_they_are_due(
    kernel: Kernel, queue: RecordingPublisher
) -> None:
    """Of two messages with missing parts, the one that cannot be decided does not hold the other up."""
    broken = fake_message("a", "half a character: \ud83d", part=["one", 1, 2])
    await kernel.receive(broken, fake_message("b", part=["two", 1, 2]))
    await kernel.process()
    kernel.clock.advance(minutes=1)
    await kernel.assemble_due()
    await kernel.publish()
    assert [body["data"]["external_id"] for body in queue.bodies] == ["b"]
    assert (await kernel.row(messages, external_id="a")).state == "quarantined"


async def test_a_replay_that_changes_nothing_publishes_nothing(kernel: Kernel, queue: RecordingPublisher) -> None:
    """The report stands as published, and its citizen is not answered again."""
    ids = await kernel.take(fake_message("a"))
    await kernel.replay(*ids)
    await kernel.publish()
    assert queue.seen() == [("received", 1)]
    assert await kernel.totals() == {"messages": 1, "reports": 1, "outbox": 1, "answers": 1}


async def test_a_replay_publishes_the_difference_only(
    mended: tuple[Kernel, Readings], queue: RecordingPublisher
) -> None:
    """A mended parser's reading goes out as an update of the same report, with the next sequence."""
    kernel, readings = mended
    ids = await kernel.take(fake_message("a", "Jaln rusk"))
    readings[fake_raw("Jaln rusk")] = fake_raw("Jalan rusak")
    await kernel.replay(*ids)
    await kernel.publish()
    assert queue.seen() == [("received", 1), ("updated", 2)]
    first, second = queue.bodies
    assert second["data"] == first["data"] | {"text": "Jalan rusak"}
    assert (second["subject"], second["data"]["id"]) == (first["subject"], first["data"]["id"])


async def test_a_replay_that_finds_no_report_withdraws_it_once(
    mended: tuple[Kernel, Readings], queue: RecordingPublisher
) -> None:
    """Read as a promotion after all, it is withdrawn; a further replay is silent; read as before, it is back."""
    kernel, readings = mended
    ids = await kernel.take(fake_message("a"))
    readings[fake_raw()] = fake_raw(not_a_report="a promotion")
    await kernel.replay(*ids)
    await kernel.publish()
    await kernel.replay(*ids)
    await kernel.publish()
    assert queue.seen() == [("received", 1), ("withdrawn", 2)]
    readings.clear()
    await kernel.replay(*ids)
    await kernel.publish()
    assert queue.seen() == [("received", 1), ("withdrawn", 2), ("updated", 3)]


async def test_a_published_message_that_a_replay_cannot_parse_keeps_its_report(
    mended: tuple[Kernel, Readings], queue: RecordingPublisher
) -> None:
    """Quarantined by a broken parser and replayed with a mended one, it is still the same report."""
    kernel, readings = mended
    ids = await kernel.take(fake_message("a"))
    readings[fake_raw()] = fake_raw(poison=True)
    await kernel.replay(*ids)
    assert (await kernel.row(messages)).state == "quarantined"
    readings.clear()
    await kernel.replay(*ids)
    await kernel.publish()
    assert queue.seen() == [("received", 1)]
    assert await kernel.count(reports) == 1


async def test_a_quarantined_message_is_published_by_a_replay_after_the_fix(
    mended: tuple[Kernel, Readings], queue: RecordingPublisher
) -> None:
    """It becomes a report like any other, and its citizen is answered."""
    kernel, readings = mended
    readings[fake_raw()] = fake_raw(poison=True)
    ids = await kernel.receive(fake_message("a"))
    await kernel.process()
    readings.clear()
    await kernel.replay(*ids)
    await kernel.publish()
    assert queue.seen() == [("received", 1)]
    assert await kernel.count(answers) == 1


async def die(kernel: Kernel) -> None:
    """Takes the first message in hand, alone, and dies of it: not even ``finally`` runs for the database."""

    class Death(BaseException):
        """Ends the process as far as the stage can tell."""

    def kill(*_arguments: Any) -> None:
        raise Death

    kernel.gateway.process._understanding.parse = kill  # type: ignore[method-assign,assignment] # noqa: SLF001
    with pytest.raises(Death):
        await kernel.gateway.process.step()


async def test_the_third_death_alone_quarantines_and_no_death_of_others_counts(
    store_url: str, clock: FakeClock, queue: RecordingPublisher
) -> None:
    """Three processes die with the same message alone in hand; the fourth sets it aside and decides the rest."""
    async with kernel_on(store_url, clock) as kernel:
        ids = await kernel.receive(fake_message("killer"), fake_message("innocent"))
    for death in range(1, DEATHS_TO_QUARANTINE + 1):
        async with kernel_on(store_url, clock) as kernel:
            await die(kernel)
            assert [row.deaths for row in await kernel.rows(messages)] == [death, 0]
    async with kernel_on(store_url, clock, queue) as kernel:
        await kernel.process()
        await kernel.publish()
        killer = await kernel.row(messages, id=ids[0])
        assert (killer.state, await kernel.count(reports)) == ("quarantined", 1)
        assert "died 3 times" in killer.reason
        await kernel.replay(ids[0])
        assert (await kernel.row(messages, id=ids[0])).state == "processed"
        await kernel.publish()
    assert [body["data"]["external_id"] for body in queue.bodies] == ["innocent", "killer"]


async def test_a_death_amid_a_batch_counts_for_nobody(store_url: str, clock: FakeClock) -> None:
    """Only the message that was alone in hand is held to account."""
    async with kernel_on(store_url, clock) as kernel:
        await kernel.take(fake_message("first"))
        await kernel.receive(fake_message("a"), fake_message("b"))
        await die(kernel)
        assert {row.deaths for row in await kernel.rows(messages, state="received")} == {0}


async def test_a_message_that_is_decided_leaves_no_death_behind(kernel: Kernel) -> None:
    """Being alone in hand after a start is no death when it ends well."""
    await kernel.receive(fake_message("a"))
    await kernel.process()
    assert (await kernel.row(messages)).deaths == 0


async def test_a_store_that_fails_while_a_death_is_taken_back_counts_no_death(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the database goes away with a message alone in hand, the message is innocent."""
    await kernel.receive(fake_message("a"))
    write = kernel.store.write
    for _ in range(DEATHS_TO_QUARANTINE + 1):
        calls = iter([write])  # the first transaction counts the attempt, all later ones find no database

        def next_write(calls: Any = calls) -> Any:
            found = next(calls, None)
            if found is None:
                raise StoreUnavailable("The database does not answer.")
            return found()

        with monkeypatch.context() as patched:
            patched.setattr(kernel.store, "write", next_write)
            with pytest.raises(StoreUnavailable):
                await kernel.gateway.process.step()
    await kernel.process()
    message = await kernel.row(messages)
    assert (message.state, message.decision, message.deaths) == ("processed", "report", 0)


async def test_two_gateways_decide_each_message_once(postgresql_url: str, clock: FakeClock) -> None:
    """Two processes on one PostgreSQL, at the same messages: each is decided by one of them."""
    settings = settings_for(postgresql_url, batch=7)
    first_queue, second_queue = RecordingPublisher(), RecordingPublisher()
    async with (
        kernel_on(postgresql_url, clock, first_queue, settings=settings) as first,
        kernel_on(postgresql_url, FakeClock(), second_queue, settings=settings) as second,
    ):
        batch = [fake_message(f"m{n}", sender=f"+62811000000{n % 10:02d}") for n in range(60)]
        await first.receive(*batch)
        await asyncio.gather(first.process(), second.process())
        await asyncio.gather(first.publish(), second.publish())
        # Of each of the ten senders the first message is the original and answered; the others repeat it.
        assert await first.totals() == {"messages": 60, "reports": 60, "outbox": 60, "answers": 10}
    confirmed = [event.id for queue in (first_queue, second_queue) for event in queue.confirmed]
    assert len(confirmed) == len(set(confirmed)) == 60


async def test_a_message_waits_for_an_older_one_that_another_gateway_holds(
    postgresql_url: str, clock: FakeClock
) -> None:
    """Of one sender the second message is decided after the first, whoever decides that; others do not wait."""
    async with kernel_on(postgresql_url, clock) as first, kernel_on(postgresql_url, FakeClock()) as second:
        older, newer, other = await first.receive(
            fake_message("a"), fake_message("b"), fake_message("c", sender="+6281100000002")
        )
        async with first.store.write() as connection:
            await connection.execute(text("SELECT id FROM messages WHERE id = :id FOR UPDATE"), {"id": older})
            await second.gateway.process.step()
            states = {row.id: row.state for row in await second.rows(messages)}
        assert states == {older: "received", newer: "received", other: "processed"}
        assert {row.deaths for row in await second.rows(messages)} == {0}
        second.clock.sweep()
        await second.gateway.process.step()
        assert {row.state for row in await second.rows(messages)} == {"processed"}
        times = {row.id: row for row in await second.rows(messages)}
        assert times[older].report_id < times[newer].report_id


async def test_a_tracking_id_that_is_taken_is_not_given_again(kernel: Kernel) -> None:
    """A candidate that a report bears already is passed over."""
    await kernel.take(fake_message("a"))
    taken = (await kernel.row(reports)).tracking_id
    candidates = iter([taken, "1234567897", "1234567897", "2345678907"])
    async with kernel.store.read() as connection:
        found = await writes_module.fresh_tracking_ids(connection, 2, lambda: next(candidates))
    assert sorted(found) == ["1234567897", "2345678907"]


async def test_what_waits_in_the_store_is_processed_in_the_order_of_its_arrival(
    store_url: str, clock: FakeClock, queue: RecordingPublisher
) -> None:
    """A backlog larger than memory may hold drains oldest first."""
    async with kernel_on(store_url, clock, queue, settings=settings_for(store_url, batch=5)) as kernel:
        for start in range(0, 60, 20):
            await kernel.receive(*(fake_message(f"m{n:02d}") for n in range(start, start + 20)))
        await kernel.process()
        await kernel.publish()
    assert [body["data"]["external_id"] for body in queue.bodies] == [f"m{n:02d}" for n in range(60)]


async def test_the_outbox_row_is_the_event_that_is_published(kernel: Kernel, queue: RecordingPublisher) -> None:
    """Body, routing key and id are those of the row; it is marked once it is confirmed."""
    await kernel.receive(fake_message("a"))
    await kernel.process()
    row = await kernel.row(outbox)
    assert row.confirmed_at is None
    await kernel.publish()
    event = queue.confirmed[0]
    assert (event.id, event.routing_key, bytes(event.body)) == (row.id, f"report.received.{FAKE_TYPE}", bytes(row.body))
    assert (await kernel.row(outbox)).confirmed_at is not None
    assert json.loads(event.body)["source"] == f"/channels/{CHANNEL}"
