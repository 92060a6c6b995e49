"""The words of an utterance in the form that values are looked for in, and the stretches of them that say one.

Figures, signs and traditional characters are brought to one spelling first, so that "$12.50", "12.50 dollars" and
3千500块 are read by the same rules. Pure; knows nothing of slots.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from opencc import OpenCC

from ivr import readings

MAX_CHARS = 500
"""Values are looked for in so much of an utterance; what is longer is no answer to a question."""

_SIGNS = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yuan"}
_SIGNS_ZH = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元"}
_SIMPLER = str.maketrans({"〇": "零", "○": "零", "俩": "两", "廿": "二十", "卅": "三十"})
_AMOUNT = r"(\d+(?:\.\d+)?(?:\s?(?:hundred|thousand|million|万|千|百|亿))?)"

# Characters of numbers, amounts, dates and hours by how they sound. 十 stands for shi only between numerals, see below.
_SOUNDS = {
    "ling": "零", "yi": "一", "yao": "幺", "er": "二", "liang": "两", "san": "三", "si": "四", "wu": "五", "liu": "六",
    "qi": "七", "ba": "八", "jiu": "九", "shi": "十", "bai": "百", "qian": "千", "wan": "万", "dian": "点",
    "kuai": "块", "yuan": "元", "mao": "毛", "jiao": "角", "fen": "分", "nian": "年", "yue": "月", "hao": "号",
    "ri": "日", "ban": "半", "ke": "刻", "dong": "零",
}  # fmt: skip

# What recognisers write for a numeral, of characters that sentences do without; only beside a numeral it is one.
_NUMERALS_MISHEARD = {
    c: numeral
    for numeral, characters in zip(
        "十九幺五六七八四三二一百千",
        (
            "时石实食拾",
            "酒久旧玖舅救",
            "妖腰邀",
            "武舞伍",
            "陆",
            "柒骑",
            "爸巴扒捌",
            "丝思肆死",
            "伞叁",
            "尔贰",
            "伊依壹",
            "佰",
            "仟",
        ),
        strict=True,
    )
    for c in characters
}
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_NUMERALS = r"\d零一二两三四五六七八九十百千万幺点"
_MISHEARD_RUN = re.compile(
    rf"(?<=[{_NUMERALS}])[{''.join(_NUMERALS_MISHEARD)}]+|[{''.join(_NUMERALS_MISHEARD)}]+(?=[{_NUMERALS}])"
)


@dataclass(frozen=True)
class Span:
    """A value and the stretch of a normalised text that says it.

    Attributes:
        start: first character.
        end: first character behind it.
        value: canonical, as the slot's kind writes it.
        clear: the words themselves say what kind of value it is; else only the question does.
        score: 0..1, how well the words fit.
        rivals: other values that the same words may mean.
        whole: the value is said in full; else more of it may follow.
    """

    start: int
    end: int
    value: str
    clear: bool = True
    score: float = 1.0
    rivals: tuple[str, ...] = ()
    whole: bool = True


@lru_cache(maxsize=1)
def _simplified() -> OpenCC:
    """From traditional to simplified characters."""
    return OpenCC("t2s")


@lru_cache(maxsize=1_024)
def normal(text: str, language: str) -> str:
    """`text` in lower case with figures and signs spelt one way, without punctuation; Mandarin without spaces."""
    text = unicodedata.normalize("NFKC", text[:MAX_CHARS]).lower().replace("’", "'").translate(_SIMPLER)
    if language == "zh":
        text = _simplified().convert(_LONE_SURROGATES.sub(" ", text))
    text = re.sub(r"(?<=\d),(?=\d{3,4}(?!\d))" if language == "zh" else r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    for sign, name in (_SIGNS_ZH if language == "zh" else _SIGNS).items():
        text = re.sub(rf"{re.escape(sign)}\s*{_AMOUNT}", rf"\1 {name}", text)
    text = re.sub(r"(?<![\w.])-(?=\d)", "负" if language == "zh" else "minus ", text)
    text = re.sub(r"\b([ap])\.\s?m\b\.?", r"\1m", text)
    text = re.sub(r"(?<=\d)([.:])(?!\d)|(?<!\d)[.:]|[^\w'.:+]|_|\+(?!\d)", " ", text)
    text = re.sub(r"\b(\d+)\s?([ap]m|k)\b", r"\1 \2", text)
    if language == "zh":
        return re.sub(r"\s+", "", re.sub(r"(?<=[\da-z])\s+(?=[\da-z])", "\0", text)).replace("\0", " ")
    return " ".join(text.split())


@lru_cache(maxsize=1_024)
def sounding(said: str) -> str:
    """Mandarin `said` with every character that sounds like one of numbers or measures spelt as that one.

    As long as `said`, so that positions hold for both. For answers to a question only: 是 is 十 here.
    """
    syllables = readings.each(list(said))
    if len(syllables) != len(said):
        return said
    kept = frozenset(_SOUNDS.values())
    return "".join(c if c in kept else _SOUNDS.get(s, c) for c, s in zip(said, syllables, strict=True))


def numerals(said: str) -> str:
    """Mandarin `said`, as long as before, with what stands for a numeral beside another put right: 时五, 酒十."""
    return _MISHEARD_RUN.sub(lambda m: "".join(_NUMERALS_MISHEARD[c] for c in m[0]), said)
