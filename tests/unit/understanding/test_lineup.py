"""Line-ups: the value is among others, near ones and any, and neither order nor repetition tells which it is."""

import datetime
from collections import Counter

import pytest

from ivr.understanding import lineup

KEY = b"k" * 32


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("born", ["1987-04-29", "2000-02-29", "1961-12-31", "1945-01-01", "2008-10-30"])
def test_a_date_stands_among_eight_others(language, born):
    found = lineup.dates(born, language, KEY)
    assert born in found
    assert len(set(found)) == 9
    assert list(found) == sorted(found)
    assert all(datetime.date.fromisoformat(one) for one in found)
    assert found == lineup.dates(born, language, KEY)


@pytest.mark.parametrize(("language", "alike"), [("en", "1987-06-30"), ("zh", "1987-06-10")])
def test_some_of_them_nearly_sound_alike(language, alike):
    """Thirteen and thirty, 四 and 十; a day beside, a year of another decade; and some have nothing of it."""
    born = {"en": "1987-06-13", "zh": "1987-06-04"}[language]
    found = [one for key in range(8) for one in lineup.dates(born, language, bytes([key])) if one != born]
    shared = Counter(sum(a == b for a, b in zip(one.split("-"), born.split("-"), strict=True)) for one in found)
    assert alike in found
    assert shared[2] > len(found) / 2
    assert shared[0] > 0
    assert {one[:4] for one in found if one[4:] == born[4:]} & {"1977", "1997"}


def test_another_call_has_other_decoys():
    assert lineup.dates("1987-04-29", "en", KEY) != lineup.dates("1987-04-29", "en", b"another")


def test_nothing_is_lined_up_where_nobody_knows_what_sounds_alike():
    assert lineup.dates("1987-04-29", "ko", KEY) == ()


@pytest.mark.parametrize("value", ["7310", "0000"])
def test_digits_stand_among_nine_others(value):
    found = lineup.digits(value, KEY)
    assert value in found
    assert len(set(found)) == 10
    assert {len(one) for one in found} == {4}
    assert list(found) == sorted(found)
