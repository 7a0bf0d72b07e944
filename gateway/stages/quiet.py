"""Looks every minute which channels are improbably silent: :mod:`gateway.silence` judges, this brings the history."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock, from_milliseconds, to_milliseconds
from gateway.settings import Settings
from gateway.settings.model import zone_of
from gateway.silence import HOUR, LOOKED_BACK, Calendar, Hour, Quiet, Rhythm, judge, learn
from gateway.stages.loop import Board
from gateway.store import Store, channel_states
from gateway.store import rates as rate_rows
from gateway.store.rates import LISTENED, Bucket

LOOK_SECONDS: Final = 60.0
LEARN_SECONDS: Final = 3600.0
_LATELY: Final = timedelta(hours=2)
"""Hours that are read anew at each look; those before do not change any more."""

_STEPS: Final = ("received", LISTENED)


class SilenceStage:
    """Judges the channels of this gateway.

    Args:
        store: The database: what came in the last weeks.
        settings: The channels, and what counts as improbable.
        board: Where the silent ones are noted.
        clock: The time of day.
    """

    def __init__(self, store: Store, settings: Settings, board: Board, clock: Clock) -> None:
        self._store = store
        self._settings = settings.silence
        self._channels = tuple(settings.channels)
        self._calendar = Calendar(zone_of(settings.answers.timezone), frozenset(settings.silence.holidays))
        self._board = board
        self._clock = clock
        self._history: dict[str, dict[int, Hour]] = {}
        self._rhythms: dict[str, Rhythm | None] = {}
        self._learn_at = clock.monotonic()

    async def step(self) -> None:
        """Waits, so that a start is not held up by weeks of history; then looks once."""
        await asyncio.sleep(LOOK_SECONDS)
        if self._settings.enabled and self._channels:
            await self.look()

    async def look(self) -> None:
        """Judges every channel that is there to receive; the others are not called silent."""
        now = self._clock.now()
        if self._clock.monotonic() >= self._learn_at:
            await self._learn(now)
            self._learn_at = self._clock.monotonic() + LEARN_SECONDS
        async with self._store.read() as connection:
            first = to_milliseconds(now - _LATELY)
            newest = await rate_rows.since(connection, rate_rows.HOUR, first, _STEPS)
            known = await channel_states.load(connection)
        self._note(newest)
        last = {row.name: from_milliseconds(row.last_message_at) for row in known if row.last_message_at is not None}
        for name in self._channels:
            quiet = self._judged(name, last.get(name), now) if self._listens(name) else None
            if quiet is None:
                self._board.quiet.pop(name, None)
            else:
                self._board.quiet[name] = quiet

    async def _learn(self, now: datetime) -> None:
        first = to_milliseconds(now) - rate_rows.KEPT_SECONDS[rate_rows.HOUR] * 1000
        async with self._store.read() as connection:
            rows = await rate_rows.since(connection, rate_rows.HOUR, first, _STEPS)
        self._history = {}
        self._note(rows)
        self._rhythms = await asyncio.to_thread(self._learned, now)

    def _learned(self, now: datetime) -> dict[str, Rhythm | None]:
        least = timedelta(days=self._settings.history_days)
        return {
            name: learn(list(self._history.get(name, {}).values()), now, self._calendar, least)
            for name in self._channels
        }

    def _listens(self, name: str) -> bool:
        condition = self._board.conditions.get(f"channel {name}")
        return condition is not None and condition.state in ("up", "degraded")

    def _judged(self, name: str, last: datetime | None, now: datetime) -> Quiet | None:
        rhythm = self._rhythms.get(name)
        if rhythm is None:
            return None
        recent = [hour for hour in self._history.get(name, {}).values() if hour.since > now - LOOKED_BACK - HOUR]
        already = name in self._board.quiet
        return judge(rhythm, recent, last, now, self._calendar, self._settings.odds, already=already)

    def _note(self, rows: Iterable[Bucket]) -> None:
        for (channel, since), counts in _by_hour(rows).items():
            listened = min(1.0, counts.get(LISTENED, 0) / rate_rows.HOUR)
            hour = Hour(from_milliseconds(since), counts.get("received", 0), listened)
            self._history.setdefault(channel, {})[since] = hour


def _by_hour(rows: Iterable[Bucket]) -> Mapping[tuple[str, int], dict[str, int]]:
    hours: dict[tuple[str, int], dict[str, int]] = {}
    for row in rows:
        hours.setdefault((row.channel, row.since), {})[row.step] = row.count
    return hours
