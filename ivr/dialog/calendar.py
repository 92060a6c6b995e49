"""Opening hours and holidays: whether a calendar is open at a moment. Pure; knows nothing of the wall clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

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
