"""Runs the migrations on the connection that `ivr.store.database.migrate` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from ivr.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
