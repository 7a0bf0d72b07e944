"""The canonical report and the events that carry it: what the core intake service receives.

The JSON Schema under ``queue/`` is generated from these classes, and a test holds the two equal.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

SCHEMA_VERSION: Final = 1
"""The version of the canonical report; raised when a consumer would have to change."""

EVENT_TYPE_PREFIX: Final = "id.go.lapor.report"

EventKind = Literal["received", "repeated", "updated", "withdrawn", "undeliverable"]
ReporterKind = Literal["phone", "x", "email", "partner"]
Visibility = Literal["public", "anonymous", "secret"]

Uuid7 = Annotated[str, Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
TrackingId = Annotated[str, Meta(pattern="^[1-9][0-9]{9}$", description="Ten digits, the last a Luhn check digit.")]
Moment = Annotated[datetime, Meta(tz=True)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


ReplyKind = Literal["progress", "question", "closed"]
_NO_NUL: Final = "^[^\\u0000]*$"  # PostgreSQL keeps no NUL in a text
_SAYS_SOMETHING: Final = "^\\s*[^\\s\\u0000][^\\u0000]*$"
ReplyId = Annotated[str, Meta(min_length=1, max_length=64, pattern=_NO_NUL)]


class Reporter(Struct, frozen=True, kw_only=True):
    """Who sent the message, as far as the channel tells."""

    address: Annotated[str, Meta(description="Phone number (E.164), X user id, mail address or partner's own id.")]
    kind: ReporterKind
    name: str | None = None
    handle: str | None = None
    language: Annotated[str | None, Meta(description="BCP 47; null where nobody has looked.")] = None


class Keyword(Struct, frozen=True):
    """A leading region or programme word."""

    written: Annotated[str, Meta(description="As the citizen wrote it.")]
    normalised: Annotated[str, Meta(description="Upper case, without punctuation: KAB NGANJUK.")]


class Attachment(Struct, frozen=True, kw_only=True):
    """A file that came with the message."""

    name: str | None
    media_type: str
    size: Annotated[int, Meta(ge=0, description="Bytes.")]
    sha256: Sha256 | None
    url: str | None


class Location(Struct, frozen=True, kw_only=True):
    """Where the matter is, as far as the message says."""

    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    place: str | None = None


class Parts(Struct, frozen=True, kw_only=True):
    """Which parts of a multi-part SMS have come."""

    total: Annotated[int, Meta(ge=1)]
    present: Annotated[tuple[int, ...], Meta(description="Part numbers, from 1.")]


class Report(Struct, frozen=True, kw_only=True):
    """The canonical report: always the whole report as it now stands."""

    id: Uuid7
    tracking_id: TrackingId
    channel: Annotated[str, Meta(description="The channel's type: sms, twitter, mail …")]
    channel_name: Annotated[str, Meta(description="The channel's section in the settings: sms-1708.")]
    external_id: Annotated[str, Meta(description="The message's id at its source.")]
    reporter: Reporter
    title: str | None
    text: str
    keyword: Keyword | None
    references: Annotated[tuple[str, ...], Meta(description="ID-like tokens in the text: tracking IDs, card numbers …")]
    attachments: tuple[Attachment, ...]
    location: Location | None
    visibility: Visibility
    sent_at: Annotated[Moment | None, Meta(description="RFC 3339, UTC; null where the source does not say.")]
    received_at: Annotated[
        datetime, Meta(tz=True, description="RFC 3339, UTC: when the gateway first held a part of it.")
    ]
    complete: Annotated[bool, Meta(description="False while parts of a multi-part SMS are missing.")]
    parts: Annotated[Parts | None, Meta(description="Null for a message of one part.")]
    duplicate_of: Annotated[Uuid7 | None, Meta(description="The id of the report that this one repeats.")]
    repeat_count: Annotated[int, Meta(ge=0)]
    similar_to: Annotated[
        tuple[Uuid7, ...], Meta(description="Ids of reports by others on what seems the same matter.")
    ]
    trust: Annotated[dict[str, Any], Meta(description="What is known of the sender, by channel.")]
    raw_sha256: Annotated[Sha256, Meta(description="Over the raw bytes of the message, or of its parts in order.")]
    schema_version: int


class ReportEvent(Struct, frozen=True, kw_only=True):
    """A CloudEvents 1.0 structured JSON event: the body of each AMQP message.

    ``sequence``, ``replyid`` and ``reason`` are extension attributes; the last two come with *undeliverable* only.
    """

    specversion: Literal["1.0"]
    id: Annotated[Uuid7, Meta(description="Equal to the AMQP message_id; stable across retries. Be idempotent by it.")]
    type: Annotated[str, Meta(pattern=r"^id\.go\.lapor\.report\.[a-z]+\.v1$")]
    source: Annotated[str, Meta(description="/channels/<channel name>")]
    subject: Annotated[TrackingId, Meta(description="The report's tracking ID.")]
    time: Annotated[datetime, Meta(tz=True, description="When the event was decided.")]
    datacontenttype: Literal["application/json"]
    sequence: Annotated[
        int,
        Meta(ge=1, description="Counts the events of one report; drop an event whose sequence is not higher."),
    ]
    data: Report
    replyid: Annotated[
        ReplyId | UnsetType,
        Meta(description="With undeliverable: the id of the reply that did not arrive; left out for a receipt."),
    ] = UNSET
    reason: Annotated[
        str | UnsetType,
        Meta(description="With undeliverable: why, as a sentence for officers; it names no person."),
    ] = UNSET


class Reply(Struct, frozen=True, kw_only=True):
    """What the core intake service sends to answer a citizen, by exchange ``lapor.replies``."""

    id: Annotated[ReplyId, Meta(description="The core's own; a reply is sent once for each id.")]
    tracking_id: TrackingId
    text: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=4000,
            pattern=_SAYS_SOMETHING,
            description="What the citizen reads: not blank, and without the character NUL.",
        ),
    ]
    kind: ReplyKind
    status: Annotated[
        Annotated[str, Meta(max_length=200, pattern=_NO_NUL)] | None,
        Meta(description="The report's new state, for STATUS questions."),
    ] = None


def event_type(kind: EventKind) -> str:
    """The CloudEvents ``type`` of an event."""
    return f"{EVENT_TYPE_PREFIX}.{kind}.v1"


def routing_key(kind: EventKind, channel_type: str) -> str:
    """The AMQP routing key of an event."""
    return f"report.{kind}.{channel_type}"


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """What did not reach the citizen, and why.

    Attributes:
        reason: A sentence without personal data.
        reply_id: Of the core's reply; empty for a receipt of ours.
    """

    reason: str
    reply_id: str = ""


def event_for(
    report: Report,
    kind: EventKind,
    *,
    event_id: str,
    sequence: int,
    time: datetime,
    not_delivered: NotDelivered | None = None,
) -> ReportEvent:
    """Wraps a report into the event that announces what has happened to it."""
    return ReportEvent(
        specversion="1.0",
        id=event_id,
        type=event_type(kind),
        source=f"/channels/{report.channel_name}",
        subject=report.tracking_id,
        time=time,
        datacontenttype="application/json",
        sequence=sequence,
        data=report,
        replyid=(not_delivered and not_delivered.reply_id) or UNSET,
        reason=not_delivered.reason if not_delivered else UNSET,
    )


_SOURCE = re.compile(rb'"source":"/channels/([^"]{1,63})"')


def source_of(body: bytes) -> str:
    """The channel's name in an encoded event, found without decoding it; empty where there is none."""
    found = _SOURCE.search(body, 0, 400)
    return found[1].decode("utf-8", "replace") if found else ""


encode = msgspec.json.Encoder().encode
"""Any of these values as compact JSON bytes."""

decode_report = msgspec.json.Decoder(Report).decode
"""JSON bytes as a :class:`Report`; raises :class:`msgspec.ValidationError`."""

decode_event = msgspec.json.Decoder(ReportEvent).decode
"""JSON bytes as a :class:`ReportEvent`; raises :class:`msgspec.ValidationError`."""

decode_reply = msgspec.json.Decoder(Reply).decode
"""JSON bytes as a :class:`Reply`; raises :class:`msgspec.ValidationError`."""
