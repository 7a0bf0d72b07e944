"""A message that a decision can be made about, and what every decision writes for it."""

from dataclasses import dataclass

from gateway.clock import from_milliseconds
from gateway.decisions import Identity, Source, new_report, sha256_of, written_by
from gateway.identifiers import reporter_key
from gateway.model import Parts, Report
from gateway.parsing import Parsed
from gateway.stages import assembly
from gateway.stages.assembly import Assembled
from gateway.stages.writes import Writes
from gateway.store.messages import DecisionName, MessageState, Outcome, StoredMessage


@dataclass(frozen=True, slots=True)
class Ready:
    """One message, or the assembled parts of one."""

    message: StoredMessage
    parsed: Parsed
    assembled: Assembled | None = None

    @property
    def reporter(self) -> str:
        """By what rows name who wrote it."""
        return reporter_key(self.parsed.reporter.kind, self.parsed.reporter.address)

    def source(self, *, first: bool) -> Source:
        """The message as one that a report is made of.

        Args:
            first: Whether the report begins with it.
        """
        parts: Parts | None = None
        raws: list[bytes] = [self.message.raw]
        if self.assembled is not None:
            raws = [raw for raw in self.assembled.raws if raw is not None]
            numbers = tuple(sorted(part.number for part in self.assembled.parts))
            parts = Parts(total=self.assembled.group.total, present=numbers)
        return Source(self.message.id, self.message.external_id, first, self.parsed, parts, sha256_of(raws))

    def report(self, report_id: str, tracking_id: str) -> Report:
        """The canonical report that begins with it."""
        source = self.source(first=True)
        identity = Identity(
            id=report_id,
            tracking_id=tracking_id,
            channel=self.message.channel,
            channel_type=self.message.channel_type,
            external_id=self.message.external_id,
            received_at=from_milliseconds(self.message.received_at),
            raw_sha256=source.raw_sha256,
        )
        return new_report(self.parsed, identity, source.parts)


def settle(
    writes: Writes, item: Ready, decision: DecisionName, report_id: str | None, reason: str | None = None
) -> None:
    """Writes down what a message is, and why."""
    state: MessageState = "held" if decision == "held" else "processed"
    reason = reason or item.parsed.not_a_report or (item.parsed.held if decision == "held" else None)
    outcome = Outcome(item.message.id, state, decision, reason, report_id, writes.at, reporter=written_by(item.parsed))
    writes.decided[item.message.channel, decision] += 1
    if item.assembled is None:
        writes.outcomes.append(outcome)
        return
    late = item.assembled.group.report_id is not None  # the parts before it were decided
    writes.outcomes.extend(assembly.for_parts(item.assembled, outcome, only_fresh=late))
    writes.settled_groups[item.assembled.group.id] = report_id


def note_versions(writes: Writes, item: Ready, report_id: str) -> None:
    """Another version may come later, and may know this message by an earlier version's id only."""
    revision = item.parsed.revision
    if revision is not None and len(revision.external_ids) > 1:
        writes.aliases |= {(item.message.channel, name, report_id) for name in revision.external_ids}
