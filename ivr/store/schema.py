"""The tables, as the newest migration leaves them, and the two column types of our own.

Knows nothing of connections or queries. A test compares it with what the migrations build.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)


class UtcTime(sa.types.TypeDecorator):
    """An aware datetime in whole milliseconds: `timestamptz` on PostgreSQL, sortable ISO-8601 text on SQLite."""

    impl = sa.String(24)
    cache_ok = True

    def load_dialect_impl(self, dialect):
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(24))

    def process_bind_param(self, value: datetime | None, dialect):
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without its zone")
        value = value.astimezone(UTC)
        value = value.replace(microsecond=value.microsecond // 1000 * 1000)
        return value if dialect.name == "postgresql" else iso(value)

    def process_result_value(self, value, dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else datetime.fromisoformat(value)


def iso(value: datetime) -> str:
    """UTC, milliseconds, `Z`: 24 characters that sort as the times do."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


Document = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
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
    sa.Index(None, "started_at", "id"),
    sa.Index(None, "purged_at", "ended_at"),
)

legs = sa.Table(
    "legs",
    metadata,
    sa.Column("call_id", sa.ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.String(64), primary_key=True),
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
)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("call_id", sa.ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
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
    sa.Column("review", sa.String(16)),
    sa.Column("model", sa.String(64)),
    sa.Index(None, "review"),
)

inputs = sa.Table(
    "inputs",
    metadata,
    sa.Column("call_id", sa.ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("body", Document),
)

plan_versions = sa.Table(
    "plan_versions",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("version", sa.String(128), primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("files", Document),
)

kb_entries = sa.Table(
    "kb_entries",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("change", sa.BigInteger, nullable=False),
    sa.Column("language", sa.String(16), nullable=False),
    sa.Column("hash", sa.String(32), nullable=False),
    sa.Column("removed", sa.Boolean, nullable=False),
    sa.Column("body", Document),
    sa.Index(None, "change"),
)

kb_versions = sa.Table(
    "kb_versions",
    metadata,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("removed", sa.Boolean, nullable=False),
    sa.Column("body", Document),
)

_UNDER_WAY = {"sqlite_where": sa.text("ended_at IS NULL"), "postgresql_where": sa.text("ended_at IS NULL")}

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
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
    sa.Index(None, "client", "idempotency_key", unique=True),
    sa.Index(None, "state", "policy", "rank", "due_at", "id"),
    sa.Index(None, "state", "due_at", "rank", "id"),
    sa.Index(None, "state", "expires_at"),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "phone", "created_at"),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
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
    sa.Index(None, "job_id", "fence"),
    sa.Index(None, "number", "started_at"),
    sa.Index(None, "contact", "started_at"),
    sa.Index(None, "policy", "started_at"),
    sa.Index(None, "policy", "ended_at"),
    sa.Index(None, "trunk", "started_at"),
    sa.Index("ix_attempts_number_open", "number", unique=True, **_UNDER_WAY),
    sa.Index("ix_attempts_lease_until_open", "lease_until", **_UNDER_WAY),
)

job_events = sa.Table(
    "job_events",
    metadata,
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("body", Document),
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("phone", sa.String(16), nullable=False),
    sa.Column("policy", sa.String(32), nullable=False),
    sa.Column("reason", sa.String(256), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Index(None, "phone"),
)

pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("policy", sa.String(32), primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("by", sa.String(32), nullable=False),
    sa.Column("reason", sa.String(256), nullable=False),
)

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
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
    sa.Index(None, "state", "due_at"),
    sa.Index(None, "job_id", "seq"),
)

evidence = sa.Table(
    "evidence",
    metadata,
    sa.Column("server", sa.String(128), primary_key=True),
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("job_id", sa.String(40), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.Index(None, "job_id"),
)

WORDS = ("said", "heard", "alternatives", "value", "answer", "keys")
