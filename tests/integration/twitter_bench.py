"""The simulated X with the X channel on it, a store in memory, and what the tests do with them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

from channels.twitter.backoff import Pace
from channels.twitter.channel import TwitterChannel
from channels.twitter.inbox import Inbox
from channels.twitter.settings import TwitterSettings
from gateway.clock import to_milliseconds
from gateway.demo.x import Credentials, Options, Post, XSimulator
from gateway.errors import StoreUnavailable
from gateway.identifiers import first_uuid7, uuid7
from gateway.ports import Delivery, Gap, Health, Kept, KeptFile, RawMessage
from gateway.store.files import FileFolder
from tests.conftest import DEADLINE, eventually

QUICK: Final = Pace(
    network_step=0.01,
    network_cap=0.05,
    http_first=0.02,
    http_cap=0.1,
    limit_first=0.1,
    limit_cap=5.0,
    operator=0.05,
    healthy=5.0,
    patience=0.0,
    lateness=0.3,
    alive=0.02,
)
"""X's schedule, a thousand times faster."""

ENDLESS: Final = 60
"""Minutes between two searches where none but the first, and those after a reconnect, are wanted."""


class MemoryStore:
    """A ``gateway.ports.ChannelStore`` in memory; ``failures`` of its next calls fail."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.book: dict[tuple[str, datetime], Gap] = {}
        self.custody: list[Kept] = []
        self.files = FileFolder("/nowhere")
        self.failures = 0
        self.error: Callable[[], Exception] = lambda: StoreUnavailable("The store in memory does not answer.")

    async def load(self, name: str) -> str | None:
        self._call()
        return self.values.get(name)

    async def save(self, values: Mapping[str, str], gaps: Sequence[Gap] = ()) -> None:
        self._call()
        self.values.update(values)
        self.book.update({(gap.path, gap.since): gap for gap in gaps})

    async def gaps(self) -> tuple[Gap, ...]:
        self._call()
        return tuple(gap for gap in self.all_gaps() if gap.state in ("open", "closed"))

    async def kept(self, since: datetime, after: str, limit: int) -> tuple[Kept, ...]:
        self._call()
        bound = max(after, first_uuid7(to_milliseconds(since)))
        return tuple([row for row in self.custody if row.id > bound][:limit])

    async def keep_file(self, pieces: AsyncIterator[bytes]) -> KeptFile:
        return await self.files.keep(pieces)

    async def message(self, external_id: str) -> Kept | None:
        del external_id
        return None

    async def attempted_since(self, since: datetime, to: str | None = None) -> int:
        del since, to
        self._call()
        return 0

    async def nth_attempt(self, number: int) -> datetime | None:
        del number
        self._call()
        return None

    async def answered_between(self, to: str, since: datetime, until: datetime) -> bool:
        del to, since, until
        self._call()
        return False

    def all_gaps(self) -> list[Gap]:
        """Every gap, settled or not, oldest first."""
        return sorted(self.book.values(), key=lambda gap: gap.since)

    def _call(self) -> None:
        if self.failures:
            self.failures -= 1
            raise self.error()


class Bench:
    """One X and one channel, and a kernel that takes everything into custody."""

    def __init__(self, x: XSimulator, inbox: Callable[[], Inbox], pace: Pace, **settings: Any) -> None:
        self.x = x
        self.store = MemoryStore()
        keys = Credentials()
        usual = {
            "type": "twitter", "api_url": x.origin, "bearer_token": keys.bearer_token,
            "consumer_key": keys.consumer_key, "consumer_secret": keys.consumer_secret,
            "access_token": keys.access_token, "access_token_secret": keys.access_token_secret,
            "search_minutes": ENDLESS, "search_delay_seconds": 0, "recheck_hours": 0,
        }  # fmt: skip
        self.settings = TwitterSettings.model_validate(usual | settings)
        self.received: dict[str, RawMessage] = {}
        self.deliveries = 0
        self._pace = pace
        self._inbox = inbox
        self.channel = self._new()
        self._kernel: asyncio.Task[None] | None = None

    def _new(self) -> TwitterChannel:
        return TwitterChannel("twitter", self.settings, self.store, pace=self._pace, inbox=self._inbox())

    async def start(self) -> None:
        """Opens the channel and takes into custody whatever comes; the kernel tries again while the store fails."""
        while True:
            with suppress(StoreUnavailable):
                await self.channel.open()
                break
        self._kernel = asyncio.create_task(self._take())

    async def stop(self, *, kill: bool = False) -> None:
        """Closes the channel; a killed one does not get to write anything down."""
        if kill:
            self.store.failures = 1_000_000
        if self._kernel is not None:
            self._kernel.cancel()
            await asyncio.wait({self._kernel})
            self._kernel = None
        await self.channel.close()
        self.store.failures = 0
        self.channel = self._new()

    async def _take(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                await self.take(await self.channel.receive())

    async def take(self, delivery: Delivery) -> None:
        """Takes one delivery into custody and releases it."""
        new = [message for message in delivery.messages if message.external_id not in self.received]
        self.received |= {message.external_id: message for message in new}
        self.store.custody += [Kept(uuid7(), each.external_id, each.raw, datetime.now(UTC)) for each in new]
        self.deliveries += bool(delivery.messages)
        await self.channel.release(delivery, frozenset(message.external_id for message in new))
        released = to_milliseconds(datetime.now(UTC))
        while to_milliseconds(datetime.now(UTC)) <= released + 1:  # a commit takes longer than a millisecond
            await asyncio.sleep(0)

    def post(self, text: str = "Jalan rusak", author: str = "warga_0001", **details: Any) -> Post:
        """A citizen posts a report."""
        return self.x.world.post(author, f"#LAPOR {text} @LAPOR1708", **details)

    def posts(self, count: int) -> list[Post]:
        """Several citizens do."""
        return [self.post(f"Lampu padam {number}", f"warga_{number % 7:04}") for number in range(count)]

    async def arrived(self, *posts: Post) -> None:
        """Waits until they are in custody."""
        await self.until(lambda: all(post.id in self.received for post in posts), "the posts to arrive")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for something to hold; what the kernel's side raises is raised here."""
        await eventually(lambda: self._fine() and condition(), what)

    def _fine(self) -> bool:
        if self._kernel is not None and self._kernel.done():
            self._kernel.result()
        return True

    async def connected(self) -> None:
        """Waits until the stream is up and no search is wanted."""
        await self.until(lambda: self.x.stream.open_connections == 1, "the stream to connect")
        await self.healthy()

    async def healthy(self) -> None:
        """Waits until the channel is up by its own word, with a complete search behind it."""

        async def up() -> bool:
            health = await self.channel.health()
            return self._fine() and health.state == "up" and "search" in self.store.values

        await eventually(up, "the channel to be up")

    async def health(self, state: str) -> Health:
        """Waits until the channel says that it is in this state."""
        found: list[Health] = []

        async def says_so() -> bool:
            found.append(await self.channel.health())
            return self._fine() and found[-1].state == state

        await eventually(says_so, f"the channel to be {state}")
        return found[-1]

    async def recovered(self, count: int = 1) -> list[Gap]:
        """Waits until so many gaps are on record and every one is recovered."""
        gaps = self.store.all_gaps
        await self.until(
            lambda: len(gaps()) >= count and all(gap.state == "recovered" for gap in gaps()), f"{count} recovered gaps"
        )
        return gaps()

    def ids(self) -> Collection[str]:
        """The external ids in custody."""
        return self.received.keys()


@asynccontextmanager
async def bench(
    options: Options | None = None,
    *,
    inbox: Callable[[], Inbox] = Inbox,
    pace: Pace = QUICK,
    start: bool = True,
    **settings: Any,
) -> AsyncIterator[Bench]:
    """A channel at work on an X without a search delay, and the promise about connects, whatever the test does."""
    async with XSimulator(options or Options(search_delay_seconds=0, keep_alive_seconds=0.05)) as x:
        made = Bench(x, inbox, pace, **settings)
        try:
            if start:
                async with asyncio.timeout(DEADLINE):
                    await made.start()
            yield made
        finally:
            await made.stop()
        assert x.stream.most_connects_within(15 * 60) <= made.settings.connects_per_window
