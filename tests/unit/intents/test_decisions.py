"""The file of decisions: what is written is read by plans, what is taken back is gone, what is strange is refused."""

from __future__ import annotations

import pytest

from ivr.dialog.plan_file import load
from ivr.errors import InvalidInput
from ivr.intents.decisions import Decisions

PLAN = "languages: [en, zh]\nsteps:\n  a: {kind: ask, prompt: {en: Yes?, zh: 请说}, on: {parking: end}, next: end}\n"
KNOWLEDGE = "entries:\n  - {id: lost, intent: lost, en: {questions: [I lost it, it is lost]}}\n"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "town.yaml").write_text(PLAN, "utf-8")
    (tmp_path / "town.knowledge.yaml").write_text(KNOWLEDGE, "utf-8")
    return tmp_path / "town.reviewed.yaml"


def test_a_plan_knows_what_was_decided_in_either_language(file):
    decided = Decisions(file)
    first = decided.add("en", ["is there parking", "car park: where?"], "parking", {})
    second = decided.add("zh", ["有停车场吗", "哪里停车"], "", {"zh": "后面有停车位。", "en": "Behind."})
    third = decided.dismiss("en", ["la la la", "- 'x'"])
    decided.write()
    assert (first, second, third) == ("review-1", "review-2", "review-3")
    plan = load(file.with_name("town.yaml"))
    entries = {e.id: e for e in plan.knowledge.entries}
    assert set(entries) == {"lost", "review-1", "review-2"}
    assert (entries["review-1"].intent, entries["review-1"].questions["en"][1]) == ("parking", "car park: where?")
    assert entries["review-2"].answer == {"zh": "后面有停车位。"}
    again = Decisions(file)
    assert again.ids == ("review-1", "review-2", "review-3")
    assert set(again.sentences("en")) == {"is there parking", "car park: where?", "la la la", "- 'x'"}
    assert again.add("en", ["x y"], "lost", {}) == "review-4"


def test_a_decision_is_taken_back_and_the_last_one_takes_the_file_with_it(file):
    decided = Decisions(file)
    name = decided.add("en", ["is there parking", "parking"], "parking", {})
    decided.write()
    with pytest.raises(InvalidInput):
        load(_without(file))
    decided = Decisions(file)
    assert not decided.undo("review-9")
    assert decided.undo(name)
    decided.write()
    assert not file.exists()


def _without(file):
    """A plan whose `on:` names an intent that only the decision gave it, with the decision gone."""
    other = file.with_name("other.yaml")
    other.write_text(PLAN, "utf-8")
    return other


@pytest.mark.parametrize("content", ["3", "entries: 3", "entries: [3]", "entries: [{en: 1}]", "a: [", "- x"])
def test_a_file_that_is_none_of_ours_is_refused(file, content):
    file.write_text(content, "utf-8")
    with pytest.raises(InvalidInput, match=r"town\.reviewed\.yaml: not as it was written"):
        Decisions(file)


def test_what_stands_under_another_intent_already_is_told(file):
    file.with_name("town.yaml").write_text(PLAN.replace("parking", "lost"), "utf-8")
    decided = Decisions(file)
    decided.add("en", ["I lost it", "x"], "found", {})
    decided.write()
    with pytest.raises(InvalidInput, match="stands under `lost` too"):
        load(file.with_name("town.yaml"))
