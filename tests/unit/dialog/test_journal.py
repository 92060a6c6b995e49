"""Inputs as records and back: nothing lost that replays, nothing kept that is secret, everything bounded."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ivr.dialog import journal
from ivr.dialog.plan import Ask, Confirm, Events, Field, Form, Lookup, Plan
from ivr.dialog.state import (
    Connected,
    Fetched,
    Heard,
    Key,
    KeysEnded,
    Recorded,
    Silence,
    Started,
    State,
)
from ivr.turn import Alternative, Filled, Hypothesis, Understood
from ivr.understanding.knowledge import Knowledge
from ivr.understanding.slots import Slot
from ivr.understanding.understand import Vocabulary

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def heard(text: str, value: str = "", **more) -> Heard:
    hypothesis = Hypothesis(text, 0.8, (Alternative(text + " perhaps", 0.3),), ended=0.9, engine="whisper:base")
    return Heard(Understood(hypothesis, value or text, confidence=0.8, **more))


CARD = heard("eight six two zero", "8620", slots={"card": Filled("8620", 0.8, "eight six two zero", ("8628",))})

INPUTS = [
    Started(),
    Silence(),
    KeysEnded(),
    Key("#"),
    Connected("no_answer"),
    Recorded("c1-3.wav", 4_200),
    Fetched("ok", 200, {"rows": [{"id": "b7", "name": "鸟巢支行", "open": True, "metres": 420.5, "fax": None}]}),
    Fetched("status", 404),
    CARD,
    heard("我要挂失", intent="lost_card", answer="马上为您办理。", source="lost", command="language:en", corrects=True),
    Heard(Understood(Hypothesis("", rejected="none_of_these", alternatives=(Alternative("again please", 0.5),)))),
]


@pytest.mark.parametrize("given", INPUTS, ids=lambda given: type(given).__name__)
def test_an_input_comes_back_from_its_record_as_it_was(given):
    record = json.loads(json.dumps(journal.to_record(given, sensitive=False)))
    assert journal.from_record(record) == given
    assert "masked" not in record


@pytest.mark.parametrize("given", INPUTS, ids=lambda given: type(given).__name__)
def test_masked_records_are_read_as_well(given):
    assert type(journal.from_record(journal.to_record(given, sensitive=True))) is type(given)


def test_what_is_sensitive_keeps_its_shape_only():
    record = journal.to_record(CARD, sensitive=True)
    text = json.dumps(record)
    assert not any(word in text for word in ("8620", "8628", "eight", "perhaps"))
    said = journal.from_record(record).understood
    assert (said.value, said.slots["card"].value, said.slots["card"].confidence) == ("1111", "1111", 0.8)
    assert said.hypothesis.engine == "whisper:base"
    assert record["masked"]
    assert journal.to_record(Key("7"), sensitive=True)["given"] == {"digit": "1"}
    assert journal.to_record(Key("#"), sensitive=True)["given"] == {"digit": "#"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("8620", "1111"),
        ("12.50 CNY", "11.11 xxx"),
        ("1985-03-12", "1111-11-11"),
        ("14:30", "11:11"),
        ("+8613800138000", "+1111111111111"),
        ("AB12", "xx11"),
        ("八六二零", "xxxx"),
        ("", ""),
    ],
)
def test_a_shape_has_the_length_and_the_marks_of_its_value(value, kept):
    assert journal.shape(value) == kept


def test_an_open_answer_at_a_sensitive_question_keeps_not_even_its_length():
    said = journal.from_record(journal.to_record(heard("it is my cat's name"), sensitive=True)).understood
    assert said.value == journal.MASK == said.hypothesis.text


def test_a_no_match_stays_one():
    nothing = Heard(Understood(Hypothesis("well er", 0.2)))
    assert journal.from_record(journal.to_record(nothing, sensitive=True)).understood.value == ""


def test_records_are_bounded():
    hypothesis = Hypothesis("长" * 10_000, 0.5, tuple(Alternative("x" * 9_999, 0.1) for _ in range(100)))
    record = journal.to_record(Heard(Understood(hypothesis, "y" * 10_000)), sensitive=False)
    assert len(json.dumps(record, ensure_ascii=False).encode()) < 60_000
    large = journal.to_record(Fetched("ok", 200, {"rows": ["x" * 100] * 1_000}), sensitive=False)
    assert large["cut"]
    assert journal.from_record(large) == Fetched("ok", 200, None)


def _nested(depth: int) -> list:
    data: list = []
    for _ in range(depth):
        data = [data]
    return data


@pytest.mark.parametrize("data", [_nested(5_000), {"x": "\ud800"}], ids=["deep", "odd"])
def test_an_answer_that_cannot_be_kept_is_left_out(data):
    record = journal.to_record(Fetched("ok", 200, data), sensitive=False)
    assert record["cut"]
    assert journal.from_record(record).outcome == "ok"


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"input": "shouted"},
        {"input": "heard"},
        {"input": "heard", "given": []},
        {"input": "heard", "given": {"understood": {"hypothesis": {"text": 7}}}},
        {"input": "key", "given": {"digit": ["1"]}},
        {"input": ["key"]},
        [],
        None,
        "started",
    ],
)
def test_a_record_that_is_none_is_refused_in_words(record):
    with pytest.raises(journal.BadRecord):
        journal.from_record(record)


# With a plan, what is sensitive is known by itself -----------------------------------------------------------------

SLOTS = {
    "card": Slot("card", "digits", 4, 4, sensitive=True),
    "sum": Slot("sum", "money"),
    "owner": Slot("owner", "text", sensitive=True),
    "balance": Slot("balance", "money", sensitive=True),
    "branch": Slot("branch", "text"),
}
STEPS = (
    Ask("ask", {"en": "?"}, "open", "end", Events()),
    Ask("ask_card", {"en": "?"}, "digits", "end", Events(), slot="card"),
    Ask("ask_sum", {"en": "?"}, "money", "end", Events(), slot="sum"),
    Form("form", {"en": "?"}, (Field("card", {}, Events()), Field("sum", {}, Events())), "end", Events()),
    Confirm("confirm", {"en": "?"}, ("card",), "end", "form", Events()),
    Lookup("find", "bank", "/cards/{card}", "end", "end", query={"sum": "{sum}"},
           save={"owner": "card.owner", "balance": "rows.1.sum", "branch": "card.branch"}),
)  # fmt: skip
PLAN = Plan("bank", "1", ("en", "zh"), "ask", {s.name: s for s in STEPS}, Vocabulary(Knowledge(()), SLOTS))


def entry(given, step: str, **state) -> dict:
    return journal.entry(PLAN, State("en", step=step, **state), given, NOW)


@pytest.mark.parametrize(
    ("given", "step", "slot", "masked"),
    [
        (heard("hello"), "ask", "", False),
        (CARD, "ask_card", "", True),
        (heard("er"), "ask_card", "", True),
        (heard("five yuan", "5.00 CNY", slots={"sum": Filled("5.00 CNY")}), "ask_sum", "", False),
        (CARD, "ask_sum", "", True),
        (heard("five yuan", "5.00 CNY", slots={"sum": Filled("5.00 CNY")}), "form", "sum", True),
        (Key("8"), "form", "", True),
        (Key("8"), "form", "sum", False),
        (Key("8"), "ask_card", "", True),
        (Key("1"), "confirm", "", False),
        (Silence(), "ask_card", "", False),
    ],
)
def test_the_plan_says_what_is_sensitive(given, step, slot, masked):
    record = entry(given, step, slot=slot)
    assert record.get("masked", False) is masked
    assert (record["step"], record["slot"]) == (step, slot)


def test_a_yes_to_a_sensitive_value_is_no_secret():
    said = journal.from_record(entry(heard("yes", "yes"), "confirm")).understood
    assert (said.value, said.hypothesis.text) == ("yes", journal.MASK)


def test_beside_something_secret_the_values_of_other_slots_are_kept():
    slots = {"sum": Filled("5.00 CNY", 0.8, "five yuan"), "card": Filled("8620", 0.9, "eight six two zero")}
    record = entry(heard("five yuan from eight six two zero", "5.00 CNY", slots=slots), "form", slot="sum")
    said = journal.from_record(record).understood
    assert (said.value, said.slots["sum"].value, said.slots["card"].value) == ("5.00 CNY", "5.00 CNY", "1111")
    assert not any(word in json.dumps(record) for word in ("8620", "eight", "five"))
    assert journal.from_record(entry(CARD, "form", slot="sum")).understood.value == "1111"


def test_one_key_before_a_pause_may_have_been_a_command():
    assert entry(KeysEnded(), "ask_card", keys="0")["keys"] == "0"
    assert "keys" not in entry(KeysEnded(), "ask_card", keys="862")
    assert "keys" not in entry(KeysEnded(), "ask_card", keys="7")
    assert "keys" not in entry(KeysEnded(), "ask_sum", keys="0")


@pytest.mark.parametrize(
    ("given", "step", "ignored"),
    [
        (Key("1"), "find", True),
        (heard("hello"), "end", True),
        (Silence(), "ask", False),
        (Fetched("ok"), "find", False),
        (Fetched("ok"), "ask", True),
        (Connected("busy"), "ask", True),
        (Recorded("a.wav"), "ask", True),
        (Started(), "", False),
    ],
)
def test_what_nothing_waited_for_says_so(given, step, ignored):
    assert entry(given, step).get("ignored", False) is ignored


def test_a_lookup_is_known_by_what_it_asked_and_keeps_no_sensitive_answer():
    data = {"card": {"owner": "王小明", "branch": "鸟巢支行"}, "rows": [{"sum": 1}, {"sum": 4711.5}]}
    slots = {"card": Filled("8620"), "sum": Filled("5.00 CNY")}
    record = entry(Fetched("ok", 200, data), "find", slots=slots)
    assert record["request"] == {"backend": "bank", "path": "/cards/1111", "query": {"sum": "5.00 CNY"}}
    assert record["given"]["data"] == {
        "card": {"owner": "xxx", "branch": "鸟巢支行"},
        "rows": [{"sum": 1}, {"sum": "1111.1"}],
    }
    assert data["card"]["owner"] == "王小明"
    assert entry(Fetched("timeout"), "find")["request"]["path"] == "/cards/"


@pytest.mark.parametrize("data", [None, [], {"card": []}, {"rows": [{"sum": 1}]}, {"card": {"owner": {"a": "b"}}}, "x"])
def test_an_answer_of_another_form_is_kept_without_what_could_be_sensitive(data):
    assert "b" not in json.dumps(entry(Fetched("ok", 200, data), "find")["given"]["data"])


def test_an_input_at_no_step_is_written_too():
    assert journal.entry(PLAN, replace(State("en")), Started(), NOW) == {
        "input": "started", "given": {"answered_by": "human", "given": {}, "zone": "", "proofs": ()}, "step": "",
        "slot": "",
    }  # fmt: skip
