"""The entries of the knowledge base and their versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ivr.store.schema import Document, UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "kb_entries",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(32), nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("body", Document),
        sa.PrimaryKeyConstraint("id", name="pk_kb_entries"),
    )
    op.create_index("ix_kb_entries_change", "kb_entries", ["change"])
    op.create_table(
        "kb_versions",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("body", Document),
        sa.PrimaryKeyConstraint("id", "version", name="pk_kb_versions"),
    )


def downgrade() -> None:
    op.drop_table("kb_versions")
    op.drop_table("kb_entries")
