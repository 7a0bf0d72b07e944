"""The verdict: what was fed against what is on the queue. Pure functions, and a table for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.soak.citizens import TOKEN, Sms
from tests.soak.intake import Event

RECEIVED = "id.go.lapor.report.received.v1"
_SHOWN = 20


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


def judge(fed: Sequence[Sms], events: Sequence[Event]) -> Verdict:
    """Holds the promise against the queue: nothing lost, nothing counted twice, nothing mixed up."""
    by_token = {sms.token: sms for sms in fed}
    first = list({event.message_id: event for event in reversed(events)}.values())[::-1]
    received = [event for event in first if event.type == RECEIVED]
    found = Counter(token for event in received for token in set(TOKEN.findall(event.text)))
    verdict = Verdict()
    verdict.figures |= {
        "messages fed": len(fed),
        "of them in parts": sum(len(sms.parts) > 1 for sms in fed),
        "SMS fed": sum(len(sms.parts) for sms in fed),
        "deliveries on the queue": len(events),
        "redeliveries (same message_id)": len(events) - len(first),
        "events of other kinds": len(first) - len(received),
        "reports": len({event.report_id for event in first}),
    }
    verdict.add("missing tokens", sorted(by_token.keys() - found.keys()))
    verdict.add("doubled tokens", sorted(token for token, count in found.items() if count > 1))
    verdict.add("unknown tokens", sorted(found.keys() - by_token.keys()))
    verdict.add("reports with other than one token", [e.report_id for e in first if len(_tokens(e)) != 1])
    verdict.add("wrong or incomplete texts", _wrong(first, by_token))
    verdict.add("sequences that go backwards", _backwards(first))
    verdict.add("tracking IDs of two reports", _shared(first))
    verdict.add("ids that differ from message_id", [e.event_id for e in events if e.event_id != e.message_id])
    return verdict


def _tokens(event: Event) -> set[str]:
    return set(TOKEN.findall(event.text))


def _wrong(events: Sequence[Event], by_token: Mapping[str, Sms]) -> list[str]:
    """Reports whose last state is not what the citizen wrote."""
    last = {event.report_id: event for event in events}
    wrong: list[str] = []
    for event in last.values():
        for token in _tokens(event) & by_token.keys():
            sms = by_token[token]
            if not event.complete or (event.text, event.sender) != (sms.expected, sms.sender):
                wrong.append(f"{token} complete={event.complete} {event.text!r} instead of {sms.expected!r}")
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
