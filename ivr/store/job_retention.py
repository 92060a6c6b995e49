"""What is kept of jobs that are over, and for how long: nothing but the chain of their evidence.

Works inside a transaction that it is given. Knows no rule of outbound calls.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from ivr.store.schema import evidence, jobs, suppressions

BATCH = 100


def purge(connection: sa.Connection, before: datetime) -> int:
    """Remove jobs that ended `before`, with their attempts, events, webhooks and evidence; returns how many.

    Of an evidence record its place and its hash stay, so that the chain goes on. Entries of the do-not-call list that
    ran out go as well. Bounded by `BATCH`.
    """
    old = sa.select(jobs.c.id).where(jobs.c.disposition_at < before).order_by(jobs.c.disposition_at).limit(BATCH)
    ids = list(connection.scalars(old.with_for_update(skip_locked=True)))
    connection.execute(sa.delete(suppressions).where(suppressions.c.expires_at < before))
    if ids:
        connection.execute(sa.update(evidence).where(evidence.c.job_id.in_(ids)).values(record="", job_id=""))
        connection.execute(sa.delete(jobs).where(jobs.c.id.in_(ids)))
    return len(ids)
