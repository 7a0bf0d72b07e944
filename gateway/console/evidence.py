"""One message for people: its raw bytes made readable, and what the gateway read in them."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.actions.senders import Understands
from gateway.masking import hidden
from gateway.model import Attachment, Reporter, decode_report
from gateway.parsing import Parsed
from gateway.store.tables import reports

SHOWN_CHARACTERS: Final = 16_000
"""Characters of the raw bytes on a page; of one field a part."""

_FIELDS: Final = 60
_FIELD_CHARACTERS: Final = 2_000
_LARGEST_JSON: Final = 256 * 1024
_NOT_PARSED: Final = ("received", "quarantined", "discarded")
"""States of messages whose parsing has failed or is still to come: looking at one must not run a parser again."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Raw bytes for the eye.

    Attributes:
        size: In bytes.
        fields: Names and values, where the bytes are a record of the channel's: an SMS, a post.
        source: The text of all of it.
        cut: Whether the source goes on.
    """

    size: int
    fields: tuple[tuple[str, str], ...]
    source: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says. ``tracking_id`` and ``repeats`` are those of its report."""

    reporter: Reporter
    title: str | None
    text: str
    keyword: str | None
    sent_at: datetime | None
    attachments: tuple[Attachment, ...]
    tracking_id: str | None = None
    repeats: int = 0
    held: str | None = None


def evidence_of(raw: bytes, reporter: Reporter | None, *, clear: bool) -> Evidence:
    """The bytes as a table of fields where they are JSON, and as text; who wrote it is masked unless ``clear``."""
    record = _record(raw)
    source = _text(raw) if record is None else json.dumps(record, ensure_ascii=False, indent=2)
    fields = tuple((name, _value(value)) for name, value in list((record or {}).items())[:_FIELDS])
    cut = source[:SHOWN_CHARACTERS]
    if not clear:
        fields = tuple((name, hidden(value, reporter)) for name, value in fields)
        cut = hidden(cut, reporter)
    return Evidence(len(raw), fields, cut, len(source) > SHOWN_CHARACTERS)


def _record(raw: bytes) -> dict[str, Any] | None:
    if len(raw) > _LARGEST_JSON or not raw.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _value(value: object) -> str:
    if isinstance(value, str):
        return value[:_FIELD_CHARACTERS]
    return json.dumps(value, ensure_ascii=False)[:_FIELD_CHARACTERS]


def _text(raw: bytes) -> str:
    """Text, or a dump in hexadecimal digits of what is none."""
    head = raw[: SHOWN_CHARACTERS + 1]
    if b"\0" in head:
        return head.hex(" ")
    return head.decode("utf-8", "replace").replace("\r\n", "\n")


async def said_in(connection: AsyncConnection, understanding: Understands, row: Any) -> Said | None:  # noqa: ANN401
    """What a message says: as its report has it, or as its parser reads it; None where nobody knows.

    Args:
        connection: An open transaction.
        understanding: The parsers.
        row: The message, with its raw bytes.
    """
    if row.report_id is not None:
        body = await connection.scalar(select(reports.c.body).where(reports.c.id == row.report_id))
        return None if body is None else _of_report(body)
    if row.raw is None or row.state in _NOT_PARSED:
        return None
    parsed = understanding.parse(row.channel, row.channel_type, [row.raw])
    if not isinstance(parsed, Parsed):
        return None
    keyword = parsed.keyword.written if parsed.keyword else None
    return Said(
        parsed.reporter, parsed.title, parsed.text, keyword, parsed.sent_at, parsed.attachments, held=parsed.held
    )


def _of_report(body: bytes) -> Said | None:
    try:
        report = decode_report(body)
    except msgspec.DecodeError:  # of a version that nobody here knows
        return None
    keyword = report.keyword.written if report.keyword else None
    return Said(
        report.reporter,
        report.title,
        report.text,
        keyword,
        report.sent_at,
        report.attachments,
        report.tracking_id,
        report.repeat_count,
    )
