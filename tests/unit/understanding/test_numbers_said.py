"""Numbers and strings of digits, in words, figures and both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from num2words import num2words

from ivr.understanding import numbers
from ivr.understanding.said import MAX_CHARS, normal, sounding


def values(text: str, language: str) -> list[str]:
    return [s.value for s in numbers.numbers(normal(text, language), language)]


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("zero", "en", "0"),
        ("seven", "en", "7"),
        ("twenty one", "en", "21"),
        ("twenty-one", "en", "21"),
        ("a hundred", "en", "100"),
        ("one hundred and twenty three", "en", "123"),
        ("twenty five hundred", "en", "2500"),
        ("two thousand twenty six", "en", "2026"),
        ("three million two hundred thousand and five", "en", "3200005"),
        ("3 thousand 500", "en", "3500"),
        ("3,500", "en", "3500"),
        ("two and a half thousand", "en", "2500"),
        ("half a million", "en", "500000"),
        ("a dozen", "en", "12"),
        ("two dozen", "en", "24"),
        ("twelve point five", "en", "12.5"),
        ("six point two five", "en", "6.25"),
        ("point five", "en", "0.5"),
        ("12.50", "en", "12.5"),
        ("minus five", "en", "-5"),
        ("-5", "en", "-5"),
        ("negative twelve point five", "en", "-12.5"),
        ("two fifty", "en", "250"),
        ("about twenty, I think", "en", "20"),
        ("零", "zh", "0"),
        ("五", "zh", "5"),
        ("十", "zh", "10"),
        ("二十一", "zh", "21"),
        ("一百二十三", "zh", "123"),
        ("一百零五", "zh", "105"),
        ("一百二", "zh", "120"),
        ("两千三", "zh", "2300"),
        ("两万五", "zh", "25000"),
        ("一万两千", "zh", "12000"),
        ("1万2", "zh", "12000"),
        ("3千500", "zh", "3500"),
        ("三千五百", "zh", "3500"),
        ("3,500", "zh", "3500"),
        ("十二点五", "zh", "12.5"),
        ("12.50", "zh", "12.5"),
        ("负五", "zh", "-5"),
        ("零下三度", "zh", "-3"),
        ("大概二十吧", "zh", "20"),
        ("一億", "zh", "100000000"),
        ("兩萬五", "zh", "25000"),
    ],
)
def test_a_number(text, language, value):
    """Cardinals, decimals, negatives, a dozen; the last unit left out in Mandarin."""
    assert values(text, language) == [value]


@pytest.mark.parametrize(
    ("text", "language"),
    [("hello there", "en"), ("", "en"), ("point", "en"), ("今天天气", "zh"), ("？！", "zh"), ("one two three", "en")],
)
def test_no_number(text, language):
    """Words without a number have none, and digits in a row are no cardinal."""
    assert values(text, language) == []


@given(st.integers(0, 10**9))
def test_every_english_number_is_read_back(number):
    """As num2words writes it."""
    assert values(num2words(number), "en") == [str(number)]


@given(st.integers(0, 10**9))
def test_every_number_in_figures_is_read_back(number):
    """With and without thousands separators, in both languages."""
    for language in ("en", "zh"):
        assert values(f"{number}", language) == [str(number)]
        assert values(f"{number:,}", language) == [str(number)]


@pytest.mark.parametrize(
    ("text", "language", "digits"),
    [
        ("eight six two zero", "en", "8620"),
        ("8620", "en", "8620"),
        ("8-6-2-0", "en", "8620"),
        ("double five one oh", "en", "5510"),
        ("triple seven two", "en", "7772"),
        ("triple 7 two", "en", "7772"),
        ("twenty one thirty five", "en", "2135"),
        ("nineteen eighty five", "en", "1985"),
        ("one two to four", "en", "1224"),
        ("one four for two", "en", "1442"),
        ("oh one two", "en", "012"),
        ("plus four four seven", "en", "+447"),
        ("eight hundred five five", "en", "80055"),
        ("八六二零", "zh", "8620"),
        ("幺三八", "zh", "138"),
        ("8 6 2 0", "zh", "8620"),
        ("86二零", "zh", "8620"),
        ("两零四九", "zh", "2049"),
    ],
)
def test_a_string_of_digits(text, language, digits):
    """Words, figures, doubles, small numbers."""
    assert [s.value for s in numbers.digit_strings(normal(text, language), language)] == [digits]


@pytest.mark.parametrize("text", ["巴六二零", "八溜儿零", "八六尔灵", "吧刘二零"])
def test_mandarin_digits_by_their_sound(text):
    """Homophones stand for the digit that they sound like."""
    assert [s.value for s in numbers.digit_strings(sounding(normal(text, "zh")), "zh")] == ["8620"]


@pytest.mark.parametrize(
    ("text", "language", "written"),
    [
        ("$12.50", "en", "12.50 dollars"),
        ("€3,500", "en", "3500 euros"),
        ("9 a.m.", "en", "9 am"),
        ("twenty-five", "en", "twenty five"),
        ("It’s 3:30.", "en", "it's 3:30"),
        ("¥3500", "zh", "3500元"),
        ("三千 五百 元。", "zh", "三千五百元"),
        ("兩萬塊錢", "zh", "两万块钱"),
        ("A B 1 2", "zh", "a b 1 2"),
        ("😀", "en", ""),
    ],
)
def test_one_spelling(text, language, written):
    """Signs, separators, traditional characters."""
    assert normal(text, language) == written


@given(st.text(max_size=3 * MAX_CHARS), st.sampled_from(["en", "zh"]))
def test_any_text_is_bounded_and_reads_without_error(text, language):
    """Whatever a recogniser may write; positions hold for what the text sounds like."""
    said = normal(text, language)
    assert len(sounding(said)) == len(said)
    for span in (*numbers.numbers(said, language), *numbers.digit_strings(said, language)):
        assert 0 <= span.start < span.end <= len(said)


@pytest.mark.parametrize(
    "text", ["one " * 3_000, "hundred " * 2_000, "point one " * 2_000, "9" * 10_000, "thousand million " * 900]
)
def test_runs_without_end_are_read_in_bounds(text):
    """Only so much of an utterance is looked at, and no number is beyond all measure."""
    said = normal(text, "en")
    assert len(said) <= 2 * MAX_CHARS
    assert all(len(s.value) < 20 for s in numbers.numbers(said, "en"))
