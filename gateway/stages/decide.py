"""Decides one batch inside one transaction: what each message becomes, and the rows that follow from it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import from_milliseconds, to_milliseconds
from gateway.decisions import (
    Identity,
    Source,
    names_core_number,
    new_report,
    newest_versions,
    reads_english,
    receipt_text,
    same_reporter,
    sha256_of,
    verdict,
)
from gateway.identifiers import uuid7
from gateway.model import Parts, Report
from gateway.parsing import DeliveryNotice, Parsed, PartOf, Withdrawal
from gateway.settings import Settings
from gateway.stages import assembly
from gateway.stages.amend import Amendment
from gateway.stages.assembly import Assembled, Assembly
from gateway.stages.links import find_links, linked_ids
from gateway.stages.understand import Understanding, Unparsable
from gateway.stages.writes import Writes, fresh_tracking_ids
from gateway.store import answers as answer_rows
from gateway.store import messages as message_rows
from gateway.store import reports as report_rows
from gateway.store.answers import NewAnswer
from gateway.store.messages import DecisionName, MessageState, Outcome, StoredMessage
from gateway.store.reports import Published
from gateway.telemetry import Log, logger

_OPEN = ("received", "assembling", "held", "quarantined")

MOST_SOURCES = 100
"""Messages that one report is made of, at most: each addition reads all of them. What comes then is a report."""

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
        self._amendment = Amendment(understanding, writes)
        self._gone: set[str] = set()

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
        """Decides what stands alone together, and then one by one what may belong to a report."""
        self._writes.files |= {
            (item.message.id, file.sha256) for item in ready for file in item.parsed.attachments if file.sha256
        }
        links = await find_links(connection, ready)
        names = {item.message.external_id for item in ready}
        dependents = [item for item in ready if _depends(item, links, names)]
        chosen = {id(item) for item in dependents}
        await report_rows.lock(connection, {id_ for item in dependents for id_ in _candidates(item, links)})
        await self._decide_alone(connection, [item for item in ready if id(item) not in chosen])
        for item in dependents:
            await self._writes.flush(connection)  # each of them sees what was decided before
            if item.message.id not in self._gone:
                await self._decide_dependent(connection, item)

    async def _decide_alone(self, connection: AsyncConnection, items: Sequence[_Ready]) -> None:
        """Decides messages on their own merits."""
        verdicts = [verdict(item.parsed, accepted=item.message.accepted) for item in items]
        wanted = sum(decision in ("report", "update") for decision in verdicts)
        tracking_ids = await fresh_tracking_ids(connection, wanted) if wanted else []
        for item, decision in zip(items, verdicts, strict=True):
            if decision in ("report", "update"):
                self._publish(item, tracking_ids.pop(), decision)
            else:
                self._settle(item, decision, None)

    def _publish(self, item: _Ready, tracking_id: str, decision: Literal["report", "update"]) -> None:
        report = self._report(item, uuid7(), tracking_id)
        self._writes.publish_new(report, "received" if decision == "report" else "updated")
        self._settle(item, decision, report.id)
        self._note_versions(item, report.id)
        if self._settings.answers.enabled and item.parsed.answerable:
            answers = self._settings.answers
            template = answers.receipt_en if reads_english(item.parsed.reporter) else answers.receipt
            self._writes.answers.append(
                NewAnswer(
                    id=uuid7(),
                    message_id=item.message.id,
                    report_id=report.id,
                    channel=item.message.channel,
                    kind="receipt",
                    recipient=item.parsed.reporter.address,
                    text=receipt_text(template, tracking_id),
                )
            )

    async def _decide_dependent(self, connection: AsyncConnection, item: _Ready) -> None:
        if item.parsed.withdrawal is not None:
            await self._withdraw(connection, item, item.parsed.withdrawal)
            return
        links = await find_links(connection, [item])
        own = item.message.report_id
        candidates = _candidates(item, links)
        known = await report_rows.find(connection, candidates) if candidates else {}
        for report_id in candidates:
            if report_id in known and (report_id == own or _may_amend(item.parsed, known[report_id])):
                await self._amend(connection, item, known[report_id])
                return
        await self._decide_alone(connection, [item])

    async def _amend(self, connection: AsyncConnection, item: _Ready, published: Published) -> None:
        """An addition, another version, a late part, or a replay: what differs is published."""
        report_id = published.report.id
        in_hand = {item.message.id} if item.assembled is None else {part.message_id for part in item.assembled.parts}
        sources = await self._amendment.sources(connection, published.report, in_hand)
        own = item.message.report_id == report_id
        names = [item.message] if item.assembled is None else item.assembled.parts
        is_first = own and published.report.external_id in {each.external_id for each in names}
        source = self._source(item, first=is_first)
        full = len(sources) >= MOST_SOURCES and not own
        if full or (not is_first and not any(each.first for each in sources)):
            # Full; or what the report was made of is not here any more, or cannot be parsed: nothing to add to.
            await self._stand_alone(connection, item, report_id if own else None)
            return
        self._amendment.publish_difference(published, [*sources, source])
        self._note_versions(item, report_id)
        decision, reason = self._share(item, source, sources)
        self._settle(item, decision, report_id, reason)

    def _share(self, item: _Ready, source: Source, others: Sequence[Source]) -> tuple[DecisionName, str | None]:
        """What a message is to the report that it belongs to, and why."""
        parsed = item.parsed
        if parsed.not_a_report is not None and parsed.completes is None and (source.first or parsed.revision is None):
            return "ignored", parsed.not_a_report
        if source.first:
            return ("report" if item.assembled is None and not names_core_number(parsed) else "update"), None
        if source.id not in {each.id for each in newest_versions([*others, source])}:
            return "ignored", "A newer version of this message is here."
        return "update", None

    async def _stand_alone(self, connection: AsyncConnection, item: _Ready, report_id: str | None) -> None:
        if report_id is None:
            await self._decide_alone(connection, [item])
        else:
            self._settle(item, "update", report_id)  # published with the report before, and nothing to compare it with

    async def _withdraw(self, connection: AsyncConnection, item: _Ready, withdrawal: Withdrawal) -> None:
        """The source no longer has a message: it is withdrawn, and what it said is removed."""
        rows = await message_rows.by_external_ids(connection, item.message.channel, [withdrawal.external_id])
        if not rows:
            self._settle(item, "ignored", None, "The message that is gone was never here.")
            return
        message_id = rows[0].id
        await message_rows.lock(connection, message_id)
        self._gone.add(message_id)
        (row,) = await message_rows.by_external_ids(connection, item.message.channel, [withdrawal.external_id])
        known = await report_rows.find(connection, [row.report_id]) if row.report_id is not None else {}
        for published in known.values():
            await self._amendment.erase(connection, published, row)
        await message_rows.erase(connection, message_id)
        if row.state in _OPEN or known:
            reason = f"It {withdrawal.reason}."
            state: MessageState = "discarded" if row.state in ("held", "quarantined") else "processed"
            self._writes.outcomes.append(
                Outcome(message_id, state, "withdrawn", reason, row.report_id, self._writes.at)
            )
        self._settle(item, "withdrawn", row.report_id, withdrawal.reason)

    def _note_versions(self, item: _Ready, report_id: str) -> None:
        """Another version may come later, and may know this message by an earlier version's id only."""
        revision = item.parsed.revision
        if revision is not None and len(revision.external_ids) > 1:
            self._writes.aliases |= {(item.message.channel, name, report_id) for name in revision.external_ids}

    def _report(self, item: _Ready, report_id: str, tracking_id: str) -> Report:
        message = item.message
        source = self._source(item, first=True)
        identity = Identity(
            id=report_id,
            tracking_id=tracking_id,
            channel=message.channel,
            channel_type=message.channel_type,
            external_id=message.external_id,
            received_at=from_milliseconds(message.received_at),
            raw_sha256=source.raw_sha256,
        )
        return new_report(item.parsed, identity, source.parts)

    def _source(self, item: _Ready, *, first: bool) -> Source:
        parts: Parts | None = None
        raws: list[bytes] = [item.message.raw]
        if item.assembled is not None:
            raws = [raw for raw in item.assembled.raws if raw is not None]
            numbers = tuple(sorted(part.number for part in item.assembled.parts))
            parts = Parts(total=item.assembled.group.total, present=numbers)
        return Source(item.message.id, item.message.external_id, first, item.parsed, parts, sha256_of(raws))

    def _settle(self, item: _Ready, decision: DecisionName, report_id: str | None, reason: str | None = None) -> None:
        state: MessageState = "held" if decision == "held" else "processed"
        reason = reason or item.parsed.not_a_report or (item.parsed.held if decision == "held" else None)
        outcome = Outcome(item.message.id, state, decision, reason, report_id, self._writes.at)
        self._writes.decided[item.message.channel, decision] += 1
        if item.assembled is None:
            self._writes.outcomes.append(outcome)
            return
        late = item.assembled.group.report_id is not None  # the parts before it were decided
        self._writes.outcomes.extend(assembly.for_parts(item.assembled, outcome, only_fresh=late))
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


def _depends(item: _Ready, links: Mapping[str, Sequence[str]], names: Collection[str]) -> bool:
    """Whether a message may belong to a report that was published before, or to one of its own batch."""
    return (
        item.message.report_id is not None
        or item.parsed.withdrawal is not None
        or bool(links[item.message.id])
        or any(name in names for name in linked_ids(item))
    )


def _candidates(item: _Ready, links: Mapping[str, Sequence[str]]) -> Sequence[str]:
    own = item.message.report_id
    return links[item.message.id] if own is None else [own]


def _may_amend(parsed: Parsed, published: Published) -> bool:
    """Whether a message may add to a report: one that stands, by the one who wrote it."""
    if published.withdrawn_at is not None or not same_reporter(published.report, parsed):
        return False
    return parsed.completes is not None or parsed.not_a_report is None or parsed.revision is not None


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
