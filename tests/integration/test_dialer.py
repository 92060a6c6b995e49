"""The dialer over fake lines and a real database: what is rung, when, what is written first, and what ends it.

`LOOK_EVERY_S` is a minute here, so whatever rings was woken.
"""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from types import SimpleNamespace

import msgspec
import pytest

from ivr import metrics
from ivr.config import Config, Lines, Number, Sip, Trunk, TrunkLimits
from ivr.config_outbound import Outbound, Policy
from ivr.line.fake import FakeWorld
from ivr.outbound import attempt, dialer
from ivr.outbound.job import CallResult, Job, Outgoing
from ivr.outbound.live import OutboundCalls
from ivr.store import database, writer
from ivr.store.job_ends import Ending
from ivr.store.jobs import Finished, Jobs
from ivr.store.store import Store
from ivr.telephony.leg import Leg
from ivr.telephony.pool import LinePool

PHONE, OTHER = "+8613812345678", "+442071838750"
PROOF = {"birth_date": "1987-04-29"}
PROVEN = {"identity": {"proven": True, "answers": []}}
FREE = Policy(always=True, gap_s=0, attempts_per_number=50, calls_per_second=1_000, calls_at_once=50)


def terms(*languages: str) -> SimpleNamespace:
    """What an order is held against of a dialplan."""
    return SimpleNamespace(languages=languages, given=("branch", "again"))


class Desk:
    """A server's outbound calls on four fake legs. `said`: what the calls come to, taken from the front."""

    def __init__(self, outbound: OutboundCalls, world: FakeWorld, pool: LinePool, folder, plans: dict) -> None:
        self.outbound, self.world, self.pool, self.folder = outbound, world, pool, folder
        self.jobs = outbound.jobs
        self.given: list[Outgoing] = []
        self.legs: asyncio.Queue[Leg] = asyncio.Queue()
        self.called_back: asyncio.Queue[bool] = asyncio.Queue()
        self.plans = plans
        self.result = CallResult("hangup", "us", "done")
        self.conclusion = self.early = ""
        self.made = 0

    async def converse(self, leg: Leg, plan: str, outgoing: Outgoing, conclude) -> CallResult:
        """A conversation that lasts as long as the leg, or ends at once with `result`."""
        self.given.append(outgoing)
        self.legs.put_nowait(leg)
        if self.early:
            await conclude(self.early, self.result.facts if self.result else {"turns": 2})
        if self.result is not None:
            return self.result
        ended = await leg.wait_ended()
        return CallResult(ended.cause, ended.by, disposition=self.conclusion)

    def behave(self, phone: str, behaviour: str) -> None:
        self.world.behaviours[f"sip:{phone}@192.0.2.1:5060"] = behaviour

    async def order(self, phone: str = PHONE, **changes) -> Job:
        self.made += 1
        body = {"idempotency_key": f"k{self.made}", "phone": phone, "language": "zh", "plan": "survey",
                "variables": {"branch": "西单", "again": True}}  # fmt: skip
        kind = changes.pop("kind", "plan")
        if kind == "verification":
            del body["plan"], body["variables"]
        new = self.outbound.order(kind, msgspec.json.encode(body | changes), "bank")
        return (await self.jobs.create([new]))[0].job

    async def until(self, job: Job, *states: str) -> Job:
        async with asyncio.timeout(15):
            while True:
                found = await self.outbound.pages.job(job.id)
                if found.state in states:
                    return found
                await asyncio.sleep(0.01)

    async def kinds(self, job: Job) -> list[str]:
        return [event.kind for event in (await self.outbound.pages.events(job.id)).events]

    async def outcomes(self, job: Job) -> list[tuple[str | None, str]]:
        return [(a.outcome, a.detail) for a in (await self.outbound.pages.events(job.id)).attempts]


@asynccontextmanager
async def running(folder, outbound: Outbound, **trunk):
    config = Config(
        root=str(folder), sip=Sip(port=26_990), lines=Lines(reserve_legs=1), outbound=outbound,
        number=(Number(pattern="400", plan="survey", language="zh"), Number(pattern="401", plan="survey"),
                Number(pattern="402", plan="verify", language="zh")),
        trunk=(Trunk(name="carrier", host="192.0.2.1", prefixes=("+86", "+44"), **trunk),),
    )  # fmt: skip
    store, world = Store("sqlite:///var/ivr.db", folder), FakeWorld()
    await store.open()
    desk: Desk
    plans = dict.fromkeys(("survey", "verify"), terms("en", "zh"))
    calls = OutboundCalls(config, store, None, plans.get)

    async def answer(leg: Leg) -> None:
        leg.answer()
        desk.called_back.put_nowait(back := await calls.called_back(leg))
        if not back:
            await leg.wait_ended()

    pool = LinePool(config, answer, launch=world.launch, on_free=calls.wake)
    desk = Desk(calls, world, pool, folder, plans)
    desk.behave(PHONE, "answer")
    await pool.start()
    calls.dial(pool, desk.converse)
    try:
        yield desk
    finally:
        await pool.close()
        await calls.close()
        await world.close()
        await store.close()


@pytest.fixture(autouse=True)
def slow_polls(monkeypatch):
    monkeypatch.setattr(dialer, "LOOK_EVERY_S", 60.0)
    monkeypatch.setattr(attempt, "AGAIN_S", 0.05)
    for name, key in (("IVR_EVIDENCE_KEY", b"e"), ("IVR_PROOF_KEY", b"p")):
        monkeypatch.setenv(name, base64.b64encode(key * 32).decode())


@pytest.fixture
async def desk(tmp_path):
    outbound = Outbound(policies={"free": FREE}, calls_at_once=4, lease_s=5)
    async with running(tmp_path, outbound, limits=TrunkLimits(calls_per_hour=50, calls_per_hour_per_prefix=50)) as desk:
        yield desk


async def test_an_order_rings_at_once_and_dialing_is_written_before_the_invite(desk, monkeypatch):
    written: list[str] = []
    dial = desk.world.dial

    def look_first(leg, uri: str) -> None:
        with closing(sqlite3.connect(desk.folder / "var/ivr.db")) as connection:
            written.extend(state for (state,) in connection.execute("SELECT state FROM jobs"))
        dial(leg, uri)

    monkeypatch.setattr(desk.world, "dial", look_first)
    job = await desk.order()
    over = await desk.until(job, "done")
    assert written == ["dialing"]
    assert over.disposition == "completed"
    assert await desk.kinds(job) == ["created", "claimed", "dialing", "answered", "attempt_ended", "completed"]
    assert desk.given[0].given == {"branch": "西单", "again": "true"}
    assert b'ivr_job_ring_seconds_count{policy="free"}' in metrics.render()
    (only,) = (await desk.outbound.pages.events(job.id)).attempts
    assert only.call == desk.given[0].call


async def test_a_verification_is_given_its_transaction_and_its_proof_stays_in_memory(desk):
    transaction = {"amount": "129.90", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T09:30:00+08:00"}
    order = {"transaction": transaction, "proof": PROOF, "name": "王小明", "phrase": "海棠"}
    desk.result = CallResult("hangup", "us", "end", "denied", facts={"turns": 3})
    job = await desk.order(kind="verification", **order)
    assert (await desk.until(job, "done")).disposition == "denied"
    (given,) = desk.given
    assert given.proof == PROOF
    assert given.given == {
        "amount": "129.90 CNY", "merchant": "京东", "date": "2026-11-23", "time": "09:30", "name": "王小明",
        "phrase": "海棠", "answers_left": "3",
    }  # fmt: skip
    assert (given.zone, given.amd) == ("Asia/Shanghai", True)
    assert PROOF["birth_date"] not in repr(given)
    record = await desk.outbound.pages.evidence(job.id)
    assert record.body["call"] == {"turns": 3}
    assert PROOF["birth_date"].encode() not in b"".join(p.read_bytes() for p in (desk.folder / "var").iterdir())


@pytest.mark.parametrize(
    ("behaviour", "outcome", "detail"),
    [("busy", "busy", "486"), ("reject", "rejected", "603"), ("", "failed", "503 unreachable")],
)
async def test_who_does_not_answer_is_left_to_policy(desk, behaviour, outcome, detail):
    if behaviour:
        desk.behave(OTHER, behaviour)
    job = await desk.order(OTHER, language="en")
    assert (await desk.until(job, "held")).held_by == "retry"
    ((ended, why),) = await desk.outcomes(job)
    assert (ended, why.startswith(detail)) == (outcome, True)


async def test_what_the_configuration_does_not_open_is_not_dialled(desk):
    job = await desk.order("+33142685300", language="en")
    await desk.until(job, "held")
    assert await desk.outcomes(job) == [("failed", "no trunk's prefixes open this number")]
    assert desk.world.dialled == []


async def test_lines_of_callers_and_transfers_are_left_alone(tmp_path):
    outbound = Outbound(policies={"free": FREE}, calls_at_once=4, inbound_legs=1)
    async with running(tmp_path, outbound) as desk:
        desk.result = None
        phones = [f"+861381234567{n}" for n in range(4)]
        for phone in phones:
            desk.behave(phone, "answer")
        jobs = [await desk.order(phone) for phone in phones]
        legs = [await desk.legs.get() for _ in range(2)]
        assert desk.pool.status().legs_used == 2
        why = await desk.outbound.why(jobs[2].id)
        assert [hold.rule for hold in why.holds] == ["line"]
        caller = desk.world.ring("400")
        await caller.until("answered")
        legs[0].hangup()
        await desk.until(jobs[0], "held")
        assert desk.pool.status().legs_used == 2
        caller.hangup()
        await desk.legs.get()
        assert (await desk.until(jobs[2], "in_call")).attempts == 1


async def test_who_calls_back_has_their_job_done_there_whatever_holds_it(desk):
    desk.result = None
    held = await desk.order(not_before=(desk.jobs.now() + timedelta(hours=1)).isoformat())
    desk.world.ring("401", caller=PHONE.removeprefix("+"))
    leg = await desk.legs.get()
    assert leg.info.direction == "in"
    assert desk.given[-1].given == {"branch": "西单", "again": "true"}
    assert not desk.given[-1].amd
    job = await desk.until(held, "in_call")
    assert (job.attempts, job.held_by) == (1, None)
    desk.conclusion = "completed"
    leg.hangup()
    assert (await desk.until(held, "done")).disposition == "completed"
    assert await desk.kinds(held) == ["created", "claimed", "dialing", "answered", "attempt_ended", "completed"]


@pytest.mark.parametrize(
    "came_to",
    [{"disposition": "denied"}, {"disposition": "not_verified", "failed_proofs": 2}, {"suppress": "never"}, {}],
)
async def test_who_calls_back_and_does_not_prove_who_they_are_changes_nothing(desk, came_to):
    desk.early = came_to.get("disposition", "")
    desk.result = CallResult("hangup", "us", "end", **came_to)
    job = await verified_later(desk)
    desk.world.ring("402", caller=PHONE)
    assert await desk.called_back.get()
    found = await desk.until(job, "held")
    assert (found.held_by, found.attempts, found.disposition) == ("not_before", 0, None)
    assert await desk.outcomes(job) == []
    assert (await desk.outbound.pages.suppressions("", 50, None)).suppressions == ()
    desk.early, desk.result = "denied", CallResult("hangup", "us", "end", "denied", facts=PROVEN)
    desk.world.ring("402", caller=PHONE)
    assert await desk.called_back.get()
    assert (await desk.until(job, "done")).disposition == "denied"


async def verified_later(desk) -> Job:
    """A verification that is open, and rings nobody for an hour."""
    at = (desk.jobs.now() + timedelta(hours=1)).isoformat()
    transaction = {"amount": "1", "currency": "CNY", "merchant": "京东", "at": "2026-11-23T09:30:00+08:00"}
    return await desk.order(kind="verification", transaction=transaction, proof=PROOF, not_before=at)


async def test_who_calls_and_has_no_job_is_a_caller(desk):
    await desk.until(await desk.order(), "done")
    desk.world.ring("401", caller=PHONE)
    assert not await desk.called_back.get()
    desk.result = None
    desk.behave(PHONE, "ring")
    rings = await desk.until(await desk.order(), "dialing")
    await desk.order(not_before=(desk.jobs.now() + timedelta(hours=1)).isoformat())
    desk.world.ring("401", caller=PHONE)
    assert not await desk.called_back.get()
    assert (await desk.until(rings, "dialing")).attempts == 1


async def test_a_cancel_ends_what_rings_and_what_talks(desk):
    desk.behave(OTHER, "ring")
    desk.result = None
    rings, talks = await desk.order(OTHER, language="en"), await desk.order()
    await desk.legs.get()
    await desk.until(talks, "in_call")
    await desk.until(rings, "dialing")
    for job in (rings, talks):
        await desk.outbound.cancel(job.id, "bank")
        over = await desk.until(job, "cancelled")
        assert over.disposition == "cancelled"
        assert (await desk.outcomes(job))[0][0] == "cancelled"


async def test_an_answer_that_was_given_stands_against_a_cancel(desk):
    desk.result, desk.conclusion = None, "denied"
    job = await desk.order()
    await desk.legs.get()
    await desk.until(job, "in_call")
    await desk.outbound.cancel(job.id, "bank")
    assert (await desk.until(job, "done")).disposition == "denied"
    assert await desk.outcomes(job) == [("reached", "cancelled")]


async def test_an_answer_is_told_while_the_call_goes_on_and_nothing_changes_it(desk):
    desk.result, desk.early, desk.conclusion = None, "denied", "denied"
    job = await desk.order()
    leg = await desk.legs.get()
    over = await desk.until(job, "done")
    assert (over.disposition, leg.state) == ("denied", "answered")
    with pytest.raises(Finished):
        await desk.outbound.cancel(job.id, "bank")
    assert (await desk.outbound.why((await desk.order()).id)).holds[0].rule == "number_busy"
    leg.hangup()
    await leg.wait_ended()
    await desk.outbound.close()
    assert await desk.kinds(job) == ["created", "claimed", "dialing", "answered", "completed", "attempt_ended"]
    assert (await desk.outbound.pages.evidence(job.id)).body["call"] == {"turns": 2}
    assert (await desk.outbound.pages.job(job.id)).disposition == "denied"


@pytest.mark.parametrize("early", ["", "denied"])
async def test_an_outcome_is_written_without_what_the_database_refuses_of_its_call(desk, early):
    desk.early = early
    desk.result = CallResult("hangup", "us", "end", "denied", facts={"turns": 0.5, "heard": "\ud800"})
    job = await desk.order()
    assert (await desk.until(job, "done")).disposition == "denied"
    await desk.outbound.close()
    assert (await desk.outcomes(job))[0][0] == "reached"
    assert (await desk.outbound.pages.evidence(job.id)).body["call"] in ({}, None)
    assert (await desk.kinds(job)).count("completed") == 1


@pytest.mark.parametrize("said", ["machine", "wrong_person"])
async def test_what_has_a_ladder_is_no_answer_yet(desk, said):
    desk.result, desk.early, desk.conclusion = None, said, said
    job = await desk.order()
    leg = await desk.legs.get()
    assert (await desk.until(job, "in_call")).disposition is None
    leg.hangup()
    await desk.until(job, "held", "done")
    assert [outcome for outcome, _ in await desk.outcomes(job)] == [said]


async def test_a_lease_that_another_hand_ended_ends_the_call_at_once(desk):
    desk.result = None
    job = await desk.order()
    leg = await desk.legs.get()
    await desk.until(job, "in_call")
    ending = Ending(desk.outbound.rules, desk.outbound.signer, "b")
    other = Jobs(desk.jobs._store, ending, 5, lambda: desk.jobs.now() + timedelta(seconds=6))
    assert await other.sweep() == 1
    desk.outbound.dialer.look_at(job.id)
    async with asyncio.timeout(5):
        assert (await leg.wait_ended()).cause == "cancelled"
    assert [outcome for outcome, _ in await desk.outcomes(job)] == ["unknown"]
    assert (await desk.until(job, "failed")).disposition == "unreachable"


async def test_the_database_may_be_away_while_a_call_runs_and_its_answer_is_written_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 20)
    monkeypatch.setattr(writer, "AWAITED_PATIENCE_S", 0.1)
    async with running(tmp_path, Outbound(policies={"free": FREE}, lease_s=5)) as desk:
        desk.result = None
        job = await desk.order()
        leg = await desk.legs.get()
        await desk.until(job, "in_call")
        locker = sqlite3.connect(tmp_path / "var/ivr.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        leg.hangup()
        await asyncio.sleep(0.5)
        assert (await desk.outbound.pages.job(job.id)).state == "in_call"
        long_after = desk.jobs.now() + timedelta(seconds=60)
        monkeypatch.setattr(desk.jobs, "_clock", lambda: long_after)
        locker.close()
        await desk.jobs.sweep()
        await desk.until(job, "held", "claimed", "dialing")  # it may be due again already
        assert [outcome for outcome, _ in await desk.outcomes(job) if outcome is not None] == ["failed"]


async def test_a_claim_that_nothing_was_dialled_for_is_given_back_at_shutdown(desk, monkeypatch):
    claimed, go = asyncio.Event(), asyncio.Event()
    dialing = desk.jobs.dialing

    async def late(claim, call) -> None:
        claimed.set()
        await go.wait()
        await dialing(claim, call)

    monkeypatch.setattr(desk.jobs, "dialing", late)
    job = await desk.order()
    await claimed.wait()
    await desk.outbound.drain()
    await desk.pool.drain()
    go.set()
    await desk.outbound.close()
    found = await desk.outbound.pages.job(job.id)
    assert (found.state, found.attempts, found.held_by) == ("held", 0, "line")
    assert (await desk.kinds(job))[-1] == "given_back"
    assert await desk.outcomes(job) == []
    assert desk.world.dialled == []
    assert "no dialer" in (await desk.outbound.why(job.id)).words


@pytest.mark.parametrize(
    ("language", "phone", "left", "says"),
    [
        ("zh", PHONE, {}, "no dialplan `survey` is in force"),
        ("zh", PHONE, {"survey": terms("en")}, "`survey` speaks en"),
        ("en", OTHER, {"survey": terms("zh")}, "`survey` speaks zh"),
    ],
)
async def test_a_job_whose_plan_was_removed_or_lost_its_language_fails_and_says_so(desk, language, phone, left, says):
    await desk.jobs.pause("", "admin", "")
    job = await desk.order(phone, language=language)
    there = dict(desk.plans)
    desk.plans.clear()
    desk.plans.update(left)
    await desk.jobs.resume("")
    assert (await desk.until(job, "held")).held_by == "retry"
    ((outcome, detail),) = await desk.outcomes(job)
    assert outcome == "failed"
    assert says in detail
    assert desk.world.dialled == []
    desk.plans.update(there)
    desk.behave(phone, "answer")
    await desk.jobs.retry(job.id, "bank")
    assert (await desk.until(job, "done")).attempts == 2


async def test_a_line_that_dies_with_the_invite_on_its_way_may_have_rung(desk):
    (line,) = desk.world.lines
    line._dial = lambda _command: line.kill()
    job = await desk.order()
    assert (await desk.until(job, "failed")).disposition == "unreachable"
    assert await desk.outcomes(job) == [("unknown", "the line process ended")]


async def test_what_is_cancelled_on_its_way_to_the_line_is_no_claim_to_give_back(desk):
    (line,) = desk.world.lines
    handed = asyncio.Event()
    line._dial = lambda _command: handed.set()
    job = await desk.order()
    await handed.wait()
    await desk.outbound.cancel(job.id, "bank")
    await desk.until(job, "cancelled")
    assert [outcome for outcome, _ in await desk.outcomes(job)] == ["cancelled"]


async def test_a_trunk_that_has_had_its_calls_of_the_hour_gives_the_job_back(tmp_path):
    outbound = Outbound(policies={"free": FREE})
    async with running(tmp_path, outbound, limits=TrunkLimits(calls_per_hour=1)) as desk:
        await desk.until(await desk.order(), "done")
        job = await desk.order()
        held = await desk.until(job, "held")
        assert held.due_at > held.created_at + timedelta(minutes=59)
        assert await desk.outcomes(job) == []
        events = (await desk.outbound.pages.events(job.id)).events
        assert events[-1].body["words"] == "nothing rang: trunk carrier has had its 1 calls of this hour"


async def test_a_conversation_that_breaks_is_an_attempt_that_failed(desk):
    desk.result = CallResult("hangup", "us", "failed")
    job = await desk.order()
    assert (await desk.until(job, "held")).held_by == "retry"
    assert (await desk.outcomes(job))[0][0] == "failed"
