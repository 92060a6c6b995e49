"""The words of outbound calls: jobs, attempts, what holds a job, and what came of it.

Frozen records, as the store keeps and HTTP shows them. Times are aware datetimes in UTC. Pure: knows no rule, no SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from ivr.line.messages import Cause

Kind = Literal["verification", "plan"]
State = Literal["queued", "held", "claimed", "dialing", "in_call", "done", "failed", "cancelled", "expired"]
Outcome = Literal[
    "reached", "busy", "no_answer", "rejected", "unallocated", "machine", "hung_up", "postponed",
    "rings_back", "wrong_person", "failed", "unknown", "cancelled",
]  # fmt: skip
Disposition = Literal[
    "confirmed", "denied", "not_verified", "wrong_person", "unreachable", "machine", "declined", "completed",
    "expired", "cancelled",
]  # fmt: skip
Rule = Literal[
    "not_before", "retry", "window", "holiday", "zone", "do_not_call", "number_busy", "number_cap", "contact_cap",
    "gap", "paused", "breaker", "calls_at_once", "calls_per_second", "trunk", "policy", "dialer",
    "line",
]  # fmt: skip

OPEN: tuple[State, ...] = ("claimed", "dialing", "in_call")
"""States of a job with an attempt under way."""
WAITING: tuple[State, ...] = ("queued", "held")
FINAL: tuple[State, ...] = ("done", "failed", "cancelled", "expired")

FIRST_HASH = "0" * 64
"""What the first evidence record of a server names as the hash of the one before it."""

STATE_OF: Mapping[Disposition, State] = {
    "confirmed": "done", "denied": "done", "not_verified": "done", "wrong_person": "done", "declined": "done",
    "completed": "done", "unreachable": "failed", "machine": "failed", "expired": "expired", "cancelled": "cancelled",
}  # fmt: skip
"""The final state that each disposition leaves a job in."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Job(_Record, frozen=True):
    """One thing to be rung about, without what the customer must prove.

    Attributes:
        phone: E.164. contact: the client's word for the person, empty when it gave none.
        timezone: IANA name that the client gave; empty: the zones of the number.
        body: what the dialplan is given (`transaction`, `phrase`, `metadata`, ...).
        due_at: when it is looked at next; None once it is final.
        held_by: the rule that holds it until then, empty while it is queued.
        retry_asked_at: a person asked to try now: attempts before it make nobody wait for the ladder.
        fence: number of its latest claim. Whoever writes for an attempt must hold that number.
    """

    id: str
    kind: Kind
    client: str
    idempotency_key: str
    phone: str
    contact: str
    language: str
    policy: str
    plan: str
    priority: int
    state: State
    created_at: datetime
    expires_at: datetime
    body: dict[str, Any] = {}
    timezone: str = ""
    callback_url: str = ""
    not_before: datetime | None = None
    due_at: datetime | None = None
    held_by: Rule | None = None
    retry_asked_at: datetime | None = None
    cancel_asked_at: datetime | None = None
    fence: int = 0
    attempts: int = 0
    disposition: Disposition | None = None
    disposition_at: datetime | None = None


class Attempt(_Record, frozen=True):
    """One call for a job, written before its INVITE. `ended_at` None: under way, as long as the lease lasts."""

    id: str
    job: str
    number: str
    fence: int
    server: str
    started_at: datetime
    lease_until: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    call: str = ""
    detail: str = ""


class Suppression(_Record, frozen=True):
    """Do not call `phone`: for jobs of `policy`, of all when it is empty; until `expires_at`, for ever when None."""

    id: str
    phone: str
    reason: str
    policy: str
    created_at: datetime
    expires_at: datetime | None = None


class Ended(_Record, frozen=True):
    """An attempt of a policy that is over, for its breaker."""

    job: str
    ended_at: datetime
    outcome: Outcome


class Load(_Record, frozen=True):
    """What a policy and its trunk are doing.

    Attributes:
        open, trunk_open, all_open: attempts under way of the policy, of its trunk, of all policies.
        started_at, trunk_started_at: the start of the latest attempt; None: none lately.
        ended: attempts of the policy that ended lately, the latest first.
        paused: why a person paused the policy or everything; empty: nobody did.
        dialer: whether anything is there that dials. line: whether it has a line for it.
    """

    open: int = 0
    trunk_open: int = 0
    all_open: int = 0
    started_at: datetime | None = None
    trunk_started_at: datetime | None = None
    ended: tuple[Ended, ...] = ()
    paused: str = ""
    dialer: bool = True
    line: bool = True


class Callee(_Record, frozen=True):
    """What is known of a number and a contact, beyond the job itself.

    Attributes:
        number_started, contact_started: starts of attempts in the last 24 hours, the latest first.
        number_ended_at: end of the latest attempt to the number; None: none lately.
        open_until: the end of the lease of an attempt to the number that is under way; None: there is none.
        suppression: the entry of the do-not-call list that holds longest; None: none holds.
        failed_proofs: answers by which nobody proved who they are, in calls to the number or the contact, as long.
    """

    number_started: tuple[datetime, ...] = ()
    contact_started: tuple[datetime, ...] = ()
    number_ended_at: datetime | None = None
    open_until: datetime | None = None
    suppression: Suppression | None = None
    failed_proofs: int = 0


class Hold(_Record, frozen=True):
    """A rule that keeps a job from ringing. `until` None: nobody knows when it lets go."""

    rule: Rule
    words: str
    until: datetime | None = None


class Decision(_Record, frozen=True):
    """What the rules say of a job at a time.

    Attributes:
        action: `dial` now; `hold`; `end` with `disposition`.
        holds: every rule that keeps it now.
        next_at: with `hold`, the first moment at which no rule known to end by itself keeps it; None: cannot be said.
        words: the reasons, fit for a person.
    """

    action: Literal["dial", "hold", "end"]
    words: str
    holds: tuple[Hold, ...] = ()
    next_at: datetime | None = None
    disposition: Disposition | None = None


class Deciding(Protocol):
    """The rules, as the store uses them inside a transaction. Pure."""

    @property
    def policies(self) -> Sequence[str]:
        """Names of the policies that there are."""

    def trunk_of(self, policy: str) -> str:
        """The trunk that a policy names, empty when it names none."""

    def version(self, policy: str) -> str:
        """What a policy says now, as a hash."""

    def answers_left(self, policy: str, failed: int) -> int:
        """Answers to identity questions that are left after so many that failed."""

    def gates(self, policy: str, load: Load, now: datetime) -> tuple[Hold, ...]:
        """What keeps every job of a policy."""

    def decide(self, job: Job, attempts: Sequence[Attempt], callee: Callee, load: Load, now: datetime) -> Decision:
        """What to do with a job."""


class NewJob(_Record, frozen=True):
    """A job to be created: the job as it will be, the hash of its request, and its proof under AES-GCM."""

    job: Job
    request_hash: str
    proof: bytes | None = None


class Created(_Record, frozen=True):
    """What came of a create. `replayed`: it was there, by the same request; `conflict`: by another one."""

    job: Job
    what: Literal["created", "replayed", "conflict"]


class Claim(_Record, frozen=True):
    """A job to be dialled now: its attempt is written, and its lease runs.

    Attributes:
        proof: what the customer must prove, sealed. failed_proofs: that of `Callee`; of callers, when they rang us.
    """

    job: Job
    attempt: Attempt
    proof: bytes | None = None
    failed_proofs: int = 0


@dataclass(frozen=True)
class Outgoing:
    """What a call that we make is given.

    Attributes:
        given: what its dialplan is told. proof: what the customer must prove to know; it stays in memory.
        language: the one it begins in. zone: IANA name of the callee's time zone, empty when it is not one.
        amd: whether it is asked who answers.
        call: id of the call in the records; the call takes one of its own when empty.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    proof: Mapping[str, str] = field(default_factory=dict, repr=False)
    language: str = "en"
    zone: str = ""
    amd: bool = False
    call: str = ""


@dataclass(frozen=True)
class CallResult:
    """What a call that we made came to.

    Attributes:
        cause, by: how its leg ended, and by whom.
        outcome: what its plan ended with; empty: it did not come to its end.
        disposition: what the plan says of the job; empty: nothing.
        again_at: when they want to be rung again, ISO 8601 with its offset. suppress: why they are not to be any more.
        failed_proofs: answers that were to prove who speaks, when they did not. facts: what is testified of it.
    """

    cause: Cause
    by: Literal["them", "us"]
    outcome: str = ""
    disposition: str = ""
    again_at: str = ""
    suppress: str = ""
    failed_proofs: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


class Idle(_Record, frozen=True):
    """Nothing may ring now. `next_at`: when to look again at the latest; None: when something changes."""

    next_at: datetime | None = None


class Event(_Record, frozen=True):
    """One thing that happened to a job. `seq` counts from 1 without gaps."""

    seq: int
    at: datetime
    kind: str
    body: dict[str, Any] = {}


class JobPage(_Record, frozen=True):
    """Jobs, the newest first; `next` is the cursor of the page after, None on the last."""

    jobs: tuple[Job, ...]
    next: str | None = None


class Events(_Record, frozen=True):
    """Everything that happened to a job, in order, and its attempts."""

    job: str
    events: tuple[Event, ...]
    attempts: tuple[Attempt, ...]


class SuppressionPage(_Record, frozen=True):
    """Entries of the do-not-call list; `next` is the cursor of the page after, None on the last."""

    suppressions: tuple[Suppression, ...]
    next: str | None = None


class Pause(_Record, frozen=True):
    """A person stopped a policy, or everything when `policy` is empty."""

    policy: str
    at: datetime
    by: str
    reason: str = ""


class Webhook(_Record, frozen=True):
    """One notification of a job: `body` is sent as it stands, under the same `id` at every try."""

    id: str
    job: str
    seq: int
    event: str
    url: str
    state: Literal["pending", "delivered", "failed", "superseded"]
    created_at: datetime
    due_at: datetime
    tries: int = 0
    delivered_at: datetime | None = None
    reason: str = ""
    body: str = ""


class EvidenceRecord(_Record, frozen=True, forbid_unknown_fields=True):
    """One record.

    Attributes:
        server, index: whose chain, and the place in it, from 1.
        at: ISO 8601, UTC.
        body: what is testified: job, disposition, attempts, what the call was.
        previous, hash: SHA-256 in hex. signature: base64.
    """

    version: int
    server: str
    index: int
    at: str
    body: dict[str, Any]
    previous: str
    hash: str
    signature: str
