"""Hanzi in an English sentence, for a voice that knows only English."""

import pytest

from ivr.speech.mandarin import for_english_ears


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("May I speak to 王小明?", "May I speak to Wang Shiao Ming?"),
        ("at 京东, today", "at Jing Dong, today"),
        ("You paid at 曹氏茶庄", "You paid at Tsao Shi Cha Juang"),
        ("钱钟书.", "Chian Jong Shu."),
        ("Nothing to change:  two spaces", "Nothing to change: two spaces"),
        ("", ""),
    ],
)
def test_names_are_written_in_english_letters(text, said):
    assert for_english_ears(text) == said
