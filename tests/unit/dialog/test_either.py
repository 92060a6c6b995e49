"""One of two things is meant: the caller is asked which, once, by the names of both."""

from __future__ import annotations

from dataclasses import replace

import pytest
from calls import command, question, spoken, walk, whole

from ivr.dialog.plan_file import load
from ivr.dialog.state import Heard, Listen
from ivr.turn import Wish

PLAN = """
languages: [en, zh]
anywhere: {lost: lost}
slots: {card: {kind: digits, min: 4, max: 4}}
steps:
  first:
    kind: ask
    expect: open
    fills: [card]
    prompt: {en: What?, zh: 什么事？}
    no_match: {en: Again?, zh: 再说一遍？}
    on: {order: order, renew: order}
    next: reply
    tries: 3
    give_up: bye
  reply: {kind: answer, next: first, unknown: bye}
  lost: {kind: ask, expect: yes_no, prompt: {en: Block it?, zh: 停用吗？}, on: {"yes": bye, "no": bye}}
  order: {kind: say, prompt: {en: Ordered., zh: 已办理。}, next: bye}
  bye: {kind: hangup, prompt: {en: Bye., zh: 再见。}}
"""
KNOWLEDGE = """
entries:
  - id: lost
    intent: lost
    en: {called: block the card, questions: [my card is lost]}
    zh: {called: 挂失, questions: [卡丢了]}
  - id: order
    intent: order
    en: {called: "order a new one.", questions: [a new card]}
    zh: {called: 补卡, questions: [要新卡]}
  - {id: renew, intent: renew, en: {questions: [it ends soon]}, zh: {questions: [快到期了]}}
  - {id: fees, en: {questions: [what is the fee], answer: Free.}, zh: {questions: [多少钱], answer: 免费。}}
"""
NAMES = {"en": ("block the card", "order a new one."), "zh": ("挂失", "补卡")}
ASKED = {"en": "Did you mean: block the card, or: order a new one?", "zh": "您说的是：挂失，还是：补卡？"}


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "plan.yaml").write_text(whole(PLAN), "utf-8")
    (tmp_path / "plan.knowledge.yaml").write_text(KNOWLEDGE, "utf-8")
    return load(tmp_path / "plan.yaml")


def either(language: str = "en", second: str = "order", **slots: str) -> Heard:
    """Words that mean one of two things."""
    lost, order = NAMES[language]
    wishes = (Wish("lost", "", "lost", lost), Wish(second, "", second, order))
    return Heard(replace(question(**slots).understood, source="", between=wishes))


def nothing(language: str = "en") -> Heard:
    """A yes to such a question."""
    return Heard(replace(question().understood, value="", source=""))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_both_are_named_and_the_answer_is_understood_between_them(plan, language):
    state, actions = walk(plan, (either(language),), language)
    assert (state.step, spoken(actions)) == ("first", [ASKED[language]])
    listen = next(a for a in actions if isinstance(a, Listen))
    assert [wish.source for wish in listen.expectation.between] == ["lost", "order"]
    state, actions = walk(plan, (either(language), question("lost")), language)
    assert (state.step, state.between) == ("lost", ())


def test_what_was_said_besides_is_kept(plan):
    state, _ = walk(plan, (either(card="8620"), question("order")))
    assert state.slots["card"].value == "8620"


def test_an_answer_that_says_nothing_is_no_match_and_the_choice_is_over(plan):
    state, actions = walk(plan, (either(), nothing()))
    assert (state.step, state.between, state.no_matches, spoken(actions)) == ("first", (), 1, ["Again?"])
    listen = next(a for a in actions if isinstance(a, Listen))
    assert listen.expectation.between == ()


def test_nobody_is_asked_for_ever(plan):
    state, actions = walk(plan, (either(), nothing(), either(), nothing(), either(), nothing()))
    assert (state.ended, spoken(actions)) == (True, ["Bye."])


def test_the_question_is_said_again_when_that_is_asked_for(plan):
    state, actions = walk(plan, (either(), command("repeat")))
    assert (spoken(actions), len(state.between)) == ([ASKED["en"]], 2)


def test_two_that_lead_to_the_same_step_are_not_asked_about(plan):
    wishes = (Wish("order", "", "order", "order a new one"), Wish("renew", "", "renew", "it ends soon"))
    said = Heard(replace(question().understood, source="", between=wishes))
    state, actions = walk(plan, (said,))
    assert (state.ended, spoken(actions)) == (True, ["Ordered.", "Bye."])


def test_two_answers_of_the_knowledge_file_are_asked_about_and_told(plan):
    wishes = (Wish("", "Free.", "fees", "what is the fee"), Wish("", "Never.", "ends", "when does it end"))
    said = Heard(replace(question().understood, source="", between=wishes))
    assert spoken(walk(plan, (said,))[1]) == ["Did you mean: what is the fee, or: when does it end?"]
    assert spoken(walk(plan, (said, question("", "Free.")))[1]) == ["Free.", "What?"]


def test_a_closed_question_is_not_left_for_two_things_that_may_be_meant(plan):
    state, _ = walk(plan, (question("lost"), Heard(replace(either().understood, value=""))))
    assert (state.step, state.between) == ("lost", ())
