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
from ivr.understanding.training import _solve, _transform, train, version_of

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
        ("what is my ballance", "en", "balance"),
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
    [("what is the weather in Paris", "en"), ("who won the football match", "en"), ("帮我订一张去上海的机票", "zh"),
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


def some(language: str) -> list[Example]:
    """Three intents, so that learning anew is quick."""
    return [e for e in examples() if e.language == language and e.intent in ("balance", "exchange", "complaint")]


@pytest.mark.parametrize(
    ("language", "outside", "asked"),
    [("en", "tell me a joke about {}", "tell me a joke about accounts"), ("zh", "讲个{}的笑话", "讲个账户的笑话")],
)
def test_examples_of_what_is_out_of_scope_reject(language, outside, asked):
    names = {"en": ("cats", "dogs", "banks", "cards", "money"), "zh": ("小猫", "小狗", "银行", "银行卡", "钱")}[
        language
    ]
    jokes = [Example(outside.format(name), OUT_OF_SCOPE, language) for name in names]
    assert train([*some(language), *jokes], language).decide([(asked, 1.0)]).kind == "none"


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


@pytest.mark.parametrize(("language", "more"), [("en", "another way to ask"), ("zh", "新的说法")])
def test_training_is_deterministic_and_its_version_is_that_of_the_examples(language, more):
    learnt, again = (train(some(language), language) for _ in range(2))
    assert again.version == learnt.version
    assert np.array_equal(again.weights, learnt.weights)
    assert version_of(reversed(some(language)), language) == again.version
    assert version_of([*some(language), Example(more, "balance", language)], language) != again.version


@pytest.mark.parametrize("size", [1, 7, 256, 700])
def test_the_equations_are_solved_by_halves_as_they_are_in_one(size):
    rng = np.random.default_rng(size)
    points = rng.normal(size=(size, 20)).astype(np.float32)
    kernel = np.exp(-0.05 * ((points[:, None] - points[None]) ** 2).sum(axis=-1))
    labels = rng.integers(0, 3, size)
    ridge = np.full(size, 0.1, dtype=np.float32)
    inverse = np.linalg.inv(kernel.astype(np.float64) + 0.1 * np.eye(size))
    weights, left_out = _solve(kernel, labels, 3, ridge)
    assert np.allclose(weights, inverse @ np.eye(3)[labels], atol=1e-3)
    expected = np.eye(3)[labels] - inverse @ np.eye(3)[labels] / np.diag(inverse)[:, None]
    assert np.allclose(left_out, expected, atol=1e-3)


def test_an_explanation_names_the_word_that_mattered_and_the_nearest_example():
    why = model("en").explain("my card is gone for good")
    assert why.intent == "lost_card"
    assert max(why.words, key=lambda w: w[1])[0] in {"card", "gone"}
    assert why.nearest[0][1] == "lost_card"
    assert model("zh").explain("帮我挂失").nearest[0][:2] == ("挂失", "lost_card")


def test_one_intent_is_no_choice():
    with pytest.raises(InvalidInput, match="fewer than two intents"):
        train([Example("hello", "a"), Example("hello there", "a")], "en")


def test_the_brain_loads_no_library_of_learning():
    code = "import sys, ivr.cli; sys.exit(' '.join({'scipy', 'sklearn'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("language", "least"), [("en", 0.9), ("zh", 0.82)])
def test_most_paraphrases_have_their_intent_first(language, least):
    """A fifth of tests/intents, so that it is quick; `ivr intents eval --test` asks all of it."""
    file = BANK.parents[1] / "tests" / "intents" / f"bank_{language}.csv"
    asked = [line.rpartition(",") for line in file.read_text("utf-8").splitlines()[1::5]]
    right = [model(language).decide([(text, 1.0)]).ranked[0].intent == intent for text, _, intent in asked]
    assert sum(right) / len(right) >= least


def test_few_examples_are_compared_where_the_ways_to_say_one_thing_differ_little():
    """Two intents apart along one direction, each scattered along another: the transform shrinks the other."""
    rng = np.random.default_rng(1)
    vectors = 0.02 * rng.normal(size=(160, 384)).astype(np.float32)
    labels = np.arange(160) % 2
    vectors[:, 0] += labels
    vectors[:, 1] += rng.normal(size=160)
    transform = _transform(vectors, labels)
    assert np.linalg.norm(transform[0]) > 3 * np.linalg.norm(transform[1])
    assert np.array_equal(_transform(vectors[:60], labels[:60]), np.eye(384, dtype=np.float32))
