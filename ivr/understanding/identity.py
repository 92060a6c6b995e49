"""How likely it is that what was heard is a value that is known: a name, a code, a date, digits of a record.

The comparison is a hypothesis test, not an equality. A score is a log-likelihood ratio in nats: how much likelier the
recogniser's readings are when the caller says the expected value than when somebody says anything else of that kind.
Above 0 speaks for it, below 0 against it, and scores of different values add up. Symbols are laid along one another;
those whose names sound alike (B and D, M and N, 5 and I) cost less, and what was not said at all costs little, so that
half a birth date is weaker evidence and no contradiction. Every reading of the n-best list counts, later ones less.
Pure; knows nothing of dialogs, records or thresholds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ivr.understanding import codes, dates, numbers, sounds
from ivr.understanding.said import normal

Kind = Literal["name", "code", "date", "digits"]

LEAST, MOST = -6.0, 9.0
"""Bounds of one value's score: a recogniser that fails refutes nobody, and a name alone proves nobody."""

_READINGS, _LATER = 20, 0.15
_WEIGHED_READINGS, _NEXT_READING = 10, 2.0
_DECOY = 0.005
_LEAST_DIGITS = 2
_MOST_SYMBOLS = 48
_BROKEN_OFF = -3.0

# Of a line-up: the score of a date no likelier than all others together and as likely as what was read; what a nat of
# distance to the others, one under what was read, and one of the readings' own score is worth. Logistic regressions of
# synthetic callers against impostors of whom one in fifteen says a date that nearly sounds alike
# (`ivr.bench.birth_dates`).
_LINE_UP = {"en": (4.2, 0.6, 0.3, 0.5), "zh": (6.2, 0.85, 0.2, 0.45)}

# Symbols whose English names, or sounds in a word, are taken for one another over a telephone.
_ALIKE_NAMES = ("bcdegptvz3", "fsx", "mn", "ahjk8", "iy5", "o0", "quw2", "r1", "l", "4f", "7s", "i19", "6s", "ae")
_ALIKE_SOUNDS = ("aeiouy", "bp", "dt", "ckqg", "gj", "szcx", "fv", "mn", "lr", "wvu", "hk")


@dataclass(frozen=True)
class _Channel:
    """What it is worth, in nats, that a symbol was heard as it is, as one alike, as another, not at all, or besides.

    `same` is ln(P(heard right) / P(by chance)), 1/36 for letters and digits, 1/10 for digits; words are less
    independent of one another, letter by letter, than symbols that are spelt.
    """

    same: float
    alike: float
    other: float
    missing: float
    extra: float
    light: str = ""
    """Symbols that count half when they are missing or besides."""


_SPELT = _Channel(math.log(0.8 * 36), -0.4, -2.6, -1.6, -1.2)
_DIGITS = _Channel(math.log(0.85 * 10), -0.8, -2.6, -1.6, -1.4, light="0")
_DATE_DIGITS = _Channel(1.5, -0.9, -1.8, -1.8, -1.6, light="0")
_LETTERS = _Channel(1.5, -0.3, -1.8, -1.2, -0.9, light="aeiouyhw")
_SYLLABLES = _Channel(math.log(0.7 * 60), -0.2, -2.6, -1.6, -1.0)


def score(kind: Kind, expected: str, readings: Sequence[tuple[str, float]], language: str) -> float:
    """The log-likelihood ratio of `readings` (text, confidence; best first) for the value, LEAST to MOST, in nats.

    `expected` as records keep it: a name as written, a code of letters and digits, an ISO date, digits. Nothing heard
    is no evidence: 0.
    """
    heard = [(normal(text, language), later) for later, (text, _) in enumerate(readings[:_READINGS]) if text.strip()]
    found = [value - _LATER * later for said, later in heard if (value := _of(kind, expected, said, language))]
    return round(min(MOST, max(LEAST, *found)), 3) if found else 0.0


def weighed(kind: Kind, expected: str, readings: Sequence[tuple[str, float]], language: str) -> tuple[float, int]:
    """(log-likelihood ratio, rank) of an answer that may be asked for again: its scores add up, in nats.

    Somebody who says another value says it again the next time, so that `score`s of repeated answers do not add up.
    Here the value stands against decoys: whatever else of its kind was read, each of which one in `1 / _DECOY` would
    say. So near misses that are read clearly speak against it, however often. A reading further down the list counts
    `e^-2` of the one before; digits, whose recogniser tells shares, count by those, and only against what was read
    better. Rank: the place of the reading that is the value, 1 the best, 0 for none. Nothing heard that could be of the
    kind is no evidence: (0, 0).
    """
    heard = [(normal(text, language), sure) for text, sure in readings[:_WEIGHED_READINGS] if text.strip()]
    heard = [(said, _later(kind, place, sure, heard[0][1])) for place, (said, sure) in enumerate(heard)]
    own = canonical(kind, expected)
    read = [values_in(kind, said, language) for said, _ in heard]
    rank = next((place for place, values in enumerate(read, 1) if own in values), 0)
    ahead = read[:rank] if kind == "digits" and rank else read
    decoys = {value for values in ahead if own not in values for value in values}
    if not decoys and not rank and not any(_of(kind, expected, said, language) for said, _ in heard if kind == "date"):
        return 0.0, 0

    def likelihood(value: str) -> float:
        return max(_of(kind, value, said, language) - later for said, later in heard)

    rest = math.fsum(math.exp(likelihood(value)) for value in decoys)
    return round(likelihood(expected) - math.log1p(_DECOY * rest), 3), rank


def among(expected: str, line_up: Sequence[tuple[str, float]], language: str, read: float) -> float:
    """The log-likelihood ratio of a date that was weighed in a line-up: (ISO date, nats above what was read freely).

    It speaks for the expected date as far as that lies above all others of the line-up together, and against it as far
    as it lies under what was read, so that a date which is not in the line-up gains nothing by that. `read`: what
    `weighed` makes of the readings; a date that is no likelier than all others together counts for no more than that,
    so that nothing is gained either where little could be read at all.
    """
    heard = dict(line_up)
    own = heard.pop(expected)
    most = max(heard.values())
    apart = own - most - math.log(math.fsum(math.exp(other - most) for other in heard.values()))
    first, by_margin, by_lead, by_text = _LINE_UP[language]
    text = min(MOST, max(LEAST, read))
    likely = first + by_margin * apart + by_lead * min(0.0, own) + by_text * text
    if apart < 0:
        likely = min(likely, max(0.0, read))
    return round(min(MOST, max(LEAST, likely)), 3)


def values_in(kind: Kind, said: str, language: str) -> tuple[str, ...]:
    """Every whole value of a kind in the normalised text `said`: ISO dates, or letters and digits in a row."""
    if kind == "date":
        return _dates_in(said, language).whole
    if kind == "digits":
        rows = (span.value.lstrip("+") for span in numbers.digit_strings(said, language))
        return tuple(row for row in rows if len(row) >= _LEAST_DIGITS)
    row = symbols(said, language)
    return (row,) if any(symbol.isdecimal() for symbol in row) else ()


def canonical(kind: Kind, value: str) -> str:
    """`value` of a record as `values_in` writes it."""
    return value if kind == "date" else re.sub(r"\W", "", value.lower())


def _later(kind: Kind, place: int, sure: float, best: float) -> float:
    """What a reading's place costs it, in nats."""
    if kind != "digits" or not 0 < sure <= best < 1:
        return _NEXT_READING * place
    return math.log(best / sure)


@lru_cache(maxsize=4_096)
def _of(kind: Kind, expected: str, said: str, language: str) -> float:
    match kind:
        case "date":
            return _date(expected, said, language)
        case "name":
            return _name(expected, said, language)
        case _:
            channel = _DIGITS if kind == "digits" else _SPELT
            return _laid(re.sub(r"\W", "", expected.lower()), symbols(said, language), channel)


def symbols(said: str, language: str) -> str:
    """Letters and digits that the normalised text may spell, in lower case; of other words the first letter.

    Whoever has no spelling alphabet at hand makes one up: "Marry", "Judy".
    """
    out, times = "", 1
    if language == "zh":
        return "".join(span.value for span in codes.codes(said, "zh")).lower()
    for word in said.split():
        if word in ("double", "triple"):
            times = 2 if word == "double" else 3
            continue
        spelt = codes.symbols_of(word)
        out += (spelt[0] * (times - 1) + spelt) if spelt else word[0] if word.isalpha() else ""
        times = 1
    return out[:_MOST_SYMBOLS]


def _name(expected: str, said: str, language: str) -> float:
    """Letters of the name along those that were heard, as a word or spelt; Mandarin names by their syllables."""
    if language == "zh":
        return _laid(sounds.syllables(normal(expected, "zh")), sounds.syllables(said)[:_MOST_SYMBOLS], _SYLLABLES)
    heard = re.sub(r"[^a-z]", "", said)[:_MOST_SYMBOLS]
    return _laid(re.sub(r"[^a-z]", "", normal(expected, "en")), heard, _LETTERS)


def _laid(expected: Sequence[str], heard: Sequence[str], channel: _Channel) -> float:
    """The best sum of what the channel says of every symbol; what was said before and behind is free.

    A semi-global alignment (Sellers, J. Algorithms 1, 1980). What breaks off at the end is missing at half its cost.
    """
    if not expected or not heard:
        return 0.0
    row = [0.0] * (len(heard) + 1)
    broken_off = best = -math.inf
    for at, symbol in enumerate(expected):
        missing = channel.missing * (0.5 if symbol in channel.light or (at and expected[at - 1] == symbol) else 1.0)
        row, above = [row[0] + missing], row
        for i, other in enumerate(heard):
            extra = channel.extra * (0.5 if other in channel.light or (i and heard[i - 1] == other) else 1.0)
            said = above[i] + _heard_as(symbol, other, channel)
            row.append(max(said, above[i + 1] + missing, row[i] + extra))
        left = len(expected) - at - 1
        broken_off = max(broken_off, row[-1] + max(left * channel.missing / 2, _BROKEN_OFF))
        best = max(row)
    return max(best, broken_off)


def _heard_as(symbol: str, other: str, channel: _Channel) -> float:
    if symbol == other:
        return channel.same
    if len(symbol) > 1 or len(other) > 1:
        return channel.same * (1 - 2.5 * far) if (far := sounds.apart(symbol, other)) < 0.4 else channel.other
    return channel.alike if _alike(symbol, other, channel is _LETTERS) else channel.other


@lru_cache(maxsize=4_096)
def _alike(a: str, b: str, as_sounds: bool) -> bool:
    return any(a in group and b in group for group in _ALIKE_NAMES + (_ALIKE_SOUNDS if as_sounds else ()))


# Dates --------------------------------------------------------------------------------------------------------------

# ln(P(heard right) / P(by chance)) for one of 31 days, 12 months, some 90 years; and what another value is worth, when
# it is easily taken for this one and when it is not.
_DAY, _MONTH, _YEAR = (3.3, -0.6, -2.8), (2.4, -1.0, -2.4), (4.3, -0.6, -3.2)


def _date(expected: str, said: str, language: str) -> float:
    """The best of: a whole date in the words, parts of one, the figures in a row."""
    year, month, day = (int(part) for part in expected.split("-"))
    heard = _dates_in(said, language)
    found = [_whole(year, month, day, *parts) for parts in heard.read]
    if len(heard.figures) >= 4:
        rows = {f"{day:02}{month:02}{year}", f"{day}{month}{year}", f"{day:02}{month:02}{year % 100:02}"}
        rows |= {f"{year}{month:02}{day:02}"}
        found += [_laid(row, heard.figures[:_MOST_SYMBOLS], _DATE_DIGITS) for row in rows]
    return max(found, default=0.0)


@dataclass(frozen=True)
class _Dates:
    """What of dates there is in some words.

    `whole`: ISO dates as they are best read; `read`: year, month and day of each and of its rivals, 0 for a part that
    was not said; `figures`: those in a row.
    """

    whole: tuple[str, ...]
    read: tuple[tuple[int, int, int], ...]
    figures: str


@lru_cache(maxsize=4_096)
def _dates_in(said: str, language: str) -> _Dates:
    spans = list(dates.dates(said, language, ""))
    read = [tuple(map(int, value.split("-"))) for span in spans for value in (span.value, *span.rivals)]
    figures = "".join(span.value.lstrip("+") for span in numbers.digit_strings(said, language))
    return _Dates(tuple(span.value for span in spans), (*read, dates.parts(said, language)), figures)  # type: ignore[arg-type]


def _whole(year: int, month: int, day: int, y: int, m: int, d: int) -> float:
    total = 0.0
    for wanted, heard, (same, alike, other) in ((year, y, _YEAR), (month, m, _MONTH), (day, d, _DAY)):
        if heard:
            near = sum(a != b for a, b in zip(f"{wanted:04}", f"{heard:04}", strict=True)) == 1
            near = near or heard == (wanted - 10) * 10 or wanted == (heard - 10) * 10  # thirteen and thirty
            total += same if heard == wanted else alike if near else other
    return total
