"""The `prove` step: sums of scores between two thresholds, by voice and keys, and nothing secret written down."""

import json

import pytest
from calls import NOW, SILENCE, plan_of, problems_of, spoken

from ivr.dialog import engine, journal
from ivr.dialog.state import Compare, Compared, Heard, Key, KeysEnded, Listen, Started, State, WaitKeys
from ivr.turn import Evidence, Hypothesis, Understood

PLAN = """
languages: [en, zh]
given: [left]
slots: {left: {kind: number}}
operator: person
steps:
  who:
    kind: prove
    accept: 7
    reject: -5
    answers: 3
    answers_left: left
    fields:
      birth_date:
        prompt: {en: Your date of birth?, zh: 您的出生日期？}
        again: {en: Please key in your date of birth., zh: 请输入出生日期。}
      id_last4: {prompt: {en: The last four characters?, zh: 身份证后四位？}}
    proven: inside
    failed: outside
  inside: {kind: hangup, outcome: inside}
  outside: {kind: hangup, outcome: outside}
  person: {kind: hangup, outcome: person}
"""
BOTH = ("birth_date", "id_last4")


def weighed(score: float, field: str = "birth_date") -> Heard:
    return Heard(Understood(Hypothesis("****", 0.8), evidence=Evidence(field, score, 1, ("ab",))))


def begin(plan, proofs=BOTH, language="en", **given):
    return engine.step(plan, State(language), Started(given=given, proofs=proofs), NOW)


def walk(plan, *given, **begun):
    state, actions = begin(plan, **begun)
    for one in given:
        state, actions = engine.step(plan, state, one, NOW)
    return state, actions


@pytest.mark.parametrize(("scores", "outcome"), [
    ((8.0,), "inside"), ((4.0, 4.0), "inside"), ((6.9, -5.0, 6.0), "inside"),
    ((-5.0,), "outside"), ((-3.0, -3.0), "outside"), ((1.0, 1.0, 1.0), "outside"),
])  # fmt: skip
def test_sums_decide(tmp_path, scores, outcome):
    state, actions = walk(plan_of(tmp_path, PLAN), *map(weighed, scores))
    assert actions[-1].outcome == outcome
    assert [e.score for e in state.evidence] == list(scores)


@pytest.mark.parametrize(("language", "words"), [
    ("en", ["Your date of birth?", "The last four characters?", "Please key in your date of birth."]),
    ("zh", ["您的出生日期？", "身份证后四位？", "请输入出生日期。"]),
])  # fmt: skip
def test_asks_for_the_other_thing_first_and_then_again(tmp_path, language, words):
    plan = plan_of(tmp_path, PLAN)
    state, actions = begin(plan, language=language)
    said = spoken(actions)
    for field in BOTH:
        assert actions[-1].expectation.proof == field
        assert actions[-1].expectation.sensitive
        state, actions = engine.step(plan, state, weighed(1.0, field), NOW)
        said += spoken(actions)
    assert said == words


def test_only_what_can_be_proven_is_asked_for(tmp_path):
    plan = plan_of(tmp_path, PLAN)
    assert spoken(begin(plan, proofs=("id_last4",))[1]) == ["The last four characters?"]
    assert begin(plan, proofs=())[1][-1].outcome == "outside"


@pytest.mark.parametrize(("left", "answers"), [("0", 0), ("1", 1), ("2", 2), ("9", 3)])
def test_never_more_answers_than_the_customer_has_left(tmp_path, left, answers):
    plan = plan_of(tmp_path, PLAN)
    state, actions = begin(plan, left=left)
    for _ in range(answers):
        assert not state.ended
        state, actions = engine.step(plan, state, weighed(1.0), NOW)
    assert actions[-1].outcome == "outside"


def test_keys_are_weighed_by_the_session_as_soon_as_they_are_all_there(tmp_path):
    plan = plan_of(tmp_path, PLAN)
    state, actions = walk(plan, *(Key(key) for key in "1987042"))
    assert actions == (WaitKeys(),)
    state, actions = engine.step(plan, state, Key("9"), NOW)
    assert actions == (Compare("birth_date", "1987-04-29"),)
    assert "1987" not in repr(state)
    assert "1987" not in repr(actions)
    _, actions = engine.step(plan, state, Compared(Evidence("birth_date", 9.0, 1, by="keys")), NOW)
    assert actions[-1].outcome == "inside"


def test_other_keys_and_words_do_what_they_do_everywhere(tmp_path):
    plan = plan_of(tmp_path, PLAN)
    assert walk(plan, Key("0"), KeysEnded())[1][-1].outcome == "person"
    nothing = Heard(Understood(Hypothesis("", rejected="none_of_these")))
    for given in (nothing, SILENCE, (Key("1"), KeysEnded())):
        state, actions = walk(plan, *(given if isinstance(given, tuple) else (given,)))
        assert isinstance(actions[-1], Listen)
        assert state.evidence == ()
    assert walk(plan, SILENCE, SILENCE, SILENCE)[1][-1].outcome == "person"


def test_the_journal_holds_scores_and_no_keys(tmp_path):
    plan = plan_of(tmp_path, PLAN)
    state, _ = begin(plan)
    records = []
    for given in (*(Key(key) for key in "19870429"), Compared(Evidence("birth_date", 9.0, 1, ("cd",), "keys"))):
        records.append(journal.entry(plan, state, given, NOW))
        state, _ = engine.step(plan, state, given, NOW)
    assert [r["given"].get("digit") for r in records] == ["1"] * 8 + [None]
    kept = json.loads(json.dumps(records[-1]))
    assert journal.from_record(kept).evidence == Evidence("birth_date", 9.0, 1, ("cd",), "keys")
    voice = journal.entry(plan, begin(plan)[0], weighed(3.5), NOW)
    assert voice["masked"]
    assert journal.from_record(json.loads(json.dumps(voice))).understood.evidence.score == 3.5


@pytest.mark.parametrize(("old", "new", "field", "message"), [
    ("id_last4: {", "pin: {", "steps.who.fields.pin", "`pin` is not what can be proven"),
    ("The last four characters?", "Your PIN?", "steps.who.fields.id_last4.prompt.en", "asks for a PIN"),
    ("身份证后四位？", "请说出短信验证码。", "steps.who.fields.id_last4.prompt.zh", "asks for a one-time code"),
    ("answers_left: left", "answers_left: rest", "steps.who.answers_left", "there is no slot `rest`"),
    ("reject: -5", "reject: 5", "steps.who.reject", "must be a number from -100 to -1"),
])  # fmt: skip
def test_what_is_wrong_is_told_by_its_field(tmp_path, old, new, field, message):
    found = problems_of(tmp_path, PLAN.replace(old, new))
    assert (field, True) in [(p.field, message in p.message) for p in found]
