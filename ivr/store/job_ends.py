"""How attempts and jobs end, inside a transaction: the outcome, its event, webhook and evidence are written together.

An attempt is over when its holder says so, or when nobody has renewed its lease: then it is `unknown`, and policy says
whether anything follows. A job ends once; the proof goes with it. Knows no rule: `Deciding` does.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from ivr import metrics
from ivr.outbound.job import (
    FIRST_HASH,
    STATE_OF,
    WAITING,
    Attempt,
    CallResult,
    Deciding,
    Decision,
    Disposition,
    Job,
    Load,
    Outcome,
)
from ivr.store import job_rows
from ivr.store.schema import UtcTime, attempts, evidence, iso, jobs, suppressions, webhooks
from ivr.store.store import clean

RECHECK = timedelta(hours=1)
"""When a job is looked at again of which nobody can say when it may ring."""
BATCH = 200
OUTCOME_EVENT = "completed"
UNTESTIFIED = ("metadata", "phrase")
"""What of a request is no part of its evidence: the client's own notes, and the word agreed with the customer."""
_IS_LATE = sa.and_(
    attempts.c.ended_at.is_(None),
    attempts.c.lease_until < sa.bindparam("now", type_=UtcTime),
    attempts.c.id.not_in(sa.bindparam("held", expanding=True)),
)
_LATE = sa.select(attempts.c.id, attempts.c.job_id).where(_IS_LATE).limit(BATCH)
_STILL_LATE = sa.select(attempts).where(attempts.c.id == sa.bindparam("attempt"), _IS_LATE)


class Testified(Protocol):
    """A signed record."""

    hash: str


class Signing(Protocol):
    """Who signs evidence. Pure."""

    def record(self, server: str, index: int, at: datetime, body: Mapping[str, Any], previous: str) -> Testified: ...


@dataclass(frozen=True)
class Ending:
    """Who ends attempts and jobs: by which rules, with whose signature, on which server's chain."""

    rules: Deciding
    signer: Signing
    server: str

    def attempt_over(
        self, connection: sa.Connection, job: Job, attempt: Attempt, outcome: Outcome, now: datetime,
        disposition: Disposition | None = None, detail: str = "", call: CallResult | None = None,
    ) -> None:  # fmt: skip
        """End an attempt that is under way, and do with its job what `disposition` or else policy says.

        A job that has its answer already keeps it.

        `call`: what it came to, when there was one; who asked in it never to be rung is on the do-not-call list of
        every policy.
        """
        detail = clean(detail, 512)
        over = {"ended_at": now, "outcome": outcome, "detail": detail}
        connection.execute(sa.update(attempts).where(attempts.c.id == attempt.id).values(over))
        metrics.attempt_ended(job.policy, outcome)
        said = {"attempt": attempt.id, "outcome": outcome}
        seq = job_rows.add_event(
            connection, job.id, now, "attempt_ended", said | ({"detail": detail} if detail else {})
        )
        facts = call.facts if call else None
        if call is not None:
            job = self._asked(connection, job, attempt, call, now)
        if job.disposition is not None:
            return
        if disposition is not None:
            self.job_over(connection, job, disposition, "as its call says", now, facts)
            return
        own = job_rows.attempts_of(connection, job.id)
        decision = self.rules.decide(job, own, job_rows.callee(connection, job, now), Load(), now)
        if decision.action == "end":
            self.job_over(connection, job, decision.disposition, decision.words, now, facts)
        else:
            self.notify(connection, job, seq, "attempt_ended", said, now)
            self.wait(connection, job, decision, now)

    def _asked(
        self, connection: sa.Connection, job: Job, attempt: Attempt, call: CallResult, now: datetime
    ) -> Job:  # fmt: skip
        """Keep what was asked for in a call, and how often nobody proved who they are; the job after that."""
        if call.suppress:
            row = {"id": f"dnc_{uuid.uuid4().hex}", "phone": job.phone, "policy": "", "created_at": now,
                   "reason": clean(call.suppress, 200)}  # fmt: skip
            connection.execute(sa.insert(suppressions), row)
            job_rows.add_event(connection, job.id, now, "suppressed", {"reason": row["reason"]})
        if call.failed_proofs:
            said = {"attempt": attempt.id, "answers": call.failed_proofs}
            job_rows.add_event(connection, job.id, now, job_rows.FAILED_PROOFS, said)
        if not call.again_at:
            return job
        again_at = datetime.fromisoformat(call.again_at).astimezone(UTC)
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(not_before=again_at))
        return msgspec.structs.replace(job, not_before=again_at)

    def wait(self, connection: sa.Connection, job: Job, decision: Decision, now: datetime) -> None:
        """Put a job back until the moment a decision names."""
        if decision.action == "dial":
            values = {"state": "queued", "due_at": now, "held_by": None}
        else:
            held_by = decision.holds[0].rule
            values = {"state": "held", "due_at": decision.next_at or now + RECHECK, "held_by": held_by}
            if job.held_by != held_by or job.state != "held":
                job_rows.add_event(connection, job.id, now, "held", {"words": decision.words})
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(values))

    def job_over(
        self, connection: sa.Connection, job: Job, disposition: Disposition, words: str, now: datetime,
        facts: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """The one disposition of a job: proof gone, event, evidence, webhook, all or nothing."""
        values = {
            "state": STATE_OF[disposition], "disposition": disposition, "disposition_at": now, "proof": None,
            "due_at": None, "held_by": None,
        }  # fmt: skip
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(values))
        seq = job_rows.add_event(connection, job.id, now, OUTCOME_EVENT, {"disposition": disposition, "words": words})
        index, digest = self._testify(connection, job, disposition, words, now, facts)
        connection.execute(
            sa.update(webhooks)
            .where(webhooks.c.job_id == job.id, webhooks.c.state == "pending")
            .values(state="superseded")
        )
        said = {"disposition": disposition, "words": words}
        said |= {"evidence": {"server": self.server, "index": index, "hash": digest}}
        self.notify(connection, job, seq, OUTCOME_EVENT, said, now)

    def notify(
        self, connection: sa.Connection, job: Job, seq: int, event: str, said: Mapping[str, Any], now: datetime
    ) -> None:
        """A webhook for whoever asked for some, after Standard Webhooks: type, timestamp, data."""
        if not job.callback_url:
            return
        data = {"job": job.id, "seq": seq, "idempotency_key": job.idempotency_key, "kind": job.kind}
        data |= {"metadata": job.body.get("metadata", {}), **said}
        named = f"{'verification' if job.kind == 'verification' else 'job'}.{event}"
        body = msgspec.json.encode({"type": named, "timestamp": iso(now), "data": data}).decode()
        row = {
            "id": f"msg_{uuid.uuid4().hex}", "job_id": job.id, "seq": seq, "event": named, "url": job.callback_url,
            "body": body, "state": "pending", "tries": 0, "created_at": now, "due_at": now, "reason": "",
        }  # fmt: skip
        connection.execute(sa.insert(webhooks), row)

    def _testify(
        self, connection: sa.Connection, job: Job, disposition: Disposition, words: str, now: datetime,
        facts: Mapping[str, Any] | None,
    ) -> tuple[int, str]:  # fmt: skip
        """The next record of this server's chain; (index, hash)."""
        latest = sa.select(evidence.c.index, evidence.c.hash).where(evidence.c.server == self.server)
        last = connection.execute(latest.order_by(evidence.c.index.desc()).limit(1)).one_or_none()
        index, previous = (last.index + 1, last.hash) if last else (1, FIRST_HASH)
        own = job_rows.attempts_of(connection, job.id)
        body = {
            "job": job.id, "kind": job.kind, "client": job.client, "idempotency_key": job.idempotency_key,
            "disposition": disposition, "words": words, "phone": job.phone, "language": job.language,
            "policy": job.policy, "rules": self.rules.version(job.policy), "plan": job.plan,
            "created_at": iso(job.created_at),
            "request": {k: v for k, v in job.body.items() if k not in UNTESTIFIED},
            "attempts": [_testified(attempt) for attempt in own], "call": dict(facts or {}),
        }  # fmt: skip
        record = self.signer.record(self.server, index, now, body, previous)
        row = {"server": self.server, "index": index, "job_id": job.id, "hash": record.hash}
        connection.execute(sa.insert(evidence), row | {"record": msgspec.json.encode(record).decode()})
        return index, record.hash

    def given_back(
        self, connection: sa.Connection, job: Job, attempt: Attempt, words: str, until: datetime, now: datetime
    ) -> None:
        """Take an attempt back of which nothing came, and hold its job until then."""
        connection.execute(sa.delete(attempts).where(attempts.c.id == attempt.id))
        said = {"attempt": attempt.id, "words": words}
        job_rows.add_event(connection, job.id, now, "given_back", said)
        if job.cancel_asked_at is not None:
            self.job_over(connection, job, "cancelled", "it was cancelled", now)
            return
        held = {"state": "held", "held_by": "line"} if until > now else {"state": "queued", "held_by": None}
        values = held | {"due_at": until, "attempts": job.attempts - 1}
        connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(values))

    def dead(self, connection: sa.Connection, now: datetime, held: Set[str] = frozenset()) -> int:
        """End, as unknown, attempts whose lease is over, but `held`; returns how many. Bounded by `BATCH`."""
        ended = 0
        late = {"now": now, "held": list(held)}
        for attempt_id, job_id in connection.execute(_LATE, late).all():
            row = job_rows.one(connection, job_id, lock=True)
            still = late | {"attempt": attempt_id}
            if (known := connection.execute(_STILL_LATE, still).mappings().one_or_none()) is not None:
                attempt = job_rows.attempt_of(known)
                words = f"server {attempt.server} has not been heard of since it was to renew the lease"
                self.attempt_over(connection, job_rows.job_of(row), attempt, "unknown", now, detail=words)
                ended += 1
        return ended

    def expired(self, connection: sa.Connection, now: datetime) -> int:
        """End waiting jobs whose time is over; returns how many. Bounded by `BATCH`."""
        query = sa.select(jobs).where(jobs.c.state.in_(WAITING), jobs.c.expires_at <= now).limit(BATCH)
        found = connection.execute(query.with_for_update(skip_locked=True)).mappings().all()
        for row in found:
            self.job_over(connection, job_rows.job_of(row), "expired", "its time was over before an answer", now)
        return len(found)


def _testified(attempt: Attempt) -> dict[str, Any]:
    times = {"started_at": attempt.started_at, "answered_at": attempt.answered_at, "ended_at": attempt.ended_at}
    said = {"id": attempt.id, "outcome": attempt.outcome, "call": attempt.call, "server": attempt.server}
    return said | {name: iso(at) if at else None for name, at in times.items()}
