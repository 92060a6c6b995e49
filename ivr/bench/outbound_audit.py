"""Whether outbound calls kept their promises: jobs, attempts, INVITEs, webhooks and evidence compared. Pure.

What is compared comes from different hands: the API's word for the jobs, the telephones' count of INVITEs, what
arrived at the bank. A phone that rang has one attempt that says so; it rings again only where the policy has a step for
what the attempt before came to.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ivr.bench.outbound_site import FINAL, Rung, Told

EARLY_S = 0.2
"""An attempt is written before its INVITE; clocks in milliseconds and a busy machine may show them this far apart."""


@dataclass(frozen=True)
class Account:
    """All that is known of one job: `job` and `events` as the API gives them, `evidence` its record or None."""

    job: Mapping[str, Any]
    events: Mapping[str, Any]
    evidence: Mapping[str, Any] | None
    rung: Sequence[Rung]
    told: Sequence[Told]


@dataclass
class Findings:
    """What was found, by promise; empty lists when all is well."""

    lost: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    webhooks: list[str] = field(default_factory=list)
    rings: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.outcomes, *self.webhooks, *self.rings]


def compare(ordered: Iterable[str], accounts: Sequence[Account], ladders: Mapping[str, Mapping[str, Sequence[int]]],
            ) -> Findings:  # fmt: skip
    """What broke a promise. `ladders`: policy -> outcome -> seconds of its steps, as configured."""
    found = Findings()
    known = {account.job["id"] for account in accounts}
    found.lost += [f"{job}: it was accepted and is not there" for job in ordered if job not in known]
    for account in accounts:
        name = account.job["id"]
        if account.job["state"] not in FINAL:
            found.lost.append(f"{name}: still {account.job['state']}")
            continue
        found.outcomes += [f"{name}: {fault}" for fault in _outcome_faults(account)]
        found.webhooks += [f"{name}: {fault}" for fault in _webhook_faults(account)]
        found.rings += [f"{name}: {fault}" for fault in _ring_faults(account, ladders[account.job["policy"]])]
    return found


def _outcome_faults(account: Account) -> Iterable[str]:
    """One disposition: one event, one record of evidence, all the same."""
    said = [e["body"]["disposition"] for e in account.events["events"] if e["kind"] == "completed"]
    if said != [account.job["disposition"]]:
        yield f"the job says {account.job['disposition']}, its events {said}"
    testified = account.evidence["body"]["disposition"] if account.evidence else None
    if testified != account.job["disposition"]:
        yield f"the job says {account.job['disposition']}, its evidence {testified}"
    if open_still := [a["id"] for a in account.events["attempts"] if a["ended_at"] is None]:
        yield f"it has ended and these attempts have not: {open_still}"


def _webhook_faults(account: Account) -> Iterable[str]:
    """The outcome arrived, under one id, and says what the job says."""
    if not account.job["callback_url"]:
        return
    completed = [told for told in account.told if told.type.endswith(".completed")]
    if len(ids := {told.id for told in completed}) != 1:
        yield f"its outcome arrived under {len(ids)} ids"
    if wrong := {told.data["disposition"] for told in completed} - {account.job["disposition"]}:
        yield f"the job says {account.job['disposition']}, the webhook {sorted(wrong)}"


def _ring_faults(account: Account, ladder: Mapping[str, Sequence[int]]) -> Iterable[str]:
    """Each INVITE belongs to an attempt of its own, and each attempt after one that rang to a step of the policy."""
    attempts = sorted(account.events["attempts"], key=lambda attempt: attempt["fence"])
    rang: set[str] = set()
    for rung in account.rung:
        # The telephones share the machine and may read an INVITE late, never before it was sent.
        mine = (a["id"] for a in attempts if a["id"] not in rang and seconds(a["started_at"]) <= rung.at + EARLY_S)
        if (owner := next(mine, None)) is None:
            yield f"rung {len(account.rung)} times, and no attempt is recorded for the INVITE at {rung.at:.3f}"
        else:
            rang.add(owner)
    ended: list[str] = []
    for before, after in itertools.pairwise(attempts):
        ended.append(before["outcome"])
        steps, step = ladder.get(before["outcome"], ()), ended.count(before["outcome"]) - 1
        if before["id"] not in rang and before["outcome"] != "unknown":
            continue
        if step >= len(steps):
            yield f"rung again after {before['outcome']}, for which the policy has no step"
        elif seconds(after["started_at"]) - seconds(before["ended_at"]) < steps[step] - EARLY_S:
            yield f"rung again earlier than {steps[step]} s after {before['outcome']}"
    if failed := [a["id"] for a in attempts if a["outcome"] == "failed" and a["id"] in rang]:
        yield f"these attempts rang it and say that nothing rang: {failed}"


def seconds(at: str) -> float:
    """A time as the API writes it, since 1970."""
    return datetime.fromisoformat(at).timestamp()
