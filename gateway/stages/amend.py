"""Amends a published report: composes it anew from every message that it is made of, and tells what differs."""

from collections.abc import Collection, Sequence
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.decisions import Source, blanked, composed, sha256_of
from gateway.model import Parts, encode
from gateway.stages.understand import Understanding, Unparsable
from gateway.stages.writes import Writes
from gateway.store import answers as answer_rows
from gateway.store import fragments
from gateway.store import messages as message_rows
from gateway.store import outbox as outbox_rows
from gateway.store.messages import StoredSource
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

    async def sources(self, connection: AsyncConnection, report_id: str, besides: Collection[str] = ()) -> list[Source]:
        """The messages that a report is made of, parsed again.

        Args:
            connection: An open transaction.
            report_id: The report.
            besides: Messages to leave out: the caller has parsed them already.
        """
        stored = [row for row in await message_rows.sources_of(connection, report_id) if row.id not in besides]
        totals = await fragments.totals(connection, {row.group_id for row in stored if row.group_id is not None})
        stored.sort(key=lambda row: (row.group_id or "", row.id))
        found: list[Source] = []
        for group_id, rows in groupby(stored, key=lambda row: row.group_id):
            if group_id is None:
                found += [source for row in rows if (source := self._source([row], None)) is not None]
            elif group_id in totals and (source := self._source(list(rows), totals[group_id])) is not None:
                found.append(source)
        return found

    def _source(self, rows: Sequence[StoredSource], total: int | None) -> Source | None:
        first = rows[0]
        raws: list[bytes | None] = [first.raw]
        parts: Parts | None = None
        if total is not None:
            by_number = {row.part_number: row.raw for row in rows}
            raws = [by_number.get(number) for number in range(1, total + 1)]
            parts = Parts(total=total, present=tuple(sorted(number for number in by_number if number)))
        parsed = self._understanding.parse(first.channel, first.channel_type, raws)
        if isinstance(parsed, Unparsable):
            return None
        return Source(
            id=first.id,
            external_id=first.external_id,
            first=any(row.decision == "report" for row in rows),
            parsed=parsed,
            parts=parts,
            raw_sha256=sha256_of(raw for raw in raws if raw is not None),
        )

    def publish_difference(self, published: Published, sources: Sequence[Source]) -> None:
        """Publishes a report as its messages now have it, if that is not how it was published last."""
        after = composed(published.report, sources)
        if after is None:
            if published.withdrawn_at is None:
                self._writes.publish_change(published.report, "withdrawn", published)
        elif published.withdrawn_at is not None or encode(after) != encode(published.report):
            self._writes.publish_change(after, "updated", published)

    async def erase(self, connection: AsyncConnection, published: Published, message_id: str) -> None:
        """A message of a report is gone from its source: what it said goes from the report and from the store.

        The report is withdrawn when its first message is gone, in every version.
        """
        report_id = published.report.id
        sources = await self.sources(connection, report_id)
        await message_rows.erase(connection, message_id)
        await outbox_rows.erase(connection, report_id)
        if published.withdrawn_at is not None:
            return
        rest = [source for source in sources if source.id != message_id]
        if any(source.first for source in rest):
            self.publish_difference(published, rest)
            return
        self._writes.publish_change(blanked(published.report), "withdrawn", published)
        await answer_rows.cancel(connection, report_id, "The message was withdrawn before it was answered.")
