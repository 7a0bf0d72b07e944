"""Puts the parts of multi-part SMS together, in whatever order and however late they come.

Every part is a message of its own in custody. A group holds the parts of one message; the first report that is made
of a group, complete or not, is the group's, and later parts amend it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.decisions import written_by
from gateway.identifiers import uuid7
from gateway.parsing import Parsed, PartOf
from gateway.stages.writes import Writes
from gateway.store import fragments
from gateway.store.fragments import Group, StoredPart
from gateway.store.messages import Outcome, StoredMessage


@dataclass(frozen=True, slots=True)
class Assembled:
    """A group that has something to say: all its parts, or what came until it was due."""

    group: Group
    parts: tuple[StoredPart, ...]
    fresh: frozenset[str]
    """The ids of the messages that brought it about; the others were decided before."""

    @property
    def raws(self) -> list[bytes | None]:
        """The raw bytes of each part in order, None for a missing one."""
        by_number = {part.number: part.raw for part in self.parts}
        return [by_number.get(number) for number in range(1, self.group.total + 1)]

    @property
    def first(self) -> StoredPart:
        """The part with the lowest number: it gives the report its external id."""
        return min(self.parts, key=lambda part: part.number)


class Assembly:
    """The groups that one batch of parts touches, inside one transaction.

    Args:
        writes: Where outcomes and new groups are collected.
        wait: How long to wait for missing parts.
        days: How many days a late part still belongs to its group.
    """

    def __init__(self, writes: Writes, wait: timedelta, days: int) -> None:
        self._writes = writes
        self._due_at = writes.at + int(wait.total_seconds() * 1000)
        self._since = to_milliseconds(writes.now - timedelta(days=days))
        self._groups: dict[str, list[Group]] = defaultdict(list)
        self._parts: dict[str, dict[int, StoredPart]] = defaultdict(dict)
        self._touched: dict[str, Group] = {}
        self._fresh: dict[str, set[str]] = defaultdict(set)

    async def add(
        self, connection: AsyncConnection, batch: Sequence[tuple[StoredMessage, Parsed, PartOf]]
    ) -> list[Assembled]:
        """Sorts parts into their groups; returns the groups that are complete now, or amend a published report."""
        await self._load(connection, {_key(message.channel, part.group) for message, _parsed, part in batch})
        for message, parsed, part in batch:
            # Whatever a parser makes of the content, what is stored has one length.
            self._place(message, replace(part, content=_digest(part.content)), written_by(parsed))
        return [
            Assembled(group, tuple(self._parts[group.id].values()), frozenset(self._fresh[group.id]))
            for group in self._touched.values()
            if group.due_at is None or len(self._parts[group.id]) == group.total
        ]

    async def _load(self, connection: AsyncConnection, keys: set[str]) -> None:
        groups = await fragments.open_groups(connection, keys, self._since)
        for group in groups:
            self._groups[group.key].append(group)
        if groups:
            for part in await fragments.parts_of(connection, [group.id for group in groups]):
                self._parts[part.group_id].setdefault(part.number, part)

    def _place(self, message: StoredMessage, part: PartOf, reporter: str | None) -> None:
        key = _key(message.channel, part.group)
        for group in self._groups[key]:
            known = self._parts[group.id].get(part.number)
            if known is None or known.message_id == message.id:
                self._join(message, part, group, reporter)
                return
            if known.content == part.content:
                self._pass_over(message, part, group, reporter)
                return
        group = Group(uuid7(), message.channel, key, part.total, self._writes.at, self._due_at, None)
        self._groups[key].insert(0, group)
        self._writes.groups.append(group)
        self._join(message, part, group, reporter)

    def _join(self, message: StoredMessage, part: PartOf, group: Group, reporter: str | None) -> None:
        self._parts[group.id][part.number] = StoredPart(
            message.id,
            group.id,
            part.number,
            part.content,
            message.raw,
            message.channel_type,
            message.external_id,
            message.received_at,
        )
        self._touched[group.id] = group
        self._fresh[group.id].add(message.id)
        self._writes.outcomes.append(
            Outcome(
                message.id,
                "assembling",
                None,
                None,
                None,
                self._writes.at,
                group_id=group.id,
                part_number=part.number,
                part_content=part.content,
                reporter=reporter,
            )
        )

    def _pass_over(self, message: StoredMessage, part: PartOf, group: Group, reporter: str | None) -> None:
        reason = f"Part {part.number} of {part.total} is here already."
        self._writes.outcomes.append(
            Outcome(message.id, "processed", "ignored", reason, group.report_id, self._writes.at, reporter=reporter)
        )


async def due(connection: AsyncConnection, now: int, limit: int) -> list[Assembled]:
    """Groups whose missing parts have been waited for long enough."""
    groups = await fragments.due_groups(connection, now, limit)
    parts: dict[str, dict[int, StoredPart]] = defaultdict(dict)
    if groups:
        for part in await fragments.parts_of(connection, [group.id for group in groups]):
            parts[part.group_id].setdefault(part.number, part)
    found = [(group, tuple(parts[group.id].values())) for group in groups]
    return [Assembled(group, its, frozenset(part.message_id for part in its)) for group, its in found if its]


def for_parts(assembled: Assembled, outcome: Outcome, *, only_fresh: bool) -> Iterator[Outcome]:
    """The same outcome for the parts of a group: for all of them, or for those that were not decided before."""
    for part in assembled.parts:
        if not only_fresh or part.message_id in assembled.fresh:
            yield replace(
                outcome,
                id=part.message_id,
                group_id=part.group_id,
                part_number=part.number,
                part_content=part.content,
            )


def _key(channel: str, group: str) -> str:
    return _digest(f"{channel}\0{group}")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
