"""The trainer's loop is measured on questions that nobody learnt, and a trainer who is played takes what they read."""

from __future__ import annotations

import random
from collections import Counter

from ivr.bench import review
from ivr.intents.trainer import Group, Proposal

TOPICS = {f"t{n}": [f"{n} 问题 {k}" for k in range(12)] for n in range(6)}


def test_what_is_asked_afterwards_was_neither_said_nor_an_example():
    lots = [
        review.dealt(TOPICS, "zh", (2, 5, 4, 6), random.Random(1)),
        review.of_the_bank(random.Random(1), review.SAID),
    ]
    for lot in lots:
        said = {text for text, _ in lot.calls} | {example.text for example in lot.old}
        assert not said & {text for text, _ in (*lot.later, *lot.others)}
        new = {topic for _, topic in lot.calls}
        assert {topic for _, topic in lot.later} == new
        assert not new & {example.intent for example in lot.old}
    assert set(Counter(topic for _, topic in lots[1].calls).values()) == {30}


def test_a_group_is_taken_for_what_most_of_it_is_or_not_at_all():
    def group(*sentences: str) -> Group:
        return Group(id="g", title=sentences[0], sentences=sentences, proposal=Proposal(), callers=1, times=1)

    truth = {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}
    groups = [group("a1", "a2", "b1"), group("a1", "b1"), group("b2")]
    assert review.decided(groups, truth) == ([("a1", "a"), ("a2", "a"), ("b1", "a")], 1)
