"""Places by name: which entry of a list a caller means, found inside a sentence by sound.

A Mandarin name is laid along the syllables of the sentence where it costs least: what a substitution costs is how far
two syllables are apart, and syllables that many names share (公园, 路) count less. Names that cannot come near are left
out before that, by what their syllables cost two by two. English is compared by words, as spelt and by a phonetic key.
What is not told apart by its sound comes back as rivals. Immutable once built; any thread may search; knows nothing of
maps.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rapidfuzz import fuzz, process

from ivr.understanding import sounds
from ivr.understanding.said import normal

_MOST_SYLLABLES, _MOST_WORDS, _MOST_WINDOW, _READINGS = 80, 40, 6, 3

# What a substitution costs by how far the syllables are apart: what recognisers mix up lies mostly under 0.35,
# syllables taken at random mostly above 0.5.
_APART, _COSTS = (0.0, 0.15, 0.3, 0.45, 0.6, 1.0), (0.0, 0.1, 0.3, 0.65, 0.95, 1.0)
# What a syllable of the name that was not said costs, and one that was said in its midst; times the syllable's weight.
_MISSING, _EXTRA = 0.8, 0.5
_SHARED_WEIGHT = 0.45
# The least score by number of syllables; words that go with a place ("near", 附近) lower it.
_BARS = {1: 1.0, 2: 0.86, 3: 0.78, 4: 0.74}
_LONG_BAR, _CARRIED = 0.7, 0.06
_MOST_EXTRA, _ROUNDING = 8, 1e-4
_MOST_LAID = 150
# How much of a name's weight its cost takes away when two names are ranked: a long name nearly right wins over a short
# one inside it.
_NEARLY_EXACT = 0.99
# Whoever says nothing but the name is likelier to have said one.
_ALONE = 0.06
_COST_IN_RANK = 2.6
_CARRIED_RANK = 0.3
_LATER_READING = 0.03

_BEHIND_ZH = tuple(
    sounds.syllables(words)
    for words in (
        "附近", "旁边", "那边", "这边", "里面", "周边", "周围", "边上", "对面", "那里", "这里", "那儿", "的支行",
        "的网点", "的银行", "的营业厅", "的分行", "最近", "有没有", "有网点", "怎么走", "在哪", "吗",
    )
)  # fmt: skip
_BEFORE_ZH = tuple(
    sounds.syllables(words)
    for words in ("离", "在", "去", "到", "查询", "查一下", "找一下", "请问", "知道", "是", "来", "靠近", "从")
)
# Characters that sentences are made of and names seldom; the more of them a stretch holds, the nearer it must come.
_COMMON_ZH = frozenset(
    "我你他她它们的是了不在这那个有没么什说请想要就也还都吗呢吧啊和跟给把被让能可以会去来做过得很太再先然"
    "些点下上里0123456789一二两三四五六七八九十百千万元块钱年月日号"
)
_COMMON_RAISES = 0.2
_HEARD_APART = 0.3
_CARRIERS_EN = frozenset(
    {"near", "nearest", "next", "to", "by", "at", "around", "close", "from", "in", "the", "branch", "of", "a", "is",
     "beside", "opposite", "behind", "bank", "atm", "i'm", "i", "am", "any", "there", "closest", "where", "it's"}
)  # fmt: skip
# Whatever is less alike, as spelt or by its key, cannot reach the bar with the other (0 to 100).
_HOPELESS_EN = 60
_BAR_EN, _SHORT_BAR_EN, _KEY_WORTH, _COST_IN_RANK_EN = 0.78, 0.86, 0.97, 4.0


@dataclass(frozen=True)
class Place:
    """One entry: `id` is its value in slots, `names` by language are all the ways to say it, the usual one first."""

    id: str
    names: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Match:
    """A place found.

    Attributes:
        id: the place's id.
        score: 0..1, how well the words sound like its name.
        text: the part of the normalised reading that names it.
        placed: the words around it are such as go with a place ("near", 附近), or there are none.
    """

    id: str
    score: float
    text: str
    placed: bool


@dataclass(frozen=True)
class _Named:
    """A match with its `rank`, by which names are compared."""

    match: Match
    rank: float


class _Mandarin:
    """The Mandarin names, their syllables numbered and weighed."""

    def __init__(self, entries: Sequence[Place]) -> None:
        named = [(e.id, sounds.syllables(normal(n, "zh"))) for e in entries for n in e.names.get("zh", ())]
        named = [(id_, name) for id_, name in named if name]
        self.ids = [id_ for id_, _ in named]
        self.names = [name for _, name in named]
        self.alphabet = tuple(sorted({s for name in self.names for s in name}))
        numbers = {s: i for i, s in enumerate(self.alphabet)}
        owners = Counter(s for name in self.names for s in set(name))
        rarest = math.log(1 + len(self.names))
        weight = [1 - (1 - _SHARED_WEIGHT) * math.log(owners[s]) / rarest for s in self.alphabet]
        # Behind the last syllable stands a blank that weighs nothing; names end with one or more.
        blank, longest = len(weight), max(map(len, self.names), default=0)
        self.weight = np.array([*weight, 0.0], np.float32)
        self.syllables = np.full((len(self.names), longest + 2 - longest % 2), blank, np.int32)
        for row, name in enumerate(self.names):
            self.syllables[row, : len(name)] = [numbers[s] for s in name]
        self.weights = self.weight[self.syllables]
        self.lengths = np.array([len(n) for n in self.names], np.int32)
        # The syllables two by two, each two once, and which of them every name has.
        by_two, which = np.unique(self.syllables.reshape(-1, 2), axis=0, return_inverse=True)
        self.pairs, self.pairs_of = by_two, which.reshape(len(self.names), self.syllables.shape[1] // 2)
        self.totals = self.weights.sum(axis=1)
        self.bars = np.array([_BARS.get(len(n), _LONG_BAR) for n in self.names], np.float32)

    def find(self, said: str) -> Iterator[_Named]:
        """The names that `said` comes near to."""
        said = said[:_MOST_SYLLABLES]
        if not said or not self.names:
            return
        heard = sounds.syllables(said)
        apart = np.stack([sounds.distances(self.alphabet, s) for s in heard], axis=1)
        blank = np.zeros((1, len(heard)))
        costs = np.concatenate([np.interp(apart, _APART, _COSTS), blank]).astype(np.float32)
        rows = self._near(costs)
        if not rows.size:
            return
        laid = _laid(costs, self.syllables[rows], self.weights[rows])
        ahead = [_goes_with(heard[:at], _BEFORE_ZH, last=True) for at in range(len(heard) + 1)]
        behind = [_goes_with(heard[at:], _BEHIND_ZH, last=False) for at in range(len(heard) + 1)]
        for row, cost, start, end in zip(rows.tolist(), *(each.tolist() for each in laid), strict=True):
            score, carriers = 1 - cost / float(self.totals[row]), ahead[start] + behind[end]
            alone = start == 0 and end == len(said)
            carried = min(2, carriers + (start == 0) + (end == len(said)))
            common = sum(c in _COMMON_ZH for c in said[start:end]) / max(1, end - start)
            bar = self.bars[row] + _CARRIED * (1 - carried) + _COMMON_RAISES * common
            if score >= min(bar - _ALONE * alone, _NEARLY_EXACT):
                rank = float(self.totals[row]) - _COST_IN_RANK * cost + _CARRIED_RANK * carried
                match = Match(self.ids[row], round(score, 3), said[start:end], alone or carriers > 0)
                yield _Named(match, rank)

    def _near(self, costs: np.ndarray) -> np.ndarray:
        """Rows of the names that may reach their bar, the _MOST_LAID that may rank highest when there are more.

        A name costs at least what its syllables cost, wherever in the sentence each costs least, and what they cost two
        by two; many names share those. What that leaves is laid along it, four syllables and then all of them.
        """
        most = (1 - self.bars + _CARRIED) * self.totals + _ROUNDING
        nearest = np.minimum(costs.min(axis=1), _MISSING) * self.weight
        rows = np.flatnonzero(nearest[self.syllables].sum(axis=1) <= most)
        # Only what may be all that was said has the lower bar of a name alone.
        most += np.where(self.lengths + _MOST_EXTRA >= costs.shape[1], _ALONE * self.totals, np.float32(0.0))
        by_two = _least(costs, self.pairs, self.weight[self.pairs])[self.pairs_of]
        rows = rows[by_two[rows].sum(axis=1) <= most[rows]]
        for laid in (4, self.syllables.shape[1]):
            cost = _least(costs, self.syllables[rows, :laid], self.weights[rows, :laid])
            cost += by_two[rows, laid // 2 :].sum(axis=1)
            near = cost <= most[rows]
            rows, cost = rows[near], cost[near]
        best = np.argsort(_COST_IN_RANK * cost - self.totals[rows], kind="stable")[:_MOST_LAID]
        return np.sort(rows[best])


def _least(costs: np.ndarray, names: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each name's least cost along the sentence, as `_laid` has it, without where it lies."""
    heard = np.ascontiguousarray(costs.T)
    places = np.arange(len(heard) + 1, dtype=np.float32)[:, None]
    total = np.zeros((len(heard) + 1, len(names)), np.float32)
    for syllables, weight in zip(names.T, weights.T, strict=True):
        said = total[:-1] + weight * heard[:, syllables]
        total += weight * _MISSING
        np.minimum(total[1:], said, out=total[1:])
        # Behind its end a name costs nothing more, and nothing said there makes it cheaper.
        extra = np.where(weight > 0, weight * _EXTRA, np.float32(1.0)) * places
        total -= extra
        np.minimum.accumulate(total, axis=0, out=total)
        total += extra
    return total.min(axis=0)


def _laid(costs: np.ndarray, names: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each name's least cost along the sentence, and the stretch [start, end) where it lies.

    `costs` (alphabet, sentence), `names` and `weights` (names, longest), a weight of 0 behind a name's end. A local
    alignment: the sentence may begin and end anywhere (Sellers, J. Algorithms 1, 1980), all names at once.
    """
    length = costs.shape[1]
    places = np.arange(length + 1)[:, None]
    total = np.zeros((length + 1, len(names)), np.float32)
    starts = np.broadcast_to(places, total.shape)
    for syllables, weight in zip(names.T, weights.T, strict=True):
        present = total + weight * _MISSING
        said = total[:-1] + weight * costs[syllables].T
        better = said < present[1:]
        present[1:] = np.where(better, said, present[1:])
        begun = starts.copy()
        begun[1:] = np.where(better, starts[:-1], starts[1:])
        # What was said besides is paid for by the syllable: the least over all places before, each with its distance.
        extra = np.where(weight > 0, weight * _EXTRA, np.float32(1.0)) * places
        least = np.minimum.accumulate(present - extra, axis=0)
        source = np.maximum.accumulate(np.where(present - extra <= least, places, 0), axis=0)
        ended = weight == 0
        starts = np.where(ended, starts, np.take_along_axis(begun, source, axis=0))
        total = np.where(ended, total, least + extra)
    end = total.argmin(axis=0)
    each = np.arange(len(names))
    return total[end, each], starts[end, each], end


def _goes_with(heard: Sequence[str], phrases: Sequence[Sequence[str]], last: bool) -> bool:
    """Whether `heard` begins, or ends, with words that go with a place."""
    return any(
        len(heard) >= len(words) and _sounds_like(heard[-len(words) :] if last else heard[: len(words)], words)
        for words in phrases
    )


def _sounds_like(heard: Sequence[str], words: Sequence[str]) -> bool:
    return all(sounds.apart(a, b) <= _HEARD_APART for a, b in zip(heard, words, strict=True))


class _English:
    """The English names, as spelt and by their phonetic keys."""

    def __init__(self, entries: Sequence[Place]) -> None:
        named = [(e.id, normal(n, "en").replace("'", "").split()) for e in entries for n in e.names.get("en", ())]
        self.ids = [id_ for id_, _ in named]
        self.spelt = ["".join(words) for _, words in named]
        self.keys = ["".join(map(sounds.key_of, words)) for _, words in named]

    def find(self, said: str) -> Iterator[_Named]:
        as_said = [word for word in said.split() if word.strip("'")][:_MOST_WORDS]
        words = [word.replace("'", "") for word in as_said]
        windows = [
            (at, behind)
            for at in range(len(words))
            for behind in range(at + 1, min(len(words), at + _MOST_WINDOW) + 1)
            if words[behind - 1] not in _CARRIERS_EN and (words[at] not in _CARRIERS_EN or behind > at + 1)
        ]
        if not windows or not self.ids:
            return
        spelt = process.cdist(
            ["".join(words[a:b]) for a, b in windows], self.spelt, scorer=fuzz.ratio, score_cutoff=_HOPELESS_EN
        )
        keys = ["".join(map(sounds.key_of, words[a:b])) for a, b in windows]
        keyed = process.cdist(keys, self.keys, scorer=fuzz.ratio, score_cutoff=_HOPELESS_EN)
        scores = np.maximum(spelt, (spelt + keyed) / 2 * _KEY_WORTH) / 100
        best = scores.argmax(axis=0)
        for name, window in enumerate(best.tolist()):
            score, letters = float(scores[window, name]), len(self.spelt[name])
            if score >= (_BAR_EN if letters > 7 else _SHORT_BAR_EN):
                at, behind = windows[window]
                placed = behind - at == len(words) or words[max(0, at - 1)] in _CARRIERS_EN
                match = Match(self.ids[name], round(score, 3), " ".join(as_said[at:behind]), placed)
                yield _Named(match, letters * (1 - _COST_IN_RANK_EN * (1 - score)))


@lru_cache(maxsize=256)
def _found(index: _Mandarin | _English, said: str) -> tuple[_Named, ...]:
    """What `index` finds; the same reading is asked about more than once while an utterance is understood."""
    return tuple(index.find(said))


class Places:
    """An index over places; a search among 10,000 takes about 10 ms of one core (`ivr bench loading`).

    To build it takes seconds for so many: a plan's is built where the plan is read, not in a call.
    """

    def __init__(self, entries: Sequence[Place]) -> None:
        self.entries = tuple(entries)
        self._by_language = {"zh": _Mandarin(self.entries), "en": _English(self.entries)}

    def find(self, readings: Sequence[tuple[str, float]], language: str, most: int = 3) -> tuple[Match, ...]:
        """Places that the n-best `readings` (text, confidence; best first) may name, best first, at most `most`."""
        index = self._by_language.get(language)
        if index is None:
            return ()
        best: dict[str, tuple[float, Match]] = {}
        for later, (text, _) in enumerate(readings[:_READINGS]):
            for named in _found(index, normal(text, language)):
                rank, match = named.rank * (1 - _LATER_READING * later), named.match
                if match.id not in best or best[match.id][0] < rank:
                    best[match.id] = (rank, match)
        return tuple(match for _, match in sorted(best.values(), key=lambda b: -b[0])[:most])
