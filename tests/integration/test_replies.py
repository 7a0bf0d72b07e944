"""The core's replies: each becomes one answer, whatever dies in between, and what reaches nobody comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from io import StringIO
from typing import Any

import aio_pika
import pytest
import structlog
from msgspec.structs import replace
from sqlalchemy import delete, insert

from gateway.application import Gateway
from gateway.clock import to_milliseconds
from gateway.errors import BrokerUnavailable, GatewayError, Refused, StoreUnavailable
from gateway.identifiers import luhn_digit, reporter_key
from gateway.model import Report, Reporter, decode_event, decode_report, encode
from gateway.ports import ChannelPlugin
from gateway.publishers import replies as queue_module
from gateway.publishers.topology import REPLIES_EXCHANGE, REPLIES_QUEUE
from gateway.settings.model import AnswerSettings, ChannelSection, Settings
from gateway.settings.wording import NEWS_WITHHELD, QUESTION_WITHHELD
from gateway.stages import undeliverable
from gateway.stages.answer import AnswerStage
from gateway.stages.loop import Backoff
from gateway.stages.replies import BATCH
from gateway.store import answers as answer_rows
from gateway.store.tables import answers, channels, messages, outbox, replies, reports, silenced
from tests.conftest import eventually
from tests.fakes import FakeChannel, FakeChannels, FakeClock, FakeSettings, RecordingPublisher, fake_message
from tests.integration.kernel import CHANNEL, Kernel, kernel_on, settings_for
from tests.services.postgresql import PostgreSQL
from tests.services.rabbitmq import RabbitMQ

DEAD_QUEUE = "lapor.gateway.replies.dead"
NUMBER = "+6281100007777"
TEXT = "Jalan sedang diperbaiki."
MATTERS = (
    "Jalan di depan pasar berlubang besar",
    "Air PDAM mati sejak kemarin siang",
    "Petugas kelurahan meminta pungutan liar",
    "Sampah menumpuk di tepi sungai",
)
"""What no two reports of one citizen share: a repeat would have no tracking ID of its own."""

STRANGER = "123456789" + luhn_digit("123456789")
"""A tracking ID of no report."""

Body = Mapping[str, Any] | bytes


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue without replies is soon found to be empty."""
    monkeypatch.setattr(queue_module, "LOOK_SECONDS", 0.2)


class Core:
    """The core's end of the real queue."""

    def __init__(self, node: RabbitMQ) -> None:
        self.node = node

    async def reply(self, *bodies: Body) -> None:
        """Publishes replies as the core does, each confirmed."""
        async with await aio_pika.connect(self.node.url) as connection:
            channel = await connection.channel(on_return_raises=True)
            exchange = await channel.get_exchange(REPLIES_EXCHANGE)
            for body in bodies:
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                message = aio_pika.Message(raw, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await exchange.publish(message, "reply.progress", mandatory=True, timeout=20)

    async def read_dead(self) -> list[bytes]:
        """Everything among the dead letters, which are none afterwards."""
        found: list[bytes] = []
        async with await aio_pika.connect(self.node.url) as connection:
            queue = await (await connection.channel()).get_queue(DEAD_QUEUE)
            while (message := await queue.get(fail=False, no_ack=True)) is not None:
                found.append(message.body)
        return found

    async def clear(self) -> None:
        """Empties both queues."""
        async with await aio_pika.connect(self.node.url) as connection:
            channel = await connection.channel()
            for name in (REPLIES_QUEUE, DEAD_QUEUE):
                queue = await channel.get_queue(name)
                while self.node.queue_depth(name):
                    await queue.purge()

    def waiting(self) -> int:
        """Replies that the gateway has not acknowledged."""
        return self.node.queue_depth(REPLIES_QUEUE)


@pytest.fixture
async def core(rabbitmq: RabbitMQ) -> AsyncIterator[Core]:
    """The core, with empty queues before and after."""
    end = Core(rabbitmq)
    await end.clear()
    yield end
    await end.clear()


def settings_of(url: str, node: RabbitMQ, *names: str, plugin: ChannelPlugin | None = None) -> Settings:
    """Settings with the real queue and channels of these names."""
    chosen = plugin or FakeChannels().plugin()
    sections = [ChannelSection(name, chosen, FakeSettings()) for name in names or (CHANNEL,)]
    return settings_for(url, queue=node.url, channels=sections)


@asynccontextmanager
async def gateway_on(url: str, core: Core, *names: str, clock: FakeClock | None = None) -> AsyncIterator[Kernel]:
    """A gateway that reads the real queue and publishes to one in memory; it ends as a killed one does."""
    settings = settings_of(url, core.node, *names)
    async with kernel_on(url, clock or FakeClock(), RecordingPublisher(), settings=settings) as kernel:
        try:
            yield kernel
        finally:
            assert kernel.gateway._replies is not None  # noqa: SLF001 - the queue is RabbitMQ
            await kernel.gateway._replies.close()  # noqa: SLF001 - the broker notices that it is gone


@pytest.fixture
async def kernel(store_url: str, core: Core, clock: FakeClock) -> AsyncIterator[Kernel]:
    """A gateway on each kind of database."""
    async with gateway_on(store_url, core, clock=clock) as opened:
        yield opened


async def step(kernel: Kernel) -> None:
    """One step of the stage."""
    assert kernel.gateway.replies is not None
    await kernel.gateway.replies.step()


async def steps(kernel: Kernel, times: int) -> None:
    """So many steps, or fewer when one fails."""
    for _ in range(times):
        await step(kernel)


async def until(kernel: Kernel, condition: Callable[[], Awaitable[bool]] | Callable[[], bool], what: str) -> None:
    """Steps, as the stage's loop does after failures, until a condition holds."""

    async def stepped() -> bool:
        with suppress(GatewayError):
            await step(kernel)
        answer = condition()
        return answer if isinstance(answer, bool) else await answer

    await eventually(stepped, what)


async def until_read(kernel: Kernel, core: Core) -> None:
    """Steps until the broker holds no reply any more."""
    await until(kernel, lambda: core.waiting() == 0, "every reply to be acknowledged")


async def reported(kernel: Kernel, external_id: str = "m1", channel: str = CHANNEL, **fields: Any) -> Report:
    """A published report on a matter of its own."""
    text = MATTERS[await kernel.count(reports) % len(MATTERS)]
    await kernel.take(fake_message(external_id, **({"sender": NUMBER, "text": text} | fields)), channel=channel)
    row = (await kernel.rows(reports))[-1]
    return decode_report(bytes(row.body))


def reply_to(report: Report, id_: str = "r1", **fields: Any) -> dict[str, Any]:
    """A reply of the core."""
    return {"id": id_, "tracking_id": report.tracking_id, "text": TEXT, "kind": "progress"} | fields


async def passed_on(kernel: Kernel) -> Sequence[Any]:
    """The answers that pass replies on, oldest first."""
    return await kernel.rows(answers, kind="reply")


async def came_back(kernel: Kernel) -> list[dict[str, Any]]:
    """The events about what did not arrive, in the order of their sequence."""
    rows = [row for row in await kernel.rows(outbox) if row.routing_key.startswith("report.undeliverable.")]
    return [json.loads(row.body) for row in sorted(rows, key=lambda row: row.sequence)]


def counted(kernel: Kernel) -> dict[str, int]:
    """How many replies had each outcome."""
    (metric,) = kernel.gateway.metrics.replies.collect()
    return {sample.labels["outcome"]: int(sample.value) for sample in metric.samples if sample.name.endswith("_total")}


# From the queue to the citizen.


async def test_a_reply_published_twice_reaches_the_citizen_once(
    store_url: str, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the channel of the report, to its reporter, as an answer to its message; the state is kept for STATUS."""
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)
    sources = FakeChannels()
    source = sources.create(CHANNEL, FakeSettings())
    settings = settings_of(store_url, core.node, plugin=sources.plugin())
    async with kernel_on(store_url, FakeClock(), RecordingPublisher(), settings=settings) as kernel:
        report = await reported(kernel)
        await core.reply(reply_to(report, status="Dikerjakan"), reply_to(report, status="Dikerjakan"))
        await core.reply(reply_to(report, status="Dikerjakan"))
        await kernel.gateway.start()
        await eventually(lambda: core.waiting() == 0, "every reply to be acknowledged")
        await eventually(lambda: len(source.sent) == 2, "receipt and reply to be sent")
        await eventually(lambda: kernel.gateway.board.conditions["replies"].state == "up", "the stage to be up")
        row = await kernel.row(replies)
        await kernel.gateway.stop()
    sent = source.sent[-1]
    assert (sent.to, sent.text, sent.reply_to) == (NUMBER, TEXT, "m1")
    assert (row.id, row.report_id, row.kind, row.status) == ("r1", report.id, "progress", "Dikerjakan")
    assert len(source.sent) == 2
    assert counted(kernel) == {"queued": 1, "redelivered": 2}


async def test_a_gateway_killed_between_commit_and_acknowledgement_answers_once(
    store_url: str, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one gets the replies again, finds them known, and acknowledges them."""
    clock = FakeClock()
    async with gateway_on(store_url, core, clock=clock) as killed:
        report = await reported(killed)
        await core.reply(*(reply_to(report, f"r{number}") for number in range(20)))

        async def die(*_: object) -> None:
            raise BrokerUnavailable("killed")

        assert killed.gateway._replies is not None  # noqa: SLF001 - dies at this very call
        monkeypatch.setattr(killed.gateway._replies, "settle", die)  # noqa: SLF001

        async def written() -> bool:
            return await killed.count(replies) > 0

        await until(killed, written, "a commit")
        assert core.waiting() == 20
    async with gateway_on(store_url, core, clock=clock) as second:
        await until_read(second, core)
        assert [row.reply_id for row in await passed_on(second)] == [f"r{number}" for number in range(20)]
        assert counted(second)["redelivered"] > 0


async def test_a_restored_backup_of_the_core_answers_nobody_again(kernel: Kernel, core: Core) -> None:
    """An id that was handled stays handled, though the answer was sent and emptied long ago."""
    report = await reported(kernel)
    await core.reply(reply_to(report))
    await until_read(kernel, core)
    async with kernel.store.write() as connection:
        await connection.execute(delete(answers))
    await core.reply(reply_to(report), reply_to(report, text="Other words"))
    await until_read(kernel, core)
    assert await passed_on(kernel) == []


async def test_many_replies_are_one_transaction_not_many(kernel: Kernel, core: Core) -> None:
    """What waits is read in batches, in its order, and a batch is bounded."""
    made = [await reported(kernel, f"m{number}") for number in range(3)]
    await core.reply(*(reply_to(made[n % 3], f"r{n:03d}") for n in range(BATCH + 50)))
    before = kernel.gateway.metrics.commit_seconds.labels("replies")
    await until_read(kernel, core)
    commits = [int(sample.value) for sample in before._samples() if sample.name == "_count"]  # noqa: SLF001 - its count
    assert [row.reply_id for row in await passed_on(kernel)] == [f"r{n:03d}" for n in range(BATCH + 50)]
    assert commits[0] <= 20


async def test_two_gateways_share_the_replies(postgresql_url: str, core: Core) -> None:
    """Both read at once, and the same reply that each of them gets is sent once."""
    async with gateway_on(postgresql_url, core) as first, gateway_on(postgresql_url, core) as second:
        report = await reported(first)
        for each in (first, second):
            await step(each)  # both are connected before anything comes
        await core.reply(*(reply_to(report, f"r{n // 2:02d}") for n in range(120)))

        async def alone(kernel: Kernel) -> None:
            await until_read(kernel, core)

        await asyncio.gather(alone(first), alone(second))
        assert sorted(row.reply_id for row in await passed_on(first)) == [f"r{n:02d}" for n in range(60)]
        assert sum(counted(each).get("queued", 0) for each in (first, second)) == 60
        assert min(sum(counted(each).values()) for each in (first, second)) > 0


# What cannot be understood.


def poison(report: Report) -> list[bytes]:
    """Ten kinds of it."""
    good = reply_to(report, "bad")
    wrong: list[Mapping[str, Any]] = [
        good | {"kind": "reopened"},
        good | {"text": "  \n "},
        good | {"text": "x" * 4001},
        good | {"text": "NUL \0 inside"},
        good | {"tracking_id": STRANGER},
        {name: value for name, value in good.items() if name != "id"},
    ]
    return [
        b"",
        b'{"id": "bad", ',
        b"\xff\xfe" + json.dumps(good).encode(),
        b'{"id": ' + b"[" * 50_000,
        b'{"id": "bad", "rest": "' + b"x" * 100_000 + b'"}',
        *(json.dumps(body).encode() for body in wrong),
    ]


async def test_poison_goes_to_the_dead_letters_and_the_next_good_reply_flows(kernel: Kernel, core: Core) -> None:
    """Each kind, with its reason counted and logged once for a batch, and nothing of what it said."""
    report = await reported(kernel)
    bad = poison(report)
    written = StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(written))
    try:
        await core.reply(*bad, reply_to(report, "good"))
        await until_read(kernel, core)
    finally:
        structlog.reset_defaults()
    assert [row.reply_id for row in await passed_on(kernel)] == ["good"]
    assert counted(kernel) == {"malformed": 9, "too_long": 1, "unknown": 1, "queued": 1}
    await eventually(lambda: core.node.queue_depth(DEAD_QUEUE) == len(bad), "every dead letter")
    assert sorted(await core.read_dead()) == sorted(bad)
    assert "No report has this tracking ID." in written.getvalue()
    assert written.getvalue().count("reply.rejected") <= 3 * len(bad)
    for mark in (STRANGER, report.tracking_id, "NUL", "xxx", "reopened"):
        assert mark not in written.getvalue()


async def test_a_reply_that_the_gateway_itself_fails_on_is_set_aside_alone(
    kernel: Kernel, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug that one reply meets costs no other reply its way."""
    report = await reported(kernel)
    add = answer_rows.add

    async def stumble(connection: Any, new: Any, at: int) -> None:
        if any(answer.reply_id == "r2" for answer in new):
            raise ValueError(TEXT)
        await add(connection, new, at)

    monkeypatch.setattr(answer_rows, "add", stumble)
    await core.reply(*(reply_to(report, f"r{number}") for number in range(1, 4)))
    await until_read(kernel, core)
    assert [row.reply_id for row in await passed_on(kernel)] == ["r1", "r3"]
    assert [row.id for row in await kernel.rows(replies)] == ["r1", "r3"]
    await eventually(lambda: core.node.queue_depth(DEAD_QUEUE) == 1, "the dead letter")


async def test_a_reply_to_a_report_that_was_emptied_is_a_dead_letter(kernel: Kernel, core: Core) -> None:
    """After store.keep_days nobody here knows whom to answer, or can say what the report was."""
    report = await reported(kernel)
    await kernel.change(reports, reports.c.id == report.id, body=None)
    await core.reply(reply_to(report))
    await until_read(kernel, core)
    assert counted(kernel) == {"expired": 1}
    await eventually(lambda: core.node.queue_depth(DEAD_QUEUE) == 1, "the dead letter")


# What is away, and comes back.


async def test_while_the_database_is_away_nothing_is_acknowledged(
    postgresql_url: str, postgresql: PostgreSQL, core: Core
) -> None:
    """PostgreSQL is killed: the replies stay on the queue, are not asked for again, and are handled when it is back."""
    async with gateway_on(postgresql_url, core) as kernel:
        report = await reported(kernel)
        await step(kernel)
        await asyncio.to_thread(postgresql.kill)
        try:
            await core.reply(*(reply_to(report, f"r{number}") for number in range(5)))
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await step(kernel)
            assert core.waiting() == 5
            connected = kernel.gateway._replies._connection  # type: ignore[union-attr]  # noqa: SLF001 - stays
        finally:
            await asyncio.to_thread(postgresql.start)
        await until_read(kernel, core)
        assert kernel.gateway._replies._connection is connected  # type: ignore[union-attr]  # noqa: SLF001
        assert len(await passed_on(kernel)) == 5
        assert counted(kernel) == {"queued": 5}


async def test_a_database_that_fails_at_the_commit_loses_nothing(
    kernel: Kernel, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it had written is rolled back and written again."""
    report = await reported(kernel)
    add, failures = answer_rows.add, iter([StoreUnavailable("away")] * 3)

    async def fail(connection: Any, new: Any, at: int) -> None:
        await add(connection, new, at)
        for error in failures:
            raise error

    monkeypatch.setattr(answer_rows, "add", fail)
    await core.reply(reply_to(report))
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await step(kernel)
    assert core.waiting() == 1
    assert await kernel.count(replies) == 0
    await until_read(kernel, core)
    assert len(await passed_on(kernel)) == 1


_CUT_ALL = '[rabbit_networking:close_connection(P, "test") || P <- rabbit_networking:connections()], ok'


async def test_a_connection_that_the_broker_ends_is_made_anew(kernel: Kernel, core: Core) -> None:
    """What was in hand is acknowledged on no other connection: it comes again there."""
    report = await reported(kernel)
    await core.reply(reply_to(report, "r1"))
    assert kernel.gateway._replies is not None  # noqa: SLF001 - the queue's end in hand
    queue = kernel.gateway._replies  # noqa: SLF001
    await queue.open()
    stale = await queue.take(10)
    await asyncio.to_thread(core.node.evaluate, _CUT_ALL)
    await eventually(lambda: queue._current is None, "the loss to be noticed")  # noqa: SLF001
    with pytest.raises(BrokerUnavailable, match="come again"):
        await queue.settle(stale, ())
    assert core.waiting() == 1
    await core.reply(reply_to(report, "r2"))
    await until_read(kernel, core)
    assert [row.reply_id for row in await passed_on(kernel)] == ["r1", "r2"]


async def test_a_killed_broker_is_found_again_with_every_reply(sqlite_url: str, core: Core) -> None:
    """Nothing that the core published with a confirmation is lost, and the stage says meanwhile what is wrong."""
    async with gateway_on(sqlite_url, core) as kernel:
        report = await reported(kernel)
        await step(kernel)
        await core.reply(*(reply_to(report, f"r{number}") for number in range(5)))
        await asyncio.to_thread(core.node.kill)
        try:
            with pytest.raises(BrokerUnavailable):
                await steps(kernel, 2)  # what had arrived may still be taken in
        finally:
            await asyncio.to_thread(core.node.start)
            await asyncio.to_thread(core.node.settle, REPLIES_QUEUE)
        await until_read(kernel, core)
        assert [row.reply_id for row in await passed_on(kernel)] == [f"r{number}" for number in range(5)]


async def test_a_queue_that_somebody_removed_is_declared_anew(kernel: Kernel, core: Core) -> None:
    """The broker cancels the reader and closes nothing: the stage notices, and reads the new queue."""
    report = await reported(kernel)
    await step(kernel)
    async with await aio_pika.connect(core.node.url) as connection:
        await (await connection.channel()).queue_delete(REPLIES_QUEUE)
    with pytest.raises(BrokerUnavailable):
        await steps(kernel, 20)
    await until(kernel, lambda: kernel.gateway._replies._current is not None, "the reading to go on")  # type: ignore[union-attr]  # noqa: SLF001
    await asyncio.to_thread(core.node.settle, REPLIES_QUEUE)
    await core.reply(reply_to(report))
    await until_read(kernel, core)
    assert len(await passed_on(kernel)) == 1


# Whom it reaches, and by what.


async def test_one_who_sent_stop_is_asked_and_not_notified(kernel: Kernel, core: Core) -> None:
    """Progress and the end are written down for STATUS only; a question goes out, the report waits for its answer."""
    report = await reported(kernel)
    async with kernel.store.write() as connection:
        row = {"reporter": reporter_key("phone", NUMBER), "since": 1}
        await connection.execute(insert(silenced).values(row))
    kinds = ("progress", "question", "closed")
    await core.reply(*(reply_to(report, kind, kind=kind, status=kind) for kind in kinds))
    await until_read(kernel, core)
    assert [row.reply_id for row in await passed_on(kernel)] == ["question"]
    assert {row.status for row in await kernel.rows(replies)} == set(kinds)
    assert await came_back(kernel) == []
    assert counted(kernel) == {"silenced": 2, "queued": 1}


async def test_a_reply_in_the_night_waits_for_the_morning(kernel: Kernel, core: Core) -> None:
    """Whatever its kind: nobody has asked for it just now. Quiet is from 21:00 to 06:00 in Jakarta."""
    report = await reported(kernel)
    kernel.clock.advance(hours=8)  # 23:00 there
    await core.reply(*(reply_to(report, kind, kind=kind) for kind in ("progress", "question", "closed")))
    await until_read(kernel, core)
    morning = to_milliseconds(kernel.clock.now()) + 7 * 3600 * 1000
    assert [row.next_at for row in await passed_on(kernel)] == [morning] * 3


async def serve_elsewhere(kernel: Kernel, name: str, type_: str) -> None:
    """Another gateway on the same database has a channel of this name."""
    now = to_milliseconds(kernel.clock.now())
    row = {"name": name, "type": type_, "state": "up", "reason": "", "since": now, "details": "{}", "updated_at": now}
    async with kernel.store.write() as connection:
        await connection.execute(insert(channels).values(row))


async def change_report(kernel: Kernel, report: Report, **fields: Any) -> Report:
    """Makes a stored report another one."""
    changed = replace(report, **fields)
    await kernel.change(reports, reports.c.id == report.id, body=encode(changed))
    return changed


@pytest.mark.parametrize(
    ("visibility", "kind", "words"),
    [
        ("secret", "progress", NEWS_WITHHELD),
        ("anonymous", "closed", NEWS_WITHHELD),
        ("secret", "question", QUESTION_WITHHELD),
    ],
)
async def test_a_reply_about_a_report_that_is_not_public_says_nothing_on_x(
    kernel: Kernel, core: Core, visibility: str, kind: str, words: str
) -> None:
    """Replies on X are public posts: the tracking ID and the time alone are named."""
    await serve_elsewhere(kernel, "x-1", "twitter")
    await reported(kernel, "other")
    report = await reported(kernel, "17", channel="x-1")
    await change_report(kernel, report, visibility=visibility, reporter=Reporter(address="17", kind="x"))
    await core.reply(reply_to(report, kind=kind))
    await until_read(kernel, core)
    (answer,) = await passed_on(kernel)
    assert answer.text == words.format(tracking_id=report.tracking_id, date="01-11-2026 pukul 15.00")
    assert answer.channel == "x-1"
    assert counted(kernel) == {"withheld": 1}


async def test_a_reply_about_a_public_report_is_posted_as_it_is(kernel: Kernel, core: Core) -> None:
    """And so is every reply that goes to one person only."""
    await serve_elsewhere(kernel, "x-1", "twitter")
    public = await reported(kernel, "17", channel="x-1")
    secret = await change_report(kernel, await reported(kernel, "m2"), visibility="secret")
    await core.reply(reply_to(public, "r1"), reply_to(secret, "r2"))
    await until_read(kernel, core)
    assert [row.text for row in await passed_on(kernel)] == [TEXT, TEXT]


async def test_when_the_channel_is_gone_the_citizens_last_one_is_used(kernel: Kernel, core: Core) -> None:
    """The answer then replies to what the citizen wrote there, and still belongs to the report that it is about."""
    report = await reported(kernel, "old", channel="gone-1")
    for external_id, sender in (("newer", NUMBER), ("newest", NUMBER), ("somebody", "+6281100008888")):
        await reported(kernel, external_id, sender=sender)
    await core.reply(reply_to(report))
    await until_read(kernel, core)
    (answer,) = await passed_on(kernel)
    message = await kernel.row(messages, id=answer.message_id)
    assert (answer.channel, answer.recipient, answer.report_id) == (CHANNEL, NUMBER, report.id)
    assert message.external_id == "newest"


# What reaches nobody.


async def test_a_reply_with_no_way_to_the_citizen_comes_back(kernel: Kernel, core: Core) -> None:
    """No channel, or the report was withdrawn: each reply has an event, in the order of the report's sequence."""
    report = await reported(kernel, "old", channel="gone-1")
    await core.reply(*(reply_to(report, f"r{number}") for number in range(3)))
    await until_read(kernel, core)
    events = await came_back(kernel)
    assert [(event["sequence"], event["replyid"]) for event in events] == [(2, "r0"), (3, "r1"), (4, "r2")]
    assert "No channel" in events[0]["reason"]
    assert events[0]["data"] == json.loads(encode(report))
    assert decode_event(json.dumps(events[0]).encode()).type == "id.go.lapor.report.undeliverable.v1"
    assert await passed_on(kernel) == []
    await kernel.publish()
    published = kernel.gateway._publisher.seen()  # type: ignore[attr-defined]  # noqa: SLF001 - the one in memory
    assert published == [("received", 1), *(("undeliverable", number) for number in (2, 3, 4))]


async def test_a_reply_to_a_withdrawn_report_comes_back_and_leaves_it_withdrawn(kernel: Kernel, core: Core) -> None:
    """The citizen has taken it back, and is told nothing any more."""
    report = await reported(kernel)
    await kernel.change(reports, reports.c.id == report.id, withdrawn_at=7, sequence=2)
    await core.reply(reply_to(report))
    await until_read(kernel, core)
    (event,) = await came_back(kernel)
    assert (event["sequence"], event["reason"]) == (3, "The report was withdrawn.")
    assert (await kernel.row(reports)).withdrawn_at == 7
    assert await passed_on(kernel) == []


async def test_where_nobody_is_answered_every_reply_comes_back(store_url: str, core: Core) -> None:
    """The core shall not believe that the citizen was told."""
    settings = settings_of(store_url, core.node).model_copy(update={"answers": AnswerSettings(enabled=False)})
    async with AsyncExitStack() as stack:
        kernel = await stack.enter_async_context(
            kernel_on(store_url, FakeClock(), RecordingPublisher(), settings=settings)
        )
        assert kernel.gateway._replies is not None  # noqa: SLF001 - closed at the end
        stack.push_async_callback(kernel.gateway._replies.close)  # noqa: SLF001
        report = await reported(kernel)
        await core.reply(reply_to(report))
        await until_read(kernel, core)
        assert [event["replyid"] for event in await came_back(kernel)] == ["r1"]


def answer_stage(kernel: Kernel, channel: FakeChannel, **settings: Any) -> AnswerStage:
    """The stage that sends what was queued."""
    return AnswerStage(
        CHANNEL,
        channel,
        after_crash="resend",
        wanted=asyncio.Event(),
        store=kernel.store,
        settings=AnswerSettings(**settings),
        clock=kernel.clock,
        metrics=kernel.gateway.metrics,
    )


async def queued_reply(kernel: Kernel, core: Core) -> Report:
    """A report whose receipt was sent, and whose reply is to be sent next."""
    report = await reported(kernel)
    await kernel.change(answers, answers.c.kind == "receipt", state="sent")
    await core.reply(reply_to(report))
    await until_read(kernel, core)
    return report


async def test_a_reply_that_is_refused_for_good_comes_back_with_its_id(kernel: Kernel, core: Core) -> None:
    """Its reason is the channel's, and the answer's failure and the event are one transaction."""
    report = await queued_reply(kernel, core)
    channel = FakeChannel()
    channel.faults["send"].append(Refused("The author has blocked the account."))
    await answer_stage(kernel, channel).step()
    (event,) = await came_back(kernel)
    assert (event["replyid"], event["reason"]) == ("r1", "The author has blocked the account.")
    assert (event["subject"], event["sequence"]) == (report.tracking_id, 2)
    assert (await kernel.row(reports)).sequence == 2
    assert (await passed_on(kernel))[0].state == "failed"


async def test_a_reply_that_expires_comes_back(kernel: Kernel, core: Core) -> None:
    """Once: the next look finds nothing new."""
    await queued_reply(kernel, core)
    stage = answer_stage(kernel, FakeChannel(), max_age_hours=1)
    kernel.clock.advance(hours=2)
    await kernel.change(answers, answers.c.kind == "reply", next_at=2**53)
    for _ in range(2):
        stage._wanted.set()  # noqa: SLF001 - it shall not wait
        await stage._claim()  # noqa: SLF001 - what each step begins with
    (event,) = await came_back(kernel)
    assert (event["replyid"], event["reason"]) == ("r1", "It could not be sent in time.")


async def test_a_receipt_that_fails_comes_back_without_a_replys_id(kernel: Kernel) -> None:
    """The core learns that the citizen does not know the tracking ID."""
    await reported(kernel)
    channel = FakeChannel()
    channel.faults["send"].append(Refused("No such number."))
    await answer_stage(kernel, channel).step()
    (event,) = await came_back(kernel)
    assert "replyid" not in event
    assert event["reason"] == "No such number."


async def test_a_channel_that_is_set_to_answer_nobody_reports_replies_only(kernel: Kernel, core: Core) -> None:
    """Else every report would be followed by an event."""
    report = await reported(kernel)
    await core.reply(reply_to(report))
    await until_read(kernel, core)
    channel = FakeChannel()
    channel.always["send"] = Refused("smtp is not set.", by_settings=True)
    stage = answer_stage(kernel, channel)
    await stage.step()
    await stage.step()
    assert {row.state for row in await kernel.rows(answers)} == {"failed"}
    assert [event["replyid"] for event in await came_back(kernel)] == ["r1"]


async def test_a_delivery_report_of_failure_comes_back_once(kernel: Kernel, core: Core) -> None:
    """Each part of a long SMS has a report of its own, and a message that holds one may be replayed."""
    await queued_reply(kernel, core)
    channel = FakeChannel()
    channel.references = ("17", "18")
    await answer_stage(kernel, channel).step()
    for reference in ("17", "18", "17"):
        async with kernel.store.write() as connection:
            watched = await undeliverable.watch_part(connection, CHANNEL, reference, NUMBER)
            await answer_rows.delivery_report(connection, CHANNEL, reference, NUMBER, "failed", 1)
            await undeliverable.report(connection, watched, kernel.clock.now())
    (event,) = await came_back(kernel)
    assert (event["replyid"], event["reason"]) == ("r1", "The network could not deliver it.")


async def test_a_journal_brings_no_replies(sqlite_url: str) -> None:
    """There is nobody at its other end."""
    gateway = Gateway(settings_for(sqlite_url), publisher=RecordingPublisher(), parsers={})
    assert gateway.replies is None
    await gateway.store.close()
