"""Calling windows: what is inside by the callee's own clock, and when they open next, also where clocks are changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers.tzdata import TIMEZONE_DATA

from ivr.outbound.windows import DAYS, Calendar, parse_holidays, parse_window

OFFICE = Calendar.read(["mon-fri 09:00-20:00", "sat 10:00-18:00"], ["2026-12-25", "2027-02-06/2027-02-12"])
SHANGHAI, BERLIN, NEW_YORK = "Asia/Shanghai", "Europe/Berlin", "America/New_York"


def there(zone: str, text: str, fold: int = 0) -> datetime:
    """In UTC, since moments of a repeated hour equal none of another zone (PEP 495)."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("9-17", "write it like"), ("mon-fri 9:00-17:00", "write it like"), ("lun 09:00-17:00", "`lun` is no day"),
        ("mon 17:00-09:00", "ends before it begins"), ("mon 09:00-09:00", "ends before"),
        ("mon 09:00-24:01", "no time of day"), ("mon 09:60-10:00", "no time of day"), ("", "write it like"),
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused_in_words(text, says):
    with pytest.raises(ValueError, match=says):
        parse_window(text)


@pytest.mark.parametrize("text", ["2026-13-01", "soon", "2027-02-12/2027-02-06", "2026-01-01/2028-01-01", ""])
def test_what_is_no_holiday_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"write it like|its end"):
        parse_holidays(text)


def test_days_may_run_over_the_week_end():
    assert parse_window("sat-mon 10:00-12:00").days == {5, 6, 0}
    assert len(parse_holidays("2027-02-06/2027-02-12")) == 7


@pytest.mark.parametrize(
    ("zones", "at", "inside"),
    [
        ((SHANGHAI,), "2026-11-23T01:00:00+00:00", True),  # 09:00 on Monday there
        ((SHANGHAI,), "2026-11-23T00:59:59+00:00", False),
        ((SHANGHAI,), "2026-11-23T11:59:59+00:00", True),
        ((SHANGHAI,), "2026-11-23T12:00:00+00:00", False),  # 20:00 is outside
        ((BERLIN,), "2026-11-23T07:59:00+00:00", False),
        ((BERLIN,), "2026-11-22T12:00:00+00:00", False),  # Sunday
        ((BERLIN,), "2026-12-25T12:00:00+00:00", False),  # a holiday, a Friday
        ((SHANGHAI,), "2026-12-24T16:30:00+00:00", False),  # past midnight there: the holiday has begun
        ((NEW_YORK, "America/Los_Angeles"), "2026-11-23T14:30:00+00:00", False),  # 09:30 and 06:30
        ((NEW_YORK, "America/Los_Angeles"), "2026-11-23T17:30:00+00:00", True),
        ((), "2026-11-23T12:00:00+00:00", False),
        (("Mars/Olympus",), "2026-11-23T12:00:00+00:00", False),
        (("../../etc/passwd",), "2026-11-23T12:00:00+00:00", False),
        ((BERLIN, "Mars/Olympus"), "2026-11-23T12:00:00+00:00", False),
    ],
)
def test_inside_is_what_every_clock_there_says(zones, at, inside):
    assert OFFICE.open_at(datetime.fromisoformat(at), zones) is inside


def test_no_window_is_never_open():
    assert Calendar().next_open(there(BERLIN, "2026-11-23T12:00"), [BERLIN]) is None


@pytest.mark.parametrize(
    ("zones", "at", "opens"),
    [
        ([SHANGHAI], "2026-11-20T20:00:00+08:00", "2026-11-21T10:00:00+08:00"),  # Friday night: Saturday at ten
        ([SHANGHAI], "2026-11-21T18:00:00+08:00", "2026-11-23T09:00:00+08:00"),
        ([SHANGHAI], "2027-02-05T20:00:00+08:00", "2027-02-13T10:00:00+08:00"),  # over Spring Festival
        ([NEW_YORK, "America/Los_Angeles"], "2026-11-23T08:00:00-05:00", "2026-11-23T09:00:00-08:00"),
        ([BERLIN, SHANGHAI], "2026-11-23T12:00:00+08:00", "2026-11-23T09:00:00+01:00"),
    ],
)
def test_the_next_opening(zones, at, opens):
    assert OFFICE.next_open(datetime.fromisoformat(at), zones) == datetime.fromisoformat(opens)


def test_zones_that_share_no_hour_never_open():
    early = Calendar.read(["mon-sun 09:00-12:00"])
    assert early.next_open(there(BERLIN, "2026-11-23T00:00"), [SHANGHAI, NEW_YORK]) is None


def test_a_window_that_begins_in_the_skipped_hour_opens_at_the_leap():
    """Berlin, 2027-03-28: after 01:59 comes 03:00."""
    night = Calendar.read(["sun 02:30-05:00"])
    assert night.next_open(there(BERLIN, "2027-03-28T00:00"), [BERLIN]) == there(BERLIN, "2027-03-28T03:00")


def test_a_window_that_begins_in_the_repeated_hour_opens_twice():
    """Berlin, 2026-10-25: 02:00-02:59 comes twice."""
    night = Calendar.read(["sun 02:30-04:00"])
    first, second = there(BERLIN, "2026-10-25T02:30"), there(BERLIN, "2026-10-25T02:30", fold=1)
    assert night.next_open(there(BERLIN, "2026-10-25T00:00"), [BERLIN]) == first
    between = there(BERLIN, "2026-10-25T02:10", fold=1)
    assert not night.open_at(between, [BERLIN])
    assert night.next_open(between, [BERLIN]) == second


def test_a_clock_that_is_put_back_may_open_a_window_again():
    """Berlin, 2026-10-25: half past two comes, and then two o'clock once more."""
    night = Calendar.read(["sun 00:00-02:30"])
    at = there(BERLIN, "2026-10-25T02:40")
    assert not night.open_at(at, [BERLIN])
    assert night.next_open(at, [BERLIN]) == there(BERLIN, "2026-10-25T02:00", fold=1)


def test_a_window_over_the_change_keeps_its_wall_clock():
    """09:00 in Berlin is 08:00 UTC in winter and 07:00 in summer."""
    for day, utc in (("2027-03-26", 8), ("2027-03-29", 7)):
        midnight = there(BERLIN, f"{day}T00:00")
        assert OFFICE.next_open(midnight, [BERLIN]).astimezone(UTC).hour == utc


def test_every_zone_of_a_telephone_prefix_is_one_we_know():
    names = sorted({name for names in TIMEZONE_DATA.values() for name in names} - {"Etc/Unknown"})
    round_the_clock = Calendar.read(["mon-sun 00:00-24:00"])
    assert [n for n in names if not round_the_clock.open_at(datetime(2026, 11, 23, tzinfo=UTC), [n])] == []


ZONES = st.sampled_from([SHANGHAI, BERLIN, NEW_YORK, "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC"])
MINUTES = st.integers(0, 24 * 60)


@st.composite
def windows(draw) -> str:
    first, last = draw(st.sampled_from(DAYS)), draw(st.sampled_from(DAYS))
    begin, end = sorted(draw(st.tuples(MINUTES, MINUTES).filter(lambda t: t[0] != t[1])))
    return f"{first}-{last} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(windows(), min_size=1, max_size=3),
    zones=st.lists(ZONES, min_size=1, max_size=2, unique=True),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    share=st.floats(0, 0.999),
)
def test_nothing_between_now_and_the_next_opening_is_open(texts, zones, at, share):
    calendar = Calendar.read(texts, ["2026-12-25"])
    opens = calendar.next_open(at, zones)
    if opens is not None:
        assert opens >= at
        assert calendar.open_at(opens, zones)
        assert all(opens.astimezone(ZoneInfo(zone)).date() != date(2026, 12, 25) for zone in zones)
    until = opens or at + timedelta(days=30)
    if until > at:
        assert not calendar.open_at(at + (until - at) * share, zones)
