"""One language of the knowledge base as arrays: words, vectors and filters of its entries, ready to be searched.

A `Segment` never changes. It is built from entries and the vectors of their questions, kept as files that are mapped
into memory, and searched by `kb_search`. Vectors are eight bits a number with one scale a row, so 100,000 questions
take 40 MB. Words are the terms of `knowledge.features`, by BM25 weights laid down at building time. Knows nothing of
databases, clocks or embedding; any number of threads may read a segment.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path

import msgspec
import numpy as np

from ivr.kb.entry import AUDIENCES, KbEntry
from ivr.understanding.knowledge import features

K1, B = 1.2, 0.3
"""BM25's saturation and its weight of length (Robertson and Zaragoza 2009); questions are short: it says little."""
SHRINK = 0.8
"""How far the scatter within entries is drawn to a sphere (Friedman 1989); 1 is plain distance."""
PAIRS_WANTED = 100
"""Questions beyond the first of their entries, from which scatter is learnt at all; with fewer it is a sphere."""
SHORT = 64
"""Numbers that a vector is cut down to for the first look at all rows."""
LOOKED_AT = 1_024
"""Rows that the first look leaves; a segment of no more has none."""
_BLOCK = 4_096
_SPHERE_TRACE = 0.09
"""Spread of the ways to ask one thing around their middle in the model's space, where too few tell it."""


def hash_of(text: str) -> int:
    """64 bits of a term, a tag, an id or a question."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def quantised(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int8 rows, float32 scale of each): rows * scale is `vectors` within a 250th of its largest number."""
    scales = np.abs(vectors).max(axis=1, initial=1e-9).astype(np.float32) / 127
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales


@dataclass(frozen=True)
class Segment:
    """Entries of one language. `row` is a question, rows of an entry stand together.

    Attributes:
        row_start: first row of each entry, and the end (entries + 1).
        row_entry, row_hash: entry of each row, `hash_of` its text.
        vectors, scales: int8 (rows, dimension) and float32 (rows).
        axes, short: float32 (dimension, SHORT) and (rows, SHORT), what tells the rows of a large segment apart most.
        transform: float32 (dimension, dimension), makes the scatter of questions around the middle of their entry alike
            in all directions.
        id_hash, audience, first_day, last_day: of each entry; days as ordinals, both included.
        tag_start, tag_hash: tags of each entry.
        terms: hashes, ascending; idf: of each. post_start, post_rows, post_values: its rows and BM25 weights.
        body_start, bodies: each entry as JSON.
    """

    row_start: np.ndarray
    row_entry: np.ndarray
    row_hash: np.ndarray
    vectors: np.ndarray
    scales: np.ndarray
    axes: np.ndarray
    short: np.ndarray
    transform: np.ndarray
    id_hash: np.ndarray
    audience: np.ndarray
    first_day: np.ndarray
    last_day: np.ndarray
    tag_start: np.ndarray
    tag_hash: np.ndarray
    terms: np.ndarray
    idf: np.ndarray
    post_start: np.ndarray
    post_rows: np.ndarray
    post_values: np.ndarray
    body_start: np.ndarray
    bodies: np.ndarray

    @property
    def entries(self) -> int:
        return len(self.id_hash)

    @property
    def rows(self) -> int:
        return len(self.row_entry)

    def entry(self, number: int) -> KbEntry:
        """The entry with that number."""
        body = self.bodies[self.body_start[number] : self.body_start[number + 1]].tobytes()
        return msgspec.json.decode(body, type=KbEntry)

    def save(self, folder: Path) -> None:
        """Write one file an array into an existing folder."""
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def load(cls, folder: Path) -> Segment:
        """Map a saved segment; nothing is read before it is needed. Raises OSError, ValueError: files are missing."""
        return cls(**{f.name: np.load(folder / f"{f.name}.npy", mmap_mode="r") for f in fields(cls)})

    def of_ids(self, ids: Iterable[str]) -> np.ndarray:
        """Numbers of the entries with these ids, those that are here."""
        wanted = np.array([hash_of(i) for i in ids], dtype=np.uint64)
        return np.flatnonzero(np.isin(self.id_hash, wanted))


def build(entries: Sequence[KbEntry], vectors: np.ndarray, scales: np.ndarray, like: Segment | None = None) -> Segment:
    """A segment of entries of one language.

    Args:
        vectors, scales: `quantised` vectors of all their questions, in order.
        like: a large segment whose rarity of words, axes and scatter of questions are taken over; for a small addition
            to it.
    """
    counts = np.array([len(e.questions) for e in entries], dtype=np.int32)
    row_start = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    row_entry = np.repeat(np.arange(len(entries), dtype=np.int32), counts)
    questions = [q for e in entries for q in e.questions]
    language = entries[0].language if entries else "en"
    bodies = [msgspec.json.encode(e) for e in entries]
    tags = [[hash_of(t) for t in e.tags] for e in entries]
    transform = like.transform if like is not None else _transform(vectors, scales, row_entry, row_start)
    axes = like.axes if like is not None and like.axes.size else _axes(vectors, scales)
    return Segment(
        axes=axes, short=_short(vectors, scales, axes),
        row_start=row_start, row_entry=row_entry, vectors=vectors, scales=scales.astype(np.float32),
        row_hash=np.array([hash_of(q) for q in questions], dtype=np.uint64), transform=transform,
        id_hash=np.array([hash_of(e.id) for e in entries], dtype=np.uint64),
        audience=np.array([AUDIENCES.index(e.audience) for e in entries], dtype=np.uint8),
        first_day=np.array([(e.valid_from or date.min).toordinal() for e in entries], dtype=np.int32),
        last_day=np.array([(e.valid_until or date.max).toordinal() for e in entries], dtype=np.int32),
        tag_start=_starts(tags), tag_hash=np.array([h for t in tags for h in t], dtype=np.uint64),
        **_postings(questions, language, like),
        body_start=_starts(bodies), bodies=np.frombuffer(b"".join(bodies), dtype=np.uint8),
    )  # fmt: skip


def _starts(parts: Sequence[Sequence]) -> np.ndarray:
    return np.concatenate(([0], np.cumsum([len(p) for p in parts]))).astype(np.int64)


def _postings(questions: Sequence[str], language: str, like: Segment | None) -> dict[str, np.ndarray]:
    """Terms, and for each the rows that hold it with what it adds to their score, by BM25."""
    hashes: dict[str, int] = {}
    found: list[int] = []
    weights: list[float] = []
    lengths = np.zeros(len(questions), dtype=np.int32)
    mass = np.zeros(len(questions), dtype=np.float32)
    for row, question in enumerate(questions):
        bag = features(question, language)
        lengths[row], mass[row] = len(bag), sum(bag.values())
        for term, weight in bag.items():
            if (number := hashes.get(term)) is None:
                number = hashes[term] = hash_of(term)
            found.append(number)
            weights.append(weight)
    rows = np.repeat(np.arange(len(questions), dtype=np.int32), lengths)
    terms, inverse, frequency = np.unique(np.array(found, dtype=np.uint64), return_inverse=True, return_counts=True)
    idf = rarity(frequency, len(questions)) if like is None else idf_of(like, terms)
    weight = np.array(weights, dtype=np.float32)
    length = mass[rows] / (mass.mean() if len(mass) else 1.0)
    values = idf[inverse] * weight * (K1 + 1) / (weight + K1 * (1 - B + B * length))
    order = np.argsort(inverse, kind="stable")
    return {
        "terms": terms, "idf": idf, "post_start": np.concatenate(([0], np.cumsum(frequency))).astype(np.int64),
        "post_rows": rows[order], "post_values": values[order].astype(np.float16),
    }  # fmt: skip


def rarity(frequency: np.ndarray | int, rows: int) -> np.ndarray:
    """Inverse document frequency as in BM25, never negative."""
    return np.log1p((rows - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)


def idf_of(segment: Segment, terms: np.ndarray) -> np.ndarray:
    """Rarity of terms (hashes) in a segment; of one that it does not know, that of a term in half a row."""
    idf = np.full(len(terms), rarity(0, max(segment.rows, 1)), dtype=np.float32)
    if len(segment.terms):
        place = np.minimum(np.searchsorted(segment.terms, terms), len(segment.terms) - 1)
        known = segment.terms[place] == terms
        idf[known] = segment.idf[place[known]]
    return idf


def _axes(vectors: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The directions in which the rows differ most (principal components); none where every row is looked at anyway."""
    dimension = vectors.shape[1]
    if len(vectors) <= LOOKED_AT:
        return np.empty((dimension, 0), dtype=np.float32)
    total, square = np.zeros(dimension), np.zeros((dimension, dimension))
    for start in range(0, len(vectors), _BLOCK):
        dense = vectors[start : start + _BLOCK].astype(np.float32) * scales[start : start + _BLOCK, None]
        total += dense.sum(axis=0)
        square += dense.T @ dense
    middle = total / len(vectors)
    _, directions = np.linalg.eigh(square / len(vectors) - np.outer(middle, middle))
    return directions[:, : -SHORT - 1 : -1].astype(np.float32)


def _short(vectors: np.ndarray, scales: np.ndarray, axes: np.ndarray) -> np.ndarray:
    out = np.empty((len(vectors), axes.shape[1]), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = (vectors[part].astype(np.float32) @ axes) * scales[part, None]
    return out


def _transform(vectors: np.ndarray, scales: np.ndarray, row_entry: np.ndarray, row_start: np.ndarray) -> np.ndarray:
    """The inverse root of the scatter within entries: along its directions the ways to ask one thing differ anyway.

    Fisher's discriminant with the shrinkage of Friedman. It is learnt from the base's own entries, so it fits their
    language and their subject.
    """
    dimension = vectors.shape[1]
    counts = np.diff(row_start)
    several = np.flatnonzero(counts[row_entry] > 1)
    sphere = np.eye(dimension, dtype=np.float32)
    free = len(several) - int((counts > 1).sum())
    if free < PAIRS_WANTED:
        return sphere * math.sqrt(dimension / _SPHERE_TRACE)
    owners = row_entry[several]
    begins = np.flatnonzero(np.concatenate(([True], owners[1:] != owners[:-1])))
    sizes = np.diff(np.concatenate((begins, [len(owners)])))
    dense = vectors[several].astype(np.float32) * scales[several, None]
    middle = np.add.reduceat(dense, begins) / sizes[:, None]
    apart = dense - np.repeat(middle, sizes, axis=0)
    scatter = (apart.T @ apart) / free
    shrunk = (1 - SHRINK) * scatter + SHRINK * np.trace(scatter) / dimension * sphere
    power, directions = np.linalg.eigh(shrunk)
    return (directions * power**-0.5 @ directions.T).astype(np.float32)
