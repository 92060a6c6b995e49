"""Slots: what an answer fills, what one utterance fills at once, what keys mean, and when enough was said."""

import datetime
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.dialog.plan_format import SLOT_FORMS
from ivr.understanding import slots
from ivr.understanding.places import Place, Places
from ivr.understanding.slots import Slot

TODAY = "2026-11-18"
ACCOUNTS = {
    "savings": {"en": ("savings account", "savings"), "zh": ("储蓄账户", "储蓄卡", "储蓄")},
    "checking": {"en": ("checking account", "checking"), "zh": ("活期账户", "活期")},
    "credit": {"en": ("credit card",), "zh": ("信用卡",)},
}
PLACES = Places(
    [
        Place("xidan", {"zh": ("西单",), "en": ("Xidan",)}),
        Place("dongdan", {"zh": ("东单",), "en": ("Dongdan",)}),
        Place("wangfujing", {"zh": ("王府井",), "en": ("Wangfujing",)}),
        Place("airport", {"zh": ("首都机场",), "en": ("Capital Airport",)}),
        Place("theatre", {"zh": ("首都剧场",), "en": ("Capital Theatre",)}),
    ]
)
SLOTS = {
    slot.name: slot
    for slot in (
        Slot("amount", "money"),
        Slot("account", "choice", choices=ACCOUNTS),
        Slot("day", "date"),
        Slot("time", "time"),
        Slot("place", "place", places=PLACES),
        Slot("card", "digits", min=4, max=4),
        Slot("phone", "phone", country="CN"),
        Slot("count", "number", min=1, max=100),
        Slot("code", "code", min=4, max=6),
        Slot("sure", "yes_no"),
        Slot("message", "text"),
    )
}


def read(name: str, text: str, language: str) -> str:
    filled = slots.read(SLOTS[name], [(text, 0.9)], language, TODAY)
    return filled.value if filled else ""


def read_all(text: str, language: str, asked: str = "", names: str = "") -> dict[str, str]:
    known = [SLOTS[n] for n in names.split()] if names else list(SLOTS.values())
    found = slots.read_all(known, SLOTS.get(asked), [(text, 0.9)], language, TODAY)
    return {name: filled.value for name, filled in found.items()}


@pytest.mark.parametrize(
    ("slot", "text", "language", "value"),
    [
        ("amount", "five hundred", "en", "500.00 CNY"),
        ("amount", "I'd like twelve dollars fifty please", "en", "12.50 USD"),
        ("amount", "三千五百元", "zh", "3500.00 CNY"),
        ("amount", "3500人", "zh", "3500.00 CNY"),
        ("amount", "伊千块", "zh", "1000.00 CNY"),
        ("amount", "两百八十九快五毛", "zh", "289.50 CNY"),
        ("amount", "tomorrow", "en", ""),
        ("account", "savings", "en", "savings"),
        ("account", "the savings one please", "en", "savings"),
        ("account", "my checking account", "en", "checking"),
        ("account", "储蓄", "zh", "savings"),
        ("account", "我的出蓄卡", "zh", "savings"),
        ("account", "信用塔", "zh", "credit"),
        ("account", "savings or checking", "en", ""),
        ("day", "tomorrow", "en", "2026-11-19"),
        ("day", "the twelfth", "en", "2026-11-12"),
        ("day", "八八年六月六号", "zh", "1988-06-06"),
        ("day", "八八年六越六好", "zh", "1988-06-06"),
        ("day", "never", "en", ""),
        ("time", "nine thirty", "en", "09:30"),
        ("time", "三", "zh", ""),
        ("time", "九点一刻", "zh", "09:15"),
        ("time", "九店一课", "zh", "09:15"),
        ("place", "西单", "zh", "xidan"),
        ("place", "near xidan", "en", "xidan"),
        ("place", "the moon", "en", ""),
        ("card", "eight six two zero", "en", "8620"),
        ("card", "it's 8620", "en", "8620"),
        ("card", "尾号是八六二零", "zh", "8620"),
        ("card", "我说错了，是尾号八六二零", "zh", "8620"),
        ("card", "巴六二零", "zh", "8620"),
        ("card", "eight six two", "en", ""),
        ("card", "eight six two zero one", "en", ""),
        ("phone", "one three eight zero zero one three eight zero zero zero", "en", "+8613800138000"),
        ("phone", "腰三八零零幺三八零零零", "zh", "+8613800138000"),
        ("phone", "one two three", "en", ""),
        ("count", "about twenty", "en", "20"),
        ("count", "一百", "zh", "100"),
        ("count", "two hundred", "en", ""),
        ("count", "零", "zh", ""),
        ("code", "a b one two", "en", "AB12"),
        ("code", "诶比一二", "zh", "AB12"),
        ("code", "a b", "en", ""),
        ("sure", "yes", "en", "yes"),
        ("sure", "不是我", "zh", "no"),
        ("sure", "the weather", "en", ""),
        ("message", "Please call me back.", "en", "Please call me back."),
        ("message", "", "en", ""),
    ],
)
def test_an_answer_fills_its_slot(slot, text, language, value):
    """With the words around it that people say; what does not fit fills nothing."""
    assert read(slot, text, language) == value


@pytest.mark.parametrize(
    ("text", "language", "filled"),
    [
        (
            "transfer five hundred yuan to my savings account tomorrow at nine",
            "en",
            {"amount": "500.00 CNY", "account": "savings", "day": "2026-11-19", "time": "09:00"},
        ),
        (
            "我想明天上午九点存三千五百元",
            "zh",
            {"amount": "3500.00 CNY", "day": "2026-11-19", "time": "09:00"},
        ),
        (
            "book an appointment at wangfujing next friday at half past two",
            "en",
            {"place": "wangfujing", "day": "2026-11-27", "time": "14:30"},
        ),
        ("下周一下午三点去西单", "zh", {"place": "xidan", "day": "2026-11-23", "time": "15:00"}),
        (
            "my card ending in 8 6 2 0 was charged 12 dollars yesterday",
            "en",
            {"card": "8620", "amount": "12.00 USD", "day": "2026-11-17"},
        ),
        (
            "尾号8620昨天消费了两百八十九块五毛",
            "zh",
            {"card": "8620", "amount": "289.50 CNY", "day": "2026-11-17"},
        ),
        ("call me at 13800138000 tomorrow", "en", {"phone": "+8613800138000", "day": "2026-11-19"}),
        ("请问西单附近有没有网点", "zh", {"place": "xidan"}),
        ("六点以后再打给我", "zh", {"time": "18:00"}),
        ("hello", "en", {}),
        ("five hundred", "en", {}),
        ("三千五", "zh", {}),
        ("yes", "en", {}),
        ("我的银行卡丢了，请帮我挂失", "zh", {}),
        ("I have two questions", "en", {}),
        ("今天天气怎么样", "zh", {"day": "2026-11-18"}),
        ("短信通知收费吗", "zh", {}),
        ("nine eight seven six", "en", {}),
        ("", "en", {}),
    ],
)
def test_one_utterance_fills_several_slots(text, language, filled):
    """Only with words that say what they are; bare numbers and answers to no question fill nothing."""
    assert read_all(text, language) == filled


@pytest.mark.parametrize(
    ("asked", "text", "language", "filled"),
    [
        ("amount", "five hundred tomorrow", "en", {"amount": "500.00 CNY", "day": "2026-11-19"}),
        ("amount", "五百，明天", "zh", {"amount": "500.00 CNY", "day": "2026-11-19"}),
        ("time", "at three tomorrow", "en", {"time": "15:00", "day": "2026-11-19"}),
        ("day", "friday at nine", "en", {"day": "2026-11-20", "time": "09:00"}),
        ("card", "八六二零", "zh", {"card": "8620"}),
        ("count", "twenty", "en", {"count": "20"}),
        ("count", "twelve dollars", "en", {"amount": "12.00 USD"}),
        ("message", "call me tomorrow at nine", "en", {"message": "call me tomorrow at nine"}),
        ("sure", "yes, tomorrow at nine", "en", {"sure": "yes", "day": "2026-11-19", "time": "09:00"}),
        ("place", "西单，明天上午九点", "zh", {"place": "xidan", "day": "2026-11-19", "time": "09:00"}),
        ("account", "savings, five hundred yuan", "en", {"account": "savings", "amount": "500.00 CNY"}),
    ],
)
def test_the_slot_asked_for_takes_bare_words(asked, text, language, filled):
    """The others still need words that say what they are, and no words count twice."""
    assert read_all(text, language, asked) == filled


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("from checking to savings", "en"),
        ("to my savings account from my checking account", "en"),
        ("从活期账户转到储蓄账户", "zh"),
    ],
)
def test_two_slots_of_a_kind_by_their_directions(text, language):
    """Names that hold `from` and `to` take what those words stand before, in any order."""
    both = [Slot("to_account", "choice", choices=ACCOUNTS), Slot("from_account", "choice", choices=ACCOUNTS)]
    found = slots.read_all(both, None, [(text, 0.9)], language)
    assert {n: f.value for n, f in found.items()} == {"from_account": "checking", "to_account": "savings"}


def test_two_slots_of_a_kind_take_two_values_in_order_and_one_value_not_at_all():
    """Unless one of them was asked for."""
    first, last = Slot("first", "date"), Slot("last", "date")
    said = [("from monday until friday", 0.9)]
    found = slots.read_all([first, last], None, said, "en", TODAY)
    assert [found[n].value for n in ("first", "last")] == ["2026-11-23", "2026-11-20"]
    assert slots.read_all([first, last], None, [("tomorrow", 0.9)], "en", TODAY) == {}
    assert list(slots.read_all([first, last], last, [("tomorrow", 0.9)], "en", TODAY)) == ["last"]


def test_rivals_and_confidence():
    """Readings nearly as sure give rivals; doubtful ones do not, and a yes has none at all."""
    near = slots.read(SLOTS["card"], [("8620", 0.5), ("8650", 0.4), ("8020", 0.1)], "en")
    assert (near.value, near.confidence, near.rivals) == ("8620", 0.5, ("8650",))
    assert slots.read(SLOTS["sure"], [("yes", 0.5), ("no", 0.4)], "en").rivals == ()
    assert slots.read(SLOTS["time"], [("at three", 0.9)], "en").rivals == ("03:00",)
    assert slots.read(SLOTS["place"], [("首都机厂", 0.9)], "zh").rivals == ("theatre",)


def test_a_number_that_breaks_off_is_not_completed_by_a_worse_reading():
    """Three of four digits are three of four digits."""
    assert slots.read(SLOTS["card"], [("8 6 2", 0.5), ("8 6 2 0", 0.3)], "en") is None
    assert slots.read(SLOTS["card"], [("hello", 0.5), ("8 6 2 0", 0.3)], "en").value == "8620"


def test_a_yes_is_never_taken_from_a_worse_reading():
    """What follows a doubtful reading is a guess."""
    assert slots.read(SLOTS["sure"], [("guess", 0.6), ("yes", 0.3)], "en") is None


def test_the_words_are_told():
    """The stretch of the utterance that the value was taken from."""
    found = slots.read_all([SLOTS["day"]], None, [("Transfer it tomorrow, please.", 0.9)], "en", TODAY)
    assert found["day"].text == "tomorrow"


@pytest.mark.parametrize(
    ("slot", "keys", "value"),
    [
        ("card", "8620", "8620"),
        ("card", "862", ""),
        ("card", "86*0", ""),
        ("count", "7", "7"),
        ("count", "101", ""),
        ("amount", "12*5", "12.50 CNY"),
        ("amount", "500", "500.00 CNY"),
        ("amount", "*", ""),
        ("amount", "1*2*3", ""),
        ("amount", "9" * 30, ""),
        ("day", "19850312", "1985-03-12"),
        ("day", "31121985", "1985-12-31"),
        ("day", "12031985", ""),
        ("day", "1225", "2026-12-25"),
        ("day", "1332", ""),
        ("time", "1430", "14:30"),
        ("time", "930", "09:30"),
        ("time", "2561", ""),
        ("phone", "13800138000", "+8613800138000"),
        ("phone", "123", ""),
        ("sure", "1", "yes"),
        ("sure", "2", "no"),
        ("sure", "3", ""),
        ("account", "1", ""),
        ("place", "1", ""),
        ("code", "1234", "1234"),
        ("card", "", ""),
        ("card", "４５６７", ""),
        ("card", "abcd", ""),
    ],
)
def test_keys(slot, keys, value):
    """`*` is the point; what does not fit is nothing."""
    assert slots.from_keys(SLOTS[slot], keys, TODAY) == value


@pytest.mark.parametrize(
    ("slot", "count"),
    [("card", 4), ("code", 6), ("day", 8), ("time", 4), ("sure", 1), ("amount", 0), ("count", 0), ("phone", 0),
     ("account", 0), ("place", 0), ("message", 0)],
)  # fmt: skip
def test_how_many_keys_are_waited_for(slot, count):
    """0 where `#` or a timeout ends them."""
    assert slots.keys_wanted(SLOTS[slot]) == count


@pytest.mark.parametrize(
    ("slot", "text", "language", "enough"),
    [
        ("card", "eight six", "en", "partial"),
        ("card", "eight six two zero", "en", "complete"),
        ("card", "八六", "zh", "partial"),
        ("card", "八六二零", "zh", "complete"),
        ("code", "a b", "en", "partial"),
        ("code", "a b one two", "en", ""),
        ("code", "a b one two three four", "en", "complete"),
        ("phone", "one three eight zero zero", "en", "partial"),
        ("phone", "幺三八零零幺三八零零零", "zh", "complete"),
        ("day", "march", "en", "partial"),
        ("day", "march twelfth", "en", ""),
        ("day", "march twelfth nineteen eighty five", "en", "complete"),
        ("day", "tomorrow", "en", "complete"),
        ("day", "一九八五年", "zh", "partial"),
        ("day", "一九八五年三月", "zh", "partial"),
        ("day", "一九八五年三月十二", "zh", "partial"),
        ("day", "一九八五年三月十二号", "zh", "complete"),
        ("day", "大后天", "zh", "complete"),
        ("time", "half past", "en", "partial"),
        ("time", "half past two", "en", "complete"),
        ("time", "at nine", "en", ""),
        ("time", "下午", "zh", "partial"),
        ("time", "下午三点", "zh", ""),
        ("time", "下午三点半", "zh", "complete"),
        ("amount", "twelve point", "en", "partial"),
        ("amount", "five hundred", "en", ""),
        ("amount", "five hundred yuan", "en", "complete"),
        ("amount", "三千", "zh", ""),
        ("amount", "三千五百元", "zh", "complete"),
        ("amount", "两百八十九块", "zh", ""),
        ("amount", "两百八十九块五毛", "zh", "complete"),
        ("count", "twenty", "en", ""),
        ("sure", "yes", "en", "complete"),
        ("account", "savings", "en", "complete"),
        ("account", "my", "en", ""),
        ("place", "离", "zh", "partial"),
        ("place", "西单", "zh", "complete"),
        ("place", "near the", "en", "partial"),
        ("place", "wangfujing", "en", "complete"),
        ("message", "tell them that the", "en", "partial"),
        ("message", "tell them I am late", "en", ""),
        ("card", "", "en", ""),
        ("day", "？！", "zh", ""),
    ],
)
def test_when_enough_was_said(slot, text, language, enough):
    """Complete ends the wait, partial prolongs it."""
    assert slots.says_enough(SLOTS[slot], text, language) == enough


@given(st.text(max_size=200) | st.text("零一二三四五六七八九十百千万点块毛分元年月日号上下午半明天西单", max_size=60),
       st.sampled_from(["en", "zh", "ko"]), st.sampled_from([*SLOTS, ""]))  # fmt: skip
def test_any_text_is_read_without_error(text, language, asked):
    """No stretch of words fills two slots, and what fills one is in the text."""
    found = slots.read_all(list(SLOTS.values()), SLOTS.get(asked), [(text, 0.9), (text[::-1], 0.3)], language, TODAY)
    assert all(f.value and 0 <= f.confidence <= 1 for f in found.values())
    for slot in SLOTS.values():
        assert slots.says_enough(slot, text, language) in ("complete", "partial", "")


@given(st.text(max_size=40) | st.text("0123456789*#", max_size=40), st.sampled_from(list(SLOTS)))
def test_any_keys_are_read_without_error(keys, slot):
    """Whatever the line sends."""
    assert isinstance(slots.from_keys(SLOTS[slot], keys, TODAY), str)


@pytest.mark.parametrize("text", ["one " * 2_500, "一" * 10_000, "😀" * 10_000, "明天" * 5_000, "not " * 2_500])
def test_ten_thousand_characters_are_bounded(text):
    """They are read like any noise, by their beginning."""
    for language in ("en", "zh"):
        slots.read_all(list(SLOTS.values()), None, [(text, 0.9)] * 5, language, TODAY)
        slots.read_all(list(SLOTS.values()), SLOTS["amount"], [(text, 0.9)] * 5, language, TODAY)


EVERY_KIND = [
    Slot("digits", "digits", min=1, max=32),
    Slot("checked", "digits", min=12, max=19, luhn=True),
    Slot("number", "number", min=1, max=100),
    Slot("money", "money"),
    Slot("date", "date"),
    Slot("time", "time"),
    Slot("duration", "duration"),
    Slot("yes_no", "yes_no"),
    Slot("phone", "phone", country="CN"),
    Slot("place", "place", places=PLACES),
    Slot("account", "choice", choices=ACCOUNTS),
    Slot("code", "code", min=2, max=10),
    Slot("name", "name"),
    Slot("text", "text"),
]
PIECES = st.one_of(
    st.text(max_size=60),
    st.text("\u202e\u200b\x00\x07\x1b\ud83d\t\r\n", max_size=10),
    st.sampled_from([
        "'; DROP TABLE calls; --", "1 OR 1=1", "{{7*7}}", "${jndi:ldap://x}", "<script>", "%s%n", "../../etc/passwd",
        "\\u0000", "١٢٣", "１２３", "Ⅷ", "½", "²", "五五五", "two hundred", "next friday", "西单", "😀🏦", "-", "+86",
        "9" * 400, "double " * 50, "and a half " * 40, "百千万亿" * 30, "年月日号点分" * 20, "a b c " * 40, "的" * 100,
        "差一刻" * 30, "个半" * 50, "of the " * 40, "one " * 100, "oh hundred " * 40,
    ]),
)  # fmt: skip


def test_every_kind_of_slot_is_among_those_that_anything_is_said_to():
    """A new kind is tested like the others."""
    assert {slot.kind for slot in EVERY_KIND} == set(SLOT_FORMS)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(PIECES, max_size=8), st.sampled_from(["en", "zh", "ko"]), st.sampled_from(EVERY_KIND), st.integers(1, 40)
)
def test_anything_said_to_any_kind_of_slot_is_a_value_or_nothing(pieces, language, slot, times):
    """Up to 10,000 characters: the value fits the slot, is one line, and can be read aloud."""
    text = (" ".join(pieces) * times)[:10_000]
    filled = slots.read(slot, [(text, 0.9), (text[::-1], 0.5)], language, TODAY)
    assert slots.says_enough(slot, text, language) in ("complete", "partial", "")
    if filled is None:
        return
    assert 0 < filled.confidence <= 1
    assert len(filled.rivals) <= 3
    assert FORMS[slot.kind](filled.value)


def _is_date(value: str) -> bool:
    return datetime.date.fromisoformat(value).isoformat() == value


def _matches(pattern: str):
    return re.compile(pattern).fullmatch


FORMS = {
    "digits": _matches(r"\d{1,32}"),
    "number": _matches(r"-?\d+(\.\d+)?"),
    "money": _matches(r"\d+(\.\d+)? [A-Z]{3}"),
    "date": _is_date,
    "time": _matches(r"([01]\d|2[0-3]):[0-5]\d"),
    "duration": _matches(r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?"),
    "yes_no": _matches("yes|no|unsure"),
    "phone": _matches(r"\+\d{3,15}"),
    "place": {place.id for place in PLACES.entries}.__contains__,
    "choice": ACCOUNTS.__contains__,
    "code": _matches(r"[^\W_a-z]{2,10}"),
    "name": _matches(r"[\w' ]{1,500}"),
    "text": lambda value: 0 < len(value) <= 10_000,
}
