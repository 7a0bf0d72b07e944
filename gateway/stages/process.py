"""Stage 2, PROCESS: parse, decide, and write report, outbox and receipt in one transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import Clock, from_milliseconds, to_milliseconds
from gateway.decisions import Identity, is_report, new_report, receipt_text, sha256_of
from gateway.identifiers import uuid7
from gateway.model import Parts, Report, encode
from gateway.ports import DeliveryNotice, OutboxEvent, Parsed, PartOf
from gateway.settings import Settings
from gateway.stages import assembly
from gateway.stages.assembly import Assembled, Assembly
from gateway.stages.handover import Handover
from gateway.stages.loop import frames
from gateway.stages.understand import Understanding, Unparsable
from gateway.stages.writes import Writes, fresh_tracking_ids
from gateway.store import Store
from gateway.store import answers as answer_rows
from gateway.store import messages as message_rows
from gateway.store import reports as report_rows
from gateway.store.answers import NewAnswer
from gateway.store.engine import blames_a_value
from gateway.store.messages import Outcome, StoredMessage
from gateway.store.reports import Published
from gateway.telemetry import Log, Metrics, logger

DEATHS_TO_QUARANTINE = 3
"""Deaths of the process with one message alone in hand, after which that message is quarantined."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """One message, or the assembled parts of one, that a decision can be made about."""

    message: StoredMessage
    parsed: Parsed
    assembled: Assembled | None = None


class ProcessStage:
    """Decides what each message is.

    Args:
        store: The database.
        settings: For batches, parts and receipts.
        understanding: The parsers.
        inbox: Messages in custody.
        to_publish: Where events are handed on.
        answer_wanted: Set for a channel's name when it has something to send.
        clock: Tells the time of the decision.
        metrics: Counts.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the machine, wired once
        self,
        *,
        store: Store,
        settings: Settings,
        understanding: Understanding,
        inbox: Handover[StoredMessage],
        to_publish: Handover[OutboxEvent],
        answer_wanted: dict[str, asyncio.Event],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._settings = settings
        self._understanding = understanding
        self._inbox = inbox
        self._to_publish = to_publish
        self._answer_wanted = answer_wanted
        self._clock = clock
        self._metrics = metrics
        self._first_batch = True
        self._alone: str | None = None
        self._broken_groups: dict[str, str] = {}

    async def step(self) -> None:
        """Takes one batch through."""
        await self._take_back_death()
        batch = await self._inbox.take(self._settings.pipeline.batch)
        try:
            if self._first_batch:
                # A process that died may have died of one of these: each is taken alone, with its attempt on record.
                for message in batch:
                    await self._process_alone(message)
                self._first_batch = False
            elif batch:
                await self._process_together(batch)
        except BaseException:
            self._inbox.fall_behind()
            raise

    async def _process_alone(self, message: StoredMessage) -> None:
        async with self._store.write() as connection:
            if not await message_rows.claim(connection, [message]):
                return  # another gateway has it in hand, or an older one that it has to wait for
            await message_rows.count_death(connection, message.id, +1)
        self._alone = message.id
        try:
            await self._process_by_itself(message)
        except (Exception, asyncio.CancelledError):  # the process lives: whatever failed, it was no death
            await self._take_back_death()
            raise
        self._alone = None

    async def _take_back_death(self) -> None:
        """What was counted before a message was taken in hand alone; kept in mind while the database is away."""
        if self._alone is not None:
            async with self._store.write() as connection:
                await message_rows.count_death(connection, self._alone, -1)
            self._alone = None

    async def _process_together(self, batch: Sequence[StoredMessage]) -> None:
        try:
            await self.process(batch)
        except Exception as error:
            if not blames_a_value(error):
                raise
            for message in batch:
                await self._process_by_itself(message)

    async def _process_by_itself(self, message: StoredMessage) -> None:
        """What the decision about one message raises is held against that message alone."""
        try:
            await self.process([message])
        except Exception as error:
            if not blames_a_value(error):
                raise
            await self._write([(message, Unparsable(_blame(error)))])

    async def process(self, batch: Sequence[StoredMessage]) -> None:
        """Decides a batch in one transaction and wakes the stages behind."""
        await self._write([(message, self._understand(message)) for message in batch])

    async def _write(self, understood: Sequence[tuple[StoredMessage, Parsed | Unparsable]]) -> None:
        batch = [message for message, _parsed in understood]
        writes = Writes(self._clock.now())
        with self._metrics.commit_seconds.labels("process").time():
            async with self._store.write() as connection:
                claimed = {message.id for message in await message_rows.claim(connection, batch)}
                await self._decide(connection, [pair for pair in understood if pair[0].id in claimed], writes)
                writes.outcomes = assembly.last_outcomes(writes.outcomes)
                await writes.flush(connection)
        self._hand_on(writes)

    async def assemble_due(self) -> None:
        """Publishes what has come of messages whose other parts stay away."""
        try:
            await self._assemble(self._settings.pipeline.batch, [])
        except Exception as error:
            if not blames_a_value(error):
                raise
            await self._assemble_one_by_one()
        await asyncio.sleep(min(1.0, self._settings.pipeline.parts_wait_minutes * 6))

    async def _assemble(self, limit: int, taken: list[str]) -> None:
        """Decides groups that are due; ``taken`` gets their ids, even when it fails."""
        writes = Writes(self._clock.now())
        async with self._store.write() as connection:
            groups = await assembly.due(connection, writes.at, limit)
            taken += [each.group.id for each in groups]
            if groups:
                await self._decide_ready(connection, self._ready_groups(groups, writes), writes)
                await writes.flush(connection)
        self._hand_on(writes)

    async def _assemble_one_by_one(self) -> None:
        """Sets the group aside whose decision raises, and decides the others."""
        blamed: set[str] = set()
        while True:
            taken: list[str] = []
            try:
                await self._assemble(1, taken)
            except Exception as error:
                if not blames_a_value(error) or taken[0] in blamed:
                    raise
                blamed.add(taken[0])
                self._broken_groups[taken[0]] = _blame(error)
            if not taken:
                return

    def _understand(self, message: StoredMessage) -> Parsed | Unparsable:
        if message.deaths >= DEATHS_TO_QUARANTINE:
            return Unparsable(f"The gateway died {message.deaths} times with this message in hand.")
        return self._understanding.parse(message.channel, message.channel_type, [message.raw])

    async def _decide(
        self,
        connection: AsyncConnection,
        understood: Sequence[tuple[StoredMessage, Parsed | Unparsable]],
        writes: Writes,
    ) -> None:
        ready: list[_Ready] = []
        parts: list[tuple[StoredMessage, Parsed, PartOf]] = []
        for message, parsed in understood:
            if isinstance(parsed, Unparsable):
                outcome = Outcome(message.id, "quarantined", "quarantined", parsed.reason, message.report_id, writes.at)
                self._quarantine(message.channel, outcome, writes)
            elif parsed.delivery is not None:
                await self._note_delivery(connection, message, parsed.delivery, writes)
            elif parsed.part is not None:
                parts.append((message, parsed, parsed.part))
            else:
                ready.append(_Ready(message, parsed))
        if parts:
            groups = Assembly(
                writes,
                timedelta(minutes=self._settings.pipeline.parts_wait_minutes),
                self._settings.pipeline.parts_days,
            )
            ready += self._ready_groups(await groups.add(connection, parts), writes)
        await self._decide_ready(connection, ready, writes)

    def _ready_groups(self, groups: Sequence[Assembled], writes: Writes) -> list[_Ready]:
        ready: list[_Ready] = []
        for assembled in groups:
            group, channel_type = assembled.group, assembled.first.channel_type
            broken = self._broken_groups.pop(group.id, None)
            parsed = (
                self._understanding.parse(group.channel, channel_type, assembled.raws)
                if broken is None
                else Unparsable(broken)
            )
            if isinstance(parsed, Unparsable):
                outcome = Outcome("", "quarantined", "quarantined", parsed.reason, group.report_id, writes.at)
                for each in assembly.for_parts(assembled, outcome, only_fresh=False):
                    self._quarantine(group.channel, each, writes)
                writes.settled_groups[group.id] = group.report_id
            else:
                ready.append(_Ready(_as_one_message(assembled), parsed, assembled))
        return ready

    async def _decide_ready(self, connection: AsyncConnection, ready: Sequence[_Ready], writes: Writes) -> None:
        known_ids = {item.message.report_id for item in ready if item.message.report_id is not None}
        known = await report_rows.find(connection, known_ids) if known_ids else {}
        wanted = sum(is_report(item.parsed) and item.message.report_id not in known for item in ready)
        tracking_ids = await fresh_tracking_ids(connection, wanted) if wanted else []
        for item in ready:
            published = known.get(item.message.report_id or "")
            if published is not None:
                self._amend(item, published, writes)
            elif is_report(item.parsed):
                self._accept(item, tracking_ids.pop(), writes)
            else:
                self._settle(item, "ignored", None, writes)

    def _accept(self, item: _Ready, tracking_id: str, writes: Writes) -> None:
        report = self._report(item, uuid7(), tracking_id)
        writes.publish_new(report)
        self._settle(item, "report", report.id, writes)
        if self._settings.answers.enabled and item.parsed.answerable:
            writes.answers.append(
                NewAnswer(
                    id=uuid7(),
                    message_id=item.message.id,
                    report_id=report.id,
                    channel=item.message.channel,
                    kind="receipt",
                    recipient=item.parsed.reporter.address,
                    text=receipt_text(self._settings.answers.receipt, tracking_id),
                )
            )

    def _amend(self, item: _Ready, published: Published, writes: Writes) -> None:
        """A late part, or a replay: only what differs from what was published is published."""
        before = writes.amended.get(published.report.id, published)
        if not is_report(item.parsed):
            if not before.withdrawn:
                writes.publish_change(before.report, "withdrawn", before)
            self._settle(item, "ignored", before.report.id, writes)
            return
        after = self._report(item, before.report.id, before.report.tracking_id)
        if before.withdrawn or encode(after) != encode(before.report):
            writes.publish_change(after, "updated", before)
        self._settle(item, "report" if item.assembled is None else "update", before.report.id, writes)

    def _report(self, item: _Ready, report_id: str, tracking_id: str) -> Report:
        message = item.message
        parts: Parts | None = None
        raws: list[bytes] = [message.raw]
        if item.assembled is not None:
            raws = [raw for raw in item.assembled.raws if raw is not None]
            numbers = tuple(sorted(part.number for part in item.assembled.parts))
            parts = Parts(total=item.assembled.group.total, present=numbers)
        identity = Identity(
            id=report_id,
            tracking_id=tracking_id,
            channel=message.channel,
            channel_type=message.channel_type,
            external_id=message.external_id,
            received_at=from_milliseconds(message.received_at),
            raw_sha256=sha256_of(raws),
        )
        return new_report(item.parsed, identity, parts)

    def _settle(self, item: _Ready, decision: message_rows.DecisionName, report_id: str | None, writes: Writes) -> None:
        outcome = Outcome(item.message.id, "processed", decision, item.parsed.not_a_report, report_id, writes.at)
        writes.decided[item.message.channel, decision] += 1
        if item.assembled is None:
            writes.outcomes.append(outcome)
            return
        writes.outcomes.extend(assembly.for_parts(item.assembled, outcome, only_fresh=decision == "update"))
        writes.settled_groups[item.assembled.group.id] = report_id

    def _quarantine(self, channel: str, outcome: Outcome, writes: Writes) -> None:
        writes.outcomes.append(outcome)
        writes.decided[channel, "quarantined"] += 1
        logger.warning(Log.MESSAGE_QUARANTINED, message=outcome.id, channel=channel, reason=outcome.reason)

    async def _note_delivery(
        self, connection: AsyncConnection, message: StoredMessage, notice: DeliveryNotice, writes: Writes
    ) -> None:
        at = to_milliseconds(notice.at) if notice.at else writes.at
        answer_id = await answer_rows.delivery_report(
            connection, message.channel, notice.reference, notice.recipient, notice.outcome, at
        )
        meant = f"answer {answer_id}" if answer_id else "no answer of ours"
        reason = f"Delivery report ({notice.outcome}) for {meant}."
        writes.outcomes.append(Outcome(message.id, "processed", "ignored", reason, message.report_id, writes.at))
        writes.decided[message.channel, "ignored"] += 1

    def _hand_on(self, writes: Writes) -> None:
        for (channel, decision), count in writes.decided.items():
            self._metrics.decided.labels(channel, decision).inc(count)
        self._to_publish.offer(writes.first_events())
        if len(writes.events) > len(writes.new_reports):
            self._to_publish.fall_behind()
        for channel in {answer.channel for answer in writes.answers}:
            if channel in self._answer_wanted:
                self._answer_wanted[channel].set()


def _blame(error: Exception) -> str:
    name = type(error).__name__
    logger.warning(Log.STAGE_CRASHED, component="process", error=name, frames=frames(error))
    return f"The gateway failed on this message ({name}); send the raw message to the developers."


def _as_one_message(assembled: Assembled) -> StoredMessage:
    """The parts of a group as the message that the citizen wrote."""
    first = assembled.first
    return StoredMessage(
        id=first.message_id,
        channel=assembled.group.channel,
        channel_type=first.channel_type,
        external_id=first.external_id,
        order_key="",
        raw=b"",
        received_at=min(part.received_at for part in assembled.parts),
        report_id=assembled.group.report_id,
    )
