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

WORDS = ("said", "heard", "alternatives", "value", "answer", "keys")
