"""What utterances ask the bank's plan for, by the models of its examples: one thing, several, one of two, nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from ivr.dialog.plan_file import load
from ivr.intents.shelf import shelf_of
from ivr.turn import Alternative, Expectation, Hypothesis, Understood, Wish
from ivr.understanding.knowledge import Entry, Knowledge
from ivr.understanding.outside import to_learn
from ivr.understanding.training import version_of
from ivr.understanding.understand import Vocabulary, understand

ROOT = Path(__file__).parents[3]


@cache
def bank() -> Vocabulary:
    vocabulary = load(ROOT / "dialplans" / "bank.yaml").vocabulary
    return replace(vocabulary, models=shelf_of(str(ROOT / "config.toml")).of(vocabulary.knowledge.examples))


def says(text: str, language: str, *others: str, confidence: float = 0.9, **expected) -> Understood:
    alternatives = tuple(Alternative(other, 0.8 * confidence) for other in others)
    expectation = Expectation("open", language, slots=("place",), **expected)
    return understand(bank(), expectation, Hypothesis(text, confidence, alternatives))


@pytest.mark.parametrize(
    ("language", "text", "source"),
    [
        ("en", "some thief has got hold of my purse", "lost_card"),
        ("en", "how rich am I at the moment", "balance"),
        ("en", "we are looking for an office close to the Bird's Nest", "branch"),
        ("en", "where is a brench near the station", "branch"),
        ("zh", "我的钱包被小偷摸走了", "lost_card"),
        ("zh", "我户头里还剩多少", "balance"),
        ("zh", "离这儿最近的柜台在哪", "branch"),
        ("zh", "附近有没有往点", "branch"),
    ],
)
def test_what_no_example_says_in_these_words_is_understood(language, text, source):
    said = says(text, language)
    learnt = to_learn(bank().knowledge.examples)[language]
    assert (said.source, said.between, said.model) == (source, (), version_of(learnt, language))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "who won the football match"),
        ("en", "where do I find parking near the park"),
        ("en", "is there a good restaurant nearby"),
        ("zh", "法国的首都是哪里"),
        ("zh", "附近哪里有厕所"),
        ("zh", "附近有什么好吃的"),
    ],
)
def test_what_nobody_can_answer_is_nothing(language, text):
    said = says(text, language)
    assert (said.intent, said.source, said.between) == ("", "", ())
    assert said.value == text


@pytest.mark.parametrize(
    ("text", "source"), [("他里还有多少钱？", "balance"), ("请问跨近转帐的手续费事多少？", "fee_international")]
)
def test_what_sounds_nearly_like_an_example_is_its_entry_in_mandarin(text, source):
    """As a recogniser wrote 卡里还有多少钱 and 跨境转账的手续费是多少, in calls."""
    assert says(text, "zh").source == source


@pytest.mark.parametrize("entry", bank().knowledge.entries, ids=lambda entry: entry.id)
def test_an_example_is_its_entry_word_for_word(entry):
    for language, questions in entry.questions.items():
        found = {q: says(q.upper(), language).source for q in questions}
        assert set(found.values()) == {entry.id}


@pytest.mark.parametrize(
    ("language", "text", "sources"),
    [
        ("en", "I lost my card and want my balance", ["lost_card", "balance"]),
        ("en", "what is my balance? Also somebody took my purse.", ["lost_card", "balance"]),
        ("en", "tell me my balance and then I want to change some euros", ["balance", "exchange"]),
        ("zh", "我的卡丢了，还想查余额", ["lost_card", "balance"]),
        ("zh", "我想查余额，对了我卡被人偷了", ["lost_card", "balance"]),
        ("zh", "帮我查一下余额，另外我想换点欧元", ["balance", "exchange"]),
        ("en", "I lost my wallet and my card", ["lost_card"]),
        ("en", "my new card has not come yet and I am still waiting", ["delivery"]),
        ("zh", "钱包丢了，银行卡也丢了", ["lost_card"]),
        ("zh", "新卡还没到，我还没有收到", ["delivery"]),
    ],
)
def test_several_wishes_keep_their_order_but_for_what_is_urgent(language, text, sources):
    said = says(text, language)
    assert [said.source, *(wish.source for wish in said.also)] == sources


@pytest.mark.parametrize(
    ("language", "text", "source"),
    [
        ("en", "not about a loan, what is my balance", "balance"),
        ("zh", "不是挂失，是查余额", "balance"),
    ],
)
def test_what_is_taken_back_does_not_count(language, text, source):
    said = says(text, language)
    assert (said.source, said.also) == (source, ())


@pytest.mark.parametrize(
    ("language", "text", "other", "source"),
    [("en", "eye last my cart", "I lost my card", "lost_card"), ("zh", "茶鱼饿", "查余额", "balance")],
)
def test_another_reading_helps_where_the_best_means_nothing(language, text, other, source):
    alone, both = says(text, language, confidence=0.5), says(text, language, other, confidence=0.5)
    assert both.confidence > alone.confidence or both.source == alone.source == source
    assert source in {both.source, *(wish.source for wish in both.between)}


CARD = {"en": "about a card", "zh": "我想问卡的费用"}


@pytest.mark.parametrize("language", CARD)
def test_what_may_be_either_of_two_names_both(language):
    said = says(CARD[language], language)
    assert (said.intent, said.answer, said.source, said.value) == ("", "", "", CARD[language])
    first, second = said.between
    assert first.source != second.source
    assert all((first.called, second.called))


BETWEEN = {
    "en": (Wish("lost_card", "", "lost_card", "block a lost card"),
           Wish("delivery", "", "delivery", "ask where your new card is")),
    "zh": (Wish("lost_card", "", "lost_card", "挂失银行卡"), Wish("delivery", "", "delivery", "查新卡寄到哪里了")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "text", "source"),
    [
        ("en", "the first one", "lost_card"),
        ("en", "the second", "delivery"),
        ("en", "no, the latter", "delivery"),
        ("en", "block it", "lost_card"),
        ("en", "ask where it is", "delivery"),
        ("en", "what is my balance", "balance"),
        ("zh", "第一个", "lost_card"),
        ("zh", "后一个", "delivery"),
        ("zh", "挂失", "lost_card"),
        ("zh", "寄到哪里了", "delivery"),
        ("zh", "我要查余额", "balance"),
    ],
)
def test_the_answer_to_which_of_two_is_one_of_them_or_something_else(language, text, source):
    said = says(text, language, between=BETWEEN[language])
    assert (said.source, said.between, bool(said.value)) == (source, (), True)


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "no"), ("en", "yes"), ("en", "neither of them"), ("zh", "不是"), ("zh", "都不是"), ("zh", "对")],
)
def test_a_yes_or_a_no_to_which_of_two_says_nothing(language, text):
    said = says(text, language, between=BETWEEN[language])
    assert (said.value, said.source, said.between) == ("", "", ())


@pytest.mark.parametrize(("language", "text"), [("en", "eight six two oh"), ("zh", "西单"), ("zh", "八六二零")])
def test_an_answer_to_another_question_is_no_question_in_passing(language, text):
    kind, slot = ("place", "place") if text == "西单" else ("digits", "card")
    said = understand(bank(), Expectation(kind, language, slot=slot, digress=True), Hypothesis(text, 0.9))
    assert (bool(said.value), said.source) == (True, "")


@pytest.mark.parametrize(
    ("language", "text"), [("en", "how much do you take for sending money to France"), ("zh", "给法国打钱收多少手续费")]
)
def test_a_question_in_passing_is_answered_by_the_model(language, text):
    said = understand(bank(), Expectation("place", language, slot="place", digress=True), Hypothesis(text, 0.9))
    assert (said.source, said.value, bool(said.answer)) == ("fee_international", "", True)


def test_words_answer_where_there_is_no_model():
    known = Knowledge([Entry("fee", {"en": ("what does it cost",)}, {"en": "Nothing."})])
    said = understand(Vocabulary(known), Expectation("open", "en"), Hypothesis("what does that cost", 0.9))
    assert (said.source, said.model) == ("fee", "")


def test_an_entry_is_named_by_its_short_words_or_the_first_way_to_ask_for_it():
    entry = Entry("fee", {"en": ("what does it cost",), "zh": ("多少钱",)}, {}, called={"zh": "询问费用"})
    assert [entry.name(language) for language in ("en", "zh", "ko")] == ["what does it cost", "询问费用", ""]
