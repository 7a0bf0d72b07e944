"""The tables. Times are whole milliseconds since 1970 UTC; identifiers are UUIDv7 text and sort by age.

The happy path of a message writes three rows besides its own (report, outbox, answer); its ledger is read from their
time stamps. Only what is out of the ordinary gets a row in ``ledger``.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _identifier(name: str, **options: Any) -> Column[str]:  # noqa: ANN401 - SQLAlchemy's own options
    return Column(name, String(36), **options)


messages = Table(
    "messages",
    metadata,
    _identifier("id", primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("channel_type", String(32), nullable=False),
    Column("external_id", String(255), nullable=False),
    Column("order_key", String(32), nullable=False, comment="Hash: equal keys are processed in order."),
    Column("raw", LargeBinary, comment="The evidence; emptied after store.keep_days."),
    Column("received_at", BigInteger, nullable=False),
    Column("released_at", BigInteger),
    Column("state", String(16), nullable=False),
    Column("decision", String(16)),
    Column("reason", Text),
    _identifier("report_id"),
    Column("processed_at", BigInteger),
    Column(
        "deaths",
        Integer,
        nullable=False,
        server_default="0",
        comment="Deaths of the process with it alone in hand.",
    ),
    Column("accepted_at", BigInteger, comment="When an operator made a held message a report."),
    _identifier("group_id", comment="The fragment group of a part."),
    Column("part_number", Integer),
    Column("part_content", String(32), comment="Hash: the same number with other content opens another group."),
    Column("reporter", String(32), comment="Hash of the kind and address of whoever wrote it; set by the decision."),
    UniqueConstraint("channel", "external_id"),
)
_unprocessed = messages.c.state == "received"
Index("ix_messages_unprocessed", messages.c.id, sqlite_where=_unprocessed, postgresql_where=_unprocessed)
Index(
    "ix_messages_order",
    messages.c.order_key,
    messages.c.id,
    sqlite_where=_unprocessed,
    postgresql_where=_unprocessed,
)
_open = messages.c.state != "processed"
Index("ix_messages_open", messages.c.state, messages.c.id, sqlite_where=_open, postgresql_where=_open)
_fragment = messages.c.group_id.is_not(None)
Index("ix_messages_group", messages.c.group_id, sqlite_where=_fragment, postgresql_where=_fragment)
_reported = messages.c.report_id.is_not(None)
Index("ix_messages_report", messages.c.report_id, sqlite_where=_reported, postgresql_where=_reported)
_known = messages.c.reporter.is_not(None)
Index("ix_messages_reporter", messages.c.reporter, messages.c.id, sqlite_where=_known, postgresql_where=_known)

fragment_groups = Table(
    "fragment_groups",
    metadata,
    _identifier("id", primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("key", String(32), nullable=False, comment="Hash over sender, reference, its width, and total."),
    Column("total", Integer, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, comment="When it is published as incomplete; null once it is decided."),
    _identifier("report_id"),
    Index(None, "channel", "key", "opened_at"),
    Index(None, "due_at"),
)

reports = Table(
    "reports",
    metadata,
    _identifier("id", primary_key=True),
    Column("tracking_id", String(10), nullable=False),
    Column("body", LargeBinary, comment="The canonical report as JSON, as last published."),
    Column("sequence", Integer, nullable=False, comment="Of its newest event."),
    _identifier("duplicate_of"),
    Column("created_at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger, comment="Null while it stands."),
)
_original = reports.c.duplicate_of.is_(None)
Index(
    "uq_reports_tracking_id",
    reports.c.tracking_id,
    unique=True,
    sqlite_where=_original,
    postgresql_where=_original,
)

_row_number = BigInteger().with_variant(Integer, "sqlite")
matters = Table(
    "matters",
    metadata,
    Column(
        "number", _row_number, primary_key=True, comment="Counts up and is never used again: the order of the index."
    ),
    _identifier("report_id", nullable=False, unique=True),
    Column("reporter", String(32), nullable=False, comment="Hash of the reporter's kind and address."),
    Column("at", BigInteger, nullable=False, comment="When the report was received."),
    Column("version", Integer, nullable=False, comment="Of the normaliser that made the sketch."),
    Column("sketch", LargeBinary, nullable=False, comment="The keys that near-duplicates are found by."),
    Column("words", Text, nullable=False, comment="The normalised text; the row goes with the report's text."),
    Column("keyword", Text, nullable=False),
    Column("length", Integer, nullable=False, comment="Characters of the text as it was written."),
    Index(None, "reporter", "number"),
    Index(None, "at"),
    sqlite_autoincrement=True,
    comment="What may be repeated: one row for each original report within dedup.window_days.",
)

files = Table(
    "files",
    metadata,
    _identifier("message_id", primary_key=True),
    Column("sha256", String(64), primary_key=True, comment="Of a file in store.files that the message speaks of."),
    Index(None, "sha256"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("external_id", String(255), primary_key=True, comment="Of an earlier version of an edited message."),
    _identifier("report_id", nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    _identifier("id", primary_key=True),
    Column("report_id", String(36), ForeignKey("reports.id"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("routing_key", String(64), nullable=False),
    Column("body", LargeBinary, comment="The event; emptied after store.keep_days."),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),
    Column("refusals", Integer, nullable=False, server_default="0"),
    Column("parked_at", BigInteger),
    Column("reason", Text),
    Column("erase", Boolean, nullable=False, server_default=false(), comment="Empty the body once it is confirmed."),
    UniqueConstraint("report_id", "sequence"),
)
_pending = outbox.c.confirmed_at.is_(None) & outbox.c.parked_at.is_(None)
Index("ix_outbox_pending", outbox.c.id, sqlite_where=_pending, postgresql_where=_pending)
PARKED = outbox.c.parked_at.is_not(None)
Index("ix_outbox_parked", outbox.c.id, sqlite_where=PARKED, postgresql_where=PARKED)

answers = Table(
    "answers",
    metadata,
    _identifier("id", primary_key=True),
    _identifier("message_id", nullable=False),
    _identifier("report_id"),
    Column("channel", String(63), nullable=False),
    Column("kind", String(16), nullable=False, comment="receipt, command, reply, or test"),
    Column("reply_id", String(64), nullable=False, server_default="", comment="Of the core's reply that it passes on."),
    Column("recipient", String(320)),
    Column("text", Text),
    Column(
        "state",
        String(16),
        nullable=False,
        comment="queued, sending, unsure, sent, delivered, failed, expired, unknown",
    ),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False, comment="Not tried before."),
    Column("sent_at", BigInteger),
    Column("delivered_at", BigInteger),
    Column("reason", Text),
    UniqueConstraint("message_id", "kind", "reply_id"),
    Index(None, "recipient", "created_at"),
    Index(None, "channel", "next_at"),
)
UNSENT = answers.c.state.in_([literal_column(f"'{state}'") for state in ("queued", "sending", "unsure")])
"""Stands word for word in every query for them: with values in its place SQLite does not use the index."""
Index("ix_answers_unsent", answers.c.channel, answers.c.id, sqlite_where=UNSENT, postgresql_where=UNSENT)
UNDELIVERED = answers.c.state.in_([literal_column(f"'{state}'") for state in ("failed", "expired", "unknown")])
"""What reached nobody, or perhaps nobody; word for word in every query, as above."""
Index("ix_answers_undelivered", answers.c.state, answers.c.id, sqlite_where=UNDELIVERED, postgresql_where=UNDELIVERED)

answer_parts = Table(
    "answer_parts",
    metadata,
    _identifier("answer_id", primary_key=True),
    Column("reference", String(64), primary_key=True, comment="What a delivery report names it by."),
    Column("channel", String(63), nullable=False),
    Column("outcome", String(16)),
    Column("sent_at", BigInteger, nullable=False),
    Index(None, "channel", "reference", "sent_at"),
)

replies = Table(
    "replies",
    metadata,
    Column("id", String(64), primary_key=True, comment="The core's own."),
    _identifier("report_id", nullable=False),
    Column("kind", String(16), nullable=False, comment="progress, question, closed"),
    Column("status", Text, comment="The report's state, in the core's words."),
    Column("received_at", BigInteger, nullable=False),
    Index(None, "report_id", "received_at"),
)

silenced = Table(
    "silenced",
    metadata,
    Column("reporter", String(32), primary_key=True, comment="Hash of the kind and address of one who wants no news."),
    Column("since", BigInteger, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    _identifier("id", primary_key=True),
    _identifier("message_id", nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("step", String(32), nullable=False),
    Column("detail", Text),
)

channels = Table(
    "channels",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("type", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("last_message_at", BigInteger),
    Column("details", Text, nullable=False, comment="JSON of the channel's own."),
    Column("updated_at", BigInteger, nullable=False),
)

channel_values = Table(
    "channel_values",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("name", String(63), primary_key=True),
    Column("value", Text, nullable=False, comment="What a channel keeps from one life to the next."),
)

gaps = Table(
    "gaps",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("path", String(32), primary_key=True, comment="Which of the channel's ways to its source."),
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger),
    Column("state", String(16), nullable=False, comment="open, closed, recovered, lost"),
    Column("reason", Text, nullable=False),
    Column("found", Integer, nullable=False, comment="Messages that came only another way."),
)

leases = Table(
    "leases",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("holder", String(63), nullable=False),
    Column("epoch", BigInteger, nullable=False, comment="Raised by each new holder; every write checks it."),
    Column("expires_at", BigInteger, nullable=False, comment="By the database's clock."),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("value", String(64), nullable=False, comment="How far something has come: an id, a time."),
)

rates = Table(
    "rates",
    metadata,
    Column("width", Integer, primary_key=True, autoincrement=False, comment="Seconds that it counts: 60, 300, 3600."),
    Column("since", BigInteger, primary_key=True, autoincrement=False, comment="Its first moment."),
    Column("channel", String(63), primary_key=True),
    Column("step", String(16), primary_key=True, comment="What is counted; listened is in seconds."),
    Column("count", BigInteger, nullable=False),
    comment="How many messages took each step: added up every few seconds, one row for each span of time.",
)

operators = Table(
    "operators",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("role", String(16), nullable=False, comment="viewer, operator"),
    Column("password", Text, comment="Argon2id; null for one who only comes through single sign-on."),
    Column("created_at", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True, comment="SHA-256 of what the browser holds."),
    Column("operator", String(63), ForeignKey("operators.name", ondelete="CASCADE"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index(None, "operator", "created_at"),
    Index(None, "created_at"),
)

audit = Table(
    "audit",
    metadata,
    _identifier("id", primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("operator", String(80), nullable=False, comment="Who."),
    Column("via", String(16), nullable=False, comment="console, proxy, local, terminal"),
    Column("action", String(32), nullable=False, comment="What."),
    Column("subject", String(80), nullable=False, comment="On what: an id, a name, a hashed key; never an address."),
    Column("reason", Text, nullable=False, comment="Why."),
    Index(None, "subject", "id"),
    Index(None, "operator", "id"),
)

blocked_senders = Table(
    "blocked_senders",
    metadata,
    Column("reporter", String(32), primary_key=True, comment="Hash of the kind and address."),
    Column("since", BigInteger, nullable=False),
    Column("operator", String(80), nullable=False),
    Column("reason", Text, nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("channel", String(63), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("operator", String(80), nullable=False),
    Column("reason", Text, nullable=False),
)
