"""What is done with a message, decided from what it says: pure functions, no database, no clock."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from msgspec.structs import replace

from gateway.conversation.wishes import strictest, visibility_of
from gateway.identifiers import reporter_key
from gateway.model import SCHEMA_VERSION, Attachment, Parts, Report, Reporter
from gateway.parsing import Parsed

SEPARATOR: Final = "\n\n"
"""Between what a citizen wrote first and each addition."""

_CORE_DIGITS: Final = range(6, 9)


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


def verdict(parsed: Parsed, *, accepted: bool = False) -> Literal["report", "update", "held", "ignored"]:
    """What a message is on its own merits.

    An *update* here is a message that names a number of the core's own: the core knows which case is meant.

    Args:
        parsed: What it says.
        accepted: Whether an operator has made it a report.
    """
    if parsed.not_a_report is not None:
        return "ignored"
    if parsed.held is not None and not accepted:
        return "held"
    return "update" if names_core_number(parsed) else "report"


def names_core_number(parsed: Parsed) -> bool:
    """Whether the text marks a number of six to eight digits as an ID: those are the core's."""
    return any(token.isdigit() and len(token) in _CORE_DIGITS for token in parsed.references)


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
        visibility=strictest((parsed.visibility, visibility_of(parsed.title, parsed.text))),
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


@dataclass(frozen=True, slots=True)
class Source:
    """One message that a report is made of: the first one, or an addition.

    Attributes:
        id: The message's id in the store; sources are told in its order.
        first: Whether the report was made of it.
    """

    id: str
    external_id: str
    first: bool
    parsed: Parsed
    parts: Parts | None
    raw_sha256: str

    @property
    def family(self) -> str:
        """What all versions of one message have in common."""
        return self.parsed.revision.external_ids[0] if self.parsed.revision else self.external_id

    @property
    def version(self) -> int:
        """Which version of its message it is, from 1."""
        return self.parsed.revision.number if self.parsed.revision else 1


def newest_versions(sources: Iterable[Source]) -> list[Source]:
    """The newest version of each message, in the order in which the messages first came."""
    newest: dict[str, Source] = {}
    for source in sorted(sources, key=lambda source: source.id):
        known = newest.get(source.family)
        if known is None or source.version >= known.version:
            newest[source.family] = source
    return list(newest.values())


def beginning(sources: Sequence[Source]) -> Source | None:
    """The newest version of the message that a report was made of, if it is still there."""
    beginnings = {source.family for source in sources if source.first}
    return next((source for source in newest_versions(sources) if source.family in beginnings), None)


def composed(known: Report, sources: Sequence[Source]) -> Report | None:
    """A report as it now stands: what its first message says, and every addition. None when nothing is left of it.

    Args:
        known: The report as published; who and what it is stays.
        sources: Every message that it is made of, in whatever versions there are.
    """
    newest = newest_versions(sources)
    first = beginning(sources)
    if first is None or first.parsed.not_a_report is not None:
        return None
    identity = Identity(
        id=known.id,
        tracking_id=known.tracking_id,
        channel=known.channel_name,
        channel_type=known.channel,
        external_id=known.external_id,
        received_at=known.received_at,
        raw_sha256=first.raw_sha256,
    )
    additions = [source.parsed for source in newest if source is not first and _adds(source.parsed)]
    report = new_report(first.parsed, identity, first.parts)
    wishes = [visibility_of(each.title, each.text) for each in additions]
    return replace(
        report,
        text=SEPARATOR.join(text for text in (report.text, *(each.text for each in additions)) if text),
        references=tuple(dict.fromkeys((*report.references, *(ref for each in additions for ref in each.references)))),
        attachments=_merged([*report.attachments, *(file for each in additions for file in each.attachments)]),
        visibility=strictest((known.visibility, report.visibility, *wishes)),
        location=report.location or next((each.location for each in additions if each.location), None),
        duplicate_of=known.duplicate_of,
        repeat_count=known.repeat_count,
        similar_to=known.similar_to,
    )


def _adds(parsed: Parsed) -> bool:
    return parsed.completes is not None or parsed.not_a_report is None


def _merged(files: Iterable[Attachment]) -> tuple[Attachment, ...]:
    """Each file once by its address; what is known of the fetched file wins over what the source only announced."""
    merged: dict[tuple[str | None, str | None], Attachment] = {}
    for file in files:
        key = (file.url, None if file.url else file.sha256)
        known = merged.get(key)
        if known is None:
            merged[key] = file
        elif known.sha256 is None and file.sha256 is not None:
            merged[key] = replace(file, name=file.name or known.name)
    return tuple(merged.values())


def blanked(report: Report) -> Report:
    """What is left of a report whose source is gone: who and which it was, and nothing that was said."""
    return replace(
        report,
        reporter=Reporter(address=report.reporter.address, kind=report.reporter.kind),
        title=None,
        text="",
        keyword=None,
        references=(),
        attachments=(),
        location=None,
        trust={},
    )


def written_by(parsed: Parsed) -> str | None:
    """By what rows name who wrote a message, or to whom the answer went that it is about; None where it says nobody."""
    address = parsed.reporter.address if parsed.delivery is None else parsed.delivery.recipient
    return reporter_key(parsed.reporter.kind, address) if address else None


def same_reporter(report: Report, parsed: Parsed) -> bool:
    """Whether a message comes from the one who wrote a report; nobody is the same as nobody."""
    return bool(parsed.reporter.address) and (report.reporter.kind, report.reporter.address) == (
        parsed.reporter.kind,
        parsed.reporter.address,
    )


def _in_utc(moment: datetime | None) -> datetime | None:
    """The same moment in UTC; None where it has no zone: better unknown than hours off."""
    return None if moment is None or moment.tzinfo is None else moment.astimezone(UTC)


def answered_in_public(reporter: Reporter) -> bool:
    """Whether everybody can read what a citizen is answered."""
    return reporter.kind == "x"


def reads_english(reporter: Reporter) -> bool:
    """Whether a citizen is answered in English: who writes a mail in it. X's guesses about posts are no ground."""
    return reporter.kind == "email" and reporter.language == "en"


def receipt_text(template: str, tracking_id: str) -> str:
    """The receipt for a report."""
    return template.format(tracking_id=tracking_id)


def sha256_of(raws: Iterable[bytes]) -> str:
    """The hash of a message's raw bytes, or of its parts' in order, as hexadecimal digits."""
    digest = hashlib.sha256()
    for raw in raws:
        digest.update(raw)
    return digest.hexdigest()
