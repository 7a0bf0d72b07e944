"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "answer_parts",
        sa.Column("answer_id", sa.String(length=36), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False, comment="What a delivery report names it by."),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("answer_id", "reference", name=op.f("pk_answer_parts")),
    )
    with op.batch_alter_table("answer_parts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_answer_parts_channel_reference_sent_at"), ["channel", "reference", "sent_at"], unique=False
        )

    op.create_table(
        "answers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("report_id", sa.String(length=36), nullable=True),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column(
            "state",
            sa.String(length=16),
            nullable=False,
            comment="queued, sending, sent, delivered, failed, expired, unknown",
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False, comment="Not tried before."),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("message_id", "kind", name=op.f("uq_answers_message_id_kind")),
    )
    with op.batch_alter_table("answers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_answers_unsent",
            ["channel", "id"],
            unique=False,
            sqlite_where=sa.text("state IN ('queued', 'sending')"),
            postgresql_where=sa.text("state IN ('queued', 'sending')"),
        )

    op.create_table(
        "channels",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("last_message_at", sa.BigInteger(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False, comment="JSON of the channel's own."),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channels")),
    )
    op.create_table(
        "fragment_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column(
            "key", sa.String(length=32), nullable=False, comment="Hash over sender, reference, its width, and total."
        ),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "due_at",
            sa.BigInteger(),
            nullable=True,
            comment="When it is published as incomplete; null once it is decided.",
        ),
        sa.Column("report_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fragment_groups")),
    )
    with op.batch_alter_table("fragment_groups", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_fragment_groups_channel_key_opened_at"), ["channel", "key", "opened_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_fragment_groups_due_at"), ["due_at"], unique=False)

    op.create_table(
        "ledger",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    with op.batch_alter_table("ledger", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ledger_message_id"), ["message_id"], unique=False)

    op.create_table(
        "messages",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("channel_type", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column(
            "order_key", sa.String(length=32), nullable=False, comment="Hash: equal keys are processed in order."
        ),
        sa.Column("raw", sa.LargeBinary(), nullable=True, comment="The evidence; emptied after store.keep_days."),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("report_id", sa.String(length=36), nullable=True),
        sa.Column("processed_at", sa.BigInteger(), nullable=True),
        sa.Column(
            "deaths",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Deaths of the process with it alone in hand.",
        ),
        sa.Column("group_id", sa.String(length=36), nullable=True, comment="The fragment group of a part."),
        sa.Column("part_number", sa.Integer(), nullable=True),
        sa.Column(
            "part_content",
            sa.String(length=32),
            nullable=True,
            comment="Hash: the same number with other content opens another group.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("channel", "external_id", name=op.f("uq_messages_channel_external_id")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(
            "ix_messages_group",
            ["group_id"],
            unique=False,
            sqlite_where=sa.text("group_id IS NOT NULL"),
            postgresql_where=sa.text("group_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_messages_open",
            ["state", "id"],
            unique=False,
            sqlite_where=sa.text("state != 'processed'"),
            postgresql_where=sa.text("state != 'processed'"),
        )
        batch_op.create_index(
            "ix_messages_order",
            ["order_key", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'received'"),
            postgresql_where=sa.text("state = 'received'"),
        )
        batch_op.create_index(
            "ix_messages_report",
            ["report_id"],
            unique=False,
            sqlite_where=sa.text("report_id IS NOT NULL"),
            postgresql_where=sa.text("report_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_messages_unprocessed",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state = 'received'"),
            postgresql_where=sa.text("state = 'received'"),
        )

    op.create_table(
        "reports",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tracking_id", sa.String(length=10), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True, comment="The canonical report as JSON, as last published."),
        sa.Column("sequence", sa.Integer(), nullable=False, comment="Of its newest event."),
        sa.Column("duplicate_of", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    with op.batch_alter_table("reports", schema=None) as batch_op:
        batch_op.create_index(
            "uq_reports_tracking_id",
            ["tracking_id"],
            unique=True,
            sqlite_where=sa.text("duplicate_of IS NULL"),
            postgresql_where=sa.text("duplicate_of IS NULL"),
        )

    op.create_table(
        "watermarks",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False, comment="How far something has come: an id, a time."),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_watermarks")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("report_id", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("routing_key", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True, comment="The event; emptied after store.keep_days."),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("refusals", sa.Integer(), server_default="0", nullable=False),
        sa.Column("parked_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name=op.f("fk_outbox_report_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("report_id", "sequence", name=op.f("uq_outbox_report_id_sequence")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_pending",
            ["id"],
            unique=False,
            sqlite_where=sa.text("confirmed_at IS NULL AND parked_at IS NULL"),
            postgresql_where=sa.text("confirmed_at IS NULL AND parked_at IS NULL"),
        )
