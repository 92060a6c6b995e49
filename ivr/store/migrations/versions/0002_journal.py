"""What was given to a call's dialog, and the versions of plans that were published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ivr.store.schema import Document, UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "inputs",
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("index", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("body", Document),
        sa.PrimaryKeyConstraint("call_id", "index", name="pk_inputs"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_inputs_call_id_calls", ondelete="CASCADE"),
    )
    op.create_table(
        "plan_versions",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("files", Document),
        sa.PrimaryKeyConstraint("name", "version", name="pk_plan_versions"),
    )


def downgrade() -> None:
    op.drop_table("plan_versions")
    op.drop_table("inputs")
