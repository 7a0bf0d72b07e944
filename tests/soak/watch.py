"""What the watched gateway wrote down about its event loop, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak.process import Module

VARIABLE = "SOAK_WATCH_FILE"
"""Names the file to the process that is watched; read by `watched_gateway` alone."""

FILE = "watch.jsonl"

LIMIT_MS = 100.0
_SHOWN = 8


@dataclass(frozen=True)
class Callback:
    """One callback of the event loop that took long: processor time, the garbage collector's share of it, and the
    process's age at its end.
    """

    milliseconds: float
    collecting: float
    name: str
    age: float


@dataclass(frozen=True)
class Watch:
    """All processes of one run."""

    callbacks: int
    slow: tuple[Callback, ...]

    def longer_than(self, milliseconds: float) -> list[str]:
        """The callbacks over a limit."""
        return [shown(each) for each in self.slow if each.milliseconds > milliseconds]

    def figures(self) -> dict[str, object]:
        """For the table: how much was seen, and the worst."""
        worst = {f"slow callback {place}": shown(each) for place, each in enumerate(self.slow[:_SHOWN], start=1)}
        return {"callbacks measured": self.callbacks, **worst}


def watched(folder: Path) -> Module:
    """Runs the gateway with the watch, which writes into this folder."""
    return Module("tests.soak.watched_gateway", {VARIABLE: str(folder / FILE)})


def read_watch(file: Path) -> Watch:
    """The longest callbacks first; of one name only the longest. A line that a kill tore is passed over."""
    totals: dict[int, int] = {}
    longest: dict[str, Callback] = {}
    for record in _records(file):
        totals[record["pid"]] = max(record["callbacks"], totals.get(record["pid"], 0))
        if "name" in record:
            found = Callback(record["ms"], record["gc_ms"], record["name"], record["age"])
            known = longest.get(found.name)
            if known is None or found.milliseconds > known.milliseconds:
                longest[found.name] = found
    slow = sorted(longest.values(), key=lambda each: -each.milliseconds)
    return Watch(sum(totals.values()), tuple(slow))


def _records(file: Path) -> Iterator[dict[str, Any]]:
    if file.exists():
        for line in file.read_text().splitlines():
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def shown(callback: Callback) -> str:
    """For people."""
    times = f"{callback.milliseconds:.0f} ms ({callback.collecting:.0f} ms of it collecting garbage)"
    return f"{times} {callback.name} at {callback.age:.1f} s"
