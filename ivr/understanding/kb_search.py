"""A question against segments: by vectors and by words at once, then the nearest entries looked at closely.

Stage one takes the rows nearest to the question by cosine and by BM25. Stage two, the reranker, looks at the entries
they belong to as a whole: how far the question is from the middle of all their ways to ask, measured in the scatter
that such ways have (`Segment.transform`), the nearest of them, and the words. The best of these are then told from one
another by a classifier that learns them on the spot. The weights were fitted on questions of CLINC150 and on none that
a figure is reported on. Pure; about 12 ms for 50,000 rows on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ivr.kb.entry import AUDIENCES, Audience, KbEntry
from ivr.understanding.kb_index import LOOKED_AT, Segment, hash_of, idf_of
from ivr.understanding.knowledge import features

NEAREST = 192
"""Rows that each of the two ways brings to the reranker."""
POSTINGS = 400_000
"""Most postings read for a question; the rarest words come first."""
FEATURES = ("middle", "words_best", "cosine_best")
"""What the reranker weighs: nearness to the middle of an entry's questions, BM25 of its best, cosine of its best."""
WEIGHTS = {
    "en": np.array([0.026, 5.36, 45.0], dtype=np.float32),
    "zh": np.array([0.0273, 2.46, 21.6], dtype=np.float32),
}
"""Fitted to tell the right entry from other candidates, on questions of CLINC150 among distractors: English with one,
two, four and ten questions an entry, Mandarin with ten."""
CLOSELY = 24
"""Entries that are told from one another."""
ROWS_AN_ENTRY = 16
"""Of those, the questions that are looked at: the nearest to what was asked."""
WIDTH, RIDGE = 3.0, 1.0
"""Of the kernel that tells them apart, and how far a question may stay from its entry, by the root of their number."""
TOLD_APART = {"en": 40.0, "zh": 20.0}
"""What that weighs: chosen on CLINC150 with one, two, four and ten questions an entry, some with one and others with
ten; Mandarin half of it, as of the cosine."""
FIRST_WEIGHTS = np.array([0.0, 3.0, 20.0], dtype=np.float32)
"""The order of stage one."""
NOTHING = {"en": (0.54, 19.0), "zh": (1.08, 11.5)}
"""How sharply scores become chances, and how strong "none of these" is. Fitted also with the right entry taken away:
English on CLINC150 with its out-of-scope questions, Mandarin on every third topic of the bench's questions."""
BAR = {"en": 0.5, "zh": 0.7}
"""The chance below which nothing is answered, chosen on the same."""


@dataclass(frozen=True)
class Filter:
    """What may be found: by whom it is heard, on which day it holds, which tags it has."""

    audience: Audience
    day: date
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A segment with the numbers of those of its entries that a newer segment replaces."""

    segment: Segment
    dead: np.ndarray


@dataclass(frozen=True)
class Candidates:
    """Entries of a segment that stage one brought: their numbers, their nearest rows, a row of features each.

    `vector` is the question's, `transform` what distances to it are measured by.
    """

    segment: Segment
    entries: np.ndarray
    nearest: np.ndarray
    table: np.ndarray
    vector: np.ndarray
    transform: np.ndarray

    def closely(self, number: int) -> np.ndarray:
        """Vectors of the questions of one entry that are nearest to what was asked, float32 (at most 16, dimension)."""
        start, end = self.segment.row_start[self.entries[number] :][:2]
        dense = _dense(self.segment, np.arange(start, end))
        if len(dense) <= ROWS_AN_ENTRY:
            return dense
        return dense[np.argsort(-(dense @ self.vector), kind="stable")[:ROWS_AN_ENTRY]]


@dataclass(frozen=True)
class Found:
    """An entry, its score in 0..1, and its question that came nearest."""

    entry: KbEntry
    score: float
    question: str


def candidates(part: Part, vector: np.ndarray, text: str, only: Filter, like: Segment, language: str) -> Candidates:
    """Stage one on a segment. `vector` is float32 of length 1; `like` is the segment whose rarity of words counts."""
    segment = part.segment
    barred = ~_allowed(part, only)[segment.row_entry]
    words = _words(segment, text, language, like)
    words[barred] = 0.0
    rows = np.concatenate((_nearest(segment, vector, barred), _highest(words, NEAREST)))
    entries = np.unique(segment.row_entry[rows])
    if not len(entries):
        return Candidates(segment, entries, entries, np.empty((0, len(FEATURES)), np.float32), vector, like.transform)
    starts, sizes = segment.row_start[entries], np.diff(segment.row_start)[entries]
    begins = np.cumsum(sizes) - sizes
    rows = np.arange(sizes.sum()) + np.repeat(starts - begins, sizes)
    dense = _dense(segment, rows)
    cosine = dense @ vector
    apart = np.add.reduceat(dense, begins) / sizes[:, None] - vector
    middle = -0.5 * ((apart @ like.transform) ** 2).sum(axis=1)
    said, near = np.maximum.reduceat(words[rows], begins), np.maximum.reduceat(cosine, begins)
    nearest = rows[np.lexsort((cosine, np.repeat(entries, sizes)))[begins + sizes - 1]]
    table = np.stack((middle, said, near), axis=1).astype(np.float32)
    return Candidates(segment, entries, nearest, table, vector, like.transform)


def ranked(found: Sequence[Candidates], language: str, limit: int, rerank: bool = True) -> list[Found]:
    """The best entries of all segments, each with the chance that it is what was asked.

    The chances of all candidates and of "none of them" add up to one. Without `rerank` the order is that of stage one.
    """
    table = np.concatenate([c.table for c in found])
    if not len(table):
        return []
    owners = [(c, i) for c in found for i in range(len(c.entries))]
    powers = table @ WEIGHTS[language]
    closest = np.argsort(-powers, kind="stable")[:CLOSELY]
    powers[closest] += TOLD_APART[language] * _told_apart([owners[n] for n in closest])
    sharp, nothing = NOTHING[language]
    weighed = np.append(powers * sharp, nothing).astype(np.float64)
    chances = np.exp(weighed - weighed.max())
    chances /= chances.sum()
    best = []
    order = powers if rerank else table @ FIRST_WEIGHTS
    for number in np.argsort(-order, kind="stable")[:limit]:
        candidate, i = owners[number]
        entry = candidate.segment.entry(int(candidate.entries[i]))
        first = candidate.segment.row_start[candidate.entries[i]]
        best.append(Found(entry, float(chances[number]), entry.questions[int(candidate.nearest[i] - first)]))
    return best


def _told_apart(closest: Sequence[tuple[Candidates, int]]) -> np.ndarray:
    """How much each of some entries is what was asked, about 0 to 1, by kernel ridge regression on their questions.

    Least squares to 1 for the questions of the entry and 0 for those of the others, after what they have in common is
    taken away. A question is held the more loosely, the more its entry has, so that many do not count for much.
    """
    shared = closest[0][0]
    parts = [candidate.closely(number) for candidate, number in closest]
    counts = np.array([len(part) for part in parts])
    owner = np.repeat(np.arange(len(parts)), counts)
    moved = np.concatenate(parts) @ shared.transform
    middle = moved.mean(axis=0)
    known, asked = _unit(moved - middle), _unit(shared.vector @ shared.transform - middle)
    kernel = np.exp(WIDTH * (known @ known.T - 1))
    kernel[np.diag_indices_from(kernel)] += RIDGE * np.sqrt(counts / counts.mean())[owner]
    weights = np.linalg.solve(kernel, np.exp(WIDTH * (known @ asked - 1)))
    return np.bincount(owner, weights, len(parts))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)


def _allowed(part: Part, only: Filter) -> np.ndarray:
    """Which entries may be found."""
    segment, day = part.segment, only.day.toordinal()
    allowed = segment.audience <= AUDIENCES.index(only.audience)
    allowed &= (segment.first_day <= day) & (day <= segment.last_day)
    allowed[part.dead] = False
    for tag in only.tags:
        holders = np.searchsorted(segment.tag_start, np.flatnonzero(segment.tag_hash == hash_of(tag)), side="right") - 1
        tagged = np.zeros(len(allowed), dtype=bool)
        tagged[holders] = True
        allowed &= tagged
    return allowed


def _dense(segment: Segment, rows: np.ndarray) -> np.ndarray:
    """Vectors of some rows as float32."""
    return segment.vectors[rows].astype(np.float32) * segment.scales[rows, None]


def _nearest(segment: Segment, vector: np.ndarray, barred: np.ndarray) -> np.ndarray:
    """Rows nearest by cosine: all of them by the short vectors, what that leaves by the whole ones."""
    rough = segment.short @ (vector @ segment.axes)
    rough[barred] = -np.inf
    number = min(LOOKED_AT, len(rough))
    rows = np.argpartition(rough, -number)[-number:]
    rows = rows[~barred[rows]]
    cosine = _dense(segment, rows) @ vector
    return rows[_highest(cosine, NEAREST)]


def _words(segment: Segment, text: str, language: str, like: Segment) -> np.ndarray:
    """BM25 of every row, as a share of what a row with all of the question's words would have."""
    out = np.zeros(segment.rows, dtype=np.float32)
    bag = features(text, language)
    if not bag:
        return out
    terms = np.array([hash_of(t) for t in bag], dtype=np.uint64)
    weights = np.array(list(bag.values()), dtype=np.float32)
    idf = idf_of(like, terms)
    best = float((weights * idf).sum()) or 1.0
    read = 0
    places = np.searchsorted(segment.terms, terms)
    for i in np.argsort(-idf, kind="stable"):
        place = places[i]
        if place == len(segment.terms) or segment.terms[place] != terms[i]:
            continue
        start, end = segment.post_start[place], segment.post_start[place + 1]
        read += int(end - start)
        if read > POSTINGS:
            break
        out[segment.post_rows[start:end]] += weights[i] * segment.post_values[start:end].astype(np.float32)
    return out / best


def _highest(values: np.ndarray, number: int) -> np.ndarray:
    """Rows of the highest values above nothing."""
    rows = np.flatnonzero(values > 0)
    return rows[np.argpartition(values[rows], -number)[-number:]] if len(rows) > number else rows
