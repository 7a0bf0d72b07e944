"""Stage 3: every event reaches the queue, in the order of its report, whatever the queue does meanwhile."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import aio_pika
import pytest
from sqlalchemy import insert

from gateway.clock import to_milliseconds
from gateway.errors import BrokerUnavailable, GatewayError, NeedsOperator
from gateway.identifiers import uuid7
from gateway.ports import OutboxEvent
from gateway.publishers.amqp import AmqpPublisher
from gateway.publishers.topology import INTAKE_QUEUE, QUEUES, definitions
from gateway.settings.model import QueueSettings
from gateway.store.outbox import PARKED_AFTER
from gateway.store.tables import outbox, reports
from tests.conftest import LARGEST_MESSAGE, eventually
from tests.fakes import FAKE_TYPE, FakeClock, RecordingPublisher, fake_message
from tests.integration.kernel import Kernel, kernel_on, settings_for
from tests.services.rabbitmq import RabbitMQ

NOWHERE = "elsewhere.received.fake"
"""A routing key that no queue is bound to: a mandatory event with it is returned."""


def queue_settings(url: str) -> QueueSettings:
    """The shortest deadlines that a busy machine keeps."""
    return QueueSettings(url=url, publish_timeout=3, connect_timeout=5, retry_cap=0.2)


@pytest.fixture
def queue() -> RecordingPublisher:
    """The queue in memory."""
    return RecordingPublisher()


@pytest.fixture
async def kernel(store_url: str, clock: FakeClock, queue: RecordingPublisher) -> AsyncIterator[Kernel]:
    """A gateway before the queue in memory, on each kind of database."""
    async with kernel_on(store_url, clock, queue) as opened:
        yield opened


@pytest.fixture
async def intake(rabbitmq: RabbitMQ) -> AsyncIterator["Intake"]:
    """The core's end of the real queue, empty."""
    reader = Intake(rabbitmq)
    await reader.read()
    yield reader
    await reader.read()


@pytest.fixture
async def real(store_url: str, clock: FakeClock, rabbitmq: RabbitMQ) -> AsyncIterator[Kernel]:
    """A gateway before the real queue, on each kind of database."""
    settings = settings_for(store_url).model_copy(update={"queue": queue_settings(rabbitmq.url)})
    async with kernel_on(store_url, clock, AmqpPublisher(settings.queue), settings=settings) as opened:
        yield opened


class Intake:
    """Reads what the core would."""

    def __init__(self, node: RabbitMQ) -> None:
        self._node = node

    async def read(self) -> list[aio_pika.abc.AbstractIncomingMessage]:
        """Everything on the queue, which is empty afterwards."""
        found: list[aio_pika.abc.AbstractIncomingMessage] = []
        async with await aio_pika.connect(self._node.url) as connection:
            channel = await connection.channel()
            queue = await channel.get_queue(INTAKE_QUEUE)
            while (message := await queue.get(fail=False, no_ack=True)) is not None:
                found.append(message)
        return found

    async def ids(self) -> list[str]:
        """The external ids of the reports, sorted, each as often as it came under another message id."""
        by_id = {message.message_id: json.loads(message.body) for message in await self.read()}
        return sorted(body["data"]["external_id"] for body in by_id.values())


async def decide(kernel: Kernel, *external_ids: str) -> list[str]:
    """Puts a report for each into the outbox; returns the events' ids in the order of the reports."""
    await kernel.receive(*(fake_message(external_id) for external_id in external_ids))
    await kernel.process()
    return [row.id for row in await kernel.rows(outbox, confirmed_at=None)][-len(external_ids) :]


async def add_event(kernel: Kernel, kind: str, sequence: int) -> None:
    """A further event of the only report."""
    report = await kernel.row(reports)
    async with kernel.store.write() as connection:
        await connection.execute(
            insert(outbox).values(
                id=uuid7(),
                report_id=report.id,
                sequence=sequence,
                routing_key=f"report.{kind}.{FAKE_TYPE}",
                body=b"{}",
                created_at=to_milliseconds(kernel.clock.now()),
            )
        )
    kernel.gateway.publish._events.fall_behind()  # noqa: SLF001 - as the process stage does


async def until_published(kernel: Kernel) -> None:
    """Steps, as the stage's loop does after failures, until nothing is left."""

    async def step() -> bool:
        with suppress(GatewayError):
            kernel.clock.sweep()
            await kernel.gateway.publish.step()
        return not await kernel.count(outbox, confirmed_at=None, parked_at=None)

    await eventually(step, "the outbox to empty")


_others = itertools.count()


async def refused_steps(kernel: Kernel, times: int) -> None:
    """Steps in which one event is refused while another passes."""
    for _ in range(times):
        await decide(kernel, f"other-{next(_others)}")
        kernel.clock.sweep()
        await kernel.gateway.publish.step()


# With the queue in memory.


async def test_an_event_is_marked_only_when_it_is_confirmed(kernel: Kernel, queue: RecordingPublisher) -> None:
    """What was confirmed is marked, what failed is not, and goes out again under the same id."""
    ids = await decide(kernel, "a", "b", "c")
    queue.verdict = lambda event: "fail" if event.id == ids[1] else "confirm"
    with pytest.raises(BrokerUnavailable):
        await kernel.gateway.publish.step()
    marked = {row.id for row in await kernel.rows(outbox) if row.confirmed_at is not None}
    assert marked == {ids[0]}
    queue.verdict = lambda _event: "confirm"
    await kernel.publish()
    assert [event.id for event in queue.confirmed] == ids


async def test_one_refused_event_is_parked_after_five_refusals_while_others_pass(
    kernel: Kernel, queue: RecordingPublisher
) -> None:
    """The fifth refusal beside a confirm sets it aside with the queue's reason; it is not tried again."""
    (bad,) = await decide(kernel, "bad")
    queue.verdict = lambda event: "refuse" if event.id == bad else "confirm"
    await refused_steps(kernel, PARKED_AFTER - 1)
    assert (await kernel.row(outbox, id=bad)).parked_at is None
    await refused_steps(kernel, 1)
    parked = await kernel.row(outbox, id=bad)
    assert parked.parked_at is not None
    assert (parked.confirmed_at, parked.reason, parked.refusals) == (None, "refused by the fake", PARKED_AFTER)
    await refused_steps(kernel, 1)
    assert sum(event.id == bad for batch in queue.tried for event in batch) == PARKED_AFTER
    assert len(queue.confirmed) == PARKED_AFTER + 1


async def test_when_every_event_is_refused_none_is_counted(kernel: Kernel, queue: RecordingPublisher) -> None:
    """That is the queue's trouble: it is shown, and held against no event."""
    await decide(kernel, "a", "b")
    queue.verdict = lambda _event: "refuse"
    for _ in range(PARKED_AFTER + 1):
        with pytest.raises(BrokerUnavailable, match="refuses every event"):
            await kernel.gateway.publish.step()
    assert {(row.refusals, row.parked_at) for row in await kernel.rows(outbox)} == {(0, None)}
    assert queue.closed == PARKED_AFTER + 1  # opened anew, whatever somebody removed is declared again


async def test_of_one_report_only_the_first_unconfirmed_event_is_on_its_way(
    kernel: Kernel, queue: RecordingPublisher
) -> None:
    """Received, updated and withdrawn are published one after the other, each after the confirm before."""
    await decide(kernel, "a")
    await add_event(kernel, "updated", 2)
    await add_event(kernel, "withdrawn", 3)
    await kernel.publish()
    assert [[event.sequence for event in batch] for batch in queue.tried] == [[1], [2], [3]]


async def test_an_update_never_overtakes_a_report_that_fails(kernel: Kernel, queue: RecordingPublisher) -> None:
    """While ``received`` is unconfirmed, ``updated`` is not even tried; a parked one holds it back as well."""
    (first,) = await decide(kernel, "a")
    await add_event(kernel, "updated", 2)
    queue.verdict = lambda event: "fail" if event.id == first else "confirm"
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            await kernel.gateway.publish.step()
    queue.verdict = lambda event: "refuse" if event.id == first else "confirm"
    await kernel.change(outbox, outbox.c.id == first, refusals=PARKED_AFTER - 1)
    await refused_steps(kernel, 2)
    assert (await kernel.row(outbox, id=first)).parked_at is not None
    assert {event.sequence for batch in queue.tried for event in batch} == {1}


async def test_lanes_never_take_the_same_event(kernel: Kernel, queue: RecordingPublisher) -> None:
    """Three lanes at once: each event is tried by one of them."""
    await decide(kernel, *(f"m{n}" for n in range(30)))
    kernel.gateway.publish._limit = 10  # noqa: SLF001 - smaller batches
    queue.open_to = asyncio.Event()
    lanes = [asyncio.create_task(kernel.gateway.publish.step()) for _ in range(3)]
    await eventually(lambda: len(queue.tried) == 3, "three batches in flight")
    queue.open_to.set()
    await asyncio.gather(*lanes)
    tried = [event.id for batch in queue.tried for event in batch]
    assert len(tried) == len(set(tried)) == 30
    assert await kernel.count(outbox, confirmed_at=None) == 0


async def test_an_orderly_end_waits_for_what_is_in_flight_and_takes_nothing_new(
    kernel: Kernel, queue: RecordingPublisher
) -> None:
    """With a backlog waiting, the end comes when the batch in flight is marked."""
    await decide(kernel, *(f"m{n}" for n in range(30)))
    publish = kernel.gateway.publish
    publish._limit = 10  # noqa: SLF001 - smaller batches
    queue.open_to = asyncio.Event()

    async def lane() -> None:
        while True:
            await publish.step()

    running = asyncio.create_task(lane())
    await eventually(lambda: len(queue.tried) == 1, "a batch in flight")
    end = asyncio.create_task(publish.finish())
    await asyncio.sleep(0)
    queue.open_to.set()
    await end
    await asyncio.sleep(0.05)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert len(queue.tried) == 1
    assert await kernel.count(outbox, confirmed_at=None) == 20


async def test_two_gateways_publish_each_event_once_and_neither_calls_that_a_fault(
    postgresql_url: str, clock: FakeClock, rabbitmq: RabbitMQ, intake: Intake
) -> None:
    """On one PostgreSQL and one RabbitMQ: what the other holds is passed over in silence."""
    settings = settings_for(postgresql_url).model_copy(update={"queue": queue_settings(rabbitmq.url)})
    first_queue = RecordingPublisher()
    first_queue.open_to = asyncio.Event()
    async with (
        kernel_on(postgresql_url, clock, first_queue, settings=settings) as first,
        kernel_on(postgresql_url, FakeClock(), AmqpPublisher(settings.queue), settings=settings) as second,
    ):
        await decide(first, "a", "b")
        held = asyncio.create_task(first.gateway.publish.step())
        await eventually(lambda: len(first_queue.tried) == 1, "the first gateway to hold both events")
        await second.gateway.publish.step()
        first_queue.open_to.set()
        await held
        assert await first.count(outbox, confirmed_at=None) == 0
    assert len(first_queue.confirmed) == 2
    assert await intake.read() == []


# With the real queue.


async def test_an_event_on_the_queue_is_what_the_contract_says(real: Kernel, intake: Intake) -> None:
    """Persistent, typed, named by its id, routed by kind and channel type."""
    (event_id,) = await decide(real, "a")
    await real.publish()
    (message,) = await intake.read()
    body = json.loads(message.body)
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.content_type == "application/cloudevents+json"
    assert message.message_id == event_id == body["id"] != body["data"]["id"]
    assert (message.exchange, message.routing_key) == ("lapor.reports", f"report.received.{FAKE_TYPE}")
    assert message.app_id == "lapor-gateway"
    assert body["subject"] == body["data"]["tracking_id"]
    assert bytes((await real.row(outbox)).body) == message.body


@pytest.mark.parametrize("size", [1, 131_064, 131_065, 180_000])
async def test_a_body_of_any_size_arrives_whole(rabbitmq: RabbitMQ, intake: Intake, size: int) -> None:
    """A byte, exactly one frame, one more, and several frames."""
    publisher = AmqpPublisher(queue_settings(rabbitmq.url))
    await publisher.open()
    event = OutboxEvent(uuid7(), uuid7(), 1, "report.received.sms", bytes(n % 251 for n in range(size)))
    result = await publisher.publish([event])
    await publisher.close()
    assert (result.confirmed, result.failure) == ((event.id,), None)
    (message,) = await intake.read()
    assert message.body == event.body


async def test_a_returned_event_is_refused_and_not_marked(real: Kernel, intake: Intake) -> None:
    """The mandatory event that no queue takes stays in the outbox; its neighbours are marked."""
    ids = await decide(real, "a", "b", "c")
    await real.change(outbox, outbox.c.id == ids[1], routing_key=NOWHERE)
    real.gateway.publish._events.fall_behind()  # noqa: SLF001 - the row was changed behind its back
    await real.gateway.publish.step()
    assert [row.confirmed_at is not None for row in await real.rows(outbox)] == [True, False, True]
    assert "NO_ROUTE" in (await real.row(outbox, id=ids[1])).reason
    assert await intake.ids() == ["a", "c"]


async def test_a_nacked_event_is_refused_and_not_marked(real: Kernel, intake: Intake, rabbitmq: RabbitMQ) -> None:
    """A queue that is full refuses what is routed to it as well; the others pass, and the refused one is parked."""
    async with await aio_pika.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        full = await channel.declare_queue(
            "full", exclusive=True, arguments={"x-max-length": 0, "x-overflow": "reject-publish"}
        )
        await full.bind("lapor.reports", routing_key="report.withdrawn.#")
        ids = await decide(real, "a", "b", "c")
        await real.change(outbox, outbox.c.id == ids[1], routing_key=f"report.withdrawn.{FAKE_TYPE}")
        real.gateway.publish._events.fall_behind()  # noqa: SLF001 - the row was changed behind its back
        await real.gateway.publish.step()
    assert [row.confirmed_at is not None for row in await real.rows(outbox)] == [True, False, True]
    assert "Nack" in (await real.row(outbox, id=ids[1])).reason
    await intake.read()


async def test_an_event_that_makes_the_broker_close_the_channel_does_not_stop_the_others(
    real: Kernel, intake: Intake
) -> None:
    """It is found, refused by itself and parked in the end; all others are confirmed in the first step."""
    ids = await decide(real, "a", "b", "c", "d")
    await real.change(outbox, outbox.c.id == ids[2], body=b"x" * (LARGEST_MESSAGE + 1))
    real.gateway.publish._events.fall_behind()  # noqa: SLF001 - the row was changed behind its back
    await real.gateway.publish.step()
    assert [row.confirmed_at is not None for row in await real.rows(outbox)] == [True, True, False, True]
    assert [row.refusals for row in await real.rows(outbox)] == [0, 0, 1, 0]
    assert await intake.ids() == ["a", "b", "d"]
    await refused_steps(real, PARKED_AFTER - 1)
    assert (await real.row(outbox, id=ids[2])).parked_at is not None
    await until_published(real)
    assert len(await intake.ids()) == PARKED_AFTER - 1


async def test_a_batch_with_such_an_event_costs_no_event_of_another_batch_a_refusal(
    rabbitmq: RabbitMQ, intake: Intake
) -> None:
    """Three batches lose their channel by one event: only that one is refused, and all others are confirmed."""
    publisher = AmqpPublisher(queue_settings(rabbitmq.url))
    batches = [
        [OutboxEvent(uuid7(), uuid7(), 1, "report.received.sms", b'{"n": %d}' % n) for n in range(20)] for _ in range(3)
    ]
    culprit = OutboxEvent(uuid7(), uuid7(), 1, "report.received.sms", b"x" * (LARGEST_MESSAGE + 1))
    batches[0].insert(0, culprit)
    await publisher.open()
    results = await asyncio.gather(*(publisher.publish(batch) for batch in batches))
    await publisher.close()
    assert [(set(result.refused), result.failure) for result in results] == [
        ({culprit.id}, None),
        (set(), None),
        (set(), None),
    ]
    found = {message.message_id for message in await intake.read()}
    assert found == {event.id for batch in batches for event in batch} - {culprit.id}


async def test_lanes_get_past_such_an_event_together(real: Kernel, intake: Intake) -> None:
    """Three lanes work at once while one of them looks for the culprit."""
    ids = await decide(real, *(f"m{n:02d}" for n in range(60)))
    await real.change(outbox, outbox.c.id == ids[5], body=b"x" * (LARGEST_MESSAGE + 1))
    real.gateway.publish._events.fall_behind()  # noqa: SLF001 - the row was changed behind its back
    real.gateway.publish._limit = 20  # noqa: SLF001 - smaller batches
    await asyncio.gather(*(real.gateway.publish.step() for _ in range(3)), return_exceptions=True)
    assert {row.id: row.refusals for row in await real.rows(outbox) if row.refusals} == {ids[5]: 1}
    await real.change(outbox, outbox.c.id == ids[5], refusals=PARKED_AFTER - 1)
    await decide(real, "other")
    await until_published(real)
    assert await intake.ids() == sorted([*(f"m{n:02d}" for n in range(60) if n != 5), "other"])


async def test_a_topology_that_somebody_removed_is_declared_anew(
    real: Kernel, intake: Intake, rabbitmq: RabbitMQ
) -> None:
    """With the binding gone every event is returned; the next connection mends it and all are published."""
    await decide(real, "a")
    await real.publish()
    await unbind(rabbitmq)
    await decide(real, "b", "c")
    with pytest.raises(BrokerUnavailable, match="NO_ROUTE"):
        await real.gateway.publish.step()
    await until_published(real)
    assert await intake.ids() == ["a", "b", "c"]


async def unbind(node: RabbitMQ) -> None:
    """Takes the intake queue off its exchange."""
    async with await aio_pika.connect(node.url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(INTAKE_QUEUE)
        await queue.unbind("lapor.reports", routing_key="report.#")


Outage = Callable[[RabbitMQ], Awaitable[None]]


async def test_a_frozen_broker_costs_nothing_but_time(real: Kernel, intake: Intake, rabbitmq: RabbitMQ) -> None:
    """Frozen amid a publish it is given up after the deadline; thawed, every event arrives."""
    await decide(real, "a")
    await real.publish()
    await decide(real, "b", "c")
    rabbitmq.freeze()
    try:
        with pytest.raises(BrokerUnavailable, match="no confirm within"):
            await real.gateway.publish.step()
        assert await real.count(outbox, confirmed_at=None) == 2
    finally:
        rabbitmq.thaw()
    rabbitmq.wait_ready()
    await until_published(real)
    assert await intake.ids() == ["a", "b", "c"]


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_a_broker_that_is_gone_and_back_has_every_event(
    sqlite_url: str, clock: FakeClock, rabbitmq: RabbitMQ, intake: Intake, end: str
) -> None:
    """Killed or stopped between and amid publishes: nothing is marked while it is away, and all arrives at last."""
    settings = settings_for(sqlite_url).model_copy(update={"queue": queue_settings(rabbitmq.url)})
    async with kernel_on(sqlite_url, clock, AmqpPublisher(settings.queue), settings=settings) as real:
        await decide(real, "a")
        await real.publish()
        await decide(real, *(f"m{n:02d}" for n in range(40)))
        real.gateway.publish._limit = 10  # noqa: SLF001 - smaller batches
        amid = asyncio.create_task(real.gateway.publish.step())
        await asyncio.to_thread(getattr(rabbitmq, end))
        with suppress(BrokerUnavailable):
            await amid
        marked = await real.count(outbox, confirmed_at=None)
        with pytest.raises(BrokerUnavailable):
            await real.gateway.publish.step()
        assert await real.count(outbox, confirmed_at=None) == marked
        await asyncio.to_thread(rabbitmq.start)
        for queue in QUEUES:
            await asyncio.to_thread(rabbitmq.settle, queue.name)
        await until_published(real)
    assert await intake.ids() == sorted(["a", *(f"m{n:02d}" for n in range(40))])


def virtual_host(node: RabbitMQ, name: str) -> str:
    """A virtual host with nothing in it; gives its address."""
    node.evaluate(
        f'ok = rabbit_vhost:add(<<"{name}">>, <<"test">>), '
        f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, '
        f'<<"test">>)'
    )
    return f"{node.url}{name}"


async def test_the_topology_on_the_broker_is_the_one_in_the_code(rabbitmq: RabbitMQ) -> None:
    """On an empty virtual host the publisher declares what ``definitions`` exports, neither more nor less."""
    publisher = AmqpPublisher(queue_settings(virtual_host(rabbitmq, "empty")))
    await publisher.open()
    await publisher.close()
    found = json.loads(await asyncio.to_thread(rabbitmq.ctl, "export_definitions", "-", "--format", "json"))
    for kind, keys in COMPARED.items():
        on_broker = [[each[key] for key in keys] for each in found[kind] if each["vhost"] == "empty"]
        in_code = [[each[key] for key in keys] for each in definitions()[kind]]
        assert sorted(on_broker, key=str) == sorted(in_code, key=str)


COMPARED = {
    "exchanges": ("name", "type", "durable", "auto_delete", "arguments"),
    "queues": ("name", "durable", "auto_delete", "arguments"),
    "bindings": ("source", "destination", "destination_type", "routing_key", "arguments"),
}


async def test_a_queue_with_other_properties_needs_an_operator(rabbitmq: RabbitMQ) -> None:
    """The sentence names the file to compare with, and what to do."""
    url = virtual_host(rabbitmq, "other")
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(INTAKE_QUEUE, durable=True)
    with pytest.raises(NeedsOperator, match=r"queue/definitions\.json.*delete or migrate"):
        await AmqpPublisher(queue_settings(url)).open()


@pytest.mark.parametrize("address", ["guest:s3cret-wrong@", "nobody-here:s3cret-wrong@"])
async def test_a_wrong_login_needs_an_operator_and_shows_no_password(rabbitmq: RabbitMQ, address: str) -> None:
    """The sentence says what to check."""
    with pytest.raises(NeedsOperator, match="check user, password and vhost") as caught:
        await AmqpPublisher(queue_settings(rabbitmq.url.replace("guest:guest@", address))).open()
    assert "s3cret" not in str(caught.value)


async def test_a_missing_virtual_host_needs_an_operator(rabbitmq: RabbitMQ) -> None:
    """Trying again cannot make it appear."""
    with pytest.raises(NeedsOperator, match="vhost"):
        await AmqpPublisher(queue_settings(f"{rabbitmq.url}missing")).open()


async def test_a_broker_that_is_not_there_is_unavailable() -> None:
    """Nobody listens: it is tried again later."""
    publisher = AmqpPublisher(queue_settings("amqp://guest:s3cret@127.0.0.1:1/"))
    with pytest.raises(BrokerUnavailable) as caught:
        await publisher.open()
    assert "s3cret" not in str(caught.value)
    result = await publisher.publish([OutboxEvent(uuid7(), uuid7(), 1, "report.received.sms", b"{}")])
    assert isinstance(result.failure, BrokerUnavailable)
