"""What is done with a message, decided from what it says: pure functions, no database, no clock."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.model import SCHEMA_VERSION, Parts, Report
from gateway.ports import Parsed


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything of a report that does not come from what its message says."""

    id: str
    tracking_id: str
    channel: str
    channel_type: str
    external_id: str
    received_at: datetime
    raw_sha256: str


def is_report(parsed: Parsed) -> bool:
    """Whether the message is a complaint, an aspiration or a request; else it is ignored with its reason."""
    return parsed.not_a_report is None


def new_report(parsed: Parsed, identity: Identity, parts: Parts | None = None) -> Report:
    """The canonical report of a message."""
    return Report(
        id=identity.id,
        tracking_id=identity.tracking_id,
        channel=identity.channel_type,
        channel_name=identity.channel,
        external_id=identity.external_id,
        reporter=parsed.reporter,
        title=parsed.title,
        text=parsed.text,
        keyword=parsed.keyword,
        references=parsed.references,
        attachments=parsed.attachments,
        location=parsed.location,
        visibility=parsed.visibility,
        sent_at=_in_utc(parsed.sent_at),
        received_at=identity.received_at,
        complete=parts is None or len(parts.present) == parts.total,
        parts=parts,
        duplicate_of=None,
        repeat_count=0,
        similar_to=(),
        trust=dict(parsed.trust),
        raw_sha256=identity.raw_sha256,
        schema_version=SCHEMA_VERSION,
    )


def _in_utc(moment: datetime | None) -> datetime | None:
    """The same moment in UTC; None where it has no zone: better unknown than hours off."""
    return None if moment is None or moment.tzinfo is None else moment.astimezone(UTC)


def receipt_text(template: str, tracking_id: str) -> str:
    """The receipt for a report."""
    return template.format(tracking_id=tracking_id)


def sha256_of(raws: Iterable[bytes]) -> str:
    """The hash of a message's raw bytes, or of its parts' in order, as hexadecimal digits."""
    digest = hashlib.sha256()
    for raw in raws:
        digest.update(raw)
    return digest.hexdigest()
