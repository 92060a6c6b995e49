"""Names of people, as said and spelt in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.understanding import names
from ivr.understanding.said import normal


def read(text: str, language: str) -> str:
    return next((span.value for span in names.names(normal(text, language), language)), "")


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("My name is Katy Brady", "en", "Katy Brady"),
        ("Katie Brady please", "en", "Katie Brady"),
        ("uh it's Michelle Kent", "en", "Michelle Kent"),
        ("this is Mary Ann Smith speaking", "en", "Mary Ann Smith"),
        ("John O'Neill", "en", "John O'Neill"),
        ("my surname is Hurst", "en", "Hurst"),
        ("Brett, B R E T T, Blackburn", "en", "Brett Blackburn"),
        ("it's spelt D O double N A", "en", "Donna"),
        ("我叫张伟", "zh", "张伟"),
        ("張偉", "zh", "张伟"),
        ("陈好", "zh", "陈好"),
        ("嗯我是刘德华", "zh", "刘德华"),
        ("我姓王叫小明", "zh", "王小明"),
        ("我的名字是欧阳娜娜", "zh", "欧阳娜娜"),
        ("忘小明", "zh", "王小明"),
        ("章伟，弓长张", "zh", "张伟"),
        ("弓长张，张伟", "zh", "张伟"),
        ("李力，美丽的丽", "zh", "李丽"),
        ("免贵姓张", "zh", "张"),
        ("我姓李", "zh", "李"),
    ],
)
def test_a_name(text, language, value):
    """With the words around it; a spelling or a description wins over what was written."""
    assert read(text, language) == value


@pytest.mark.parametrize(
    ("text", "language"),
    [("yes", "en"), ("I don't know", "en"), ("what is that", "en"), ("8620", "en"), ("", "en"),
     ("tell me the opening hours of the branch please", "en"), ("对", "zh"), ("不知道", "zh"), ("我不告诉你", "zh"),
     ("什么名字", "zh"), ("八六二零", "zh"), ("我的银行卡丢了要挂失", "zh"), ("叫人工服务", "zh"),
     ("call me back tomorrow", "en"), ("", "zh")],
)  # fmt: skip
def test_no_name(text, language):
    """Answers to another question."""
    assert read(text, language) == ""


def test_surnames_of_one_sound_are_rivals():
    """Unless the caller told them apart."""
    (span,) = names.names("我叫张伟", "zh")
    assert (span.clear, span.rivals) == (True, ("章伟",))
    (span,) = names.names("张伟弓长张", "zh")
    assert span.rivals == ()


@given(
    st.text(max_size=120) | st.text("abc 'doubleis我叫姓张王弓长的立早，", max_size=60), st.sampled_from(["en", "zh"])
)
def test_any_text_is_read_without_error(text, language):
    """A name is short and within the text."""
    said = normal(text, language)
    for span in names.names(said, language):
        assert 0 <= span.start <= span.end <= len(said)
        assert span.value
