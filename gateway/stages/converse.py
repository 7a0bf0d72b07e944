"""Answers citizens from inside the PROCESS transaction: receipts, and what they ask by command."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import from_milliseconds, to_milliseconds
from gateway.conversation import guards
from gateway.conversation.commands import Command
from gateway.conversation.guards import Limits, Told
from gateway.conversation.texts import Standing, Texts
from gateway.decisions import answered_in_public, reads_english, same_reporter
from gateway.identifiers import reporter_key, uuid7
from gateway.model import Report, Reporter
from gateway.parsing import Parsed
from gateway.ports import AnswerKind
from gateway.settings import Settings
from gateway.settings.model import zone_of
from gateway.stages.writes import Writes
from gateway.store import conversation as rows
from gateway.store.answers import NewAnswer
from gateway.store.conversation import KnownReport, LastReply
from gateway.store.messages import StoredMessage

MOST_REPORTS: Final = 2
"""Reports of which a STATUS without a number tells, the newest: so many fit one SMS."""


@dataclass(frozen=True, slots=True)
class ReceiptWanted:
    """A report whose reporter is to hear that it was received; ``repeats``: once more."""

    message: StoredMessage
    parsed: Parsed
    report: Report
    repeats: bool


@dataclass(frozen=True, slots=True)
class CommandItem:
    """A message that is a command."""

    message: StoredMessage
    parsed: Parsed
    command: Command


@dataclass(frozen=True, slots=True)
class _Said:
    """One answer, if the guards let it pass."""

    message: StoredMessage
    parsed: Parsed
    kind: AnswerKind
    text: str = ""
    report_id: str | None = None
    tracking_id: str = ""


class Conversation:
    """Answers the citizens of one transaction, within the bounds of the settings.

    Args:
        settings: What is said, and how often at most.
        writes: Where answers are collected.
    """

    def __init__(self, settings: Settings, writes: Writes) -> None:
        self._settings = settings.answers
        self._writes = writes
        self._receipted: set[tuple[str, str]] = set()
        """Whom this transaction has told which tracking ID."""

    async def receipts(self, connection: AsyncConnection, wanted: Sequence[ReceiptWanted]) -> None:
        """Queues the receipts that the guards let pass; a repeat gets none so soon after the last one."""
        if not self._settings.enabled:
            return
        wanted = [each for each in wanted if _can_be_told(each.parsed)]
        told = await self._receipts_told(connection, [each for each in wanted if each.repeats])
        told |= self._receipted
        said: list[_Said] = []
        for each in wanted:
            key = (each.parsed.reporter.address, each.report.tracking_id)
            if each.repeats and key in told:
                continue
            told.add(key)
            text = self._texts(each.parsed.reporter).receipt(each.report.tracking_id, repeats=each.repeats)
            said.append(_Said(each.message, each.parsed, "receipt", text, each.report.id, each.report.tracking_id))
        for receipt in await self._passing(connection, said):
            self._receipted.add((receipt.parsed.reporter.address, receipt.tracking_id))
            self._queue(receipt)

    async def commands(self, connection: AsyncConnection, items: Sequence[CommandItem]) -> list[CommandItem]:
        """Does what commands ask, and queues the answers that the guards let pass.

        Everything that was decided before must have been written: a STATUS asks for that, too.

        Returns:
            The items that are no commands after all: bare numbers that are no tracking ID of their sender's.
        """
        numbers = {number for item in items for number in item.command.numbers}
        known = await rows.by_tracking_ids(connection, numbers) if numbers else {}
        taken = [item for item in items if item.command.sure or _own(item, known)]
        for item in taken:
            await self._act(connection, item)
        if self._settings.enabled:
            await self._answer(connection, [item for item in taken if _can_be_told(item.parsed)], known)
        chosen = {id(item) for item in taken}
        return [item for item in items if id(item) not in chosen]

    async def _act(self, connection: AsyncConnection, item: CommandItem) -> None:
        reporter = item.parsed.reporter
        if not reporter.address:
            return
        if item.command.kind == "stop":
            await rows.silence(connection, _key(reporter), self._writes.at)
        elif item.command.kind == "start":
            await rows.unsilence(connection, _key(reporter))

    async def _answer(
        self, connection: AsyncConnection, items: Sequence[CommandItem], known: Mapping[str, KnownReport]
    ) -> None:
        passing = await self._passing(connection, [_Said(item.message, item.parsed, "command") for item in items])
        by_message = {item.message.id: item for item in items}
        asked: list[tuple[_Said, CommandItem, list[KnownReport]]] = []
        for said in passing:
            item = by_message[said.message.id]
            found = _own(item, known)
            if item.command.kind == "status" and not item.command.numbers:
                found = await self._newest(connection, item.parsed)
            asked.append((said, item, found))
        ids = {each.report.id for _said, _item, found in asked for each in found}
        replies = await rows.last_replies(connection, ids) if ids else {}
        for said, item, found in asked:
            text = self._answer_text(item, found, replies)
            self._queue(replace(said, text=text, report_id=found[0].report.id if len(found) == 1 else None))

    def _answer_text(self, item: CommandItem, found: Sequence[KnownReport], replies: Mapping[str, LastReply]) -> str:
        texts = self._texts(item.parsed.reporter)
        match item.command.kind:
            case "help":
                return texts.help()
            case "stop":
                return texts.stopped()
            case "start":
                return texts.started()
            case "status" if found:
                return "\n".join(texts.status(self._standing(each, replies.get(each.report.id))) for each in found)
            case "status":
                return texts.unknown() if item.command.numbers else texts.no_report()

    def _standing(self, known: KnownReport, reply: LastReply | None) -> Standing:
        at = known.withdrawn_at or (known.created_at if reply is None else reply.at)
        return Standing(
            tracking_id=known.report.tracking_id,
            visibility=known.report.visibility,
            at=from_milliseconds(at).astimezone(zone_of(self._settings.timezone)),
            withdrawn=known.withdrawn_at is not None,
            reply=reply.kind if reply else None,
            status=reply.status if reply else None,
        )

    async def _newest(self, connection: AsyncConnection, parsed: Parsed) -> list[KnownReport]:
        reporter = parsed.reporter
        found = await rows.newest_of(connection, _key(reporter), reporter.address, MOST_REPORTS)
        return [each for each in found if same_reporter(each.report, parsed)]

    async def _receipts_told(
        self, connection: AsyncConnection, repeats: Sequence[ReceiptWanted]
    ) -> set[tuple[str, str]]:
        if not repeats:
            return set()
        since = self._since(timedelta(minutes=self._settings.repeat_pause_minutes))
        return await rows.receipts_since(connection, {each.parsed.reporter.address for each in repeats}, since)

    async def _passing(self, connection: AsyncConnection, said: Sequence[_Said]) -> list[_Said]:
        """Those that the guards let pass; what this transaction has queued already counts."""
        if not said:
            return []
        recipients = [each.parsed.reporter.address for each in said]
        told = await self._told(connection, set(recipients))
        limits = Limits(self._settings.per_reporter_per_day, self._settings.flood_messages)
        passes = guards.allowed(recipients, told, limits)
        return [each for each, passing in zip(said, passes, strict=True) if passing]

    async def _told(self, connection: AsyncConnection, recipients: Collection[str]) -> dict[str, Told]:
        told = await rows.answered(connection, recipients, self._since(guards.DAY), self._since(guards.FLOOD))
        for recipient, count in Counter(answer.recipient for answer in self._writes.answers).items():
            before = told.get(recipient, Told())
            told[recipient] = Told(before.day + count, before.lately + count)
        return told

    def _since(self, span: timedelta) -> int:
        return to_milliseconds(self._writes.now - span)

    def _texts(self, reporter: Reporter) -> Texts:
        return Texts(self._settings, english=reads_english(reporter), public=answered_in_public(reporter))

    def _queue(self, said: _Said) -> None:
        self._writes.answers.append(
            NewAnswer(
                id=uuid7(),
                message_id=said.message.id,
                report_id=said.report_id,
                channel=said.message.channel,
                kind=said.kind,
                recipient=said.parsed.reporter.address,
                text=said.text,
            )
        )


def _can_be_told(parsed: Parsed) -> bool:
    return parsed.answerable and bool(parsed.reporter.address)


def _key(reporter: Reporter) -> str:
    return reporter_key(reporter.kind, reporter.address)


def _own(item: CommandItem, known: Mapping[str, KnownReport]) -> list[KnownReport]:
    """The reports that a command asks for by number, as far as they are the sender's own."""
    found = (known.get(number) for number in item.command.numbers)
    return [each for each in found if each is not None and same_reporter(each.report, item.parsed)]
