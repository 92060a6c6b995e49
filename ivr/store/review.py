"""Utterances of calls that a trainer should look at, out of the turns. The room's SQL for them.

They are there as long as the words of their calls are kept, and without what was masked. Belongs to the asyncio thread.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from ivr.store.records import Review
from ivr.store.schema import calls, turns
from ivr.store.store import Store


class Utterance(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller said, in which call and step, and why it should be looked at. `caller` is their number."""

    call: str
    index: int
    at: datetime
    caller: str
    step: str
    text: str
    why: Review


async def utterances(store: Store, plan: str, language: str, limit: int) -> list[Utterance]:
    """The latest utterances for review in calls of a plan, newest first. Raises Unavailable."""
    query = (
        sa.select(turns, calls.c.caller)
        .join(calls, calls.c.id == turns.c.call_id)
        .where(turns.c.review.is_not(None), turns.c.heard.is_not(None), calls.c.plan == plan)
        .where(turns.c.language == language)
        .order_by(turns.c.started_at.desc(), turns.c.call_id, turns.c.index)
        .limit(limit)
    )
    rows = await store.read(lambda c: c.execute(query).mappings().all())
    return [
        Utterance(call=r["call_id"], index=r["index"], at=r["started_at"], caller=r["caller"], step=r["step"],
                  text=r["heard"], why=r["review"])
        for r in rows
    ]  # fmt: skip
