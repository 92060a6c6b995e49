"""Notifications waiting to be delivered. They are written with what they tell (`job_ends`); here they are taken, marked
and put back.

Taking one moves its time on, so that another server, or this one after a crash, has it again when nobody said what came
of it. All methods belong to the asyncio thread and raise Unavailable. Knows nothing of HTTP.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from ivr.outbound.job import Webhook
from ivr.store import job_rows
from ivr.store.schema import webhooks
from ivr.store.store import Store, clean

TAKEN_FOR = timedelta(seconds=90)
"""A delivery that nobody has spoken of for so long is taken again: longer than any back end may take."""


class Outbox:
    """The notifications in `store`, which is open."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def take(self, most: int, now: datetime) -> list[Webhook]:
        """Due notifications, the longest waiting first; each is the taker's for `TAKEN_FOR`."""
        due = (
            sa.select(webhooks)
            .where(webhooks.c.state == "pending", webhooks.c.due_at <= now)
            .order_by(webhooks.c.due_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )

        def run(connection: sa.Connection) -> list[Webhook]:
            rows = connection.execute(due).mappings().all()
            ids = [row["id"] for row in rows]
            taken = {"due_at": now + TAKEN_FOR, "tries": webhooks.c.tries + 1}
            connection.execute(sa.update(webhooks).where(webhooks.c.id.in_(ids)).values(taken))
            return [job_rows.record_of(row, Webhook, job=row["job_id"], tries=row["tries"] + 1) for row in rows]

        if await self._store.read(lambda c: c.scalar(sa.select(sa.exists(due.with_only_columns(webhooks.c.id))))):
            return await self._store.write("webhooks", run)
        return []

    async def delivered(self, webhook: Webhook, now: datetime) -> None:
        """It arrived."""
        await self._mark(webhook, {"state": "delivered", "delivered_at": now, "reason": ""})

    async def put_off(self, webhook: Webhook, due_at: datetime | None, reason: str) -> None:
        """It did not arrive: again at `due_at`, never when None."""
        changes = {"state": "failed"} if due_at is None else {"due_at": due_at}
        await self._mark(webhook, changes | {"reason": clean(reason, 256)})

    async def redeliver(self, job_id: str, now: datetime) -> int:
        """Send what a job had to tell once more, the latest of it: its outcome when it has one. How many."""
        latest = sa.select(sa.func.max(webhooks.c.seq)).where(webhooks.c.job_id == job_id).scalar_subquery()
        own = sa.update(webhooks).where(webhooks.c.job_id == job_id, webhooks.c.seq == latest)
        again = own.values(state="pending", due_at=now, tries=0, delivered_at=None, reason="")
        return await self._store.write("redeliver", lambda c: c.execute(again).rowcount)

    async def undelivered(self) -> int:
        """How many wait or were given up."""
        query = sa.select(sa.func.count()).where(webhooks.c.state.in_(("pending", "failed")))
        return await self._store.read(lambda c: c.scalar(query))

    async def _mark(self, webhook: Webhook, changes: dict) -> None:
        """Only while it is pending still: an outcome may have superseded it meanwhile."""
        own = sa.update(webhooks).where(webhooks.c.id == webhook.id, webhooks.c.state == "pending").values(changes)
        await self._store.write("webhook", lambda c: c.execute(own).rowcount)
