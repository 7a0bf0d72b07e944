"""Collects what one PROCESS transaction writes, and writes it in bulk."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.clock import to_milliseconds
from gateway.identifiers import new_tracking_id, uuid7
from gateway.model import EventKind, Report, encode, event_for, routing_key
from gateway.ports import OutboxEvent
from gateway.store import answers, files, fragments, matters, messages, outbox, reports
from gateway.store.answers import NewAnswer
from gateway.store.fragments import Group
from gateway.store.matters import MatterRow
from gateway.store.messages import Outcome
from gateway.store.reports import Published


@dataclass(slots=True)
class Writes:
    """Rows to be written, and what has been written already. ``now`` is the time of the decision."""

    now: datetime
    outcomes: list[Outcome] = field(default_factory=list)
    new_reports: list[Report] = field(default_factory=list)
    amended: dict[str, Published] = field(default_factory=dict)
    events: list[OutboxEvent] = field(default_factory=list)
    answers: list[NewAnswer] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    settled_groups: dict[str, str | None] = field(default_factory=dict)
    aliases: set[tuple[str, str, str]] = field(default_factory=set)
    files: set[tuple[str, str]] = field(default_factory=set)
    matters: dict[str, MatterRow | None] = field(default_factory=dict)
    """What published reports are about now, by their ids; None for what was withdrawn."""
    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    published: list[OutboxEvent] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    """The groups that were settled, by id."""
    similar: int = 0
    """New reports that name similar ones."""
    answering: set[str] = field(default_factory=set)
    """The channels that have something to send."""

    @property
    def at(self) -> int:
        """The time of the decision in milliseconds."""
        return to_milliseconds(self.now)

    def publish_new(self, report: Report, kind: EventKind = "received") -> None:
        """A report that nobody has heard of yet."""
        self.new_reports.append(report)
        self.similar += bool(report.similar_to)
        self._add_event(report, kind, 1)

    def publish_change(self, report: Report, kind: EventKind, known: Published) -> None:
        """What has become of a published report."""
        change = Published(report, known.sequence + 1, self.at if kind == "withdrawn" else None)
        self.amended[report.id] = change
        if kind == "withdrawn":
            self.matters[report.id] = None
        self._add_event(report, kind, change.sequence)

    def _add_event(self, report: Report, kind: EventKind, sequence: int) -> None:
        event = event_for(report, kind, event_id=uuid7(), sequence=sequence, time=self.now)
        self.events.append(OutboxEvent(event.id, report.id, sequence, routing_key(kind, report.channel), encode(event)))

    async def flush(self, connection: AsyncConnection) -> None:
        """Writes what was collected since the last time, in an order that the foreign keys allow."""
        if self.new_reports:
            await reports.add(connection, self.new_reports)
        await reports.amend(connection, self.amended.values())
        if self.events:
            await outbox.add(connection, self.events, self.at)
        if self.answers:
            await answers.add(connection, self.answers, self.at)
        await fragments.add(connection, self.groups)
        await fragments.settle(connection, self.settled_groups)
        await reports.add_aliases(connection, self.aliases)
        await files.note(connection, self.files)
        await matters.change(connection, self.matters)
        # A part that completes its group is decided twice; the last decision counts.
        await messages.decide(connection, {outcome.id: outcome for outcome in self.outcomes}.values())
        self._note_written()

    def _note_written(self) -> None:
        self.published += self.events
        self.settled |= self.settled_groups.keys()
        self.answering |= {answer.channel for answer in self.answers}
        self.new_reports, self.events, self.answers = [], [], []
        self.groups, self.outcomes = [], []
        self.amended, self.settled_groups, self.aliases, self.files, self.matters = {}, {}, set(), set(), {}

    def first_events(self) -> list[OutboxEvent]:
        """Events that no earlier event of their report can hold up."""
        return [event for event in self.published if event.sequence == 1]


async def fresh_tracking_ids(
    connection: AsyncConnection, count: int, make: Callable[[], str] = new_tracking_id
) -> list[str]:
    """So many tracking IDs that no report bears."""
    found: set[str] = set()
    while len(found) < count:
        candidates = {make() for _ in range(count - len(found))} - found
        found |= candidates - await reports.taken(connection, candidates)
    return list(found)
