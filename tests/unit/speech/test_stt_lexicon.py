"""Words of agreement, refusal and doubt, and digits, in three languages."""

import pytest

from ivr.speech import lexicon
from ivr.turn import Expectation

YES_NO_EN = [
    ("Yes.", "yes"), ("yeah", "yes"), ("Yep!", "yes"), ("Sure", "yes"), ("correct", "yes"), ("That's right.", "yes"),
    ("Yes, I made that transaction", "yes"), ("okay", "yes"), ("of course", "yes"),
    ("no", "no"), ("Nope.", "no"), ("No way!", "no"), ("It wasn't me", "no"), ("That's not right", "no"),
    ("incorrect", "no"), ("no, I did not", "no"),
    ("I think so", "unsure"), ("I don't know.", "unsure"), ("I’m not sure", "unsure"), ("maybe", "unsure"),
    ("yeah, no, it wasn't me", "unsure"),
    ("okay, let's move", ""), ("I do not see", "no"),
    ("right", ""), ("bird", ""), ("north", ""), ("know", ""), ("", ""), ("...", ""),
]  # fmt: skip
YES_NO_ZH = [
    ("是的", "yes"), ("对", "yes"), ("没错", "yes"), ("没问题", "yes"), ("是的，这笔交易是我本人做的", "yes"),
    ("嗯，是我", "yes"), ("对的，是我本人", "yes"), ("好的", "yes"), ("可以", "yes"), ("事的", "yes"),
    ("不是", "no"), ("不对", "no"), ("没有", "no"), ("不是我，我没有做过这笔交易", "no"), ("不是我本人操作的", "no"),
    ("我不认识这个商户", "no"), ("布是", "no"),
    ("我不太确定", "unsure"), ("好像是吧", "unsure"), ("我想一想", "unsure"), ("我不太写定", "unsure"),
    ("今天天气怎么样", ""), ("我要投诉", ""), ("星期天可以办业务吗", ""), ("没听清楚", ""), ("对不起", ""), ("", ""),
]  # fmt: skip
DIGITS = [
    ("one two three", "en", "123", True), ("8-6-2-0", "en", "8620", True), ("double five oh one", "en", "5501", True),
    ("triple seven", "en", "777", True), ("twenty three forty", "en", "2340", True), ("86 20", "en", "8620", True),
    ("nineteen eighty five", "en", "1985", True), ("Six. Six. Eight.", "en", "668", True),
    ("my card is blue", "en", "", False), ("one bird", "en", "1", False), ("", "en", "", False),
    ("八六二零", "zh", "8620", True), ("幺三九", "zh", "139", True), ("一二3四", "zh", "1234", True),
    ("巴流二零", "zh", "8620", True), ("你好", "zh", "", False), ("尾号八", "zh", "8", False),
    ("일 이 삼 공", "ko", "1230", True), ("하나 둘 여덟", "ko", "128", True), ("바나나", "ko", "", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "meaning"), YES_NO_EN)
def test_english_yes_and_no(text: str, meaning: str) -> None:
    assert lexicon.yes_or_no(text, "en") == meaning


@pytest.mark.parametrize(("text", "meaning"), YES_NO_ZH)
def test_mandarin_yes_and_no_by_sound(text: str, meaning: str) -> None:
    assert lexicon.yes_or_no(text, "zh") == meaning


@pytest.mark.parametrize(("text", "meaning"), [("네", "yes"), ("아니요", "no"), ("글쎄요", "unsure"), ("사과", "")])
def test_korean_yes_and_no(text: str, meaning: str) -> None:
    assert lexicon.yes_or_no(text, "ko") == meaning


def test_an_unknown_language_has_no_yes() -> None:
    assert lexicon.yes_or_no("oui", "fr") == ""


@pytest.mark.parametrize(("language", "meaning"), [("en", "no"), ("zh", "no"), ("ko", "no")])
def test_no_way_of_saying_no_means_yes(language: str, meaning: str) -> None:
    refusals = lexicon.YES_NO[language]["no"] + lexicon.WEIGHED_YES_NO.get(language, {}).get("no", ())
    assert {lexicon.yes_or_no(p, language) for p in refusals} <= {meaning, "unsure"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_weighed_answers_mean_what_they_stand_under(language: str) -> None:
    for kind, phrases in lexicon.WEIGHED_YES_NO[language].items():
        for phrase in phrases:
            assert lexicon.yes_or_no(phrase, language) == kind, phrase


@pytest.mark.parametrize(("text", "language", "digits", "clean"), DIGITS)
def test_digits(text: str, language: str, digits: str, clean: bool) -> None:
    assert lexicon.digits_of(text, language) == (digits, clean)


def test_the_longest_phrase_wins() -> None:
    phrases = ("card", "lost card", "balance")
    assert lexicon.phrase_of("I have a lost card, please", phrases, "en") == "lost card"
    assert lexicon.phrase_of("postcards", phrases, "en") == ""
    assert lexicon.phrase_of("查寻余额", ("挂失", "查询余额"), "zh") == "查询余额"


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [("yes_no", "Nope.", "no"), ("digits", "four two", "42"), ("digits", "blue", ""),
     ("choice", "the balance", "balance"),
     ("open", "Anything.", "Anything."), ("date", "the third", "the third")],
)  # fmt: skip
def test_canonical_form_of_each_expectation(kind: str, text: str, canonical: str) -> None:
    assert lexicon.canonical(text, Expectation(kind, "en", phrases=("balance",))) == canonical
