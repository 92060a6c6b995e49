"""From what a caller said to what they want: an intent and how sure it is, two that are close, several, or none.

A model is a set of examples and what was learnt of them by `training`: likeness to every example, through words,
letters, sounds and sentence vectors (`features`, `embedding`), is raised by a Gaussian kernel and weighed per intent.
Far from every example all weights vanish, which is what out of scope means here. Immutable; numpy only; any thread may
ask, at some 10 ms a sentence on one core.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ivr.understanding import features, wishes
from ivr.understanding.embedding import said_vector
from ivr.understanding.expected import plain
from ivr.understanding.spelling import Speller

OUT_OF_SCOPE = "out_of_scope"
"""Label of examples that belong to no intent, and the name that `none` goes by."""
READINGS = 2
"""How many readings of an utterance are looked at."""
_FAINT = 0.5
"""A reading with less than this share of the best one's confidence is not looked at."""
_CLOSE = 0.5
"""The second intent is close when it is at least this share as likely as the first,"""
_CLOSE_LIKELY = 0.2
"""and at least this likely."""
_CERTAIN = 0.7
"""Likelihood from which a part of what was said stands for itself among several, and a reading without the others."""
_PLAIN = 0.1
"""Familiarity above an intent's bar from which the sounds of a reading need not be looked at, too: saves a vector."""
_RANKED = 5
_NEAREST = 5
_WORDS = 40

Kind = Literal["intent", "close", "several", "none"]


@dataclass(frozen=True)
class Example:
    """One way callers put an intent; `language` is an ISO 639-1 code."""

    text: str
    intent: str
    language: str = "en"


@dataclass(frozen=True)
class Ranked:
    """An intent with its likelihood in 0..1; those of all intents add up to 1."""

    intent: str
    confidence: float


@dataclass(frozen=True)
class Decision:
    """What was meant.

    Attributes:
        kind: `intent`; `close`: one of two, to be asked about by naming both; `several`: all of them, in the order
            said; `none`: nothing that the examples know.
        intents: the intents of that result, empty for `none`.
        confidence: 0..1, calibrated: of decisions with 0.8, eight of ten are right.
        familiarity: 0..1, how near the words are to any example, which the bars of rejection are set on.
        ranked: the likeliest intents, best first, whatever the result.
        version: of the model that decided.
    """

    kind: Kind
    intents: tuple[str, ...]
    confidence: float
    familiarity: float
    ranked: tuple[Ranked, ...]
    version: str


@dataclass(frozen=True)
class Explanation:
    """Why an intent is likeliest.

    Attributes:
        intent: its name.
        words: words (characters of Mandarin) with what the likelihood loses without each, -1..1.
        nearest: examples, their intents and how like them the text is, -1..1, nearest first.
    """

    intent: str
    words: tuple[tuple[str, float], ...]
    nearest: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True)
class Block:
    """Terms of one kind in the examples: which examples hold a term, with which weight.

    Attributes:
        numbers: term -> its number.
        idf: float32 (terms,), rarity.
        starts: int32 (terms + 1,), where the term's postings begin.
        holders, weights: uint16 or int32, and float32: postings; the weights of one example have length 1.
    """

    numbers: Mapping[str, int]
    idf: np.ndarray
    starts: np.ndarray
    holders: np.ndarray
    weights: np.ndarray

    def weigh(self, terms: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and weights of the known among `terms`; unknown ones lessen the weights of the others."""
        counts = Counter(terms)
        known = [(self.numbers[t], c) for t, c in counts.items() if t in self.numbers]
        rarest = float(self.idf.max(initial=1.0))
        unknown = sum((1 + math.log(c)) ** 2 for t, c in counts.items() if t not in self.numbers) * rarest**2
        numbers = np.array([n for n, _ in known], dtype=np.int64)
        weights = np.array([1 + math.log(c) for _, c in known], dtype=np.float32) * self.idf[numbers]
        return numbers, weights / (math.sqrt(float(weights @ weights) + unknown) or 1.0)

    def likeness(self, terms: Sequence[str], examples: int) -> np.ndarray:
        """Cosine of `terms` to each of `examples` examples, float32."""
        numbers, weights = self.weigh(terms)
        if not len(numbers):
            return np.zeros(examples, dtype=np.float32)
        starts, lengths = self.starts[numbers], self.starts[numbers + 1] - self.starts[numbers]
        offsets = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
        each = np.repeat(weights, lengths) * self.weights[offsets]
        return np.bincount(self.holders[offsets], each, examples).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Model:
    """What was learnt of the examples of one language. Models are alike when their versions are.

    Attributes:
        language: ISO 639-1 code.
        version: hash of the examples and of the way they were learnt from.
        intents: names, in the order of the columns; OUT_OF_SCOPE is among them where it had examples.
        examples: what was learnt from, in the order of the rows.
        labels: int32 (examples,), column of each example's intent.
        blocks: terms by the names that `features` gives them.
        shares: weight of each block, then of the vectors, in the likeness; they add up to 1.
        width: how fast likeness falls off; greater is faster.
        mean, transform: float32 (size,) and (size, size): what a vector is moved by, then multiplied with; `size` is
            the dimension of the language.
        vectors: float32 (examples, size): those of the examples after that, of length 1.
        weights: float32 (examples, intents).
        sharpness: what scores are multiplied by to become log-likelihoods.
        bars: float32 (intents,): familiarity below which an utterance is not taken for the intent.
        speller: knows how words that sound so are written.
    """

    language: str
    version: str
    intents: tuple[str, ...]
    examples: tuple[str, ...]
    labels: np.ndarray
    blocks: Mapping[str, Block]
    shares: tuple[float, ...]
    width: float
    mean: np.ndarray
    transform: np.ndarray
    vectors: np.ndarray
    weights: np.ndarray
    sharpness: float
    bars: np.ndarray
    speller: Speller

    def likeness(self, text: str, vector: np.ndarray) -> np.ndarray:
        """How like each example `text` is, in -1..1, float32 (examples,)."""
        terms = features.terms(text, self.language)
        moved = (vector - self.mean) @ self.transform
        total = self.shares[-1] * (self.vectors @ (moved / max(float(np.linalg.norm(moved)), 1e-6)))
        for share, (name, block) in zip(self.shares, self.blocks.items(), strict=False):
            total += share * block.likeness(terms[name], len(self.examples))
        return total

    def scores(self, text: str, vector: np.ndarray) -> np.ndarray:
        """Score of each intent for a text and its vector, about 1 for the right one and 0 for others."""
        return np.exp(self.width * (self.likeness(text, vector) - 1)) @ self.weights

    def heard(self, text: str, vector: np.ndarray | None = None) -> np.ndarray:
        """The scores of what a recogniser wrote, `vector` its vector if it is known.

        As it is written, or as words that sound so are written, whichever is more familiar; what is plain is read once.
        """
        scores = self.scores(text, said_vector(text, self.language) if vector is None else vector)
        if self._is_plain(scores) or (respelled := self.speller.respelled(text)) == text:
            return scores
        return max(scores, self.scores(respelled, said_vector(respelled, self.language)), key=np.max)

    def _is_plain(self, scores: np.ndarray) -> bool:
        """Whether there is no doubt about what has these scores."""
        best = int(scores.argmax())
        return bool(scores[best] >= self.bars[best] + _PLAIN and self.likelihoods(scores)[best] >= _CERTAIN)

    def likelihoods(self, scores: np.ndarray) -> np.ndarray:
        """Scores (..., intents) as likelihoods that add up to 1."""
        raised = np.exp(self.sharpness * (scores - scores.max(axis=-1, keepdims=True)))
        return raised / raised.sum(axis=-1, keepdims=True)

    def decide(self, readings: Sequence[tuple[str, float]]) -> Decision:
        """What the readings of one utterance (text and confidence, best first) mean; the best alone if it is sure."""
        kept = _worth_reading(readings)
        if not kept:
            return Decision("none", (), 1.0, 0.0, (), self.version)
        wanted = [(wishes.wanted(text, self.language), weight) for text, weight in kept]
        whole = self._judge(wanted[:1])
        if len(wanted) > 1 and (whole.kind != "intent" or whole.confidence < _CERTAIN):
            whole = self._judge(wanted)
        said = wishes.parts(wishes.wanted(kept[0][0], self.language), self.language)
        if len(said) < 2:
            return whole
        parts = [self._judge([(part, 1.0)]) for part in said]
        sure = [p for p in parts if p.kind == "intent" and p.confidence >= _CERTAIN]
        several = tuple(dict.fromkeys(p.intents[0] for p in sure))
        if len(several) < 2:
            return whole
        return Decision(
            "several", several, min(p.confidence for p in sure), whole.familiarity, whole.ranked, self.version
        )

    def _judge(self, readings: Sequence[tuple[str, float]]) -> Decision:
        """One wish, in one or more readings with their weights."""
        scores = np.average([self.heard(t) for t, _ in readings], axis=0, weights=[w for _, w in readings])
        likely = self.likelihoods(scores)
        order = np.argsort(-likely, kind="stable")
        ranked = tuple(Ranked(self.intents[i], float(likely[i])) for i in order[:_RANKED])
        best, familiarity = int(order[0]), min(1.0, max(0.0, float(scores.max())))
        kind: Kind = "intent"
        if self.intents[best] == OUT_OF_SCOPE or familiarity < self.bars[best]:
            kind = "none"
        elif _are_close(*ranked[:2]):
            kind = "close"
        meant = {"none": (), "close": tuple(r.intent for r in ranked[:2])}.get(kind, (ranked[0].intent,))
        sure = {"none": 1 - ranked[0].confidence, "close": ranked[0].confidence + ranked[1].confidence}
        return Decision(kind, meant, sure.get(kind, ranked[0].confidence), familiarity, ranked, self.version)

    def explain(self, text: str) -> Explanation | None:
        """What of `text` and which examples led to the intent that is likeliest, rejected or not; None for no text."""
        if not plain(text):
            return None
        wish = wishes.wanted(text[: features.MAX_CHARACTERS], self.language)
        likeness = self.likeness(wish, said_vector(wish, self.language))
        nearest = np.argsort(-likeness, kind="stable")[:_NEAREST]
        best = int(self.heard(wish).argmax())
        words = wish if self.language == "zh" else wish.split()
        joint = "" if self.language == "zh" else " "
        before = self.likelihoods(self.heard(wish))[best]
        drops = []
        for place, word in enumerate(words[:_WORDS]):
            rest = joint.join([*words[:place], *words[place + 1 :]])
            drops.append((word, float(before - self.likelihoods(self.heard(rest))[best])))
        near = tuple((self.examples[i], self.intents[self.labels[i]], float(likeness[i])) for i in nearest)
        return Explanation(self.intents[best], tuple(drops), near)


def _are_close(first: Ranked, second: Ranked) -> bool:
    likely = second.confidence >= max(_CLOSE_LIKELY, _CLOSE * first.confidence)
    return likely and OUT_OF_SCOPE not in (first.intent, second.intent)


def _worth_reading(readings: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Readings that differ and are likely enough, with weights; none when there is nothing to read."""
    kept: dict[str, tuple[str, float]] = {}
    for text, confidence in readings:
        words = plain(text[: features.MAX_CHARACTERS])
        if words and (not kept or confidence >= _FAINT * readings[0][1]):
            kept.setdefault(words, (text[: features.MAX_CHARACTERS], max(confidence, 0.05)))
    return list(kept.values())[:READINGS]
