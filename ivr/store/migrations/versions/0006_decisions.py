"""Which model of intents decided a turn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("turns", sa.Column("model", sa.String(64)))


def downgrade() -> None:
    op.drop_column("turns", "model")
