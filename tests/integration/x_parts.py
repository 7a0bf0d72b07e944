"""What the tests of the X channel's parts share: a store in memory, settings for the simulator, records as kept."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from channels.twitter.api import XApi
from channels.twitter.posts import from_page
from channels.twitter.settings import TwitterSettings
from gateway.clock import to_milliseconds
from gateway.demo.x import XSimulator
from gateway.errors import StoreUnavailable
from gateway.identifiers import Uuid7Factory
from gateway.ports import Gap, Kept, KeptFile, OutgoingAnswer, RawMessage, Sent
from gateway.store.files import FileFolder
from tests.fakes import FakeClock


class MemoryStore:
    """What a channel keeps, in memory; implements ``gateway.ports.ChannelStore``. ``away`` makes it fail."""

    def __init__(self, clock: FakeClock, folder: str = "/nowhere") -> None:
        self._clock = clock
        self.files = FileFolder(folder)
        self.new_id = Uuid7Factory(lambda: to_milliseconds(clock.now()))
        self.values: dict[str, str] = {}
        self.saved: list[Mapping[str, str]] = []
        self.messages: list[Kept] = []
        self.attempts: list[datetime] = []
        self.away = False

    def take(self, *messages: RawMessage) -> None:
        """Takes messages into custody, each once."""
        known = {kept.external_id for kept in self.messages}
        for message in messages:
            if message.external_id not in known:
                self.messages.append(Kept(self.new_id(), message.external_id, message.raw, self._clock.now()))

    async def deliver(self, messages: Sequence[RawMessage]) -> None:
        """As the channel's own way into custody."""
        self.take(*messages)

    def raws(self, beginning: str) -> list[dict[str, Any]]:
        """The records whose external ids begin so."""
        found = (kept.raw for kept in self.messages if kept.external_id.startswith(beginning))
        return [json.loads(raw) for raw in found if raw.startswith(b"{")]

    async def load(self, name: str) -> str | None:
        self._check()
        return self.values.get(name)

    async def save(self, values: Mapping[str, str], gaps: Sequence[Gap] = ()) -> None:
        del gaps
        self._check()
        self.values |= values
        self.saved.append(values)

    async def gaps(self) -> tuple[Gap, ...]:
        return ()

    async def kept(self, since: datetime, after: str, limit: int) -> tuple[Kept, ...]:
        self._check()
        found = [kept for kept in self.messages if kept.received_at >= since and kept.id > after]
        return tuple(found[:limit])

    async def keep_file(self, pieces: AsyncIterator[bytes]) -> KeptFile:
        return await self.files.keep(pieces)

    async def message(self, external_id: str) -> Kept | None:
        del external_id
        return None

    async def attempted_since(self, since: datetime, to: str | None = None) -> int:
        del to
        self._check()
        return sum(at >= since for at in self.attempts)

    async def nth_attempt(self, number: int) -> datetime | None:
        self._check()
        newest_first = sorted(self.attempts, reverse=True)
        return newest_first[number - 1] if number <= len(newest_first) else None

    async def answered_between(self, to: str, since: datetime, until: datetime) -> bool:
        del to
        self._check()
        return any(since <= at < until for at in self.attempts)

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("The database does not answer.")


def settings_for(x: XSimulator, **changes: Any) -> TwitterSettings:
    """A section of the settings that leads to the simulator, with all its keys."""
    keys = x.options.credentials
    section = {
        "type": "twitter",
        "api_url": x.origin,
        "media_hosts": [x.origin.removeprefix("http://")],
        "bearer_token": keys.bearer_token,
        "consumer_key": keys.consumer_key,
        "consumer_secret": keys.consumer_secret,
        "access_token": keys.access_token,
        "access_token_secret": keys.access_token_secret,
        "timeout": 10,
    }
    section |= changes
    given = {key: value for key, value in section.items() if value is not None}
    return TypeAdapter(TwitterSettings).validate_python(given)


async def keep(api: XApi, store: MemoryStore, *post_ids: str) -> None:
    """Takes posts into custody as a search would have brought them."""
    for start in range(0, len(post_ids), 100):
        found = from_page(await api.lookup(post_ids[start : start + 100]), "search")
        store.take(*sorted(found, key=lambda message: int(message.external_id)))


class Answers:
    """Hands answers to a sender as the ANSWER stage does, which counts an attempt before it is made."""

    def __init__(self, store: MemoryStore, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock

    def to(self, post_id: str, text: str = "Laporan Anda kami terima: #1234567897", **changes: Any) -> OutgoingAnswer:
        """An answer to a post."""
        fields: dict[str, Any] = {
            "id": self._store.new_id(),
            "to": "1",
            "text": text,
            "attempt": 1,
            "reply_to": post_id,
        }
        return OutgoingAnswer(**(fields | changes))

    async def send(self, sender: Any, answer: OutgoingAnswer) -> Sent:
        """One attempt; it is counted unless it was certainly none."""
        attempt = self._clock.now()
        self._store.attempts.append(attempt)
        sent = False
        try:
            result: Sent = await sender.send(answer)
            sent = True
            return result
        finally:
            if not sent:
                with suppress(ValueError):
                    self._store.attempts.remove(attempt)
