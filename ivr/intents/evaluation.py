"""Measures intent models: trains on some questions, asks the others, and gathers what was said to them.

Nothing is reported on what a model or a threshold was chosen on: folds, given splits and halves are kept apart here.
Knows nothing of files or pictures. Runs in the foreground of a command, for minutes.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ivr.intents.data import Labelled
from ivr.intents.figures import UNKNOWN, Figures, Judged, figures, shift_for
from ivr.understanding.embedding import embed_said, query_vector, said_vector
from ivr.understanding.intents import OUT_OF_SCOPE, Example, Model
from ivr.understanding.training import train

FOLDS = 5
IN_SCOPE_GOAL = 0.955
"""Accuracy with rejection that bars are moved to where validation questions are given; the rest is for catching."""
TIMED = 200
_BATCH = 640


@dataclass
class Outcome:
    """What an evaluation found.

    Attributes:
        how: in words, what was trained on and what asked.
        names: of the intents, by number.
        judged: every question asked, with the bars in force for it.
        train_s, embed_s: seconds of the last training without its embedding, and of embedding everything.
        query_ms: times of whole queries on one core, embedding included; of the processor, whatever else it does.
        version: of the last model.
        spread: accuracy of each repetition, where there were several.
    """

    how: str
    names: tuple[str, ...]
    judged: Judged
    train_s: float = 0.0
    embed_s: float = 0.0
    query_ms: list[float] = field(default_factory=list)
    version: str = ""
    spread: list[float] = field(default_factory=list)

    @property
    def figures(self) -> Figures:
        return figures(self.judged)


class Bench:
    """Examples with their vectors, and models made of some of them."""

    def __init__(self, examples: Sequence[Example], language: str, threads: int = 1) -> None:
        self.examples = list(examples)
        self.language = language
        self.names = tuple(sorted({e.intent for e in examples} - {OUT_OF_SCOPE}))
        self.numbers = {name: number for number, name in enumerate(self.names)}
        began = time.perf_counter()
        parts = []
        for start in range(0, len(self.examples), _BATCH):
            parts.append(embed_said([e.text for e in self.examples[start : start + _BATCH]], language, threads))
            _progress("reading", min(start + _BATCH, len(self.examples)), len(self.examples))
        self.vectors = np.concatenate(parts)
        self.embed_s = time.perf_counter() - began
        self.train_s = 0.0

    def model(self, rows: Sequence[int]) -> Model:
        """A model of the examples with these numbers."""
        began = time.perf_counter()
        made = train([self.examples[i] for i in rows], self.language, self.vectors[list(rows)])
        self.train_s = time.perf_counter() - began
        return made

    def judge(self, model: Model, rows: Sequence[int]) -> Judged:
        """What `model` says to the examples with these numbers."""
        scores = np.array([model.heard(self.examples[i].text, self.vectors[i]) for i in rows])
        scores = scores.reshape(len(rows), len(model.intents))
        known = np.array([self.numbers.get(name, UNKNOWN) for name in model.intents])
        likely, inside = model.likelihoods(scores), known != UNKNOWN
        best = np.where(inside, scores, -np.inf).argmax(axis=1)
        each = np.arange(len(rows))
        return Judged(
            truths=np.array([self.numbers.get(self.examples[i].intent, UNKNOWN) for i in rows]),
            taken=known[best],
            confidence=likely[each, best],
            familiarity=scores[each, best],
            bars=model.bars[best],
            outside=~inside[scores.argmax(axis=1)],
        )


def evaluate(data: Labelled, language: str, threads: int = 1, folds: int = FOLDS) -> Outcome:
    """Asks the test questions if there are any, else the validation questions, else cross-validates."""
    bench = Bench([*data.train, *data.validation, *data.test], language, threads)
    first, second = len(data.train), len(data.train) + len(data.validation)
    training, validation = range(first), list(range(first, second))
    asked = list(range(second, len(bench.examples)))
    if not validation and not asked:
        return cross_validated(bench, folds)
    model = bench.model(training)
    if asked:
        judged, how = bench.judge(model, asked), f"trained on {first}, asked {len(asked)} others"
        if validation:
            judged = moved(judged, bench.judge(model, validation))
            how += f", threshold chosen on {len(validation)} of validation"
    else:
        halves = [bench.judge(model, half) for half in _dealt(bench, validation, 2, seed=0)]
        judged = joined([moved(halves[0], halves[1]), moved(halves[1], halves[0])])
        how = f"trained on {first}, threshold chosen on one half of {len(validation)}, asked the other, and swapped"
    return _outcome(bench, how, judged, model)


def cross_validated(bench: Bench, folds: int = FOLDS) -> Outcome:
    """Every example asked of a model of the other folds."""
    dealt = _dealt(bench, range(len(bench.examples)), folds, seed=0)
    found, model = [], None
    for number, fold in enumerate(dealt):
        out = set(fold)
        model = bench.model([i for i in range(len(bench.examples)) if i not in out])
        found.append(bench.judge(model, fold))
        _progress("fold", number + 1, folds)
    outcome = _outcome(bench, f"{folds}-fold cross-validation of {len(bench.examples)}", joined(found), model)
    return replace(outcome, spread=[figures(j).accuracy for j in found])


def few_shot(data: Labelled, language: str, shots: int, seeds: int, threads: int = 1) -> Outcome:
    """Trained on `shots` examples of each intent by each of `seeds` seeds; asks the test questions, or the rest."""
    bench = Bench([*data.train, *data.test], language, threads)
    training = range(len(data.train))
    found, model = [], None
    for seed in range(seeds):
        chosen = [i for rows in _by_intent(bench, training, seed).values() for i in rows[:shots]]
        kept = set(chosen)
        asked = range(len(data.train), len(bench.examples)) if data.test else [i for i in training if i not in kept]
        model = bench.model(sorted(chosen))
        found.append(bench.judge(model, list(asked)))
        _progress("seed", seed + 1, seeds)
    how = f"{shots} examples an intent, {seeds} seeds"
    return replace(_outcome(bench, how, joined(found), model), spread=[figures(j).accuracy for j in found])


def moved(judged: Judged, chosen_on: Judged) -> Judged:
    """`judged` with its bars moved to where `chosen_on`, other questions, has IN_SCOPE_GOAL."""
    return replace(judged, bars=judged.bars + shift_for(chosen_on, IN_SCOPE_GOAL))


def joined(parts: Sequence[Judged]) -> Judged:
    """Several lots of questions as one."""
    names = ("truths", "taken", "confidence", "familiarity", "bars", "outside")
    return Judged(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def timed(model: Model, texts: Sequence[str]) -> list[float]:
    """Milliseconds of a processor from a text to the decision on it, embedding included."""
    times = []
    for text in texts:
        query_vector.cache_clear()
        said_vector.cache_clear()
        began = time.thread_time()
        model.decide([(text, 1.0)])
        times.append(1e3 * (time.thread_time() - began))
    return times


def _outcome(bench: Bench, how: str, judged: Judged, model: Model) -> Outcome:
    some = random.Random(0).sample(bench.examples, min(TIMED, len(bench.examples)))  # noqa: S311 - no secret
    times = timed(model, [e.text for e in some])
    return Outcome(how, bench.names, judged, bench.train_s, bench.embed_s, times, model.version)


def _by_intent(bench: Bench, rows: Sequence[int], seed: int) -> dict[str, list[int]]:
    rng, found = random.Random(seed), dict[str, list[int]]()  # noqa: S311 - no secret
    for row in rows:
        found.setdefault(bench.examples[row].intent, []).append(row)
    for each in found.values():
        rng.shuffle(each)
    return dict(sorted(found.items()))


def _dealt(bench: Bench, rows: Sequence[int], hands: int, seed: int) -> list[list[int]]:
    """`rows` dealt out so that each hand has its share of every intent."""
    deck = [row for each in _by_intent(bench, rows, seed).values() for row in each]
    return [deck[hand::hands] for hand in range(hands)]


def _progress(what: str, done: int, whole: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{what} {done}/{whole} ", end="\n" if done == whole else "", file=sys.stderr, flush=True)
