"""How well readings fit a value that is known: a likelihood ratio that adds up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import identity


def score(kind, expected, *texts, language="en"):
    return identity.score(kind, expected, [(text, 0.9) for text in texts], language)


@pytest.mark.parametrize(
    ("kind", "expected", "language", "heard"),
    [
        ("code", "KT2W 2XL", "en", "kilo 2 whiskey to x-ray lima"),
        ("code", "W20A 4BB", "en", "double u twenty a for double b"),
        ("code", "L3F 3XL", "en", "l three f three axl"),
        ("code", "CW1N 5BG", "en", "c w 1 n 5 d g"),
        ("code", "AB12", "zh", "诶比一二"),
        ("name", "Michelle Kent", "en", "michelle kent"),
        ("name", "Joe Berry", "en", "it's joe barry"),
        ("name", "Brett Blackburn", "en", "b r e t t b l a t k b u r n"),
        ("name", "Graeme Parker", "en", "graham parker"),
        ("name", "张伟", "zh", "我叫章为"),
        ("name", "李小明", "zh", "黎晓明"),
        ("date", "1979-09-27", "en", "27th of the 9th 1979"),
        ("date", "1941-07-31", "en", "31 07 1941"),
        ("date", "1941-07-31", "en", "31007 1941"),
        ("date", "1985-03-12", "zh", "八五年三月十二号"),
        ("digits", "8620", "en", "eight six two oh"),
        ("digits", "8620", "zh", "八六二零"),
    ],
)
def test_what_fits_speaks_for_the_value(kind, expected, language, heard):
    """As it is written, as it sounds, and nearly."""
    assert score(kind, expected, heard, language=language) > 3


@pytest.mark.parametrize(
    ("kind", "expected", "language", "heard"),
    [
        ("code", "KT2W 2XL", "en", "m 4 5 1 n b"),
        ("name", "Michelle Kent", "en", "Robert Young"),
        ("name", "张伟", "zh", "欧阳娜娜"),
        ("date", "1979-09-27", "en", "3rd of March 1921"),
        ("date", "1985-03-12", "zh", "一九六二年十一月三十号"),
        ("digits", "8620", "en", "one one three seven"),
        ("digits", "8620", "zh", "一一三七"),
    ],
)
def test_what_does_not_fit_speaks_against_it(kind, expected, language, heard):
    """Somebody else's value."""
    assert score(kind, expected, heard, language=language) < 0


@pytest.mark.parametrize(
    ("kind", "expected", "near", "far"),
    [
        ("code", "B12", "d 1 2", "l 1 2"),
        ("name", "Katy Brady", "katie brady", "kelly braun"),
        ("date", "1930-06-13", "30th of june 1930", "21st of june 1930"),
        ("date", "1986-11-02", "of november 1986", "of april 1986"),
    ],
)
def test_what_sounds_alike_is_weaker_evidence_and_no_contradiction(kind, expected, near, far):
    """Right, nearly right, and wrong come in this order."""
    right = {"code": "b 1 2", "name": "katy brady"}.get(kind) or expected.replace("-", " ")
    assert score(kind, expected, right) >= score(kind, expected, near) > score(kind, expected, far)


def test_half_a_value_is_half_the_evidence():
    """A recogniser that was cut off refutes nobody."""
    whole, half = score("date", "1986-11-02", "2nd of november 1986"), score("date", "1986-11-02", "of november")
    assert 0 < half < whole
    assert 0 < score("code", "KT2W 2XL", "kilo tango two") < score("code", "KT2W 2XL", "k t 2 w 2 x l")


def test_every_reading_counts_and_a_later_one_less():
    """The right one stands third."""
    alone = score("name", "Jemma Shaw", "jemma shaw")
    third = score("name", "Jemma Shaw", "hmm", "what", "jemma shaw")
    assert score("name", "Jemma Shaw", "hmm", "what") < third <= alone


@given(
    st.sampled_from(["name", "code", "date", "digits"]),
    st.lists(st.text(max_size=200), max_size=6),
    st.sampled_from(["en", "zh"]),
)
def test_any_text_is_scored_within_bounds(kind, texts, language):
    """Nothing heard is no evidence; nothing heard proves more than the bound."""
    expected = {"name": "张伟" if language == "zh" else "Ann Lee", "date": "1986-11-02"}.get(kind, "8620")
    value = score(kind, expected, *texts, language=language)
    assert identity.LEAST <= value <= identity.MOST
    assert score(kind, expected, language=language) == 0.0


@pytest.mark.parametrize("text", ["a " * 5_000, "一" * 10_000, "1" * 10_000, "double " * 2_000, "😀" * 10_000])
def test_long_texts_are_bounded(text):
    """Their beginning is compared."""
    for kind, expected in (("name", "Ann Lee"), ("code", "AB12"), ("date", "1986-11-02"), ("digits", "8620")):
        for language in ("en", "zh"):
            assert identity.LEAST <= score(kind, expected, *[text] * 30, language=language) <= identity.MOST
