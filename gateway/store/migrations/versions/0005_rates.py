"""How many messages took each step in each span of time; indexes for what the console counts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UNDELIVERED = sa.text("state IN ('failed', 'expired', 'unknown')")
_PARKED = sa.text("parked_at IS NOT NULL")


def upgrade() -> None:
    """Applies the change."""
    op.create_table(
        "rates",
        sa.Column(
            "width",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="Seconds that it counts: 60, 300, 3600.",
        ),
        sa.Column("since", sa.BigInteger(), autoincrement=False, nullable=False, comment="Its first moment."),
        sa.Column("channel", sa.String(length=63), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False, comment="What is counted; listened is in seconds."),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("width", "since", "channel", "step", name=op.f("pk_rates")),
        comment="How many messages took each step: added up every few seconds, one row for each span of time.",
    )
    op.create_index("ix_outbox_parked", "outbox", ["id"], unique=False, sqlite_where=_PARKED, postgresql_where=_PARKED)
    op.create_index(
        "ix_answers_undelivered",
        "answers",
        ["state", "id"],
        unique=False,
        sqlite_where=_UNDELIVERED,
        postgresql_where=_UNDELIVERED,
    )
