"""The engine on whole plans: what is said and done next, without a telephone."""

from pathlib import Path

import pytest
from calls import GONE, NOISE, NOW, OK, PAUSE, SILENCE, hear, keys, plan_of, question, spoken, walk

from ivr.dialog import engine
from ivr.dialog.plan import Ask, Hangup, Transfer
from ivr.dialog.plan_file import load
from ivr.dialog.state import Connect, Connected, End, Fetch, Listen, Recorded, Started, State, TakeMessage, WaitKeys

SHIPPED = {name: load(Path(__file__).parents[3] / "dialplans" / f"{name}.yaml") for name in ("main", "bank")}

ALL = """
operator: person
events: {give_up: bye, digress: false}
slots:
  card: {kind: digits, min: 4, max: 4}
  day: {kind: date}
steps:
  hello: {kind: say, prompt: Hello., next: pick, barge_in: none, protected_ms: 500}
  pick:
    kind: menu
    prompt: Red or blue?
    choices:
      red: {en: [red, crimson], key: 1, next: digits}
      blue: {en: blue, key: 2, next: sure}
    no_input: [Once., Twice.]
    no_match: [Not that.]
  digits: {kind: ask, slot: card, prompt: Four digits., no_match: [], next: day}
  day: {kind: ask, slot: day, prompt: When?, next: sure}
  sure: {kind: ask, expect: yes_no, prompt: Sure?, no_match: [], on: {yes: person, no: bye}}
  person: {kind: transfer, prompt: One moment., target: agents, busy: bye, no_answer: bye, failed: bye}
  bye: {kind: hangup, prompt: Bye.}
"""


@pytest.fixture
def plan(tmp_path):
    """A plan with every kind of question, in English only."""
    return plan_of(tmp_path, ALL)


def test_the_greeting_and_the_first_question_come_together(plan):
    """Prompts queue until something is waited for (VoiceXML 2.1, section 4.1.8 of 2.0)."""
    state, actions = walk(plan, [])
    assert spoken(actions) == ["Hello.", "Red or blue?"]
    assert [a.asks for a in actions[:2]] == [False, True]
    assert (actions[0].barge_in, actions[0].protected_ms) == ("none", 500)
    assert actions[-1].expectation.phrases == ("red", "crimson", "blue")
    assert state.step == "pick"


def test_a_choice_goes_its_own_way(plan):
    """A synonym counts as its choice."""
    assert walk(plan, [hear("crimson")])[0].step == "digits"
    assert walk(plan, [hear("blue")])[0].step == "sure"


def test_reprompts_taper_and_then_give_up(plan):
    """The first no-input, the second, and the third is the last."""
    assert spoken(walk(plan, [SILENCE])[1]) == ["Once."]
    assert spoken(walk(plan, [SILENCE] * 2)[1]) == ["Twice."]
    assert spoken(walk(plan, [SILENCE] * 3)[1]) == ["Bye."]


def test_no_matches_and_no_inputs_are_counted_apart(plan):
    """Two of one and two of the other do not add up to three (VoiceXML event counters)."""
    state, actions = walk(plan, [SILENCE, NOISE, SILENCE, NOISE])
    assert state.step == "pick"
    assert spoken(actions) == ["Not that."]


def test_keys_do_what_speech_does(plan):
    """A choice by key, digits by key when full, a date by eight keys, 1 and 2 for yes and no."""
    assert walk(plan, [keys("1")])[0].step == "digits"
    state, _ = walk(plan, [keys("18620")])
    assert (state.step, state.slots["card"].value) == ("day", "8620")
    state, _ = walk(plan, [keys("1862019850312")])
    assert (state.step, state.slots["day"].value) == ("sure", "1985-03-12")
    assert isinstance(walk(plan, [hear("blue"), keys("1")])[1][-1], Connect)
    assert isinstance(walk(plan, [hear("blue"), keys("2")])[1][-1], End)


def test_too_few_keys_are_a_no_match_after_the_pause(plan):
    """Two keys and then nothing for two seconds."""
    state, actions = walk(plan, [keys("186")])
    assert actions == (WaitKeys(),)
    state, actions = walk(plan, [keys("186"), PAUSE])
    assert (state.no_matches, state.keys, spoken(actions)) == (1, "", ["Four digits."])


def test_zero_is_a_person(plan):
    """Key 0 goes to `operator`."""
    assert isinstance(walk(plan, [keys("0")])[1][-1], Connect)


@pytest.mark.parametrize("outcome", ["busy", "no_answer", "failed", "unheard-of"])
def test_a_failed_transfer_goes_its_way(plan, outcome):
    """Each outcome is a value with a step of its own; one nobody knows counts as failed."""
    _, actions = walk(plan, [keys("0"), Connected(outcome)])
    assert spoken(actions) == ["Bye."]
    assert actions[-1] == End("completed")


def test_a_connected_transfer_ends_the_dialog(plan):
    """When the two have talked, we hang up."""
    assert walk(plan, [keys("0"), Connected("connected")])[1] == (End("transferred"),)


def test_an_unsure_answer_is_asked_again(plan):
    """Unsure is never taken for a yes."""
    state, actions = walk(plan, [hear("blue"), hear("unsure")])
    assert (state.step, spoken(actions)) == ("sure", ["Sure?"])


def test_nothing_happens_after_the_end(plan):
    """Late inputs change nothing."""
    state, _ = walk(plan, [SILENCE] * 3)
    assert engine.step(plan, state, hear("red"), NOW) == (state, ())


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_list_of_actions_ends_in_something_that_is_answered(name, language):
    """Whatever comes in, the shipped plans wait, connect or end; they never fall silent."""
    plan = SHIPPED[name]
    intents = [question(entry.intent) for entry in plan.knowledge.entries if entry.intent]
    words = [
        hear("yes"),
        hear("no"),
        hear("1234", card="1234"),
        hear(birth_date="1985-03-12"),
        hear(place="birds-nest"),
    ]
    others = [
        SILENCE,
        NOISE,
        *keys("05*9"),
        Connected("busy"),
        OK,
        GONE,
        Recorded("message"),
        question(answer="Words."),
    ]
    inputs = [*intents, *words, *others]
    seen, todo = set(), [engine.step(plan, State(language), Started(), NOW)]
    while todo:
        state, actions = todo.pop()
        if actions:
            assert isinstance(actions[-1], Listen | Connect | End | WaitKeys | Fetch | TakeMessage)
        mark = (state.step, state.slot, bool(state.keys), state.ended)
        if mark not in seen:
            seen.add(mark)
            todo += [engine.step(plan, state, given, NOW) for given in inputs]
    assert {type(plan.steps.get(step)) for step, *_ in seen} >= {Ask, Transfer, Hangup}


def test_the_same_inputs_give_the_same_actions():
    """A call replays from its inputs."""
    given = [question(answer="B."), SILENCE, question("goodbye")]
    assert walk(SHIPPED["main"], given) == walk(SHIPPED["main"], given)
