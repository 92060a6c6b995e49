"""The rules of outbound calls, as a table: what holds a job, until when, how it ends, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.config import TrunkLimits
from ivr.config_outbound import Breaker, Outbound, Policy, Retry
from ivr.outbound.job import STATE_OF, Attempt, Callee, Ended, Job, Load, Suppression
from ivr.outbound.policy import DISPOSITION_OF, Rules

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)  # a Monday: noon in Shanghai, 5 in the morning in Berlin
SHANGHAI, BERLIN, AMERICA = "+8613812345678", "+4930123456", "+18005550123"
OFFICE = ("mon-fri 09:00-20:00",)
RULES = Rules(
    Outbound(
        policies={
            "reminder": Policy(windows=OFFICE, holidays=("2026-11-24",), trunk="carrier", calls_at_once=3),
            "fraud": Policy(always=True, attempts=5, retry=Retry(no_answer_s=(60, 60, 60), unknown_s=(120,))),
            "closed": Policy(),
        },
        calls_at_once=10,
    ),
    {"carrier": TrunkLimits(jobs_at_once=4, jobs_per_second=2.0)},
)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def job(**changes) -> Job:
    fields = {
        "id": "job_1", "kind": "verification", "client": "bank", "idempotency_key": "k", "phone": SHANGHAI,
        "contact": "c1", "language": "zh", "policy": "reminder", "plan": "verify", "priority": 0, "state": "queued",
        "created_at": NOON - minutes(1), "expires_at": NOON + timedelta(days=2),
    }  # fmt: skip
    return Job(**fields | changes)


def attempt(ended_ago: timedelta, outcome: str, number: int = 1) -> Attempt:
    ended = NOON - ended_ago
    return Attempt(
        id=f"att_{number}", job="job_1", number=SHANGHAI, fence=number, server="a", started_at=ended - minutes(0.5),
        lease_until=ended, ended_at=ended, outcome=outcome,
    )  # fmt: skip


def decide(job_=None, attempts=(), callee=None, load=None, now=NOON):
    return RULES.decide(job_ or job(), attempts, callee or Callee(), load or Load(), now)


def test_what_no_rule_holds_may_ring():
    assert decide().action == "dial"
    assert decide(job(policy="fraud", phone=BERLIN)).words.endswith("at any hour (always)")


@pytest.mark.parametrize(
    ("job_", "callee", "rule", "until"),
    [
        (job(not_before=NOON + minutes(5)), Callee(), "not_before", NOON + minutes(5)),
        (job(phone=BERLIN), Callee(), "window", NOON + timedelta(hours=4)),
        (job(timezone="Europe/Berlin"), Callee(), "window", NOON + timedelta(hours=4)),
        # 40 zones: 09:00 on Thursday in Guam, 19:30 on Wednesday in St John's; Tuesday is a holiday
        (job(phone=AMERICA), Callee(), "window", datetime(2026, 11, 25, 23, 0, tzinfo=UTC)),
        (job(timezone="Europe/Nowhere"), Callee(), "window", None),
        (job(phone="+88213000000"), Callee(), "zone", None),
        (job(policy="closed"), Callee(), "window", None),
        (job(policy="gone"), Callee(), "policy", None),
        (job(), Callee(open_until=NOON + minutes(1)), "number_busy", NOON + minutes(1)),
        (job(), Callee(number_ended_at=NOON - timedelta(seconds=10)), "gap", NOON + timedelta(seconds=50)),
        (job(), Callee(number_started=tuple(NOON - minutes(n) for n in (60, 70, 80))), "number_cap",
         NOON - minutes(80) + timedelta(hours=24)),
        (job(), Callee(contact_started=tuple(NOON - minutes(n) for n in (9, 10, 11, 12, 13, 14, 15))), "contact_cap",
         NOON - minutes(14) + timedelta(hours=24)),
        (job(), Callee(suppression=Suppression(id="s", phone=SHANGHAI, reason="asked", policy="", created_at=NOON,
                                               expires_at=NOON + minutes(30))), "do_not_call", NOON + minutes(30)),
    ],
)  # fmt: skip
def test_what_holds_a_job_and_until_when(job_, callee, rule, until):
    decision = decide(job_, callee=callee)
    assert (decision.action, [(h.rule, h.until) for h in decision.holds]) == ("hold", [(rule, until)])


def test_on_a_holiday_it_waits_for_the_day_after():
    tuesday = NOON + timedelta(days=1)
    decision = decide(now=tuesday)
    assert [h.rule for h in decision.holds] == ["holiday"]
    assert decision.next_at == datetime(2026, 11, 25, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("load", "rule", "until"),
    [
        (Load(dialer=False), "dialer", None),
        (Load(paused="paused by anna"), "paused", None),
        (Load(all_open=10), "calls_at_once", None),
        (Load(open=3), "calls_at_once", None),
        (Load(trunk_open=4), "trunk", None),
        (Load(started_at=NOON - timedelta(milliseconds=400)), "calls_per_second", NOON + timedelta(milliseconds=600)),
        (Load(trunk_started_at=NOON - timedelta(milliseconds=400)), "trunk", NOON + timedelta(milliseconds=100)),
    ],
)
def test_what_holds_every_job_of_a_policy(load, rule, until):
    gates = RULES.gates("reminder", load, NOON)
    assert [(h.rule, h.until) for h in gates] == [(rule, until)]
    assert decide(load=load).holds == gates
    assert decide(load=load).next_at == until


@pytest.mark.parametrize(
    ("outcomes", "after"),
    [
        (["busy"], minutes(1)), (["busy", "busy"], minutes(5)), (["no_answer"], minutes(5)),
        (["busy", "no_answer"], minutes(5)), (["failed", "failed"], minutes(2)), (["machine"], minutes(30)),
        (["rejected"], minutes(30)), (["hung_up"], minutes(10)),
    ],
)  # fmt: skip
def test_the_ladder_waits_by_the_outcomes_so_far(outcomes, after):
    attempts = [attempt(timedelta(0), outcome, n) for n, outcome in enumerate(outcomes, 1)]
    decision = decide(attempts=attempts)
    assert [(h.rule, h.until) for h in decision.holds] == [("retry", NOON + after)]
    assert decide(attempts=attempts, now=NOON + after).action == "dial"
    asked = job(retry_asked_at=NOON)
    assert decide(asked, attempts).action == "dial"


@pytest.mark.parametrize(
    ("outcomes", "disposition"),
    [
        (["busy", "no_answer", "busy"], "unreachable"), (["unknown"], "unreachable"),
        (["machine", "machine"], "machine"), (["wrong_person"], "wrong_person"),
        (["hung_up", "hung_up"], "not_verified"), (["reached"], "completed"), (["cancelled"], "cancelled"),
    ],
)  # fmt: skip
def test_a_ladder_at_its_end_ends_the_job(outcomes, disposition):
    attempts = [attempt(minutes(60), outcome, n) for n, outcome in enumerate(outcomes, 1)]
    decision = decide(attempts=attempts)
    assert (decision.action, decision.disposition) == ("end", disposition)


@pytest.mark.parametrize("before", [[], ["busy"], ["busy", "no_answer"]])
def test_who_said_that_they_ring_us_is_waited_for_until_the_end_and_not_rung(before):
    attempts = [attempt(minutes(60), outcome, n) for n, outcome in enumerate([*before, "rings_back"], 1)]
    waits = job()
    decision = decide(waits, attempts)
    assert [(h.rule, h.until) for h in decision.holds] == [("retry", waits.expires_at)]
    assert "they would ring us" in decision.words
    assert decide(waits, attempts, now=waits.expires_at).disposition == "expired"
    assert decide(job(retry_asked_at=NOON), attempts).action == "dial"


def test_an_attempt_of_a_dead_server_is_followed_only_where_policy_says_so():
    dead = [attempt(minutes(10), "unknown")]
    assert decide(job(policy="reminder"), dead).disposition == "unreachable"
    assert decide(job(policy="fraud"), dead).action == "dial"


@pytest.mark.parametrize(
    ("job_", "callee", "disposition"),
    [
        (job(expires_at=NOON), Callee(), "expired"),
        (job(cancel_asked_at=NOON), Callee(), "cancelled"),
        (job(), Callee(suppression=Suppression(id="s", phone=SHANGHAI, reason="asked", policy="", created_at=NOON)),
         "declined"),
    ],
)  # fmt: skip
def test_a_job_that_can_ring_no_more_ends(job_, callee, disposition):
    assert decide(job_, callee=callee).disposition == disposition


def test_a_ladder_step_after_the_end_of_its_time_ends_it_now():
    soon = job(expires_at=NOON + minutes(2))
    assert decide(soon, [attempt(timedelta(0), "no_answer")]).disposition == "unreachable"
    assert decide(soon, [attempt(timedelta(0), "busy")]).action == "hold"


def test_several_rules_are_all_named_and_the_last_one_says_when():
    held = job(phone=BERLIN, not_before=NOON + timedelta(hours=18))  # 23:00 in Berlin, before the holiday
    decision = decide(held)
    assert [h.rule for h in decision.holds] == ["not_before", "window"]
    assert decision.next_at == datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
    assert decision.words == (
        "its client asked for a later time; outside the calling windows in Europe/Berlin. "
        "It may ring at 2026-11-25 08:00:00 UTC, after its time is over"
    )


def ended(*outcomes: str, ago: timedelta = timedelta(0)) -> tuple[Ended, ...]:
    """The latest first, a minute apart."""
    return tuple(
        Ended(job=f"job_{n}", ended_at=NOON - ago - minutes(n), outcome=o) for n, o in enumerate(outcomes)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("load", "opens"),
    [
        (Load(ended=ended(*["failed"] * 4)), False),  # too few
        (Load(ended=ended(*["failed"] * 5)), True),
        (Load(ended=ended("failed", "unknown", "failed", "busy", "no_answer")), True),
        (Load(ended=ended("failed", "failed", "busy", "reached", "no_answer", "failed")), False),  # half is not most
        (Load(ended=ended(*["failed"] * 5, ago=minutes(5))), False),  # its pause is over
        (Load(ended=ended(*["no_answer"] * 9)), False),
    ],
)
def test_the_breaker_opens_when_most_recent_attempts_failed(load, opens):
    gates = RULES.gates("reminder", load, NOON)
    assert [h.rule for h in gates] == (["breaker"] if opens else [])
    if opens:
        assert gates[0].until == NOON + minutes(5)
        assert "policy `reminder`" in gates[0].words
        assert "job_0" in gates[0].words


def test_the_breaker_looks_no_further_back_than_its_window():
    rules = Rules(Outbound(policies={"p": Policy(always=True, breaker=Breaker(window_s=120))}))
    assert rules.gates("p", Load(ended=ended(*["failed"] * 9)), NOON) == ()


def test_every_outcome_and_disposition_leads_somewhere():
    """A word that is added to a vocabulary needs its rule."""
    outcomes = msgspec.inspect.type_info(Attempt).fields
    known = next(f for f in outcomes if f.encode_name == "outcome").type.types[0].values
    assert set(known) == set(DISPOSITION_OF)
    assert set(DISPOSITION_OF.values()) <= set(STATE_OF)


@settings(max_examples=100, deadline=None)
@given(
    phone=st.sampled_from([SHANGHAI, BERLIN, "+12125550123", "+61412345678"]),
    at=st.datetimes(datetime(2026, 10, 20), datetime(2027, 4, 10), timezones=st.just(UTC)),
    starts=st.lists(st.integers(0, 2_000), max_size=6),
    gap=st.none() | st.integers(0, 120),
    outcomes=st.lists(st.sampled_from(["busy", "no_answer", "failed"]), max_size=2),
)
def test_at_the_moment_it_names_it_dials_and_not_before(phone, at, starts, gap, outcomes):
    began = tuple(at - minutes(n) for n in sorted(starts))
    callee = Callee(
        number_started=began,
        contact_started=began,
        number_ended_at=None if gap is None else at - timedelta(seconds=gap),
    )
    attempts = [msgspec.structs.replace(attempt(timedelta(0), o, n), ended_at=at) for n, o in enumerate(outcomes, 1)]
    waiting = job(phone=phone, created_at=at, expires_at=at + timedelta(days=40))
    decision = decide(waiting, attempts, callee, now=at)
    if decision.action == "end":
        assert outcomes.count("no_answer") < 3
        return
    if decision.action == "hold":
        assert decision.next_at > at
        assert decide(waiting, attempts, callee, now=decision.next_at).action == "dial"
        assert decide(waiting, attempts, callee, now=decision.next_at - timedelta(milliseconds=1)).action == "hold"
