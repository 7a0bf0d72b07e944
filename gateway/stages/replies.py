"""The core's replies become answers to citizens, each once; what cannot be understood never stops the others."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock, to_milliseconds
from gateway.conversation.guards import quiet_until
from gateway.decisions import answered_in_public
from gateway.errors import StoreFull, StoreUnavailable
from gateway.identifiers import reporter_key, uuid7
from gateway.model import NotDelivered, Reply, Report, decode_reply
from gateway.ports import OutboxEvent
from gateway.publishers import AmqpReplies
from gateway.publishers.replies import Arrival
from gateway.settings import Settings
from gateway.settings.model import zone_of
from gateway.stages import undeliverable
from gateway.stages.handover import Handover
from gateway.stages.loop import frames, progressed
from gateway.stages.undeliverable import Failure
from gateway.store import Store
from gateway.store import answers as answer_rows
from gateway.store import messages as message_rows
from gateway.store import replies as reply_rows
from gateway.store import reports as report_rows
from gateway.store.answers import NewAnswer
from gateway.store.engine import blames_a_value
from gateway.store.replies import NewReply
from gateway.store.reports import Published
from gateway.telemetry import Log, Metrics, logger

BATCH: Final = 200
"""Replies that share one transaction at most."""

NOTIFICATIONS: Final = frozenset({"progress", "closed"})
"""What a citizen who sent STOP is not told. A question is asked all the same: the report waits for its answer."""

Outcome = Literal["queued", "withheld", "silenced", "undeliverable", "redelivered"]
Poison = Literal["too_long", "malformed", "unknown", "expired", "failed"]

_WHY: Final[Mapping[str, str]] = {
    "too_long": "The body is longer than any reply.",
    "malformed": "The body is not what queue/reply.schema.json describes.",
    "unknown": "No report has this tracking ID.",
    "expired": "The report is older than store.keep_days: nobody here knows any more who sent it.",
    "failed": "The gateway failed on this reply; send it to the developers.",
}


@dataclass(slots=True)
class _Decided:
    """What one transaction makes of its replies. ``outcomes`` are by delivery tag."""

    outcomes: dict[int, Outcome | Poison] = field(default_factory=dict)
    answers: list[NewAnswer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    events: list[OutboxEvent] = field(default_factory=list)


class ReplyStage:
    """Takes replies from the queue, commits what follows from them, and only then lets the queue forget them.

    Args:
        store: The database.
        queue: Where the core's replies come from.
        settings: The channels, and whether and when citizens are answered.
        answer_wanted: Set for a channel's name when it has something to send.
        to_publish: Told when an event was decided here.
        clock: Tells the time of the decision.
        metrics: Counts.
    """

    def __init__(
        self,
        *,
        store: Store,
        queue: AmqpReplies,
        settings: Settings,
        answer_wanted: Mapping[str, asyncio.Event],
        to_publish: Handover[OutboxEvent],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._queue = queue
        self._settings = settings
        self._answer_wanted = answer_wanted
        self._to_publish = to_publish
        self._clock = clock
        self._metrics = metrics
        self._store_failed = False

    async def step(self) -> None:
        """Takes one batch through, or finds after a few seconds that there is none.

        While the database is away the batch stays in hand, and the queue is not asked for it again: RabbitMQ counts
        redeliveries, and its newer versions give a message up after twenty.
        """
        if self._store_failed:
            async with self._store.read():
                self._store_failed = False
        await self._queue.open()
        batch = await self._queue.take(BATCH)
        if not batch.arrivals:
            return
        try:
            outcomes = await self._decide(batch.arrivals)
        except (StoreUnavailable, StoreFull):
            self._store_failed = True
            raise
        poison = {tag: outcome for tag, outcome in outcomes.items() if outcome in _WHY}
        await self._queue.settle(batch, poison)
        self._count(outcomes)

    def _count(self, outcomes: Mapping[int, Outcome | Poison]) -> None:
        for outcome, count in Counter(outcomes.values()).items():
            self._metrics.replies.labels(outcome).inc(count)
            why = _WHY.get(outcome)
            if why is not None:
                logger.warning(Log.REPLY_REJECTED, reason=why, count=count)

    async def _decide(self, arrivals: Sequence[Arrival]) -> dict[int, Outcome | Poison]:
        """Commits what follows from a batch; one that makes the transaction fail is found and set aside."""
        outcomes: dict[int, Outcome | Poison] = {}
        replies: dict[int, Reply] = {}
        for arrival in arrivals:
            understood = understand(arrival.body)
            if isinstance(understood, Reply):
                replies[arrival.tag] = understood
            else:
                outcomes[arrival.tag] = understood
        if not replies:
            return outcomes
        try:
            return outcomes | await self._write(replies)
        except Exception as error:
            if not blames_a_value(error):
                raise
        for tag, reply in replies.items():
            outcomes |= await self._write_alone(tag, reply)
            progressed()
        return outcomes

    async def _write_alone(self, tag: int, reply: Reply) -> dict[int, Outcome | Poison]:
        try:
            return await self._write({tag: reply})
        except Exception as error:
            if not blames_a_value(error):
                raise
            logger.warning(Log.STAGE_CRASHED, component="replies", error=type(error).__name__, frames=frames(error))
            return {tag: "failed"}

    async def _write(self, replies: Mapping[int, Reply]) -> dict[int, Outcome | Poison]:
        """One transaction: the replies, their answers, and events for those that reach nobody."""
        now = self._clock.now()
        with self._metrics.commit_seconds.labels("replies").time():
            async with self._store.write() as connection:
                decided = await self._decided(connection, replies, now)
                if decided.answers:
                    await answer_rows.add(connection, decided.answers, to_milliseconds(now))
                decided.events = await undeliverable.publish(connection, decided.failures, now)
        for channel in {answer.channel for answer in decided.answers} & self._answer_wanted.keys():
            self._answer_wanted[channel].set()
        if decided.events:
            self._to_publish.fall_behind()
        return decided.outcomes

    async def _decided(self, connection: AsyncConnection, replies: Mapping[int, Reply], now: datetime) -> _Decided:
        decided = _Decided()
        ids = await report_rows.with_tracking_ids(connection, {reply.tracking_id for reply in replies.values()})
        await report_rows.lock(connection, ids.values())
        known = await report_rows.find(connection, ids.values())
        first: dict[str, int] = {}
        for tag, reply in replies.items():
            if reply.tracking_id not in ids:
                decided.outcomes[tag] = "unknown"
            elif ids[reply.tracking_id] not in known:
                decided.outcomes[tag] = "expired"
            elif first.setdefault(reply.id, tag) != tag:
                decided.outcomes[tag] = "redelivered"
        rows = [
            NewReply(id_, ids[replies[tag].tracking_id], replies[tag].kind, replies[tag].status)
            for id_, tag in first.items()
        ]
        new = await reply_rows.add(connection, rows, to_milliseconds(now))
        to_answer: dict[int, tuple[Reply, Published]] = {}
        for id_, tag in first.items():
            if id_ in new:
                to_answer[tag] = (replies[tag], known[ids[replies[tag].tracking_id]])
            else:
                decided.outcomes[tag] = "redelivered"
        await self._answer(connection, to_answer, decided, now)
        return decided

    async def _answer(
        self,
        connection: AsyncConnection,
        replies: Mapping[int, tuple[Reply, Published]],
        decided: _Decided,
        now: datetime,
    ) -> None:
        silent = await reply_rows.silent(connection, {_key(published.report) for _, published in replies.values()})
        ways = _Ways(connection, self._settings, now)
        to_send: list[tuple[Reply, Report, Report]] = []
        for tag, (reply, published) in replies.items():
            report = published.report
            if reply.kind in NOTIFICATIONS and _key(report) in silent:
                decided.outcomes[tag] = "silenced"
                continue
            answered = await ways.to(published)
            if isinstance(answered, str):
                decided.outcomes[tag] = "undeliverable"
                decided.failures.append(Failure(report.id, NotDelivered(answered, reply.id)))
                continue
            withheld = answered_in_public(answered.reporter) and report.visibility != "public"
            decided.outcomes[tag] = "withheld" if withheld else "queued"
            if withheld:
                reply = replace(reply, text=self._neutral(reply, report, now))  # noqa: PLW2901
            to_send.append((reply, report, answered))
        names = await ways.messages(answered for _, _, answered in to_send)
        decided.answers += [
            NewAnswer(
                id=uuid7(),
                message_id=names.get((answered.channel_name, answered.external_id), answered.id),
                report_id=report.id,
                channel=answered.channel_name,
                kind="reply",
                recipient=report.reporter.address,
                text=reply.text,
                reply_id=reply.id,
                next_at=self._not_before(now),
            )
            for reply, report, answered in to_send
        ]

    def _neutral(self, reply: Reply, report: Report, now: datetime) -> str:
        """What is said in public of a report that is not. With the time, as X posts the same words no second time."""
        answers = self._settings.answers
        template = answers.question_withheld if reply.kind == "question" else answers.news_withheld
        at = now.astimezone(zone_of(answers.timezone))
        return template.format(tracking_id=report.tracking_id, date=f"{at:%d-%m-%Y} pukul {at:%H.%M}")

    def _not_before(self, now: datetime) -> int | None:
        """When an answer that nobody has just asked for may go out, in milliseconds; None for at once."""
        answers = self._settings.answers
        until = quiet_until(now, answers.quiet_hours, zone_of(answers.timezone))
        return None if until is None else to_milliseconds(until)


def understand(body: bytes | None) -> Reply | Poison:
    """What a message on the queue says, or why it says nothing."""
    if body is None:
        return "too_long"
    try:
        return decode_reply(body)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, another shape; or nested without end
        return "malformed"


def _key(report: Report) -> str:
    return reporter_key(report.reporter.kind, report.reporter.address)


class _Ways:
    """Finds how citizens are reached: by the channel of their report, or else by the last one that they used.

    A channel counts when this gateway has it, or another on the same database has served it as recently as an answer
    may wait.
    """

    def __init__(self, connection: AsyncConnection, settings: Settings, now: datetime) -> None:
        self._connection = connection
        self._settings = settings
        self._since = to_milliseconds(now - timedelta(hours=settings.answers.max_age_hours))
        self._known: dict[str, str] | None = None

    async def to(self, published: Published) -> Report | str:
        """The report of the citizen by whose channel an answer goes, or a sentence that says why there is none."""
        report = published.report
        if published.withdrawn_at is not None or not report.reporter.address:
            return "The report was withdrawn."
        if not self._settings.answers.enabled:
            return "The gateway is set to answer nobody."
        channels = await self._channels()
        if report.channel_name in channels:
            return report
        last = await reply_rows.last_report(self._connection, _key(report), channels.keys())
        return last or "No channel that the gateway has now reaches the citizen."

    async def messages(self, reports: Iterable[Report]) -> dict[tuple[str, str], str]:
        """The messages that reports were made of, by channel and external id: answers are replies to them."""
        by_channel: dict[str, set[str]] = {}
        for report in reports:
            by_channel.setdefault(report.channel_name, set()).add(report.external_id)
        return {
            (channel, row.external_id): row.id
            for channel, names in by_channel.items()
            for row in await message_rows.by_external_ids(self._connection, channel, names)
        }

    async def _channels(self) -> Mapping[str, str]:
        """The types of the channels by which somebody can be reached, by name."""
        if self._known is None:
            own = {name: section.settings.type for name, section in self._settings.channels.items()}
            self._known = await reply_rows.served_channels(self._connection, self._since) | own
        return self._known
