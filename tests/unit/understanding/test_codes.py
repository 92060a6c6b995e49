"""Spelt codes and telephone numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import codes
from ivr.understanding.said import normal


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("a b one two", "en", "AB12"),
        ("AB12", "en", "AB12"),
        ("A-B-1-2.", "en", "AB12"),
        ("alpha bravo one two", "en", "AB12"),
        ("alfa whisky x-ray 9", "en", "AWX9"),
        ("b as in bravo, c for charlie, nine nine", "en", "BC99"),
        ("bee see three four", "en", "BC34"),
        ("double a seven", "en", "AA7"),
        ("q w four double five", "en", "QW455"),
        ("my code is k nine", "en", "K9"),
        ("zee zed zulu zero", "en", "ZZZ0"),
        ("w 6 0 hp", "en", "W60HP"),
        ("a 10 free cg", "en", "A103CG"),
        ("b 4 bravo five", "en", "B5"),
        ("诶比一二", "zh", "AB12"),
        ("A B 一二", "zh", "AB12"),
        ("ab12", "zh", "AB12"),
        ("甲乙三四", "zh", "AB34"),
        ("西八六二零", "zh", "C8620"),
        ("开八八", "zh", "K88"),
        ("艾克斯九幺", "zh", "X91"),
        ("达不溜五", "zh", "W5"),
    ],
)
def test_a_code(text, language, value):
    """Letters by name, by the ICAO alphabet, by sound; digits as words and figures."""
    assert [s.value for s in codes.codes(normal(text, language), language)] == [value]


def test_an_o_may_be_a_zero_and_an_and_an_n():
    """Both are rivals."""
    (span,) = codes.codes("and g 1 o", "en")
    assert (span.value, span.rivals) == ("G1O", ("NG1O", "G10"))


@pytest.mark.parametrize(
    ("text", "language", "country", "value"),
    [
        ("one three eight zero zero one three eight zero zero zero", "en", "CN", "+8613800138000"),
        ("my number is 138 0013 8000", "en", "CN", "+8613800138000"),
        ("幺三八零零幺三八零零零", "zh", "CN", "+8613800138000"),
        ("138-0013-8000", "zh", "CN", "+8613800138000"),
        ("010 12345678", "zh", "CN", "+861012345678"),
        ("plus four four two oh seven nine four six oh nine five eight", "en", "CN", "+442079460958"),
        ("+44 20 7946 0958", "en", "CN", "+442079460958"),
        ("0044 20 7946 0958", "en", "CN", "+442079460958"),
        ("double five five one two three four", "en", "", "5551234"),
        ("110", "zh", "", "110"),
    ],
)
def test_a_telephone_number(text, language, country, value):
    """As the country's plan has it; international with a plus."""
    assert [s.value for s in codes.phones(normal(text, language), language, country)] == [value]


@pytest.mark.parametrize(
    ("text", "country"), [("six nine two", "CN"), ("one three eight zero zero one three", "CN"), ("12", ""),
                          ("one " * 16, "")]
)  # fmt: skip
def test_no_telephone_number(text, country):
    """Too short, too long, or none that the country has."""
    assert list(codes.phones(normal(text, "en"), "en", country)) == []


@given(st.text(max_size=600), st.sampled_from(["en", "zh"]), st.sampled_from(["", "CN", "GB", "XX"]))
def test_any_text_reads_without_error(text, language, country):
    """Codes are letters and digits, telephone numbers digits."""
    said = normal(text, language)
    for span in codes.codes(said, language):
        assert span.value.isalnum()
    for span in codes.phones(said, language, country):
        assert span.value.lstrip("+").isdecimal()
