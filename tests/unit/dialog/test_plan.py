"""Plans: everything wrong is found at once, with its line and a mend."""

from pathlib import Path

import pytest

from ivr.dialog.plan import MAX_FILE_BYTES, load, load_all
from ivr.errors import InvalidInput

GOOD = """languages: [en, zh]
start: ask
steps:
  ask:
    kind: ask
    expect: yes_no
    prompt: {en: "Well?", zh: "怎么样？"}
    give_up: bye
    next: bye
  bye:
    kind: hangup
    prompt: {en: "Bye.", zh: "再见。"}
"""


def problems(tmp_path, text, name="plan.yaml"):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidInput) as wrong:
        load(file)
    return wrong.value.problems


def test_a_good_plan_loads_and_its_version_follows_its_content(tmp_path):
    """The same words give the same version, other words another."""
    file = tmp_path / "good.yaml"
    file.write_text(GOOD, "utf-8")
    first = load(file)
    file.write_text(GOOD.replace("Bye.", "Goodbye."), "utf-8")
    assert (first.name, first.languages, first.start) == ("good", ("en", "zh"), "ask")
    assert load(file).version != first.version


@pytest.mark.parametrize(
    ("change", "line", "message", "mend"),
    [
        (("next: bye", "next: bey"), 9, "there is no step `bey`", "did you mean `bye`?"),
        (("kind: hangup", "kind: hang_up"), 11, "unknown step kind `hang_up`", "did you mean `hangup`?"),
        (("give_up: bye", "giveup: bye"), 8, "unknown key", "did you mean `give_up`?"),
        (("expect: yes_no", "expect: yesno"), 6, "`yesno` is not known", "did you mean `yes_no`?"),
        ((', zh: "再见。"', ""), 12, "no words in `zh`", "add `zh:`"),
        (("start: ask", "start: asks"), 2, "there is no step `asks`", "did you mean `ask`?"),
        (("languages: [en, zh]", "languages: english"), 1, "must be a list", "like [en, zh]"),
    ],
)
def test_a_fault_is_named_with_its_line_and_a_mend(tmp_path, change, line, message, mend):
    """Field, line and what to do."""
    found = problems(tmp_path, GOOD.replace(*change))
    assert any(p.line == line and message in p.message and mend in p.mend for p in found), [str(p) for p in found]


def test_all_faults_are_found_at_once(tmp_path):
    """Three mistakes, three lines."""
    text = (
        GOOD.replace("next: bye", "next: x").replace("expect: yes_no", "expect: z").replace("kind: hangup", "kind: h")
    )
    assert {p.line for p in problems(tmp_path, text)} >= {6, 9, 11}


def test_a_step_that_no_way_leads_to_is_named(tmp_path):
    """Dead steps are faults, since somebody thinks they work."""
    found = problems(tmp_path, GOOD + "  dead:\n    kind: hangup\n    prompt: {en: a, zh: b}\n")
    assert [(p.line, p.field) for p in found] == [(13, "steps.dead")]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "a: [", "steps:\n\tx: 1", b"\xff\xfe\x00", "a: &x [1]\nb: [*x, *x]", "steps: 3", "a: 1\na: 2",
        "steps:\n  a:\n", "- " * 5_000, "x" * (MAX_FILE_BYTES + 1),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused_in_words(tmp_path, text):
    """Broken YAML, wrong encoding, bombs, duplicates and giants end in a problem with the file's name."""
    found = problems(tmp_path, text)
    assert found
    assert all("plan.yaml" in str(p) and "Traceback" not in str(p) for p in found)


def test_a_knowledge_file_is_checked_too(tmp_path):
    """An entry without an answer, and one twice."""
    (tmp_path / "plan.knowledge.yaml").write_text(
        "entries:\n  - id: a\n    en: {questions: [what]}\n  - id: a\n    en: {questions: [x], answer: y}\n", "utf-8"
    )
    found = problems(tmp_path, GOOD)
    assert [(p.line, p.message) for p in found] == [(3, "no answer"), (4, "a second entry `a`")]


def test_the_shipped_plans_are_good():
    """Nothing in dialplans/ has a problem, and every prompt has both languages."""
    plans = load_all(Path(__file__).parents[3] / "dialplans")
    assert plans.problems == ()
    assert set(plans.by_name["main"].languages) == {"en", "zh"}


def test_a_broken_plan_does_not_take_the_others_with_it(tmp_path):
    """The good one serves, the bad one is reported."""
    (tmp_path / "good.yaml").write_text(GOOD, "utf-8")
    (tmp_path / "bad.yaml").write_text("steps: 1", "utf-8")
    plans = load_all(tmp_path)
    assert list(plans.by_name) == ["good"]
    assert all("bad.yaml" in p.file for p in plans.problems)
