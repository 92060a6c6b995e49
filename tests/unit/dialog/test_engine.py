"""The engine: what is said and done next, without a telephone."""

from pathlib import Path

import pytest

from ivr.dialog import engine
from ivr.dialog.plan_file import load
from ivr.turn import Hypothesis, Understood

MAIN = load(Path(__file__).parents[3] / "dialplans" / "main.yaml")


@pytest.fixture
def plan(tmp_path):
    """A plan with one of everything, in English only."""
    file = tmp_path / "all.yaml"
    file.write_text(
        """
languages: [en]
start: hello
operator: person
steps:
  hello: {kind: say, prompt: Hello., next: pick, barge_in: none, protected_ms: 500}
  pick:
    kind: ask
    expect: choice
    prompt: Red or blue?
    choices:
      red: {en: [red, crimson], key: 1}
      blue: {en: blue, key: 2}
    no_input: [Once., Twice.]
    no_match: [Not that.]
    tries: 3
    give_up: bye
    on: {red: digits}
    next: sure
  digits:
    {kind: ask, expect: digits, digits: {min: 4, max: 4}, prompt: Four digits., give_up: bye, next: day}
  day: {kind: ask, expect: date, prompt: When?, give_up: bye, next: sure}
  sure: {kind: ask, expect: yes_no, prompt: Sure?, give_up: bye, on: {"yes": person, "no": bye}}
  person: {kind: transfer, prompt: One moment., target: agents, busy: bye, no_answer: bye, failed: bye}
  bye: {kind: hangup, prompt: Bye.}
""",
        "utf-8",
    )
    return load(file)


def walk(plan, *inputs, language="en"):
    """The last state and the actions of the last input."""
    state, actions = engine.step(plan, engine.State(language), engine.Started())
    for given in inputs:
        state, actions = engine.step(plan, state, given)
    return state, actions


def said(actions):
    return [a.text for a in actions if isinstance(a, engine.Speak)]


def heard(value, **fields):
    return engine.Heard(Understood(Hypothesis(value, 0.9), value=value, **fields))


NO_MATCH = engine.Heard(Understood(Hypothesis("", rejected="none_of_these")))


def test_the_greeting_and_the_first_question_come_together(plan):
    """Prompts queue until something is waited for (VoiceXML 2.1, section 4.1.8 of 2.0)."""
    state, actions = walk(plan)
    assert said(actions) == ["Hello.", "Red or blue?"]
    assert [a.asks for a in actions[:2]] == [False, True]
    assert (actions[0].barge_in, actions[0].protected_ms) == ("none", 500)
    assert actions[-1].expectation.phrases == ("red", "crimson", "blue")
    assert state.step == "pick"


def test_a_choice_goes_its_own_way_and_others_go_next(plan):
    """`on` wins over `next`; a synonym counts as its choice."""
    assert walk(plan, heard("crimson"))[0].step == "digits"
    assert walk(plan, heard("blue"))[0].step == "sure"


def test_reprompts_taper_and_then_give_up(plan):
    """The first no-input, the second, and the third is the last."""
    assert said(walk(plan, engine.Silence())[1]) == ["Once."]
    assert said(walk(plan, *[engine.Silence()] * 2)[1]) == ["Twice."]
    assert said(walk(plan, *[engine.Silence()] * 3)[1]) == ["Bye."]


def test_no_matches_and_no_inputs_are_counted_apart(plan):
    """Two of one and two of the other do not add up to three (VoiceXML event counters)."""
    state, actions = walk(plan, engine.Silence(), NO_MATCH, engine.Silence(), NO_MATCH)
    assert state.step == "pick"
    assert said(actions) == ["Not that."]


def test_keys_do_what_speech_does(plan):
    """A choice by key, digits by key with # or when full, 1 and 2 for yes and no, a date by eight keys."""
    assert walk(plan, engine.Key("1"))[0].step == "digits"
    keys = [engine.Key(k) for k in "18620"]
    state, _ = walk(plan, *keys)
    assert (state.step, state.values["digits"]) == ("day", "8620")
    state, _ = walk(plan, *keys, *[engine.Key(k) for k in "19850312"])
    assert (state.step, state.values["day"]) == ("sure", "1985-03-12")
    assert isinstance(walk(plan, heard("blue"), engine.Key("1"))[1][-1], engine.Connect)
    assert isinstance(walk(plan, heard("blue"), engine.Key("2"))[1][-1], engine.End)


def test_too_few_keys_are_a_no_match_after_the_pause(plan):
    """Two keys and then nothing for two seconds."""
    state, actions = walk(plan, engine.Key("1"), engine.Key("8"), engine.Key("6"))
    assert actions == (engine.WaitKeys(),)
    state, actions = engine.step(plan, state, engine.KeysEnded())
    assert (state.no_matches, state.keys, said(actions)) == (1, "", ["Four digits."])


def test_zero_is_a_person_where_no_digits_are_expected(plan):
    """Key 0 goes to `operator`."""
    assert isinstance(walk(plan, engine.Key("0"))[1][-1], engine.Connect)


@pytest.mark.parametrize("outcome", ["busy", "no_answer", "failed", "unheard-of"])
def test_a_failed_transfer_goes_its_way(plan, outcome):
    """Each outcome is a value with a step of its own; one nobody knows counts as failed."""
    _, actions = walk(plan, engine.Key("0"), engine.Connected(outcome))
    assert said(actions) == ["Bye."]
    assert actions[-1] == engine.End("completed")


def test_a_connected_transfer_ends_the_dialog(plan):
    """When the two have talked, we hang up."""
    assert walk(plan, engine.Key("0"), engine.Connected("connected"))[1] == (engine.End("transferred"),)


def test_an_unsure_answer_is_asked_again(plan):
    """Unsure is never taken for a yes."""
    state, actions = walk(plan, heard("blue"), heard("unsure"))
    assert (state.step, said(actions)) == ("sure", ["Sure?"])


def test_nothing_happens_after_the_end(plan):
    """Late inputs change nothing."""
    state, _ = walk(plan, *[engine.Silence()] * 3)
    assert engine.step(plan, state, heard("red")) == (state, ())


def test_a_circle_ends_in_words(tmp_path):
    """A plan that goes round without waiting apologises and ends instead of hanging."""
    file = tmp_path / "round.yaml"
    file.write_text(
        "languages: [en]\nstart: a\nsteps:\n"
        "  a: {kind: say, prompt: A., next: b}\n  b: {kind: say, prompt: B., next: a}\n"
    )
    state, actions = walk(load(file))
    assert isinstance(actions[-1], engine.End)
    assert state.ended
    assert len(said(actions)) == 1


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_list_of_actions_ends_in_something_that_is_answered(language):
    """Whatever comes in, the shipped plan waits, connects or ends; it never falls silent."""
    inputs = [engine.Silence(), NO_MATCH, heard("yes"), heard("no"), heard("1234"), engine.Key("0"), engine.Key("5"),
              engine.Connected("busy"), heard("x", intent="lost_card"), heard("y", answer="Words.", source="z"),
              heard("z", intent="balance"), heard("w", intent="goodbye")]  # fmt: skip
    seen, todo = set(), [engine.step(MAIN, engine.State(language), engine.Started())]
    while todo:
        state, actions = todo.pop()
        if actions:
            assert isinstance(actions[-1], engine.Listen | engine.Connect | engine.End | engine.WaitKeys)
        mark = (state.step, state.no_inputs, state.no_matches, state.keys, state.ended)
        if mark in seen:
            continue
        seen.add(mark)
        todo += [engine.step(MAIN, state, given) for given in inputs]
    assert {s for s, *_ in seen} >= {n for n, s in MAIN.steps.items() if type(s).__name__ in ("Ask", "Transfer")}


def test_the_same_inputs_give_the_same_actions():
    """A call replays from its inputs."""
    inputs = (heard("a", answer="B.", source="c"), engine.Silence(), heard("no", intent="goodbye"))
    assert walk(MAIN, *inputs) == walk(MAIN, *inputs)
