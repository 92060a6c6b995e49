"""The value that is expected among others of its kind, some of which sound like it: what a recogniser listens for.

Sorted, so that their order tells nothing; the same whenever they are made of the same value and key, so that repeated
questions do not either. Pure; knows nothing of recognisers and scores.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import random
from collections.abc import Sequence

_DIGITS, _DATES = 10, 9
_ALIKE = ("15", "59", "04", "06", "27", "38", "67", "89")
# Days, months and last figures of years that sound alike.
_DAYS = {
    "en": ((13, 30), (5, 15), (5, 9), (4, 14), (6, 16), (7, 17), (9, 19), (20, 28), (2, 10), (8, 18), (3, 13)),
    "zh": ((4, 10), (10, 14), (1, 7), (6, 9), (11, 17), (16, 19), (20, 24), (26, 29), (21, 27), (13, 30), (2, 12)),
}
_MONTHS = {
    "en": ((6, 7), (3, 5), (9, 11), (11, 12), (1, 2), (4, 8), (10, 11)),
    "zh": ((4, 10), (1, 7), (6, 9), (2, 12), (3, 10), (2, 8), (11, 12), (5, 9)),
}
_YEARS = {
    "en": ((5, 9), (1, 9), (6, 7), (4, 5), (2, 3), (0, 8)),
    "zh": ((1, 7), (6, 9), (0, 4), (2, 8), (3, 4), (2, 5)),
}
_FIRST, _SPAN_DAYS = datetime.date(1930, 1, 1), 29_000


def digits(value: str, key: bytes) -> tuple[str, ...]:
    """The digit string `value` and nine others of its length."""
    chance, found = _chance(value, key), {value}
    for at, digit in enumerate(value):
        found |= {f"{value[:at]}{other}{value[at + 1 :]}" for other in _like(digit, _ALIKE)}
    while len(found) < _DIGITS:
        found.add(f"{chance.randrange(10 ** len(value)):0{len(value)}}")
    return tuple(sorted(found))


def dates(value: str, language: str, key: bytes) -> tuple[str, ...]:
    """The ISO date `value` and eight others: days, a month and years that sound like its own, and any.

    None in a language of which nobody knows what sounds alike.
    """
    if language not in _DAYS:
        return ()
    chance, expected = _chance(value, key), datetime.date.fromisoformat(value)
    year, month, day = expected.year, expected.month, expected.day
    days = [*_like(day, _DAYS[language]), day - 10, day + 10]
    months = [*_like(month, _MONTHS[language]), month - 1, month + 1]
    years = [year - year % 10 + last for last in _like(year % 10, _YEARS[language])]
    near = [(year, month, one) for one in (*chance.sample(days, 2), day + chance.choice((-1, 1)))]
    near += [(year, months[0], day), (chance.choice(years or [year - 1]), month, day)]
    near += [(year + chance.choice((-10, 10)), month, day)]
    found = {value, *(date.isoformat() for date in (_date(*parts) for parts in near) if date)}
    while len(found) < _DATES:
        found.add((_FIRST + datetime.timedelta(chance.randrange(_SPAN_DAYS))).isoformat())
    return tuple(sorted(found))


def _chance(value: str, key: bytes) -> random.Random:
    return random.Random(hmac.digest(key, value.encode(), hashlib.sha256))  # noqa: S311 - no secret in it


def _like(one, pairs: Sequence[Sequence]) -> list:
    return [b if a == one else a for a, b in pairs if one in (a, b)]


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None
