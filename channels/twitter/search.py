"""Recent search: finds what the stream left out, or everything where it is the only way, and moves the watermark."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from channels.twitter.api import ApiError, translate
from channels.twitter.backoff import Recovery
from channels.twitter.condition import Path
from channels.twitter.context import Context
from channels.twitter.gaps import SEARCH, Coverage, Silence
from channels.twitter.keeping import persist
from channels.twitter.posts import from_page, id_at, id_span, is_post_id, newest_id, next_token, time_of
from channels.twitter.rules import search_query
from channels.twitter.stream import SIGN_OF_LIFE, Stream
from gateway.clock import from_milliseconds, to_milliseconds
from gateway.ports import Gap, RawMessage

REACH: Final = timedelta(days=7) - timedelta(minutes=10)
"""How far back recent search reaches, and a little less, for clocks differ."""

OLDEST_WATERMARK: Final = timedelta(days=1)
"""Where nobody posts the watermark stays at the last post; but it must not come near the end of the reach."""

ACCOUNTED: Final = "accounted"
"""The name under which is saved up to when all that search brought is counted in the gaps; in milliseconds."""

_FOUND: Final = b'"found_by":"search"}'
_ROWS: Final = 500
_BAD_REQUEST: Final = 400
_MINUTE: Final = 60


class Watermark(msgspec.Struct, frozen=True):
    """What search has confirmed: every post up to this id, as of a search that found all up to a moment (in ms)."""

    id: int
    until: int


@dataclass(slots=True)
class _Run:
    """One search over all its pages.

    While the stream is connected a search ends where the stream may still be late: so what only search brings was
    left out by the stream.
    """

    began: datetime
    since_id: int
    until_id: int | None
    reach: datetime | None
    newest: int | None = None
    token: str | None = None
    pages: int = 0


@dataclass(slots=True)
class _Counted:
    """Whether a delivery's posts are counted in the gaps."""

    done: bool = False


class Search:
    """The searches of one channel, one at a time.

    Args:
        context: What it stands on.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._recovery = Recovery(context.pace)
        self._query = search_query(context.settings.account)
        lateness = context.pace.lateness if context.settings.mode == "stream" else 0.0
        self._delay = timedelta(seconds=max(context.settings.search_delay_seconds, lateness))
        self._watermark: Watermark | None = None
        self._opened = context.clock.now()
        self._silence = Silence()
        self._run: _Run | None = None
        self._now_please = asyncio.Event()
        self.path = Path()
        self.stream: Stream | None = None
        """The stream whose silence this search notices."""

    async def load(self) -> None:
        """Reads what the last life left. Raises StoreUnavailable."""
        saved = await self._context.store.load("search")
        self._watermark = msgspec.json.decode(saved, type=Watermark) if saved else None
        self._silence = Silence.load(await self._context.store.load("silence"))
        self._opened = self._context.clock.now()

    def request(self) -> None:
        """Asks for a search now, or right after the one that is under way."""
        self._now_please.set()

    def lag(self) -> float | None:
        """Seconds by which what search has confirmed is behind."""
        if self._watermark is None:
            return None
        return (to_milliseconds(self._context.clock.now()) - self._watermark.until) / 1000

    async def run(self) -> None:
        """Searches again and again. Raises LeaseLost, and what is wrong in the gateway itself."""
        await persist(self._count_what_was_cut_off)
        while True:
            self._now_please.clear()
            try:
                await self._search()
            except ApiError as error:
                self.path.fails(translate(error, self._context.name), self._context.clock.monotonic())
                if error.status == _BAD_REQUEST:
                    self._run = None  # a page's token that X knows no more, perhaps
                await asyncio.sleep(max(self._recovery.pause(error), self._context.pace.network_step))
            else:
                self._recovery.reset()
                self.path.works()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._now_please.wait()

    def _pause(self) -> float:
        """Until the next search: sooner if a gap has ended that X's search does not know all of yet."""
        usual = self._context.settings.search_minutes * _MINUTE
        ended = self._context.gaps.last_end()
        if ended is None:
            return usual
        known = (ended + self._delay - self._context.clock.now()).total_seconds()
        return min(usual, max(known + self._context.pace.network_step, self._context.pace.network_step))

    async def _search(self) -> None:
        """One search over all its pages, or the rest of one that was interrupted."""
        run = self._run = self._run or self._begin()
        while True:
            page = await self._context.api.recent_search(
                self._query,
                since_id=str(run.since_id),
                until_id=None if run.until_id is None else str(run.until_id),
                next_token=run.token,
            )
            if run.pages == 0:
                run.newest = newest_id(page)
            token = next_token(page)
            if token is not None and token == run.token:
                raise ApiError(200, "the same page of search again")
            await self._hand_over(run, tuple(from_page(page, SEARCH)), last=token is None)
            run.token = token
            run.pages += 1
            if token is None:
                self._run = None
                return
            if run.pages % self._context.settings.max_pages == 0:
                await asyncio.sleep(self._context.settings.search_minutes * _MINUTE)

    def _begin(self) -> _Run:
        now = self._context.clock.now()
        first = Watermark(id_at(to_milliseconds(self._opened)), 0)
        known = (self._watermark or first).id
        rewind = id_span(timedelta(minutes=self._context.settings.rewind_minutes))
        reach = id_at(to_milliseconds(now - REACH))
        out_of_reach = self._watermark is not None and known < reach
        connected = self.stream is not None and self.stream.state == "connected"
        return _Run(
            began=now,
            since_id=max(0, known - rewind, reach),
            until_id=id_at(to_milliseconds(now - self._delay)) if connected else None,
            reach=now - REACH if out_of_reach else None,
        )

    async def _hand_over(self, run: _Run, messages: Sequence[RawMessage], *, last: bool) -> None:
        size = self._context.settings.read_limit
        chunks = [messages[start : start + size] for start in range(0, len(messages), size)] or [()]
        for chunk in chunks:
            settle = partial(self._settle, run, _Counted(), last=last and chunk is chunks[-1])
            if chunk:
                await self._context.inbox.deliver(chunk, settle)
            elif last:
                await persist(partial(settle, ()))

    async def _settle(self, run: _Run, counted: _Counted, new: Collection[str], *, last: bool) -> None:
        """Posts are committed; after the last page the watermark moves."""
        if self.stream is not None and not counted.done:
            self._account(self.stream, new, run.began)
        counted.done = True  # should the store fail now, this is called again
        if last:
            await self._complete(run)
        elif new:
            await self._context.gaps.flush(self._accounted())

    def _account(self, stream: Stream, new: Collection[str], began: datetime) -> None:
        """Sees to which gap each post belongs that search alone has found, or that the stream has left it out."""
        times = [from_milliseconds(time_of(int(name))) for name in new if is_post_id(name)]
        outside = self._context.gaps.count(times)
        waiting = self._context.inbox.oldest()
        owed_until = min(began, from_milliseconds(waiting)) if waiting is not None else began
        lateness = timedelta(seconds=self._context.pace.lateness)
        if stream.first_connect is not None:
            owed_since = from_milliseconds(stream.first_connect) + lateness
            owed = (time for time in outside if owed_since <= time <= owed_until - lateness)
            self._silence.add(owed, timedelta(seconds=self._context.pace.apart))

    def _accounted(self) -> dict[str, str]:
        """What is saved together with the gaps: up to when everything that search brought is counted in them."""
        # What is counted was committed in this millisecond at the latest; what follows waits for this to be committed.
        until = to_milliseconds(self._context.clock.now()) + 1
        return {ACCOUNTED: str(until), "silence": self._silence.dump()}

    async def _count_what_was_cut_off(self) -> None:
        """Counts what a search has brought into custody before the process died, and nobody has counted yet."""
        saved = await self._context.store.load(ACCOUNTED)
        if saved is not None and self.stream is not None:
            after = ""
            while rows := await self._context.store.kept(from_milliseconds(int(saved)), after, _ROWS):
                for row in rows:
                    if row.raw.endswith(_FOUND):
                        self._account(self.stream, [row.external_id], row.received_at)
                after = rows[-1].id
        await self._context.gaps.flush(self._accounted())

    def _moved(self, run: _Run) -> Watermark:
        """Where the watermark stands after a complete search."""
        until = to_milliseconds(run.began - self._delay)
        reached = id_at(until)
        oldest = reached - id_span(OLDEST_WATERMARK)
        before = self._watermark.id if self._watermark is not None else 0
        return Watermark(max(before, oldest, min(run.newest or 0, reached)), until)

    async def _complete(self, run: _Run) -> None:
        """Notes what a whole search has shown."""
        watermark, before = self._moved(run), self._watermark
        known = from_milliseconds(before.until) if before is not None else None
        if run.reach is not None and known is not None and self.stream is None:
            reason = "Nothing was searched for so long that X's search no longer reaches back to it."
            self._context.gaps.record(Gap(SEARCH, known, run.reach, "lost", reason))
        self._context.gaps.covered(Coverage(from_milliseconds(watermark.until), run.reach, known))
        for silent in self._silence.gaps():
            self._context.gaps.record(silent)
        values = {**self._accounted(), "search": msgspec.json.encode(watermark).decode(), "silence": Silence().dump()}
        alive = self.stream.sign_of_life() if self.stream is not None else None
        if run.reach is not None and alive is not None:
            values[SIGN_OF_LIFE] = str(alive)  # the gap that is lost is never opened again
        await self._context.gaps.flush(values)
        self._watermark = watermark
        self._silence = Silence()
