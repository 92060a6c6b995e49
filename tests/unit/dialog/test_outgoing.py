"""Calls of ours: how they begin by who answers, what the order gives the plan, and what they come to."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from calls import NOW, hear, plan_of, problems_of, spoken

from ivr.dialog import engine, journal
from ivr.dialog.calendar import again_at
from ivr.dialog.state import Conclude, End, Listen, Started, State
from ivr.turn import Filled

PLAN = """
languages: [en, zh]
given: [amount, merchant, secret]
on_machine: word
slots:
  amount: {kind: money}
  merchant: {kind: text}
  secret: {kind: digits, min: 4, max: 4, sensitive: true}
  at_time: {kind: time}
steps:
  question:
    kind: ask
    expect: yes_no
    prompt: {en: "{amount} at {merchant}?", zh: "在{merchant}消费{amount}，对吗？"}
    on: {"yes": confirmed, "no": denied}
  confirmed: {kind: settle, disposition: confirmed, next: end}
  denied: {kind: settle, disposition: denied, next: desk}
  desk:
    kind: transfer
    prompt: {en: "One moment.", zh: 请稍候。}
    target: desk
    busy: changed
    no_answer: changed
    failed: changed
  changed: {kind: settle, disposition: confirmed, suppress: asked on the phone, next: end}
  word: {kind: say, prompt: {en: Please call us., zh: 请回电。}, next: by_machine}
  by_machine: {kind: settle, disposition: machine, next: end}
"""
GIVEN = {"amount": "129.90 CNY", "merchant": "京东{x}", "secret": "4242", "no_slot": "x", "at_time": "09:00"}


def begun(plan, started, language="en"):
    return engine.step(plan, State(language), started, NOW)


@pytest.mark.parametrize(("language", "words"), [
    ("en", "{money:129.90 CNY} at 京东 x?"), ("zh", "在京东 x消费{money:129.90 CNY}，对吗？"),
])  # fmt: skip
def test_the_order_fills_what_the_plan_declares_and_nothing_else(tmp_path, language, words):
    state, actions = begun(plan_of(tmp_path, PLAN), Started(given=GIVEN), language)
    assert spoken(actions) == [words]
    assert dict(state.slots) == {
        "amount": Filled("129.90 CNY"), "merchant": Filled("京东 x"), "secret": Filled("4242")
    }  # fmt: skip


def test_a_machine_gets_its_own_beginning_and_so_does_an_assistant_without_one(tmp_path):
    plan = plan_of(tmp_path, PLAN)
    for who in ("machine", "screening"):
        state, actions = begun(plan, Started(who))
        assert spoken(actions)[0] == "Please call us."
        assert actions[-1] == End("completed", "machine")
        assert state.ended


def test_an_assistant_may_be_asked_something(tmp_path):
    asks = PLAN.replace("on_machine: word", "on_machine: word\non_screening: question")
    _, actions = begun(plan_of(tmp_path, asks), Started("screening", GIVEN))
    assert isinstance(actions[-1], Listen)


def test_a_plan_without_words_for_machines_hangs_up_on_them(tmp_path):
    plan = plan_of(tmp_path, "question: {kind: ask, expect: yes_no, prompt: Well?, next: end}")
    for who in ("machine", "screening"):
        state, actions = begun(plan, Started(who))
        assert actions == (Conclude("machine"), End("machine", "machine"))
        assert state.ended


def test_what_was_settled_first_stands_and_is_told_at_once(tmp_path):
    plan = plan_of(tmp_path, PLAN)
    state, _ = begun(plan, Started(given=GIVEN))
    state, actions = engine.step(plan, state, hear("no"), NOW)
    assert Conclude("denied") in actions
    assert not state.ended
    state, actions = engine.step(plan, state, engine.Connected("busy"), NOW)
    assert Conclude("denied", suppress="asked on the phone") in actions
    assert actions[-1] == End("completed", "denied", suppress="asked on the phone")


def test_a_transfer_ends_with_what_was_settled(tmp_path):
    plan = plan_of(tmp_path, PLAN)
    state, _ = begun(plan, Started(given=GIVEN))
    state, _ = engine.step(plan, state, hear("no"), NOW)
    assert engine.step(plan, state, engine.Connected("connected"), NOW)[1] == (End("transferred", "denied"),)


@pytest.mark.parametrize(("said", "moment"), [
    ({"time": ("06:00", "18:00")}, "2026-11-23T18:00+08:00"),
    ({"time": ("09:00",)}, "2026-11-24T09:00+08:00"),
    ({"duration": ("PT2H30M",)}, "2026-11-23T18:00+08:00"),
    ({"duration": ("P1W",)}, "2026-11-30T15:30+08:00"),
    ({"date": ("2026-11-24",), "time": ("18:00",)}, "2026-11-24T18:00+08:00"),
    ({"date": ("2026-11-24",)}, "2026-11-24T15:30+08:00"),
    ({"date": ("2026-11-01",)}, ""),
    ({"duration": ("soon",)}, ""),
    ({}, ""),
])  # fmt: skip
def test_the_moment_that_somebody_means(said, moment):
    assert again_at(datetime(2026, 11, 23, 15, 30, tzinfo=ZoneInfo("Asia/Shanghai")), said) == moment


@pytest.mark.parametrize(("zone", "moment"), [("Asia/Shanghai", "2026-11-23T18:30+08:00"),
                                              ("Europe/London", "2026-11-23T18:30+00:00")])  # fmt: skip
def test_later_is_by_the_clock_of_whoever_was_rung(tmp_path, zone, moment):
    plan = plan_of(tmp_path, """
given: [at_time]
slots: {at_time: {kind: time}}
steps:
  later: {kind: settle, again_at: [at_time], next: end}
""")  # fmt: skip
    _, actions = engine.step(plan, State("en"), Started("human", {"at_time": "18:30"}, zone), NOW)
    assert actions[-1] == End("completed", again_at=moment)


def test_the_journal_keeps_what_the_plan_was_given_and_secrets_in_shape(tmp_path):
    plan = plan_of(tmp_path, PLAN)
    record = journal.entry(plan, State("en"), Started("human", GIVEN, "Asia/Shanghai"), NOW)
    assert record["given"]["given"] == {"amount": "129.90 CNY", "merchant": "京东{x}", "secret": "1111"}
    again = journal.from_record(record)
    assert again.answered_by == "human"
    assert again.zone == "Asia/Shanghai"
    assert journal.from_record({"input": "started", "given": {}}) == Started()


@pytest.mark.parametrize(("old", "new", "field", "message"), [
    ("disposition: machine, next", "next", "steps.by_machine.disposition", "it settles nothing"),
    ("disposition: machine", "disposition: happy", "steps.by_machine.disposition", "`happy` is not known"),
    ("disposition: machine", "again_at: [merchant]", "steps.by_machine.again_at.0", "`merchant` is of kind text"),
    ("given: [amount", "given: [price", "given.0", "there is no slot `price`"),
    ("on_machine: word", "on_machine: words", "on_machine", "there is no step `words`"),
])  # fmt: skip
def test_what_is_wrong_is_told_by_its_field(tmp_path, old, new, field, message):
    found = problems_of(tmp_path, PLAN.replace(old, new))
    assert (field, True) in [(p.field, message in p.message) for p in found]
