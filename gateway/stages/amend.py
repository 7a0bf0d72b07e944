"""Amends a published report: composes it anew from every message that it is made of, and tells what differs."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.decisions import Source, beginning, blanked, composed, sha256_of
from gateway.model import Parts, Report, encode
from gateway.stages.kinship import matter_row
from gateway.stages.understand import Understanding, Unparsable
from gateway.stages.writes import Writes
from gateway.store import answers as answer_rows
from gateway.store import fragments
from gateway.store import messages as message_rows
from gateway.store import outbox as outbox_rows
from gateway.store.messages import Named, StoredSource
from gateway.store.reports import Published


class Amendment:
    """Changes to published reports, inside one transaction.

    Args:
        understanding: Parses the messages of a report again: what they say is not stored anywhere else.
        writes: Where the rows are collected.
    """

    def __init__(self, understanding: Understanding, writes: Writes) -> None:
        self._understanding = understanding
        self._writes = writes
        self._read: dict[tuple[str, ...], Source | None] = {}

    async def sources(self, connection: AsyncConnection, report: Report, besides: Collection[str] = ()) -> list[Source]:
        """The messages that a report is made of, parsed again.

        Args:
            connection: An open transaction.
            report: The report.
            besides: Messages to leave out: the caller has parsed them already.
        """
        stored = [row for row in await message_rows.sources_of(connection, report.id) if row.id not in besides]
        totals = await fragments.totals(connection, {row.group_id for row in stored if row.group_id is not None})
        stored.sort(key=lambda row: (row.group_id or "", row.id))
        found: list[Source] = []
        for group_id, rows in groupby(stored, key=lambda row: row.group_id):
            if group_id is None:
                found += [source for row in rows if (source := self._source(report, [row], None)) is not None]
            elif group_id in totals and (source := self._source(report, list(rows), totals[group_id])):
                found.append(source)
        return found

    def _source(self, report: Report, rows: Sequence[StoredSource], total: int | None) -> Source | None:
        ids = tuple(row.id for row in rows)
        if ids not in self._read:  # a long thread that comes in one batch is not parsed anew for each of its messages
            self._read[ids] = self._parsed(rows, total)
        source, key = self._read[ids], (report.channel_name, report.external_id)
        first = any((row.channel, row.external_id) == key for row in rows)
        return source if source is None or source.first == first else replace(source, first=first)

    def _parsed(self, rows: Sequence[StoredSource], total: int | None) -> Source | None:
        earliest = rows[0]
        raws: list[bytes | None] = [earliest.raw]
        parts: Parts | None = None
        if total is not None:
            by_number = {row.part_number: row.raw for row in rows}
            raws = [by_number.get(number) for number in range(1, total + 1)]
            parts = Parts(total=total, present=tuple(sorted(number for number in by_number if number)))
        parsed = self._understanding.parse(earliest.channel, earliest.channel_type, raws, earliest.id)
        if isinstance(parsed, Unparsable):
            return None
        raw_sha256 = sha256_of(raw for raw in raws if raw is not None)
        return Source(earliest.id, earliest.external_id, first=False, parsed=parsed, parts=parts, raw_sha256=raw_sha256)

    def publish_difference(self, published: Published, sources: Sequence[Source]) -> None:
        """Publishes a report as its messages now have it, if that is not how it was published last."""
        after, first = composed(published.report, sources), beginning(sources)
        if after is None or first is None:
            if published.withdrawn_at is None:
                self._writes.publish_change(published.report, "withdrawn", published)
        elif published.withdrawn_at is not None or encode(after) != encode(published.report):
            self._writes.publish_change(after, "updated", published)
            self._writes.matters[after.id] = matter_row(after.id, first.parsed, to_milliseconds(after.received_at))

    async def erase(self, connection: AsyncConnection, published: Published, message: Named) -> None:
        """A message of a report is gone from its source: what it said goes from the report and from the store.

        So does what its other versions said. The report is withdrawn when its first message is gone.
        """
        report = published.report
        sources = await self.sources(connection, report)
        family = next((source.family for source in sources if source.id == message.id), message.external_id)
        gone = [source for source in sources if source.family == family]
        for source in gone:
            await message_rows.erase(connection, source.id)
        await outbox_rows.erase(connection, [report.id])
        if published.withdrawn_at is not None:
            return
        if message.external_id == report.external_id or any(source.first for source in gone):
            self._writes.publish_change(blanked(report), "withdrawn", published)
            await answer_rows.cancel(connection, report.id, "The message was withdrawn before it was answered.")
        elif any(source.first for source in sources):
            self.publish_difference(published, [source for source in sources if source.family != family])
        else:
            # The first message cannot be parsed now, so nobody can say what is left: the next change will.
            self._writes.amended[report.id] = replace(published, report=blanked(report))
