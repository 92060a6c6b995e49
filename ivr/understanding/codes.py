"""Codes of letters and digits as they are spelt aloud, written `AB12`, and telephone numbers.

English letters come as letters, as recognisers spell their names ("bee", "see"), by the ICAO alphabet or as "b as in
bravo"; Mandarin callers say English letters by sound (诶, 西) or count with 甲乙丙丁. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

from ivr.understanding import numbers
from ivr.understanding.said import Span

_ICAO = (
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima", "mike",
    "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray", "yankee",
    "zulu",
)  # fmt: skip
_LETTER_NAMES = {
    **{word: word[0] for word in _ICAO}, "alfa": "a", "juliett": "j", "whisky": "w",
    "ay": "a", "eh": "a", "bee": "b", "be": "b", "cee": "c", "see": "c", "sea": "c", "dee": "d", "ee": "e", "ef": "f",
    "eff": "f", "gee": "g", "aitch": "h", "haitch": "h", "eye": "i", "jay": "j", "kay": "k", "el": "l", "ell": "l",
    "em": "m", "en": "n", "oh": "o", "pee": "p", "pea": "p", "cue": "q", "queue": "q", "are": "r", "ar": "r",
    "ess": "s", "tee": "t", "tea": "t", "you": "u", "vee": "v", "ex": "x", "why": "y", "zee": "z", "zed": "z",
}  # fmt: skip
# What recognisers write for a letter or a digit inside a code.
_MISHEARD = {
    "said": "z",
    "set": "z",
    "free": "3",
    "tree": "3",
    "to": "2",
    "too": "2",
    "for": "4",
    "ate": "8",
    "won": "1",
}
_AS_IN = re.compile(r"\b([a-z]|[a-z]{2,5}) (?:as in|for|like|4|four) ([a-z]{3,})\b")
_RUN_TOGETHER = re.compile(r"[b-df-hj-np-tv-xz]{2,3}|(?!is|my|it|at|of|in|on|so|an|as|or|no|do|go|if|up|he|we)[a-z]{2}")
_FILLERS = frozenset(
    {
        "it's",
        "its",
        "is",
        "the",
        "my",
        "code",
        "number",
        "reference",
        "it",
        "and",
        "then",
        "dash",
        "hyphen",
        "uh",
        "um",
        "capital",
        "small",
        "upper",
        "lower",
        "case",
        "letter",
        "slash",
        "space",
    }
)

_LETTERS_ZH = {
    "诶": "a", "欸": "a", "哎": "a", "比": "b", "必": "b", "逼": "b", "西": "c", "弟": "d", "迪": "d", "地": "d",
    "伊": "e", "意": "e", "艾弗": "f", "爱抚": "f", "基": "g", "鸡": "g", "艾尺": "h", "爱": "i", "艾": "i", "杰": "j",
    "开": "k", "艾勒": "l", "爱欧": "l", "艾姆": "m", "恩": "n", "嗯": "n", "欧": "o", "批": "p", "皮": "p",
    "扣": "q", "丘": "q", "阿尔": "r", "啊": "r", "艾丝": "s", "爱丝": "s", "提": "t", "踢": "t", "优": "u", "维": "v",
    "达不溜": "w", "达不流": "w", "打不溜": "w", "艾克斯": "x", "爱克斯": "x", "歪": "y", "外": "y", "贼": "z",
    "贼德": "z", "甲": "a", "乙": "b", "丙": "c", "丁": "d", "戊": "e",
}  # fmt: skip
_SYMBOLS_ZH = {**_LETTERS_ZH, **{c: str(i) for i, c in enumerate("零一二三四五六七八九")}, "幺": "1", "两": "2"}
_PROVINCES_ZH = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
"""Of number plates; a code begins with one of them when a Latin letter follows."""
_CODE_ZH = re.compile(
    f"(?:[{_PROVINCES_ZH}](?= ?[a-z]))?(?:[a-z0-9]| |" + "|".join(sorted(_SYMBOLS_ZH, key=len, reverse=True)) + ")+"
)

_SHORTEST_PHONE, _LONGEST_PHONE = 3, 15
"""Digits of a telephone number: emergency and short codes; ITU-T E.164, section 6.2."""


def codes(said: str, language: str) -> Iterator[Span]:
    """Letters and digits in a row in the normalised text `said`; none is clear without the question."""
    yield from (_codes_zh if language == "zh" else _codes_en)(said)


def phones(said: str, language: str, country: str) -> Iterator[Span]:
    """Telephone numbers in `said`: digits, with `+` when international. Clear when `country` knows such a number."""
    for span in numbers.digit_strings(said, language):
        value = "+" + span.value[2:] if span.value.startswith("00") and len(span.value) > 9 else span.value
        if language == "zh" and said[: span.start].endswith("加"):
            value = "+" + value
        known = bool(country) and bool(full := international(value, country))
        value = full if known else value
        if known or (not country and _SHORTEST_PHONE <= len(value.lstrip("+")) <= _LONGEST_PHONE):
            yield Span(span.start, span.end, value, clear=known, whole=known)


def international(digits: str, country: str) -> str:
    """The number as ITU-T E.164 writes it, `+8613800138000`, dialled in `country` (ISO 3166); empty when none is."""
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return ""
    valid = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if valid else ""


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B); false for other text."""
    if not (digits.isascii() and digits.isdecimal()):
        return False
    doubled = (int(d) * 2 if i % 2 else int(d) for i, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _codes_en(said: str) -> Iterator[Span]:
    said = re.sub(r"\bdouble (?:u|you)\b", lambda m: "w".ljust(len(m[0])), said.replace("x ray", "xray "))
    said = _AS_IN.sub(lambda m: m[2][0] + " " * (len(m[0]) - 1) if _letter(m[1]) in (m[2][0], "") else m[0], said)
    words = [(m.start(), m.end(), m[0]) for m in re.finditer(r"\S+", said)]
    code, with_n, start, end, repeat = "", "", -1, -1, 1
    for begins, ends, word in [*words, (len(said), len(said), "")]:
        symbols = _symbols_en(word, bool(code))
        if word in ("double", "triple", "treble"):
            repeat = 2 if word == "double" else 3
        elif symbols and word != "and":
            start = start if code else begins
            symbols = symbols[0] * (repeat - 1) + symbols
            code, with_n, end, repeat = code + symbols, with_n + symbols, ends, 1
        elif word == "and":
            with_n += "n"
        elif not (code and word in _FILLERS):
            if code:
                yield Span(start, end, code.upper(), clear=False, rivals=_rivals(code.upper(), with_n.upper()))
            code, with_n, repeat = "", "", 1


def symbols_of(word: str) -> str:
    """The letters and digits that one English word spells inside a code, in lower case; empty for other words."""
    return _symbols_en(word, inside=True)


def _letter(word: str) -> str:
    return word if len(word) == 1 and word.isalnum() else _LETTER_NAMES.get(word, "")


def _symbols_en(word: str, inside: bool) -> str:
    """The letters and digits that a word spells, empty for other words; `inside` a code more words do."""
    if re.fullmatch(r"\d+|[a-z]{1,4}\d+[a-z\d]*|\d+[a-z]{1,3}", word):
        return word
    if inside and word in _MISHEARD:
        return _MISHEARD[word]
    if word in numbers.UNITS:
        return str(numbers.UNITS[word])
    if word in numbers.TEENS or word in numbers.TENS:
        return str(numbers.TEENS.get(word) or numbers.TENS[word])
    return _letter(word) or (word if inside and _RUN_TOGETHER.fullmatch(word) else "")


def _rivals(code: str, with_n: str) -> tuple[str, ...]:
    """An O may be a zero, and an "and" may have been an N."""
    return tuple(dict.fromkeys(r for r in (with_n, code.replace("O", "0")) if r != code))


def _latin_zh(said: str) -> str:
    """Mandarin `said` with English letters told by words as the letters alone, as long as before: A像apple的A, 双u."""
    said = re.sub(r"([a-z])像[a-z]+的?(?:\1(?![a-z]))?", lambda m: m[1].ljust(len(m[0])), said)
    said = re.sub(r"大写|小写|字母", "  ", said.replace("双u", "w "))
    return re.sub(r"[a-z]{3,}", lambda m: (_LETTER_NAMES.get(m[0]) or m[0]).ljust(len(m[0])), said)


def _codes_zh(said: str) -> Iterator[Span]:
    for match in _CODE_ZH.finditer(_latin_zh(said)):
        out, rest = "", match[0].strip()
        while rest:
            symbol = next(s for n in (3, 2, 1) if (s := rest[:n]) in _SYMBOLS_ZH or n == 1)
            out += _SYMBOLS_ZH.get(symbol, symbol.strip())
            rest = rest[len(symbol) :]
        if out:
            yield Span(*match.span(), out.upper(), clear=False)
