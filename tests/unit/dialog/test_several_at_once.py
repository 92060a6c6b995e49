"""Things said together and in parts: wishes beside an urgent matter, a value in a question in passing, half a date."""

from __future__ import annotations

from dataclasses import replace

import pytest
from calls import NOW, hear, plan_of, question, spoken, walk, whole

from ivr.dialog import engine, journal
from ivr.dialog.plan_file import load
from ivr.dialog.replies import MAX_DIGRESSIONS, MAX_LATER, MAX_PART_CHARS
from ivr.dialog.state import Heard, Started, State
from ivr.turn import Hypothesis, Understood, Wish
from ivr.understanding.understand import understand

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
BORN = """
languages: [en, zh]
slots: {birth_date: {kind: date, sensitive: true}}
steps:
  born:
    kind: form
    fields:
      - slot: birth_date
        prompt: {en: Born when?, zh: 哪天出生？}
        check: birth_date < today
        invalid: {en: Not yet., zh: 还没到。}
    next: next
  next: {kind: ask, expect: open, prompt: {en: And?, zh: 还有呢？}, next: next}
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


@pytest.mark.parametrize(
    ("language", "parts"), [("en", ("12th of March", "1985")), ("zh", ("三月十二号", "一九八五年"))]
)
def test_a_date_that_lacks_its_year_is_completed_in_the_next_turn(tmp_path, language, parts):
    """What was said is remembered as long as the question stands."""
    plan = plan_of(tmp_path, BORN)
    state, actions = engine.step(plan, State(language), Started(), NOW)
    for words, step in zip(parts, ("born", "next"), strict=True):
        said = understand(plan.vocabulary, actions[-1].expectation, Hypothesis(words, 0.9))
        state, actions = engine.step(plan, state, Heard(said), NOW)
        assert state.step == step
    assert (state.slots["birth_date"].value, state.unfinished) == ("1985-03-12", "")


def test_only_a_part_of_a_date_is_remembered(tmp_path):
    """And nothing of it once the call has gone on."""
    plan = plan_of(tmp_path, BORN)
    said = [Heard(Understood(Hypothesis(words, 0.9))) for words in ("12th of March", "what did you say your name was")]
    assert walk(plan, said)[0].unfinished == "12th of March"
    assert walk(plan, [said[1]])[0].unfinished == ""
    assert walk(plan, [said[0], hear(birth_date="1985-03-12")])[0].unfinished == ""
    assert len(walk(plan, [Heard(Understood(Hypothesis("12th of March " * 50, 0.9)))])[0].unfinished) <= MAX_PART_CHARS


def test_it_is_written_down_and_read_again():
    """As part of what was heard."""
    given = lost(CARDS, FEES)
    assert journal.from_record(journal.to_record(given, sensitive=False)) == given
    assert journal.from_record(journal.to_record(given, sensitive=True)).understood.also == (CARDS, FEES)
