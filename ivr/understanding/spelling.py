"""What was said written anew from how it sounds: recognisers and keyboards write words as others that sound so.

Mandarin becomes the likeliest words that sound as what was written, at a cost for every character that changes: more
where only the sound on a telephone is the same than where the whole syllable is. Words are those of the examples and
the 13,000 of the vocabulary that sentence vectors read by, with its probabilities. Of other languages a word that
neither knows becomes the word of the examples that sounds alike and is written most like it: "ballance" is "balance".
Pure.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache

from rapidfuzz.distance import Levenshtein

from ivr import readings
from ivr.understanding import e5
from ivr.understanding.expected import plain
from ivr.understanding.features import MAX_CHARACTERS, as_heard, simplified, sound

_LONGEST = 4
_HAN = "[\u4e00-\u9fff]+"
_WORD = "[A-Za-z]{3,}"
_WRITTEN_ALIKE = 0.5
"""Share of a word's letters that have to be those of the word it is taken for."""
_EXAMPLE_WORD = -10.5
"""Log-probability of a pair of characters of the examples: that of a common word."""
_EXAMPLE_CHARACTERS = -4.0
"""That of all single characters of the examples together; words are likelier than characters."""
_UNKNOWN = -16.0
_SAME_SOUND, _LIKE_SOUND = 3.0, 6.0
"""What a character costs that is written as another with the same syllable and tone, or that a telephone blurs."""
_HOMOPHONES = 3
"""Words of one sound that are looked at, likeliest first."""

Word = tuple[float, str]


class Speller:
    """Writes what was said as the words it sounds like; reads only, once it is made.

    Attributes:
        written: what it was made of, see `written`.
    """

    def __init__(self, written: Mapping[str, float], language: str) -> None:
        self.written = written
        if language == "zh":
            _common_by_sound()  # a second, before anybody waits for an answer
            self._sounding = _by_sound(written)
        else:
            self._alike = _alike(written)
        self._mandarin = language == "zh"

    def respelled(self, text: str) -> str:
        """The first MAX_CHARACTERS of `text`, in the likeliest words that sound so; Mandarin simplified."""
        if self._mandarin:
            return re.sub(_HAN, lambda run: self._respelled(run[0]), simplified(text[:MAX_CHARACTERS]))
        return re.sub(_WORD, lambda word: self._known(word[0]), text[:MAX_CHARACTERS])

    def _known(self, word: str) -> str:
        said = word.lower()
        if said in self.written or f"{e5.SPACE}{said}" in e5.opened()[0].pieces:
            return word
        near = [
            (Levenshtein.normalized_similarity(said, known), self.written[known], known)
            for known in self._alike.get(sound(said), ())
        ]
        likeness, _, known = max(near, default=(0.0, 0.0, word))
        return known if likeness >= _WRITTEN_ALIKE else word

    def _respelled(self, run: str) -> str:
        tones, heard = readings.numbered(run), [as_heard(s) for s in readings.toneless(run)]
        best: list[Word] = [(0.0, "")]
        for end in range(1, len(run) + 1):
            found: list[Word] = []
            for start in range(max(0, end - _LONGEST), end):
                before, said = best[start]
                as_it_is = self._likely(run[start:end])
                if as_it_is is not None or end - start == 1:
                    found.append((before + (_UNKNOWN if as_it_is is None else as_it_is), said + run[start:end]))
                for sounds, cost in ((tones, _SAME_SOUND), (heard, _LIKE_SOUND)):
                    for likely, word in self._sounds(" ".join(sounds[start:end])):
                        changed = sum(a != b for a, b in zip(word, run[start:end], strict=True))
                        found.append((before + likely - cost * changed, said + word))
            best.append(max(found))
        return best[-1][1]

    def _likely(self, word: str) -> float | None:
        known = [likely for likely in (self.written.get(word), _common().get(word)) if likely is not None]
        return max(known, default=None)

    def _sounds(self, sounds: str) -> list[Word]:
        return sorted({*self._sounding.get(sounds, ()), *_common_by_sound().get(sounds, ())})[: -_HOMOPHONES - 1 : -1]


def written(texts: Iterable[str], language: str) -> dict[str, float]:
    """The words of `texts` with log-probabilities; of Mandarin single characters and their pairs."""
    singles: Counter[str] = Counter()
    found: dict[str, float] = {}
    for text in texts:
        if language != "zh":
            singles.update(plain(text).split())
            continue
        for run in re.findall(_HAN, simplified(text)):
            singles.update(run)
            found |= dict.fromkeys((run[at : at + 2] for at in range(len(run) - 1)), _EXAMPLE_WORD)
    share = _EXAMPLE_CHARACTERS if language == "zh" else 0.0
    return found | {single: share + math.log(n / singles.total()) for single, n in singles.items()}


def _alike(words: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Words by how they sound."""
    found: dict[str, list[str]] = {}
    for word in sorted(words):
        found.setdefault(sound(word), []).append(word)
    return {key: tuple(each) for key, each in found.items()}


@cache
def _common() -> dict[str, float]:
    """Words of the vocabulary in simplified characters, with their log-probabilities."""
    vocabulary, _ = e5.opened()
    found: dict[str, float] = {}
    for piece, number in vocabulary.pieces.items():
        word = piece.removeprefix(e5.SPACE)
        if len(word) <= _LONGEST and re.fullmatch(_HAN, word):
            found[word] = max(vocabulary.scores[number], found.get(word, -math.inf))
    return {word: likely for word, likely in found.items() if simplified(word) == word}


@cache
def _common_by_sound() -> dict[str, tuple[Word, ...]]:
    return _by_sound(_common())


def _by_sound(words: Mapping[str, float]) -> dict[str, tuple[Word, ...]]:
    """Words by their syllables with tones, and by what a telephone leaves of them, the likeliest first."""
    found: dict[str, list[Word]] = {}
    for word, likely in words.items():
        for sounds in _sounds_of(word):
            found.setdefault(sounds, []).append((likely, word))
    return {sounds: tuple(sorted(each, reverse=True)[:_HOMOPHONES]) for sounds, each in found.items()}


def _sounds_of(word: str) -> frozenset[str]:
    toneless = " ".join(as_heard(s) for s in readings.toneless(word))
    return frozenset((" ".join(readings.numbered(word)), toneless))
