"""One attempt of a job: from its claim over INVITE, ringing and call to its outcome, its lease renewed all the while.

Written before it is done: `dialing` before the INVITE, the outcome until the database takes it. A lease that is
another's now, or a cancel, ends the leg at once. Conductor: asyncio thread, one task an attempt. Decides nothing:
`outcomes` says what came of it, policy what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import structlog

from ivr import metrics
from ivr.errors import Rejected, Unavailable
from ivr.outbound import outcomes
from ivr.outbound.job import CallResult, Claim, Disposition, Outcome, Outgoing
from ivr.outbound.orders import PlanTerms, told, unfit, zone_for
from ivr.outbound.policy import Rules
from ivr.outbound.proof import ProofBox
from ivr.store.jobs import Jobs, Stale
from ivr.telephony.leg import DialOutcome, Leg
from ivr.telephony.pool import LinePool

AGAIN_S = 1.0
"""Between two tries to write what must be written."""
FULL_S = 5.0
"""How long a job is held at least of which nothing rang because no line or trunk took the call."""
T = TypeVar("T")
Conclude = Callable[[str, Mapping[str, Any]], Awaitable[None]]
Converse = Callable[[Leg, str, Outgoing, Conclude], Awaitable[CallResult]]
"""Conducts a call that was answered, by the dialplan of a name; what it comes to may be told while it goes on."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Hands:
    """What every attempt is given.

    Attributes:
        plan: the dialplan of a name that is in force.
        box: opens what customers must prove; None: there is no key.
    """

    jobs: Jobs
    lines: LinePool
    rules: Rules
    plan: Callable[[str], PlanTerms | None]
    box: ProofBox | None
    converse: Converse


@dataclass(frozen=True)
class _Over:
    """What is to be written; `outcome` None: nothing came of it, and the job is held for `again_s` as it was before."""

    outcome: Outcome | None
    disposition: Disposition | None = None
    detail: str = ""
    call: CallResult | None = None
    again_s: float = FULL_S


class Attempt:
    """An attempt under way. `has_leg`: it has taken its leg, or wants none any more."""

    def __init__(self, hands: Hands, claim: Claim, leg: Leg | None = None) -> None:
        """`leg`: of somebody who rang us themselves; None: they are to be rung."""
        self.claim = claim
        self.has_leg = leg is not None
        self._rang_us = leg is not None
        self._hands = hands
        self._leg = leg
        self._dialled = False
        self._looked = asyncio.Event()
        self._noted: asyncio.Task[None] | None = None
        self._ended_by: Literal["", "cancelled", "stale", "lease"] = ""

    def look(self) -> None:
        """Ask the database now whether it is still ours and wanted."""
        self._looked.set()

    async def run(self) -> None:
        """Dial, converse, write down what came of it."""
        job = self.claim.job
        structlog.contextvars.bind_contextvars(job=job.id, attempt=self.claim.attempt.id)
        calling = asyncio.create_task(self._call())
        holding = asyncio.create_task(self._hold(calling))
        try:
            over = await self._outcome(calling)
            self.has_leg = True
            await self._write_down(over)
        except Stale as error:
            log.warning("the attempt is not ours any more", why=str(error))
            self._hands.jobs.lose(self.claim)
        finally:
            for task in (calling, holding):
                task.cancel()
            await asyncio.gather(calling, holding, return_exceptions=True)

    async def _outcome(self, calling: asyncio.Task[_Over]) -> _Over:
        try:
            over = await calling
        except asyncio.CancelledError:
            if not self._ended_by:
                raise
            over = _Over("unknown" if self._dialled else None, detail="given up while it rang")
        if self._ended_by == "stale":
            raise Stale("its lease ran out, or it was ended by another hand")
        if self._ended_by == "cancelled" and over.disposition is None:
            return _Over("cancelled", detail="cancelled during the attempt", call=over.call)
        return over

    # The call -----------------------------------------------------------------------------------------------------

    async def _call(self) -> _Over:
        job, hands = self.claim.job, self._hands
        if fault := unfit(job.plan, hands.plan(job.plan), job.language):
            return _Over("failed", detail=str(fault))
        try:
            outgoing = self._outgoing()
        except ValueError as error:
            return _Over("failed", detail=str(error))
        try:
            await hands.jobs.dialing(self.claim, outgoing.call)
        except Unavailable as error:
            return _Over(None, detail=str(error))
        self._dialled = True
        answer = self._leg or await hands.lines.dial(
            job.phone, hands.rules.trunk_of(job.policy) or None, timeout_ms=hands.rules.ring_s(job.policy) * 1000,
            language=job.language, on_leg=self._on_leg, amd=hands.rules.amd(job.policy),
        )  # fmt: skip
        if isinstance(answer, DialOutcome):
            words = " ".join(str(part) for part in (answer.code or "", answer.reason or answer.cause) if part)
            outcome = outcomes.not_answered(answer.cause, answer.code, answer.sent)
            return _Over(outcome, detail=words, again_s=max(FULL_S, answer.again_s))
        self._leg, at = answer, hands.jobs.now()
        metrics.job_answered(job.policy, self._since_due_s())
        log.info("answered", leg=answer.id)
        self._noted = asyncio.create_task(self._note_answered(at))
        result = await self._conversation(answer, outgoing)
        await self._noted
        if not self._is_theirs(result.facts):
            return _Over(None, detail="who rang us did not prove who they are", call=result, again_s=0.0)
        outcome, disposition = outcomes.answered(job.kind, result)
        return _Over(outcome, disposition, result.cause, result)

    async def _conversation(self, leg: Leg, outgoing: Outgoing) -> CallResult:
        try:
            return await self._hands.converse(leg, self.claim.job.plan, outgoing, self._conclude)
        except Exception:  # the edge: what a conversation ran into is written down as its outcome
            log.exception("the conversation failed", leg=leg.id)
            return CallResult("failed", "us")
        finally:
            leg.hangup()

    async def _conclude(self, said: str, facts: Mapping[str, Any]) -> None:
        """The job has its answer, and its client is told, while the call goes on: to its goodbye, or to a person."""
        disposition = outcomes.settled(said)
        if disposition is None or not self._is_theirs(facts):
            return
        if self._noted is not None:
            await asyncio.wait({self._noted})
        try:
            await self._without_what_is_refused(
                lambda kept: self._hands.jobs.conclude(self.claim, disposition, kept), facts, {}
            )
            log.info("concluded", disposition=disposition)
        except Stale:
            self.look()

    def _is_theirs(self, facts: Mapping[str, Any]) -> bool:
        """Whether the call is with whom the job is for: a number that is shown proves nothing, the check does."""
        return not (self._rang_us and self.claim.proof) or bool(facts.get("identity", {}).get("proven"))

    async def _note_answered(self, at: datetime) -> None:
        try:
            await self._until_written(lambda: self._hands.jobs.answered(self.claim, at))
        except (Stale, Rejected):
            self.look()

    def _outgoing(self) -> Outgoing:
        """What the call is given. Raises ValueError: what the customer must prove cannot be opened."""
        claim, box = self.claim, self._hands.box
        proof: Mapping[str, str] = {}
        if claim.proof is not None:
            if box is None:
                raise ValueError("the server has no key to open what the customer must prove")
            proof = box.open(claim.job.id, claim.proof)
        job, rules = claim.job, self._hands.rules
        given = told(job, rules.answers_left(job.policy, claim.failed_proofs))
        amd = self._leg is None and rules.amd(job.policy) is not None
        return Outgoing(given, proof, job.language, zone_for(job), amd, uuid.uuid4().hex)

    def _on_leg(self, leg: Leg) -> None:
        self._leg, self.has_leg = leg, True
        metrics.job_rang(self.claim.job.policy, self._since_due_s())
        log.info("dials", leg=leg.id, policy=self.claim.job.policy, attempts=self.claim.job.attempts)

    def _since_due_s(self) -> float:
        job = self.claim.job
        return max(0.0, (self._hands.jobs.now() - (job.due_at or job.created_at)).total_seconds())

    # The lease ----------------------------------------------------------------------------------------------------

    async def _hold(self, calling: asyncio.Task[_Over]) -> None:
        """Renew the lease each third of it; end the call when it is lost, or the job is cancelled."""
        jobs = self._hands.jobs
        until = self.claim.attempt.lease_until
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(jobs.lease.total_seconds() / 3):
                    await self._looked.wait()
            self._looked.clear()
            now = jobs.now()
            try:
                cancelled = await jobs.renew(self.claim)
            except Stale:
                return self._end("stale", calling)
            except Unavailable as error:
                log.warning("the lease cannot be renewed now", error=str(error))
                if jobs.now() > until and (self._leg is None or self._leg.state != "answered"):
                    return self._end("lease", calling)
                continue
            until = now + jobs.lease
            if cancelled:
                return self._end("cancelled", calling)

    def _end(self, why: Literal["cancelled", "stale", "lease"], calling: asyncio.Task[_Over]) -> None:
        """End the leg: CANCEL while it rings, BYE afterwards."""
        log.info("the attempt is ended", why=why)
        self._ended_by = why
        if self._leg is not None and self._leg.state in ("answered", "held"):
            self._leg.hangup("cancelled")
        else:
            calling.cancel()

    # What is written ----------------------------------------------------------------------------------------------

    async def _write_down(self, over: _Over) -> None:
        """The end of the attempt, for as long as it takes."""
        jobs, claim = self._hands.jobs, self.claim
        if over.outcome is None:
            wait, failed = timedelta(seconds=over.again_s), over.call.failed_proofs if over.call else 0
            why = over.detail if over.call else f"nothing rang: {over.detail}"
            await self._until_written(lambda: jobs.release(claim, why, wait, failed))
            log.info("given back", why=over.detail)
            return
        bare = replace(over.call, facts={}) if over.call is not None else None
        job = await self._without_what_is_refused(
            lambda call: jobs.finish(claim, over.outcome, over.disposition, over.detail, call), over.call, bare, None
        )
        log.info("attempt ended", outcome=over.outcome, state=job.state, disposition=job.disposition)

    async def _without_what_is_refused(self, write: Callable[[Any], Awaitable[T]], *kept: Any) -> T:
        """What `write` gives of the first of `kept` that the database takes: an outcome is not lost for what is
        testified with it. Raises Stale, Rejected.
        """
        for each in kept[:-1]:
            try:
                return await self._until_written(lambda each=each: write(each))
            except Rejected as error:
                log.error("what a call came to is refused by the database; written without it", error=str(error))
        return await self._until_written(lambda: write(kept[-1]))

    async def _until_written(self, write: Callable[[], Awaitable[T]]) -> T:
        """What `write` gives once the database takes it. Raises Stale; Rejected, which no other try would change."""
        while True:
            try:
                return await write()
            except Rejected:
                raise
            except Unavailable as error:
                log.error("an attempt cannot be written down now; tried again", error=str(error))
                await asyncio.sleep(AGAIN_S)
