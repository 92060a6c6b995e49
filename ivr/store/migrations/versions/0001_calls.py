"""Calls, legs and turns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ivr.store.schema import Document, UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("server", sa.String(128), nullable=False),
        sa.Column("direction", sa.String(3), nullable=False),
        sa.Column("number", sa.String(128), nullable=False),
        sa.Column("caller", sa.String(128), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("plan", sa.String(128), nullable=False),
        sa.Column("plan_version", sa.String(128), nullable=False),
        sa.Column("sip_call_id", sa.String(256), nullable=False),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("trunk", sa.String(64), nullable=False),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
        sa.Column("cause", sa.String(32)),
        sa.Column("ended_by", sa.String(8)),
        sa.Column("reason", sa.String(512)),
        sa.Column("outcome", sa.String(128)),
        sa.Column("recording", sa.String(256)),
        sa.Column("purged_at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
    )
    op.create_index("ix_calls_started_at_id", "calls", ["started_at", "id"])
    op.create_index("ix_calls_purged_at_ended_at", "calls", ["purged_at", "ended_at"])
    op.create_table(
        "legs",
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("direction", sa.String(3)),
        sa.Column("address", sa.String(256)),
        sa.Column("started_at", UtcTime),
        sa.Column("answered_at", UtcTime),
        sa.Column("ended_at", UtcTime),
        sa.Column("cause", sa.String(32)),
        sa.Column("ended_by", sa.String(8)),
        sa.Column("code", sa.Integer),
        sa.Column("reason", sa.String(512)),
        sa.Column("codec", sa.String(32)),
        sa.Column("quality", Document),
        sa.PrimaryKeyConstraint("call_id", "id", name="pk_legs"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_legs_call_id_calls", ondelete="CASCADE"),
    )
    op.create_table(
        "turns",
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("index", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("step", sa.String(128), nullable=False),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("language", sa.String(16)),
        sa.Column("said", Document),
        sa.Column("heard", sa.Text),
        sa.Column("alternatives", Document),
        sa.Column("confidence", sa.Float),
        sa.Column("engine", sa.String(128)),
        sa.Column("value", sa.Text),
        sa.Column("intent", sa.String(128)),
        sa.Column("answer", sa.Text),
        sa.Column("source", sa.String(256)),
        sa.Column("keys", sa.String(128)),
        sa.Column("rejected", sa.String(32)),
        sa.Column("sensitive", sa.Boolean, nullable=False),
        sa.Column("latency", Document),
        sa.PrimaryKeyConstraint("call_id", "index", name="pk_turns"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_turns_call_id_calls", ondelete="CASCADE"),
    )


def downgrade() -> None:
    op.drop_table("turns")
    op.drop_table("legs")
    op.drop_table("calls")
