"""Decides messages on their own merits: new reports, repeats of them, updates by number, and what is no report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from msgspec.structs import replace as replace_struct
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.conversation.wishes import strictest
from gateway.decisions import verdict
from gateway.identifiers import uuid7
from gateway.model import EventKind, Report
from gateway.stages.converse import Conversation, ReceiptWanted
from gateway.stages.kinship import Kin, KinSearch, Kinship, new_matters
from gateway.stages.ready import Ready, note_versions, settle
from gateway.stages.writes import Writes, fresh_tracking_ids
from gateway.store import reports as report_rows
from gateway.store.messages import DecisionName
from gateway.store.reports import Published

_DECIDED: Final[Mapping[EventKind, DecisionName]] = {"received": "report", "repeated": "repeat", "updated": "update"}


class OwnMerits:
    """The decision about messages that belong to no report yet, inside one transaction.

    Args:
        conversation: Queues receipts.
        kinship: Knows what has been reported within the window.
        writes: Where the rows are collected.
    """

    def __init__(self, conversation: Conversation, kinship: Kinship, writes: Writes) -> None:
        self._conversation = conversation
        self._receipts: list[ReceiptWanted] = []
        self._search = KinSearch(kinship)
        self._writes = writes

    async def decide(self, connection: AsyncConnection, items: Sequence[Ready]) -> None:
        """Decides messages on their own merits, and those that repeat what others of them say after these."""
        verdicts = [verdict(item.parsed, accepted=item.message.accepted) for item in items]
        reports = [item for item, decision in zip(items, verdicts, strict=True) if decision == "report"]
        new = await new_matters((item.parsed, item.message.received_at) for item in reports)
        found = await self._search.find(connection, new)
        kin = {id(item): (matter.report_id, its) for item, matter, its in zip(reports, new, found, strict=True)}
        fresh = sum(its.original is None for its in found) + verdicts.count("update")
        tracking_ids = await fresh_tracking_ids(connection, fresh) if fresh else []
        repeats: list[tuple[Ready, str, str]] = []
        for item, decision in zip(items, verdicts, strict=True):
            report_id, its = kin.get(id(item), ("", Kin()))
            if its.original is not None:
                repeats.append((item, report_id, its.original))
            elif decision == "report":
                report = item.report(report_id, tracking_ids.pop())
                self._publish(item, replace_struct(report, similar_to=its.similar), "received")
            elif decision == "update":
                self._publish(item, item.report(uuid7(), tracking_ids.pop()), "updated")
            else:
                settle(self._writes, item, decision, None)
        await self._repeat(connection, repeats)
        wanted, self._receipts = self._receipts, []
        await self._conversation.receipts(connection, wanted)

    async def _repeat(self, connection: AsyncConnection, repeats: Sequence[tuple[Ready, str, str]]) -> None:
        """Publishes reports that repeat one of the same reporter; each is told as (item, its id, the original's id)."""
        if not repeats:
            return
        await self._writes.flush(connection)  # an original may be of the same batch
        wanted = {original for _item, _id, original in repeats}
        await report_rows.lock(connection, wanted)
        originals = await report_rows.find(connection, wanted)
        for item, report_id, original_id in repeats:
            original = originals.get(original_id)
            if original is None or original.withdrawn_at is not None:  # withdrawn since it was found
                (tracking_id,) = await fresh_tracking_ids(connection, 1)
                self._publish(item, item.report(report_id, tracking_id), "received")
                continue
            report = item.report(report_id, original.report.tracking_id)
            count = original.report.repeat_count + 1
            visibility = strictest((original.report.visibility, report.visibility))
            self._count_repeat(original, replace_struct(original.report, repeat_count=count, visibility=visibility))
            originals[original_id] = self._writes.amended[original_id]
            report = replace_struct(report, duplicate_of=original_id, repeat_count=count, visibility=visibility)
            self._publish(item, report, "repeated")

    def _count_repeat(self, original: Published, counted: Report) -> None:
        """Keeps the count; a wish to stay hidden holds for the original too, and that is published."""
        if counted.visibility == original.report.visibility:
            self._writes.amended[counted.id] = replace(original, report=counted)
        else:
            self._writes.publish_change(counted, "updated", original)

    def _publish(self, item: Ready, report: Report, kind: EventKind) -> None:
        self._writes.publish_new(report, kind)
        settle(self._writes, item, _DECIDED[kind], report.id)
        note_versions(self._writes, item, report.id)
        self._receipts.append(ReceiptWanted(item.message, item.parsed, report, repeats=kind == "repeated"))
