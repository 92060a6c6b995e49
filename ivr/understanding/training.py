"""Learns an intent model from examples: likeness of every example to every other, one system of linear equations.

Kernel ridge regression (least squares to 1 for the example's intent and 0 for the others), because it has what the rest
needs in closed form: what the model would have said to each example had it not been among the examples (Rasmussen and
Williams, Gaussian Processes for Machine Learning, 2006, eq. 5.12). The sharpness of likelihoods and the bars of
rejection are chosen on those, so nothing is judged by what learnt it. Deterministic. Takes memory and a processor for
seconds, so it runs in a process of its own, never in the brain, which reads the arrays it leaves. numpy only.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ivr.errors import InvalidInput, Problem
from ivr.understanding import features
from ivr.understanding.embedding import embed_said, sentence_models
from ivr.understanding.intents import OUT_OF_SCOPE, Block, Example, Model
from ivr.understanding.spelling import Speller, written

RECIPE = "kernel-7"
"""Goes into the version: models of another recipe are other models."""
MANY = 40
"""Examples an intent from which words tell intents apart that vectors do not; with fewer, vectors know more."""
SHARES = {"en": (0.15, 0.1, 0.05, 0.7), "zh": (0.15, 0.3, 0.55)}
SHARES_OF_FEW = {"en": (0.05, 0.03, 0.02, 0.9), "zh": (0.03, 0.07, 0.9)}
"""Weight of each block of terms, then of the vectors; chosen by leaving out examples of training files."""
WIDTH, WIDTH_OF_FEW = 2.5, 3.0
RIDGE, RIDGE_OF_FEW = 0.03, 0.1
SHRINK = 0.95
"""How far the scatter of vectors within intents is drawn to a sphere (Friedman 1989), where there are few examples."""
FREE = 100
"""Examples beyond the first of their intents from which that scatter is learnt at all."""
BALANCE, BALANCE_OF_FEW = 0.0, 1.0
"""How much less an example weighs whose intent has many; with few, they would make an intent likelier by themselves."""
FALSE_REJECTION = 0.02
"""Share of what belongs to an intent that its bar may reject, on examples that were left out."""
MAX_EXAMPLES = 20_000
"""Of one language: the equations of so many take 1.6 GB."""
MIN_EXAMPLES = 2
_ROWS = 1_024
_COLUMNS = 2_048
_DENSE_FROM = 200
_LEAF = 256
_SHRINK = 20
"""An intent's own bar counts as much as everybody's when it has so many examples."""


def version_of(examples: Sequence[Example], language: str) -> str:
    """Hash of what a model of `language` is trained from and by, the same in whatever order it comes."""
    said = sorted({(e.text, e.intent) for e in examples if e.language == language})
    return hashlib.sha256(
        repr((RECIPE, sentence_models(language), language, said)).encode("utf-8", "replace")
    ).hexdigest()[:12]


@dataclass(frozen=True)
class LeftOut:
    """What a model would have said to each of its examples had it been left out.

    Attributes:
        examples: those that callers say, names of intents not among them.
        taken: the likeliest intent of each.
        accepted: bool (examples,), whether it reached the bar of that intent.
    """

    examples: tuple[Example, ...]
    taken: tuple[str, ...]
    accepted: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Which were accepted and taken for what they are, bool (examples,)."""
        same = [e.intent == taken for e, taken in zip(self.examples, self.taken, strict=True)]
        return np.array(same, dtype=bool) & self.accepted


def train(examples: Sequence[Example], language: str, vectors: np.ndarray | None = None, threads: int = 1) -> Model:
    """A model of the examples in `language`; see `rehearsed`."""
    return rehearsed(examples, language, vectors, threads)[0]


def rehearsed(
    examples: Sequence[Example], language: str, vectors: np.ndarray | None = None, threads: int = 1
) -> tuple[Model, LeftOut]:
    """A model of the examples in `language`, and what it would have said to each without that one.

    Args:
        examples: at least two intents; examples of other languages are left out.
        vectors: `embed_said` of those in `language`, in their order, where they are known already.
        threads: cores for the embedding.

    Raises InvalidInput when there are fewer than two intents, or too many examples.
    """
    kept = _kept(examples, language)
    chosen = [examples[i] for i in kept]
    if vectors is None:
        vectors = embed_said([e.text for e in chosen], language, threads)
    else:
        position = {i: n for n, i in enumerate(i for i, e in enumerate(examples) if e.language == language)}
        vectors = vectors[[position[i] for i in kept]]
    intents = tuple(sorted({e.intent for e in chosen}))
    few = len(chosen) < MANY * len(intents)
    said_by_callers = len(chosen)
    if few:
        # The name of an intent is worth an example where there are few, in any language: vectors read all of them.
        names = [Example(intent.replace("_", " "), intent, language) for intent in intents if intent != OUT_OF_SCOPE]
        chosen += names
        vectors = np.concatenate([vectors, embed_said([name.text for name in names], language, threads)])
    labels = np.array([intents.index(e.intent) for e in chosen], dtype=np.int32)
    mean = vectors.mean(axis=0)
    transform = _transform(vectors, labels) if few else np.eye(vectors.shape[1], dtype=np.float32)
    moved = _moved(vectors, mean, transform)
    table = SHARES_OF_FEW if few else SHARES
    shares, width = table.get(language, table["en"]), WIDTH_OF_FEW if few else WIDTH
    blocks, total = _compared([e.text for e in chosen], language, moved, shares)
    kernel = np.exp(width * (total - 1), out=total)
    held = np.bincount(labels)[labels].astype(np.float32)
    ridge, balance = (RIDGE_OF_FEW, BALANCE_OF_FEW) if few else (RIDGE, BALANCE)
    weights, left_out = _solve(kernel, labels, len(intents), ridge * (held / held.mean()) ** balance)
    left_out, known = left_out[:said_by_callers], labels[:said_by_callers]
    sharpness, bars = _sharpness(left_out, known), _bars(left_out, known, FALSE_REJECTION)
    speller = Speller(written([e.text for e in chosen], language), language)
    model = Model(language, version_of(examples, language), intents, tuple(e.text for e in chosen), labels, blocks,
                  shares, width, mean, transform, moved, weights, sharpness, bars, speller)  # fmt: skip
    best = left_out.argmax(axis=1)
    heard = LeftOut(
        tuple(chosen[:said_by_callers]), tuple(intents[i] for i in best), left_out.max(axis=1) >= bars[best]
    )
    return model, heard


def likeness(
    texts: Sequence[str], language: str, vectors: np.ndarray, mean: np.ndarray, transform: np.ndarray
) -> np.ndarray:
    """How like each other sentences are, -1..1, float32 (texts, texts): as a model of few examples sees it.

    `mean` and `transform` are those of a model that knows what sentences have in common, and how one thing is varied.
    """
    shares = SHARES_OF_FEW.get(language, SHARES_OF_FEW["en"])
    return _compared(texts, language, _moved(vectors, mean, transform), shares)[1]


def _moved(vectors: np.ndarray, mean: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """`vectors` as they are compared: without their mean, transformed, of length 1."""
    moved = (vectors - mean) @ transform
    return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6)


def _transform(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What makes the scatter of examples around the middle of their intent alike in all directions: (size, size).

    Along the directions in which the ways to say one thing differ anyway, a difference tells little (Fisher 1936).
    """
    size = vectors.shape[1]
    counts = np.bincount(labels)
    free = int((counts[counts > 1] - 1).sum())
    if free < FREE:
        return np.eye(size, dtype=np.float32)
    middles = np.zeros((len(counts), size))
    np.add.at(middles, labels, vectors)
    apart = vectors - (middles / np.maximum(counts, 1)[:, None])[labels]
    scatter = apart.T @ apart / free
    power, directions = np.linalg.eigh((1 - SHRINK) * scatter + SHRINK * np.trace(scatter) / size * np.eye(size))
    return (directions * power**-0.5 @ directions.T).astype(np.float32)


def _compared(
    texts: Sequence[str], language: str, moved: np.ndarray, shares: Sequence[float]
) -> tuple[dict[str, Block], np.ndarray]:
    """The blocks of `texts`, and the likeness of each to each, float32 (texts, texts)."""
    blocks, total = {}, shares[-1] * (moved @ moved.T)
    said = [features.terms(text, language) for text in texts]
    for share, name in zip(shares, features.blocks(language), strict=False):
        blocks[name] = _block([terms[name] for terms in said])
        _add_likeness(total, share, blocks[name])
    return blocks, total


def _kept(examples: Sequence[Example], language: str) -> list[int]:
    """Examples of the language, each text and intent once."""
    seen: dict[tuple[str, str], int] = {}
    for number, example in enumerate(examples):
        if example.language == language:
            seen.setdefault((example.text, example.intent), number)
    kept = list(seen.values())
    counts = Counter(examples[i].intent for i in kept)
    if len(counts.keys() - {OUT_OF_SCOPE}) < 2:
        raise InvalidInput(Problem("examples", f"fewer than two intents in `{language}`", mend="a choice needs two"))
    if len(kept) > MAX_EXAMPLES:
        message = f"{len(kept)} examples in `{language}`"
        raise InvalidInput(Problem("examples", message, mend=f"give at most {MAX_EXAMPLES}, the most telling ones"))
    return kept


def _block(said: Sequence[Sequence[str]]) -> Block:
    """A block of the terms of each example, as postings; the weights of each example have length 1."""
    numbers: dict[str, int] = {}
    rows, columns, values = [], [], []
    for row, terms in enumerate(said):
        for term, count in Counter(terms).items():
            rows.append(row)
            columns.append(numbers.setdefault(term, len(numbers)))
            values.append(1 + math.log(count))
    holders, terms_of = np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)
    held = np.bincount(terms_of, minlength=len(numbers))
    idf = (np.log((1 + len(said)) / (1 + held)) + 1).astype(np.float32)
    weights = np.array(values, dtype=np.float32) * idf[terms_of]
    lengths = np.sqrt(np.bincount(holders, weights.astype(np.float64) ** 2, len(said)))
    weights = (weights / np.maximum(lengths, 1e-6)[holders]).astype(np.float32)
    order = np.argsort(terms_of, kind="stable")
    starts = np.concatenate(([0], np.cumsum(held))).astype(np.int32)
    kind = np.uint16 if len(said) <= 2**16 else np.int32
    return Block(numbers, idf, starts, holders[order].astype(kind), weights[order])


def _add_likeness(total: np.ndarray, share: float, block: Block) -> None:
    """Add to `total` (examples, examples) how like each other the examples are by the terms of `block`.

    Terms of many examples are multiplied as a dense matrix, others pair by pair of those that hold them.
    """
    held = np.diff(block.starts)
    for term in np.flatnonzero(held <= _DENSE_FROM):
        own = slice(block.starts[term], block.starts[term + 1])
        holders, weights = block.holders[own], block.weights[own]
        total[np.ix_(holders, holders)] += share * np.outer(weights, weights)
    often = np.flatnonzero(held > _DENSE_FROM)
    for first in range(0, len(often), _COLUMNS):
        some = often[first : first + _COLUMNS]
        dense = np.zeros((len(total), len(some)), dtype=np.float32)
        for column, term in enumerate(some):
            own = slice(block.starts[term], block.starts[term + 1])
            dense[block.holders[own], column] = block.weights[own]
        for start in range(0, len(total), _ROWS):
            total[start : start + _ROWS] += share * (dense[start : start + _ROWS] @ dense.T)


def _solve(kernel: np.ndarray, labels: np.ndarray, intents: int, ridge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (examples, intents), and scores of each example by a model that it was left out of. Eats `kernel`.

    `ridge` (examples,): how far from its target each example may stay.
    """
    targets = np.eye(intents, dtype=np.float32)[labels]
    kernel[np.diag_indices_from(kernel)] += ridge.astype(np.float32)
    _invert_factor(kernel)
    weights = kernel.T @ (kernel @ targets)
    return weights, targets - weights / np.einsum("ij,ij->j", kernel, kernel)[:, None]


def _invert_factor(matrix: np.ndarray) -> None:
    """In place: the inverse of the lower Cholesky factor of a positive definite matrix, by halves."""
    if len(matrix) <= _LEAF:
        matrix[...] = np.tril(np.linalg.inv(np.linalg.cholesky(matrix)))
        return
    half = len(matrix) // 2
    first, below, second = matrix[:half, :half], matrix[half:, :half], matrix[half:, half:]
    _invert_factor(first)
    factor = below @ first.T
    second -= factor @ factor.T
    _invert_factor(second)
    np.matmul(second @ factor, -first, out=below)
    matrix[:half, half:] = 0


def _sharpness(scores: np.ndarray, labels: np.ndarray) -> float:
    """What makes softmax of the scores likeliest to name the right intents."""

    def surprise(sharpness: float) -> float:
        raised = sharpness * (scores - scores.max(axis=1, keepdims=True))
        return float(np.mean(np.log(np.exp(raised).sum(axis=1)) - raised[np.arange(len(labels)), labels]))

    return min((float(s) for s in np.geomspace(1.5, 48, 41)), key=surprise)


def _bars(scores: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """Per intent the familiarity that all but `share` of its examples reach; few count less than everybody's."""
    best = scores.max(axis=1)
    common = float(np.quantile(best, share))
    bars = np.full(scores.shape[1], common, dtype=np.float32)
    for intent in range(scores.shape[1]):
        own = best[labels == intent]
        bars[intent] = (len(own) * np.quantile(own, share) + _SHRINK * common) / (len(own) + _SHRINK)
    return bars
