"""Lengths of time, as said in both languages, and said back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import durations, slots
from ivr.understanding.said import normal
from ivr.understanding.slots import Slot


def read(text: str, language: str) -> list[str]:
    return [span.value for span in durations.durations(normal(text, language), language)]


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("two and a half hours", "en", "PT2H30M"),
        ("half an hour", "en", "PT30M"),
        ("an hour and a half", "en", "PT1H30M"),
        ("three quarters of an hour", "en", "PT45M"),
        ("a quarter of an hour", "en", "PT15M"),
        ("two hours and thirty minutes", "en", "PT2H30M"),
        ("2 hours 5 mins", "en", "PT2H5M"),
        ("ninety minutes", "en", "PT90M"),
        ("1.5 hours", "en", "PT1H30M"),
        ("a fortnight", "en", "P2W"),
        ("a couple of days please", "en", "P2D"),
        ("for about six months", "en", "P6M"),
        ("a year and a half", "en", "P1Y6M"),
        ("a week and two days", "en", "P9D"),
        ("三个半小时", "zh", "PT3H30M"),
        ("三個半鐘頭", "zh", "PT3H30M"),
        ("半小时", "zh", "PT30M"),
        ("一个半小时", "zh", "PT1H30M"),
        ("两个小时三十分钟", "zh", "PT2H30M"),
        ("三刻钟", "zh", "PT45M"),
        ("45分钟", "zh", "PT45M"),
        ("半个月", "zh", "P15D"),
        ("两个半月", "zh", "P2M15D"),
        ("半年", "zh", "P6M"),
        ("一年半", "zh", "P1Y6M"),
        ("两年零三个月", "zh", "P2Y3M"),
        ("大概两个星期吧", "zh", "P2W"),
        ("俩小时", "zh", "PT2H"),
        ("三天", "zh", "P3D"),
    ],
)
def test_a_duration(text, language, value):
    """Parts that follow one another are one."""
    assert read(text, language) == [value]


@pytest.mark.parametrize(
    ("text", "language"),
    [("tomorrow", "en"), ("half past three", "en"), ("the hours", "en"), ("nine o'clock", "en"), ("", "en"),
     ("a billion years", "en"), ("二零二六年", "zh"), ("八点三十分", "zh"), ("三月十五号", "zh"), ("几天", "zh"),
     ("", "zh")],
)  # fmt: skip
def test_no_duration(text, language):
    """Days of the calendar, times of the clock, and lengths that nobody means."""
    assert read(text, language) == []


@pytest.mark.parametrize(
    ("value", "en", "zh"),
    [("PT2H30M", "2 hours 30 minutes", "2小时30分钟"), ("P15D", "15 days", "15天"),
     ("P1Y6M", "1 year 6 months", "1年6个月"), ("P2W", "2 weeks", "2周"), ("later", "later", "later"), ("P", "P", "P")],
)  # fmt: skip
def test_a_duration_in_words(value, en, zh):
    """What is none stays as it is."""
    assert (durations.in_words(value, "en"), durations.in_words(value, "zh")) == (en, zh)
    assert durations.in_words(value, "ko") == value


@pytest.mark.parametrize(
    ("text", "language", "off"),
    [("two and a half", "en", True), ("two hours", "en", False), ("三个半", "zh", True), ("三个半小时", "zh", False)],
)
def test_words_that_break_off(text, language, off):
    """Before the unit."""
    assert durations.breaks_off(normal(text, language), language) is off


@given(
    st.text("0123456789 andhalfouryewkmits.一二三半个小时分钟天年月两零", max_size=80), st.sampled_from(["en", "zh"])
)
def test_any_text_is_read_without_error(text, language):
    """And every value can be said."""
    for value in read(text, language):
        assert durations.in_words(value, language) != value


@pytest.mark.parametrize(
    ("text", "language", "enough"),
    [("two and a", "en", "partial"), ("two hours", "en", ""), ("two hours ten minutes", "en", "complete"),
     ("三个半", "zh", "partial"), ("三个小时", "zh", ""), ("三个半小时", "zh", "complete")],
)  # fmt: skip
def test_when_enough_was_said(text, language, enough):
    """Minutes may follow hours."""
    assert slots.says_enough(Slot("stay", "duration"), text, language) == enough
