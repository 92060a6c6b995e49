"""How Mandarin characters are read: pypinyin's dictionaries, with what a bank's words are read otherwise.

The only place that touches them, for they are one for the whole process: the same words are read alike in every
process, in whatever order its parts are used. The first reading takes 0.3 s and 30 MB, so that a process which reads no
Mandarin pays nothing. Any thread may read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

# Words whose characters are read otherwise than the dictionaries say.
_READINGS = {
    "我行": "wǒ háng",
    "本行": "běn háng",
    "他行": "tā háng",
    "跨行": "kuà háng",
    "支行": "zhī háng",
    "分行": "fēn háng",
    "总行": "zǒng háng",
    "行号": "háng hào",
    "行长": "háng zhǎng",
    "重拨": "chóng bō",
    "重说": "chóng shuō",
    "重听": "chóng tīng",
    "还款": "huán kuǎn",
    "还清": "huán qīng",
    "还有": "hái yǒu",
    "还是": "hái shì",
    "还要": "hái yào",
    "降息": "jiàng xī",
    "调整": "tiáo zhěng",
}


@cache
def _dictionary():
    import pypinyin.contrib.tone_convert
    import pypinyin.seg.mmseg

    pypinyin.load_phrases_dict({word: [[syllable] for syllable in read.split()] for word, read in _READINGS.items()})
    return pypinyin


def toneless(text: str | Sequence[str]) -> list[str]:
    """Syllables of `text` without tones, a run of other characters as one; of a sequence, each text read by itself."""
    return _dictionary().lazy_pinyin(text)


def each(text: str | Sequence[str]) -> list[str]:
    """As `toneless`, but of other characters each stands alone, so that mostly one comes for every character."""
    return _dictionary().lazy_pinyin(text, errors=list)


def numbered(text: str, spoken: bool = False) -> list[str]:
    """Syllables with their tones as figures, the neutral one 5: `hao3`. `spoken`: as tones change within words."""
    pypinyin = _dictionary()
    return pypinyin.lazy_pinyin(
        text, style=pypinyin.Style.TONE3, neutral_tone_with_five=True, tone_sandhi=spoken
    )  # fmt: skip


def words(text: str) -> list[str]:
    """`text` cut into the words that the dictionaries know, the longest first, and single characters."""
    return list(_dictionary().seg.mmseg.seg.cut(text))


@lru_cache(maxsize=2_048)
def initial_and_final(syllable: str) -> tuple[str, str]:
    """The two parts of a toneless syllable, ü as v: `lüe` is `l` and `ve`."""
    convert = _dictionary().contrib.tone_convert
    return convert.to_initials(syllable), convert.to_finals(syllable, v_to_u=False)
