"""The gaps: what is opened, closed, recovered or lost, and which of them a post belongs to that search alone found."""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Self

import msgspec

from gateway.clock import from_milliseconds, to_milliseconds
from gateway.ports import ChannelStore, Gap

STREAM: Final = "stream"
SEARCH: Final = "search"
_FINISHED_KEPT: Final = 50
MOST_SPANS: Final = 50
"""Silences that one search can show; what comes after belongs to the last of them."""

_OUT_OF_REACH: Final = " X's search reaches back seven days only."


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a complete search has shown.

    Attributes:
        until: Every post up to this moment was found.
        reach: Where the search could not reach back to what was known before: its beginning, else None.
        known: What was covered before it.
    """

    until: datetime
    reach: datetime | None = None
    known: datetime | None = None


class GapBook:
    """All gaps that are not settled, and the last ones that are. Changes are written down by :meth:`flush`.

    Args:
        store: Where they are written.
        lateness: Seconds by which a post may be older or younger than the gap that it fell into.
    """

    def __init__(self, store: ChannelStore, lateness: float) -> None:
        self._store = store
        self._lateness = timedelta(seconds=lateness)
        self._gaps: list[Gap] = []
        self._finished: deque[Gap] = deque(maxlen=_FINISHED_KEPT)
        self._dirty: dict[tuple[str, datetime], Gap] = {}
        self._flushing = asyncio.Lock()
        self.changed = asyncio.Event()
        self.lost_until: datetime | None = None
        """Up to where what the stream owed was given up; no gap may begin before that again."""

    async def load(self) -> None:
        """Reads what earlier lives left. Raises StoreUnavailable."""
        self._gaps = list(await self._store.gaps())

    def open(self, path: str, since: datetime, reason: str) -> None:
        """A gap begins, unless one is open that began no later."""
        since = _whole_milliseconds(since)
        if not any(gap.state == "open" and gap.path == path and gap.since <= since for gap in self._gaps):
            self._put(Gap(path, since, None, "open", reason))

    def close(self, path: str, until: datetime) -> None:
        """What was open on a path is over."""
        for gap in [gap for gap in self._gaps if gap.path == path and gap.state == "open"]:
            self._put(replace(gap, until=max(gap.since, _whole_milliseconds(until)), state="closed"))

    def record(self, gap: Gap) -> None:
        """Writes a gap down that is over already."""
        self._put(replace(gap, since=_whole_milliseconds(gap.since)))

    def count(self, times: Iterable[datetime]) -> list[datetime]:
        """Counts posts that only search found into the gaps of the stream; returns the times outside of any."""
        outside: list[datetime] = []
        for time in times:
            around = [gap for gap in (*self._gaps, *self._finished) if self._holds(gap, time)]
            if around:
                self._put(replace(around[0], found=around[0].found + 1))
            else:
                outside.append(time)
        return outside

    def _holds(self, gap: Gap, time: datetime) -> bool:
        ended = gap.until is not None and time > gap.until + self._lateness
        return gap.path == STREAM and time >= gap.since - self._lateness and not ended

    def covered(self, coverage: Coverage) -> None:
        """A search has found everything up to a moment: what lies before it is recovered, or out of reach and lost."""
        for gap in tuple(self._gaps):
            known = coverage.known is not None and gap.until is not None and gap.until <= coverage.known
            if coverage.reach is not None and gap.since < coverage.reach and not known:
                self._lose(gap, coverage.reach)
        for gap in [gap for gap in self._gaps if gap.state == "closed"]:
            if gap.until is not None and gap.until <= coverage.until:
                self._put(replace(gap, state="recovered"))

    def _lose(self, gap: Gap, reach: datetime) -> None:
        """What of a gap lies before ``reach`` is lost; the rest is a gap of its own."""
        reach = _whole_milliseconds(reach)
        if gap.path == STREAM:
            self.lost_until = reach
        over = gap.until is not None and gap.until <= reach
        lost = replace(gap, state="lost", reason=gap.reason + _OUT_OF_REACH)
        self._put(lost if over else replace(lost, until=reach, found=0))
        if not over:
            self._put(replace(gap, since=reach))

    def open_since(self, path: str) -> datetime | None:
        """When the oldest open gap of a path began."""
        return min((gap.since for gap in self._gaps if gap.path == path and gap.state == "open"), default=None)

    def last_end(self) -> datetime | None:
        """When the last of the gaps ended that nobody has looked into yet."""
        return max((gap.until for gap in self._gaps if gap.state == "closed" and gap.until), default=None)

    def details(self) -> dict[str, object]:
        """What operators see: how many there are, and the last one. Lost ones are those since the start."""
        every = [*self._gaps, *self._finished]
        last = max(every, key=lambda gap: gap.since, default=None)
        counts = {f"gaps_{state}": sum(gap.state == state for gap in every) for state in ("open", "closed", "lost")}
        return {**counts, "last_gap": _sentence(last) if last else ""}

    async def flush(self, values: Mapping[str, str] = MappingProxyType({})) -> None:
        """Writes down what has changed, and values of the channel with it, all or none.

        Raises:
            StoreUnavailable: Nothing is written, and nothing forgotten.
            LeaseLost: Likewise, and it never will be.
        """
        async with self._flushing:
            written = dict(self._dirty)
            if written or values:
                await self._store.save(values, tuple(written.values()))
            for key, gap in written.items():
                if self._dirty[key] is gap:
                    del self._dirty[key]

    def _put(self, gap: Gap) -> None:
        self._gaps = [other for other in self._gaps if not _same(other, gap)]
        for other in [other for other in self._finished if _same(other, gap)]:
            self._finished.remove(other)
        if gap.state in ("open", "closed"):
            self._gaps.append(gap)
        else:
            self._finished.append(gap)
        self._dirty[gap.path, gap.since] = gap
        self.changed.set()


class _Span(msgspec.Struct, frozen=True):
    """A time in which the stream left posts out, in milliseconds."""

    since: int
    until: int
    found: int


class Silence(msgspec.Struct):
    """Posts that search found although the stream was up, over one run of search: each time of its own."""

    spans: tuple[_Span, ...] = ()

    @classmethod
    def load(cls, saved: str | None) -> Self:
        """From what :meth:`dump` made."""
        return msgspec.json.decode(saved, type=cls) if saved else cls()

    def dump(self) -> str:
        """For the store."""
        return msgspec.json.encode(self).decode()

    def add(self, times: Iterable[datetime], apart: timedelta) -> None:
        """Counts posts of these times; those farther ``apart`` than that belong to different silences."""
        posts = [_Span(time, time, 1) for time in map(to_milliseconds, times)]
        joined: list[_Span] = []
        for span in sorted((*self.spans, *posts), key=lambda span: span.since):
            near = joined and span.since - joined[-1].until <= apart.total_seconds() * 1000
            if near or len(joined) == MOST_SPANS:
                last = joined.pop()
                joined.append(_Span(last.since, max(last.until, span.until), last.found + span.found))
            else:
                joined.append(span)
        self.spans = tuple(joined)

    def gaps(self) -> list[Gap]:
        """The gaps that they show."""
        return [
            Gap(
                STREAM,
                from_milliseconds(span.since),
                from_milliseconds(span.until),
                "recovered",
                f"The stream was up and did not bring {_posts(span.found)} that search found.",
                span.found,
            )
            for span in self.spans
        ]


def _posts(number: int) -> str:
    return "1 post" if number == 1 else f"{number} posts"


def _same(one: Gap, other: Gap) -> bool:
    return (one.path, one.since) == (other.path, other.since)


def _whole_milliseconds(moment: datetime) -> datetime:
    """As the store keeps it: the beginning is a gap's identity."""
    return from_milliseconds(to_milliseconds(moment))


def _sentence(gap: Gap) -> str:
    until = f"{gap.until:%Y-%m-%d %H:%M:%S}" if gap.until else "now"
    found = f", {gap.found} found by search" if gap.found else ""
    return f"{gap.path}, {gap.since:%Y-%m-%d %H:%M:%S} to {until} UTC, {gap.state}{found}: {gap.reason}"
