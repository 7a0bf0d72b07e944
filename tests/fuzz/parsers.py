"""Tries mutated messages on the SMS, X and mail parsers: ``python -m tests.fuzz.parsers --minutes 10``.

A parser may return a Parsed or raise Quarantine. Anything else, more than two seconds of the processor for one input,
or memory that grows by more than 200 MB, is a fault: the input is kept below ``tests/fuzz/faults`` and tried first in
every later run, and this ends with 1.

Nine of ten mutations go by the structure of a message (:mod:`tests.fuzz.records`, :mod:`tests.fuzz.letters`), so that
most inputs get past the outer decoding. Of some inputs the steps through the parsers' code are traced: one that takes
a step that was never taken, or has an outcome that none had, is mutated further. ``--keep`` writes the fewest of these
that together reach as much below ``tests/fuzz/seeds``, where every later run begins.
"""

import argparse
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from types import FrameType
from typing import Final, NoReturn

from gateway.errors import Quarantine
from tests.fuzz.reach import Reach
from tests.fuzz.targets import FAULTS, SEEDS, Target, targets

LONGEST_SECONDS: Final = 2.0
MOST_MEGABYTES: Final = 200
_MOST_SEEDS: Final = 5_000
_TRACED: Final = 0.15
"""How many of the inputs are traced, which takes some times as long."""
_LONGEST_KEPT: Final = 4_096


class _Overrun(BaseException):
    """An input takes too long."""


@dataclass(slots=True)
class Tally:
    """What has happened so far with one parser."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_size: int = 0
    grown: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def quarantined(self) -> int:
        """How many inputs could not be read."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.startswith("quarantine"))


def _overrun(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Overrun


def _peak_megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def outcome_of(target: Target, raw: bytes) -> str:
    """What becomes of one input, as a word that is equal for inputs that are alike; raises what is a fault."""
    try:
        parsed = target.parse(raw)
    except Quarantine as error:
        return f"quarantine: {error}"
    f"{parsed.text}{parsed.title}{parsed.reporter}{parsed.references}{parsed.attachments}{parsed.trust}".encode()
    return (
        f"{parsed.not_a_report or parsed.held or 'report'} {min(3, len(parsed.attachments))} {parsed.answerable}"
        f" {parsed.sent_at is None} {parsed.title is None} {parsed.keyword is None} {min(3, len(parsed.references))}"
        f" {parsed.reply_to is None} {parsed.delivery is None} {sorted(parsed.trust)} {parsed.text == ''}"
        f" {parsed.part is None} {parsed.location is None}"
    )


def tried(target: Target, raw: bytes, tally: Tally, reach: Reach | None = None) -> bool:
    """Tries one input; returns whether it was read and of a new kind, or read and reached what none had reached."""
    peak, start, wider = _peak_megabytes(), time.process_time(), False
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_SECONDS * (1 if reach is None else 20))
    try:
        if reach is None:
            outcome = outcome_of(target, raw)
        else:
            outcome, wider = reach.widened(partial(outcome_of, target, raw))
    except (_Overrun, Exception) as error:  # noqa: BLE001 - this is what is looked for
        outcome = f"FAULT {type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    seconds = time.process_time() - start
    grown = _peak_megabytes() - peak
    tally.grown = max(tally.grown, grown)
    if grown > MOST_MEGABYTES:
        outcome = f"FAULT {grown} MB"
    if outcome.startswith("FAULT"):
        tally.faults.append(f"{outcome} ({target.keep(raw, FAULTS)})")
    if reach is None and seconds > tally.slowest:
        tally.slowest, tally.slowest_size = seconds, len(raw)
    tally.outcomes[outcome] += 1
    return not outcome.startswith(("FAULT", "quarantine")) and (wider or tally.outcomes[outcome] == 1)


@dataclass(slots=True)
class Hunt:
    """One parser's run: what was found, and what is mutated next."""

    target: Target
    chance: random.Random
    tally: Tally = field(default_factory=Tally)
    reach: Reach = field(default_factory=Reach)
    pool: list[bytes] = field(default_factory=list)

    def begin(self) -> None:
        """Tries what is known already."""
        for raw in self.target.faults:
            tried(self.target, raw, Tally())
        self.pool = list(self.target.seeds)
        for raw in self.pool:
            tried(self.target, raw, Tally(), self.reach)

    def step(self) -> None:
        """Tries one mutation."""
        pool, chance = self.pool, self.chance
        raw = self.target.mutated(chance.choice(pool), chance.choice(pool), chance)
        traced = chance.random() < _TRACED
        if tried(self.target, raw, self.tally, self.reach if traced else None) and len(pool) < _MOST_SEEDS:
            pool.append(raw)

    def keep(self) -> int:
        """Keeps the inputs without which less would be reached, the shortest first; returns how many are new."""
        reach = Reach()
        for raw in self.target.seeds:
            tried(self.target, raw, Tally(), reach)
        known = set(self.target.seeds)
        kept = 0
        short = (each for each in self.pool if len(each) <= _LONGEST_KEPT and each not in known)
        for raw in sorted(short, key=len):
            before = len(reach.steps)
            tried(self.target, raw, Tally(), reach)
            if len(reach.steps) > before:
                self.target.keep(raw, SEEDS)
                kept += 1
        return kept


def run(seconds: float, seed: int, *, most: int | None = None) -> list[Hunt]:
    """Tries all parsers in turns for so long, or for so many inputs each."""
    signal.signal(signal.SIGVTALRM, _overrun)
    hunts = [Hunt(target, random.Random(f"{seed} {target.name}")) for target in targets()]
    for hunt in hunts:
        hunt.begin()
    end = time.monotonic() + seconds
    for hunt in islice(cycle(hunts), None if most is None else most * len(hunts)):
        if time.monotonic() > end:
            break
        hunt.step()
    return hunts


def _told(hunt: Hunt, kept: int | None) -> str:
    tally = hunt.tally
    total = max(1, tally.outcomes.total())
    return (
        f"{hunt.target.name:10} {total:8} inputs, {1 - tally.quarantined / total:5.0%} read and {tally.quarantined} in"
        f" quarantine, {len(tally.outcomes)} outcomes, {len(hunt.reach.steps)} steps, {len(hunt.pool)} seeds"
        f"{'' if kept is None else f' ({kept} kept)'}, slowest {tally.slowest:.3f} s ({tally.slowest_size} bytes),"
        f" at most {tally.grown} MB more, {len(tally.faults)} faults"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what was found; returns 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true", help="keep the seeds that reach more")
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}", flush=True)  # noqa: T201 - a report for a person
    hunts = run(given.minutes * 60, given.seed)
    print(f"most memory: {_peak_megabytes()} MB")  # noqa: T201
    for hunt in hunts:
        print(_told(hunt, hunt.keep() if given.keep else None))  # noqa: T201
        for fault in hunt.tally.faults[:20]:
            print(f"  {fault}")  # noqa: T201
    return 1 if any(hunt.tally.faults for hunt in hunts) else 0


if __name__ == "__main__":
    sys.exit(main())
