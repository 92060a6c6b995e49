"""What open answers mean: questions, corrections, words that were not understood."""

from __future__ import annotations

import pytest

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
