"""Numbers in words, figures or both, in English and Mandarin, and strings of digits.

Pure. English words fall into as many numbers as they say ("two hundred eighty nine fifty" is 289 and 50); what they
mean together, an amount or a year, is for the reader of that kind to say. Mandarin drops the last unit: 两万五 is
25000.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import cn2an

from ivr.understanding.said import Span

UNITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
TEENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_SCALES = {"thousand": 1_000, "grand": 1_000, "million": 1_000_000, "billion": 1_000_000_000, "k": 1_000}
_VALUES = {**UNITS, **TEENS, **TENS}
_DIGIT_WORDS = {
    **{word: str(value) for word, value in UNITS.items()},
    "oh": "0", "o": "0", "nought": "0", "naught": "0", "nil": "0", "niner": "9",
}  # fmt: skip
_REPEATED = {"double": 2, "triple": 3, "treble": 3}
_MISHEARD_DIGITS = {"to": "2", "too": "2", "for": "4", "fore": "4", "ate": "8", "won": "1", "tree": "3"}

_VALUE = r"(?:\d+(?:\.\d+)?|" + "|".join(sorted(_VALUES, key=len, reverse=True)) + r")\b"
_MORE = r"(?:hundred|thousand|grand|million|billion|k|dozen|point|oh)\b"
RUN = (
    rf"(?:(?:a|half a)\s(?=(?:hundred|thousand|million|dozen)\b)"
    rf"|(?<!few )(?<!several )\b(?:hundred|thousand)\b|\b{_VALUE}|point\s(?=\w))"
    + (rf"(?:\s?(?:and\sa\shalf\b|(?:and\s)?(?:{_VALUE}|{_MORE})))*+")
)
"""Pattern of English words and figures that belong to numbers."""
RUN_ZH = r"[\d零一二两三四五六七八九十百千万亿点.]*[\d零一二两三四五六七八九十百千万亿]"
"""Pattern of a Mandarin number, characters and figures mixed."""

LARGEST = Decimal(10) ** 15
_NUMERALS_ZH = "零一二三四五六七八九"
_DIGITS_ZH = {**{c: str(i) for i, c in enumerate(_NUMERALS_ZH)}, "幺": "1", "两": "2"}


class _Reader:
    """Adds up English number words; a word that cannot belong to the number so far begins another."""

    def __init__(self) -> None:
        self.done: list[Decimal] = []
        self._total: Decimal | None = None
        self._group = Decimal(0)
        self._room = 0
        self._point = False
        self._fraction = ""

    def add(self, value: Decimal) -> None:
        if self._point and value < 10:
            self._fraction += str(int(value))
        elif self._total is not None and 0 < value < self._room:
            self._group += value
            self._room = 10 if value in TENS.values() and value >= 20 else 1
        else:
            self.close()
            self._total, self._group = Decimal(0), value
            self._room = 10 if value in TENS.values() else 1

    def scale(self, by: int) -> None:
        self._total = self._total or Decimal(0)
        if by == 100:
            self._group = (self._group or Decimal(1)) * 100
        elif by == 12:
            self._group = (self._group or Decimal(1)) * 12
        else:
            fraction = Decimal(f"0.{self._fraction}") if self._fraction else Decimal(0)
            self._total += ((self._group or Decimal(1)) + fraction) * by
            self._group, self._fraction, self._point = Decimal(0), "", False
        self._room = 1 if by == 12 else by

    def half(self) -> None:
        self._group += Decimal("0.5")
        self._room = 0

    def point(self) -> None:
        if self._point:
            self.close()
        if self._total is None:
            self._total = Decimal(0)
        self._point = True

    def close(self) -> None:
        if self._total is not None:
            fraction = Decimal(f"0.{self._fraction}") if self._fraction else Decimal(0)
            self.done.append(self._total + self._group + fraction)
        self._total, self._group, self._room, self._point, self._fraction = None, Decimal(0), 0, False, ""


@lru_cache(maxsize=1_024)
def english(run: str) -> tuple[Decimal, ...]:
    """The numbers that a RUN of English words says, in order; each below LARGEST, else none at all."""
    reader, words = _Reader(), run.split()
    for at, word in enumerate(words):
        if word in _VALUES:
            reader.add(Decimal(_VALUES[word]))
        elif word == "oh":
            reader.add(Decimal(0))
        elif word == "hundred":
            reader.scale(100)
        elif word == "dozen":
            reader.scale(12)
        elif word in _SCALES:
            reader.scale(_SCALES[word])
        elif word == "point":
            reader.point()
        elif word == "half":
            reader.half() if at > 1 else reader.add(Decimal("0.5"))
        elif word not in ("a", "and"):
            reader.add(Decimal(word))
    reader.close()
    return tuple(reader.done) if all(n < LARGEST for n in reader.done) else ()


@lru_cache(maxsize=1_024)
def mandarin(run: str) -> Decimal | None:
    """The number that a RUN_ZH says, None when it is none or too large."""
    run = run.strip("点.")
    try:
        if re.fullmatch(r"[零一二两三四五六七八九]{2,}", run):
            value = Decimal("".join(_DIGITS_ZH[c] for c in run))
        elif re.fullmatch(r"\d+(\.\d+)?", run):
            value = Decimal(run)
        else:
            value = Decimal(str(cn2an.cn2an(run, "smart")))
    except (ValueError, InvalidOperation, KeyError):
        return None
    return value if value < LARGEST else None


def plain_decimal(value: Decimal) -> str:
    """Without exponent and trailing zeros: `12.5`, `3500`."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def numbers(said: str, language: str) -> Iterator[Span]:
    """Numbers in the normalised text `said`; none is clear, as any of them may count something."""
    if language == "zh":
        for found in re.finditer(rf"(负|零下)?(?:(?P<of>{RUN_ZH})分之)?({RUN_ZH}|半(?=个|$))(个?半)?", said):
            value = Decimal("0.5") if found[3] == "半" else mandarin(found[3])
            if found["of"] and found["of"] != "百" and value is not None:
                value = _share(value, mandarin(found["of"]))
            if value is not None:
                value += Decimal("0.5") if found[4] and value < 100 else 0
                yield Span(*found.span(), plain_decimal(-value if found[1] else value), clear=False)
        return
    for found in _PARTS_EN.finditer(said):
        count = _COUPLE if found["couple"] else _parts(found["run"], found["part"])
        if count is not None:
            yield Span(*found.span(), plain_decimal(count), clear=False)
    for found in re.finditer(rf"\b(minus |negative )?({RUN})(?! (?:thirds?|quarters?|halves)\b)", said):
        values = english(found[2])
        if len(values) == 1:
            yield Span(*found.span(), plain_decimal(-values[0] if found[1] else values[0]), clear=False)
        elif len(values) == 2 and values[0] < 10 and 20 <= values[1] < 100:
            # "two fifty" counted, not paid, is two hundred and fifty.
            yield Span(*found.span(), plain_decimal(values[0] * 100 + values[1]), clear=False, score=0.7)


_COUPLE = Decimal(2)
_PARTS_EN = re.compile(rf"(?<!and )\b(?:(?P<couple>a couple)|(?P<run>{RUN}|an?) (?P<part>half|halves|quarters?)\b)")


def _parts(run: str, part: str) -> Decimal | None:
    """Three quarters; None when more than one number is said."""
    values = (Decimal(1),) if run in ("a", "an") else english(run)
    return values[0] / (2 if part.startswith("hal") else 4) if len(values) == 1 and values[0] < 100 else None


def _share(count: Decimal, of: Decimal | None) -> Decimal | None:
    """四分之三; None for what has no end in decimals, like a third."""
    value = count / of if of else None
    return value if value is not None and value == round(value, 4) else None


def digit_strings(said: str, language: str) -> Iterator[Span]:
    """Strings of digits said one by one or in small numbers ("double five", "twenty one", 幺三八), not clear."""
    if language == "zh":
        for found in re.finditer(r"\+?[\d零一二三四五六七八九幺两](?: ?[\d零一二三四五六七八九幺两])*", said):
            yield Span(*found.span(), _spelt(found[0].replace(" ", "")), clear=False)
        return
    words = [(m.start(), m.end(), m[0]) for m in re.finditer(r"\S+", said)]
    at = 0
    while at < len(words):
        digits, behind = _digits_from([w for _, _, w in words], at)
        if digits:
            yield Span(words[at][0], words[behind - 1][1], digits, clear=False)
        at = max(behind, at + 1)


def _spelt(run: str) -> str:
    return "".join(_DIGITS_ZH.get(c, c) for c in run)


def _digits_from(words: Sequence[str], start: int) -> tuple[str, int]:
    """The digits that begin at word `start`, and the word behind them. "to" and "for" count between digits only."""
    out, at = "", start
    while at < len(words):
        word, following = words[at], words[at + 1] if at + 1 < len(words) else ""
        if word in _REPEATED and (following in _DIGIT_WORDS or following.isdecimal()):
            digits = _DIGIT_WORDS.get(following, following)
            out += digits[0] * _REPEATED[word] + digits[1:]
            at += 2
            continue
        if word == "plus" and not out and (following.isdecimal() or following in _DIGIT_WORDS):
            out = "+"
        elif re.fullmatch(r"\+?\d+", word):
            out += word if not out else word.lstrip("+")
        elif word in _DIGIT_WORDS and (word != "o" or out):
            out += _DIGIT_WORDS[word]
        elif word in TEENS:
            out += str(TEENS[word])
        elif word in TENS:
            joined = following in UNITS and following != "zero"
            out += str(TENS[word] + UNITS[following]) if joined else str(TENS[word])
            at += joined
        elif word == "hundred" and out and out[-1] != "0":
            out += "00"
        elif out and word in _MISHEARD_DIGITS and (following in _DIGIT_WORDS or following.isdecimal()):
            out += _MISHEARD_DIGITS[word]
        else:
            break
        at += 1
    return (out, at) if out.strip("+") else ("", start + 1)
