"""Questions find their entry, others find none."""

from pathlib import Path

import pytest

from ivr.dialog.plan_file import load
from ivr.turn import Alternative, Expectation, Hypothesis
from ivr.understanding.knowledge import MAX_PARTS, Knowledge
from ivr.understanding.understand import Vocabulary, understand

PLAN = load(Path(__file__).parents[3] / "dialplans" / "main.yaml")


@pytest.mark.parametrize(
    ("question", "language", "entry"),
    [
        ("When do you close tonight?", "en", "opening_hours"),
        ("what time do the branches open on Saturday", "en", "opening_hours"),
        ("the yearly fee of the credit card please", "en", "fee_card"),
        ("somebody stole my wallet and my card", "en", "lost_card"),
        ("I'd like to talk to a person.", "en", "agent"),
        ("could you tell me my account balance", "en", "balance"),
        ("星期六你们开门吗", "zh", "opening_hours"),
        ("往外国汇款的手续费是多少", "zh", "fee_international"),
        ("我把银行卡弄丢了", "zh", "lost_card"),
        ("鸟朝附近的网点", "zh", "branch_birds_nest"),
        ("请问周末音乐吗", "zh", "opening_hours"),  # what a recogniser made of 营业
        ("帮我转人工", "zh", "agent"),
    ],
)
def test_a_question_in_other_words_finds_its_entry(question, language, entry):
    """Phrasings that stand in no file are found all the same."""
    match = PLAN.knowledge.find([question], language)
    assert match is not None
    assert match.entry.id == entry


@pytest.mark.parametrize(
    ("question", "language"),
    [("tell me a joke", "en"), ("how tall is mount everest", "en"), ("play some music", "en"), ("", "en"),
     ("今天天气怎么样", "zh"), ("讲个笑话", "zh"),
     ("放一首音乐", "zh"), ("我想听音乐", "zh"), ("？！", "zh"), ("😀", "en"), ("hello", "xx")],
)  # fmt: skip
def test_what_is_not_in_it_finds_nothing(question, language):
    """Below the bar nothing is said to have been found."""
    assert PLAN.knowledge.find([question], language) is None


def test_a_later_reading_can_find_what_the_best_one_hides():
    """The recogniser's alternatives count too, a little less."""
    heard = Hypothesis("what are your opening flowers", 0.5, (Alternative("what are your opening hours", 0.4),))
    assert understand(Vocabulary(PLAN.knowledge), Expectation("open", "en"), heard).source == "opening_hours"


def test_an_unfinished_question_is_not_complete():
    """A sentence that sounds unfinished is waited for, one that sounds finished is not."""
    open_question = Expectation("open", "en")
    cut = understand(Vocabulary(PLAN.knowledge), open_question, Hypothesis("what is the fee for the", 0.9, ended=0.1))
    whole = understand(
        Vocabulary(PLAN.knowledge), open_question, Hypothesis("what is the fee for the card", 0.9, ended=0.9)
    )
    assert (cut.complete, cut.partial) == (False, True)
    assert (whole.complete, whole.partial) == (True, False)


def test_four_of_six_digits_are_partial_and_six_complete():
    """The end-of-speech wait depends on how many digits are still missing."""
    six = Expectation("digits", "en", min_digits=6, max_digits=6)
    assert understand(Vocabulary(Knowledge(())), six, Hypothesis("one two three four", 0.9)).partial
    assert understand(Vocabulary(Knowledge(())), six, Hypothesis("one two three four five six", 0.9)).complete


def test_a_rejected_hypothesis_means_nothing():
    """Silence and noise have no value, whatever the text."""
    assert (
        understand(
            Vocabulary(PLAN.knowledge), Expectation("yes_no", "en"), Hypothesis("yes", rejected="no_speech")
        ).value
        == ""
    )


def test_a_doubtful_best_reading_does_not_become_yes_by_a_worse_one():
    """Alternatives never turn something else into a yes."""
    heard = Hypothesis("guess", 0.6, (Alternative("yes", 0.3),))
    assert understand(Vocabulary(Knowledge(())), Expectation("yes_no", "en"), heard).value != "yes"


def test_the_parts_of_a_sentence_one_by_one():
    """In their order, each entry once; of endless ones the first few."""
    for language, text in (
        ("en", "I lost my card, I lost my card and also what is the transfer fee"),
        ("zh", "我的卡丢了，我的卡丢了，另外转账手续费是多少"),
    ):
        assert [w.entry.id for w in PLAN.knowledge.wishes(text, language)] == ["lost_card", "fee_transfer"]
        assert PLAN.knowledge.wishes("x, " * MAX_PARTS + text, language) == []
    assert PLAN.knowledge.wishes("카드를 잃어버렸어요, 그리고", "ko") == []
