"""What is read of the queue: a job, pages of them, their events, and what the rules need to say why one waits.

All methods belong to the asyncio thread and read in the store's readers; all raise Unavailable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from ivr.outbound.job import (
    Attempt,
    Callee,
    Event,
    Events,
    EvidenceRecord,
    Job,
    JobPage,
    Load,
    Pause,
    State,
    Suppression,
    SuppressionPage,
    Webhook,
)
from ivr.store import job_rows
from ivr.store.schema import UtcTime, evidence, job_events, jobs, suppressions, webhooks
from ivr.store.store import Store, decode_cursor, encode_cursor

_MOST_EVENTS = 2_000


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; None matches all."""

    kind: str | None = None
    client: str | None = None
    state: State | None = None
    policy: str | None = None
    phone: str | None = None
    contact: str | None = None
    disposition: str | None = None
    idempotency_key: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Surroundings:
    """A job and all that the rules look at."""

    job: Job
    attempts: tuple[Attempt, ...]
    callee: Callee
    load: Load


class JobPages:
    """Reads of the queue in `store`, which is open."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def job(self, job_id: str) -> Job | None:
        """One job; None when there is none."""
        row = await self._store.read(lambda c: job_rows.one(c, job_id))
        return job_rows.job_of(row) if row is not None else None

    async def page(self, cursor: str, limit: int, filters: JobFilter) -> JobPage:
        """Jobs, the newest first. Raises BadCursor."""
        query = sa.select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit + 1)
        for name in ("kind", "client", "state", "policy", "phone", "contact", "disposition", "idempotency_key"):
            if (value := getattr(filters, name)) is not None:
                query = query.where(jobs.c[name] == value)
        if filters.since is not None:
            query = query.where(jobs.c.created_at >= filters.since)
        if filters.until is not None:
            query = query.where(jobs.c.created_at < filters.until)
        if cursor:
            at, job_id = decode_cursor(cursor)
            before = sa.tuple_(sa.literal(at, UtcTime), sa.literal(job_id))
            query = query.where(sa.tuple_(jobs.c.created_at, jobs.c.id) < before)
        rows = await self._store.read(lambda c: c.execute(query).mappings().all())
        found = tuple(job_rows.job_of(row) for row in rows[:limit])
        last = encode_cursor(found[-1].created_at, found[-1].id) if len(rows) > limit else None
        return JobPage(jobs=found, next=last)

    async def events(self, job_id: str) -> Events:
        """Everything that happened to a job."""
        own = sa.select(job_events).where(job_events.c.job_id == job_id).order_by(job_events.c.seq).limit(_MOST_EVENTS)

        def read(connection: sa.Connection) -> Events:
            rows = connection.execute(own).mappings()
            happened = tuple(job_rows.record_of(r, Event, body=r["body"] or {}) for r in rows)
            return Events(job=job_id, events=happened, attempts=job_rows.attempts_of(connection, job_id))

        return await self._store.read(read)

    async def surroundings(self, job_id: str, trunk_of, now: datetime) -> Surroundings | None:
        """A job with what the rules need; `trunk_of` gives the trunk that a policy names. None: there is none."""

        def read(connection: sa.Connection) -> Surroundings | None:
            row = job_rows.one(connection, job_id)
            if row is None:
                return None
            job = job_rows.job_of(row)
            load = job_rows.loads(connection, [(job.policy, trunk_of(job.policy))])[job.policy]
            return Surroundings(
                job, job_rows.attempts_of(connection, job_id), job_rows.callee(connection, job, now), load
            )

        return await self._store.read(read)

    async def loads(self, policies: Iterable[tuple[str, str]]) -> dict[str, Load]:
        """What each policy is doing; `policies` as (name, the trunk it names or empty)."""
        return await self._store.read(lambda c: job_rows.loads(c, policies))

    async def pauses(self) -> tuple[Pause, ...]:
        """Every pause, that of everything first."""
        return await self._store.read(job_rows.paused)

    async def suppression(self, phone: str, policy: str, now: datetime) -> Suppression | None:
        """The entry of the do-not-call list that holds longest for a number; None when none holds."""
        return await self._store.read(lambda c: job_rows.suppression(c, phone, policy, now))

    async def suppressions(self, after: str, limit: int, phone: str | None) -> SuppressionPage:
        """The do-not-call list by id, entries after the id `after`."""
        query = sa.select(suppressions).where(suppressions.c.id > after).order_by(suppressions.c.id).limit(limit + 1)
        if phone is not None:
            query = query.where(suppressions.c.phone == phone)
        rows = await self._store.read(lambda c: c.execute(query).mappings().all())
        found = tuple(job_rows.record_of(row, Suppression) for row in rows[:limit])
        return SuppressionPage(suppressions=found, next=found[-1].id if len(rows) > limit else None)

    async def webhooks(self, job_id: str) -> tuple[Webhook, ...]:
        """The notifications of a job, in order."""
        own = sa.select(webhooks).where(webhooks.c.job_id == job_id).order_by(webhooks.c.seq)
        rows = await self._store.read(lambda c: c.execute(own).mappings().all())
        return tuple(job_rows.record_of(row, Webhook, job=row["job_id"]) for row in rows)

    async def evidence(self, job_id: str) -> EvidenceRecord | None:
        """What was testified of a job's outcome; None before it has one."""
        own = sa.select(evidence.c.record).where(evidence.c.job_id == job_id)
        text = await self._store.read(lambda c: c.scalar(own))
        return msgspec.json.decode(text, type=EvidenceRecord) if text else None

    async def waiting(self) -> tuple[dict[str, int], datetime | None]:
        """(jobs by state that are not final, the time since when the oldest due job waits)."""
        open_states = ("queued", "held", "claimed", "dialing", "in_call")
        count = sa.select(jobs.c.state, sa.func.count()).where(jobs.c.state.in_(open_states)).group_by(jobs.c.state)
        oldest = sa.select(sa.func.min(jobs.c.due_at)).where(jobs.c.state == "queued")
        return await self._store.read(lambda c: (dict(c.execute(count).tuples().all()), c.scalar(oldest)))
