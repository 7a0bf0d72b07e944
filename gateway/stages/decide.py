"""Decides one batch inside one transaction: what each message becomes, and the rows that follow from it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.conversation.commands import Command, command_of
from gateway.decisions import written_by
from gateway.parsing import DeliveryNotice, Parsed, PartOf
from gateway.settings import Settings
from gateway.stages import assembly, undeliverable
from gateway.stages.amend import Amendment
from gateway.stages.assembly import Assembled, Assembly
from gateway.stages.converse import CommandItem, Conversation
from gateway.stages.dependents import Dependents, candidates_of, depends
from gateway.stages.kinship import Kinship
from gateway.stages.links import find_links
from gateway.stages.merits import OwnMerits
from gateway.stages.ready import Ready, settle
from gateway.stages.understand import Understanding, Unparsable
from gateway.stages.writes import Writes
from gateway.store import answers as answer_rows
from gateway.store import locks, orders
from gateway.store import reports as report_rows
from gateway.store.messages import Outcome, StoredMessage
from gateway.telemetry import Log, logger

BLOCKED: Final = "An operator has blocked the sender."

Understood = tuple[StoredMessage, Parsed | Unparsable]
"""A message and what the parser made of it."""


class BatchDecision:
    """The decision about one batch.

    Args:
        settings: For parts and receipts.
        understanding: Parses the parts of a message together.
        writes: Where the rows are collected.
        broken_groups: Why a group of parts cannot be decided, by its id.
        kinship: Knows what has been reported within the window.
    """

    def __init__(
        self,
        settings: Settings,
        understanding: Understanding,
        writes: Writes,
        broken_groups: Mapping[str, str],
        kinship: Kinship,
    ) -> None:
        self._settings = settings
        self._understanding = understanding
        self._writes = writes
        self._broken_groups = broken_groups
        self._conversation = Conversation(settings, writes)
        self._merits = OwnMerits(self._conversation, kinship, writes)
        self._dependents = Dependents(Amendment(understanding, writes), self._merits, writes)

    async def decide(self, connection: AsyncConnection, understood: Sequence[Understood]) -> None:
        """Decides messages that were parsed one by one."""
        ready: list[Ready] = []
        parts: list[tuple[StoredMessage, Parsed, PartOf]] = []
        for message, parsed in understood:
            if isinstance(parsed, Unparsable):
                outcome = Outcome(
                    message.id, "quarantined", "quarantined", parsed.reason, message.report_id, self._writes.at
                )
                self._quarantine(message.channel, outcome)
            elif parsed.delivery is not None:
                await self._note_delivery(connection, message, parsed.delivery, written_by(parsed))
            elif parsed.part is not None:
                parts.append((message, parsed, parsed.part))
            else:
                ready.append(Ready(message, parsed))
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

    def _ready_groups(self, groups: Sequence[Assembled]) -> list[Ready]:
        ready: list[Ready] = []
        for assembled in groups:
            group, channel_type = assembled.group, assembled.first.channel_type
            broken = self._broken_groups.get(group.id)
            parsed = (
                self._understanding.parse(group.channel, channel_type, assembled.raws, assembled.first.message_id)
                if broken is None
                else Unparsable(broken)
            )
            if isinstance(parsed, Unparsable):
                outcome = Outcome("", "quarantined", "quarantined", parsed.reason, group.report_id, self._writes.at)
                for each in assembly.for_parts(assembled, outcome, only_fresh=False):
                    self._quarantine(group.channel, each)
                self._writes.settled_groups[group.id] = group.report_id
            else:
                ready.append(Ready(_as_one_message(assembled), parsed, assembled))
        return ready

    async def _decide_ready(self, connection: AsyncConnection, ready: Sequence[Ready]) -> None:
        """Decides what stands alone together, and then one by one what may belong to a report."""
        self._writes.files |= {
            (item.message.id, file.sha256) for item in ready for file in item.parsed.attachments if file.sha256
        }
        await locks.hold(connection, {item.reporter for item in ready})
        ready = await self._without_blocked(connection, ready)
        commands = [(item, command) for item in ready if (command := _command(item)) is not None]
        asking = {id(item) for item, _command in commands}
        ready = [item for item in ready if id(item) not in asking]
        links = await find_links(connection, ready)
        names = {item.message.external_id for item in ready}
        dependents = [item for item in ready if depends(item, links, names)]
        chosen = {id(item) for item in dependents}
        await report_rows.lock(connection, {id_ for item in dependents for id_ in candidates_of(item, links)})
        await self._merits.decide(connection, [item for item in ready if id(item) not in chosen])
        for item in dependents:
            await self._writes.flush(connection)  # each of them sees what was decided before
            if item.message.id not in self._dependents.gone:
                await self._dependents.decide(connection, item)
        await self._obey(connection, [each for each in commands if each[0].message.id not in self._dependents.gone])

    async def _without_blocked(self, connection: AsyncConnection, ready: Sequence[Ready]) -> Sequence[Ready]:
        """Ignores what blocked senders write, but for what was published, accepted, or is gone from its source."""
        blocked = await orders.blocked(connection, {item.reporter for item in ready}) if ready else set()
        if not blocked:
            return ready
        passing: list[Ready] = []
        for item in ready:
            message, group = item.message, item.assembled.group if item.assembled else None
            settled = message.report_id is not None or message.accepted or (group is not None and group.report_id)
            if item.reporter not in blocked or settled or item.parsed.withdrawal is not None:
                passing.append(item)
            else:
                settle(self._writes, item, "ignored", None, BLOCKED)
        return passing

    async def _obey(self, connection: AsyncConnection, commands: Sequence[tuple[Ready, Command]]) -> None:
        """Does what commands ask, once everything before them is written; what turns out to be none is decided."""
        if not commands:
            return
        await self._writes.flush(connection)
        items = [CommandItem(item.message, item.parsed, command) for item, command in commands]
        others = {each.message.id for each in await self._conversation.commands(connection, items)}
        for item, command in commands:
            if item.message.id not in others:
                settle(self._writes, item, "command", None, command.reason)
        await self._merits.decide(connection, [item for item, _command in commands if item.message.id in others])

    def _quarantine(self, channel: str, outcome: Outcome) -> None:
        self._writes.outcomes.append(outcome)
        self._writes.decided[channel, "quarantined"] += 1
        logger.warning(Log.MESSAGE_QUARANTINED, message=outcome.id, channel=channel, reason=outcome.reason)

    async def _note_delivery(
        self, connection: AsyncConnection, message: StoredMessage, notice: DeliveryNotice, reporter: str | None
    ) -> None:
        at = to_milliseconds(notice.at) if notice.at else self._writes.at
        names = (message.channel, notice.reference, notice.recipient)
        watched = await undeliverable.watch_part(connection, *names) if notice.outcome == "failed" else []
        answer_id = await answer_rows.delivery_report(connection, *names, notice.outcome, at)
        self._writes.published += await undeliverable.report(connection, watched, self._writes.now)
        meant = f"answer {answer_id}" if answer_id else "no answer of ours"
        reason = f"Delivery report ({notice.outcome}) for {meant}."
        self._writes.outcomes.append(
            Outcome(message.id, "processed", "ignored", reason, message.report_id, self._writes.at, reporter=reporter)
        )
        self._writes.decided[message.channel, "ignored"] += 1


def _command(item: Ready) -> Command | None:
    """The command that a message is; a replay of a report is none, nor what an operator has made one."""
    cut = item.assembled is not None and None in item.assembled.raws
    if cut or item.message.report_id is not None or item.message.accepted:
        return None
    return command_of(item.parsed)


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
