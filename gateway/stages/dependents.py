"""Decides messages that may belong to a report: additions, other versions, late parts, replays and withdrawals."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.decisions import Source, names_core_number, newest_versions, same_reporter
from gateway.model import Report
from gateway.parsing import Parsed, Withdrawal
from gateway.stages.amend import Amendment
from gateway.stages.links import find_links, linked_ids
from gateway.stages.merits import OwnMerits
from gateway.stages.ready import Ready, note_versions, settle
from gateway.stages.writes import Writes
from gateway.store import messages as message_rows
from gateway.store import reports as report_rows
from gateway.store.messages import DecisionName, MessageState, Outcome
from gateway.store.reports import Published

_OPEN: Final = ("received", "assembling", "held", "quarantined")

MOST_SOURCES: Final = 100
"""Messages that one report is made of, at most: each addition reads all of them. What comes then is a report."""


class Dependents:
    """The decision about messages that depend on others, one by one, inside one transaction.

    Args:
        amendment: Changes published reports.
        merits: Decides what turns out to belong to no report.
        writes: Where the rows are collected.
    """

    def __init__(self, amendment: Amendment, merits: OwnMerits, writes: Writes) -> None:
        self._amendment = amendment
        self._merits = merits
        self._writes = writes
        self.gone: set[str] = set()
        """Messages of this transaction that were withdrawn before their turn."""

    async def decide(self, connection: AsyncConnection, item: Ready) -> None:
        """Decides one message; everything before it has been written."""
        if item.parsed.withdrawal is not None:
            await self._withdraw(connection, item, item.parsed.withdrawal)
            return
        links = await find_links(connection, [item])
        own = item.message.report_id
        candidates = candidates_of(item, links)
        known = await report_rows.find(connection, candidates) if candidates else {}
        for report_id in candidates:
            if report_id in known and (report_id == own or _may_amend(item.parsed, known[report_id])):
                await self._amend(connection, item, known[report_id])
                return
        await self._merits.decide(connection, [item])

    async def _amend(self, connection: AsyncConnection, item: Ready, published: Published) -> None:
        """An addition, another version, a late part, or a replay: what differs is published."""
        report_id = published.report.id
        in_hand = {item.message.id} if item.assembled is None else {part.message_id for part in item.assembled.parts}
        sources = await self._amendment.sources(connection, published.report, in_hand)
        own = item.message.report_id == report_id
        names = [item.message] if item.assembled is None else item.assembled.parts
        is_first = own and published.report.external_id in {each.external_id for each in names}
        source = item.source(first=is_first)
        full = len(sources) >= MOST_SOURCES and not own
        if full or (not is_first and not any(each.first for each in sources)):
            # Full; or what the report was made of is not here any more, or cannot be parsed: nothing to add to.
            await self._stand_alone(connection, item, report_id if own else None)
            return
        self._amendment.publish_difference(published, [*sources, source])
        note_versions(self._writes, item, report_id)
        decision, reason = self._share(item, source, sources, published.report)
        settle(self._writes, item, decision, report_id, reason)

    def _share(
        self, item: Ready, source: Source, others: Sequence[Source], report: Report
    ) -> tuple[DecisionName, str | None]:
        """What a message is to the report that it belongs to, and why."""
        parsed = item.parsed
        if parsed.not_a_report is not None and parsed.completes is None and (source.first or parsed.revision is None):
            return "ignored", parsed.not_a_report
        if source.first:
            if item.assembled is not None or names_core_number(parsed):
                return "update", None
            return ("report" if report.duplicate_of is None else "repeat"), None
        if source.id not in {each.id for each in newest_versions([*others, source])}:
            return "ignored", "A newer version of this message is here."
        return "update", None

    async def _stand_alone(self, connection: AsyncConnection, item: Ready, report_id: str | None) -> None:
        if report_id is None:
            await self._merits.decide(connection, [item])
        else:
            # Published with the report before, and nothing is left to compare it with.
            settle(self._writes, item, "update", report_id)

    async def _withdraw(self, connection: AsyncConnection, item: Ready, withdrawal: Withdrawal) -> None:
        """The source no longer has a message: it is withdrawn, and what it said is removed."""
        rows = await message_rows.by_external_ids(connection, item.message.channel, [withdrawal.external_id])
        if not rows:
            settle(self._writes, item, "ignored", None, "The message that is gone was never here.")
            return
        message_id = rows[0].id
        await message_rows.lock(connection, message_id)
        self.gone.add(message_id)
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
        settle(self._writes, item, "withdrawn", row.report_id, withdrawal.reason)


def depends(item: Ready, links: Mapping[str, Sequence[str]], names: Collection[str]) -> bool:
    """Whether a message may belong to a report that was published before, or to one of its own batch."""
    return (
        item.message.report_id is not None
        or item.parsed.withdrawal is not None
        or bool(links[item.message.id])
        or any(name in names for name in linked_ids(item))
    )


def candidates_of(item: Ready, links: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The ids of the reports that a message may belong to, the most telling first."""
    own = item.message.report_id
    return links[item.message.id] if own is None else [own]


def _may_amend(parsed: Parsed, published: Published) -> bool:
    """Whether a message may add to a report: one that stands, by the one who wrote it."""
    if published.withdrawn_at is not None or not same_reporter(published.report, parsed):
        return False
    return parsed.completes is not None or parsed.not_a_report is None or parsed.revision is not None
