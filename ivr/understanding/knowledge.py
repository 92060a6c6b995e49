"""Questions people ask and what is said to them: a small lexical index over the entries of a knowledge file.

Every entry has, per language, ways to ask and one spoken answer; an entry may carry an intent instead of an answer,
so that "a person please" is found by the same means. Text is compared by words and character trigrams in English, by
pinyin syllables in Mandarin, weighted by rarity (tf-idf): half the cosine to the nearest way of asking, half how much
of what was said the entry knows at all. Pure and immutable once built; any thread may search.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rapidfuzz import fuzz

from ivr.understanding.expected import pinyin, plain
from ivr.understanding.features import as_heard
from ivr.understanding.intents import Example

BAR = 0.44
"""Lowest score that counts as found; chosen on phrasings that are in no shipped knowledge file."""
SHORT = 0.6
"""What a partial match of one or two words is worth of its score: 对 is not 兑换, "card" is not a question."""

LIKE = 83.0
"""How alike a word has to be spelt to a keyword, 0 to 100: a letter may be wrong in six."""
MAX_PARTED_CHARS, MAX_PARTS = 300, 6
"""So much of an utterance is looked through for several wishes, in so many parts."""
_JOINTS = {
    "en": re.compile(r"[,.;:!?]+|\b(?:and|also|plus|then|but|as well as|by the way)\b", re.IGNORECASE),
    "zh": re.compile(
        "[，。；：！？、,.;:!?]+|还想|还要|还得|还有|还需要|也想|也要|另外|顺便|然后|并且|而且|同时|接着|以及"
    ),
}

_STOP_EN = frozenset(
    {"a", "an", "the", "i", "i'd", "me", "my", "you", "your", "to", "of", "is", "are", "am", "be", "do", "does",
     "please", "can", "could", "would", "like", "want", "need", "tell", "know", "about", "it", "in", "on", "for",
     "and", "what", "that", "this", "with", "hello", "hi", "uh", "um", "so", "just", "at", "some", "any", "have"}
)  # fmt: skip
_STOP_ZH = frozenset(
    {
        "wo",
        "de",
        "le",
        "qin",
        "wen",
        "ni",
        "men",
        "ma",
        "ne",
        "ba",
        "a",
        "xiang",
        "yao",
        "yi",
        "xia",
        "zen",
        "me",
        "ban",
    }
)


@dataclass(frozen=True)
class Entry:
    """One thing callers ask for. `questions` and `answer` by language; `intent` names what the dialog does with it.

    `urgent`: it goes first when something else is said with it. `keywords`, per language: words of which one has to be
    said, or a value for a slot, however alike the rest is; none for no such condition. `called`, per language: short
    words to name it by in a question ("block the card"); the first way to ask for it where there are none.
    """

    id: str
    questions: dict[str, tuple[str, ...]]
    answer: dict[str, str]
    intent: str = ""
    urgent: bool = False
    keywords: dict[str, tuple[str, ...]] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)

    @property
    def meaning(self) -> str:
        """What its examples are examples of: its intent, or itself."""
        return self.intent or self.id

    def name(self, language: str) -> str:
        """Words to name it by, empty in a language that it has nothing in."""
        return self.called.get(language) or next(iter(self.questions.get(language, ())), "")


@dataclass(frozen=True)
class Match:
    """An entry found, with its score in 0..1 and the next best score of another entry."""

    entry: Entry
    score: float
    runner_up: float


def parts(text: str, language: str) -> list[str]:
    """`text` cut wherever something else may begin, also in the middle of a wish; MAX_PARTS at most."""
    found = _JOINTS[language].split(text[:MAX_PARTED_CHARS]) if language in _JOINTS else []
    return [part for part in found if part.strip()][:MAX_PARTS]


def has_keyword(entry: Entry, text: str, language: str) -> bool:
    """Whether one of the entry's keywords stands in `text`, nearly as spelt or, in Mandarin, as it sounds."""
    keywords = entry.keywords.get(language, ())
    if not keywords:
        return True
    if language == "zh":
        if any(k in text for k in keywords):  # a character may be read otherwise within another phrase
            return True
        heard = " ".join(map(as_heard, pinyin(text)))
        return any(f" {' '.join(map(as_heard, pinyin(k)))} " in f" {heard} " for k in keywords)
    words = plain(text).replace("'s", "").split()
    return any(_says(k.split(), words) for k in map(plain, keywords))


def _says(phrase: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the words of `phrase` stand in `words` one after the other, in whatever form."""
    runs = (words[at : at + len(phrase)] for at in range(len(words) - len(phrase) + 1))
    return any(
        all(_stem(a) == _stem(b) or fuzz.ratio(a, b) >= LIKE for a, b in zip(phrase, run, strict=True)) for run in runs
    )


def _stem(word: str) -> str:
    for suffix in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)] + ("y" if suffix == "ies" else "")
    return word


def features(text: str, language: str) -> Counter[str]:
    """What `text` is compared by: weighted terms, stop words at a tenth of their weight."""
    terms: Counter[str] = Counter()
    if language == "zh":
        syllables = [as_heard(s) for s in pinyin(text)]
        for syllable in syllables:
            terms[syllable] += 0.1 if syllable in _STOP_ZH else 0.6
        for pair in pairwise(syllables):
            terms[" ".join(pair)] += 0.2 if pair[0] in _STOP_ZH and pair[1] in _STOP_ZH else 1.0
        return terms
    words = plain(text).replace("'s", "").split()
    for word in words:
        weight = 0.1 if word in _STOP_EN else 1.0
        terms[_stem(word)] += weight
        if weight == 1.0:
            for trigram in _trigrams(word):
                terms[trigram] += 0.35
    for pair in pairwise(words):
        if pair[0] not in _STOP_EN and pair[1] not in _STOP_EN:
            terms[f"{_stem(pair[0])} {_stem(pair[1])}"] += 0.5
    return terms


def _trigrams(word: str) -> Iterable[str]:
    padded = f"^{word}$"
    return (f"#{padded[i : i + 3]}" for i in range(len(padded) - 2))


class Knowledge:
    """An index over entries. Building is linear in their text; a search over some hundreds takes about 1 ms."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._by_id = {entry.id: entry for entry in self.entries}
        self._by_meaning = {entry.meaning: entry for entry in reversed(self.entries)}
        self._by_words = {
            (language, words): self._by_meaning[entry.meaning]
            for entry in reversed(self.entries)
            for language, questions in entry.questions.items()
            for question in questions
            if (words := plain(question))
        }
        self._postings: dict[str, dict[str, list[tuple[int, float]]]] = {}
        self._owners: dict[str, list[Entry]] = {}
        self._idf: dict[str, dict[str, float]] = {}
        self._entry_terms: dict[str, dict[str, set[str]]] = {}
        for language in sorted({lang for e in entries for lang in e.questions}):
            self._index(language)

    def _index(self, language: str) -> None:
        owners = [(e, q) for e in self.entries for q in e.questions.get(language, ())]
        bags = [features(q, language) for _, q in owners]
        by_entry: dict[str, set[str]] = {}
        for (entry, _), bag in zip(owners, bags, strict=True):
            for term in bag:
                by_entry.setdefault(term, set()).add(entry.id)
        total = len({e.id for e, _ in owners})
        idf = {t: math.log(1 + total / len(ids)) for t, ids in by_entry.items()}
        postings: dict[str, list[tuple[int, float]]] = {}
        for number, bag in enumerate(bags):
            norm = math.sqrt(sum((w * idf[t]) ** 2 for t, w in bag.items())) or 1.0
            for term, weight in bag.items():
                postings.setdefault(term, []).append((number, weight * idf[term] / norm))
        self._postings[language], self._idf[language] = postings, idf
        self._owners[language] = [e for e, _ in owners]
        self._entry_terms[language] = {e.id: set() for e, _ in owners}
        for (entry, _), bag in zip(owners, bags, strict=True):
            self._entry_terms[language][entry.id] |= set(bag)

    @property
    def examples(self) -> tuple[Example, ...]:
        """Every way to ask, for a model to learn from."""
        return tuple(
            Example(question, entry.meaning, language)
            for entry in self.entries
            for language, questions in entry.questions.items()
            for question in questions
        )

    def of(self, meaning: str) -> Entry | None:
        """The first entry of an intent, or with an id."""
        return self._by_meaning.get(meaning)

    def by_id(self, name: str) -> Entry | None:
        """The entry with that id."""
        return self._by_id.get(name)

    def exactly(self, text: str, language: str) -> Entry | None:
        """The entry that has `text` among its ways to ask, word for word."""
        return self._by_words.get((language, plain(text)))

    def find(self, texts: Sequence[str], language: str, fills: bool = False) -> Match | None:
        """The entry asked for by the best of `texts` (readings of one utterance, best first), None below BAR.

        `fills`: the same words fill a slot, so that no keyword is needed.
        """
        best: dict[str, tuple[float, Entry]] = {}
        for rank, text in enumerate(texts[:5]):
            for raw, entry in self._search(text, language):
                if not fills and not has_keyword(entry, text, language):
                    continue
                score = raw * (1 - 0.03 * rank)
                if entry.id not in best or best[entry.id][0] < score:
                    best[entry.id] = (score, entry)
        ranked = sorted(best.values(), key=lambda b: -b[0])[:2]
        if not ranked or ranked[0][0] < BAR:
            return None
        return Match(ranked[0][1], min(1.0, ranked[0][0]), ranked[1][0] if len(ranked) > 1 else 0.0)

    def wishes(self, text: str, language: str, fills: bool = False) -> list[Match]:
        """What the parts of `text` ask for one by one, in their order, each entry once; `fills` as in `find`."""
        found: dict[str, Match] = {}
        for part in parts(text, language):
            if (match := self.find([part], language, fills)) is not None:
                found.setdefault(match.entry.id, match)
        return list(found.values())

    def _search(self, text: str, language: str) -> list[tuple[float, Entry]]:
        if language not in self._postings or not re.search(r"\w", text):
            return []
        idf, bag = self._idf[language], features(text, language)
        unknown = math.log(1 + len(self.entries))
        norm = math.sqrt(sum((w * idf.get(t, unknown * 0.6)) ** 2 for t, w in bag.items())) or 1.0
        scores: dict[int, float] = {}
        for term, weight in bag.items():
            for number, value in self._postings[language].get(term, ()):
                scores[number] = scores.get(number, 0.0) + weight * idf[term] * value / norm
        owners, mass = self._owners[language], {t: w * idf.get(t, unknown * 0.6) for t, w in bag.items()}
        total = sum(mass.values()) or 1.0
        top = sorted(scores.items(), key=lambda s: -s[1])[:8]
        found = []
        for number, score in top:
            terms = self._entry_terms[language][owners[number].id]
            covered = sum(m for t, m in mass.items() if t in terms) / total
            doubt = SHORT if len(mass) < 4 and score < 0.9 else 1.0
            found.append((doubt * (0.5 * score + 0.5 * covered), owners[number]))
        return found
