"""Operators, their sessions and their audit log; blocked senders, paused channels; who wrote each message, hashed."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_AT_ONCE = 1000


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "operators",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False, comment="viewer, operator"),
        sa.Column(
            "password",
            sa.Text(),
            nullable=True,
            comment="Argon2id; null for one who only comes through single sign-on.",
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_operators")),
    )
    op.create_table(
        "sessions",
        sa.Column("token", sa.String(length=64), nullable=False, comment="SHA-256 of what the browser holds."),
        sa.Column("operator", sa.String(length=63), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator"], ["operators.name"], name=op.f("fk_sessions_operator"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_operator_created_at", "sessions", ["operator", "created_at"], unique=False)
    op.create_index("ix_sessions_created_at", "sessions", ["created_at"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("operator", sa.String(length=80), nullable=False, comment="Who."),
        sa.Column("via", sa.String(length=16), nullable=False, comment="console, proxy, local, terminal"),
        sa.Column("action", sa.String(length=32), nullable=False, comment="What."),
        sa.Column(
            "subject",
            sa.String(length=80),
            nullable=False,
            comment="On what: an id, a name, a hashed key; never an address.",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_subject_id", "audit", ["subject", "id"], unique=False)
    op.create_index("ix_audit_operator_id", "audit", ["operator", "id"], unique=False)
    _create_orders(
        "blocked_senders", sa.Column("reporter", sa.String(32), nullable=False, comment="Hash of the kind and address.")
    )
    _create_orders("pauses", sa.Column("channel", sa.String(length=63), nullable=False))
    if op.get_bind().dialect.name == "postgresql":
        kinds = "receipt, command, reply, or test"
        op.alter_column("answers", "kind", comment=kinds, existing_type=sa.String(16), existing_nullable=False)
    comment = "Hash of the kind and address of whoever wrote it; set by the decision."
    op.add_column("messages", sa.Column("reporter", sa.String(length=32), nullable=True, comment=comment))
    _tell_who_wrote()
    known = sa.text("reporter IS NOT NULL")
    op.create_index(
        "ix_messages_reporter",
        "messages",
        ["reporter", "id"],
        unique=False,
        sqlite_where=known,
        postgresql_where=known,
    )


def _create_orders(table: str, key: "sa.Column[str]") -> None:
    """A table of what operators have ordered to stay like that: of what, since when, by whom, why."""
    op.create_table(
        table,
        key,
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("operator", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(key.name, name=op.f(f"pk_{table}")),
    )


def _tell_who_wrote() -> None:
    """Messages that belong to a report were written by its reporter."""
    connection, last = op.get_bind(), ""
    page = sa.text("SELECT id, body FROM reports WHERE id > :last AND body IS NOT NULL ORDER BY id LIMIT :limit")
    stamp = sa.text("UPDATE messages SET reporter = :reporter WHERE report_id = :report")
    while rows := connection.execute(page, {"last": last, "limit": _AT_ONCE}).all():
        connection.execute(stamp, [{"report": row.id, "reporter": _key(row.body)} for row in rows])
        last = rows[-1].id


def _key(body: bytes) -> str | None:
    reporter = json.loads(bytes(body))["reporter"]
    if not reporter["address"]:
        return None  # nobody: a key for all of them would make them one sender
    named = f"{reporter['kind']}:{reporter['address']}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(named, digest_size=16).hexdigest()
