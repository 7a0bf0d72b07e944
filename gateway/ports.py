"""The ports of the kernel: what a channel and a publisher promise, and the values that pass through.

A channel package needs this module, :mod:`gateway.parsing`, :mod:`gateway.model` and :mod:`gateway.errors`, and
nothing else of the kernel.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from gateway.findings import Finding
from gateway.parsing import Profile

ChannelState = Literal["up", "degraded", "down", "paused", "needs_operator"]


@dataclass(frozen=True, slots=True)
class RawMessage:
    """What a channel hands over: bytes that nobody has tried to understand yet.

    Attributes:
        external_id: The message's identity at its source; with the channel's name the key against redelivery.
        raw: The evidence, exactly as the source gave it or canonically encoded. Never empty.
        order_key: Messages with the same key are processed in the order of their arrival: usually the sender.
    """

    external_id: str
    raw: bytes
    order_key: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch of messages, and what the channel needs to release them after the commit.

    Attributes:
        values: What the channel's store keeps from now on, written in the same transaction: a cursor.
    """

    messages: tuple[RawMessage, ...]
    handle: Any
    values: Mapping[str, str] = field(default_factory=dict)


AnswerKind = Literal["receipt", "command", "reply", "test"]
"""What a citizen is told: that a message was received, what a command asked for, or what the core says.

A *test* is what an operator sends to see whether the channel works; it answers no message.
"""


@dataclass(frozen=True, slots=True)
class OutgoingAnswer:
    """One answer to one citizen."""

    id: str
    to: str
    text: str
    attempt: int
    reply_to: str = ""
    """The external id of the message that it answers."""
    kind: AnswerKind = "receipt"


@dataclass(frozen=True, slots=True)
class Sent:
    """The channel took an answer.

    Attributes:
        references: What a later delivery report will name it by, one for each part; empty where there are none.
    """

    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel is. The reason is a sentence that says what to do."""

    state: ChannelState
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Channel(Protocol):
    """One source of messages. It does I/O and nothing else; the kernel decides.

    The kernel calls ``open`` once, then ``receive`` and ``release`` from one task and ``send`` from another,
    and ``close`` at the end, whatever happened. Every method has a deadline of its own inside, and raises
    :class:`~gateway.errors.ChannelUnavailable` or :class:`~gateway.errors.NeedsOperator`.
    """

    async def open(self) -> None:
        """Connects to the source."""
        ...

    async def receive(self) -> Delivery:
        """Waits for messages and returns a bounded batch of them, or an empty one now and then."""
        ...

    async def release(self, delivery: Delivery, new: Collection[str]) -> None:
        """Lets the source forget a batch. Called only after its bytes have been committed.

        What cannot be released simply comes again; the unique key drops it then, and it is released again.

        Args:
            delivery: The batch.
            new: The external ids of its messages that were not in custody before.
        """
        ...

    async def send(self, answer: OutgoingAnswer) -> Sent:
        """Sends one answer; returns once the source took it. Raises :class:`~gateway.errors.Refused` for good."""
        ...

    async def health(self) -> Health:
        """How the channel is now, without talking to the source for long."""
        ...

    async def close(self) -> None:
        """Lets go of the source. Never raises."""
        ...


@runtime_checkable
class LooksBack(Protocol):
    """A channel that can find out whether an answer went out before a crash."""

    async def find_sent(self, answer: OutgoingAnswer) -> Sent | None:
        """Looks for an answer among what the source holds of us. Raises as ``send`` does."""
        ...


@runtime_checkable
class ChecksMore(Protocol):
    """A channel with more to try than ``open`` does: where its answers go out, say."""

    async def check(self) -> Sequence[Finding]:
        """Tries it, for ``lapor-gateway check``, once the channel is open; changes nothing. Raises as ``open`` does."""
        ...


GapState = Literal["open", "closed", "recovered", "lost"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a source may have had messages that did not come the usual way.

    Attributes:
        path: Which way of several it concerns, such as *stream*; with ``since`` the gap's identity.
        state: *open* while it goes on; *closed* when it is over and nobody has looked into it; *recovered* once
            everything in it was fetched another way; *lost* where that has become impossible.
        reason: A sentence for operators.
        found: Messages that came only the other way.
    """

    path: str
    since: datetime
    until: datetime | None
    state: GapState
    reason: str
    found: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A message of the channel that is in custody, with its raw bytes."""

    id: str
    external_id: str
    raw: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file in the gateway's folder, by the SHA-256 of its bytes in hexadecimal digits."""

    sha256: str
    size: int


class ChannelStore(Protocol):
    """What a channel keeps in the database from one life to the next.

    Each call is one transaction. All raise StoreUnavailable; those that write raise LeaseLost when another process
    has taken the channel over.
    """

    async def load(self, name: str) -> str | None:
        """The value that was saved under a name, or None."""
        ...

    async def save(self, values: Mapping[str, str], gaps: Sequence[Gap] = ()) -> None:
        """Saves values under their names and writes gaps down, all or none.

        A gap with the same path and beginning is replaced.
        """
        ...

    async def gaps(self) -> tuple[Gap, ...]:
        """The gaps that are open or closed, oldest first."""
        ...

    async def kept(self, since: datetime, after: str, limit: int) -> tuple[Kept, ...]:
        """Messages that came since and are not emptied, in the order of their ids, from behind the id ``after``."""
        ...

    async def keep_file(self, pieces: AsyncIterator[bytes]) -> KeptFile:
        """Writes a file into the gateway's folder, complete or not at all.

        It stays as long as a message in custody speaks of it. What ``pieces`` raises is raised here; OSError, when
        the folder cannot be written to.
        """
        ...

    async def message(self, external_id: str) -> Kept | None:
        """A message by its external id; None if it is not here or emptied."""
        ...

    async def attempted_since(self, since: datetime, to: str | None = None) -> int:
        """How many answers this channel has sent, or may have sent, since; that under way included.

        Args:
            since: A moment.
            to: Count those to one citizen only.
        """
        ...

    async def nth_attempt(self, number: int) -> datetime | None:
        """When the newest but so many of the answers that count in ``attempted_since`` was sent, or may have been.

        Args:
            number: 1 for the newest, that under way included.

        Returns:
            None where there were not so many.
        """
        ...

    async def answered_between(self, to: str, since: datetime, until: datetime) -> bool:
        """Whether the sending of an answer to a citizen was begun in a span of time, and succeeded or may have.

        Args:
            to: The citizen's address.
            since: The span's first moment.
            until: The moment after its last.
        """
        ...


class ChannelSettings(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """What every channel's section holds. A channel adds its own settings in a subclass."""

    type: str

    def preflight(self) -> None:
        """Looks, without opening anything, whether what the settings name is there.

        Raises:
            SettingsError: It is not; the key is that of the setting, without the channel's path.
        """

    def profile(self) -> Profile:
        """What the parser has to know of this channel."""
        return Profile()


class ChannelFactory(Protocol):
    """Makes a channel from its section of the settings."""

    def __call__(self, name: str, settings: Any, store: ChannelStore, /) -> Channel:  # noqa: ANN401 - its own class
        """``settings`` is an instance of the plug-in's own settings class."""
        ...


AfterCrash = Literal["resend", "look", "unknown"]

Compose = Callable[[str, str, datetime, str], RawMessage]
"""A message as the source would bring it, for tools that have only what a citizen wrote: reporter, text, the moment of
sending, external id. Raises ValueError, with a sentence, for what this source could not bring."""


@dataclass(frozen=True, slots=True)
class ChannelPlugin:
    """What an entry point of the group ``lapor_gateway.channels`` names; the entry point's name is the type."""

    settings: type[ChannelSettings]
    create: ChannelFactory
    after_crash: AfterCrash
    """What becomes of an answer that was being sent when the process died: it goes once more, or the channel
    :class:`LooksBack` whether it went out, or it is *unknown*."""
    sample_name: str
    """The name of its section in the sample settings."""
    sample: Mapping[str, Any]
    """Values that the sample settings show for it."""
    one_reader: bool = False
    """Whether several hosts can reach the source but only one may read it: it is then held by a lease."""
    writes_to: str | None = None
    """A pattern of the addresses that it can write to without being asked; None where it can only answer."""
    compose: Compose | None = None
    """Makes a message of the channel's raw form from what a citizen wrote; ``evaluate`` and ``classify`` need it."""


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event on its way to the queue. ``id`` is the AMQP ``message_id``."""

    id: str
    report_id: str
    sequence: int
    routing_key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What became of a batch of events.

    Attributes:
        confirmed: Ids that the queue has taken for good.
        refused: Ids that the queue has refused one by one, with the reason.
        failure: Why the rest is undecided, or None if there is no rest.
    """

    confirmed: tuple[str, ...]
    refused: Mapping[str, str]
    failure: Exception | None


@runtime_checkable
class Publisher(Protocol):
    """The queue, as the publish stage sees it."""

    async def open(self) -> None:
        """Connects and declares the topology. Raises BrokerUnavailable or NeedsOperator."""
        ...

    async def publish(self, events: Sequence[OutboxEvent]) -> PublishResult:
        """Publishes a batch, within a deadline. Never raises for what the queue does."""
        ...

    async def close(self) -> None:
        """Lets go of the queue. Never raises."""
        ...
