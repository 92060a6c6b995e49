"""Where a prompt is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.speech.sentences import CLAUSE_GAP_MS, LAST_GAP_MS, SENTENCE_GAP_MS, split

CASES = [
    ("en", "Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
    ("en", "You owe $1,234.50. Pay 3.5% now.", ["You owe $1,234.50.", "Pay 3.5% now."]),
    ("en", "Mr. Smith of St. James St. called.", ["Mr. Smith of St. James St. called."]),
    ("en", "Open at 9 a.m. on weekdays. Closed at 5 p.m. Come early.",
     ["Open at 9 a.m. on weekdays.", "Closed at 5 p.m.", "Come early."]),
    ("en", "It is No. 5. No. Really.", ["It is No. 5.", "No.", "Really."]),
    ("en", "J. P. Morgan and I. We left.", ["J. P. Morgan and I.", "We left."]),
    ("en", 'She said "stop." Then left.', ['She said "stop."', "Then left."]),
    ("en", "See www.bank.com. Thanks", ["See www.bank.com.", "Thanks"]),
    ("en", "Really?! Yes...", ["Really?!", "Yes..."]),
    ("en", "First line\nsecond line", ["First line", "second line"]),
    ("en", "Welcome. [menu] Say it.", ["Welcome.", "[menu]", "Say it."]),
    ("en", "You have {money:1.50 USD}. {date:2026-03-12}!", ["You have {money:1.50 USD}.", "{date:2026-03-12}!"]),
    ("en", " ... !? ", []),
    ("en", "", []),
    ("zh", "您好！请问有什么可以帮您？好的。", ["您好！", "请问有什么可以帮您？", "好的。"]),
    ("zh", "余额是3.50元。利率3.5%。", ["余额是3.50元。", "利率3.5%。"]),
    ("zh", "他说：“好的。”然后走了。", ["他说：“好的。”", "然后走了。"]),
    ("zh", "请稍候……马上就好", ["请稍候……", "马上就好"]),
    ("zh", "好!不好?行", ["好!", "不好?", "行"]),
    ("ko", "안녕하세요. 무엇을 도와 드릴까요?", ["안녕하세요.", "무엇을 도와 드릴까요?"]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "pieces"), CASES)
def test_a_prompt_is_cut_at_its_sentences(language, text, pieces):
    assert [p.text for p in split(text, language)] == pieces


def test_a_long_sentence_is_cut_at_a_clause():
    english = (
        "If your card was lost abroad, call the number on the back of the statement, " * 2 + "and then wait for us."
    )
    assert [len(p.text) <= 130 for p in split(english, "en")] == [True, True]
    mandarin = "如果您的银行卡在境外丢失，请立即拨打对账单背面的电话，" * 2 + "然后等待我们的工作人员与您联系。"
    pieces = [p.text for p in split(mandarin, "zh")]
    assert len(pieces) > 1
    assert all(p[-1] in "，。" and len(p) <= 45 for p in pieces)


def test_gaps_follow_the_structure():
    pieces = split("One, two, three. " + "word word word, " * 12 + "end.", "en")
    assert [p.gap_ms for p in pieces] == [SENTENCE_GAP_MS, CLAUSE_GAP_MS, LAST_GAP_MS]


@given(st.text("ab .!?,。，！\n{:}[]1甲", max_size=400), st.sampled_from(["en", "zh"]))
def test_no_word_is_lost_and_no_piece_is_endless(text, language):
    pieces = split(text, language)
    assert [c for p in pieces for c in p.text if c.isalnum()] == [c for c in text if c.isalnum()]
    assert all(len(p.text) <= 480 for p in pieces)


@pytest.mark.timeout(20)  # seconds
def test_a_text_without_a_full_stop_ends_too():
    assert len(split("字" * 10_000, "zh")) == 112
    assert len(split("word, " * 5_000, "en")) > 100
