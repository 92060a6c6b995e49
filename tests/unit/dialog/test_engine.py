"""The engine: nothing raises, nothing hangs, nothing grows, whatever comes in. The rules are in test_semantics."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from calls import NOISE, NOW, PAUSE, SILENCE, answered, command, hear, keys, plan_of, question, spoken, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.dialog import engine, replies
from ivr.dialog.plan import COMMANDS, END, Goto
from ivr.dialog.plan_file import load_all
from ivr.dialog.state import (
    Connect,
    Connected,
    End,
    Fetch,
    Fetched,
    Heard,
    Key,
    Listen,
    Passage,
    Recorded,
    Speak,
    Started,
    State,
    TakeMessage,
    WaitKeys,
)
from ivr.turn import Filled, Hypothesis, Understood
from ivr.understanding.understand import understand

SHIPPED = load_all(Path(__file__).parents[3] / "dialplans").by_name
AWAITED = (Listen, WaitKeys, Connect, Fetch, TakeMessage, End)

ROUND = """
operator: help
events: {no_match: [], tries: 20}
steps:
  ask: {kind: ask, expect: open, prompt: Well?, on: {lost: lost}, next: ask}
  lost: {kind: say, prompt: Blocked., next: ask}
  help: {kind: ask, expect: open, prompt: A person?, next: ask}
"""
FAULTY = """
events: {give_up: end}
slots: {age: {kind: number}, old: {kind: number}}
steps:
  age: {kind: ask, slot: age, prompt: Age?, next: old}
  old: {kind: set, values: {old: 1 / age}, next: end, on_error: age}
"""
RETRY = """
steps:
  over: {kind: transfer, prompt: A moment., target: anna, busy: over, no_answer: over, failed: over}
"""

# Whatever comes in ----------------------------------------------------------------------------------------------------

ODD = (
    "",
    "yes",
    "no",
    "unsure",
    "8620",
    "1985-03-12",
    "🙂🙂",
    "？！。",
    "{digits:1}",
    "\ud800",
    "..",
    "x" * 10_000,
    "none",
    "1e999",
)
texts = st.sampled_from(ODD) | st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def inputs(draw, plan):
    """Anything that a conductor may send, fitting or not."""
    slots = st.dictionaries(st.sampled_from(sorted(plan.slots)), st.builds(Filled, texts, st.floats(0, 1)), max_size=3)
    intents = st.sampled_from(["", *sorted({e.intent for e in plan.knowledge.entries})])
    commands = st.sampled_from(["", *COMMANDS, "language:zh", "language:xx"])
    heard = st.builds(
        Understood, st.builds(Hypothesis, texts), texts, intents, texts, confidence=st.floats(0, 1), slots=slots,
        command=commands, corrects=st.booleans(), other=st.booleans(),
    )  # fmt: skip
    fetched = st.builds(
        Fetched, st.sampled_from(["ok", "status", "timeout", "failed", "?"]), st.integers(0, 599), json_values
    )
    connected = st.builds(Connected, st.sampled_from(["connected", "busy", "no_answer", "failed", "?"]))
    return draw(
        st.builds(Heard, heard) | st.just(SILENCE) | st.sampled_from(keys("0123456789*#A")) | st.just(PAUSE)
        | connected | fetched | st.builds(Recorded, texts) | st.just(NOISE)
    )  # fmt: skip


def check(state: State, actions: tuple) -> None:
    """What holds after every input."""
    assert not actions or isinstance(actions[-1], AWAITED)
    assert not any(isinstance(action, AWAITED) for action in actions[:-1])
    assert len(actions) <= engine.MAX_STEPS_AT_ONCE * 2
    assert len(state.path) <= engine.MAX_STEPS_AT_ONCE * (engine.MAX_FAULTS + 2)
    assert len(state.keys) <= replies.MAX_KEYS
    assert len(state.trail) <= replies.MAX_TRAIL
    assert len(state.returns) <= 1
    assert state.ended == (bool(actions) and isinstance(actions[-1], End)) or not actions


@pytest.mark.parametrize("name", sorted(SHIPPED))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_sequence_of_inputs_is_survived(name, data):
    """Nothing raises, and every answer ends in something that will be answered."""
    plan = SHIPPED[name]
    language = data.draw(st.sampled_from(plan.languages))
    state, actions = engine.step(plan, State(language), Started(), NOW)
    check(state, actions)
    for one in data.draw(st.lists(inputs(plan), max_size=25)):
        before = state
        state, actions = engine.step(plan, before, one, NOW)
        check(state, actions)
        assert actions or state == before


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_thousand_inputs_leave_a_small_state(name):
    """A call that never ends does not grow either."""
    plan, rng = SHIPPED[name], random.Random(5)
    many = [SILENCE, NOISE, command("back"), command("repeat"), command("cancel"), answered(), answered(404),
            Connected("busy"), Recorded("m"), PAUSE, hear("yes"), hear("no"), *keys("0129*#8620"),
            *(question(e.intent, e.answer.get("en", "")) for e in plan.knowledge.entries),
            *(hear("x" * 10_000, **{slot: "x" * 10_000}) for slot in plan.slots)]  # fmt: skip
    state, actions = engine.step(plan, State("en"), Started(), NOW)
    for _ in range(1_000):
        state, actions = engine.step(plan, replace(state, ended=False), rng.choice(many), NOW)
        check(replace(state, ended=bool(actions) and isinstance(actions[-1], End)), actions)
    assert len(repr(state)) < 10_100 * 2 * (len(plan.slots) + 4)


@pytest.mark.parametrize("text", ["", "？！。…", "🙂" * 50, "x" * 10_000, "一" * 10_000, " \t\n", "{card}"])
@pytest.mark.parametrize("name", sorted(SHIPPED))
@pytest.mark.parametrize("language", ["en", "zh"])
def test_odd_words_are_survived_from_the_ear_on(name, language, text):
    """The same through understanding, at the first question."""
    plan = SHIPPED[name]
    state, actions = engine.step(plan, State(language), Started(), NOW)
    assert isinstance(actions[-1], Listen)
    said = understand(plan.vocabulary, actions[-1].expectation, Hypothesis(text, 0.9))
    check(*engine.step(plan, state, Heard(said), NOW))


@pytest.mark.parametrize("text", ["x" * 10_000, "一" * 10_000])
def test_more_than_anybody_says_is_a_no_match(text):
    """Even where any words are an answer."""
    state, _ = engine.step(SHIPPED["bank"], State("en"), Started(), NOW)
    state, actions = engine.step(SHIPPED["bank"], state, Heard(Understood(Hypothesis(text, 0.9), text)), NOW)
    assert (state.step, state.no_matches) == ("question", 1)
    assert spoken(actions) == ["I did not understand that. Please say in a few words what you need."]


# Loops ----------------------------------------------------------------------------------------------------------------


def test_an_answer_that_leads_back_to_its_question_is_nothing_new():
    """Whoever only says hello is helped by a person in the end."""
    state, _ = engine.step(SHIPPED["bank"], State("en"), Started(), NOW)
    for _ in range(engine.MAX_IDLE):
        assert state.step == "question"
        state, _ = engine.step(SHIPPED["bank"], state, question("greeting"), NOW)
    assert state.step != "question"


def test_a_circle_that_waits_for_nobody_ends_in_words(tmp_path):
    """The loader refuses such plans; the engine survives them."""
    plan = plan_of(tmp_path, "a: {kind: say, prompt: A., next: b}\nb: {kind: goto, next: end}")
    plan = replace(plan, steps={**plan.steps, "b": Goto("b", "a")})
    state, actions = walk(plan, ())
    assert spoken(actions) == ["A.", plan.failed["en"]]
    assert (actions[-1], state.ended) == (End("failed"), True)


def test_a_way_to_nowhere_ends_in_words(tmp_path):
    """So does a step that is not there."""
    plan = plan_of(tmp_path, "a: {kind: say, prompt: A., next: end}")
    assert walk(replace(plan, steps={"a": plan.steps["a"]}), ())[1][-1] == End("failed")


def test_questions_that_lead_nowhere_new_lead_to_a_person(tmp_path):
    """Ten of the same in a row are a loop."""
    state, actions = walk(plan_of(tmp_path, ROUND), [question()] * engine.MAX_IDLE)
    assert (state.step, spoken(actions), state.faults) == ("help", ["A person?"], 1)


def test_learning_something_is_no_loop(tmp_path):
    """An intent with a way of its own to another step is something new every time."""
    assert walk(plan_of(tmp_path, ROUND), [question("lost")] * 50)[0].step == "ask"


def test_asking_for_the_same_again_and_again_leads_to_a_person_too(tmp_path):
    """Nobody is kept by a recogniser that hears "repeat" in noise."""
    assert walk(plan_of(tmp_path, ROUND), [command("repeat")] * engine.MAX_IDLE)[0].step == "help"


def test_faults_are_counted_and_then_end_the_call(tmp_path):
    """An expression that fails every time."""
    state, actions = walk(plan_of(tmp_path, FAULTY), [hear(age="0")] * (engine.MAX_FAULTS + 1))
    assert (actions[-1], state.faults) == (End("failed"), engine.MAX_FAULTS + 1)


def test_a_transfer_that_is_tried_for_ever_ends(tmp_path):
    """A plan may try again, not without end."""
    plan = plan_of(tmp_path, RETRY)
    assert walk(plan, [Connected("busy")] * 100)[0].ended
    assert walk(plan, [Connected("busy")] * 5)[1][-1] == Connect(("anna",), "bridge", 30)


# States ---------------------------------------------------------------------------------------------------------------


def test_the_same_inputs_give_the_same_actions():
    """A call replays from its inputs."""
    inputs_ = (question("", "B."), SILENCE, question("goodbye"))
    assert walk(SHIPPED["main"], inputs_) == walk(SHIPPED["main"], inputs_)


def test_a_state_tells_how_it_came_about(tmp_path):
    """Every step entered, and by which key of the plan; what only stays has no path."""
    plan = SHIPPED["main"]
    state, _ = walk(plan, ())
    assert state.path == (Passage("", "", "welcome"), Passage("welcome", "next", "question"))
    state, _ = engine.step(plan, state, SILENCE, NOW)
    assert state.path == ()
    state, _ = engine.step(plan, state, question("lost_card"), NOW)
    assert state.path == (Passage("question", "", "lost_card"),)
    state, _ = engine.step(plan, state, Key("1"), NOW)
    assert state.path == (Passage("lost_card", "on.yes", "to_agent"),)
    state, _ = engine.step(plan, state, Connected("busy"), NOW)
    assert [passage.way for passage in state.path] == ["busy", "next"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_slower_repeats_slowly_and_stays_slow(language):
    """Everything said later is slow, too."""
    _, actions = walk(SHIPPED["main"], (command("slower"), SILENCE), language)
    assert [action.slow for action in actions if isinstance(action, Speak)] == [True]


def test_what_holds_a_secret_says_so():
    """Words with a sensitive slot in them must not be written down."""
    inputs_ = (question("lost_card"), hear("yes"), hear(card="8620"))
    _, actions = walk(SHIPPED["bank"], inputs_)
    assert [(action.text, action.sensitive) for action in actions if isinstance(action, Speak)] == [
        ("The card ending in {digits:8620}, is that right?", True)
    ]


def test_a_day_is_the_plans_own(tmp_path):
    """Today, where the plan's callers are."""
    plan = plan_of(tmp_path, "zone: Asia/Shanghai\nsteps:\n  a: {kind: ask, expect: open, prompt: Yes?, next: end}")
    late = datetime.fromisoformat("2026-11-23T23:30+00:00")
    for now, today in ((late, "2026-11-24"), (late - timedelta(hours=12), "2026-11-23")):
        assert walk(plan, (), now=now)[1][-1].expectation.today == today


def test_end_is_there_in_every_plan():
    """Goodbye and hang up."""
    assert all(END in plan.steps for plan in SHIPPED.values())
