"""Stand-ins for the world around the kernel: a clock, a queue, a channel and a parser that do what a test says."""

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from gateway.errors import BrokerUnavailable, ChannelUnavailable, Quarantine
from gateway.model import Attachment, Reporter
from gateway.parsing import DeliveryNotice, Parsed, PartOf, Profile, Revision, Withdrawal
from gateway.ports import (
    AfterCrash,
    ChannelPlugin,
    ChannelSettings,
    ChannelStore,
    Delivery,
    Health,
    OutboxEvent,
    OutgoingAnswer,
    PublishResult,
    RawMessage,
    Sent,
)

FAKE_TYPE = "fake"
Verdict = Literal["confirm", "refuse", "fail"]


class FakeClock:
    """A clock that stands still until a test moves it; implements ``gateway.clock.Clock``."""

    def __init__(self, now: datetime = datetime(2026, 11, 1, 8, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, **duration: float) -> None:
        """Moves both times forward: ``advance(minutes=15)``."""
        step = timedelta(**duration)
        self._now += step
        self._monotonic += step.total_seconds()

    def sweep(self) -> None:
        """Moves the monotonic time alone past the moment when stages look into the database again."""
        self._monotonic += 6


def confirm_all(_event: OutboxEvent) -> Verdict:
    """The verdict of a queue that works."""
    return "confirm"


class RecordingPublisher:
    """A queue in memory; implements ``gateway.ports.Publisher``.

    ``verdict`` decides on each event; an event that it fails leaves all later ones of its batch undecided too.
    """

    def __init__(self) -> None:
        self.verdict: Callable[[OutboxEvent], Verdict] = confirm_all
        self.open_error: Exception | None = None
        self.open_to: asyncio.Event | None = None
        self.tried: list[list[OutboxEvent]] = []
        self.confirmed: list[OutboxEvent] = []
        self.closed = 0

    async def open(self) -> None:
        if self.open_error is not None:
            raise self.open_error

    async def publish(self, events: Sequence[OutboxEvent]) -> PublishResult:
        self.tried.append(list(events))
        if self.open_to is not None:
            await self.open_to.wait()
        confirmed: list[OutboxEvent] = []
        refused: dict[str, str] = {}
        failure: Exception | None = None
        for event in events:
            verdict = self.verdict(event)
            if verdict == "fail":
                failure = BrokerUnavailable("The fake queue does not answer.")
                break
            if verdict == "confirm":
                confirmed.append(event)
            else:
                refused[event.id] = "refused by the fake"
        self.confirmed += confirmed
        return PublishResult(tuple(event.id for event in confirmed), refused, failure)

    async def close(self) -> None:
        self.closed += 1

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The confirmed events as a consumer reads them."""
        return [json.loads(event.body) for event in self.confirmed]

    def seen(self) -> list[tuple[str, int]]:
        """Kind and sequence of each confirmed event, in order."""
        return [(event.routing_key.split(".")[1], event.sequence) for event in self.confirmed]


class FakeChannel:
    """A source in memory; implements ``gateway.ports.Channel``.

    What is in ``inbox`` comes again at each ``receive`` until it is released, as from a SIM. ``faults`` holds, by
    method, what its next calls raise; a method named in ``hangs`` never returns.
    """

    def __init__(self) -> None:
        self.inbox: dict[str, RawMessage] = {}
        self.batch = 50
        self.faults: dict[str, deque[BaseException]] = {
            name: deque() for name in ("open", "receive", "release", "send", "health", "close")
        }
        self.always: dict[str, BaseException] = {}
        self.hangs: set[str] = set()
        self.calls: list[str] = []
        self.sent: list[OutgoingAnswer] = []
        self.released: list[str] = []
        self.references: tuple[str, ...] = ()
        self.values: dict[str, str] = {}
        self.state = Health("up", "")
        self._news = asyncio.Event()

    def put(self, *messages: RawMessage) -> None:
        """Lets messages reach the source."""
        self.inbox |= {message.external_id: message for message in messages}
        self._news.set()

    async def open(self) -> None:
        await self._call("open")

    async def receive(self) -> Delivery:
        await self._call("receive")
        if not self.inbox:
            self._news.clear()
            await self._news.wait()
        messages = tuple(self.inbox.values())[: self.batch]
        return Delivery(messages, [message.external_id for message in messages], self.values)

    async def release(self, delivery: Delivery, new: Collection[str]) -> None:  # noqa: ARG002 - the port's
        await self._call("release")
        for external_id in delivery.handle:
            self.inbox.pop(external_id, None)
            self.released.append(external_id)

    async def send(self, answer: OutgoingAnswer) -> Sent:
        self.sent.append(answer)
        await self._call("send")
        return Sent(self.references)

    async def health(self) -> Health:
        await self._call("health")
        return self.state

    async def close(self) -> None:
        await self._call("close")

    async def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.always:
            raise self.always[name]
        if self.faults[name]:
            raise self.faults[name].popleft()
        if name in self.hangs:
            await asyncio.Event().wait()


class FakeSettings(ChannelSettings):
    """A ``[channels.NAME]`` table of the type *fake*."""

    type: Literal["fake"] = "fake"


@dataclass(slots=True)
class FakeChannels:
    """A plug-in whose channels a test holds in its hand; each opening makes a new one of the same source."""

    by_name: dict[str, FakeChannel] = field(default_factory=dict)

    def create(self, name: str, settings: Any, _store: ChannelStore | None = None) -> FakeChannel:
        """As ``ChannelPlugin.create``."""
        assert isinstance(settings, FakeSettings)
        return self.by_name.setdefault(name, FakeChannel())

    def plugin(
        self, *, after_crash: AfterCrash = "resend", one_reader: bool = False, writes_to: str | None = None
    ) -> ChannelPlugin:
        """What an entry point would name."""
        return ChannelPlugin(
            FakeSettings, self.create, after_crash, "fake-1", {}, one_reader=one_reader, writes_to=writes_to
        )


def fake_raw(text: str = "Jalan rusak", sender: str = "+6281100000001", **fields: Any) -> bytes:
    """The raw bytes of a message that :func:`fake_parse` understands."""
    return json.dumps({"text": text, "sender": sender} | fields).encode()


def fake_message(external_id: str, text: str = "Jalan rusak", sender: str = "+6281100000001", **f: Any) -> RawMessage:
    """A message as a channel hands it over."""
    return RawMessage(external_id, fake_raw(text, sender, **f), sender)


class PoisonError(Exception):
    """What the fake parser raises for a message that says so."""


def _named(content: bytes) -> dict[str, bytes]:
    return {hashlib.sha256(content).hexdigest(): content} if content else {}


def fake_parse(raws: Sequence[bytes | None], profile: Profile) -> Parsed:  # noqa: ARG001 - a parser's signature
    """A parser that does what the message says.

    ``quarantine`` and ``poison`` make it raise; ``not_a_report``, ``held``, ``answerable``, ``references``,
    ``reply_to``, ``completes``, ``part`` (group, number, total), ``delivery`` (reference, outcome), ``revision`` (ids,
    number), ``withdrawal`` (id, reason), ``brings`` (a file's content) and ``files`` (url, hash or None) become what
    ``Parsed`` has of the name.
    """
    found: list[Mapping[str, Any]] = [json.loads(raw) for raw in raws if raw is not None]
    first = found[0]
    if "quarantine" in first:
        raise Quarantine(first["quarantine"])
    if "poison" in first:
        raise PoisonError(first["text"])
    alone = len(raws) == 1
    part = first.get("part") if alone else None
    delivery = first.get("delivery")
    revision = first.get("revision")
    withdrawal = first.get("withdrawal")
    return Parsed(
        reporter=Reporter(address=first["sender"], kind="phone", name=first.get("name")),
        text=" ".join("…" if raw is None else json.loads(raw)["text"] for raw in raws),
        sent_at=datetime(2026, 11, 1, 7, 59, tzinfo=UTC),
        not_a_report=first.get("not_a_report"),
        answerable=first.get("answerable", True),
        part=PartOf(part[0], part[1], part[2], first["text"][:32]) if part else None,
        delivery=DeliveryNotice(delivery[0], first["sender"], delivery[1], None) if delivery else None,
        held=first.get("held"),
        references=tuple(first.get("references", ())),
        reply_to=first.get("reply_to"),
        completes=first.get("completes"),
        revision=Revision(tuple(revision[0]), revision[1]) if revision else None,
        withdrawal=Withdrawal(*withdrawal) if withdrawal else None,
        attachments=tuple(
            Attachment(name=None, media_type="image/jpeg", size=0, sha256=digest, url=url)
            for url, digest in first.get("files", ())
        ),
        files={
            hashlib.sha256(content).hexdigest(): content for content in [first.get("brings", "").encode()] if content
        },
    )


def unavailable() -> ChannelUnavailable:
    """A fault that goes away."""
    return ChannelUnavailable("The fake channel does not answer.")
