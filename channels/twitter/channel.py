"""One account on X as a channel: the stream, reconciled by search, and answers as replies."""

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from channels.twitter.api import ApiError, XApi, translate
from channels.twitter.backoff import Pace
from channels.twitter.check import check_lines
from channels.twitter.condition import judge
from channels.twitter.context import Context
from channels.twitter.gaps import GapBook
from channels.twitter.inbox import Inbox
from channels.twitter.media import MediaFetcher
from channels.twitter.posts import is_post_id, time_of
from channels.twitter.recheck import Recheck
from channels.twitter.search import Search
from channels.twitter.sender import Sender
from channels.twitter.settings import TwitterSettings
from channels.twitter.stream import Stream
from gateway.clock import Clock, SystemClock, from_milliseconds
from gateway.errors import ChannelUnavailable, GatewayError
from gateway.findings import Finding
from gateway.ports import ChannelStore, Delivery, Health, OutgoingAnswer, RawMessage, Sent

RECEIVE_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 2.0
_WRONG_KEYS: Final = 401
_SIDE_WORK: Final = ("answers_wait_because", "recheck_reason")
"""Details that say what does not work although posts come."""


class TwitterChannel:
    """Implements :class:`gateway.ports.Channel` and :class:`gateway.ports.LooksBack` for one account.

    Nothing but the keys is tried before the first ``receive``: X gives one stream connection, and a look at the
    settings must not take it away from a gateway that runs.

    Args:
        name: The channel's name.
        settings: Its section of the settings.
        store: What it keeps from one life to the next.
        clock: Tells the time.
        pace: How long everything takes.
        inbox: What holds the posts that wait for the store.
    """

    def __init__(
        self,
        name: str,
        settings: TwitterSettings,
        store: ChannelStore,
        clock: Clock | None = None,
        pace: Pace | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock or SystemClock()
        self._pace = pace or Pace()
        self._inbox = inbox or Inbox()
        self._api = XApi(settings, self._clock)
        self._gaps = GapBook(store, self._pace.lateness)
        context = Context(name, settings, self._api, store, self._clock, self._inbox, self._gaps, self._pace)
        self._search = Search(context)
        self._stream: Stream | None = None
        if settings.mode == "stream":
            self._stream = self._search.stream = Stream(context, self._search.request)
        self._sender = Sender(self._api, settings, store, self._clock, name)
        self._media = MediaFetcher(settings, store)
        self._recheck = Recheck(self._api, settings, store, self._clock, self._media.offer if settings.media else None)
        self._tasks: list[asyncio.Task[None]] = []
        self._state = "new"
        self._last_post: int | None = None

    async def open(self) -> None:
        """Tries the keys, and reads what the last life left."""
        if self._state == "closed":
            raise self._closed()
        await self._gaps.load()
        await self._search.load()
        if self._stream is not None:
            await self._stream.load()
        try:
            await self._api.rules()
        except ApiError as error:
            if error.status in (None, _WRONG_KEYS):
                raise translate(error, self._name) from error
            if self._stream is not None:
                self._stream.path.fails(translate(error, self._name), self._clock.monotonic())
        self._state = "open"

    async def receive(self) -> Delivery:
        """Lines of the stream, or posts that another path found; waits a moment when there are none."""
        self._need_open()
        if not self._tasks:
            self._start()
        for task in self._tasks:
            if task.done():
                if not task.cancelled():
                    task.result()
                raise ChannelUnavailable(f"channels.{self._name}: a part of the channel has ended; it is opened anew.")
        delivery = await self._inbox.next(self._settings.read_limit, RECEIVE_SECONDS)
        self._need_open()
        return delivery

    def _start(self) -> None:
        endless: list[Coroutine[Any, Any, None]] = [self._search.run(), self._recheck.run(self._deliver)]
        if self._stream is not None:
            endless += [self._stream.run(), self._stream.keep()]
        if self._settings.media:
            endless.append(self._media.run(self._deliver))
        for coroutine in endless:
            task = asyncio.create_task(coroutine)
            task.add_done_callback(lambda _task: self._inbox.wake())
            self._tasks.append(task)

    async def _deliver(self, messages: Sequence[RawMessage]) -> None:
        """Takes over what was found apart from posts, as many at once as the settings allow."""
        size = self._settings.read_limit
        for start in range(0, len(messages), size):
            await self._inbox.deliver(messages[start : start + size])

    async def release(self, delivery: Delivery, new: Collection[str]) -> None:
        """The stream has nothing to let go of; after the last page of a search the watermark moves."""
        await self._inbox.release(delivery, new)
        fresh = frozenset(new)
        for message in delivery.messages:
            if message.external_id not in fresh:
                continue
            if is_post_id(message.external_id):
                self._last_post = max(self._last_post or 0, int(message.external_id))
            if self._settings.media:
                self._media.offer(message.raw)

    async def send(self, answer: OutgoingAnswer) -> Sent:
        """Posts one reply."""
        self._need_open()
        return await self._sender.send(answer)

    async def find_sent(self, answer: OutgoingAnswer) -> Sent | None:
        """Looks for an answer among our own posts."""
        self._need_open()
        return await self._sender.find_sent(answer)

    async def check(self) -> Sequence[Finding]:
        """Tries the keys for answers by asking X whose they are: no post is made, and none counts."""
        return await check_lines(self._api, self._settings, self._clock, self._name)

    async def health(self) -> Health:
        """How the two paths are."""
        if self._state == "closed":
            return Health("down", "The channel is closed.", self._details())
        if self._state == "new":
            return Health("down", "X has not answered yet.", self._details())
        stream = self._stream.path if self._stream is not None else None
        details = self._details()
        health = judge(stream, self._search.path, self._clock.monotonic(), self._pace.patience, details)
        trouble = next((details[name] for name in _SIDE_WORK if details.get(name)), None)
        return health if health.state != "up" or trouble is None else Health("degraded", trouble, details)

    def _details(self) -> dict[str, Any]:
        stream = self._stream
        lag, age = self._search.lag(), stream.age() if stream is not None else None
        return {
            "mode": self._settings.mode,
            "stream": stream.state if stream is not None else "off",
            "stream_age_seconds": None if age is None else round(age),
            "connects_15_minutes": stream.connects() if stream is not None else 0,
            "waiting_posts": self._inbox.waiting(),
            "search_lag_seconds": None if lag is None else round(lag),
            "last_post_at": from_milliseconds(time_of(self._last_post)).isoformat() if self._last_post else None,
            **self._gaps.details(),
            **self._sender.details(),
            **self._recheck.details(),
            **self._media.details(),
        }

    async def close(self) -> None:
        """Ends every task and connection."""
        was_open, self._state = self._state == "open", "closed"
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            ended, _ = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
            for task in ended:
                task.cancelled() or task.exception()  # looked at, or asyncio complains
        with suppress(GatewayError, TimeoutError):
            if was_open and self._tasks and self._stream is not None:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._stream.save()
        self._inbox.wake()
        await self._api.close()

    def _need_open(self) -> None:
        if self._state != "open":
            raise self._closed()

    def _closed(self) -> ChannelUnavailable:
        return ChannelUnavailable(f"channels.{self._name}: the channel is not open.")
