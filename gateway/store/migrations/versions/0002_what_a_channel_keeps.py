"""What a channel keeps from one life to the next, its gaps and its lease; held and withdrawn messages."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "aliases",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column(
            "external_id", sa.String(length=255), nullable=False, comment="Of an earlier version of an edited message."
        ),
        sa.Column("report_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("channel", "external_id", name=op.f("pk_aliases")),
    )
    op.create_table(
        "channel_values",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("value", sa.Text(), nullable=False, comment="What a channel keeps from one life to the next."),
        sa.PrimaryKeyConstraint("channel", "name", name=op.f("pk_channel_values")),
    )
    op.create_table(
        "files",
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column(
            "sha256",
            sa.String(length=64),
            nullable=False,
            comment="Of a file in store.files that the message speaks of.",
        ),
        sa.PrimaryKeyConstraint("message_id", "sha256", name=op.f("pk_files")),
    )
    op.create_index("ix_files_sha256", "files", ["sha256"], unique=False)
    op.create_table(
        "gaps",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("path", sa.String(length=32), nullable=False, comment="Which of the channel's ways to its source."),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False, comment="open, closed, recovered, lost"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False, comment="Messages that came only another way."),
        sa.PrimaryKeyConstraint("channel", "path", "since", name=op.f("pk_gaps")),
    )
    op.create_table(
        "leases",
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("holder", sa.String(length=63), nullable=False),
        sa.Column(
            "epoch", sa.BigInteger(), nullable=False, comment="Raised by each new holder; every write checks it."
        ),
        sa.Column("expires_at", sa.BigInteger(), nullable=False, comment="By the database's clock."),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_leases")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "accepted_at", sa.BigInteger(), nullable=True, comment="When an operator made a held message a report."
            )
        )

    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "erase",
                sa.Boolean(),
                server_default=sa.false(),
                nullable=False,
                comment="Empty the body once it is confirmed.",
            )
        )

    with op.batch_alter_table("reports", schema=None) as batch_op:
        batch_op.add_column(sa.Column("withdrawn_at", sa.BigInteger(), nullable=True, comment="Null while it stands."))

    op.execute(
        "UPDATE reports SET withdrawn_at = (SELECT outbox.created_at FROM outbox WHERE outbox.report_id = reports.id"
        " AND outbox.sequence = reports.sequence AND outbox.routing_key LIKE 'report.withdrawn.%')"
    )
    if op.get_bind().dialect.name == "postgresql":
        states = "queued, sending, unsure, sent, delivered, failed, expired, unknown"
        op.alter_column("answers", "state", comment=states, existing_type=sa.String(16), existing_nullable=False)
    unsent = sa.text("state IN ('queued', 'sending', 'unsure')")
    op.drop_index("ix_answers_unsent", table_name="answers")
    op.create_index(
        "ix_answers_unsent", "answers", ["channel", "id"], unique=False, sqlite_where=unsent, postgresql_where=unsent
    )
