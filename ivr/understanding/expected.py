"""Expected answers: yes and no, digits, choices, read from recognised words in English, Mandarin and Korean.

Pure text in, values out, and whether more must be coming (a sentence that ends on "the"). Recognisers that
decode restricted to what is expected return the value itself ("yes", "8620"); it passes through unchanged.
Mandarin words are compared by pinyin without tones, since recognisers get the sound right and the character wrong.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rapidfuzz import fuzz

from ivr import readings
from ivr.understanding.said import numerals

YES, NO, UNSURE = "yes", "no", "unsure"

# Longest first within a language: "not sure" must win over "sure", 不是 over 是.
_YES_NO: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        (r"(not|n't|never) (so |too |very |really |quite |entirely )?(sure|certain)", UNSURE),
        (r"\bnot that i (can )?(remember|recall)\b", UNSURE),
        (
            r"\bnot that i know\b|\b(absolutely|definitely|certainly|of course|sure(ly)?|indeed) (not|no)\b"
            r"|\bno way\b|\bhardly\b",
            NO,
        ),
        (r"\bno (no )?(that's|that is|it's|it is|you're) (right|correct|true)\b", YES),
        (r"\b(believe|hope|reckon|expect|imagine) so\b|\b(sort|kind) of\b|\b(could|may|might) be\b", UNSURE),
        (r"\b(i think|i guess|i suppose|probably|maybe|perhaps|possibly|might)\b", UNSURE),
        (r"\b(don't|do not|dunno|wouldn't) ?(know|remember|recall)\b|\bno idea\b|\bunsure\b|\bdunno\b", UNSURE),
        (r"\bnot (true|right|correct|me|mine|that|it|really|at all)\b|\bthat's not\b|\bit's not\b", NO),
        (
            r"\b(it|that|this|he|she) (was not|wasn't|is not|isn't|ain't)\b|\bi (would not|wouldn't)\b"
            r"|\bi (did not|didn't|do not|don't|have not|haven't)\b",
            NO,
        ),
        (r"\b(no|nope|nah|nay|negative|never|wrong|incorrect|false|uh uh)\b", NO),
        (r"\b(no problem|no doubt|why not)\b", YES),
        (r"\b(yes|yeah|yep|yup|ya|yea|aye|correct|right|sure|ok|okay|indeed|exactly|absolutely|definitely)\b", YES),
        (
            r"\b(of course|certainly|affirmative|true|uh huh|mm hmm|mhm|please do|go ahead|it is|it was|i did|i do"
            r"|i would|i will|you got it|got it|spot on|sounds good|sounds right|by all means|bingo|all right"
            r"|alright|fine"
            r"|you bet|too right|that's me|that's the one|that's it)\b",
            YES,
        ),
    ),
    "ko": (
        (r"모르|글쎄|아마", UNSURE),
        (r"아니|아뇨|안 ?돼|싫|틀", NO),
        (r"네|예|응|그래|맞|좋", YES),
    ),
}
_YES_NO_ZH: tuple[tuple[tuple[str, ...], str], ...] = (
    (("不太确定", "不确定", "不清楚", "不知道", "不记得", "说不准", "不好说", "没把握", "不太清楚"), UNSURE),
    (("好像", "可能", "也许", "大概", "想一想", "想想", "应该吧", "或许", "让我想", "是吧"), UNSURE),
    (("是不是我", "应该是", "我想是", "差不多", "不一定", "记不清", "没想好", "不敢肯定", "不肯定"), UNSURE),
    (
        ("不是", "不对", "不行", "不要", "不用", "没有", "没做", "不认识", "不可以", "错了", "不同意", "否", "从来没"),
        NO,
    ),
    (("没错", "没问题", "不错"), YES),
    (("算了", "不必", "当然不", "先别", "别了", "别弄", "别这样"), NO),
    (("不", "没"), NO),
    (
        (
            "当然",
            "就是",
            "是我",
            "肯定",
            "必须的",
            "是的",
            "对的",
            "对",
            "是",
            "嗯",
            "好的",
            "好",
            "行",
            "可以",
            "确认",
            "正确",
            "同意",
            "要",
            "有",
        ),
        YES,
    ),
)

_DIGIT_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "zero": "0", "oh": "0", "o": "0", "nought": "0", "naught": "0", "nil": "0", "one": "1", "won": "1",
        "two": "2", "to": "2", "too": "2", "three": "3", "four": "4", "for": "4", "five": "5", "six": "6",
        "seven": "7", "eight": "8", "ate": "8", "nine": "9", "niner": "9",
    },
    "ko": {
        "영": "0", "공": "0", "일": "1", "하나": "1", "이": "2", "둘": "2", "삼": "3", "셋": "3", "사": "4",
        "넷": "4", "오": "5", "다섯": "5", "육": "6", "륙": "6", "여섯": "6", "칠": "7", "일곱": "7", "팔": "8",
        "여덟": "8", "구": "9", "아홉": "9",
    },
}  # fmt: skip
_DIGIT_PINYIN = {
    "ling": "0", "dong": "0", "yi": "1", "yao": "1", "er": "2", "liang": "2", "san": "3", "si": "4", "shi": "",
    "wu": "5", "liu": "6", "qi": "7", "ba": "8", "jiu": "9",
}  # fmt: skip
# Digits as they are said over the radio, and counted: 两个八 is 88.
_OVER_RADIO = str.maketrans("洞拐勾俩", "零七九两")
_COUNTS_ZH = {"一": 1, "两": 2, "二": 2, "三": 3, "四": 4, "五": 5, "六": 6, "双": 2}
_COUNTED_ZH = re.compile(r"([一两二三四五六]|双)(?:(?<=双)|个)([零一二三四五六七八九\d])")
_TENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
MAX_CHARS = 2_000


def plain(text: str) -> str:
    """Lower case, NFKC, no punctuation but apostrophes, single spaces; at most MAX_CHARS of it."""
    text = unicodedata.normalize("NFKC", text[:MAX_CHARS]).lower().replace("’", "'")
    return re.sub(r"\s+", " ", re.sub(r"[^\w\s']|_", " ", text)).strip()


@lru_cache(maxsize=4_096)
def pinyin(text: str) -> tuple[str, ...]:
    """Syllables of `text` without tones; Latin runs and figures come lower-cased as they are."""
    return tuple(s.lower() for s in readings.toneless(plain(text).replace(" ", "")))


def yes_no(text: str, language: str) -> str:
    """`yes`, `no`, `unsure`, or empty when it is none of them. A doubtful yes is unsure, never yes."""
    said = plain(text)
    if said in (YES, NO, UNSURE):
        return said
    if language == "zh":
        english = " ".join(re.findall(r"[a-z']+", said))
        return _yes_no_zh(re.sub(r"[a-z']+", "", said)) or (yes_no(english, "en") if english else "")
    found = {value for pattern, value in _YES_NO.get(language, ()) if re.search(pattern, said)}
    if UNSURE in found:
        return UNSURE
    for pattern, value in _YES_NO.get(language, ()):
        if value != UNSURE and re.search(pattern, said):
            return value
    return ""


# Said before the answer without meaning anything; what only questions have. 是我 and the like stay answers.
_LEADING_ZH = re.compile("^(?:[啊哦噢呃额唔哎诶喂]|那个|这个|那|特别|非常|很|真)+(?=.)")
_QUESTION_ZH = re.compile(
    "^(?:有没有|是不是|能不能|可不可以|要不要|好不好|会不会|行不行|请问)|[吗呢]$|你是谁|是多少|多少钱|什么时候|在哪|为什么|怎么"
)


def _yes_no_zh(said: str) -> str:
    """Words of two characters first, as written and then as they sound (美有 is 没有); single characters last.

    A question answers nothing (你们有停车场吗 is no yes), and a single 是 or 有 means yes only at the beginning.
    """
    said = _LEADING_ZH.sub("", said.replace(" ", ""))
    if _QUESTION_ZH.search(said):
        return ""
    sounds = f" {' '.join(pinyin(said))} "
    for words, value in _YES_NO_ZH:
        if any(len(w) > 1 and (w in said or f" {' '.join(pinyin(w))} " in sounds) for w in words):
            return value
    for words, value in _YES_NO_ZH:
        found = (w for w in words if len(w) == 1)
        if any((said.startswith(w) if value == YES else w in said) or f" {pinyin(w)[0]} " == sounds for w in found):
            return value
    return ""


def digits(text: str, language: str) -> str:
    """The digits in `text`, words or figures, `double five` and 幺 included; empty when other words dominate."""
    said = plain(text)
    if language == "zh":
        return _digits_zh(said)
    words, out, other, repeat = _DIGIT_WORDS.get(language, {}), [], 0, 1
    tokens = said.replace("-", " ").split() if language != "ko" else list(said.replace(" ", ""))
    for token in tokens:
        if token.isdecimal():
            out.append(token * repeat)
        elif token in words:
            out.append(words[token] * repeat)
        elif token in ("double", "triple", "treble"):
            repeat = 3 - (token == "double")  # noqa: S105 - no secret
            continue
        elif token in _TENS:
            out.append(str(_TENS[token])[: 1 if _TENS[token] >= 20 and _next_is_unit(tokens, token, words) else None])
        elif token not in ("and", "uh", "um", "it's", "is", "the", "my", "number", "digits", "입니다", "요"):
            other += 1
        repeat = 1
    return "".join(out) if out and other <= max(1, len(out) // 2) else ""


def _next_is_unit(tokens: list[str], token: str, words: dict[str, str]) -> bool:
    index = tokens.index(token) + 1
    return index < len(tokens) and tokens[index] in words and words[tokens[index]] != "0"


def _digits_zh(said: str) -> str:
    said = numerals(said.replace(" ", "").translate(_OVER_RADIO))
    said = _COUNTED_ZH.sub(lambda m: m[2] * _COUNTS_ZH[m[1]], said)
    for filler in ("尾号是", "尾号", "号码是", "号码", "是"):
        said = said.removeprefix(filler)
    out, other = [], 0
    for syllable in pinyin(said):
        if syllable.isdecimal():
            out.append(syllable)
        elif syllable in _DIGIT_PINYIN:
            out.append(_DIGIT_PINYIN[syllable])
        else:
            other += 1
    return "".join(out) if out and other <= max(1, len(out) // 3) else ""


def choice(text: str, phrases: tuple[str, ...], language: str, bar: float = 82.0) -> tuple[str, float]:
    """The phrase that `text` says and how sure (0..1); an empty phrase when none reaches `bar` (0..100) alone."""
    said = " ".join(pinyin(text)) if language == "zh" else plain(text)
    scored = []
    for phrase in phrases:
        wanted = " ".join(pinyin(phrase)) if language == "zh" else plain(phrase)
        inside = f" {wanted} " in f" {said} "
        score = 100.0 if wanted == said else 95.0 if inside else fuzz.ratio(wanted, said)
        scored.append((score, phrase))
    scored.sort(key=lambda s: -s[0])
    if not scored or scored[0][0] < bar or not said:
        return "", 0.0
    if len(scored) > 1 and scored[1][0] > scored[0][0] - 4 and len(scored[1][1]) >= len(scored[0][1]):
        return "", 0.0
    return scored[0][1], scored[0][0] / 100


_UNFINISHED_EN = frozenset(
    [
        "a",
        "an",
        "the",
        "my",
        "your",
        "our",
        "his",
        "her",
        "their",
        "this",
        "that",
        "these",
        "those",
        "to",
        "of",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "with",
        "and",
        "or",
        "but",
        "because",
        "if",
        "so",
        "when",
        "where",
        "which",
        "who",
        "what",
        "how",
        "is",
        "are",
        "was",
        "were",
        "am",
        "be",
        "been",
        "can",
        "could",
        "will",
        "would",
        "should",
        "shall",
        "do",
        "does",
        "did",
        "have",
        "has",
        "had",
        "i",
        "i'm",
        "i'd",
        "you",
        "we",
        "want",
        "need",
        "like",
        "near",
        "about",
        "into",
        "than",
        "then",
        "as",
        "not",
        "please",
        "uh",
        "um",
        "er",
    ]
)
_UNFINISHED_ZH = (
    "的", "在", "和", "跟", "把", "给", "我", "我想", "我要", "请问", "是", "想", "要", "从", "离", "到", "那个",
    "这个", "因为", "所以", "但是", "还有", "如果", "帮我", "查询", "办理", "你们", "嗯", "呃",
)  # fmt: skip
_QUESTION_ENDS_EN = ("what time is it", "where is it", "how much is it", "where are you", "how are you", "yes i am",
                     "what can you do", "what can i do", "who are you", "what is that")  # fmt: skip


def breaks_off(text: str, language: str) -> bool:
    """Whether the words stop where nobody stops: after an article, a preposition, 的, "I want to"."""
    said = plain(text)
    if not said:
        return False
    if language == "zh":
        return said.replace(" ", "").endswith(_UNFINISHED_ZH)
    if said.endswith(_QUESTION_ENDS_EN):
        return False
    return said.rsplit(" ", 1)[-1] in _UNFINISHED_EN


_FILLERS = {
    "en": re.compile(
        r"(?:(?:u+h+|u+h*m+|e+r+m*|a+h+|e+h|h*m+|oh+|huh|well|so|what|sorry|pardon(?: me)?|excuse me)(?: |$))+"
    ),
    "zh": re.compile("(?:[嗯恩呃额啊阿哦噢喔唔哎诶欸呣]|那个|这个|就是|什么|不好意思)+"),
}


def hesitates(text: str, language: str) -> bool:
    """Whether `text` is only what people say while they look for words (um, 那个): no value and no question."""
    said, fillers = plain(text), _FILLERS.get(language)
    return fillers is not None and bool(fillers.fullmatch(said.replace(" ", "") if language == "zh" else said))


_BACK_CHANNELS: dict[str, frozenset[str]] = {
    "en": frozenset(("uh", "huh", "mm", "hmm", "mhm", "hm", "okay", "ok", "right", "all", "alright", "sure", "fine",
                     "good", "yeah", "yes", "yep", "i", "see", "got", "it", "go", "on", "oh", "ah", "aha")),
    "zh": frozenset(("en", "ng", "n", "hao", "de", "dui", "shi", "o", "a", "ai", "ei", "xing", "zhi", "dao", "le",
                     "ming", "bai", "ba")),
    "ko": frozenset(("네", "예", "응", "음", "아", "그래요", "그렇군요")),
}  # fmt: skip


def back_channel(text: str, language: str) -> bool:
    """Whether `text` only says "go on, I listen" (mm-hm, okay, 嗯, 好的): it counts only where nothing was asked."""
    said = pinyin(text) if language == "zh" else tuple(plain(text).split())
    return 0 < len(said) <= 4 and all(word in _BACK_CHANNELS.get(language, ()) for word in said)
