"""The audit of outbound calls finds what was planted, and nothing where nothing is wrong."""

import msgspec
import pytest

from ivr.bench.outbound_audit import Account, compare, seconds
from ivr.bench.outbound_site import Rung, Told

LADDERS = {"once": {"busy": (2,), "unknown": ()}, "again": {"busy": (2,), "unknown": (2,)}}


def attempt(n: int, outcome: str, started: str, ended: str | None) -> dict:
    return {"id": f"att_{n}", "fence": n, "outcome": outcome, "started_at": f"2026-11-23T05:{started}Z",
            "ended_at": ended and f"2026-11-23T05:{ended}Z"}  # fmt: skip


def rung(at: str) -> Rung:
    return Rung("+8613812345678", at, seconds(f"2026-11-23T05:{at}Z"), 0.0, None)


def told(message: str, disposition: str) -> Told:
    return Told(message, "job.completed", {"job": "job_1", "disposition": disposition}, 0.0)


TWICE = (attempt(1, "busy", "00:00.000", "00:01.000"), attempt(2, "reached", "00:03.000", "00:20.000"))
LOST = (attempt(1, "unknown", "00:00.000", "00:10.000"), attempt(2, "reached", "00:12.000", "00:20.000"))


def account(policy: str = "again", attempts: tuple = TWICE, rings: tuple = ("00:00.050", "00:03.050"), **changes):
    job = {"id": "job_1", "state": "done", "policy": policy, "disposition": "completed", "callback_url": "http://x/"}
    events = {"events": [{"kind": "completed", "body": {"disposition": "completed"}}], "attempts": list(attempts)}
    made = {"job": job | changes.pop("job", {}), "events": events | changes.pop("events", {}),
            "evidence": {"body": {"disposition": "completed"}}, "rung": [rung(at) for at in rings],
            "told": [told("msg_1", "completed")]}  # fmt: skip
    return Account(**made | changes)


@pytest.mark.parametrize("whole", [account(), account(attempts=LOST, rings=("00:00.050", "00:12.050"))])
def test_where_nothing_is_wrong_nothing_is_found(whole):
    assert compare(["job_1"], [whole], LADDERS).all == []


def test_repeated_deliveries_of_one_webhook_are_no_fault():
    repeated = account(told=[told("msg_1", "completed")] * 3)
    assert compare(["job_1"], [repeated], LADDERS).all == []


@pytest.mark.parametrize(
    ("planted", "promise", "says"),
    [
        ([], "lost", "accepted and is not there"),
        ([account(job={"state": "dialing"})], "lost", "still dialing"),
        ([account(events={"events": []})], "outcomes", "its events []"),
        ([account(events={"events": [{"kind": "completed", "body": {"disposition": "completed"}}] * 2})],
         "outcomes", "['completed', 'completed']"),
        ([account(evidence=None)], "outcomes", "its evidence None"),
        ([account(attempts=(TWICE[0], attempt(2, "reached", "00:03.000", None)))], "outcomes", "['att_2']"),
        ([account(told=[])], "webhooks", "under 0 ids"),
        ([account(told=[told("msg_1", "completed"), told("msg_2", "completed")])], "webhooks", "under 2 ids"),
        ([account(told=[told("msg_1", "unreachable")])], "webhooks", "['unreachable']"),
        ([account(rings=("00:00.050", "00:00.900", "00:03.050"))], "rings", "rung 3 times, and no attempt is recorded"),
        ([account(rings=("00:00.050", "00:02.000"))], "rings", "no attempt is recorded"),
        ([account(attempts=(), rings=("00:00.050",))], "rings", "no attempt is recorded"),
        ([account("once", LOST, ("00:00.050", "00:12.050"))], "rings", "after unknown, for which the policy has no"),
        ([account("once", LOST, ())], "rings", "after unknown, for which the policy has no"),
        ([account(attempts=(TWICE[0], attempt(2, "reached", "00:01.500", "00:20.000")), rings=("00:00.050",
          "00:01.550"))], "rings", "earlier than 2 s after busy"),
        ([account(attempts=(attempt(1, "failed", "00:00.000", "00:01.000"),), rings=("00:00.050",))],
         "rings", "say that nothing rang"),
    ],
)  # fmt: skip
def test_what_was_planted_is_found_and_nothing_else(planted, promise, says):
    found = compare(["job_1"], planted, LADDERS)
    assert says in " ".join(getattr(found, promise)), msgspec.to_builtins(found)
    assert found.all == getattr(found, promise)
