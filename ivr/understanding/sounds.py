"""How words sound: Mandarin syllables and how easily one is taken for another, English words by their consonants.

The closeness of two syllables is that of their initials and finals, each by how it is articulated; the figures follow
what recognisers of telephone speech mix up (in and ing, n and l, zh and z, ian and ie). Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from ivr import readings

_FIGURES = str.maketrans("0123456789", "零一二三四五六七八九")

# Initials that are near one another, and how far (0 same, 1 nothing in common).
_NEAR_INITIALS = {
    0.15: "zh-z ch-c sh-s",
    0.25: "n-l f-h j-zh q-ch x-sh",
    0.35: "b-p d-t g-k j-q zh-ch z-c r-l -r x-s q-c j-z zh-c ch-z",
    0.5: "sh-ch s-c x-q zh-sh z-s x-j r-n m-n h-k h-g f-s f-sh r-zh r-sh",
    0.6: "p-t b-d k-t g-d t-ch t-q t-c d-zh d-j d-z f-p f-b m-b c-f q-sh j-sh -h -n -l -x",
}  # fmt: skip
_FAR_INITIAL = 0.9

# Finals as medial, vowel and coda; `y` is the vowel of zi and zhi.
_FINALS = {
    "a": ("", "a", ""), "o": ("u", "o", ""), "e": ("", "e", ""), "ai": ("", "a", "i"), "ei": ("", "e", "i"),
    "ao": ("", "a", "u"), "ou": ("", "o", "u"), "an": ("", "a", "n"), "en": ("", "e", "n"), "ang": ("", "a", "g"),
    "eng": ("", "e", "g"), "ong": ("u", "o", "g"), "er": ("", "e", "r"), "i": ("i", "", ""), "ia": ("i", "a", ""),
    "ie": ("i", "e", ""), "iao": ("i", "a", "u"), "iou": ("i", "o", "u"), "ian": ("i", "e", "n"), "in": ("i", "", "n"),
    "iang": ("i", "a", "g"), "ing": ("i", "", "g"), "iong": ("v", "o", "g"), "u": ("u", "", ""), "ua": ("u", "a", ""),
    "uo": ("u", "o", ""), "uai": ("u", "a", "i"), "uei": ("u", "e", "i"), "uan": ("u", "a", "n"),
    "uen": ("u", "e", "n"), "uang": ("u", "a", "g"), "ueng": ("u", "e", "g"), "v": ("v", "", ""), "ve": ("v", "e", ""),
    "van": ("v", "a", "n"), "vn": ("v", "", "n"), "-i": ("", "y", ""), "ê": ("", "e", ""), "io": ("i", "o", ""),
}  # fmt: skip
_NEAR_PARTS = {
    "medial": {"iv": 0.4, "uv": 0.6, "u": 0.5, "i": 0.7, "v": 0.9, "iu": 0.9},
    "vowel": {"e": 0.3, "eo": 0.4, "ae": 0.5, "ao": 0.6, "y": 0.6, "ey": 0.4, "o": 0.5, "a": 0.8},
    "coda": {"gn": 0.25, "g": 0.6, "n": 0.6, "i": 0.6, "u": 0.6, "r": 0.5},
}
_PART_WEIGHTS = {"medial": 0.45, "vowel": 0.55, "coda": 0.45}


def syllables(said: str) -> tuple[str, ...]:
    """One toneless syllable for each character of `said`; figures as Mandarin digits, other characters as they are."""
    found = readings.each(said.translate(_FIGURES))
    return tuple(found) if len(found) == len(said) else tuple(said)


@lru_cache(maxsize=1_024)
def _initials_apart(a: str, b: str) -> float:
    if a == b:
        return 0.0
    either = {f"{a}-{b}", f"{b}-{a}"}
    return next((far for far, pairs in _NEAR_INITIALS.items() if either & set(pairs.split())), _FAR_INITIAL)


@lru_cache(maxsize=2_048)
def _finals_apart(a: str, b: str) -> float:
    if a == b:
        return 0.0
    parts = zip(_PART_WEIGHTS, _FINALS.get(a, ("?", a, "?")), _FINALS.get(b, ("?", b, "?")), strict=True)
    far = 0.0
    for part, x, y in parts:
        if x != y:
            far += _PART_WEIGHTS[part] * _NEAR_PARTS[part].get("".join(sorted(x + y)), 1.0)
    return min(1.0, far)


def _articulated(syllable: str) -> tuple[str, str] | None:
    """Initial and final, None for what is no Mandarin syllable."""
    if not (syllable.isascii() and syllable.isalpha()) or (len(syllable) == 1 and syllable not in "aeo"):
        return None
    return readings.initial_and_final(syllable)


def apart(a: str, b: str) -> float:
    """How far two syllables are from one another, 0 (alike) to 1."""
    if a == b:
        return 0.0
    first, second = _articulated(a), _articulated(b)
    if first is None or second is None:
        return 1.0
    return 0.5 * _initials_apart(first[0], second[0]) + 0.5 * _finals_apart(first[1], second[1])


@lru_cache(maxsize=2_048)
def distances(alphabet: tuple[str, ...], heard: str) -> np.ndarray:
    """Distances of every syllable of `alphabet` from `heard`, float32; not to be written to."""
    return np.array([apart(known, heard) for known in alphabet], dtype=np.float32)


_KEY_RULES = (
    (r"[^a-z]", ""), (r"^(?:kn|gn|pn)", "n"), (r"^wr", "r"), (r"(?<=[^aeiou])re$", "er"), (r"e$", ""), (r"igh", "i"),
    (r"ph", "f"), (r"tch|ch|sh|zh|j|g(?=[ei])", "x"),
    (r"ck|q|c(?![eiy])|k", "k"), (r"[szc]", "s"), (r"th|t|d", "t"), (r"[bp]", "b"), (r"[vf]", "f"), (r"gh?", "k"),
    (r"[wh]", ""), (r"[aeiouy]+", "a"), (r"[nm]+", "n"), (r"(.)\1+", r"\1"),
)  # fmt: skip


@lru_cache(maxsize=50_000)
def key_of(word: str) -> str:
    """A key that English words of like sound share: consonants in classes, vowels as one."""
    for pattern, by in _KEY_RULES:
        word = re.sub(pattern, by, word)
    return word
