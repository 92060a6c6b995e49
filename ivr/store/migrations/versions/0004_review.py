"""Turns that a trainer should look at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("turns", sa.Column("review", sa.String(16)))
    op.create_index("ix_turns_review", "turns", ["review"])


def downgrade() -> None:
    op.drop_index("ix_turns_review", "turns")
    op.drop_column("turns", "review")
