"""Values into words: what stands in braces in prompts, paths and bodies, and what back ends' answers become."""

from decimal import Decimal

import pytest
from calls import NOW

from ivr.dialog import fill
from ivr.dialog.plan import Plan
from ivr.dialog.state import State
from ivr.turn import Filled
from ivr.understanding.knowledge import Knowledge
from ivr.understanding.places import Place, Places
from ivr.understanding.slots import Slot
from ivr.understanding.understand import Vocabulary

PLACES = Places([Place("xidan", {"en": ("Xidan",), "zh": ("西单",)}), Place("gulou", {"zh": ("鼓楼",)})])
SLOTS = {
    slot.name: slot
    for slot in (
        Slot("card", "digits", sensitive=True), Slot("age", "number"), Slot("sum", "money"), Slot("day", "date"),
        Slot("hour", "time"), Slot("tel", "phone"), Slot("ref", "code"), Slot("words", "text"), Slot("sure", "yes_no"),
        Slot("place", "place", places=PLACES),
        Slot("what", "choice", choices={"cheque": {"en": ("a cheque", "check"), "zh": ("支票",)}}),
    )
}  # fmt: skip
PLAN = Plan("p", "1", ("en", "zh"), "a", {}, Vocabulary(Knowledge(()), SLOTS), zone="Asia/Shanghai")


def state(language: str = "en", **values: str) -> State:
    return State(language, "400", slots={name: Filled(value) for name, value in values.items()})


@pytest.mark.parametrize(
    ("slot", "value", "en", "zh"),
    [
        ("card", "8620", "{digits:8620}", "{digits:8620}"),
        ("age", "41", "{number:41}", "{number:41}"),
        ("sum", "12.50 CNY", "{money:12.50 CNY}", "{money:12.50 CNY}"),
        ("day", "2026-11-24", "{date:2026-11-24}", "{date:2026-11-24}"),
        ("hour", "14:30", "{time:14:30}", "{time:14:30}"),
        ("tel", "+8613800138000", "{phone:+8613800138000}", "{phone:+8613800138000}"),
        ("ref", "AB12", "{spell:AB12}", "{spell:AB12}"),
        ("words", "hello", "hello", "hello"),
        ("words", "a {digits:1} b", "a  digits:1  b", "a  digits:1  b"),
        ("words", "x" * 9_999, "x" * 300, "x" * 300),
        ("sure", "yes", "yes", "是"),
        ("sure", "no", "no", "否"),
        ("place", "xidan", "Xidan", "西单"),
        ("place", "gulou", "gulou", "鼓楼"),
        ("place", "nowhere", "nowhere", "nowhere"),
        ("what", "cheque", "a cheque", "支票"),
        ("what", "gold", "gold", "gold"),
    ],
)
def test_a_slot_is_said_as_what_it_is(slot, value, en, zh):
    """By its kind, in both languages."""
    words = {"en": f"{{{slot}}}", "zh": f"{{{slot}}}"}
    assert fill.prompt(PLAN, state("en", **{slot: value}), words, NOW)[0] == en
    assert fill.prompt(PLAN, state("zh", **{slot: value}), words, NOW)[0] == zh


def test_empty_slots_facts_and_typed_values_in_prompts():
    """What is not filled is left out; a typed value stays for the voice."""
    words = {"en": "{card}|{today}|{now}|{language}|{dialled}|{money:5 CNY}|{status}|{Nobody}"}
    said = "|2026-11-23|10:00|en|400|{money:5 CNY}||{Nobody}"
    assert fill.prompt(PLAN, state(), words, NOW) == (said, True)
    assert fill.names("{card} {money:5} {today}") == ("card", "today")


def test_a_language_without_words_gets_the_first():
    """Better a foreign word than none."""
    assert fill.prompt(PLAN, state("zh"), {"en": "Hello."}, NOW) == ("Hello.", False)
    assert fill.prompt(PLAN, state(), {}, NOW) == ("", False)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("8620", "/cards/8620/x"),
        ("a b/c?d#e%", "/cards/a%20b%2Fc%3Fd%23e%25/x"),
        ("西单", "/cards/%E8%A5%BF%E5%8D%95/x"),
        ("..", "/cards//x"),
        (".", "/cards//x"),
        ("../admin", "/cards/..%2Fadmin/x"),
        ("v1.2", "/cards/v1.2/x"),
        ("\ud800", "/cards/%3F/x"),
    ],
)
def test_no_value_leads_a_path_elsewhere(value, path):
    """Each is one segment, whatever it holds."""
    assert fill.path(PLAN, state(words=value), "/cards/{words}/x", NOW) == path


def test_values_of_queries_and_bodies():
    """Canonical; an entry that is nothing but an empty slot is left out."""
    templates = {"card": "{card}", "day": "{day}", "both": "{card}-{day}", "at": "{now}", "fixed": "1"}
    assert fill.values(PLAN, state(card="8620"), templates, NOW) == {
        "card": "8620",
        "both": "8620-",
        "at": "10:00",
        "fixed": "1",
    }


def test_what_expressions_read():
    """Amounts and numbers as numbers unless they are none, everything else as text, what is empty as nothing."""
    known = fill.readable(PLAN, state(age="41", sum="12.50 CNY", card="0620"), NOW)
    assert (known["age"], known["sum"], known["card"]) == (Decimal(41), Decimal("12.50"), "0620")
    assert (known["day"], known["today"], known["status"]) == (None, "2026-11-23", Decimal(0))
    assert fill.readable(PLAN, state(age="1e999999999", sum="a lot"), NOW)["age"] == "1e999999999"


@pytest.mark.parametrize(
    ("slot", "value", "kept"),
    [("sum", Decimal("12.5"), "12.5 CNY"), ("sum", "12.5", "12.5 CNY"), ("sum", "5 USD", "5 USD"),
     ("sum", "much", "much"), ("age", Decimal("1E+2"), "100"), ("sure", True, "yes"), ("sure", False, "no"),
     ("words", "a\n{b}\0c", "a b c"), ("words", None, None)],
)  # fmt: skip
def test_what_a_slot_keeps_of_a_value(slot, value, kept):
    """Canonical, one line, without braces."""
    assert fill.canonical(SLOTS[slot], value) == kept


DATA = {"branch": {"name": "Xidan"}, "rows": [{"id": 7}], "open": True, "sum": 3289.5, "big": 1e300, "no": None,
        "nan": float("nan"), "blank": " ", "half": "a\ud800b", "long": "x" * 9_999, "deep": {"a": {}}}  # fmt: skip


@pytest.mark.parametrize(
    ("slot", "place", "kept"),
    [
        ("words", "branch.name", "Xidan"),
        ("age", "rows.0.id", "7"),
        ("age", "rows.1.id", None),
        ("age", "rows.-1.id", None),
        ("words", "rows", None),
        ("sure", "open", "yes"),
        ("sum", "sum", "3289.5 CNY"),
        ("age", "big", None),
        ("age", "nan", None),
        ("words", "no", None),
        ("words", "blank", None),
        ("words", "long", "x" * 300),
        ("words", "deep.a", None),
        ("words", "branch.name.more", None),
        ("words", "missing", None),
        ("words", "half", "a b"),
    ],
)
def test_what_is_kept_of_a_back_ends_answer(slot, place, kept):
    """Texts, numbers and truth; everything else is nothing."""
    saved = fill.saved(SLOTS[slot], DATA, place)
    assert (saved.value if saved else None) == kept


@pytest.mark.parametrize("data", [None, [], "text", 5, {"a": []}, [[[]]]])
def test_an_answer_of_another_shape_fills_nothing(data):
    """Whatever the back end sent."""
    assert fill.saved(SLOTS["words"], data, "a.b") is None
