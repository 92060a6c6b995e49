"""Calling windows: in which hours of the callee's own day a telephone may ring, and when they open next.

Pure: times are given and taken as aware datetimes; wall clocks come from the IANA database (`zoneinfo`). A moment is
inside when the wall clock there says so, so a day of 23 or 25 hours needs no rule of its own. Knows nothing of jobs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON_DAYS = 370
"""How far ahead an opening is looked for; what opens later counts as never."""
LONGEST_HOLIDAY_DAYS = 366

_WINDOW = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Window:
    """Hours of some days of the week: `days` 0 is Monday, minutes count from midnight, `end` is outside."""

    days: frozenset[int]
    begin_minute: int
    end_minute: int


def parse_window(text: str) -> Window:
    """`mon-fri 09:00-20:00` or `sat 10:00-24:00`. Raises ValueError, its text fit for a user."""
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError("write it like `mon-fri 09:00-20:00`")
    first, last = found[1], found[2] or found[1]
    for day in (first, last):
        if day not in DAYS:
            raise ValueError(f"`{day}` is no day: {', '.join(DAYS)}")
    begin, end = (_minute(*found.group(i, i + 1)) for i in (3, 5))
    if end <= begin:
        raise ValueError("it ends before it begins: a window lies within one day")
    low, high = DAYS.index(first), DAYS.index(last)
    days = range(low, high + 1) if low <= high else (*range(low, 7), *range(high + 1))
    return Window(frozenset(days), begin, end)


def _minute(hour: str, minute: str) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > 24 * 60:
        raise ValueError(f"{hour}:{minute} is no time of day")
    return total


def parse_holidays(text: str) -> frozenset[date]:
    """`2026-12-25`, or both ends of a stretch: `2027-02-06/2027-02-12`. Raises ValueError, fit for a user."""
    try:
        first, _, last = text.partition("/")
        begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise ValueError("write it like 2026-12-25, or 2027-02-06/2027-02-12") from None
    if not 0 <= (end - begin).days < LONGEST_HOLIDAY_DAYS:
        raise ValueError("its end is not on a day from its beginning to a year later")
    return frozenset(begin + timedelta(days=n) for n in range((end - begin).days + 1))


@dataclass(frozen=True)
class Calendar:
    """The windows and holidays of a policy. No window at all is never open."""

    windows: tuple[Window, ...] = ()
    holidays: frozenset[date] = frozenset()

    @classmethod
    def read(cls, windows: Iterable[str], holidays: Iterable[str] = ()) -> Calendar:
        """From the texts of the configuration. Raises ValueError."""
        days = frozenset().union(*(parse_holidays(text) for text in holidays))
        return cls(tuple(parse_window(text) for text in windows), days)

    def open_at(self, at: datetime, zones: Sequence[str]) -> bool:
        """Whether `at` lies in a window, on no holiday, in every one of `zones` (IANA names).

        No zone, or one that is not known, is outside. `at` is aware.
        """
        return bool(zones) and all(self._open_there(at, zone) for zone in zones)

    def next_open(self, at: datetime, zones: Sequence[str]) -> datetime | None:
        """The first moment from `at` on that is inside in all of `zones`; None: not within `HORIZON_DAYS`."""
        if self.open_at(at, zones):
            return at
        first = at.astimezone(UTC).date()
        for day in (first + timedelta(days=n) for n in range(HORIZON_DAYS)):
            begins = sorted({begin for zone in zones for begin in self._begins(day, zone) if begin > at})
            if (found := next((begin for begin in begins if self.open_at(begin, zones)), None)) is not None:
                return found
        return None

    def _open_there(self, at: datetime, zone: str) -> bool:
        known = zone_of(zone)
        if known is None:
            return False
        there = at.astimezone(known)
        minute = there.hour * 60 + there.minute
        return there.date() not in self.holidays and any(
            there.weekday() in w.days and w.begin_minute <= minute < w.end_minute for w in self.windows
        )

    def _begins(self, utc_day: date, zone: str) -> Iterator[datetime]:
        """Every moment of a day of UTC at which `zone` may come to be inside: its windows' begins, a changed clock."""
        known = zone_of(zone)
        if known is None:
            return
        for day in (utc_day + timedelta(days=n) for n in (-1, 0, 1)):
            for window in self.windows if day not in self.holidays else ():
                if day.weekday() in window.days:
                    wall = datetime.combine(day, time(window.begin_minute // 60, window.begin_minute % 60), known)
                    for moment in (wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)):
                        if moment.date() == utc_day:
                            yield moment
        yield from _changes(utc_day, known)


def _changes(utc_day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """The moment, if any, at which the clocks of `zone` are changed on a day of UTC; to the minute."""
    midnight = datetime.combine(utc_day, time(), UTC)

    def offset(minute: int) -> timedelta:
        return (midnight + minute * _MINUTE).astimezone(zone).utcoffset()

    before, after = 0, 24 * 60
    if offset(before) == offset(after):
        return
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if offset(middle) == offset(0) else (before, middle)
    yield midnight + after * _MINUTE


def zone_of(name: str) -> ZoneInfo | None:
    """The IANA zone of this name; None when it is not known."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not known, unreadable, no name of a zone
        return None
