"""Expected answers are read from words, in English, Mandarin and Korean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import expected


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("Yes.", "en", "yes"),
        ("yeah that's right", "en", "yes"),
        ("Yep", "en", "yes"),
        ("correct", "en", "yes"),
        ("sure", "en", "yes"),
        ("No, it wasn't me.", "en", "no"),
        ("nope", "en", "no"),
        ("that is not correct", "en", "no"),
        ("not true", "en", "no"),
        ("I did not", "en", "no"),
        ("I think so", "en", "unsure"),
        ("I'm not sure", "en", "unsure"),
        ("I don't remember", "en", "unsure"),
        ("maybe yes", "en", "unsure"),
        ("the weather", "en", ""),
        ("对", "zh", "yes"),
        ("没错", "zh", "yes"),
        ("嗯，好的", "zh", "yes"),
        ("确实是我", "zh", "yes"),
        ("不", "zh", "no"),
        ("不是我做的", "zh", "no"),
        ("没有这回事", "zh", "no"),
        ("从来没有", "zh", "no"),
        ("不知道", "zh", "unsure"),
        ("可能是", "zh", "unsure"),
        ("天气", "zh", ""),
        ("네", "ko", "yes"),
        ("아니요", "ko", "no"),
        ("잘 모르겠어요", "ko", "unsure"),
    ],
)
def test_yes_no_and_unsure(text, language, value):
    """A clear yes is yes, a clear no is no, doubt is unsure and the rest is nothing."""
    assert expected.yes_no(text, language) == value


@pytest.mark.parametrize("text", ["美有", "不适", "不事", "没由", "布是"])
def test_a_misheard_mandarin_no_is_never_yes(text):
    """Homophones of 没有 and 不是 are a no."""
    assert expected.yes_no(text, "zh") != "yes"


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("eight six two zero", "en", "8620"),
        ("8620", "en", "8620"),
        ("8, 6, 2, 0.", "en", "8620"),
        ("double five one oh", "en", "5510"),
        ("triple seven two", "en", "7772"),
        ("twenty one thirty five", "en", "2135"),
        ("it's nine fifteen", "en", "915"),
        ("hello there", "en", ""),
        ("八六二零", "zh", "8620"),
        ("巴六二零", "zh", "8620"),
        ("尾号是幺二三四", "zh", "1234"),
        ("8620", "zh", "8620"),
        ("今天天气", "zh", ""),
        ("일이삼사", "ko", "1234"),
    ],
)
def test_digits(text, language, value):
    """Words, figures and homophones give the same digits."""
    assert expected.digits(text, language) == value


def test_a_choice_is_found_by_sound_in_mandarin():
    """鸟朝 sounds like 鸟巢."""
    assert expected.choice("鸟朝", ("鸟巢", "西单"), "zh")[0] == "鸟巢"


def test_a_choice_between_two_that_fit_alike_is_none():
    """Where two phrases are equally near, neither is taken."""
    assert expected.choice("card", ("cart", "cars"), "en")[0] == ""


@pytest.mark.parametrize(
    ("text", "language", "more"),
    [
        ("I would like to know the", "en", True),
        ("can you tell me about", "en", True),
        ("what time is it", "en", False),
        ("I lost my card", "en", False),
        ("我想查一下", "zh", False),
        ("我想", "zh", True),
        ("离鸟巢最近的", "zh", True),
        ("余额还有多少", "zh", False),
    ],
)
def test_words_that_break_off(text, language, more):
    """Nobody ends on an article, a preposition or 的."""
    assert expected.breaks_off(text, language) is more


@pytest.mark.parametrize(
    ("text", "language", "is_one"),
    [("uh huh", "en", True), ("okay", "en", True), ("stop please", "en", False), ("嗯", "zh", True),
     ("好的好的", "zh", True), ("转人工", "zh", False), ("", "en", False), ("All right.", "en", True),
     ("明白了", "zh", True), ("all I want is my balance", "en", False), ("不明白", "zh", False)],
)  # fmt: skip
def test_back_channels(text, language, is_one):
    """Mm-hm and 好的 say go on; a request does not."""
    assert expected.back_channel(text, language) is is_one


@given(st.text(max_size=200), st.sampled_from(["en", "zh", "ko", "xx"]))
def test_no_text_breaks_the_parsers(text, language):
    """Anything a recogniser may write is read without an error."""
    expected.yes_no(text, language)
    expected.digits(text, language)
    expected.choice(text, ("one", "两个"), language)
    expected.breaks_off(text, language)
    expected.back_channel(text, language)


@pytest.mark.parametrize(
    "text",
    [
        "你好",
        "鸟巢附近有网点吗",
        "你是机器人吗",
        "受理号是多少",
        "你们有停车场吗",
        "你是谁",
        "还有别的吗",
        "有没有网点",
        "是吗",
    ],
)
def test_a_mandarin_question_or_greeting_is_neither_yes_nor_no(text):
    assert expected.yes_no(text, "zh") == ""


@pytest.mark.parametrize(
    ("text", "language", "only"),
    [
        ("um", "en", True), ("Uh, um...", "en", True), ("erm well", "en", True), ("what", "en", True),
        ("sorry", "en", True), ("hmm", "en", True), ("um, a card", "en", False), ("so what is my balance", "en", False),
        ("somebody", "en", False), ("", "en", False),
        ("嗯", "zh", True), ("呃，那个……", "zh", True), ("啊", "zh", True), ("什么", "zh", True),
        ("嗯，查余额", "zh", False), ("这个月的账单", "zh", False), ("", "zh", False), ("음", "ko", False),
    ],
)  # fmt: skip
def test_looking_for_words(text, language, only):
    """Nothing else is said."""
    assert expected.hesitates(text, language) is only
