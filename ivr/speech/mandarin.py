"""Text made ready for voices that cannot read it: runs of one script, and Hanzi written as pinyin.

espeak-ng's usable Mandarin voice (`cmn-latn-pinyin`) reads numbered pinyin, not characters. Pure functions; the first
call of `pinyin` loads the dictionaries (0.3 s), so it belongs in the voice's child process.
"""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import NamedTuple

from ivr import readings

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3007"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
_SCRIPTS = {"zh": re.compile(f"[{_HAN}]"), "ko": re.compile(f"[{_HANGUL}]"), "en": re.compile(r"[A-Za-z\u00c0-\u024f]")}
_HANZI = re.compile(f"[{_HAN}]+")
_ENGLISH = {"x": "sh", "q": "ch", "zh": "j", "z": "dz", "c": "ts"}
_INITIALS = re.compile("^(zh|x|q|z|c(?!h))")
_PUNCTUATION = str.maketrans("，、；：。！？（）【】《》「」『』“”‘’—…～", ",,,,.!?" + "," * 2 + " " * 12 + ",,,")
_COUNTING = frozenset("第十零〇一二三四五六七八九幺两周期初之")
_MEASURES = frozenset(
    "百千万亿个位种年分张笔次天家条项步遍份小刻点元块毛封部页门句类批期件套台间层只支双对瓶杯周秒倍名下些"
)


class Run(NamedTuple):
    """A stretch of text in one language."""

    language: str
    text: str


def runs(text: str, language: str) -> tuple[Run, ...]:
    """`text` cut where the script changes: Hanzi in an English sentence go to the Mandarin voice and so on.

    Digits, punctuation and everything else stay with what came before, at the beginning with what follows.
    """
    found: list[list[str]] = []
    for character in text:
        own = next((name for name, pattern in _SCRIPTS.items() if pattern.match(character)), "")
        if not own and found:
            own = found[-1][0]
        if found and found[-1][0] in (own, ""):
            found[-1][0] = own
            found[-1][1] += character
        else:
            found.append([own, character])
    return tuple(Run(own or language, part) for own, part in found if part.strip())


def for_english_ears(text: str) -> str:
    """`text` with its Hanzi as words that a voice which knows only English says nearly right: 小明 is Shiaoming."""

    def word(characters: str) -> str:
        read = (_INITIALS.sub(lambda m: _ENGLISH[m[0]], syllable) for syllable in readings.toneless(characters))
        return "".join(read).capitalize()

    said = _HANZI.sub(lambda m: f" {' '.join(map(word, readings.words(m[0])))} ", text)
    return re.sub(r"\s+([,.;:!?]|$)", r"\1", re.sub(" {2,}", " ", said)).strip()


def syllables(text: str) -> list[list[str]]:
    """The words of `text`, each as numbered pinyin (neutral tone 5) as it is spoken; what is no Hanzi stays as it is.

    Tone changes within words, of 一 and of 不 are written out; espeak-ng itself makes the third tones of
    neighbouring words agree.
    """
    words = [(word, readings.numbered(word, spoken=True)) for word in readings.words(text)]
    characters = "".join(word for word, _ in words)
    flat = [s for word, read in words for s in (read if len(read) == len(word) else [*read, *[""] * len(word)])]
    if len(flat) != len(characters):
        return [read for _, read in words]
    _change_tones(characters, flat)
    ends = list(accumulate((len(word) for word, _ in words), initial=0))
    return [flat[first:last] for first, last in pairwise(ends)]


def _change_tones(characters: str, read: list[str]) -> None:
    """一 and 不 by what follows them: second tone before a fourth, 一 fourth before the others.

    一 keeps its first tone in ordinals, dates, digit strings and at the end.
    """
    for index, character in enumerate(characters[:-1]):
        following, tone = characters[index + 1], read[index + 1][-1:]
        if character == "不" and read[index] == "bu4" and tone == "4":
            read[index] = "bu2"
        elif character == "一" and read[index][:2] == "yi":
            if following in "月日号楼" or (index and characters[index - 1] in _COUNTING):
                read[index] = "yi1"
            elif read[index] == "yi1" and following in _MEASURES:
                read[index] = "yi2" if tone == "4" or following == "个" else "yi4"


def pinyin(text: str) -> str:
    """`text` as numbered pinyin with ASCII punctuation, as espeak-ng's `cmn-latn-pinyin` reads it."""
    parts = [" ".join(word).translate(_PUNCTUATION).strip() for word in syllables(text)]
    joined = " ".join(part for part in parts if part)
    return re.sub(r"\s+([,.!?])", r"\1", joined)
