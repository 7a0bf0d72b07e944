"""The verdict on a run with X: what the store, the answers and the list of gaps say against what was done."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from gateway.demo.x.writing import Answer
from gateway.ports import Gap
from gateway.store import Store
from gateway.store.channel_store import list_gaps
from gateway.store.tables import answers, messages
from tests.soak.verdict import Expected, Verdict
from tests.soak.x_citizens import DECISIONS, Matter

Span = tuple[datetime, datetime]
SEPARATOR = "\n\n"
PUBLISHED = ("report", "chaser")
"""What a report is made of. A chaser, which names a number of the core, is an update with a report of its own."""

_SEEN = timedelta(seconds=1)
"""How exactly two processes agree on when a connection began or ended."""

_FOUND_BY_SEARCH = b'"found_by":"search"'


@dataclass(frozen=True)
class Stored:
    """A message in custody."""

    id: str
    state: str
    decision: str | None
    report_id: str | None
    by_search: bool | None
    """None where its bytes are gone."""


@dataclass(frozen=True)
class Ledger:
    """What the database says at the end."""

    messages: Mapping[str, Stored]
    gaps: Sequence[Gap]
    answers: Mapping[str, int]


def read_ledger(store_url: str, channel: str) -> Ledger:
    """Reads everything that the verdict needs. The gateway may still run."""
    return asyncio.run(_read(store_url, channel))


async def _read(store_url: str, channel: str) -> Ledger:
    store = Store(store_url)
    try:
        async with store.read() as connection:
            kept = messages.c
            query = select(kept.external_id, kept.id, kept.state, kept.decision, kept.report_id, kept.raw)
            rows = (await connection.execute(query)).all()
            gaps = [gap for _name, gap in await list_gaps(connection, limit=10_000, channel=channel)]
            counted = await connection.execute(select(answers.c.state, func.count()).group_by(answers.c.state))
            states = {str(state): int(count) for state, count in counted.all()}
    finally:
        await store.close()
    found = {
        name: Stored(id_, state, decision, report_id, None if raw is None else _FOUND_BY_SEARCH in raw)
        for name, id_, state, decision, report_id, raw in rows
    }
    return Ledger(found, gaps, states)


def expected_reports(matters: Sequence[Matter], ledger: Ledger) -> list[Expected]:
    """The reports that there have to be.

    An addition that came before what it adds to is decided on its own merits: that is the design's rule, and what came
    first is read off the order of the messages' ids.
    """
    reports: list[Expected] = []
    for matter in matters:
        if matter.kind not in PUBLISHED:
            continue
        sender = matter.current.author.id
        if matter.is_gone:
            reports.append(Expected(tuple(matter.tokens), sender, "", "gone"))
        elif matter.addition is None:
            reports.append(Expected(tuple(matter.tokens), sender, matter.text))
        elif not came_first(matter, ledger):
            text = f"{matter.text}{SEPARATOR}{matter.addition_text}"
            reports.append(Expected(tuple(matter.tokens), sender, text))
        else:
            reports.append(Expected(tuple(matter.tokens[:-1]), sender, matter.text))
            if matter.addition_tagged:
                reports.append(Expected((matter.tokens[-1],), sender, matter.addition_text))
    return reports


def came_first(matter: Matter, ledger: Ledger) -> bool:
    """Whether an addition was taken in before what it adds to, and decided before it: in one batch it would join it."""
    if matter.addition is None:
        return False
    begun = [ledger.messages[post.id] for post in matter.posts if post.id in ledger.messages]
    added = ledger.messages.get(matter.addition.id)
    if added is None or not begun or added.id > min(stored.id for stored in begun):
        return False
    return added.report_id is None or added.report_id not in {stored.report_id for stored in begun}


def judge_custody(verdict: Verdict, matters: Sequence[Matter], ledger: Ledger, malformed: Collection[str]) -> None:
    """Every post is in custody and was decided as it should be, and nothing else is."""
    wanted: dict[str, str] = {}
    superseded: set[str] = set()
    gone: set[str] = set()
    split = [matter for matter in matters if came_first(matter, ledger)]
    for matter in matters:
        if matter.kind == "repost":
            continue
        superseded |= {post.id for post in matter.posts[:-1]}
        if matter.is_gone:
            gone |= {post.id for post in matter.posts}
            continue
        wanted[matter.current.id] = DECISIONS[matter.kind]
        if matter.addition is not None:
            wanted[matter.addition.id] = "update"
    for matter in split:
        assert matter.addition is not None
        wanted[matter.addition.id] = "report" if matter.addition_tagged else "held"
    ours = {name: stored for name, stored in ledger.messages.items() if name.isdigit()}
    verdict.figures["threads whose addition came first"] = len(split)
    verdict.figures["posts that search brought"] = sum(stored.by_search is True for stored in ours.values())
    verdict.add("posts that never came", sorted(wanted.keys() - ours.keys()))
    verdict.add("posts that nobody wrote", sorted(ours.keys() - wanted.keys() - superseded - gone))
    edited = {matter.current.id for matter in matters if len(matter.posts) > 1}
    wrong = [
        f"{name} {ours[name].decision} instead of {decision}"
        for name, decision in wanted.items()
        if name in ours and ours[name].decision not in {decision, "update" if name in edited else decision}
    ]
    verdict.add("posts decided wrongly", wrong)
    quarantined = {name for name, stored in ledger.messages.items() if stored.state == "quarantined"}
    verdict.figures["malformed lines"] = len(malformed)
    verdict.add("malformed lines that are not in quarantine", sorted(set(malformed) - quarantined))
    verdict.add("others in quarantine", sorted(quarantined - set(malformed)))


def judge_answers(
    verdict: Verdict, matters: Sequence[Matter], ledger: Ledger, given: Sequence[Answer], refused: int
) -> None:
    """Every report's author is answered, and no post twice."""
    by_post = Counter(answer.reply_to or "" for answer in given)
    verdict.figures |= {"answers on X": len(given), "answers refused by X as duplicates": refused}
    verdict.figures |= {f"answers {state}": count for state, count in sorted(ledger.answers.items())}
    families: dict[str, str] = {}
    counts: defaultdict[str, int] = defaultdict(int)
    unanswered: list[str] = []
    twice: list[str] = []
    for matter in matters:
        if matter.kind in PUBLISHED:
            families |= {post.id: matter.tokens[0] for post in matter.posts}
    for matter in matters:
        if came_first(matter, ledger) and matter.addition is not None and matter.addition_tagged:
            families[matter.addition.id] = matter.tokens[-1]
    for post_id, count in by_post.items():
        counts[families.get(post_id, "")] += count
    may_be_missing = {matter.tokens[0] for matter in matters if matter.is_gone}
    for name in set(families.values()):
        if counts[name] > 1:
            twice.append(name)
        elif not counts[name] and name not in may_be_missing:
            unanswered.append(name)
    verdict.add("posts answered more than once", sorted(post for post, count in by_post.items() if count > 1))
    verdict.add("reports answered more than once", sorted(twice))
    verdict.add("reports not answered", sorted(unanswered))
    verdict.add("answers to what is no report", sorted(by_post.keys() - families.keys()))


@dataclass(frozen=True)
class StreamTruth:
    """What the simulator knows of the stream.

    Attributes:
        away: The times without delivery.
        only_search: When the posts were made that the stream cannot have delivered.
        lateness: Seconds by which the gateway lets a post be late before it counts as left out.
        alive: Seconds between two of its signs of life that outlive a kill.
    """

    away: Sequence[Span]
    only_search: Mapping[str, datetime]
    lateness: float
    alive: float


def judge_gaps(verdict: Verdict, ledger: Ledger, truth: StreamTruth) -> None:
    """The list of gaps tells the truth: nothing is missing in it, and nothing in it is untrue."""
    gaps = [gap for gap in ledger.gaps if gap.path == "stream"]
    spans = [(gap.since, gap.until) for gap in gaps if gap.until is not None]
    found = sum(gap.found for gap in gaps)
    by_search = sum(stored.by_search is not False for name, stored in ledger.messages.items() if name.isdigit())
    needed = [
        name for name in truth.only_search if (stored := ledger.messages.get(name)) is not None and stored.by_search
    ]
    late = timedelta(seconds=truth.lateness)
    states = Counter(gap.state for gap in ledger.gaps)
    verdict.figures |= {f"gaps {state}": count for state, count in sorted(states.items())}
    verdict.figures |= {
        "found, by the gaps": found,
        "posts in custody that only search could bring": len(needed),
        "times without delivery": len(truth.away),
        "seconds without delivery": round(sum((end - begin).total_seconds() for begin, end in truth.away)),
        "seconds of all gaps": round(sum((end - begin).total_seconds() for begin, end in spans)),
    }
    verdict.add("gaps that are not recovered", [_shown(gap) for gap in ledger.gaps if gap.state != "recovered"])
    verdict.add("gaps of search", [_shown(gap) for gap in ledger.gaps if gap.path != "stream"])
    outside = [name for name in needed if not _holds(spans, truth.only_search[name], late)]
    verdict.add("posts that only search brought, in no gap", outside)
    verdict.add("too few found", [f"{found} of {len(needed)}"] if found < len(needed) else [])
    verdict.add("too many found", [f"{found} of {by_search}"] if found > by_search else [])
    slack = timedelta(seconds=truth.alive) + _SEEN
    excuses = [(begin - slack, end + _SEEN) for begin, end in truth.away]
    untrue = [gap for gap in gaps if gap.until is not None and uncovered((gap.since, gap.until), excuses) > _SEEN]
    verdict.add("gaps over times in which everything was delivered", [_shown(gap) for gap in untrue])


def judge_times_without(verdict: Verdict, ledger: Ledger, away: Iterable[Span], shortest: float) -> None:
    """Every time that the stream was down, as opposed to alive and empty, is covered."""
    spans = [(gap.since, gap.until) for gap in ledger.gaps if gap.path == "stream" and gap.until is not None]
    widened = [(since - _SEEN, until + _SEEN) for since, until in spans]
    long = [span for span in away if (span[1] - span[0]).total_seconds() > shortest]
    missing = [span for span in long if uncovered(span, widened) > timedelta(0)]
    verdict.figures[f"times without a stream, over {shortest:g} s"] = len(long)
    verdict.add(
        "times without a stream that are in no gap", [f"{a:%H:%M:%S.%f} to {b:%H:%M:%S.%f}" for a, b in missing]
    )


def uncovered(span: Span, others: Iterable[Span]) -> timedelta:
    """How much of a span lies in none of the others."""
    at, end = span
    left = timedelta(0)
    for begin, until in sorted(others):
        if until <= at or begin >= end:
            continue
        left += max(timedelta(0), begin - at)
        at = max(at, until)
        if at >= end:
            return left
    return left + max(timedelta(0), end - at)


def _holds(spans: Iterable[Span], time: datetime, late: timedelta) -> bool:
    return any(since - late <= time <= until + late for since, until in spans)


def _shown(gap: Gap) -> str:
    until = f"{gap.until:%H:%M:%S.%f}" if gap.until else "now"
    return f"{gap.path} {gap.since:%H:%M:%S.%f} to {until} {gap.state} found={gap.found} {gap.reason}"
