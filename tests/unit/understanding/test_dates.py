"""Dates as callers say them, in full or counted from today."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import dates
from ivr.understanding.said import normal

WEDNESDAY = "2026-11-18"


def read(text: str, language: str, today: str = WEDNESDAY) -> str:
    found = list(dates.dates(normal(text, language), language, today))
    return max(found, key=lambda s: s.end - s.start).value if found else ""


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("March 12th, 1985", "en", "1985-03-12"),
        ("12 March 1985", "en", "1985-03-12"),
        ("the twelfth of march nineteen eighty five", "en", "1985-03-12"),
        ("march the twelfth nineteen eighty five", "en", "1985-03-12"),
        ("march twelfth of nineteen eighty five", "en", "1985-03-12"),
        ("june first two thousand one", "en", "2001-06-01"),
        ("june first two thousand and one", "en", "2001-06-01"),
        ("march twenty first twenty twenty six", "en", "2026-03-21"),
        ("the thirty first of december nineteen ninety nine", "en", "1999-12-31"),
        ("twelve march nineteen oh five", "en", "1905-03-12"),
        ("march fifth two zero zero one", "en", "2001-03-05"),
        ("may 5th 85", "en", "1985-05-05"),
        ("1985-03-12", "en", "1985-03-12"),
        ("1985 3 12", "en", "1985-03-12"),
        ("I was born on July 4 1976", "en", "1976-07-04"),
        ("the eighth of the seventh nineteen oh six", "en", "1906-07-08"),
        ("15th of the 5th 1938", "en", "1938-05-15"),
        ("five three nineteen eighty five", "en", "1985-03-05"),
        ("oh five oh three nineteen seventy five", "en", "1975-03-05"),
        ("0905 1973", "en", "1973-05-09"),
        ("18 11 19 21", "en", "1921-11-18"),
        ("March 5th 1970 5", "en", "1975-03-05"),
        ("march fifth two thousand and six", "en", "2006-03-05"),
        ("february thirtieth 1999", "en", ""),
        ("march fifth nine thousand", "en", ""),
        ("一九八五年三月十二号", "zh", "1985-03-12"),
        ("1985年3月12日", "zh", "1985-03-12"),
        ("八八年六月六号", "zh", "1988-06-06"),
        ("88年6月6日", "zh", "1988-06-06"),
        ("二零零一年七月二十三日", "zh", "2001-07-23"),
        ("二〇〇一年七月二十三号", "zh", "2001-07-23"),
        ("1990年10月1日", "zh", "1990-10-01"),
        ("一九九零年十月一日", "zh", "1990-10-01"),
        ("一九九九年十二月三十一号", "zh", "1999-12-31"),
        ("我是一九八五年三月十二号出生的", "zh", "1985-03-12"),
        ("一九九九年二月三十号", "zh", ""),
        ("零五年一月二号", "zh", "2005-01-02"),
    ],
)
def test_a_date_in_full(text, language, value):
    """The same with and without a today; one that does not exist is none."""
    assert read(text, language) == value
    assert read(text, language, "") == value


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("today", "en", "2026-11-18"),
        ("tonight", "en", "2026-11-18"),
        ("tomorrow", "en", "2026-11-19"),
        ("yesterday", "en", "2026-11-17"),
        ("the day after tomorrow", "en", "2026-11-20"),
        ("the day before yesterday", "en", "2026-11-16"),
        ("monday", "en", "2026-11-23"),
        ("on friday", "en", "2026-11-20"),
        ("this friday", "en", "2026-11-20"),
        ("next monday", "en", "2026-11-23"),
        ("next friday", "en", "2026-11-27"),
        ("last friday", "en", "2026-11-13"),
        ("last wednesday", "en", "2026-11-11"),
        ("in three days", "en", "2026-11-21"),
        ("three days ago", "en", "2026-11-15"),
        ("two weeks ago", "en", "2026-11-04"),
        ("a week from today", "en", "2026-11-25"),
        ("march 12", "en", "2027-03-12"),
        ("December twenty fifth", "en", "2026-12-25"),
        ("the third of september", "en", "2026-09-03"),
        ("the twelfth", "en", "2026-11-12"),
        ("on the twenty second", "en", "2026-11-22"),
        ("今天", "zh", "2026-11-18"),
        ("今晚", "zh", "2026-11-18"),
        ("明天", "zh", "2026-11-19"),
        ("明早", "zh", "2026-11-19"),
        ("后天", "zh", "2026-11-20"),
        ("大后天", "zh", "2026-11-21"),
        ("昨天", "zh", "2026-11-17"),
        ("昨晚", "zh", "2026-11-17"),
        ("前天", "zh", "2026-11-16"),
        ("大前天", "zh", "2026-11-15"),
        ("周五", "zh", "2026-11-20"),
        ("这周五", "zh", "2026-11-20"),
        ("星期天", "zh", "2026-11-22"),
        ("下周一", "zh", "2026-11-23"),
        ("下个星期五", "zh", "2026-11-27"),
        ("下下周三", "zh", "2026-12-02"),
        ("上周五", "zh", "2026-11-13"),
        ("上个礼拜三", "zh", "2026-11-11"),
        ("三天后", "zh", "2026-11-21"),
        ("三天以前", "zh", "2026-11-15"),
        ("两周前", "zh", "2026-11-04"),
        ("三月十二号", "zh", "2027-03-12"),
        ("3月12号", "zh", "2027-03-12"),
        ("十二月二十五号", "zh", "2026-12-25"),
        ("下个月五号", "zh", "2026-12-05"),
        ("上个月三十一号", "zh", "2026-10-31"),
        ("去年十二月一号", "zh", "2025-12-01"),
        ("明年一月二号", "zh", "2027-01-02"),
        ("十二号", "zh", "2026-11-12"),
        ("後天", "zh", "2026-11-20"),
    ],
)
def test_a_date_counted_from_today(text, language, value):
    """Without a today it is none."""
    assert read(text, language) == value
    assert read(text, language, "") == ""


def test_a_missing_year_is_the_nearest():
    """In January, "December twenty fifth" is three weeks ago."""
    assert read("december twenty fifth", "en", "2027-01-10") == "2026-12-25"
    assert read("十二月二十五号", "zh", "2027-01-10") == "2026-12-25"


def test_figures_in_two_orders_are_rivals():
    """12/03/1985 may be March or December."""
    span = next(iter(dates.dates(normal("12/03/1985", "en"), "en", "")))
    assert (span.value, span.rivals) == ("1985-03-12", ("1985-12-03",))


@pytest.mark.parametrize(
    ("text", "language", "more"),
    [
        ("march", "en", True),
        ("the twelfth of", "en", True),
        ("the twelfth", "en", True),
        ("march the", "en", True),
        ("next", "en", True),
        ("march twelfth", "en", False),
        ("march twelfth nineteen eighty five", "en", False),
        ("tomorrow", "en", False),
        ("一九八五年", "zh", True),
        ("一九八五年三月", "zh", True),
        ("一九八五年三月十", "zh", True),
        ("下个月", "zh", True),
        ("下周", "zh", True),
        ("一九八五年三月十二号", "zh", False),
        ("明天", "zh", False),
    ],
)
def test_a_date_that_breaks_off(text, language, more):
    """Behind a month, a year, "the twelfth of"."""
    assert dates.breaks_off(normal(text, language), language) is more


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ("19850312", "1985-03-12"),
        ("31121985", "1985-12-31"),
        ("12311985", "1985-12-31"),
        ("05051985", "1985-05-05"),
        ("12031985", ""),
        ("19850230", ""),
        ("00000000", ""),
        ("1985", ""),
        ("", ""),
    ],
)
def test_dates_in_keys(keys, value):
    """Year first, or last where only one order exists."""
    assert dates.compact(keys) == value


@given(st.dates(datetime.date(1931, 1, 1), datetime.date(2029, 12, 31)))
def test_every_date_written_out_is_read_back(day):
    """Month name, day and year in figures come back as they were."""
    assert read(day.strftime("%B %d %Y"), "en") == day.isoformat()
    assert read(f"{day.year}年{day.month}月{day.day}号", "zh") == day.isoformat()
    assert dates.compact(day.strftime("%Y%m%d")) == day.isoformat()


@given(
    st.text(max_size=600) | st.text("0123456789年月日号周上下前后大明今天 /-.", max_size=60),
    st.sampled_from(["en", "zh"]),
    st.sampled_from(["", WEDNESDAY, "0001-01-01", "9999-12-31", "nonsense"]),
)
def test_any_text_gives_real_dates_or_none(text, language, today):
    """At the ends of the calendar too, and whatever today is said to be."""
    for span in dates.dates(normal(text, language), language, today):
        assert datetime.date.fromisoformat(span.value)


@pytest.mark.parametrize(
    ("text", "language", "whole"),
    [
        ("12th of march 1985", "en", True), ("march twelfth nineteen eighty five", "en", True),
        ("12th of march", "en", False), ("tomorrow", "en", False), ("1985", "en", False), ("", "en", False),
        ("一九八五年三月十二号", "zh", True), ("三月十二号", "zh", False), ("明天", "zh", False),
        ("一九八五年", "zh", False),
    ],
)  # fmt: skip
def test_whether_the_year_was_said(text, language, whole):
    assert dates.with_year(text, language) is whole
