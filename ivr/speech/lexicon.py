"""The few words that a yes, a no or a digit is said with, in English, Mandarin and Korean.

Recognisers restrict themselves to them and turn what was heard into its canonical form: `yes`, `no`, `unsure`, a digit
string. Mandarin is compared by toneless pinyin, since at 8 kHz nearly every recognition error is a homophone.
Pure; any thread; knows nothing of engines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ivr import readings
from ivr.turn import Expectation

YES_NO: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "yes": (
            "yes", "yeah", "yep", "yup", "ya", "yea", "sure", "correct", "that's right", "that is right", "of course",
            "absolutely", "exactly", "definitely", "certainly", "indeed", "affirmative", "you're right", "all right",
            "ok", "okay", "alright", "uh-huh", "mm-hmm", "i do", "i did", "it is", "it was", "i am", "i have", "i can",
            "that's me", "it's me", "right yes", "that's correct", "true", "please do", "yes please",
        ),
        "no": (
            "no", "nope", "nah", "no way", "never", "not", "wrong", "incorrect", "negative", "absolutely not",
            "i don't", "i didn't", "i did not", "i do not", "it isn't", "it's not", "it wasn't", "that's not right",
            "that's wrong", "not me", "no thanks", "no thank you", "isn't", "wasn't", "don't", "didn't", "can't",
            "haven't", "never mind",
        ),
        "unsure": (
            "i think so", "i don't know", "don't know", "i'm not sure", "not sure", "maybe", "perhaps", "i guess",
            "possibly", "probably", "not certain", "can't remember", "don't remember", "let me think", "dunno",
            "not quite sure", "not really sure", "could be", "might be", "hard to say", "i forgot", "no idea",
        ),
    },
    "zh": {
        "yes": (
            "是", "是的", "对", "对的", "没错", "没错的", "嗯", "嗯是", "是我", "好", "好的", "好啊", "可以", "行",
            "没问题", "当然", "正确", "确定", "确认", "是啊", "对啊", "对对", "要", "需要", "有", "同意", "是本人",
        ),
        "no": (
            "不", "不是", "不对", "没有", "没", "不要", "不用", "不行", "不可以", "不好", "错", "错了", "不需要",
            "不同意", "否", "不是我", "不是的", "不认识", "从来没有", "没做过", "不正确",
        ),
        "unsure": (
            "不确定", "不太确定", "不知道", "不清楚", "不太清楚", "好像是", "好像", "想一想", "想想", "可能", "也许",
            "大概", "不记得", "忘了", "不好说", "说不准", "应该是",
        ),
    },
    "ko": {
        "yes": ("네", "예", "맞아요", "맞습니다", "그래요", "그렇습니다", "좋아요", "네 맞습니다", "예 맞습니다"),
        "no": ("아니요", "아니오", "아뇨", "아니", "아닙니다", "틀려요", "틀렸습니다", "안 돼요", "싫어요"),
        "unsure": ("모르겠어요", "모르겠습니다", "글쎄요", "잘 모르겠습니다", "아마"),
    },
}  # fmt: skip

WEIGHED_YES_NO: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "yes": ("yes", "yeah", "yep", "sure", "correct", "that's right"),
        "no": ("no", "nope", "no way", "nah", "wrong", "no, no"),
        "unsure": ("I don't know", "I think so", "not sure", "maybe"),
    },
    "zh": {
        "yes": ("是", "是的", "对", "对的", "没错", "好的", "嗯", "嗯是我", "是我", "是我本人"),
        "no": ("不", "不是", "不对", "没有", "不要", "不是我", "不是的", "不是我本人"),
        "unsure": ("不知道", "我不知道", "不确定", "我不太确定", "好像是吧", "我想一想"),
    },
}
"""The answers that a recogniser without a grammar weighs against each other: few, as each costs time."""

WEIGHED_FIRST = {"zh": ("是", "是的", "对", "没错", "嗯", "不是", "不对", "没有", "不知道", "不确定")}
"""Those weighed alone first, where weighing all takes long. None may begin an answer of another meaning."""

PUNCTUATION = " .,!?;:-…。，、！？；："

DIGIT_NAMES = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "zh": ("零", "一", "二", "三", "四", "五", "六", "七", "八", "九"),
}

SPOKEN_DIGITS = {
    "en": (*DIGIT_NAMES["en"], "oh", "double", "triple"),
    "zh": (*DIGIT_NAMES["zh"], "幺", "两"),
}

DIGITS: dict[str, dict[str, str]] = {
    "en": {
        "zero": "0", "oh": "0", "o": "0", "nought": "0", "one": "1", "two": "2", "three": "3", "four": "4",
        "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    },
    "zh": {
        "零": "0", "〇": "0", "洞": "0", "一": "1", "幺": "1", "二": "2", "两": "2", "三": "3", "四": "4", "五": "5",
        "六": "6", "七": "7", "八": "8", "九": "9",
    },
    "ko": {
        "영": "0", "공": "0", "일": "1", "이": "2", "삼": "3", "사": "4", "오": "5", "육": "6", "륙": "6", "칠": "7",
        "팔": "8", "구": "9", "하나": "1", "둘": "2", "셋": "3", "넷": "4", "다섯": "5", "여섯": "6", "일곱": "7",
        "여덟": "8", "아홉": "9",
    },
}  # fmt: skip

_ENGLISH_TENS = {
    "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15",
    "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19", "twenty": "2", "thirty": "3",
    "forty": "4", "fifty": "5", "sixty": "6", "seventy": "7", "eighty": "8", "ninety": "9",
}  # fmt: skip
_STRONG_YES = frozenset({"yes", "yeah", "yep", "yup", "yea", "correct", "absolutely", "definitely", "exactly"})
_ENGLISH_HOMOPHONES = {"to": "2", "too": "2", "for": "4", "ate": "8", "won": "1", "fore": "4", "tree": "3"}
_FILLERS = frozenset(
    {"and", "the", "is", "it's", "its", "uh", "um", "er", "my", "number", "then", "dash", "a", "oh", "well"}
)
_MANDARIN_PINYIN = {
    "ling": "0", "dong": "0", "yi": "1", "yao": "1", "er": "2", "liang": "2", "san": "3", "si": "4", "wu": "5",
    "liu": "6", "qi": "7", "ba": "8", "jiu": "9",
}  # fmt: skip
_NOT_WORD = re.compile(r"[^\w' -]+")


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return [w.strip("'-") for w in _NOT_WORD.sub(" ", text.lower().replace("’", "'")).split() if w.strip("'-")]


@lru_cache(maxsize=4_096)
def pinyin(text: str) -> tuple[str, ...]:
    """Toneless pinyin syllables of the characters in `text`; figures as Mandarin digits, everything else dropped."""
    plain = "".join("零一二三四五六七八九"[int(c)] if c in "0123456789" else c for c in text)
    return tuple(readings.toneless("".join(c for c in plain if "\u4e00" <= c <= "\u9fff" or c == "〇")))


def _contains(whole: Sequence[str], part: Sequence[str]) -> bool:
    size = len(part)
    return size > 0 and any(tuple(whole[i : i + size]) == tuple(part) for i in range(len(whole) - size + 1))


def yes_or_no(text: str, language: str) -> str:
    """`yes`, `no`, `unsure`, or empty when the text is none of them.

    Words of doubt win over a no, a no over a yes: a refusal must never be taken for consent.
    """
    lexicon = YES_NO.get(language)
    if lexicon is None:
        return ""
    if language == "zh":
        return _mandarin_yes_or_no(text)
    if language != "en":
        return _spaceless_yes_or_no(text, lexicon)
    words = words_of(text)
    found = {kind: any(_contains(words, words_of(p)) for p in lexicon[kind]) for kind in lexicon}
    if found["unsure"]:
        return "unsure"
    if found["no"]:
        conflict = words and words[0] in {"yes", "yeah", "yep", "sure"}
        return "unsure" if conflict else "no"
    return "yes" if found["yes"] and _agrees(words) else ""


def _spaceless_yes_or_no(text: str, lexicon: dict[str, tuple[str, ...]]) -> str:
    """Korean: engines put spaces between morphemes, so none count. Short words only as a whole or at the beginning."""
    said = "".join(words_of(text))
    for kind in ("unsure", "no", "yes"):
        for phrase in lexicon[kind]:
            wanted = phrase.replace(" ", "")
            if said == wanted or said.startswith(wanted) or (len(wanted) > 2 and wanted in said):
                return kind
    return ""


def _agrees(words: list[str]) -> bool:
    """Whether English words that hold agreement are one: it comes first, or nothing else is said. Not "okay, let's"."""
    if words[0] in _STRONG_YES or any(_contains(words, words_of(p)) for p in ("that's right", "that's correct")):
        return True
    left = " ".join(words)
    for phrase in sorted(YES_NO["en"]["yes"], key=len, reverse=True):
        left = re.sub(rf"(^| ){re.escape(' '.join(words_of(phrase)))}(?= |$)", " ", left)
    return not set(left.split()) - _FILLERS


def _mandarin_yes_or_no(text: str) -> str:
    """Doubt wins; 没错 and 没问题 agree; any other 不 or 没 is a no; what is left may agree."""
    syllables = pinyin(text)
    lexicon = YES_NO["zh"]
    if any(_sounds_in(syllables, pinyin(p)) for p in lexicon["unsure"]):
        return "unsure"
    for agreeing in ("没错", "没问题", "不错"):
        if _contains(syllables, pinyin(agreeing)):
            return "yes"
    if any(_contains(syllables, pinyin(p)) for p in ("没听", "听不清", "不好意思", "对不起")):
        return ""
    if "不" in text or "没" in text or syllables[:1] in {("bu",), ("mei",)}:
        return "no"
    if any(_contains(syllables, pinyin(p)) for p in lexicon["no"] if len(p) > 1 or len(syllables) <= 2):
        return "no"
    if text.rstrip(PUNCTUATION).endswith(("吗", "呢", "什么", "多少", "哪里", "怎么样")):
        return ""
    agrees = [pinyin(p) for p in lexicon["yes"]]
    if any(syllables == p or (len(p) > 1 and syllables[: len(p)] == p) for p in agrees):
        return "yes"
    return "yes" if syllables[:1] in {("shi",), ("dui",)} and len(syllables) <= 8 else ""


def _sounds_in(whole: Sequence[str], part: Sequence[str]) -> bool:
    """`part` in `whole`; of four syllables or more, one may be another."""
    if len(part) < 4:
        return _contains(whole, part)
    starts = range(len(whole) - len(part) + 1)
    return any(sum(a != b for a, b in zip(whole[i:], part, strict=False)) <= 1 for i in starts)


def digits_of(text: str, language: str) -> tuple[str, bool]:
    """The digit string said in `text`, and whether nothing but digits (and fillers) was said.

    English: `oh` is 0, `double five` 55, `triple seven` 777, `twenty three` 23. Mandarin by pinyin, 幺 is 1.
    """
    if language == "zh":
        return _mandarin_digits(text)
    if language == "en":
        return _english_digits(text)
    table = DIGITS.get(language, {})
    out, clean, rest = "", True, re.sub(r"[\s.,-]+", "", text)
    by_length = sorted(table, key=len, reverse=True)
    while rest:
        word = next((w for w in by_length if rest.startswith(w)), "")
        out += table.get(word, rest[0] if rest[0].isdigit() else "")
        clean = clean and (bool(word) or rest[0].isdigit())
        rest = rest[len(word) or 1 :]
    return out, clean and bool(out)


def _english_digits(text: str) -> tuple[str, bool]:
    out, clean, repeat, tens = "", True, 1, False
    for word in words_of(text.replace("-", " ")):
        if word in {"double", "triple"}:
            repeat, tens = (2 if word == "double" else 3), False
            continue
        digit = DIGITS["en"].get(word) or _ENGLISH_HOMOPHONES.get(word) or (word if word.isdigit() else "")
        if word in _ENGLISH_TENS:
            digit = _ENGLISH_TENS[word]
            out += digit if len(digit) == 2 else digit + "0"
            tens, repeat = len(digit) == 1, 1
            continue
        if not digit:
            clean = clean and word in _FILLERS
            continue
        out = (out[:-1] if tens and len(digit) == 1 and digit != "0" else out) + digit * repeat
        tens, repeat = False, 1
    return out, clean and bool(out)


def _mandarin_digits(text: str) -> tuple[str, bool]:
    syllables = pinyin(text)
    digits = [_MANDARIN_PINYIN.get(s, "") for s in syllables]
    return "".join(digits), all(digits) and bool(digits)


def canonical(text: str, expectation: Expectation) -> str:
    """`text` in the form a restricted expectation asks for: `yes`, digits, one of the phrases; empty when it is none.

    Open and date answers stay as they are.
    """
    if expectation.kind == "yes_no":
        return yes_or_no(text, expectation.language)
    if expectation.kind == "digits":
        digits, clean = digits_of(text, expectation.language)
        return digits if clean else ""
    if expectation.kind == "choice":
        return phrase_of(text, expectation.phrases, expectation.language)
    return text


def phrase_of(text: str, phrases: Sequence[str], language: str) -> str:
    """The longest of `phrases` that `text` holds, by words (Mandarin: by pinyin; Korean: without spaces), or empty."""
    for phrase in sorted(phrases, key=len, reverse=True):
        if language in ("en", "zh"):
            units = pinyin if language == "zh" else words_of
            held = _contains(units(text), units(phrase))
        else:
            held = "".join(words_of(phrase)) in "".join(words_of(text))
        if held:
            return phrase
    return ""
