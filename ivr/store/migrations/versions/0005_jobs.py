"""Outbound jobs: their attempts, events, webhooks and evidence, the do-not-call list, pauses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ivr.store.schema import Document, UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("client", sa.String(32), nullable=False),
        sa.Column("idempotency_key", sa.String(128), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("phone", sa.String(16), nullable=False),
        sa.Column("contact", sa.String(128), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("policy", sa.String(32), nullable=False),
        sa.Column("plan", sa.String(128), nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("not_before", UtcTime),
        sa.Column("due_at", UtcTime),
        sa.Column("held_by", sa.String(32)),
        sa.Column("retry_asked_at", UtcTime),
        sa.Column("cancel_asked_at", UtcTime),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("callback_url", sa.String(1024), nullable=False),
        sa.Column("body", Document),
        sa.Column("proof", sa.LargeBinary),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("disposition", sa.String(32)),
        sa.Column("disposition_at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_client_idempotency_key", "jobs", ["client", "idempotency_key"], unique=True)
    op.create_index("ix_jobs_state_policy_rank_due_at_id", "jobs", ["state", "policy", "rank", "due_at", "id"])
    op.create_index("ix_jobs_state_due_at_rank_id", "jobs", ["state", "due_at", "rank", "id"])
    op.create_index("ix_jobs_state_expires_at", "jobs", ["state", "expires_at"])
    op.create_index("ix_jobs_created_at_id", "jobs", ["created_at", "id"])
    op.create_index("ix_jobs_phone_created_at", "jobs", ["phone", "created_at"])
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("policy", sa.String(32), nullable=False),
        sa.Column("trunk", sa.String(32), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("contact", sa.String(192), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("server", sa.String(128), nullable=False),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("lease_until", UtcTime, nullable=False),
        sa.Column("answered_at", UtcTime),
        sa.Column("ended_at", UtcTime),
        sa.Column("outcome", sa.String(16)),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("detail", sa.String(512), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_attempts_job_id_jobs", ondelete="CASCADE"),
    )
    op.create_index("ix_attempts_job_id_fence", "attempts", ["job_id", "fence"])
    op.create_index("ix_attempts_number_started_at", "attempts", ["number", "started_at"])
    op.create_index("ix_attempts_contact_started_at", "attempts", ["contact", "started_at"])
    op.create_index("ix_attempts_policy_started_at", "attempts", ["policy", "started_at"])
    op.create_index("ix_attempts_policy_ended_at", "attempts", ["policy", "ended_at"])
    op.create_index("ix_attempts_trunk_started_at", "attempts", ["trunk", "started_at"])
    under_way = {"sqlite_where": sa.text("ended_at IS NULL"), "postgresql_where": sa.text("ended_at IS NULL")}
    op.create_index("ix_attempts_number_open", "attempts", ["number"], unique=True, **under_way)
    op.create_index("ix_attempts_lease_until_open", "attempts", ["lease_until"], **under_way)
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("body", Document),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_job_events"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_events_job_id_jobs", ondelete="CASCADE"),
    )
    op.create_table(
        "suppressions",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("phone", sa.String(16), nullable=False),
        sa.Column("policy", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_suppressions"),
    )
    op.create_index("ix_suppressions_phone", "suppressions", ["phone"])
    op.create_table(
        "pauses",
        sa.Column("policy", sa.String(32), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("by", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.PrimaryKeyConstraint("policy", name="pk_pauses"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("url", sa.String(1024), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("due_at", UtcTime, nullable=False),
        sa.Column("delivered_at", UtcTime),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_webhooks_job_id_jobs", ondelete="CASCADE"),
    )
    op.create_index("ix_webhooks_state_due_at", "webhooks", ["state", "due_at"])
    op.create_index("ix_webhooks_job_id_seq", "webhooks", ["job_id", "seq"])
    op.create_table(
        "evidence",
        sa.Column("server", sa.String(128), nullable=False),
        sa.Column("index", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("server", "index", name="pk_evidence"),
    )
    op.create_index("ix_evidence_job_id", "evidence", ["job_id"])


def downgrade() -> None:
    for table in ("evidence", "webhooks", "pauses", "suppressions", "job_events", "attempts", "jobs"):
        op.drop_table(table)
