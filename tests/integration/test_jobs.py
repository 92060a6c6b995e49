"""The queue of outbound jobs: the same cases on a real SQLite file and on a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from ivr.config_outbound import Breaker, Outbound, Policy, Retry
from ivr.errors import Rejected, Unavailable
from ivr.outbound import evidence
from ivr.outbound.evidence import Signer
from ivr.outbound.job import CallResult, Claim, Idle, Job, NewJob
from ivr.outbound.policy import Rules
from ivr.outbound.proof import ProofBox
from ivr.store.job_ends import Ending
from ivr.store.job_pages import JobFilter, JobPages
from ivr.store.jobs import Finished, Jobs, Stale
from ivr.store.outbox import TAKEN_FOR, Outbox
from ivr.store.store import BadCursor, Store

BEGAN = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)  # a Monday, noon in Shanghai, 5 in the morning in Berlin
PHONE = "+8613812345678"
LEASE_S = 30
SIGNER = Signer(bytes(range(32)))
BOX = ProofBox(b"k" * 32)
SECRET = "1987-04-29-octarine"
FREE = Policy(always=True, attempts=3, attempts_per_number=50, attempts_per_contact=50, gap_s=0, calls_per_second=1_000,
              calls_at_once=50, retry=Retry(busy_s=(60, 60)))  # fmt: skip
POLICIES = {
    "free": FREE,
    "again": msgspec.structs.replace(FREE, retry=Retry(unknown_s=(5,))),
    "one": msgspec.structs.replace(FREE, calls_at_once=1),
    "office": msgspec.structs.replace(FREE, always=False, windows=("mon-fri 09:00-20:00",)),
    "fragile": msgspec.structs.replace(FREE, breaker=Breaker(attempts=2), retry=Retry(failed_s=())),
}
RULES = Rules(Outbound(policies=POLICIES, calls_at_once=60))


def called(**came_to) -> CallResult:
    """A call that ended well."""
    return CallResult("hangup", "us", "completed", **came_to)


class Desk:
    """One server's queue with a clock of its own."""

    def __init__(self, store: Store, server: str = "a") -> None:
        self.now = BEGAN
        self.store = store
        self.jobs = Jobs(store, Ending(RULES, SIGNER, server), LEASE_S, lambda: self.now)
        self.pages = JobPages(store)
        self.made = 0

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def new(self, **changes) -> NewJob:
        self.made += 1
        fields = {
            "id": f"job_{self.made:04}", "kind": "verification", "client": "bank", "idempotency_key": f"k{self.made}",
            "phone": f"+86138{self.made:08}", "contact": "", "language": "zh", "policy": "free", "plan": "verify",
            "priority": 5, "state": "queued", "created_at": self.now, "expires_at": self.now + timedelta(hours=6),
            "due_at": self.now, "body": {"metadata": {"case": "王-7"}},
        }  # fmt: skip
        request_hash = changes.pop("request_hash", "h")
        proof = changes.pop("proof", None)
        return NewJob(job=Job(**fields | changes), request_hash=request_hash, proof=proof)

    async def add(self, **changes) -> Job:
        created = (await self.jobs.create([self.new(**changes)]))[0]
        assert created.what == "created"
        return created.job

    async def claim(self) -> Claim:
        self.later(0.001)
        found = await self.jobs.claim()
        assert isinstance(found, Claim)
        return found

    async def claimed_ids(self) -> list[str]:
        """Everything that may ring now; the clock goes on as the pace asks for it."""
        ids = []
        while True:
            found = await self.jobs.claim()
            if isinstance(found, Claim):
                ids.append(found.job.id)
            elif found.next_at is None or found.next_at > self.now + timedelta(milliseconds=2):
                return ids
            self.later(0.001)

    async def idle(self) -> Idle:
        self.later(0.001)
        found = await self.jobs.claim()
        assert isinstance(found, Idle)
        return found

    async def kinds(self, job_id: str) -> list[str]:
        events = (await self.pages.events(job_id)).events
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        return [e.kind for e in events]


@asynccontextmanager
async def desks(backend, *servers: str) -> AsyncIterator[list[Desk]]:
    stores = [Store(backend.url, backend.root, server=name) for name in servers]
    for store in stores:
        await store.open()
    try:
        yield [Desk(store, name) for store, name in zip(stores, servers, strict=True)]
    finally:
        for store in stores:
            await store.close()


@pytest.fixture
async def desk(backend):
    async with desks(backend, "a") as (only,):
        only.backend = backend
        yield only


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_queue_that_fills_is_not_read_whole_for_every_claim(backend):
    """PostgreSQL keeps plans of statements it knows; one made for an empty queue reads all of a full one."""
    async with desks(backend, "a") as (d,):
        await d.jobs.create([d.new() for _ in range(100)])
        for _ in range(60):
            await d.jobs.finish(await d.claim(), "reached", "confirmed")
        await d.jobs.create([d.new() for _ in range(4_000)])
        for _ in range(40):
            await d.jobs.finish(await d.claim(), "reached", "confirmed")
    ((read,),) = backend.execute("SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'jobs'")
    assert read < 40 * 1_000


async def test_a_job_goes_from_created_to_its_one_disposition(desk):
    job = await desk.add(phone=PHONE)
    claim = await desk.claim()
    assert (claim.job.state, claim.job.fence, claim.attempt.number) == ("claimed", 1, PHONE)
    await desk.jobs.dialing(claim, "call1")
    desk.later(4)
    picked_up = desk.now
    await desk.jobs.answered(claim)
    assert (await desk.pages.job(job.id)).state == "in_call"
    desk.later(20)
    assert await desk.jobs.renew(claim) is False
    over = await desk.jobs.finish(claim, "reached", "denied", call=called(facts={"step": "was_it_you"}))
    assert (over.state, over.disposition, over.disposition_at) == ("done", "denied", desk.now)
    assert await desk.kinds(job.id) == ["created", "claimed", "dialing", "answered", "attempt_ended", "completed"]
    attempt = (await desk.pages.events(job.id)).attempts[0]
    assert (attempt.call, attempt.outcome, attempt.answered_at) == ("call1", "reached", picked_up)
    assert await desk.idle() == Idle()


async def test_the_same_key_gives_the_same_job_and_another_body_is_a_conflict(desk):
    first = await desk.add(idempotency_key="k", request_hash="one")
    again, other, theirs = await desk.jobs.create([
        desk.new(idempotency_key="k", request_hash="one"),
        desk.new(idempotency_key="k", request_hash="two"),
        desk.new(idempotency_key="k", request_hash="two", client="insurer"),
    ])  # fmt: skip
    assert (again.what, again.job.id, other.what) == ("replayed", first.id, "conflict")
    assert theirs.what == "created"
    assert len((await desk.pages.page("", 9, JobFilter())).jobs) == 2


async def test_one_key_twice_in_a_batch_makes_one_job(desk):
    made = await desk.jobs.create([desk.new(idempotency_key="k"), desk.new(idempotency_key="k")])
    assert [m.what for m in made] == ["created", "replayed"]
    assert made[0].job.id == made[1].job.id


async def test_many_creates_at_once_of_one_key_make_one_job(backend):
    async with desks(backend, "a", "b") as (one, two):
        two.made = 500
        made = await asyncio.gather(*(d.jobs.create([d.new(idempotency_key="k")]) for d in (one, two) * 10))
        whats = sorted(created.what for (created,) in made)
        assert whats == ["created", *["replayed"] * 19]
        assert len({created.job.id for (created,) in made}) == 1


async def test_claims_go_by_priority_and_then_by_time(desk):
    for priority, due_s in ((0, 0), (5, 2), (9, 5), (5, 1), (9, 4)):
        await desk.add(priority=priority, due_at=BEGAN + timedelta(seconds=due_s))
    desk.later(10)
    assert await desk.claimed_ids() == ["job_0005", "job_0003", "job_0004", "job_0002", "job_0001"]


async def test_a_held_job_is_claimed_when_its_time_has_come_and_not_before(desk):
    due = BEGAN + timedelta(minutes=5)
    job = await desk.add(state="held", held_by="not_before", not_before=due, due_at=due)
    assert await desk.idle() == Idle(next_at=due)
    desk.later(300)
    assert (await desk.claim()).job.id == job.id


async def test_what_the_rules_hold_is_put_off_until_the_time_they_name(desk):
    job = await desk.add(policy="office", phone="+4930123456")
    assert await desk.idle() == Idle(next_at=BEGAN + timedelta(hours=4))
    held = await desk.pages.job(job.id)
    assert (held.state, held.held_by) == ("held", "window")
    assert await desk.kinds(job.id) == ["created", "held"]
    await desk.idle()
    assert await desk.kinds(job.id) == ["created", "held"]


async def test_a_busy_number_is_tried_again_by_the_ladder(desk):
    job = await desk.add()
    for _ in range(2):
        after = await desk.jobs.finish(await desk.claim(), "busy")
        assert (after.state, after.held_by, after.due_at) == ("held", "retry", desk.now + timedelta(seconds=60))
        await desk.idle()
        desk.later(60)
    last = await desk.jobs.finish(await desk.claim(), "busy")
    assert (last.state, last.disposition, last.attempts) == ("failed", "unreachable", 3)
    assert len(await desk.pages.webhooks(job.id)) == 0


async def test_a_person_may_skip_the_ladder_but_no_other_rule(desk):
    job = await desk.add()
    await desk.jobs.finish(await desk.claim(), "busy")
    assert (await desk.jobs.retry(job.id, "anna")).state == "queued"
    assert (await desk.claim()).job.attempts == 2
    held = await desk.add(policy="office", phone="+4930123456")
    await desk.jobs.retry(held.id, "anna")
    assert await desk.idle()
    assert (await desk.pages.job(held.id)).held_by == "window"


async def test_a_number_never_rings_twice_at_once(desk):
    await desk.add(phone=PHONE)
    await desk.add(phone=PHONE, client="insurer")
    first = await desk.claim()
    assert (await desk.idle()).next_at == first.attempt.lease_until
    assert (await desk.pages.job("job_0002")).held_by == "number_busy"
    await desk.jobs.finish(first, "reached", "confirmed")
    desk.later(LEASE_S)
    assert (await desk.claim()).job.id == "job_0002"


async def test_limits_of_a_policy_hold_its_jobs_and_no_others(desk):
    for policy in ("one", "one", "free"):
        await desk.add(policy=policy)
    assert await desk.claimed_ids() == ["job_0001", "job_0003"]
    assert (await desk.pages.job("job_0002")).state == "queued"


async def test_a_pause_holds_a_policy_or_everything_until_it_is_lifted(desk):
    for policy in ("one", "free"):
        await desk.add(policy=policy)
    pause = await desk.jobs.pause("one", "anna", "carrier trouble")
    assert (await desk.jobs.pause("one", "bob", "again")) == pause
    assert await desk.claimed_ids() == ["job_0002"]
    await desk.jobs.pause("", "anna", "")
    assert await desk.jobs.resume("one") is True
    assert await desk.claimed_ids() == []
    assert [p.policy for p in await desk.pages.pauses()] == [""]
    assert await desk.jobs.resume("") is True
    assert await desk.jobs.resume("") is False
    assert await desk.claimed_ids() == ["job_0001"]


async def test_the_breaker_holds_a_policy_whose_attempts_fail_and_lets_one_try_later(desk):
    for _ in range(4):
        await desk.add(policy="fragile")
    for _ in range(2):
        await desk.jobs.finish(await desk.claim(), "failed", detail="503 Service Unavailable")
    opened = desk.now
    assert (await desk.idle()).next_at == opened + timedelta(seconds=300)
    desk.later(300)
    assert (await desk.claim()).job.id == "job_0003"


@pytest.mark.parametrize(("policy", "state"), [("free", "failed"), ("again", "held")])
async def test_an_attempt_whose_server_died_is_unknown_and_policy_decides(desk, policy, state):
    job = await desk.add(policy=policy)
    claim = await desk.claim()
    desk.later(LEASE_S + 1)
    assert await desk.jobs.sweep() == 1
    after = await desk.pages.job(job.id)
    assert after.state == state
    assert (await desk.pages.events(job.id)).attempts[0].outcome == "unknown"
    for late in (desk.jobs.renew(claim), desk.jobs.answered(claim), desk.jobs.finish(claim, "reached", "confirmed")):
        with pytest.raises(Stale):
            await late
    assert (await desk.pages.job(job.id)) == after


async def test_a_holder_that_renews_is_not_taken_for_dead(desk):
    await desk.add()
    claim = await desk.claim()
    for _ in range(4):
        desk.later(LEASE_S - 1)
        await desk.jobs.renew(claim)
        assert await desk.jobs.sweep() == 0


async def test_a_fence_of_before_changes_nothing_after_the_next_claim(desk):
    await desk.add(policy="again")
    old = await desk.claim()
    desk.later(LEASE_S + 1)
    await desk.jobs.sweep()
    desk.later(5)
    new = await desk.claim()
    assert new.attempt.fence == old.attempt.fence + 1
    with pytest.raises(Stale):
        await desk.jobs.finish(old, "reached", "confirmed")
    assert (await desk.jobs.finish(new, "reached", "denied")).disposition == "denied"


async def test_finishing_twice_is_finishing_once(desk):
    job = await desk.add()
    claim = await desk.claim()
    first = await desk.jobs.finish(claim, "reached", "confirmed")
    assert await desk.jobs.finish(claim, "reached", "confirmed") == first
    assert (await desk.kinds(job.id)).count("completed") == 1


async def test_a_claim_that_is_run_again_after_a_lost_connection_gives_the_same_attempt(desk, monkeypatch):
    await desk.add()
    await desk.add()
    write = desk.store.write

    async def twice(name, work):
        await write(name, work)
        return await write(name, work)

    monkeypatch.setattr(desk.store, "write", twice)
    claim = await desk.claim()
    monkeypatch.undo()
    assert (await desk.claim()).job.id != claim.job.id
    assert desk.backend.execute("SELECT count(*) FROM attempts")[0][0] == 2


async def test_jobs_whose_time_is_over_expire(desk):
    job = await desk.add(expires_at=BEGAN + timedelta(minutes=1))
    assert await desk.jobs.sweep() == 0
    desk.later(60)
    assert await desk.jobs.sweep() == 1
    assert (await desk.pages.job(job.id)).disposition == "expired"
    assert await desk.jobs.sweep() == 0


async def test_cancelling_before_and_during_a_call(desk):
    waiting, calling = await desk.add(priority=1), await desk.add(priority=9)
    assert (await desk.jobs.cancel(waiting.id, "bank")).disposition == "cancelled"
    claim = await desk.claim()
    assert claim.job.id == calling.id
    asked = await desk.jobs.cancel(calling.id, "bank")
    assert (asked.state, asked.disposition) == ("claimed", None)
    assert await desk.jobs.renew(claim) is True
    assert (await desk.jobs.finish(claim, "cancelled")).disposition == "cancelled"
    assert (await desk.jobs.cancel(calling.id, "bank")).state == "cancelled"
    done = await desk.add()
    await desk.jobs.finish(await desk.claim(), "reached", "confirmed")
    with pytest.raises(Finished, match="confirmed"):
        await desk.jobs.cancel(done.id, "bank")
    assert await desk.jobs.cancel("job_none", "bank") is None


async def test_do_not_call_ends_what_waits_and_its_end_lets_others_ring(desk):
    entry = await desk.jobs.suppress(PHONE, "asked on the phone 请不要再打")
    assert (await desk.pages.suppressions("", 9, PHONE)).suppressions == (entry,)
    job = await desk.add(phone=PHONE)
    await desk.idle()
    assert (await desk.pages.job(job.id)).disposition == "declined"
    assert await desk.jobs.unsuppress(entry.id) is True
    assert await desk.jobs.unsuppress(entry.id) is False
    await desk.jobs.suppress(PHONE, "reminders only", "office")
    until = BEGAN + timedelta(hours=1)
    await desk.jobs.suppress(PHONE, "until one", expires_at=until)
    await desk.add(phone=PHONE)
    assert await desk.idle() == Idle(next_at=until)


async def test_caps_count_a_contact_over_its_numbers_and_clients_apart(desk):
    limited = "again"
    for number in range(3):
        await desk.add(contact="c7", policy=limited, phone=f"+8613900000{number:03}")
        await desk.jobs.finish(await desk.claim(), "reached", "confirmed")
    around = await desk.pages.surroundings((await desk.add(contact="c7")).id, RULES.trunk_of, desk.now)
    assert len(around.callee.contact_started) == 3
    theirs = await desk.add(contact="c7", client="insurer")
    assert (await desk.pages.surroundings(theirs.id, RULES.trunk_of, desk.now)).callee.contact_started == ()


async def test_pages_are_filtered_and_end(desk):
    for number in range(5):
        await desk.add(kind="plan" if number % 2 else "verification")
        desk.later(1)
    first = await desk.pages.page("", 2, JobFilter())
    second = await desk.pages.page(first.next, 2, JobFilter())
    third = await desk.pages.page(second.next, 2, JobFilter())
    ids = [j.id for page in (first, second, third) for j in page.jobs]
    assert (ids, third.next) == ([f"job_{n:04}" for n in (5, 4, 3, 2, 1)], None)
    assert len((await desk.pages.page("", 9, JobFilter(kind="plan"))).jobs) == 2
    assert len((await desk.pages.page("", 9, JobFilter(phone="+8613800000003"))).jobs) == 1
    late = JobFilter(since=BEGAN + timedelta(seconds=1), until=BEGAN + timedelta(seconds=3))
    assert len((await desk.pages.page("", 9, late)).jobs) == 2
    with pytest.raises(BadCursor):
        await desk.pages.page("nonsense", 2, JobFilter())


async def test_a_proof_is_on_no_disk_in_clear_and_goes_with_the_outcome(desk):
    job_id = "job_secret"
    await desk.add(id=job_id, proof=BOX.seal(job_id, {"birth_date": SECRET}))
    claim = await desk.claim()
    assert BOX.open(job_id, claim.proof) == {"birth_date": SECRET}
    await desk.jobs.finish(claim, "reached", "confirmed")
    assert desk.backend.execute("SELECT proof FROM jobs") == [(None,)]
    assert SECRET.encode() not in desk.backend.everything()


async def test_evidence_is_a_chain_of_signed_records(desk):
    for disposition in ("confirmed", "denied"):
        await desk.add()
        await desk.jobs.finish(
            await desk.claim(), "reached", disposition, call=called(facts={"amd": {"verdict": "human"}})
        )
    await desk.add()
    await desk.jobs.cancel("job_0003", "bank")
    records = [await desk.pages.evidence(f"job_{n:04}") for n in (1, 2, 3)]
    assert [r.index for r in records] == [1, 2, 3]
    assert evidence.faults(records, SIGNER.public_key) == []
    assert records[1].body["disposition"] == "denied"
    assert records[1].body["call"] == {"amd": {"verdict": "human"}}
    assert records[0].body["attempts"][0]["outcome"] == "reached"
    await desk.add()
    assert await desk.pages.evidence("job_0004") is None


async def test_a_failure_between_the_outcome_and_its_webhook_leaves_neither(desk, monkeypatch):
    job = await desk.add(callback_url="https://bank.example/hook")
    claim = await desk.claim()

    def broken(*_):
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(SIGNER, "record", broken)
    with pytest.raises(Unavailable):
        await desk.jobs.finish(claim, "reached", "confirmed")
    monkeypatch.undo()
    assert (await desk.pages.job(job.id)).disposition is None
    assert await desk.kinds(job.id) == ["created", "claimed"]
    assert (await desk.jobs.finish(claim, "reached", "confirmed")).disposition == "confirmed"
    assert [w.event for w in await desk.pages.webhooks(job.id)] == ["verification.completed"]


async def test_progress_is_told_and_the_outcome_supersedes_what_was_not_delivered(desk):
    job = await desk.add(callback_url="https://bank.example/hook")
    claim = await desk.claim()
    await desk.jobs.dialing(claim, "call1")
    await desk.jobs.answered(claim)
    await desk.jobs.finish(claim, "reached", "confirmed")
    told = [(w.event, w.seq, w.state) for w in await desk.pages.webhooks(job.id)]
    assert told == [
        ("verification.dialing", 3, "superseded"), ("verification.answered", 4, "superseded"),
        ("verification.completed", 6, "pending"),
    ]  # fmt: skip
    body = msgspec.json.decode((await desk.pages.webhooks(job.id))[-1].body)
    assert body["type"] == "verification.completed"
    assert (body["data"]["job"], body["data"]["disposition"], body["data"]["seq"]) == (job.id, "confirmed", 6)
    assert body["data"]["metadata"] == {"case": "王-7"}


async def test_what_is_told_is_taken_once_and_again_when_nobody_says_what_came_of_it(backend):
    async with desks(backend, "a", "b") as (one, two):
        jobs = [await one.add(callback_url="https://bank.example/hook") for _ in range(6)]
        for job in jobs:
            await one.jobs.cancel(job.id, "bank")
        boxes = [Outbox(desk.store) for desk in (one, two)]
        takes = await asyncio.gather(*(box.take(2, one.now) for box in boxes * 3))
        taken = [webhook for take in takes for webhook in take]
        assert sorted(w.job for w in taken) == [job.id for job in jobs]
        assert await boxes[0].take(9, one.now) == []
        await boxes[0].delivered(taken[0], one.now)
        await boxes[1].put_off(taken[1], None, "gone")
        again = await boxes[0].take(9, one.now + TAKEN_FOR)
        assert {(w.id, w.tries, w.body) for w in again} == {(w.id, 2, w.body) for w in taken[2:]}
        assert await boxes[0].undelivered() == 5
        assert await boxes[0].redeliver(taken[1].job, one.now) == 1
        assert [w.id for w in await boxes[1].take(9, one.now)] == [taken[1].id]
        assert await boxes[0].redeliver("job_none", one.now) == 0


async def test_two_servers_share_a_queue_and_no_job_is_claimed_twice(backend):
    async with desks(backend, "a", "b") as (one, two):
        for _ in range(12):
            await one.add()
        ids = await asyncio.gather(one.claimed_ids(), two.claimed_ids(), one.claimed_ids(), two.claimed_ids())
        claimed = [i for each in ids for i in each]
        assert sorted(claimed) == [f"job_{n:04}" for n in range(1, 13)]


async def test_two_servers_keep_a_limit_together(backend):
    async with desks(backend, "a", "b") as (one, two):
        for _ in range(6):
            await one.add(policy="one")
        ids = await asyncio.gather(*(desk.claimed_ids() for desk in (one, two) * 3))
        assert sum(map(len, ids)) == 1


async def test_who_asks_to_be_rung_later_is_rung_then(desk):
    job = await desk.add()
    later = desk.now + timedelta(hours=2)
    held = await desk.jobs.finish(await desk.claim(), "postponed", call=called(again_at=later.isoformat()))
    assert (held.state, held.held_by, held.due_at) == ("held", "not_before", later)
    await desk.idle()
    desk.later(2 * 3_600)
    assert (await desk.claim()).job.id == job.id


async def test_who_asks_for_a_time_after_the_end_is_not_rung_again(desk):
    await desk.add()
    over = await desk.jobs.finish(
        await desk.claim(), "postponed", call=called(again_at=f"{desk.now + timedelta(hours=7):%Y-%m-%dT%H:%M}Z")
    )
    assert (over.disposition, over.state) == ("not_verified", "done")


async def test_who_asks_never_to_be_rung_is_on_the_list_by_the_same_transaction(desk):
    job, other = await desk.add(phone=PHONE), await desk.add(phone=PHONE, policy="office")
    over = await desk.jobs.finish(await desk.claim(), "reached", "declined", call=called(suppress="客户要求"))
    assert over.disposition == "declined"
    entry = await desk.pages.suppression(PHONE, "office", desk.now)
    assert (entry.reason, entry.policy, entry.expires_at) == ("客户要求", "", None)
    assert "suppressed" in await desk.kinds(job.id)
    await desk.idle()
    assert (await desk.pages.job(other.id)).disposition == "declined"


async def test_answers_that_proved_nothing_count_over_all_calls_to_a_customer(desk):
    await desk.add(phone=PHONE)
    await desk.jobs.finish(await desk.claim(), "hung_up", call=called(failed_proofs=2))
    again = await desk.add(phone=PHONE)
    desk.later(1)
    claims = [await desk.claim()]
    assert (claims[0].job.id, claims[0].failed_proofs) == (again.id, 2)
    await desk.jobs.finish(claims[0], "reached", "not_verified", call=called(failed_proofs=1))
    third, reminder = await desk.add(phone=PHONE), await desk.add(phone=PHONE, kind="plan")
    assert (await desk.claim()).job.id == reminder.id
    over = await desk.pages.job(third.id)
    assert (over.disposition, over.attempts) == ("not_verified", 0)
    assert "failed_proofs" in await desk.kinds(again.id)
    desk.later(86_400)
    assert await desk.add(phone=PHONE, expires_at=desk.now + timedelta(hours=1))
    assert (await desk.claim()).failed_proofs == 0


async def test_callers_who_prove_nothing_use_up_their_own_answers_and_no_others(desk):
    job = await desk.add(phone=PHONE, not_before=desk.now + timedelta(hours=1))
    for answers, left in ((2, 3), (1, 1)):
        claim = await desk.jobs.claim_back(PHONE, "verify")
        assert (claim.job.id, 3 - claim.failed_proofs) == (job.id, left)
        for _ in range(2):
            await desk.jobs.release(claim, "who rang us did not prove who they are", failed_proofs=answers)
    assert await desk.jobs.claim_back(PHONE, "verify") is None
    await desk.idle()
    found = await desk.pages.job(job.id)
    assert (found.state, found.held_by, found.attempts) == ("held", "not_before", 0)
    assert (await desk.pages.events(job.id)).attempts == ()
    desk.later(3_600)
    assert (await desk.claim()).failed_proofs == 0


async def test_a_claim_that_is_given_back_leaves_no_attempt(desk):
    job = await desk.add()
    claim = await desk.claim()
    await desk.jobs.dialing(claim, "call1")
    for _ in range(2):
        await desk.jobs.release(claim, "nothing rang: no leg is free", timedelta(seconds=5))
    found = await desk.pages.job(job.id)
    assert (found.state, found.attempts, found.held_by) == ("held", 0, "line")
    assert (await desk.pages.events(job.id)).attempts == ()
    await desk.idle()
    desk.later(5)
    again = await desk.claim()
    assert again.job.fence > claim.job.fence
    with pytest.raises(Stale):
        await desk.jobs.answered(claim)


async def test_an_attempt_that_is_held_is_not_taken_for_dead_by_its_own_process(desk):
    job = await desk.add()
    claim = await desk.claim()
    desk.jobs.hold(claim)
    desk.later(LEASE_S + 1)
    assert await desk.jobs.sweep() == 0
    desk.jobs.lose(claim)
    assert await desk.jobs.sweep() == 1
    assert (await desk.pages.job(job.id)).disposition == "unreachable"


async def test_old_jobs_go_with_all_that_was_written_of_them_and_the_chain_goes_on(desk):
    old = await desk.add(callback_url="https://bank.example/x", phone=PHONE)
    await desk.jobs.finish(await desk.claim(), "reached", "confirmed")
    desk.later(86_400 * 8)
    waiting = await desk.add()
    assert await desk.jobs.purge(7) == 1
    assert await desk.pages.job(old.id) is None
    assert (await desk.pages.events(old.id)).attempts == ()
    assert await desk.pages.evidence(old.id) is None
    assert await desk.pages.webhooks(old.id) == ()
    for table in ("jobs", "attempts", "job_events", "webhooks", "evidence"):
        assert PHONE not in str(desk.backend.execute(f"SELECT * FROM {table}"))
    await desk.jobs.finish(await desk.claim(), "reached", "denied")
    assert (await desk.pages.evidence(waiting.id)).index == 2


async def test_another_server_takes_over_after_the_lease(backend):
    async with desks(backend, "a", "b") as (one, two):
        job = await one.add(policy="again")
        claim = await one.claim()
        await two.idle()
        two.later(LEASE_S + 1)
        await two.jobs.sweep()
        two.later(5)
        taken = await two.claim()
        assert (taken.job.id, taken.attempt.server) == (job.id, "b")
        with pytest.raises(Stale):
            await one.jobs.finish(claim, "reached", "confirmed")


async def test_an_order_that_the_database_refuses_takes_no_other_with_it(desk):
    new = [desk.new() for _ in range(7)]
    bad = (2, 5)
    for place in bad:
        job = msgspec.structs.replace(new[place].job, contact="\ud800")
        new[place] = msgspec.structs.replace(new[place], job=job)
    made = await desk.jobs.create(new)
    assert [place for place, each in enumerate(made) if isinstance(each, Rejected)] == list(bad)
    stored = {j.id for j in (await desk.pages.page("", 9, JobFilter())).jobs}
    assert stored == {each.job.id for place, each in enumerate(new) if place not in bad}


async def test_a_database_in_trouble_refuses_creates_and_loses_none_that_it_took(backend, monkeypatch):
    monkeypatch.setattr("ivr.store.writer.AWAITED_PATIENCE_S", 0.2)
    monkeypatch.setattr("ivr.store.database.BUSY_TIMEOUT_MS", 100)
    async with desks(backend, "a") as (desk,):
        await desk.add()
        backend.break_()
        with pytest.raises(Unavailable):
            await desk.jobs.create([desk.new()])
        backend.mend()
        assert [j.id for j in (await desk.pages.page("", 9, JobFilter())).jobs] == ["job_0001"]
        await desk.add(id="job_after")


KILLED = """
import asyncio, os, sys
from datetime import UTC, datetime
sys.path.insert(0, {tests!r})
from test_jobs import Desk, Store

async def main():
    store = Store(sys.argv[1], sys.argv[2])
    await store.open()
    desk = Desk(store, "dying")
    while True:
        desk.now = datetime.now(UTC)
        await desk.add(callback_url="https://bank.example/hook", id=f"job_{{os.getpid()}}_{{desk.made}}",
                             idempotency_key=f"{{os.getpid()}}-{{desk.made}}")
        claim = await desk.claim()
        await desk.jobs.dialing(claim, "call")
        await desk.jobs.finish(claim, "reached", "confirmed")
        print(claim.job.id, flush=True)

asyncio.run(main())
"""


async def test_a_server_that_is_killed_at_any_moment_leaves_whole_jobs(backend):
    """What it said was done is done; whatever else there is can be ended; the chain of evidence has no hole."""
    done = []
    for _ in range(2):
        command = [sys.executable, "-c", KILLED.format(tests=str(Path(__file__).parent)), backend.url, backend.root]
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        done += [(await child.stdout.readline()).decode().strip() for _ in range(5)]
        child.kill()
        done += (await child.stdout.read()).decode().split("\n")[:-1]
        await child.wait()
    async with desks(backend, "a") as (desk,):
        assert {(await desk.pages.job(i)).disposition for i in done} == {"confirmed"}
        desk.now = datetime.now(UTC)
        desk.later(LEASE_S + 1)
        await desk.jobs.sweep()
        await desk.claimed_ids()
        jobs = (await desk.pages.page("", 200, JobFilter())).jobs
        assert {j.state for j in jobs} <= {"done", "failed", "claimed"}
        records = []
        for job in jobs:
            told = [w.event for w in await desk.pages.webhooks(job.id)]
            assert told.count("verification.completed") == (job.disposition is not None)
            if record := await desk.pages.evidence(job.id):
                records.append(record)
        records.sort(key=lambda r: (r.server, r.index))
        assert (evidence.faults(records, SIGNER.public_key), evidence.gaps(records)) == ([], 0)
