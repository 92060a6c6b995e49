"""What is said along with something else: a wish beside an urgent matter, a value inside a question in passing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from calls import hear, question, spoken, walk, whole

from ivr.dialog import journal
from ivr.dialog.plan_file import load
from ivr.dialog.replies import MAX_DIGRESSIONS, MAX_LATER
from ivr.dialog.state import Heard
from ivr.turn import Wish

BANK = """
anywhere: {lost: lost}
slots: {card: {kind: digits, min: 4, max: 4}}
steps:
  first: {kind: ask, expect: open, prompt: What?, on: {hello: first, cards: cards, bye: bye}, next: reply}
  reply: {kind: answer, next: more, unknown: more}
  lost: {kind: ask, expect: yes_no, prompt: Block it?, on: {"yes": blocked, "no": more}}
  blocked: {kind: say, prompt: Blocked., next: more}
  cards: {kind: form, fields: [{slot: card, prompt: Which card?}], next: more}
  more: {kind: ask, expect: open, prompt: What else?, on: {hello: first, cards: cards, bye: bye}, next: reply}
  bye: {kind: hangup, prompt: Bye.}
"""
ENTRIES = """
entries:
  - {id: lost, intent: lost, urgent: true, en: {questions: [my card is lost]}}
  - {id: hello, intent: hello, en: {questions: [hello]}}
  - {id: cards, intent: cards, en: {questions: [my cards]}}
  - {id: bye, intent: bye, en: {questions: [goodbye]}}
  - {id: fees, en: {questions: [what does it cost], answer: It is free.}}
"""
CARDS, FEES = Wish("cards", "", "cards"), Wish("", "It is free.", "fees")
YES, NO = hear("yes"), hear("no")


@pytest.fixture
def bank(tmp_path):
    (tmp_path / "plan.yaml").write_text(whole(BANK), "utf-8")
    (tmp_path / "plan.knowledge.yaml").write_text(ENTRIES, "utf-8")
    return load(tmp_path / "plan.yaml")


def lost(*also: Wish) -> Heard:
    return Heard(replace(question("lost").understood, also=also, source="lost"))


@pytest.mark.parametrize("answer", [YES, NO])
def test_what_is_not_urgent_comes_after_it(bank, answer):
    """Instead of the next open question, whatever came of the urgent matter."""
    state, actions = walk(bank, (lost(CARDS), answer))
    assert (state.step, state.later) == ("cards", ())
    assert spoken(actions) == (["Blocked."] if answer is YES else []) + ["Which card?"]
    assert walk(bank, (lost(CARDS), answer, hear(card="8620")))[0].step == "more"


def test_an_answer_of_the_knowledge_file_is_told_then(bank):
    """The question after it is asked as usual."""
    assert spoken(walk(bank, (lost(FEES), YES))[1]) == ["Blocked.", "It is free.", "What else?"]


def test_several_come_one_after_the_other(bank):
    """In the order in which they were said."""
    assert walk(bank, (lost(FEES, CARDS), YES))[0].step == "cards"
    state, actions = walk(bank, (lost(CARDS, FEES), YES, hear(card="8620")))
    assert (state.step, spoken(actions)) == ("more", ["It is free.", "What else?"])


def test_greetings_and_goodbyes_are_not_kept(bank):
    """ "Hello, I lost my card, thank you, bye" ends no call before it is blocked, nor after."""
    state, actions = walk(bank, (lost(Wish("hello", "", "hello"), Wish("bye", "", "bye")), YES))
    assert (state.step, spoken(actions)) == ("more", ["Blocked.", "What else?"])


def test_what_is_asked_for_meanwhile_is_not_kept(bank):
    """It is done once."""
    asked = Heard(replace(question("cards").understood, source="cards"))
    state, _ = walk(bank, (lost(CARDS), lost(CARDS), asked))
    assert state.later == ()


def test_only_so_many_are_kept(bank):
    """However often the caller begins anew."""
    state, _ = walk(bank, [lost(*(Wish("", "It is free.", f"fees{n}") for n in range(10)))])
    assert len(state.later) == MAX_LATER


def aside(**slots: str) -> Heard:
    """A question in passing, which is no answer by itself."""
    return Heard(replace(question(answer="It is free.", **slots).understood, value=""))


def test_a_value_inside_a_question_in_passing_is_kept(bank):
    """It is answered first, then the call goes on from the value."""
    state, actions = walk(bank, (question("cards"), aside(card="8620")))
    assert (state.step, state.slots["card"].value) == ("more", "8620")
    assert spoken(actions) == ["It is free.", "What else?"]
    state, actions = walk(bank, (question("cards"), aside()))
    assert (state.step, spoken(actions)) == ("cards", ["It is free.", "Which card?"])


def test_too_many_questions_in_passing_are_no_longer_answered(bank):
    """What they name still counts."""
    _, actions = walk(bank, (question("cards"), *[aside()] * MAX_DIGRESSIONS, aside(card="8620")))
    assert spoken(actions) == ["What else?"]


def test_a_question_that_leads_elsewhere_does(bank):
    """Whatever it names and whatever there is to say to it."""
    said = replace(question("lost", answer="Oh.", card="8620").understood, value="")
    state, actions = walk(bank, (question("cards"), Heard(said)))
    assert (state.step, dict(state.slots), spoken(actions)) == ("lost", {}, ["Block it?"])


def test_it_is_written_down_and_read_again():
    """As part of what was heard."""
    given = lost(CARDS, FEES)
    assert journal.from_record(journal.to_record(given, sensitive=False)) == given
    assert journal.from_record(journal.to_record(given, sensitive=True)).understood.also == (CARDS, FEES)
