"""Decides one batch inside one transaction: what each message becomes, and the rows that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import from_milliseconds, to_milliseconds
from gateway.decisions import Identity, is_report, new_report, receipt_text, sha256_of
from gateway.identifiers import uuid7
from gateway.model import Parts, Report, encode
from gateway.ports import DeliveryNotice, Parsed, PartOf
from gateway.settings import Settings
from gateway.stages import assembly
from gateway.stages.assembly import Assembled, Assembly
from gateway.stages.understand import Understanding, Unparsable
from gateway.stages.writes import Writes, fresh_tracking_ids
from gateway.store import answers as answer_rows
from gateway.store import reports as report_rows
from gateway.store.answers import NewAnswer
from gateway.store.messages import DecisionName, Outcome, StoredMessage
from gateway.store.reports import Published
from gateway.telemetry import Log, logger

Understood = tuple[StoredMessage, Parsed | Unparsable]
"""A message and what the parser made of it."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """One message, or the assembled parts of one, that a decision can be made about."""

    message: StoredMessage
    parsed: Parsed
    assembled: Assembled | None = None


class BatchDecision:
    """The decision about one batch.

    Args:
        settings: For parts and receipts.
        understanding: Parses the parts of a message together.
        writes: Where the rows are collected.
        broken_groups: Why a group of parts cannot be decided, by its id.
    """

    def __init__(
        self, settings: Settings, understanding: Understanding, writes: Writes, broken_groups: Mapping[str, str]
    ) -> None:
        self._settings = settings
        self._understanding = understanding
        self._writes = writes
        self._broken_groups = broken_groups

    async def decide(self, connection: AsyncConnection, understood: Sequence[Understood]) -> None:
        """Decides messages that were parsed one by one."""
        ready: list[_Ready] = []
        parts: list[tuple[StoredMessage, Parsed, PartOf]] = []
        for message, parsed in understood:
            if isinstance(parsed, Unparsable):
                outcome = Outcome(
                    message.id, "quarantined", "quarantined", parsed.reason, message.report_id, self._writes.at
                )
                self._quarantine(message.channel, outcome)
            elif parsed.delivery is not None:
                await self._note_delivery(connection, message, parsed.delivery)
            elif parsed.part is not None:
                parts.append((message, parsed, parsed.part))
            else:
                ready.append(_Ready(message, parsed))
        if parts:
            groups = Assembly(
                self._writes,
                timedelta(minutes=self._settings.pipeline.parts_wait_minutes),
                self._settings.pipeline.parts_days,
            )
            ready += self._ready_groups(await groups.add(connection, parts))
        await self._decide_ready(connection, ready)

    async def decide_groups(self, connection: AsyncConnection, groups: Sequence[Assembled]) -> None:
        """Decides the parts of messages together."""
        await self._decide_ready(connection, self._ready_groups(groups))

    def _ready_groups(self, groups: Sequence[Assembled]) -> list[_Ready]:
        ready: list[_Ready] = []
        for assembled in groups:
            group, channel_type = assembled.group, assembled.first.channel_type
            broken = self._broken_groups.get(group.id)
            parsed = (
                self._understanding.parse(group.channel, channel_type, assembled.raws)
                if broken is None
                else Unparsable(broken)
            )
            if isinstance(parsed, Unparsable):
                outcome = Outcome("", "quarantined", "quarantined", parsed.reason, group.report_id, self._writes.at)
                for each in assembly.for_parts(assembled, outcome, only_fresh=False):
                    self._quarantine(group.channel, each)
                self._writes.settled_groups[group.id] = group.report_id
            else:
                ready.append(_Ready(_as_one_message(assembled), parsed, assembled))
        return ready

    async def _decide_ready(self, connection: AsyncConnection, ready: Sequence[_Ready]) -> None:
        known_ids = {item.message.report_id for item in ready if item.message.report_id is not None}
        known = await report_rows.find(connection, known_ids) if known_ids else {}
        wanted = sum(is_report(item.parsed) and item.message.report_id not in known for item in ready)
        tracking_ids = await fresh_tracking_ids(connection, wanted) if wanted else []
        for item in ready:
            published = known.get(item.message.report_id or "")
            if published is not None:
                self._amend(item, published)
            elif is_report(item.parsed):
                self._accept(item, tracking_ids.pop())
            else:
                self._settle(item, "ignored", None)

    def _accept(self, item: _Ready, tracking_id: str) -> None:
        report = self._report(item, uuid7(), tracking_id)
        self._writes.publish_new(report)
        self._settle(item, "report", report.id)
        if self._settings.answers.enabled and item.parsed.answerable:
            self._writes.answers.append(
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

    def _amend(self, item: _Ready, published: Published) -> None:
        """A late part, or a replay: only what differs from what was published is published."""
        before = self._writes.amended.get(published.report.id, published)
        if not is_report(item.parsed):
            if not before.withdrawn:
                self._writes.publish_change(before.report, "withdrawn", before)
            self._settle(item, "ignored", before.report.id)
            return
        after = self._report(item, before.report.id, before.report.tracking_id)
        if before.withdrawn or encode(after) != encode(before.report):
            self._writes.publish_change(after, "updated", before)
        self._settle(item, "report" if item.assembled is None else "update", before.report.id)

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

    def _settle(self, item: _Ready, decision: DecisionName, report_id: str | None) -> None:
        outcome = Outcome(item.message.id, "processed", decision, item.parsed.not_a_report, report_id, self._writes.at)
        self._writes.decided[item.message.channel, decision] += 1
        if item.assembled is None:
            self._writes.outcomes.append(outcome)
            return
        self._writes.outcomes.extend(assembly.for_parts(item.assembled, outcome, only_fresh=decision == "update"))
        self._writes.settled_groups[item.assembled.group.id] = report_id

    def _quarantine(self, channel: str, outcome: Outcome) -> None:
        self._writes.outcomes.append(outcome)
        self._writes.decided[channel, "quarantined"] += 1
        logger.warning(Log.MESSAGE_QUARANTINED, message=outcome.id, channel=channel, reason=outcome.reason)

    async def _note_delivery(self, connection: AsyncConnection, message: StoredMessage, notice: DeliveryNotice) -> None:
        at = to_milliseconds(notice.at) if notice.at else self._writes.at
        answer_id = await answer_rows.delivery_report(
            connection, message.channel, notice.reference, notice.recipient, notice.outcome, at
        )
        meant = f"answer {answer_id}" if answer_id else "no answer of ours"
        reason = f"Delivery report ({notice.outcome}) for {meant}."
        self._writes.outcomes.append(
            Outcome(message.id, "processed", "ignored", reason, message.report_id, self._writes.at)
        )
        self._writes.decided[message.channel, "ignored"] += 1


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
