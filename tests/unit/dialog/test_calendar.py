"""Opening hours: open, closed or a holiday, at the minute."""

from datetime import datetime

import pytest

from ivr.dialog.calendar import Calendar, Opening

HOLIDAYS = {"2026-10-01": "National Day", "12-25": "Christmas"}
OFFICE = Calendar(
    "Asia/Shanghai",
    (*(Opening(day, 9 * 60, 17 * 60 + 30) for day in range(5)), Opening(5, 10 * 60, 12 * 60), Opening(5, 840, 960)),
    HOLIDAYS,
)
NIGHTS = Calendar("Asia/Shanghai", tuple(Opening(day, 22 * 60, 6 * 60) for day in range(7)), HOLIDAYS)
ALWAYS = Calendar("UTC", tuple(Opening(day, 0, 24 * 60) for day in range(7)))
ROUND = Calendar("UTC", tuple(Opening(day, 0, 0) for day in range(7)))
LONDON = Calendar("Europe/London", (Opening(6, 60, 180),))


@pytest.mark.parametrize(
    ("calendar", "moment", "state"),
    [
        (OFFICE, "2026-11-23T08:59+08:00", "closed"),
        (OFFICE, "2026-11-23T09:00+08:00", "open"),
        (OFFICE, "2026-11-23T17:29+08:00", "open"),
        (OFFICE, "2026-11-23T17:30+08:00", "closed"),
        (OFFICE, "2026-11-28T11:00+08:00", "open"),
        (OFFICE, "2026-11-28T13:00+08:00", "closed"),
        (OFFICE, "2026-11-28T14:00+08:00", "open"),
        (OFFICE, "2026-11-29T11:00+08:00", "closed"),
        (OFFICE, "2026-10-01T10:00+08:00", "holiday"),
        (OFFICE, "2026-10-01T23:59+08:00", "holiday"),
        (OFFICE, "2027-10-01T10:00+08:00", "open"),
        (OFFICE, "2026-12-25T10:00+08:00", "holiday"),
        (OFFICE, "2031-12-25T10:00+08:00", "holiday"),
        # The caller's clock is elsewhere; the office's counts.
        (OFFICE, "2026-11-23T02:00+00:00", "open"),
        (OFFICE, "2026-11-22T20:00-05:00", "open"),
        (OFFICE, "2026-09-30T16:30+00:00", "holiday"),
        # Past midnight.
        (NIGHTS, "2026-11-23T21:59+08:00", "closed"),
        (NIGHTS, "2026-11-23T22:00+08:00", "open"),
        (NIGHTS, "2026-11-24T00:00+08:00", "open"),
        (NIGHTS, "2026-11-24T05:59+08:00", "open"),
        (NIGHTS, "2026-11-24T06:00+08:00", "closed"),
        # Monday's small hours belong to Sunday's night.
        (NIGHTS, "2026-11-23T03:00+08:00", "open"),
        # A night that began before the holiday ends when it ends; one that would begin on it does not begin.
        (NIGHTS, "2026-10-01T05:00+08:00", "open"),
        (NIGHTS, "2026-10-01T22:30+08:00", "holiday"),
        (NIGHTS, "2026-10-02T05:00+08:00", "closed"),
        (ALWAYS, "2026-11-23T23:59+00:00", "open"),
        (ALWAYS, "2026-11-24T00:00+00:00", "open"),
        (ROUND, "2026-11-24T00:00+00:00", "open"),
        (ROUND, "2026-11-24T23:59+00:00", "open"),
        # Clocks go back: the hour is there twice, and open both times.
        (LONDON, "2026-10-25T00:30+00:00", "open"),
        (LONDON, "2026-10-25T01:30+00:00", "open"),
        (LONDON, "2026-10-25T03:00+00:00", "closed"),
        (Calendar("UTC", ()), "2026-11-23T12:00+00:00", "closed"),
    ],
)
def test_the_state_at_a_moment(calendar, moment, state):
    """By the calendar's own zone."""
    assert calendar.state(datetime.fromisoformat(moment)) == state
