"""Places by name: which entry of a list a caller means, found inside a sentence by sound.

Mandarin is compared syllable by syllable without tones, with costs by how easily two syllables are taken for one
another; English by words and a phonetic key. Pure and immutable once built; knows nothing of maps or distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One entry: `id` is its value in slots, `names` by language are all the ways to say it, the usual one first."""

    id: str
    names: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Match:
    """A place found: its `id`, `score` in 0..1, and `text`, the part of the reading that names it."""

    id: str
    score: float
    text: str


class Places:
    """An index over places. Any thread may search."""

    def __init__(self, entries: Sequence[Place]) -> None:
        self.entries = tuple(entries)

    def find(self, readings: Sequence[tuple[str, float]], language: str, most: int = 3) -> tuple[Match, ...]:
        """Places that the n-best `readings` (text, confidence; best first) may name, best first, at most `most`."""
        raise NotImplementedError
