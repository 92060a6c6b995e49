"""Jobs, attempts and what surrounds them, between rows and records: the reads that transactions and pages share.

Every function works inside a transaction that it is given. Knows no rule of outbound calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from ivr.outbound.job import Attempt, Callee, Ended, Job, Load, NewJob, Pause, Suppression
from ivr.store.schema import UtcTime, attempts, job_events, jobs, pauses, suppressions

MOST_PRIORITY = 9
DAY = timedelta(hours=24)
FAILED_PROOFS = "failed_proofs"
"""The event of a call in which so many `answers` proved nothing."""
CALLERS_FAILED = "caller_failed_proofs"
"""The same by somebody who rang us: counted apart, so that a stranger who shows the number uses up nothing."""
_MOST_ATTEMPTS = 1_000
_MOST_ENDED = 100
T = TypeVar("T", bound=msgspec.Struct)

# A claim reads with these each time; made once, a statement costs a third of what it costs to make.
_OWN_ATTEMPTS = sa.select(attempts).where(attempts.c.job_id == sa.bindparam("job")).order_by(attempts.c.fence)
_UNDER_WAY = (
    sa.select(attempts.c.policy, attempts.c.trunk, sa.func.count())
    .where(attempts.c.ended_at.is_(None))
    .group_by(attempts.c.policy, attempts.c.trunk)
)
_LATEST = sa.select(sa.func.max(attempts.c.started_at))
_LATEST_OF_POLICY = _LATEST.where(attempts.c.policy == sa.bindparam("policy"))
_LATEST_OF_TRUNK = _LATEST.where(attempts.c.trunk == sa.bindparam("trunk"))
_ENDED = (
    sa.select(attempts.c.job_id.label("job"), attempts.c.ended_at, attempts.c.outcome)
    .where(attempts.c.policy == sa.bindparam("policy"), attempts.c.ended_at.is_not(None))
    .order_by(attempts.c.ended_at.desc())
    .limit(_MOST_ENDED)
)
_PAUSES = sa.select(pauses).order_by(pauses.c.policy)
_RECENT = (
    sa.select(attempts.c.started_at, attempts.c.ended_at, attempts.c.lease_until)
    .where(attempts.c.started_at > sa.bindparam("since", type_=UtcTime))
    .order_by(attempts.c.started_at.desc())
    .limit(_MOST_ATTEMPTS)
)
_TO_NUMBER = _RECENT.where(attempts.c.number == sa.bindparam("number"))
_TO_CONTACT = _RECENT.where(attempts.c.contact == sa.bindparam("contact"))
_PROOFS_FAILED = sa.select(job_events.c.body).where(
    job_events.c.kind == FAILED_PROOFS,
    job_events.c.at > sa.bindparam("since", type_=UtcTime),
    job_events.c.job_id.in_(
        sa.select(attempts.c.job_id).where(
            attempts.c.started_at > sa.bindparam("since", type_=UtcTime),
            sa.or_(
                attempts.c.number == sa.bindparam("number"),
                sa.and_(attempts.c.contact != "", attempts.c.contact == sa.bindparam("contact")),
            ),
        )
    ),
)
_CALLERS_FAILED = (
    sa.select(job_events.c.body)
    .join(jobs, jobs.c.id == job_events.c.job_id)
    .where(
        jobs.c.phone == sa.bindparam("number"),
        job_events.c.kind == CALLERS_FAILED,
        job_events.c.at > sa.bindparam("since", type_=UtcTime),
    )
)
_SUPPRESSIONS = sa.select(suppressions).where(
    suppressions.c.phone == sa.bindparam("phone"),
    suppressions.c.policy.in_(("", sa.bindparam("policy"))),
    sa.or_(suppressions.c.expires_at.is_(None), suppressions.c.expires_at > sa.bindparam("now", type_=UtcTime)),
)
_COUNT_EVENT = (
    sa.update(jobs).where(jobs.c.id == sa.bindparam("job")).values(events=jobs.c.events + 1).returning(jobs.c.events)
)
_ADD_EVENT = sa.insert(job_events)


def job_of(row: Mapping[str, Any]) -> Job:
    """A row of `jobs`."""
    return record_of(row, Job, priority=MOST_PRIORITY - row["rank"], body=row["body"] or {})


def attempt_of(row: Mapping[str, Any]) -> Attempt:
    """A row of `attempts`."""
    return record_of(row, Attempt, job=row["job_id"], call=row["call_id"])


def record_of(row: Mapping[str, Any], kind: type[T], **changed: Any) -> T:
    """The columns of a row that a record has."""
    names = kind.__struct_fields__
    return msgspec.convert({n: changed[n] if n in changed else row[n] for n in names}, kind)


def row_of(new: NewJob) -> dict[str, Any]:
    """All columns of a job that is to be created."""
    fields = msgspec.structs.asdict(new.job)
    rank = MOST_PRIORITY - fields.pop("priority")
    return fields | {"rank": rank, "request_hash": new.request_hash, "proof": new.proof, "events": 1}


def contact_key(job: Job) -> str:
    """The contact of a job among those of all clients; empty when it has none."""
    return f"{job.client}/{job.contact}" if job.contact else ""


def one(connection: sa.Connection, job_id: str, lock: bool = False) -> sa.RowMapping | None:
    """The row of a job; with `lock` nobody else writes it before this transaction is over."""
    query = sa.select(jobs).where(jobs.c.id == job_id)
    return connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()


def attempts_of(connection: sa.Connection, job_id: str) -> tuple[Attempt, ...]:
    """The attempts of a job, in order."""
    return tuple(attempt_of(row) for row in connection.execute(_OWN_ATTEMPTS, {"job": job_id}).mappings())


def add_event(
    connection: sa.Connection, job_id: str, now: datetime, kind: str, body: Mapping[str, Any] | None = None
) -> int:
    """Write what happened to a job, whose row this transaction holds; gives the number it got."""
    seq = connection.execute(_COUNT_EVENT, {"job": job_id}).scalar_one()
    row = {"job_id": job_id, "seq": seq, "at": now, "kind": kind, "body": dict(body or {})}
    connection.execute(_ADD_EVENT, row)
    return seq


def loads(connection: sa.Connection, policies: Iterable[tuple[str, str]]) -> dict[str, Load]:
    """What each policy is doing. `policies`: (name, the trunk it names or empty)."""
    open_now = connection.execute(_UNDER_WAY).all()
    stopped = {p.policy: p for p in paused(connection)}
    found = {}
    for name, trunk in policies:
        pause = stopped.get("") or stopped.get(name)
        found[name] = Load(
            open=sum(n for policy, _, n in open_now if policy == name),
            trunk_open=sum(n for _, on, n in open_now if trunk and on == trunk),
            all_open=sum(n for _, _, n in open_now),
            started_at=connection.scalar(_LATEST_OF_POLICY, {"policy": name}),
            trunk_started_at=connection.scalar(_LATEST_OF_TRUNK, {"trunk": trunk}) if trunk else None,
            ended=_ended(connection, name),
            paused=_said(pause) if pause else "",
        )
    return found


def _ended(connection: sa.Connection, policy: str) -> tuple[Ended, ...]:
    rows = connection.execute(_ENDED, {"policy": policy}).tuples()
    return tuple(Ended(job=job, ended_at=ended_at, outcome=outcome) for job, ended_at, outcome in rows)


def _said(pause: Pause) -> str:
    what = f"policy `{pause.policy}` is" if pause.policy else "all outbound calls are"
    why = f": {pause.reason}" if pause.reason else ""
    return f"{what} paused by {pause.by} since {pause.at:%Y-%m-%d %H:%M:%S} UTC{why}"


def paused(connection: sa.Connection) -> tuple[Pause, ...]:
    """Every pause, that of everything first."""
    return tuple(record_of(row, Pause) for row in connection.execute(_PAUSES).mappings())


def callee(connection: sa.Connection, job: Job, now: datetime) -> Callee:
    """What is known of the number and the contact of a job."""
    asked = {"number": job.phone, "contact": contact_key(job), "since": now - DAY}
    to_number = connection.execute(_TO_NUMBER, asked).all()
    to_contact = connection.execute(_TO_CONTACT, asked).all() if asked["contact"] else ()
    proving = job.kind == "verification" and (to_number or to_contact)
    failed = connection.scalars(_PROOFS_FAILED, asked) if proving else ()
    return Callee(
        number_started=tuple(row.started_at for row in to_number),
        contact_started=tuple(row.started_at for row in to_contact),
        number_ended_at=max((row.ended_at for row in to_number if row.ended_at is not None), default=None),
        open_until=max((row.lease_until for row in to_number if row.ended_at is None), default=None),
        suppression=suppression(connection, job.phone, job.policy, now),
        failed_proofs=sum(body["answers"] for body in failed),
    )


def callers_failed(connection: sa.Connection, number: str, now: datetime) -> int:
    """Answers in the last 24 hours by which callers from a number did not prove who they are."""
    rows = connection.scalars(_CALLERS_FAILED, {"number": number, "since": now - DAY})
    return sum(body["answers"] for body in rows)


def suppression(connection: sa.Connection, phone: str, policy: str, now: datetime) -> Suppression | None:
    """The entry of the do-not-call list that holds longest for this number and policy; None when none holds."""
    asked = {"phone": phone, "policy": policy, "now": now}
    found = [record_of(row, Suppression) for row in connection.execute(_SUPPRESSIONS, asked).mappings()]
    return max(found, key=lambda entry: (entry.expires_at is None, entry.expires_at or now), default=None)
