"""The scripted callers of `ivr bench bank`: what they reply to what they are asked."""

from __future__ import annotations

import re

import pytest

from ivr.bench import bank, landmarks
from ivr.bench.bank_callers import CALLERS, KEYS, SILENCE, Asked, Reactions, Script
from ivr.bench.harness import ROOT
from ivr.dialog.plan_file import load

EVERYBODY = [script for scripts in CALLERS.values() for script in scripts]
BRANCH = Script("b", "en", "branch", ("Near the Old Tower.",), place="old-tower", names=("Old Tower",),
                says={"branch": ("The Old Tower.",)})  # fmt: skip
BALANCE = Script("a", "en", "balance", ("My balance?",), card="8620", born="1985-03-12",
                 says={"card": ("Eight six two zero.", "#8620"), "born": ("#19850312",)})  # fmt: skip


def replies(script: Script, *asked: tuple[str, str], done: bool = False) -> list[str]:
    reactions = Reactions(script)
    return [reactions.to(Asked(step, words, script.language), done) for step, words in asked]


def test_twenty_callers_a_language_cover_every_task():
    for scripts in CALLERS.values():
        tasks = [s.task for s in scripts]
        assert {t: tasks.count(t) for t in dict.fromkeys(tasks)} == {
            "branch": 5, "balance": 3, "lost_card": 3, "fees": 3, "hours": 2, "delivery": 2, "complaint": 1,
            "person": 1,
        }  # fmt: skip
        assert sum(bool(s.twist) for s in scripts) >= len(scripts) / 4
        assert {s.twist for s in scripts} >= {"correction", "digression", "no-match", "keys"}


@pytest.mark.parametrize("script", EVERYBODY, ids=lambda s: s.name)
def test_what_a_caller_says_and_keys_is_who_they_are(script):
    for kind, value in (("card", script.card), ("born", script.born.replace("-", ""))):
        assert {r for r in script.says.get(kind, ()) if r.startswith(KEYS)} <= {KEYS + value}
    assert (script.place in {p.id for p in landmarks.shipped().entries}) == (script.task == "branch")


def test_a_caller_confirms_only_what_they_meant():
    asked = [("sure_of_place", "Near Tower, is that right?"), ("sure_of_place", "Near Old Tower, is that right?")]
    assert replies(BRANCH, *asked) == ["No.", "Yes, please."]
    asked = [("identity/sure_of_card", "Ending in 3620?"), ("identity/sure_of_birth", "Born on March 12, 1985?")]
    assert replies(BALANCE, *asked) == ["No.", "Yes, please."]
    assert replies(BALANCE, ("identity/sure_of_birth", "Born on March 20, 1985?")) == ["No."]


def test_digits_that_were_not_understood_are_keyed():
    asked = [("identity/who", "your card"), ("identity/who", "your card"), ("identity/who", "your date of birth")]
    assert replies(BALANCE, *asked) == ["Eight six two zero.", "#8620", "#19850312"]


def test_a_caller_asks_once_more_and_then_says_goodbye():
    asked = [
        ("question", "How can I help you?"),
        ("unknown", "A person?"),
        ("more", "What else?"),
        ("more", "What else?"),
    ]
    assert replies(BRANCH, *asked) == [
        "Near the Old Tower.", "No.", "Near the Old Tower.", "No, thank you. Goodbye.",
    ]  # fmt: skip
    assert replies(BRANCH, ("more", "What else?"), done=True) == ["No, thank you. Goodbye."]


def test_a_correction_is_made_once_where_it_can_be():
    corrected = Script("c", "en", "branch", ("Near Tower.",), names=("Old Tower",), mends="No, the Old Tower.")
    asked = [("question", "?"), ("sure_of_place", "Near Tower?"), ("sure_of_place", "Near Old Tower?")]
    assert replies(corrected, *asked) == ["Near Tower.", "No, the Old Tower.", "Yes, please."]


def test_who_says_nothing_waits():
    assert replies(Script("s", "en", "lost_card", (SILENCE,)), ("question", "?")) == [SILENCE]


@pytest.mark.parametrize("name", ["bank", "identity"])
def test_the_office_is_always_open_and_nothing_is_masked_in_the_plans_as_rung(name, tmp_path):
    for file in (ROOT / "dialplans").glob("*.yaml"):
        (tmp_path / file.name).write_text(bank.as_rung(file.read_text("utf-8")), "utf-8")
    plan = load(tmp_path / f"{name}.yaml")
    assert not any(slot.sensitive for slot in plan.slots.values())
    assert all(re.search("00:00-24:00", (tmp_path / "bank.yaml").read_text()) for _ in plan.calendars)


def test_a_landmark_is_the_longest_name_in_the_sentence():
    places = landmarks.shipped()
    assert landmarks.named(places, "西单大悦城附近有网点吗") == "xidan-joy-city"
    assert landmarks.named(places, "附近有网点吗") == ""
