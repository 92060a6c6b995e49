"""The rules of outbound calls: whether a job may ring now, what holds it and until when, or how it ends.

`Rules` are a configuration's policies. One function, `decide`, takes a job, its attempts and what is so at a time, and
answers with a value; the queue acts on it, and `why` shows its words. Whatever is missing or cannot be read means that
nobody is rung. Pure: the time is passed in. Knows nothing of SQL, lines or HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from ivr.config import TrunkLimits
from ivr.config_outbound import Outbound, Policy
from ivr.line.settings import Amd
from ivr.outbound.job import Attempt, Callee, Decision, Disposition, Hold, Job, Load, Outcome
from ivr.outbound.windows import Calendar
from ivr.outbound.zones import zones_of

DAY = timedelta(hours=24)
FAILURES: tuple[Outcome, ...] = ("failed", "unknown")
"""What the breaker counts: our side or the network. That nobody answers is no failure."""

DISPOSITION_OF: Mapping[Outcome, Disposition] = {
    "busy": "unreachable", "no_answer": "unreachable", "rejected": "unreachable", "unallocated": "unreachable",
    "failed": "unreachable", "unknown": "unreachable", "hung_up": "not_verified", "machine": "machine",
    "postponed": "not_verified", "rings_back": "not_verified", "wrong_person": "wrong_person",
    "cancelled": "cancelled", "reached": "completed",
}  # fmt: skip
"""How a job ends when the ladder has no step after such an attempt."""

_SETTLES = 64


class Rules:
    """The policies of one configuration. Immutable; safe in any thread."""

    def __init__(self, outbound: Outbound, trunks: Mapping[str, TrunkLimits] | None = None) -> None:
        """`trunks`: the limits of each trunk by name. Raises ValueError for windows that `config.load` refuses."""
        self._outbound = outbound
        self._trunks = dict(trunks or {})
        self._calendars = {name: Calendar.read(p.windows, p.holidays) for name, p in outbound.policies.items()}

    @property
    def policies(self) -> tuple[str, ...]:
        return tuple(self._outbound.policies)

    def trunk_of(self, policy: str) -> str:
        found = self._outbound.policies.get(policy)
        return found.trunk if found else ""

    def version(self, policy: str) -> str:
        """SHA-256 of a policy with all its values, in hex; empty when it is not there any more."""
        found = self._outbound.policies.get(policy)
        return hashlib.sha256(msgspec.json.encode(found, order="sorted")).hexdigest() if found else ""

    def amd(self, policy: str) -> Amd | None:
        """How jobs of this policy ask who answers; None: they do not."""
        return self._outbound.amd if self._outbound.policies.get(policy, Policy()).amd else None

    def answers_left(self, policy: str, failed: int) -> int:
        """Answers to identity questions that a customer has left who has `failed` so many."""
        return max(0, self._outbound.policies.get(policy, Policy()).proof_answers - failed)

    def ring_s(self, policy: str) -> int:
        """How long a telephone rings for jobs of this policy. Seconds."""
        return self._outbound.policies.get(policy, Policy()).ring_s

    def lifetime(self, policy: str) -> timedelta:
        """How long a job of this policy lives that does not say. Raises KeyError for one that is not there."""
        return timedelta(seconds=self._outbound.policies[policy].lifetime_s)

    def gates(self, policy: str, load: Load, now: datetime) -> tuple[Hold, ...]:
        """What keeps every job of a policy: nothing dials, paused, breaker, limits of the policy and its trunk."""
        found = self._outbound.policies.get(policy)
        if found is None:
            return (Hold(rule="policy", words=f"the configuration has no policy `{policy}` any more"),)
        return tuple(self._gates(policy, found, load, now))

    def decide(self, job: Job, attempts: Sequence[Attempt], callee: Callee, load: Load, now: datetime) -> Decision:
        """Dial now, hold, or end. `attempts` are the job's own, in order; the job has none under way.

        Attempts that are recorded as over decide first: what was reached, and a ladder without another step.
        """
        policy = self._outbound.policies.get(job.policy)
        if ended := _ended(job, policy, attempts, callee, now):
            return ended
        gates = self.gates(job.policy, load, now)
        holds = (*gates, *(self._holds(job, policy, attempts, callee, now) if policy else ()))
        if not holds:
            words = "no rule holds it: it may ring now"
            return Decision(action="dial", words=f"{words}, at any hour (always)" if policy.always else words)
        next_at = self._settled(job, policy, attempts, callee, holds, now) if policy else None
        return Decision(action="hold", words=_in_words(holds, next_at, job), holds=holds, next_at=next_at)

    def _gates(self, name: str, policy: Policy, load: Load, now: datetime) -> Iterator[Hold]:
        if not load.dialer:
            yield Hold(rule="dialer", words="no dialer runs in this server now, so it rings nobody")
        elif not load.line:
            yield Hold(rule="line", words="every line that outbound calls may take is in use")
        if load.paused:
            yield Hold(rule="paused", words=load.paused)
        if opened := breaker(policy, load, now):
            yield Hold(rule="breaker", words=f"policy `{name}`: {opened[1]}", until=opened[0])
        if load.all_open >= self._outbound.calls_at_once:
            yield Hold(rule="calls_at_once", words=f"all {self._outbound.calls_at_once} outbound calls are under way")
        if load.open >= policy.calls_at_once:
            yield Hold(rule="calls_at_once", words=f"all {load.open} calls of policy `{name}` are under way")
        if hold := _paced(load.started_at, policy.calls_per_second, now):
            yield Hold(rule="calls_per_second", words=f"policy `{name}` dials {hold[1]}", until=hold[0])
        limits = self._trunks.get(policy.trunk)
        if limits is None:
            return
        if load.trunk_open >= limits.jobs_at_once:
            yield Hold(rule="trunk", words=f"trunk `{policy.trunk}` has {load.trunk_open} calls under way")
        if hold := _paced(load.trunk_started_at, limits.jobs_per_second, now):
            yield Hold(rule="trunk", words=f"trunk `{policy.trunk}` dials {hold[1]}", until=hold[0])

    def _holds(
        self, job: Job, policy: Policy, attempts: Sequence[Attempt], callee: Callee, now: datetime
    ) -> Iterator[Hold]:
        """What keeps this one job at `now`, gates apart."""
        if job.not_before is not None and now < job.not_before:
            yield Hold(rule="not_before", words="its client asked for a later time", until=job.not_before)
        if (until := _ladder(job, policy, attempts)) and now < until:
            last = attempts[-1].outcome
            words = f"the ladder waits after attempt {len(attempts)}, which ended {last}"
            words = "they said that they would ring us, so nobody rings them" if last == "rings_back" else words
            yield Hold(rule="retry", words=words, until=until)
        yield from self._outside(job, policy, now)
        if (entry := callee.suppression) and (entry.expires_at is None or now < entry.expires_at):
            yield Hold(rule="do_not_call", words=f"do not call: {entry.reason}", until=entry.expires_at)
        if callee.open_until is not None and now < callee.open_until:
            yield Hold(rule="number_busy", words="another attempt to this number is under way", until=callee.open_until)
        gap = timedelta(seconds=policy.gap_s)
        if callee.number_ended_at is not None and now < callee.number_ended_at + gap:
            words = f"less than {policy.gap_s} s since the last attempt to this number"
            yield Hold(rule="gap", words=words, until=callee.number_ended_at + gap)
        if until := _capped(callee.number_started, policy.attempts_per_number, now):
            words = f"{policy.attempts_per_number} attempts to this number in 24 hours, as many as there may be"
            yield Hold(rule="number_cap", words=words, until=until)
        if until := _capped(callee.contact_started, policy.attempts_per_contact, now):
            words = f"{policy.attempts_per_contact} attempts to this contact in 24 hours, as many as there may be"
            yield Hold(rule="contact_cap", words=words, until=until)

    def _outside(self, job: Job, policy: Policy, now: datetime) -> Iterator[Hold]:
        """Whether the callee's clock forbids it."""
        if policy.always:
            return
        calendar = self._calendars[job.policy]
        if not calendar.windows:
            yield Hold(rule="window", words=f"policy `{job.policy}` has no calling window, so it rings nobody")
            return
        zones = (job.timezone,) if job.timezone else zones_of(job.phone)
        if not zones:
            yield Hold(rule="zone", words="no time zone is known of this number: the job needs a `timezone`")
            return
        if calendar.open_at(now, zones):
            return
        opens = calendar.next_open(now, zones)
        where = zones[0] if len(zones) == 1 else f"one of its {len(zones)} time zones ({zones[0]} ... {zones[-1]})"
        free = Calendar(calendar.windows).open_at(now, zones)
        rule, words = ("holiday", "a holiday") if free else ("window", "outside the calling windows")
        never = "" if opens else "; none opens there within a year"
        yield Hold(rule=rule, words=f"{words} in {where}{never}", until=opens)

    def _settled(self, job: Job, policy: Policy, attempts: Sequence[Attempt], callee: Callee,
                 holds: Sequence[Hold], now: datetime) -> datetime | None:  # fmt: skip
        """The first moment at which every rule that tells its end has let go; None when one does not tell."""
        at = now
        for _ in range(_SETTLES):
            if any(hold.until is None for hold in holds):
                return None
            if not holds:
                return at
            at = max(hold.until for hold in holds)
            holds = tuple(self._holds(job, policy, attempts, callee, at))
        return None


def breaker(policy: Policy, load: Load, now: datetime) -> tuple[datetime, str] | None:
    """Until when the breaker of a policy is open, and why; None while it is closed.

    It looks at the attempts that ended within its window before the latest one.
    """
    if not load.ended:
        return None
    latest = load.ended[0].ended_at
    seen = [e for e in load.ended if e.ended_at > latest - timedelta(seconds=policy.breaker.window_s)]
    failed = [e for e in seen if e.outcome in FAILURES]
    until = latest + timedelta(seconds=policy.breaker.pause_s)
    if len(seen) < policy.breaker.attempts or len(failed) <= policy.breaker.share * len(seen) or now >= until:
        return None
    which = ", ".join(dict.fromkeys(e.job for e in failed[:5]))
    return until, f"{len(failed)} of its last {len(seen)} attempts failed ({which})"


def _ended(
    job: Job, policy: Policy | None, attempts: Sequence[Attempt], callee: Callee, now: datetime
) -> Decision | None:
    """How the job ends, when it does."""
    last = attempts[-1].outcome if attempts else None
    if last in ("reached", "cancelled"):
        return _end(DISPOSITION_OF[last], "its call is over" if last == "reached" else "it was cancelled")
    if job.cancel_asked_at is not None:
        return _end("cancelled", "it was cancelled")
    if now >= job.expires_at:
        return _end("expired", "its time was over before an answer")
    if (entry := callee.suppression) and (entry.expires_at is None or entry.expires_at >= job.expires_at):
        return _end("declined", f"do not call: {entry.reason}")
    if policy and job.kind == "verification" and callee.failed_proofs >= policy.proof_answers:
        return _end("not_verified", f"{callee.failed_proofs} answers in 24 hours have not proved who it is")
    if policy is None or last is None:
        return None
    until = _ladder(job, policy, attempts)
    if until is None:
        return _end(DISPOSITION_OF[last], f"attempt {len(attempts)} ended {last}, and policy allows no other")
    if until >= job.expires_at and last != "rings_back":
        return _end(DISPOSITION_OF[last], f"the attempt after {len(attempts)} would come after its time is over")
    return None


def _end(disposition: Disposition, words: str) -> Decision:
    return Decision(action="end", words=words, disposition=disposition)


def _ladder(job: Job, policy: Policy, attempts: Sequence[Attempt]) -> datetime | None:
    """When the next attempt may come at the earliest, by the ladder alone; None: there is none."""
    if not attempts:
        return job.created_at
    last = attempts[-1]
    asked_again = job.retry_asked_at is not None and job.retry_asked_at >= last.ended_at
    if last.outcome == "rings_back":
        return job.retry_asked_at if asked_again else job.expires_at
    if len(attempts) >= policy.attempts:
        return None
    if last.outcome == "postponed":
        return max(last.ended_at, job.not_before or last.ended_at)
    steps = _steps(policy)[last.outcome]
    before = sum(attempt.outcome == last.outcome for attempt in attempts)
    if before > len(steps):
        return None
    if asked_again:
        return job.retry_asked_at
    return last.ended_at + timedelta(seconds=steps[before - 1])


def _steps(policy: Policy) -> Mapping[Outcome, tuple[int, ...]]:
    """The ladder by outcome, in seconds."""
    retry = policy.retry
    return {
        "busy": retry.busy_s, "no_answer": retry.no_answer_s, "rejected": retry.rejected_s,
        "machine": retry.machine_s, "hung_up": retry.hung_up_s, "wrong_person": retry.wrong_person_s,
        "failed": retry.failed_s, "unknown": retry.unknown_s, "unallocated": (),
    }  # fmt: skip


def _capped(started: Sequence[datetime], most: int, now: datetime) -> datetime | None:
    """When a cap of `most` in 24 hours lets another one pass; None when it does now. `started`: the latest first."""
    within = [at for at in started if at > now - DAY]
    return within[most - 1] + DAY if len(within) >= most else None


def _paced(started_at: datetime | None, per_second: float, now: datetime) -> tuple[datetime, str] | None:
    """Until when a pace of so many a second waits, and its words."""
    if started_at is None:
        return None
    until = started_at + timedelta(seconds=1 / per_second)
    return (until, f"{per_second:g} a second at most") if now < until else None


def _in_words(holds: Sequence[Hold], next_at: datetime | None, job: Job) -> str:
    reasons = "; ".join(hold.words for hold in holds)
    if next_at is None:
        return f"{reasons}. Nobody can say when it may ring"
    late = ", after its time is over" if next_at >= job.expires_at else ""
    return f"{reasons}. It may ring at {next_at:%Y-%m-%d %H:%M:%S} UTC{late}"
