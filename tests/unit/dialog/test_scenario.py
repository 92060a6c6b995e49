"""Scenario files: what they say, what is wrong with them, and where a call went otherwise."""

from dataclasses import replace
from textwrap import indent

import pytest
from calls import NOW, plan_of

from ivr.dialog import scenario
from ivr.dialog.coverage import Coverage, percent
from ivr.dialog.state import Connected, Fetched, Listen
from ivr.errors import InvalidInput

PLAN = """
languages: [en, zh]
events: {give_up: end, no_input: [], no_match: []}
operator: over
slots: {card: {kind: digits, min: 4, max: 4}, name: {kind: text}, message: {kind: text}}
steps:
  card: {kind: ask, slot: card, prompt: {en: "The last four digits?", zh: 后四位？}, next: find}
  find: {kind: lookup, backend: bank, path: "/cards/{card}", save: {name: name}, on: {"404": card}, next: sure}
  sure:
    kind: ask
    expect: yes_no
    prompt: {en: "{name}, {card}?", zh: "{name}，{card}？"}
    on: {yes: over}
    next: card
  over:
    kind: transfer
    prompt: {en: A moment., zh: 请稍候。}
    target: anna
    busy: leave
    no_answer: leave
    failed: end
  leave: {kind: record, prompt: {en: After the tone., zh: 请留言。}, slot: message, next: end}
"""
BACKENDS = """
backends:
  - {match: {path: /cards/8620}, body: {name: Li}}
  - {match: {path: /cards/9999}, status: 404}
  - {match: {path: /cards/1111}, outcome: timeout}
"""


def walked(folder, turns: str, language: str = "en", backends: str = BACKENDS):
    """The one scenario with `turns`, walked."""
    file = folder / "calls.yaml"
    text = f"plan: plan\nlanguage: {language}\n{backends}turns:\n{indent(turns.strip(), '  ')}\n"
    file.write_text(text, "utf-8")
    (one,) = scenario.read(file)
    return scenario.walk(plan_of(folder / "plans", PLAN), one, NOW, lambda text, _: text)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plans").mkdir()
    return tmp_path


def test_a_call_as_expected(folder):
    """Everything that can be done and expected, once."""
    one = walked(
        folder,
        """
- expect: {step: card, said: The last four digits?, language: en, slots: {card: null}}
- silence: true
  expect: {step: card}
- key: "9999"
  expect: {step: card, outcome: status}
- say: eight six two zero
  confidence: 0.6
  expect: {step: sure, said: [Li, "{digits:8620}"], slots: {card: "8620", name: Li}, outcome: ok}
- say: "yes"
  expect: {step: over}
- outcome: busy
  expect: {step: leave, outcome: busy}
- message: m1
  expect: {said: Thank you, slots: {message: m1}, outcome: completed}
""",
    )
    assert one.difference is None
    assert one.rehearsal.last.state.slots["card"].confidence < 0.95


def test_the_same_in_mandarin(folder):
    """The language of the call is the scenario's."""
    assert walked(folder, "- {say: 八六二零, expect: {step: sure, said: Li, language: zh}}", "zh").difference is None


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ("- expect: {step: sure}", "expected step `sure`, got `card` saying `The last four digits?`"),
        ("- expect: {said: Hello}", "expected words `Hello`, got `The last four digits?`"),
        ("- {key: 8, expect: {slots: {card: 8}}}", "expected slot card `8`, got `None`"),
        ("- expect: {slots: {card: 1}}", "expected slot card `1`, got `None`"),
        ("- expect: {language: zh}", "expected language `zh`, got `en`"),
        ("- expect: {outcome: completed}", "expected outcome `completed`, got ``"),
        ("- outcome: busy", "this cannot happen here; the call listens for digits (card)"),
        ("- message: m", "this cannot happen here; the call listens for digits (card)"),
        ("- {key: 8620, expect: {step: sure}}\n- key: 1\n- key: 1", "no key can be pressed here; the call rings anna"
                                                                   " (bridge, 30 s)"),
        ("- {key: 5555}", "no entry of `backends` answers; the call asks bank: GET /cards/5555"),
    ],
)  # fmt: skip
def test_where_it_went_otherwise(folder, turn, message):
    """The first difference, with the line of its turn."""
    one = walked(folder, turn)
    assert one.difference.message == message
    lines = (folder / "calls.yaml").read_text("utf-8").splitlines()
    assert lines[one.difference.line - 1].strip() == turn.splitlines()[-1]


def test_an_ended_call_takes_nothing_more(folder):
    """And says so."""
    one = walked(folder, "- silence: true\n- silence: true\n- silence: true\n- say: hello")
    assert one.difference.message == "this cannot happen here; the call is over (completed)"


def test_backends_match_by_everything_they_name(folder):
    """Method, path, query and body; the first that fits."""
    backends = """backends:
  - {match: {path: /cards/8620, method: POST}, status: 500}
  - {match: {path: /cards/8620, query: {a: 1}}, status: 500}
  - {match: {path: /cards/8620, body: {a: 1}}, status: 500}
  - {body: {name: [1, {a: null}]}}
"""
    one = walked(folder, "- {key: 8620, expect: {step: sure, slots: {name: null}, outcome: ok}}", backends=backends)
    assert one.difference is None
    assert [m.given for m in one.rehearsal.moments if isinstance(m.given, Fetched)] == [
        Fetched("ok", 200, {"name": [1, {"a": None}]})
    ]


def test_lookups_without_end_are_a_difference(folder):
    """The loader refuses such a plan; a scenario does not wait for ever either."""
    (folder / "calls.yaml").write_text(
        "plan: plan\nturns: [{key: 8620}]\nbackends: [{match: {path: /b}, body: {name: B}}, {body: {name: A}}]\n",
        "utf-8",
    )
    (one,) = scenario.read(folder / "calls.yaml")
    plan = plan_of(folder / "plans", PLAN)
    there = replace(plan.steps["find"], next="back")
    back = replace(there, name="back", path="/b", next="find")
    plan = replace(plan, steps={**plan.steps, "find": there, "back": back})
    walked_ = scenario.walk(plan, one, NOW, lambda text, _: text)
    assert walked_.difference.message == "more than 20 lookups in a row"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("turns: [{say: hi}]", "plan: missing"),
        ("plan: p", "turns: missing"),
        ("plan: p\nturns: []", "turns: must be a list of 1"),
        ("plan: p\nturns: [{}]", "turns.0: must be one thing that happens"),
        ("plan: p\nturns: [{say: a, key: 1}]", "turns.0: must be one thing that happens"),
        ("plan: p\nturns: [{sya: a}]", "did you mean `say`?"),
        ("plan: p\nturns: [{key: x}]", "`x` is not keys"),
        ("plan: p\nturns: [{outcome: engaged}]", "`engaged` is not known"),
        ("plan: p\nturns: [{say: a, expect: {setp: a}}]", "did you mean `step`?"),
        ("plan: p\nturns: [{say: a, confidence: 2}]", "must be a number from 0 to 1"),
        ("plan: p\nnow: yesterday\nturns: [{say: a}]", "now: must be a date and time with its zone"),
        ("plan: p\nnow: 2026-11-23T10:00\nturns: [{say: a}]", "now: must be a date and time with its zone"),
        ("plan: p\nscenarios: [{turns: [{say: a}]}]", "scenarios.0.name: missing"),
        ("plan: p\nscenarios: [{name: a, now: x, turns: [{say: a}]}]", "scenarios.0.now: must be"),
        ("plan: p\nbackends: [{status: 42}]\nturns: [{say: a}]", "from 100 to 599"),
        ("plan: p\nbackends: [{match: {path: /a}, outcome: never}]\nturns: [{say: a}]", "`never` is not known"),
        ("[1, 2]", "must hold keys"),
        ("a: b: c", "cannot stand here"),
        ("", "nothing in it"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, text, problem):
    """Found with its place and a mend, never by a traceback."""
    file = tmp_path / "calls.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidInput) as invalid:
        scenario.read(file)
    assert any(problem in str(each) for each in invalid.value.problems), str(invalid.value)


def test_several_scenarios_share_what_stands_above_them(tmp_path):
    """Language, moment and back ends; their own come first."""
    file = tmp_path / "calls.yaml"
    file.write_text(
        "plan: p\nlanguage: zh\nnow: 2026-11-23T10:00+08:00\nbackends: [{status: 500}]\nscenarios:\n"
        "  - {name: a, turns: [{say: hi}]}\n"
        "  - {name: b, language: en, now: 2026-11-24T10:00+08:00, backends: [{status: 404}], turns: [{say: hi}]}\n",
        "utf-8",
    )
    a, b = scenario.read(file)
    assert (a.name, a.language, a.now, a.line) == ("a", "zh", NOW, 6)
    assert (b.language, b.now.day, b.line) == ("en", 24, 7)
    assert [[x.answer.status for x in one.backends] for one in (a, b)] == [[500], [404, 500]]


# Rehearsals and coverage ----------------------------------------------------------------------------------------------


def test_undo_takes_back_one_input(folder):
    """As often as there were any."""
    call = walked(folder, "- silence: true\n- key: 86").rehearsal
    assert call.last.state.no_matches == 1
    call.undo()
    assert call.last.state.no_matches == 0
    for _ in range(5):
        call.undo()
    assert (len(call.moments), call.last.state.step, call.last.state.no_inputs) == (1, "card", 0)
    assert isinstance(call.last.awaited, Listen)


def test_coverage_counts_steps_and_ways(folder):
    """What was taken, what was not, and where that stands."""
    one = walked(folder, "- key: 9999\n- key: 8620\n- key: 1\n- outcome: failed")
    coverage = Coverage(one.rehearsal.plan)
    assert percent(coverage.steps()) == 0
    for moment in one.rehearsal.moments:
        coverage.add(moment.state.path)
    assert coverage.steps() == (4, 5)
    missed = [(m.step, m.way) for m in coverage.missed()]
    assert missed == [("card", "give_up"), ("find", "on_error"), ("sure", "give_up"), ("sure", "next"),
                      ("over", "busy"), ("over", "no_answer"), ("leave", ""), ("leave", "give_up"),
                      ("leave", "next")]  # fmt: skip
    assert str(coverage.missed()[0]).endswith("plan.yaml:6: card give_up -> end")
    assert percent((0, 0)) == 100


def test_what_a_call_does_not_wait_for_is_not_taken(folder):
    """So that a typed mistake does nothing."""
    call = walked(folder, "- key: 86").rehearsal
    assert call.takes(call.hear("8620"))
    assert not call.takes(Connected("busy"))
