"""What a caller answers who was asked which of two things they meant: "the second one", "block it", 后一个.

Pure; runs on the recogniser's thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ivr.turn import Wish
from ivr.understanding import expected
from ivr.understanding.knowledge import features

NEITHER = -1
"""Also a yes, which says nothing here, and a no, which is no goodbye."""
_PLACES: Mapping[str, tuple[re.Pattern[str], re.Pattern[str]]] = {
    "en": (
        re.compile(r"\b(?:first|former|number one)\b"),
        re.compile(r"\b(?:second|latter|last|number two)\b"),
    ),
    "zh": (re.compile("第[一1]|前一个|前面|前者|头一个"), re.compile("第[二2]|后一个|后面|后者|最后")),
    "ko": (re.compile("첫 ?번째|앞"), re.compile("두 ?번째|뒤")),
}
_NEITHER: Mapping[str, re.Pattern[str]] = {
    "en": re.compile(r"\b(?:neither|none of|not? either)\b"),
    "zh": re.compile("都不|两个都没"),
}
_SHORT = {"zh": 4, "en": 12}
"""A yes or a no with more characters has something behind it that counts."""
_LEAST = 0.6
"""Weight of the words that only one of the two names has, from which they choose it; 1 is an English word."""
NEARLY_ALL = 0.7
"""Share of what was said, from which it is that name and not another wish that has a word in common with it."""


def by_place(text: str, language: str) -> int | None:
    """0 for the first, 1 for the second, NEITHER; None when nothing of the kind is said."""
    said = expected.plain(text)
    if language in _PLACES:
        named = [number for number, pattern in enumerate(_PLACES[language]) if pattern.search(said)]
        if len(named) == 1:
            return named[0]
    short = len(said) <= _SHORT.get(language, _SHORT["zh"]) and expected.yes_no(said, language)
    return NEITHER if short or (language in _NEITHER and _NEITHER[language].search(said)) else None


def by_name(between: Sequence[Wish], text: str, language: str, share: float = 0.0) -> int | None:
    """The number of the one whose name has words in it, by spelling or sound, that the other's has not.

    Those words have to be at least this `share` of what was said, 0 to 1.
    """
    said = features(text, language)
    names = [features(wish.called, language) for wish in between]
    weights = [
        sum(min(said[term], name[term]) for term in said.keys() & name.keys() - names[1 - number].keys())
        for number, name in enumerate(names)
    ]
    best = max(range(len(weights)), key=weights.__getitem__)
    least = max(_LEAST, share * sum(said.values()))
    return best if weights[best] >= least and weights[best] > 2 * weights[1 - best] else None
