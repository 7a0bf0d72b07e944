"""The ports of the kernel: what a channel, a parser and a publisher promise, and the values that pass through.

A channel package needs this module, :mod:`gateway.model` and :mod:`gateway.errors`, and nothing else of the kernel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from gateway.model import Attachment, Keyword, Location, Reporter, Visibility

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
    """A batch of messages, and what the channel needs to release them after the commit."""

    messages: tuple[RawMessage, ...]
    handle: Any


@dataclass(frozen=True, slots=True)
class OutgoingAnswer:
    """One answer to one citizen."""

    id: str
    to: str
    text: str
    attempt: int


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

    async def release(self, delivery: Delivery) -> None:
        """Lets the source forget a batch. Called only after its bytes have been committed.

        What cannot be released simply comes again; the unique key drops it then, and it is released again.
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


class ChannelSettings(BaseModel, extra="forbid", frozen=True, allow_inf_nan=False):
    """What every channel's section holds. A channel adds its own settings in a subclass."""

    type: str

    def preflight(self) -> None:
        """Looks, without opening anything, whether what the settings name is there.

        Raises:
            SettingsError: It is not; the key is that of the setting, without the channel's path.
        """

    def own_addresses(self) -> frozenset[str]:
        """The addresses under which citizens know this channel: never answered, never a reporter."""
        return frozenset()


class ChannelFactory(Protocol):
    """Makes a channel from its section of the settings."""

    def __call__(self, name: str, settings: Any) -> Channel:  # noqa: ANN401 - each plug-in has its own class
        """``settings`` is an instance of the plug-in's own settings class."""
        ...


@dataclass(frozen=True, slots=True)
class ChannelPlugin:
    """What an entry point of the group ``lapor_gateway.channels`` names; the entry point's name is the type."""

    settings: type[ChannelSettings]
    create: ChannelFactory
    resend_after_crash: bool
    """Whether an answer that was being sent when the process died may go once more (else it is *unknown*)."""
    sample_name: str
    """The name of its section in the sample settings."""
    sample: Mapping[str, Any]
    """Values that the sample settings show for it."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a parser has to know of the channel that a message came through."""

    own_addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PartOf:
    """The message is one part of a longer one.

    Attributes:
        group: Sender, reference, its width, and total: what the parts of one message have in common.
        number: From 1 to ``total``.
        content: A hash of this part's content: the same number with other content belongs to another message.
    """

    group: str
    number: int
    total: int
    content: str


@dataclass(frozen=True, slots=True)
class DeliveryNotice:
    """The message is no report but says what became of an answer of ours."""

    reference: str
    recipient: str
    outcome: Literal["delivered", "failed", "pending"]
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a message says, before anyone has decided what to do with it.

    Attributes:
        not_a_report: Why this is no report (a promotion, a one-time code), or None.
        answerable: Whether the sender may be answered by a machine.
        part: Set when the message is one part of a longer one and was parsed alone.
        missing: The numbers of the parts that were not there when the parts were parsed together.
        delivery: Set when the message is a delivery report for an answer of ours.
    """

    reporter: Reporter
    text: str
    sent_at: datetime | None
    title: str | None = None
    keyword: Keyword | None = None
    references: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    location: Location | None = None
    visibility: Visibility = "public"
    trust: Mapping[str, Any] = field(default_factory=dict)
    not_a_report: str | None = None
    answerable: bool = True
    part: PartOf | None = None
    delivery: DeliveryNotice | None = None


class Parser(Protocol):
    """A pure function from raw bytes to what they say; the entry point's name is the channel's type."""

    def __call__(self, raws: Sequence[bytes | None], profile: Profile, /) -> Parsed:
        """Parses one message.

        Args:
            raws: The raw bytes of one message; or of all parts of one message in order, None for a missing part.
            profile: What the channel is known as.

        Raises:
            Quarantine: The bytes cannot be understood; the text says why.
        """
        ...


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
