"""What repeats are found by; the core's replies, and who wants no notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KINDS = "receipt, command, or reply"


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "matters",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="Counts up and is never used again: the order of the index.",
        ),
        sa.Column("report_id", sa.String(length=36), nullable=False),
        sa.Column("reporter", sa.String(length=32), nullable=False, comment="Hash of the reporter's kind and address."),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="When the report was received."),
        sa.Column("version", sa.Integer(), nullable=False, comment="Of the normaliser that made the sketch."),
        sa.Column("sketch", sa.LargeBinary(), nullable=False, comment="The keys that near-duplicates are found by."),
        sa.Column(
            "words", sa.Text(), nullable=False, comment="The normalised text; the row goes with the report's text."
        ),
        sa.Column("keyword", sa.Text(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False, comment="Characters of the text as it was written."),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_matters")),
        sa.UniqueConstraint("report_id", name=op.f("uq_matters_report_id")),
        sqlite_autoincrement=True,
        comment="What may be repeated: one row for each original report within dedup.window_days.",
    )
    op.create_index("ix_matters_reporter_number", "matters", ["reporter", "number"], unique=False)
    op.create_index("ix_matters_at", "matters", ["at"], unique=False)
    op.create_table(
        "replies",
        sa.Column("id", sa.String(length=64), nullable=False, comment="The core's own."),
        sa.Column("report_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="progress, question, closed"),
        sa.Column("status", sa.Text(), nullable=True, comment="The report's state, in the core's words."),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replies")),
    )
    op.create_index("ix_replies_report_id_received_at", "replies", ["report_id", "received_at"], unique=False)
    op.create_table(
        "silenced",
        sa.Column(
            "reporter",
            sa.String(length=32),
            nullable=False,
            comment="Hash of the kind and address of one who wants no news.",
        ),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reporter", name=op.f("pk_silenced")),
    )
    with op.batch_alter_table("answers", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "reply_id",
                sa.String(length=64),
                server_default="",
                nullable=False,
                comment="Of the core's reply that it passes on.",
            )
        )
        batch_op.alter_column("kind", comment=_KINDS, existing_type=sa.String(16), existing_nullable=False)
        batch_op.drop_constraint("uq_answers_message_id_kind", type_="unique")
        batch_op.create_unique_constraint("uq_answers_message_id_kind_reply_id", ["message_id", "kind", "reply_id"])
    op.create_index("ix_answers_recipient_created_at", "answers", ["recipient", "created_at"], unique=False)
    op.create_index("ix_answers_channel_next_at", "answers", ["channel", "next_at"], unique=False)
