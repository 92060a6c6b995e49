"""Intent models in both languages: what is meant, what is nothing, what is two things, what takes itself back."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from ivr.errors import InvalidInput
from ivr.understanding.intents import OUT_OF_SCOPE, Example, Model
from ivr.understanding.training import train, version_of

BANK = Path(__file__).parents[3] / "dialplans" / "bank.knowledge.yaml"


@cache
def examples() -> tuple[Example, ...]:
    entries = yaml.safe_load(BANK.read_text("utf-8"))["entries"]
    return tuple(Example(q, e["id"], language) for e in entries for language in ("en", "zh")
                 for q in e[language]["questions"])  # fmt: skip


@cache
def model(language: str) -> Model:
    return train(examples(), language)


@pytest.mark.parametrize(
    ("text", "language", "intent"),
    [
        ("someone pinched my wallet", "en", "lost_card"),
        ("how much cash have I got left", "en", "balance"),
        ("wot is my ballance", "en", "balance"),
        ("我的钱包被偷了卡也没了", "zh", "lost_card"),
        ("我还剩多少钱", "zh", "balance"),
        ("我想换点欧元", "zh", "exchange"),
        ("銀行卡遺失", "zh", "lost_card"),
        ("查询鱼鹅", "zh", "balance"),
        ("我的 card 丢了", "zh", "lost_card"),
    ],
)
def test_a_paraphrase_is_taken_for_its_intent(text, language, intent):
    decision = model(language).decide([(text, 0.9)])
    assert (decision.kind, decision.intents) == ("intent", (intent,))
    assert decision.version == version_of(examples(), language)


@pytest.mark.parametrize(
    ("text", "language"),
    [("what is the weather in Paris", "en"), ("who won the football match", "en"), ("我想听一首周杰伦的歌", "zh"),
     ("法国的首都是哪里", "zh")],
)  # fmt: skip
def test_what_no_example_knows_is_out_of_scope(text, language):
    decision = model(language).decide([(text, 0.9)])
    assert (decision.kind, decision.intents) == ("none", ())


@pytest.mark.parametrize(
    ("text", "language", "intents"),
    [
        ("my card is lost and I want to know my balance", "en", ("lost_card", "balance")),
        ("我的卡丢了，还想查一下余额", "zh", ("lost_card", "balance")),
        ("先查一下余额，然后转人工", "zh", ("balance", "agent")),
    ],
)
def test_several_wishes_come_in_the_order_they_were_said(text, language, intents):
    decision = model(language).decide([(text, 0.9)])
    assert (decision.kind, decision.intents) == ("several", intents)


@pytest.mark.parametrize(
    ("text", "language", "intent"),
    [
        ("I don't want a loan, I want to open an account", "en", "open_account"),
        ("not my balance, I lost my card", "en", "lost_card"),
        ("不是挂失，是查余额", "zh", "balance"),
        ("我不要查余额我要挂失", "zh", "lost_card"),
    ],
)
def test_a_wish_that_is_taken_back_does_not_count(text, language, intent):
    assert model(language).decide([(text, 0.9)]).intents == (intent,)


def test_two_intents_with_the_same_words_are_close_and_both_are_named():
    said = [Example(f"deal with my card {when}", "block") for when in ("now", "today", "at once", "quickly")]
    said += [Example(f"deal with my card {when}", "renew") for when in ("please", "soon", "then", "tomorrow")]
    other = [Example(t, "hours") for t in ("when do you open", "opening hours", "until when are you open")]
    decision = train([*said, *other], "en").decide([("deal with my card", 1.0)])
    assert decision.kind == "close"
    assert set(decision.intents) == {"block", "renew"}


def test_other_readings_of_the_recogniser_count_with_their_confidence():
    misheard, alternative = "my car is closed", "my card is lost"
    alone = model("en").decide([(misheard, 0.5)])
    together = model("en").decide([(misheard, 0.5), (alternative, 0.48)])
    assert together.intents == ("lost_card",)
    assert together.confidence > next((r.confidence for r in alone.ranked if r.intent == "lost_card"), 0)


def test_examples_of_what_is_out_of_scope_reject():
    outside = [Example(f"tell me a joke about {x}", OUT_OF_SCOPE) for x in ("cats", "dogs", "banks", "cards", "money")]
    decision = train([*examples(), *outside], "en").decide([("tell me a joke about accounts", 1.0)])
    assert decision.kind == "none"


@pytest.mark.parametrize(
    "text",
    ["", "   ", "🙂🙃", "\x00\x07", "card " * 2_000, "' OR 1=1; --", "{{7*7}} ${x}", "\ud800", "卡" * 10_000, "?!"],
)
def test_anything_has_a_result_that_is_a_likelihood(text):
    for language in ("en", "zh"):
        decision = model(language).decide([(text, 0.9)])
        assert 0 <= decision.confidence <= 1
        assert 0 <= decision.familiarity <= 1
        assert model(language).decide([]).kind == "none"


def test_training_is_deterministic_and_its_version_is_that_of_the_examples():
    again = train(examples(), "zh")
    assert again.version == model("zh").version
    assert np.array_equal(again.weights, model("zh").weights)
    assert version_of(reversed(examples()), "zh") == again.version
    assert version_of([*examples(), Example("新的说法", "balance", "zh")], "zh") != again.version


def test_an_explanation_names_the_word_that_mattered_and_the_nearest_example():
    why = model("en").explain("my card is gone for good")
    assert why.intent == "lost_card"
    assert max(why.words, key=lambda w: w[1])[0] in {"card", "gone"}
    assert why.nearest[0][1] == "lost_card"
    assert model("zh").explain("帮我挂失").nearest[0][:2] == ("挂失", "lost_card")


def test_one_intent_is_no_choice():
    with pytest.raises(InvalidInput, match="fewer than two intents"):
        train([Example("hello", "a"), Example("hello there", "a")], "en")


def test_asking_a_model_needs_no_training_library():
    code = "import sys, ivr.understanding.intents; sys.exit('scipy' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("language", "least"), [("en", 0.9), ("zh", 0.82)])
def test_most_paraphrases_have_their_intent_first(language, least):
    """A fifth of tests/intents, so that it is quick; `ivr intents eval --test` asks all of it."""
    file = BANK.parents[1] / "tests" / "intents" / f"bank_{language}.csv"
    asked = [line.rpartition(",") for line in file.read_text("utf-8").splitlines()[1::5]]
    right = [model(language).decide([(text, 1.0)]).ranked[0].intent == intent for text, _, intent in asked]
    assert sum(right) / len(right) >= least
