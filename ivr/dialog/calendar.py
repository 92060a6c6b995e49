"""Opening hours and holidays, and the moment that somebody means by a day, a time or a while.

Pure; knows nothing of the wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from ivr.understanding import durations

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True)
class Opening:
    """Open on `day` (0 is Monday) from minute `opens` to before minute `closes`; past midnight when that is earlier."""

    day: int
    opens: int
    closes: int


@dataclass(frozen=True)
class Calendar:
    """When somebody is there. `holidays` maps `2026-10-01`, or `10-01` for every year, to a name."""

    zone: str
    openings: tuple[Opening, ...]
    holidays: Mapping[str, str] = field(default_factory=dict)

    def state(self, now: datetime) -> Literal["open", "closed", "holiday"]:
        """At `now`, which carries its zone. An opening that began on a holiday's eve ends when it ends."""
        here = now.astimezone(ZoneInfo(self.zone))
        minute, today = here.hour * 60 + here.minute, here.weekday()
        eve = here.date() - timedelta(days=1)
        late = (o for o in self.openings if o.day == eve.weekday() and o.closes <= o.opens and minute < o.closes)
        if not self._is_holiday(eve) and any(late):
            return "open"
        if self._is_holiday(here.date()):
            return "holiday"
        for opening in self.openings:
            closes = opening.closes if opening.closes > opening.opens else MINUTES_A_DAY
            if opening.day == today and opening.opens <= minute < closes:
                return "open"
        return "closed"

    def _is_holiday(self, day: date) -> bool:
        return day.isoformat() in self.holidays or day.strftime("%m-%d") in self.holidays


def again_at(now: datetime, said: Mapping[str, Sequence[str]]) -> str:
    """When somebody wants to be rung again, ISO 8601 in the zone of `now`; empty when nothing said lies ahead.

    `said`: kind (`date`, `time`, `duration`) -> what was understood and its rivals. Of a time and its rivals (at six:
    18:00 or 06:00) the one that comes first is meant; a day alone means this time of it.
    """
    if lasting := said.get("duration"):
        length = durations.timedelta_of(lasting[0])
        return "" if length is None else _iso((now.astimezone(UTC) + length).astimezone(now.tzinfo))
    days = [date.fromisoformat(day) for day in said.get("date", ())[:1]] or [
        now.date() + timedelta(days=ahead) for ahead in (0, 1)
    ]
    clocks = [time.fromisoformat(clock) for clock in said.get("time", ())] or [now.time()]
    if not said.keys() & {"date", "time"}:
        return ""
    moments = (datetime.combine(day, clock, now.tzinfo) for day in days for clock in clocks)
    ahead = sorted(moment for moment in moments if moment > now)
    return _iso(ahead[0]) if ahead else ""


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")
