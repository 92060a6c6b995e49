"""Labelled questions asked as a call hears them: what a plan makes of each, by the words of its examples and by models.

Everything that `understand` does is in it: commands, places, conditions of entries, the question which of two is meant.
Runs in the foreground of a command. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ivr.turn import Expectation, Hypothesis, Understood
from ivr.understanding.intents import OUT_OF_SCOPE, Example
from ivr.understanding.understand import Vocabulary, understand

CONFIDENCE = 0.9
"""How surely the recogniser is taken to have heard."""


@dataclass(frozen=True)
class Found:
    """How many of `questions` within the plan, and of those `outside`, went which way.

    Attributes:
        right: followed as what they are, the first of several. asked: the caller is asked, and one of the two is it.
        wrong: followed as, or asked about, something else. rejected: nothing.
        outside_rejected, outside_asked: of those outside; the others were followed as something.
    """

    questions: int
    right: int
    asked: int
    wrong: int
    rejected: int
    outside: int
    outside_rejected: int
    outside_asked: int


def both_ways(vocabulary: Vocabulary, asked: Sequence[Example], language: str) -> dict[str, Found]:
    """`words` and `models` -> what became of the questions. Every slot of the plan may be filled, as at its start."""
    ways = {"words": replace(vocabulary, models={}), "models": vocabulary}
    return {name: _found(way, asked, language) for name, way in ways.items()}


def _found(vocabulary: Vocabulary, asked: Sequence[Example], language: str) -> Found:
    places = tuple(name for name, slot in vocabulary.slots.items() if slot.kind == "place")
    expectation = Expectation("open", language, slots=places)
    took = [_taken(vocabulary, understand(vocabulary, expectation, Hypothesis(e.text, CONFIDENCE))) for e in asked]
    inside = [(e.intent, t) for e, t in zip(asked, took, strict=True) if e.intent != OUT_OF_SCOPE]
    outside = [t for e, t in zip(asked, took, strict=True) if e.intent == OUT_OF_SCOPE]
    right = sum(len(t) == 1 and intent in t for intent, t in inside)
    either = sum(len(t) == 2 and intent in t for intent, t in inside)
    rejected = sum(not t for _, t in inside)
    return Found(
        len(inside), right, either, len(inside) - right - either - rejected, rejected,
        len(outside), sum(not t for t in outside), sum(len(t) == 2 for t in outside),
    )  # fmt: skip


def _taken(vocabulary: Vocabulary, said: Understood) -> tuple[str, ...]:
    """The intent that is followed, the two of which is asked which is meant, or nothing."""
    sources = [wish.source for wish in said.between] or [said.source]
    entries = (vocabulary.knowledge.by_id(source) for source in sources)
    return tuple(entry.meaning for entry in entries if entry is not None)
