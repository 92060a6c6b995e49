"""Text made ready for voices that cannot read it: runs of one script, and Hanzi written as pinyin.

espeak-ng's usable Mandarin voice (`cmn-latn-pinyin`) reads numbered pinyin, not characters. Pure functions; the first
call of `pinyin` loads pypinyin's dictionaries (0.3 s), so it belongs in the voice's child process.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3007"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
_SCRIPTS = {"zh": re.compile(f"[{_HAN}]"), "ko": re.compile(f"[{_HANGUL}]"), "en": re.compile(r"[A-Za-z\u00c0-\u024f]")}
_PUNCTUATION = str.maketrans("，、；：。！？（）【】《》「」『』“”‘’—…～", ",,,,.!?" + "," * 2 + " " * 12 + ",,,")
_COUNTING = frozenset("第十零〇一二三四五六七八九幺两周期初之")
_MEASURES = frozenset(
    "百千万亿个位种年分张笔次天家条项步遍份小刻点元块毛封部页门句类批期件套台间层只支双对瓶杯周秒倍名下些"
)

# Words whose characters are read otherwise than the dictionaries say.
_READINGS = {
    "我行": "wo3 hang2",
    "本行": "ben3 hang2",
    "他行": "ta1 hang2",
    "跨行": "kua4 hang2",
    "支行": "zhi1 hang2",
    "分行": "fen1 hang2",
    "总行": "zong3 hang2",
    "行号": "hang2 hao4",
    "行长": "hang2 zhang3",
    "重拨": "chong2 bo1",
    "重说": "chong2 shuo1",
    "重听": "chong2 ting1",
    "还款": "huan2 kuan3",
    "还清": "huan2 qing1",
    "还有": "hai2 you3",
    "还是": "hai2 shi4",
    "还要": "hai2 yao4",
    "降息": "jiang4 xi1",
    "调整": "tiao2 zheng3",
}


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


@cache
def _dictionary():
    """pypinyin's functions with the readings above loaded."""
    import pypinyin.seg.mmseg  # a second of start-up that only a process which speaks Mandarin pays

    pypinyin.load_phrases_dict({word: [[_marked(s)] for s in read.split()] for word, read in _READINGS.items()})
    return pypinyin


def _marked(syllable: str) -> str:
    """`hao3` as `hǎo`, the form in which pypinyin takes readings."""
    from pypinyin.contrib.tone_convert import tone3_to_tone

    return tone3_to_tone(syllable)


def syllables(text: str) -> list[list[str]]:
    """The words of `text`, each as numbered pinyin (neutral tone 5) as it is spoken; what is no Hanzi stays as it is.

    Tone changes within words, of 一 and of 不 are written out; espeak-ng itself makes the third tones of
    neighbouring words agree.
    """
    pypinyin = _dictionary()
    words = [
        (word, pypinyin.lazy_pinyin(word, style=pypinyin.Style.TONE3, neutral_tone_with_five=True, tone_sandhi=True))
        for word in pypinyin.seg.mmseg.seg.cut(text)
    ]
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
