"""What two sentences are compared by, besides their vectors: words, runs of letters or characters, and sounds.

A recogniser gets the sound right more often than the spelling, so every language has a block of terms that homophones
share: a consonant skeleton of English words, the syllables of Mandarin without tones and without what a telephone
blurs (zh and z, sh and s, ch and c, -ing and -in, -eng and -en). Traditional characters count as simplified ones, and
amounts as words like amounts in figures. Pure; any thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

from opencc import OpenCC

from ivr.understanding.expected import pinyin, plain

BLOCKS = {"en": ("word", "letters", "sound"), "zh": ("word", "sound")}
"""Blocks of terms by language. A language without a row of its own is read as English is: words between spaces."""
MAX_CHARACTERS = 500
"""What is read of a sentence."""

_NUMBERS_EN = frozenset(
    {"two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen", "twenty",
     "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million"}
)  # fmt: skip
_SKELETON = tuple(
    (re.compile(pattern), to)
    for pattern, to in (
        ("ph", "f"), ("^kn", "n"), ("^wr", "r"), ("gh", ""), ("ck", "k"), ("[cs]h|tch", "x"), ("th", "t"),
        ("c(?=[eiy])", "s"),
        ("[cqg]", "k"), ("z", "s"), ("v", "f"), ("d", "t"), ("b", "p"), ("(?<=.)[aeiouywh]", ""), (r"(.)\1+", r"\1"),
    )
)  # fmt: skip
_AS_HEARD = (("(?<=[iea])ng$", "n"), ("^([zcs])h", r"\1"), ("^n", "l"), ("^yue$", "ye"), ("^([jqx])ue$", r"\1ie"))


def blocks(language: str) -> tuple[str, ...]:
    """Names of the blocks of terms that `language` has."""
    return BLOCKS.get(language, BLOCKS["en"])


def terms(text: str, language: str) -> dict[str, list[str]]:
    """Block -> the terms of `text` in it, with repetitions."""
    if language == "zh":
        return _mandarin(simplified(text[:MAX_CHARACTERS]))
    words = ["#" if w.isdecimal() or w in _NUMBERS_EN else w for w in plain(text[:MAX_CHARACTERS]).split()]
    words = [word for word, following in pairwise([*words, ""]) if (word, following) != ("#", "#")]
    letters = [run for word in words for run in _runs(f" {word} ", 2, 5)]
    sounds = [sound(word) for word in words]
    return {"word": [*words, *_joined(words, 2)], "letters": letters, "sound": [*sounds, *_joined(sounds, 2)]}


@cache
def _converter() -> OpenCC:
    return OpenCC("t2s")


def simplified(text: str) -> str:
    """`text` with traditional characters as simplified ones."""
    return _converter().convert(text.encode("utf-8", "ignore").decode("utf-8"))


def sound(word: str) -> str:
    """The consonants of an English word as they sound, its first letter kept: `phone` and `fone` are both `fn`."""
    for pattern, to in _SKELETON:
        word = pattern.sub(to, word)
    return word


def as_heard(syllable: str) -> str:
    """What a telephone leaves of a syllable.

    zh is z, ch is c, sh is s, n- is l-, ing is in, eng is en, ang is an, yue is ye (jue jie, que qie, xue xie).
    """
    for pattern, to in _AS_HEARD:
        syllable = re.sub(pattern, to, syllable)
    return syllable


def _mandarin(text: str) -> dict[str, list[str]]:
    said = re.sub(r"\d[\d\s.,]*|[零一二两三四五六七八九十百千万亿]{2,}", " # ", plain(text))
    characters = re.findall(r"#|[a-z0-9']+|[^\Wa-z0-9']", said)
    syllables = [as_heard(s) for s in pinyin("".join(c for c in characters if not re.match("#|[a-z0-9']", c)))]
    characters_of = [*characters, *_joined(characters, 2), *_joined(characters, 3)]
    return {"word": characters_of, "sound": [*syllables, *_joined(syllables, 2), *_joined(syllables, 3)]}


def _runs(text: str, least: int, most: int) -> Iterator[str]:
    for length in range(least, most + 1):
        for start in range(len(text) - length + 1):
            yield text[start : start + length]


def _joined(items: Sequence[str], size: int) -> list[str]:
    return [" ".join(items[i : i + size]) for i in range(len(items) - size + 1)]
