"""The verdict: what was fed against what is on the queue. Pure functions, and a table for people."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.soak.intake import Event

TOKEN = re.compile(r"Z[BCDFGHJKLMNPQRSTVWX]{5}Z")
RECEIVED = "id.go.lapor.report.received.v1"
WITHDRAWN = "id.go.lapor.report.withdrawn.v1"
_SHOWN = 20


@dataclass(frozen=True)
class Expected:
    """A report as it has to be in the end.

    Attributes:
        tokens: The words that tell it from all others; the first one is there from the beginning, others come later.
        sender: Its reporter's address.
        text: Its last text.
        fate: Whether it stands, is withdrawn, or, if it was there at all, is withdrawn.
    """

    tokens: tuple[str, ...]
    sender: str
    text: str
    fate: Literal["stands", "withdrawn", "gone"] = "stands"


@dataclass
class Verdict:
    """Figures for people, and faults: an empty list means that the promise was kept."""

    figures: dict[str, object] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, what: str, found: Sequence[object]) -> None:
        """Counts findings, and makes each a fault."""
        self.figures[what] = len(found)
        self.faults += [f"{what}: {each}" for each in found[:_SHOWN]]
        if len(found) > _SHOWN:
            self.faults.append(f"{what}: and {len(found) - _SHOWN} more")

    def table(self) -> str:
        """The figures as two columns, then the faults."""
        width = max(map(len, self.figures))
        lines = [f"{name:<{width}}  {value}" for name, value in self.figures.items()]
        return "\n".join([*lines, *(f"BROKEN  {fault}" for fault in self.faults)])


def judge(expected: Sequence[Expected], events: Sequence[Event]) -> Verdict:
    """Holds the promise against the queue: nothing lost, nothing counted twice, nothing mixed up."""
    by_token = {token: report for report in expected for token in report.tokens}
    first = list({event.message_id: event for event in reversed(events)}.values())[::-1]
    last = {event.report_id: event for event in first}
    received = [event for event in first if event.type == RECEIVED]
    # What names a number of the core begins as an update, with a report of its own.
    begun = [event for event in first if event.type == RECEIVED or event.sequence == 1]
    found = Counter(token for event in begun for token in _tokens(event))
    seen = set(found) | {token for event in last.values() for token in _tokens(event)}
    verdict = Verdict()
    verdict.figures |= {
        "deliveries on the queue": len(events),
        "redeliveries (same message_id)": len(events) - len(first),
        "events of other kinds": len(first) - len(received),
        "reports": len(last),
    }
    verdict.add("missing tokens", sorted(_needed(expected) - found.keys()))
    verdict.add("doubled tokens", sorted(token for token, count in found.items() if count > 1))
    verdict.add("unknown tokens", sorted(seen - by_token.keys()))
    verdict.add("reports with other than one token", _mixed(first, by_token))
    verdict.add("wrong or incomplete texts", _wrong(first, by_token))
    verdict.add("sequences that go backwards", _backwards(first))
    verdict.add("tracking IDs of two reports", _shared(first))
    verdict.add("ids that differ from message_id", [e.event_id for e in events if e.event_id != e.message_id])
    return verdict


def _tokens(event: Event) -> set[str]:
    return set(TOKEN.findall(event.text))


def _needed(expected: Sequence[Expected]) -> set[str]:
    return {report.tokens[0] for report in expected if report.fate != "gone"}


def _mixed(events: Sequence[Event], by_token: Mapping[str, Expected]) -> list[str]:
    """Reports that say what several citizens' reports have to say, or nobody's."""
    said: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        first_tokens = {by_token[token].tokens[0] if token in by_token else token for token in _tokens(event)}
        said[event.report_id] |= first_tokens
    withdrawn = {event.report_id for event in events if event.type == WITHDRAWN}
    return [name for name, tokens in said.items() if len(tokens) != 1 and not (name in withdrawn and not tokens)]


def _wrong(events: Sequence[Event], by_token: Mapping[str, Expected]) -> list[str]:
    """Reports whose last state is not what the citizen wrote, or that stand although it was taken back."""
    named = {event.report_id: token for event in events for token in _tokens(event) & by_token.keys()}
    last = {event.report_id: event for event in events}
    wrong: list[str] = []
    for report_id, token in named.items():
        event, report = last[report_id], by_token[token]
        text = report.text if report.fate == "stands" else ""
        is_withdrawn = event.type == WITHDRAWN
        right = (event.text, event.sender, is_withdrawn) == (text, report.sender, report.fate != "stands")
        if not event.complete or not right:
            shown = f"{token} complete={event.complete} {event.type.split('.')[-2]} {event.text!r}"
            wrong.append(f"{shown} instead of {text!r}")
    return wrong


def _backwards(events: Sequence[Event]) -> list[str]:
    highest: dict[str, int] = {}
    backwards: list[str] = []
    for event in events:
        if event.sequence <= highest.get(event.report_id, 0):
            backwards.append(f"{event.report_id} {event.sequence}")
        highest[event.report_id] = max(event.sequence, highest.get(event.report_id, 0))
    return backwards


def _shared(events: Sequence[Event]) -> list[str]:
    reports: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        reports[event.tracking_id].add(event.report_id)
    return [tracking_id for tracking_id, ids in reports.items() if len(ids) > 1]
