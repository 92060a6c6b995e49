"""Characters are read alike in every process, whatever else runs in it and whatever ran first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ivr import readings
from ivr.speech import mandarin
from ivr.understanding.expected import pinyin
from ivr.understanding.knowledge import features
from ivr.understanding.sounds import syllables

WORDS = "哪家支行可以还款，跨行转账重说一遍"
UNDERSTOOD = "from ivr.understanding.knowledge import features; understood = sorted(features(words, 'zh').items())"
HEARD = "from ivr.understanding.sounds import syllables; heard = syllables(words)"
SPOKEN = "from ivr.speech.mandarin import pinyin; spoken = pinyin(words)"
MATCHED = "from ivr.speech.lexicon import pinyin as listened; matched = listened(words)"


@pytest.mark.parametrize("order", [(UNDERSTOOD, HEARD, MATCHED, SPOKEN), (SPOKEN, MATCHED, HEARD, UNDERSTOOD)])
def test_understanding_and_voice_read_the_same_in_either_order(order):
    script = "\n".join((f"words = {WORDS!r}", *order, "print((understood, heard, matched, spoken))"))
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    here = sorted(features(WORDS, "zh").items())
    matched = tuple(s for s in syllables(WORDS) if s.isascii())
    assert told.stdout.strip() == repr((here, syllables(WORDS), matched, mandarin.pinyin(WORDS)))


def test_a_banks_words_are_read_as_it_reads_them():
    assert pinyin("支行") == ("zhi", "hang")
    assert pinyin("请重说") == ("qing", "chong", "shuo")
    assert readings.numbered("还款") == ["huan2", "kuan3"]
    assert mandarin.pinyin("我要去支行还款") == "wo3 yao4 qu4 zhi1 hang2 huan2 kuan3"


def test_each_character_has_a_place_and_other_writing_stays():
    assert readings.each("查abc余额") == ["cha", "a", "b", "c", "yu", "e"]
    assert readings.toneless("查abc余额") == ["cha", "abc", "yu", "e"]
    assert readings.numbered("银行") == ["yin2", "hang2"]
    assert readings.words("重拨支行行号") == ["重拨", "支行", "行号"]
    assert readings.initial_and_final("lve") == ("l", "ve")
