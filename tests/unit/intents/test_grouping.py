"""Groups of like sentences: every row in one group, whatever the likeness; masks; effects that can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from ivr.intents import review
from ivr.intents.grouping import grouped
from ivr.understanding.intents import Example

KNOWN = {
    "en": {"card": ["block my card", "my card is lost", "stop my card now"],
           "money": ["what is my balance", "how much money is left", "balance please"]},
    "zh": {"card": ["我的卡丢了", "挂失", "停掉我的卡"], "money": ["查余额", "还有多少钱", "看看余额"]},
}  # fmt: skip
PARKING = {
    "en": ["where can I park my car", "is there parking for my car", "may I park behind the bank", "car park please"],
    "zh": ["哪里可以停车", "有没有停车场", "停车的地方在哪", "能在银行停车吗"],
}


def examples(language: str) -> list[Example]:
    return [Example(t, intent, language) for intent, each in KNOWN[language].items() for t in each]


def blocks(*sizes: int, inside: float = 0.8, outside: float = 0.1) -> np.ndarray:
    """Likeness of rows in blocks."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    return np.where(of[:, None] == of[None], inside, outside).astype(np.float32)


def test_rows_that_are_alike_stand_together_and_the_largest_group_comes_first():
    assert grouped(blocks(2, 4, 1), 0.5) == [[2, 3, 4, 5], [0, 1], [6]]
    assert grouped(blocks(2, 3), 0.05) == [[0, 1, 2, 3, 4]]
    assert grouped(blocks(3), 0.9) == [[0], [1], [2]]
    assert grouped(np.zeros((0, 0)), 0.5) == []


def test_groups_are_those_of_average_linkage_done_step_by_step():
    rng = np.random.default_rng(3)
    for _ in range(20):
        points = rng.normal(size=(12, 3))
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        near = points @ points.T
        parts = [[i] for i in range(12)]
        while len(parts) > 1:
            pairs = [
                (near[np.ix_(a, b)].mean(), i, j) for i, a in enumerate(parts) for j, b in enumerate(parts) if i < j
            ]
            best, i, j = max(pairs)
            if best < 0.4:
                break
            parts[i] += parts.pop(j)
        assert sorted(grouped(near, 0.4)) == sorted(sorted(p) for p in parts)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("my card is 4485 1234 99", "my card is #"), ("room 12 at 9", "room 12 at 9"), ("卡号六二二二零八", "卡号#"),
     ("二零年的账", "二零年的账"), ("call 555-0100", "call #")],
)  # fmt: skip
def test_long_numbers_are_masked(text, shown):
    assert review.masked(text) == shown


def test_sentences_count_once_with_their_callers_and_those_decided_on_not_at_all():
    heard = [
        ("Where can I park?", "1", "asked"),
        ("where can I park", "2", "rejected"),
        ("where can I park", "2", "asked"),
        ("goodbye", "3", "rejected"),
        ("!", "4", "corrected"),
    ]
    found = review.said(heard, ["Goodbye."])
    assert [(s.text, s.times, s.asked, len(s.callers)) for s in found] == [("Where can I park?", 3, 2, 2)]
    many = ((f"word {chr(97 + n // 26)}{chr(97 + n % 26)}", "1", "rejected") for n in range(600))
    assert len(review.said(many, ())) == 600


@pytest.mark.parametrize("language", KNOWN)
def test_groups_come_by_callers_and_propose_an_intent_where_one_fits(language):
    lost = {"en": ["somebody stole my card", "my bank card is lost"], "zh": ["我的银行卡丢了", "卡丢了怎么办"]}[
        language
    ]
    heard = [(text, f"a{number}", "rejected") for number, text in enumerate(PARKING[language])]
    heard += [(text, "b", "asked") for text in lost]
    found = review.groups(review.said(heard, ()), examples(language), language)
    assert set(found[0].sentences) <= set(PARKING[language])
    assert found[0].callers == len(found[0].sentences) >= 2
    assert found[0].id == review.group_id(reversed(found[0].sentences))
    about_cards = [g for g in found if set(g.sentences) & set(lost)]
    assert {g.proposal.intent for g in about_cards} == {"card"}
    assert (found[0].asked, sum(g.asked for g in about_cards)) == (0, 2)
    assert review.groups([], examples(language), language) == []


@pytest.mark.parametrize("language", KNOWN)
def test_an_effect_is_measured_on_what_was_left_out(language):
    parking = [Example(text, "parking", language) for text in PARKING[language]]
    effect = review.effect(examples(language), parking, language)
    assert (effect.examples, effect.sentences, effect.contained_before) == (6, 4, 0)
    assert effect.contained_after >= 2
    assert effect.right_after >= effect.right_before - 1
    thief = [Example(text, "thief", language) for text in KNOWN[language]["card"]]
    stolen = review.effect(examples(language), thief, language)
    assert stolen.right_after < stolen.right_before
    assert "card" in {c.intent for c in stolen.lost}
