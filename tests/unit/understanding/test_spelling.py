"""Mandarin that was written as other words of the same sound is written as it was meant."""

from __future__ import annotations

import pytest

from ivr.understanding.spelling import Speller, written

MANDARIN = ("查一下余额", "我要挂失信用卡", "你们几点开门", "转账的手续费是多少")
ENGLISH = ("What is my balance?", "what now", "with my card", "somebody stole my card", "which branch is near")
SPELLER = Speller(written(MANDARIN, "zh"), "zh")
SPELLER_EN = Speller(written(ENGLISH, "en"), "en")


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("查一下鱼鹅", "查一下余额"),
        ("我要挂师信用卡", "我要挂失信用卡"),
        ("你们己点开门", "你们几点开门"),
        ("今添银行开门吗", "今天银行开门吗"),
        ("查一下於額", "查一下余额"),
        ("转帐的首续费", "转账的手续费"),
        ("鱼鹅 balance 是多少", "余额 balance 是多少"),
    ],
)
def test_words_that_only_sound_so_are_written_as_examples_and_common_words_are(heard, meant):
    assert SPELLER.respelled(heard) == meant


@pytest.mark.parametrize(
    "text", ["查一下余额", "今天天气怎么样", "我想知道银行在哪里", "", "I lost my card", "123", "🙂"]
)
def test_what_is_written_well_stays(text):
    assert SPELLER.respelled(text) == text


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("wot is my ballance", "what is my balance"),
        ("somebody stole my kard", "somebody stole my card"),
        ("whitch braunch", "which branch"),
        ("I lost my wallet", "I lost my wallet"),
        ("", ""),
    ],
)
def test_an_english_word_that_nobody_knows_is_written_as_the_one_of_the_examples_that_sounds_so(heard, meant):
    assert SPELLER_EN.respelled(heard) == meant


def test_a_word_of_the_examples_is_one_only_where_they_have_it():
    assert Speller(written(["你好"], "zh"), "zh").respelled("挂师") != "挂失"


def test_long_text_is_read_as_far_as_the_others_read_it():
    assert SPELLER.respelled("鱼鹅" * 1_000) == "余额" * 250
