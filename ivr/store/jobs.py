"""The queue of outbound jobs in the database: create, claim, follow an attempt, end, cancel, pause.

Each method is one transaction of the store's writer, safe to run twice. Whoever holds an attempt writes with the fence
of its claim; a fence that is not the job's latest any more is `Stale`, so a server that was taken for dead changes
nothing. The clock is asked outside transactions. All methods belong to the asyncio thread; all raise Unavailable when
the database cannot do it. Knows no rule and no line.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ivr.errors import IvrError, Rejected, Unavailable
from ivr.outbound.job import (
    FINAL,
    WAITING,
    Attempt,
    CallResult,
    Claim,
    Created,
    Disposition,
    Idle,
    Job,
    NewJob,
    Outcome,
    Pause,
    Suppression,
)
from ivr.store import claiming, job_retention, job_rows
from ivr.store.job_ends import Ending
from ivr.store.schema import attempts, job_events, jobs, pauses, suppressions
from ivr.store.store import Store

BATCH = 500
"""Jobs that one transaction creates at most: records of calls wait no longer than that."""
T = TypeVar("T")
_Ordered = tuple[Sequence[NewJob], "asyncio.Future[list[Created | Rejected]]"]


class Stale(IvrError):
    """The attempt is not this holder's any more: it was ended, or the job was claimed again."""


class Finished(IvrError):
    """The job has its disposition, and nothing changes it."""


class Jobs:
    """The queue in `store`, which is open. `clock` gives aware times; the system's in UTC unless a test says."""

    def __init__(
        self, store: Store, ending: Ending, lease_s: int, clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        changed: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """`changed` is called after every write by which something may ring, or may have to be told."""
        self._store = store
        self._ending = ending
        self.lease = timedelta(seconds=lease_s)
        self._clock = clock
        self._changed = changed
        self._held: set[str] = set()
        self._unsure: list[str] = []
        self._ordered: list[_Ordered] = []
        self._creating: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        """The clock in whole milliseconds, as the database keeps times."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def create(self, new: Sequence[NewJob]) -> list[Created | Rejected]:
        """Write jobs; a key of the same client that is known is not written again. What the database refuses for what
        it holds comes back as Rejected, and the others are written.

        What is ordered while a transaction runs goes into the next one together, `BATCH` jobs at most.
        """
        done: list[Created | Rejected] = []
        for start in range(0, len(new), BATCH):
            future = asyncio.get_running_loop().create_future()
            self._ordered.append((new[start : start + BATCH], future))
            if self._creating is None:
                self._creating = asyncio.create_task(self._create())
            done += await future
        return done

    async def _create(self) -> None:
        """Write what was ordered until nothing is left."""
        try:
            while self._ordered:
                batch = [self._ordered.pop(0)]
                while self._ordered and sum(len(new) for new, _ in batch) + len(self._ordered[0][0]) <= BATCH:
                    batch.append(self._ordered.pop(0))
                await self._write_batch(batch)
                self._changed()
        finally:
            self._creating = None

    async def _write_batch(self, batch: Sequence[_Ordered]) -> None:
        rows = [each for new, _ in batch for each in new]
        created: Iterator[Created | Rejected] | Unavailable
        try:
            created = iter(await self._written(rows))
        except Unavailable as error:
            created = error
        for new, future in batch:
            done = created if isinstance(created, Unavailable) else [next(created) for _ in new]
            if future.done():  # who ordered has gone
                continue
            if isinstance(done, Unavailable):
                future.set_exception(done)
            else:
                future.set_result(done)

    async def _written(self, rows: Sequence[NewJob]) -> list[Created | Rejected]:
        """What became of each; when one is refused for what it holds, each half is tried alone, down to that one."""
        try:
            return await self._store.write("jobs", lambda c: _create(c, rows))
        except Rejected as error:
            if len(rows) == 1:
                return [error]
        half = len(rows) // 2
        return [*await self._written(rows[:half]), *await self._written(rows[half:])]

    async def claim(self) -> Claim | Idle:
        """The next job to dial, its attempt written and its lease running; Idle when none may ring now.

        After Unavailable the next call asks for the same attempt: what was claimed all the same is not lost.
        """
        attempt_id = self._unsure.pop() if self._unsure else f"att_{uuid.uuid4().hex}"
        held, now = frozenset(self._held), self.now()
        try:
            return await self._store.write(
                "claim", lambda c: claiming.claim(c, self._ending, attempt_id, self.lease, now, held)
            )  # fmt: skip
        except Unavailable:
            self._unsure.append(attempt_id)
            raise

    async def claim_back(self, caller: str, plan: str) -> Claim | None:
        """The latest job of `plan` that waits to ring `caller`, claimed because they ring us; None: there is none."""
        attempt_id, now = f"att_{uuid.uuid4().hex}", self.now()
        return await self._store.write(
            "claim_back", lambda c: claiming.claim_back(c, self._ending, attempt_id, self.lease, now, caller, plan)
        )

    def hold(self, claim: Claim) -> None:
        """This process is at an attempt: it takes it for dead neither now nor when the database was long away."""
        self._held.add(claim.attempt.id)

    def lose(self, claim: Claim) -> None:
        """After `hold`, when it does nothing more for the attempt: its lease runs out, if nobody has ended it."""
        self._held.discard(claim.attempt.id)

    async def release(
        self, claim: Claim, why: str, wait: timedelta = timedelta(0), failed_proofs: int = 0
    ) -> None:  # fmt: skip
        """Give back a claim of which nothing came: as if it had not been, held for `wait`.

        `failed_proofs`: answers of somebody who rang us and did not prove who they are; they count among callers.
        Doing it again changes nothing. Raises Stale.
        """
        now = self.now()

        def run(connection: sa.Connection) -> None:
            if connection.scalar(sa.select(attempts.c.id).where(attempts.c.id == claim.attempt.id)) is None:
                return
            job, attempt = _held(connection, claim)
            if failed_proofs:
                said = {"attempt": attempt.id, "answers": failed_proofs}
                job_rows.add_event(connection, job.id, now, job_rows.CALLERS_FAILED, said)
            self._ending.given_back(connection, job, attempt, why, now + wait, now)

        await self._write("release", run)
        self._held.discard(claim.attempt.id)

    async def renew(self, claim: Claim) -> bool:
        """Hold an attempt for another lease; True when the job is to be cancelled. Raises Stale."""
        until = self.now() + self.lease

        def run(connection: sa.Connection) -> bool:
            job, attempt = _held(connection, claim)
            connection.execute(sa.update(attempts).where(attempts.c.id == attempt.id).values(lease_until=until))
            return job.cancel_asked_at is not None

        return await self._write("renew", run, tell=lambda _: False)

    async def dialing(self, claim: Claim, call: str) -> None:
        """The INVITE of `call` goes out now; the lease begins anew. Raises Stale."""
        now = self.now()
        await self._progress(claim, "dialing", "dialing", now, {"call_id": call, "lease_until": now + self.lease})

    async def answered(self, claim: Claim, at: datetime | None = None) -> None:
        """Somebody or something answered, `at` a time that is over, now when not given. Raises Stale."""
        at = at or self.now()
        await self._progress(claim, "in_call", "answered", at, {"answered_at": at})

    async def finish(
        self, claim: Claim, outcome: Outcome, disposition: Disposition | None = None, detail: str = "",
        call: CallResult | None = None,
    ) -> Job:  # fmt: skip
        """The attempt is over. `disposition`: the call has the answer; None: policy says what follows.

        `call`: what it came to, when there was one; its facts are testified as they are. Doing it again changes
        nothing. Raises Stale.
        """
        now = self.now()

        def run(connection: sa.Connection) -> Job:
            job = _lock(connection, claim.job.id)
            attempt = _attempt(connection, claim.attempt.id)
            if attempt.ended_at is None and job.fence == claim.attempt.fence:
                self._ending.attempt_over(connection, job, attempt, outcome, now, disposition, detail, call)
            elif attempt.outcome != outcome or job.fence != claim.attempt.fence:
                raise Stale("the attempt was ended by another hand")
            return job_rows.job_of(job_rows.one(connection, job.id))

        job = await self._write("finish", run)
        self._held.discard(claim.attempt.id)
        return job

    async def conclude(self, claim: Claim, disposition: Disposition, facts: Mapping[str, Any]) -> None:
        """The job has its answer; its attempt goes on until `finish`. Doing it again changes nothing. Raises Stale."""
        now = self.now()

        def run(connection: sa.Connection) -> None:
            job, _ = _held(connection, claim)
            if job.disposition is None:
                self._ending.job_over(connection, job, disposition, "as its call says", now, facts)

        await self._write("conclude", run)

    async def cancel(self, job_id: str, by: str) -> Job | None:
        """End a job that waits; ask the holder of one under way to end it. None: there is none. Raises Finished."""
        now = self.now()

        def run(connection: sa.Connection) -> Job | None:
            row = job_rows.one(connection, job_id, lock=True)
            if row is None or row["state"] == "cancelled":
                return job_rows.job_of(row) if row else None
            job = _unfinished(row)
            if job.state in WAITING:
                self._ending.job_over(connection, job, "cancelled", f"cancelled by {by}", now)
            elif job.cancel_asked_at is None:
                connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(cancel_asked_at=now))
                job_rows.add_event(connection, job_id, now, "cancel_asked", {"by": by})
            return job_rows.job_of(job_rows.one(connection, job_id))

        return await self._write("cancel", run)

    async def retry(self, job_id: str, by: str) -> Job | None:
        """Let a waiting job skip its ladder; every other rule holds. None: there is none. Raises Finished."""
        now = self.now()

        def run(connection: sa.Connection) -> Job | None:
            row = job_rows.one(connection, job_id, lock=True)
            if row is None:
                return None
            job = _unfinished(row)
            if job.state in WAITING:
                values = {"state": "queued", "due_at": now, "held_by": None, "retry_asked_at": now}
                connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(values))
                job_rows.add_event(connection, job_id, now, "retry_asked", {"by": by})
            return job_rows.job_of(job_rows.one(connection, job_id))

        return await self._write("retry", run)

    async def sweep(self) -> int:
        """End attempts of dead servers and jobs whose time is over; returns how many of both. Bounded."""
        now, held = self.now(), frozenset(self._held)
        return await self._write(
            "sweep", lambda c: self._ending.dead(c, now, held) + self._ending.expired(c, now), tell=bool
        )  # fmt: skip

    async def purge(self, older_than_days: int) -> int:
        """Remove jobs that ended so long ago; returns how many. Works in small batches."""
        before, gone = self.now() - timedelta(days=older_than_days), 0
        while removed := await self._store.write("purge_jobs", lambda c: job_retention.purge(c, before)):
            gone += removed
        return gone

    async def pause(self, policy: str, by: str, reason: str) -> Pause:
        """Hold every job of a policy, of all when it is empty. Pausing again changes nothing."""
        entry = Pause(policy=policy, at=self.now(), by=by, reason=reason)

        def run(connection: sa.Connection) -> Pause:
            values = {"policy": policy, "at": entry.at, "by": by, "reason": reason}
            connection.execute(_insert(connection)(pauses).on_conflict_do_nothing(), values)
            return next(p for p in job_rows.paused(connection) if p.policy == policy)

        return await self._store.write("pause", run)

    async def resume(self, policy: str) -> bool:
        """Let go what `pause` held; False when it was not paused."""
        own = sa.delete(pauses).where(pauses.c.policy == policy)
        return await self._write("resume", lambda c: bool(c.execute(own).rowcount))

    async def suppress(
        self, phone: str, reason: str, policy: str = "", expires_at: datetime | None = None
    ) -> Suppression:
        """Put a number on the do-not-call list."""
        entry = Suppression(
            id=f"dnc_{uuid.uuid4().hex}", phone=phone, reason=reason, policy=policy, created_at=self.now(),
            expires_at=expires_at,
        )  # fmt: skip
        row = {name: getattr(entry, name) for name in entry.__struct_fields__}

        def run(connection: sa.Connection) -> None:
            connection.execute(_insert(connection)(suppressions).on_conflict_do_nothing(), row)

        await self._store.write("suppress", run)
        return entry

    async def unsuppress(self, entry_id: str) -> bool:
        """Take an entry off the do-not-call list; False when there is none."""
        own = sa.delete(suppressions).where(suppressions.c.id == entry_id)
        return await self._write("unsuppress", lambda c: bool(c.execute(own).rowcount))

    async def _progress(self, claim: Claim, state: str, kind: str, now: datetime, values: Mapping[str, Any]) -> None:
        def run(connection: sa.Connection) -> None:
            job, attempt = _held(connection, claim)
            if job.state == state:
                return
            connection.execute(sa.update(attempts).where(attempts.c.id == attempt.id).values(**values))
            if job.disposition is not None:
                return
            connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(state=state))
            seq = job_rows.add_event(connection, job.id, now, kind, {"attempt": attempt.id})
            self._ending.notify(connection, job, seq, kind, {"attempt": attempt.id}, now)

        await self._write(kind, run)

    async def _write(
        self, name: str, run: Callable[[sa.Connection], T], tell: Callable[[T], bool] = lambda _: True
    ) -> T:
        """One transaction, and `changed` when `tell` says so of its result.

        A refusal comes out of it as a value, since what the writer raises is the database's.
        """

        def guarded(connection: sa.Connection) -> T | Stale | Finished:
            try:
                return run(connection)
            except (Stale, Finished) as refusal:
                return refusal

        result = await self._store.write(name, guarded)
        if isinstance(result, Stale | Finished):
            raise result
        if tell(result):
            self._changed()
        return result


def _insert(connection: sa.Connection) -> Callable:
    return sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert


def _create(connection: sa.Connection, new: Sequence[NewJob]) -> list[Created]:
    """Jobs whose key is not known are written with their first event; what became of each, in order."""
    rows = [job_rows.row_of(each) for each in new]
    insert = _insert(connection)
    connection.execute(insert(jobs).on_conflict_do_nothing(), rows)
    ours = {each.job.id: each for each in new}
    found = set(connection.scalars(sa.select(jobs.c.id).where(jobs.c.id.in_(ours))))
    events = [
        {"job_id": i, "seq": 1, "at": ours[i].job.created_at, "kind": "created", "body": {}} for i in ours if i in found
    ]  # fmt: skip
    if events:
        connection.execute(insert(job_events).on_conflict_do_nothing(), events)
    return [Created(job=n.job, what="created") if n.job.id in found else _known_key(connection, n) for n in new]


def _known_key(connection: sa.Connection, new: NewJob) -> Created:
    """The job that has this key already."""
    own = (jobs.c.client == new.job.client, jobs.c.idempotency_key == new.job.idempotency_key)
    row = connection.execute(sa.select(jobs).where(*own)).mappings().one()
    same = row["request_hash"] == new.request_hash
    return Created(job=job_rows.job_of(row), what="replayed" if same else "conflict")


def _lock(connection: sa.Connection, job_id: str) -> Job:
    row = job_rows.one(connection, job_id, lock=True)
    if row is None:
        raise Stale("there is no such job any more")
    return job_rows.job_of(row)


def _attempt(connection: sa.Connection, attempt_id: str) -> Attempt:
    row = connection.execute(sa.select(attempts).where(attempts.c.id == attempt_id)).mappings().one_or_none()
    if row is None:
        raise Stale("there is no such attempt any more")
    return job_rows.attempt_of(row)


def _held(connection: sa.Connection, claim: Claim) -> tuple[Job, Attempt]:
    """The job and the attempt of a claim, if it still holds. Raises Stale."""
    job, attempt = _lock(connection, claim.job.id), _attempt(connection, claim.attempt.id)
    if attempt.ended_at is not None or job.fence != claim.attempt.fence:
        raise Stale("the attempt was ended by another hand")
    return job, attempt


def _unfinished(row: sa.RowMapping) -> Job:
    job = job_rows.job_of(row)
    if job.state in FINAL:
        raise Finished(f"the job has ended: {job.disposition}; create another one")
    return job
