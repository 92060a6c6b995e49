"""Times of day as callers say them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import times
from ivr.understanding.said import normal


def read(text: str, language: str) -> str:
    found = list(times.times(normal(text, language), language))
    return max(found, key=lambda s: (s.clear, s.end - s.start)).value if found else ""


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("half past two in the afternoon", "en", "14:30"),
        ("quarter to nine in the morning", "en", "08:45"),
        ("a quarter past nine am", "en", "09:15"),
        ("ten to six in the evening", "en", "17:50"),
        ("twenty five past four pm", "en", "16:25"),
        ("five minutes past ten am", "en", "10:05"),
        ("noon", "en", "12:00"),
        ("midnight", "en", "00:00"),
        ("3:30 pm", "en", "15:30"),
        ("3.30 pm", "en", "15:30"),
        ("14:30", "en", "14:30"),
        ("9 a.m.", "en", "09:00"),
        ("nine in the morning", "en", "09:00"),
        ("nine at night", "en", "21:00"),
        ("twelve at night", "en", "00:00"),
        ("12 pm", "en", "12:00"),
        ("12 am", "en", "00:00"),
        ("seven forty five pm", "en", "19:45"),
        ("nine o'clock", "en", "09:00"),
        ("at three", "en", "15:00"),
        ("at nine", "en", "09:00"),
        ("nine thirty", "en", "09:30"),
        ("nine oh five", "en", "09:05"),
        ("fourteen thirty", "en", "14:30"),
        ("quarter to one", "en", "12:45"),
        ("下午三点半", "zh", "15:30"),
        ("九点一刻", "zh", "09:15"),
        ("九点三刻", "zh", "09:45"),
        ("晚上八点二十", "zh", "20:20"),
        ("晚上八点二十分", "zh", "20:20"),
        ("上午九点", "zh", "09:00"),
        ("早上八点", "zh", "08:00"),
        ("凌晨一点", "zh", "01:00"),
        ("中午十二点", "zh", "12:00"),
        ("中午一点", "zh", "13:00"),
        ("晚上十二点", "zh", "00:00"),
        ("今晚七点", "zh", "19:00"),
        ("差一刻九点", "zh", "08:45"),
        ("九点差五分", "zh", "08:55"),
        ("九点整", "zh", "09:00"),
        ("三点零五分", "zh", "15:05"),
        ("十四点三十分", "zh", "14:30"),
        ("14:30", "zh", "14:30"),
        ("下午3点半", "zh", "15:30"),
        ("下午两点", "zh", "14:00"),
        ("二十二点", "zh", "22:00"),
        ("中午", "zh", "12:00"),
        ("下午三點半", "zh", "15:30"),
    ],
)
def test_a_time(text, language, value):
    """By the clock, by the part of the day, or by the hours of a working day."""
    assert read(text, language) == value


@pytest.mark.parametrize(
    ("text", "language"),
    [("hello", "en"), ("twenty five o'clock", "en"), ("twelve hundred", "en"), ("你们几点开门", "zh"),
     ("二十五点", "zh"), ("什么时候", "zh"), ("", "zh")],
)  # fmt: skip
def test_no_time(text, language):
    """Neither questions nor hours that there are not."""
    assert read(text, language) == ""


@pytest.mark.parametrize(("text", "language"), [("at three", "en"), ("三点", "zh")])
def test_the_other_half_of_the_day_is_a_rival(text, language):
    """Unless the part of the day was said."""
    assert [s.rivals for s in times.times(text, language)] == [("03:00",)]


def test_a_bare_number_is_not_clearly_a_time():
    """ "Nine thirty" answers a question; it is none of itself."""
    assert [s.clear for s in times.times("nine thirty", "en")] == [False]
    assert [s.clear for s in times.times("half past nine", "en")] == [True]
    assert [s.clear for s in times.times("it gave me 20.00", "en")] == [False]
    assert list(times.times("at one of your branches", "en")) == []


@pytest.mark.parametrize(
    ("text", "language", "more"),
    [("half past", "en", True), ("quarter to", "en", True), ("at", "en", True), ("at nine", "en", False),
     ("下午", "zh", True), ("明天上午", "zh", True), ("差一刻", "zh", True), ("九点", "zh", False),
     ("中午", "zh", False)],
)  # fmt: skip
def test_a_time_that_breaks_off(text, language, more):
    """Behind "half past", 下午."""
    assert times.breaks_off(normal(text, language), language) is more


@pytest.mark.parametrize(
    ("keys", "value"), [("1430", "14:30"), ("930", "09:30"), ("0000", "00:00"), ("2400", "00:00"), ("2460", ""),
                        ("9", ""), ("", ""), ("12345", "")]
)  # fmt: skip
def test_times_in_keys(keys, value):
    """Hour and minutes in three or four figures."""
    assert times.compact(keys) == value


@given(st.times())
def test_every_time_in_figures_is_read_back(time):
    """As 14:30 and as 十四点三十分."""
    clock = f"{time.hour:02}:{time.minute:02}"
    found = list(times.times(clock, "en"))
    assert clock in {found[0].value, *found[0].rivals}
    found = list(times.times(f"{time.hour}点{time.minute:02}分", "zh"))
    assert clock in {found[0].value, *found[0].rivals}


@given(st.text(max_size=600) | st.text("零一二三四五六七八九十点半刻分差上下午晚 0123456789:", max_size=40),
       st.sampled_from(["en", "zh"]))  # fmt: skip
def test_any_text_gives_real_times_or_none(text, language):
    """Hours below 24, minutes below 60."""
    for span in times.times(normal(text, language), language):
        for value in (span.value, *span.rivals):
            assert re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value)
