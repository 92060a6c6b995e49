"""What open answers mean: questions, corrections, words that were not understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from ivr.dialog.plan_file import load
from ivr.turn import Expectation, Hypothesis, Understood
from ivr.understanding.knowledge import Entry, Knowledge
from ivr.understanding.places import Place, Places
from ivr.understanding.slots import Slot
from ivr.understanding.understand import UNCLEAR, Vocabulary, understand

PLACES = Places(
    [
        Place("xidan", {"en": ("Xidan",), "zh": ("西单",)}),
        Place("birds-nest", {"en": ("Bird's Nest",), "zh": ("鸟巢",)}),
    ]
)
VOCABULARY = Vocabulary(
    Knowledge([Entry("another", {"en": ("any other branch", "another one")}, {}, "another")]),
    {"place": Slot("place", "place", places=PLACES)},
)


def open_answer(text: str, confidence: float = 0.8, language: str = "en") -> Understood:
    expectation = Expectation("open", language, slots=("place",), commands=("repeat",))
    return understand(VOCABULARY, expectation, Hypothesis(text, confidence))


@pytest.mark.parametrize(
    ("language", "text"), [("en", "no, not Xidan, the Bird's Nest"), ("zh", "不对，不是西单，是鸟巢")]
)
def test_a_correction_is_an_answer_of_its_own(language, text):
    said = open_answer(text, language=language)
    assert (said.value, said.corrects, said.slots["place"].value) == (text, True, "birds-nest")


def test_the_other_one_is_a_question_where_nothing_was_offered():
    said = open_answer("any other branch")
    assert (said.intent, said.other) == ("another", False)


@pytest.mark.parametrize(
    ("text", "confidence", "value"),
    [
        ("mumbled words", UNCLEAR - 0.1, ""),
        ("mumbled words", UNCLEAR, "mumbled words"),
        ("another one", UNCLEAR - 0.1, "another one"),
        ("the bird's nest", UNCLEAR - 0.1, "the bird's nest"),
    ],
)
def test_words_that_mean_nothing_count_as_a_question_only_when_they_were_clear(text, confidence, value):
    assert open_answer(text, confidence).value == value


BANK = load(Path(__file__).parents[3] / "dialplans" / "bank.yaml").vocabulary


def asks_the_bank(text: str, language: str) -> Understood:
    return understand(BANK, Expectation("open", language, slots=("place",)), Hypothesis(text, 0.9))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I lost my card and want my balance"),
        ("en", "What is my balance? Also my card was stolen."),
        ("en", "i want to check my balance and i lost my card"),
        ("zh", "我的卡丢了，还想查余额"),
        ("zh", "我想查余额，另外我的卡丢了"),
        ("zh", "卡丢了还想查余额"),
    ],
)
def test_something_urgent_goes_first_and_the_rest_is_kept(language, text):
    """In whatever order it is said."""
    said = asks_the_bank(text, language)
    assert (said.value, said.intent, [w.source for w in said.also]) == (text, "lost_card", ["balance"])


@pytest.mark.parametrize(
    ("language", "text", "intent"),
    [
        ("en", "what is my balance and is there a fee", "balance"),
        ("en", "I lost my wallet and my card", "lost_card"),
        ("en", "my new card has not come yet and I am still waiting", "delivery"),
        ("zh", "钱包丢了，银行卡也丢了", "lost_card"),
        ("zh", "新卡还没到，我还没有收到", "delivery"),
    ],
)
def test_one_thing_in_several_parts_stays_one(language, text, intent):
    """And of several things that are not urgent one is followed, as ever."""
    said = asks_the_bank(text, language)
    assert (said.intent, said.also) == (intent, ())


@pytest.mark.parametrize(
    ("language", "text", "intent"),
    [
        ("en", "where can I park", ""),
        ("en", "where do I find parking near the park", ""),
        ("en", "where is the station", ""),
        ("en", "is there a branch near here", "branch"),
        ("en", "where are your offices", "branch"),
        ("en", "where is a brench near the station", "branch"),
        ("en", "we are looking for one close to the Bird's Nest", "branch"),
        ("zh", "附近哪里能停车", ""),
        ("zh", "附近哪里有厕所", ""),
        ("zh", "附近有没有网点", "branch"),
        ("zh", "附近有没有往点", "branch"),
        ("zh", "鸟巢附近有没有", "branch"),
    ],
)
def test_a_branch_is_asked_for_by_a_word_for_one_or_by_a_place(language, text, intent):
    """However alike another question is, even where words are misheard."""
    assert asks_the_bank(text, language).intent == intent


@pytest.mark.parametrize("entry", BANK.knowledge.entries, ids=lambda entry: entry.id)
def test_every_way_to_ask_is_understood_as_its_entry(entry):
    """Nothing urgent is heard in the parts of another question."""
    for language, questions in entry.questions.items():
        wrong = {q: said.source for q in questions if (said := asks_the_bank(q, language)).source != entry.id}
        assert wrong == {}


@pytest.mark.parametrize(
    ("language", "text", "place"),
    [
        ("en", "what are your opening hours at Xidan", "xidan"),
        ("en", "does the credit card cost anything", ""),
        ("zh", "西单的营业时间是几点", "xidan"),
        ("zh", "往境外转账要多少钱", ""),
        ("zh", "跨行转账的手续费", ""),
    ],
)
def test_a_question_in_passing_keeps_the_place_that_it_names(language, text, place):
    """Not what sounds like one among the words of the question itself."""
    asked = Expectation("place", language, slot="place", digress=True)
    said = understand(BANK, asked, Hypothesis(text, 0.9))
    assert said.answer
    assert {name: filled.value for name, filled in said.slots.items()} == ({"place": place} if place else {})


def test_a_question_in_passing_fills_nothing_else():
    """ "Are you open tomorrow" is no answer to "on which day"."""
    vocabulary = Vocabulary(BANK.knowledge, {**BANK.slots, "day": Slot("day", "date")})
    for language, text in (("en", "what are your opening hours tomorrow"), ("zh", "明天几点关门")):
        asked = Expectation("date", language, slot="day", slots=("place",), digress=True, today="2026-11-23")
        said = understand(vocabulary, asked, Hypothesis(text, 0.9))
        assert (said.source, said.slots) == ("opening_hours", {})
