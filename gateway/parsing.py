"""What a parser is given and what it says: pure values, before anyone has decided what to do with a message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from gateway.model import Attachment, Keyword, Location, Reporter, Visibility


@dataclass(frozen=True, slots=True)
class Profile:
    """What a parser has to know of the channel that a message came through.

    Attributes:
        own_addresses: The addresses under which citizens know this channel: never answered, never a reporter.
        options: Whatever else the channel's settings tell its parser.
    """

    own_addresses: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Revision:
    """The message is one version of a message that its author may edit.

    Attributes:
        external_ids: The ids of all versions up to this one, the first version's first.
        number: From 1.
    """

    external_ids: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The message says that another one is gone from its source, or must no longer be shown.

    Attributes:
        external_id: The other one's.
        reason: What has happened to it there, as the end of a sentence; no text of the message.
    """

    external_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a message says, before anyone has decided what to do with it.

    Attributes:
        not_a_report: Why this is no report (a promotion, a one-time code), or None.
        held: Why an operator has to decide whether this is a report, or None.
        reply_to: The external id of the message, or the reference of the answer of ours, that this replies to.
            It becomes an update when that belongs to a report of the same reporter.
        revision: Which version of its message this is, where the source lets people edit.
        withdrawal: Set when the message is no report but says that another is gone.
        completes: The external id of a message whose attachments are described here: their files were fetched.
        files: The bytes of attachments that the message itself brings, by their SHA-256 in hexadecimal digits.
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
    held: str | None = None
    reply_to: str | None = None
    revision: Revision | None = None
    withdrawal: Withdrawal | None = None
    completes: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
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
