"""Figures of an intent model on labelled questions: how often right, how well it knows, what it rejects.

Pure: scores and truths in, figures out; knows nothing of files, models or how they were learnt.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

BINS = 10
UNKNOWN = -1
"""Truth of a question that belongs to no intent."""


@dataclass(frozen=True)
class Judged:
    """Questions with what a model said to them.

    Attributes:
        truths: int (n,), number of the right intent, UNKNOWN for a question out of scope.
        taken: int (n,), number of the likeliest intent.
        confidence: float (n,), its likelihood.
        familiarity, bars: float (n,), and the bar of that intent: below it the question is rejected.
        outside: bool (n,), whether examples of what is out of scope were nearer than any intent.
    """

    truths: np.ndarray
    taken: np.ndarray
    confidence: np.ndarray
    familiarity: np.ndarray
    bars: np.ndarray
    outside: np.ndarray

    def rejected(self, shift: float = 0.0) -> np.ndarray:
        """Which are rejected when every bar is moved up by `shift`."""
        return (self.familiarity < self.bars + shift) | self.outside


@dataclass(frozen=True)
class Figures:
    """What is reported.

    Attributes:
        questions, out_of_scope: how many were asked within the intents and outside them.
        accuracy: 0..1 of the questions within, nothing rejected.
        accuracy_rejecting: 0..1 of the questions within that were taken and taken right.
        oos_recall: 0..1 of the questions outside that were rejected; None when there were none.
        false_rejection: 0..1 of the questions within that were rejected.
        calibration_error: expected difference of confidence and accuracy over ten bins (ECE), 0..1.
    """

    questions: int
    out_of_scope: int
    accuracy: float
    accuracy_rejecting: float
    oos_recall: float | None
    false_rejection: float
    calibration_error: float


def figures(judged: Judged, shift: float = 0.0) -> Figures:
    """The figures with every bar moved up by `shift`."""
    within = judged.truths != UNKNOWN
    right = (judged.taken == judged.truths)[within]
    rejected = judged.rejected(shift)
    outside = int((~within).sum())
    return Figures(
        questions=int(within.sum()),
        out_of_scope=outside,
        accuracy=_share(right),
        accuracy_rejecting=_share(right & ~rejected[within]),
        oos_recall=_share(rejected[~within]) if outside else None,
        false_rejection=_share(rejected[within]),
        calibration_error=calibration_error(judged.confidence[within], right),
    )


def shift_for(judged: Judged, accuracy: float) -> float:
    """The greatest shift of the bars with at least `accuracy` of the questions within taken right; 0 when none has."""
    shifts = np.linspace(-1.0, 1.0, 2_001)
    fit = [s for s in shifts if figures(judged, s).accuracy_rejecting >= accuracy]
    return float(max(fit, default=0.0))


def trade_off(judged: Judged) -> list[tuple[float, float]]:
    """False rejection and out-of-scope recall (0 where nothing was out of scope) over all shifts of the bars."""
    curve = (figures(judged, float(s)) for s in np.linspace(-0.6, 0.8, 141))
    return [(f.false_rejection, f.oos_recall or 0.0) for f in curve]


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of confidence and share of right answers, over BINS bins by confidence, weighted by their sizes."""
    if not len(right):
        return 0.0
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)]
    return float(sum(gaps) / len(right))


def confusions(judged: Judged, names: tuple[str, ...], most: int = 15) -> list[tuple[str, str, int]]:
    """Intents meant, taken instead, and how often, most frequent first; nothing rejected."""
    wrong = (judged.truths != UNKNOWN) & (judged.truths != judged.taken)
    pairs = Counter(zip(judged.truths[wrong].tolist(), judged.taken[wrong].tolist(), strict=True))
    return [(names[truth], names[taken], count) for (truth, taken), count in pairs.most_common(most)]


def matrix(judged: Judged, intents: int) -> np.ndarray:
    """How often (meant, taken), nothing rejected, int (intents, intents)."""
    within = judged.truths != UNKNOWN
    flat = judged.truths[within] * intents + judged.taken[within]
    return np.bincount(flat, minlength=intents * intents).reshape(intents, intents)


def _share(flags: np.ndarray) -> float:
    return float(flags.mean()) if len(flags) else 0.0
