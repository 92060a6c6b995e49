"""Claiming a job to dial: in one transaction the attempt is written, before any INVITE.

Jobs wait in two states. `queued` ones are looked at by priority, then by time; `held` ones become queued when what
held them is over. Limits of policies are asked first, so that a hundred thousand jobs of a policy that may not dial now
cost nothing. On PostgreSQL claims follow one another (an advisory lock), or two servers could both see one free line;
rows that the API is writing are passed over. Knows no rule: `Deciding` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from ivr.outbound.job import WAITING, Attempt, Claim, Idle, Job, Load
from ivr.store import job_rows
from ivr.store.job_ends import Ending
from ivr.store.schema import UtcTime, attempts, jobs

PROMOTED = 100
"""Held jobs whose time has come that one claim makes queued."""
LOOKED_AT = 40
"""Jobs that one claim decides about; with more the next claim goes on."""
_LOCK = 0x1B7CA117
_KNOWN = sa.select(attempts).where(attempts.c.id == sa.bindparam("attempt"))
_DUE = (
    sa.select(jobs.c.id)
    .where(jobs.c.state == "held", jobs.c.due_at <= sa.bindparam("now", type_=UtcTime))
    .order_by(jobs.c.due_at, jobs.c.rank, jobs.c.id)
    .limit(PROMOTED)
    .with_for_update(skip_locked=True)
)
_FIRST = (
    sa.select(jobs.c.rank, jobs.c.due_at, jobs.c.id)
    .where(jobs.c.state == "queued", jobs.c.policy == sa.bindparam("policy"))
    .order_by(jobs.c.rank, jobs.c.due_at, jobs.c.id)
    .limit(LOOKED_AT)
)
_STILL_QUEUED = (
    sa.select(jobs).where(jobs.c.id == sa.bindparam("job"), jobs.c.state == "queued").with_for_update(skip_locked=True)
)
_CLAIM = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job"))
    .values(state="claimed", fence=sa.bindparam("to_fence"), attempts=sa.bindparam("to_attempts"), held_by=None)
)
_ADD_ATTEMPT = sa.insert(attempts)


def claim(
    connection: sa.Connection, ending: Ending, attempt_id: str, lease: timedelta, now: datetime,
    held: Set[str] = frozenset(),
) -> Claim | Idle:  # fmt: skip
    """The first job that may ring now, claimed for `ending.server` as attempt `attempt_id`; Idle when there is none.

    `held`: attempts that the caller knows to be alive.
    Safe to run twice with the same id: what the first run claimed is given again.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    known = connection.execute(_KNOWN, {"attempt": attempt_id}).mappings().one_or_none()
    if known is not None:
        row = job_rows.one(connection, known["job_id"])
        job = job_rows.job_of(row)
        failed = job_rows.callee(connection, job, now).failed_proofs
        return Claim(job=job, attempt=job_rows.attempt_of(known), proof=row["proof"], failed_proofs=failed)
    ending.dead(connection, now, held)
    _promote(connection, now)
    rules = ending.rules
    load = job_rows.loads(connection, [(name, rules.trunk_of(name)) for name in rules.policies])
    gates = {name: rules.gates(name, load[name], now) for name in rules.policies}
    free = [name for name in rules.policies if not gates[name]]
    for job_id in _candidates(connection, free)[:LOOKED_AT]:
        row = _locked(connection, job_id)
        if row is None:
            continue
        job = job_rows.job_of(row)
        own = job_rows.attempts_of(connection, job.id)
        callee = job_rows.callee(connection, job, now)
        decision = rules.decide(job, own, callee, Load(), now)
        if decision.action == "dial":
            claim = _take(connection, ending, row, attempt_id, lease, now)
            return msgspec.structs.replace(claim, failed_proofs=callee.failed_proofs)
        if decision.action == "end":
            ending.job_over(connection, job, decision.disposition, decision.words, now)
        else:
            ending.wait(connection, job, decision, now)
    return Idle(next_at=_next(connection, gates, free, now))


def claim_back(
    connection: sa.Connection, ending: Ending, attempt_id: str, lease: timedelta, now: datetime, caller: str, plan: str
) -> Claim | None:
    """The latest job of `plan` that waits to ring `caller`, claimed as `claim` does, whatever holds it from ringing.

    None as well while the number is being rung, and when callers from it have used up their answers. What ends a job
    without ringing ends it here. Safe to run twice with the same id.
    """
    digits = caller.removeprefix("+").removeprefix("00")
    wanted = (
        sa.select(jobs)
        .where(jobs.c.phone == f"+{digits}", jobs.c.plan == plan, jobs.c.state.in_(WAITING), jobs.c.expires_at > now)
        .order_by(jobs.c.created_at.desc(), jobs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    known = connection.execute(_KNOWN, {"attempt": attempt_id}).mappings().one_or_none()
    row = job_rows.one(connection, known["job_id"]) if known else connection.execute(wanted).mappings().one_or_none()
    if row is None:
        return None
    job = job_rows.job_of(row)
    failed = job_rows.callers_failed(connection, job.phone, now)
    if known is not None:
        return Claim(job=job, attempt=job_rows.attempt_of(known), proof=row["proof"], failed_proofs=failed)
    callee = job_rows.callee(connection, job, now)
    if callee.open_until is not None or ending.rules.answers_left(job.policy, failed) == 0:
        return None
    decision = ending.rules.decide(job, job_rows.attempts_of(connection, job.id), callee, Load(), now)
    if decision.action == "end":
        ending.job_over(connection, job, decision.disposition, decision.words, now)
        return None
    claim = _take(connection, ending, row, attempt_id, lease, now, {"called_back": True})
    return msgspec.structs.replace(claim, failed_proofs=failed)


def _promote(connection: sa.Connection, now: datetime) -> None:
    """Held jobs whose time has come are queued, those first that have waited longest."""
    ids = list(connection.scalars(_DUE, {"now": now}))
    if ids:
        connection.execute(sa.update(jobs).where(jobs.c.id.in_(ids)).values(state="queued", held_by=None))


def _candidates(connection: sa.Connection, policies: list[str]) -> list[str]:
    """Ids of queued jobs of these policies, in the order they are to ring; read from the index alone."""
    found: list[tuple] = []
    for policy in policies:
        found += connection.execute(_FIRST, {"policy": policy}).tuples()
    return [job_id for _, _, job_id in sorted(found)]


def _locked(connection: sa.Connection, job_id: str) -> sa.RowMapping | None:
    """A job that is still queued and that nobody else is writing."""
    return connection.execute(_STILL_QUEUED, {"job": job_id}).mappings().one_or_none()


def _take(connection: sa.Connection, ending: Ending, row: sa.RowMapping, attempt_id: str, lease: timedelta,
          now: datetime, more: Mapping[str, bool] | None = None) -> Claim:  # fmt: skip
    job = _claimed(job_rows.job_of(row))
    connection.execute(_CLAIM, {"job": job.id, "to_fence": job.fence, "to_attempts": job.attempts})
    attempt = Attempt(
        id=attempt_id, job=job.id, number=job.phone, fence=job.fence, server=ending.server, started_at=now,
        lease_until=now + lease,
    )  # fmt: skip
    written = {
        "id": attempt_id, "job_id": job.id, "policy": job.policy, "trunk": ending.rules.trunk_of(job.policy),
        "number": job.phone, "contact": job_rows.contact_key(job), "fence": job.fence, "server": ending.server,
        "started_at": now, "lease_until": attempt.lease_until, "call_id": "", "detail": "",
    }  # fmt: skip
    connection.execute(_ADD_ATTEMPT, written)
    job_rows.add_event(
        connection, job.id, now, "claimed", {"attempt": attempt_id, "server": ending.server, **(more or {})}
    )
    return Claim(job=job, attempt=attempt, proof=row["proof"])


def _claimed(job: Job) -> Job:
    changes = {"state": "claimed", "fence": job.fence + 1, "attempts": job.attempts + 1, "held_by": None}
    return msgspec.structs.replace(job, **changes)


def _next(connection: sa.Connection, gates: dict, free: list[str], now: datetime) -> datetime | None:
    """When something may change by itself: a gate opens, a held job's time comes, or more wait to be looked at."""
    more = sa.select(jobs.c.id).where(jobs.c.state == "queued", jobs.c.policy.in_(free)).limit(1)
    if free and connection.scalar(more) is not None:
        return now
    times = [max(hold.until for hold in holds) for holds in gates.values() if holds and all(h.until for h in holds)]
    held = connection.scalar(sa.select(sa.func.min(jobs.c.due_at)).where(jobs.c.state == "held"))
    return min((*times, *((held,) if held else ())), default=None)
