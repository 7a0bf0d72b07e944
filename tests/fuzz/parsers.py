"""Tries mutated messages on the SMS, X and mail parsers: ``python -m tests.fuzz.parsers --minutes 10``.

A parser may return a Parsed or raise Quarantine. Anything else, or more than ten seconds for one input, is a fault:
the input is kept below ``tests/fuzz/kept`` and tried first in every later run, and this ends with 1. An input whose
outcome differs from all before becomes a seed of the run. The slowest and the most memory are reported.
"""

import argparse
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from types import FrameType
from typing import Final, NoReturn

from gateway.errors import Quarantine
from tests.fuzz.seeds import Target, targets

LONGEST_SECONDS: Final = 10.0
_MOST_SEEDS: Final = 3_000
_LONGEST_INPUT: Final = 200_000

_PIECES: Final = (
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1a", b" ", b"\t"),
    *(b"=?utf-8?q?", b"=?x?b?", b"?=", b"=C3=A9", b"=\r\n", b"--b1\r\n", b"--b1--\r\n", b"--", b"> ", b"-- \n", b";"),
    *(b'"', b"\\", b"(", b")", b"<", b">", b"@", b",", b":", b"*0*=", b"''", b"%", b"{", b"}", b"[", b"]", b"null"),
    *(b"Content-Type: multipart/mixed; boundary=b1\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"charset=utf-16"),
    *(b"charset=utf-7", b"charset=punycode", b"Content-Transfer-Encoding: base64\r\n", b"format=flowed; delsp=yes"),
    *(b"multipart/report", b"message/delivery-status", b"text/html", b"<blockquote>", b"<table><td>", b"<!--", b"&#x"),
    *(b"\\ud800", b"#LAPOR", b"@LAPOR1708", b"https://t.co/a", b"KIP ", b"(spasi)", b"-1", b"1e999", b"9" * 40),
)


class _Overrun(BaseException):
    """An input takes too long."""


@dataclass(slots=True)
class Tally:
    """What has happened so far with one parser."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_size: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def read(self) -> int:
        """How many outcomes there were besides quarantine: what is quarantined makes a poor seed."""
        return sum(not outcome.startswith("quarantine") for outcome in self.outcomes)


def _overrun(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Overrun


def mutated(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    """One to six changes: pieces out, in, twice, or from another seed; octets flipped."""
    data = bytearray(raw)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at = chance.randint(0, len(data))
        end = min(len(data), at + chance.choice((1, 2, 8, 64, 512)))
        kind = chance.randrange(7)
        if kind == 0:
            del data[at:end]
        elif kind == 1:
            data[at:at] = chance.choice(_PIECES)
        elif kind == 2:
            data[at:at] = data[at:end] * chance.choice((1, 2, 10, 100))
        elif kind == 3 and data:
            data[at % len(data)] = chance.randrange(256)
        elif kind == 4 and other:
            start = chance.randrange(len(other))
            data[at:end] = other[start : start + chance.choice((8, 64, 512, 4096))]
        elif kind == 5:
            data[at:end] = chance.choice(_PIECES) * chance.choice((1, 1, 2, 50, 500))
        else:
            del data[at:]
            data += other[chance.randint(0, len(other)) :]
    return bytes(data[:_LONGEST_INPUT])


def tried(target: Target, raw: bytes, tally: Tally) -> str:
    """What becomes of one input, as a word that is equal for inputs that are alike."""
    start = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_SECONDS)
    try:
        parsed = target.parse([raw], target.profile)
        f"{parsed.text}{parsed.title}{parsed.reporter}{parsed.references}{parsed.attachments}{parsed.trust}".encode()
        outcome = (
            f"{parsed.not_a_report or parsed.held or 'report'} {len(parsed.attachments)} {parsed.answerable}"
            f" {parsed.sent_at is None} {parsed.title is None} {parsed.keyword is None} {len(parsed.references)}"
            f" {parsed.reply_to is None} {parsed.delivery is None} {sorted(parsed.trust)} {parsed.text == ''}"
        )
    except Quarantine as error:
        outcome = f"quarantine: {error}"
    except (_Overrun, Exception) as error:  # noqa: BLE001 - this is what is looked for
        outcome = f"FAULT {type(error).__name__}: {error}"
        tally.faults.append(f"{outcome} ({target.keep(raw)})")
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    seconds = time.process_time() - start
    if seconds > tally.slowest:
        tally.slowest, tally.slowest_size = seconds, len(raw)
    return outcome


def inputs(target: Target, tally: Tally, chance: random.Random) -> Iterator[bytes]:
    """What was kept, the seeds, and then mutations without end; the outcome of each is to be counted meanwhile."""
    yield from target.kept()
    yield from target.seeds
    pool = list(target.seeds)
    known = tally.read
    while True:
        raw = mutated(chance.choice(pool), chance.choice(pool), chance)
        yield raw
        if tally.read > known:
            known = tally.read
            if len(pool) < _MOST_SEEDS:
                pool.append(raw)


def run(seconds: float, seed: int, *, most: int | None = None) -> dict[str, Tally]:
    """Tries all parsers in turns for so long, or for so many inputs each."""
    signal.signal(signal.SIGVTALRM, _overrun)
    tallies = {target.name: Tally() for target in targets()}
    sources = {
        target.name: inputs(target, tallies[target.name], random.Random(f"{seed} {target.name}"))
        for target in targets()
    }
    end = time.monotonic() + seconds
    for count, target in enumerate(cycle(targets())):
        if time.monotonic() > end or (most is not None and count >= most * len(tallies)):
            break
        tally = tallies[target.name]
        raw = next(sources[target.name])
        tally.outcomes[tried(target, raw, tally)] += 1
    return tallies


def main() -> int:
    """Prints what was found; returns 1 if there was a fault."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    print(f"seed {given.seed}")  # noqa: T201 - a report for a person
    tallies = run(given.minutes * 60, given.seed)
    for name, tally in tallies.items():
        quarantined = sum(count for outcome, count in tally.outcomes.items() if outcome.startswith("quarantine"))
        print(  # noqa: T201
            f"{name}: {tally.outcomes.total()} inputs, {quarantined} quarantined, {len(tally.outcomes)} outcomes,"
            f" slowest {tally.slowest:.3f} s ({tally.slowest_size} bytes), {len(tally.faults)} faults"
        )
        for fault in tally.faults[:20]:
            print(f"  {fault}")  # noqa: T201
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")  # noqa: T201
    return 1 if any(tally.faults for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
