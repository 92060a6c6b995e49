"""Plans from files: what they mean, and that everything wrong is found at once, with its line and a mend."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.dialog import plan as p
from ivr.dialog import words
from ivr.dialog.calendar import Opening
from ivr.dialog.plan_file import load, load_all
from ivr.dialog.plan_format import MAX_STEPS
from ivr.errors import InvalidInput

DIALPLANS = Path(__file__).parents[3] / "dialplans"

GOOD = """languages: [en, zh]
start: ask
steps:
  ask:
    kind: ask
    expect: yes_no
    prompt: {en: "Well?", zh: "怎么样？"}
    give_up: bye
    next: bye
  bye:
    kind: hangup
    prompt: {en: "Bye.", zh: "再见。"}
"""

EVERYTHING = """
plan: everything
languages: [en]
zone: Asia/Shanghai
operator: person
cancel: offer
on_error: sorry
anywhere: {lost: person}
events: {tries: 2, help: Say it., commands: [repeat, help], digress: false}
slots:
  card: {kind: digits, min: 4, max: 4, sensitive: true}
  sum: {kind: money, currency: EUR}
  what: {kind: choice, choices: {cheque: {en: [cheque, check]}, cash: {en: cash}}}
  near: {kind: place, places: town.places.yaml}
  note: {kind: text}
calendars:
  office: {hours: {fri-mon: "22:00-02:00", tue: ["08:00-12:00", "13:00-24:00"]}, holidays: {"12-25": Christmas}}
steps:
  hello: {kind: say, prompt: Hello., next: offer, barge_in: hotword, protected_ms: 500}
  offer:
    kind: menu
    prompt: Pay or ask?
    choices: {pay: {key: 1, en: pay, next: pay}, ask: {key: "#", en: [ask, question], next: open}}
  open: {kind: ask, prompt: What?, fills: [near, what], on: {cash: pay, lost: person}, next: reply, tries: 5}
  reply: {kind: answer, next: offer, unknown: sorry}
  pay:
    kind: form
    prompt: How much, and how?
    no_input: []
    fields:
      sum: {prompt: How much?, check: number(sum) > 0, invalid: "{sum} is not enough.", tries: 4}
      what: {prompt: "Cheque, or cash?"}
    next: sure
  sure: {kind: confirm, prompt: "{sum}?", slots: [sum], above: 0.9, yes: find}
  find:
    kind: lookup
    backend: bank
    method: POST
    path: /pay/{what}
    query: {lang: "{language}"}
    body: {sum: "{sum}", times: 2}
    save: {note: result.rows.0.id}
    on: {404: sorry, timeout: offer}
    filler: One moment.
    next: count
  count: {kind: set, values: {note: note + "x", sum: null}, next: which}
  which: {kind: branch, when: [{if: note == "yes", next: office}], else: tell}
  office: {kind: hours, calendar: office, open: person, closed: message}
  message: {kind: record, prompt: Speak., slot: note, next: tell, max_s: 20}
  tell: {kind: notify, backend: bank, path: /events, event: note.left, body: {note: "{note}"}, next: again}
  again: {kind: goto, next: card, forget: [note]}
  card: {kind: ask, slot: card, prompt: The last four digits?, next: end}
  person: {kind: transfer, prompt: One moment., targets: [agents, 0123], busy: message, no_answer: message, failed: end}
  sorry: {kind: hangup, outcome: failed}
"""
PLACES = "places:\n  - {id: 798-art, en: The 798 Art Zone, also: {en: Factory}, at: [39.98, 116.49]}\n"
LOST = "entries:\n  - {id: lost, intent: lost, en: {questions: [I lost it]}}\n"


def problems(tmp_path, text, name="plan.yaml"):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidInput) as wrong:
        load(file)
    return wrong.value.problems


@pytest.fixture
def everything(tmp_path):
    (tmp_path / "town.places.yaml").write_text(PLACES, "utf-8")
    (tmp_path / "everything.knowledge.yaml").write_text(LOST, "utf-8")
    (tmp_path / "everything.yaml").write_text(EVERYTHING, "utf-8")
    return load(tmp_path / "everything.yaml")


# What plans mean --------------------------------------------------------------------------------------------------


def test_the_version_follows_everything_that_was_read(tmp_path):
    file = tmp_path / "good.yaml"
    file.write_text(GOOD, "utf-8")
    versions = {load(file).version}
    (tmp_path / "good.knowledge.yaml").write_text(LOST, "utf-8")
    versions.add(load(file).version)
    file.write_text(GOOD.replace("Bye.", "Goodbye."), "utf-8")
    versions |= {load(file).version, load(file).version}
    assert len(versions) == 3
    plan = load(file)
    assert (plan.name, plan.languages, plan.start, plan.file) == ("good", ("en", "zh"), "ask", str(file))


def test_every_kind_of_step_is_read(everything):
    kinds = {type(step) for step in everything.steps.values()}
    assert kinds == {p.Say, p.Ask, p.Menu, p.Form, p.Confirm, p.Lookup, p.Answer, p.Set, p.Branch, p.Hours, p.Transfer,
                     p.Record, p.Goto, p.Notify, p.Hangup}  # fmt: skip
    assert everything.start == "hello"
    assert everything.steps["hello"].barge_in == "hotword"
    assert everything.steps["hello"].at == p.At(everything.file, 19)
    assert everything.steps["open"].on == {"cash": "pay", "lost": "person"}
    assert [(c.value, c.key, c.phrases["en"], c.next) for c in everything.steps["offer"].choices] == [
        ("pay", "1", ("pay",), "pay"), ("ask", "#", ("ask", "question"), "open")]  # fmt: skip
    assert everything.steps["person"].targets == ("agents", "0123")
    assert everything.steps["which"].cases[0][0].holds({"note": "yes"})
    assert everything.steps["count"].values["sum"] is None
    assert everything.steps["find"].body == {"sum": "{sum}", "times": "2"}
    assert everything.steps["find"].on == {"404": "sorry", "timeout": "offer"}
    assert everything.anywhere == {"lost": "person"}


def test_what_is_left_out_is_filled_in(everything):
    steps = everything.steps
    assert steps["card"].expect == "digits"
    assert steps["sure"].no == "pay"
    assert steps["office"].holiday == "message"
    assert (steps["find"].on_error, steps["count"].on_error) == ("sorry", "sorry")
    assert steps["sorry"].prompt == steps["end"].prompt == everything.goodbye == {"en": words.GOODBYE["en"]}
    assert everything.failed == {"en": words.FAILED["en"]}


def test_events_are_inherited_from_field_to_step_to_plan_to_built_in(everything):
    own, other = everything.steps["pay"].fields
    assert (own.events.tries, other.events.tries, everything.steps["open"].events.tries) == (4, 2, 5)
    assert own.events.no_input == ()
    assert everything.steps["open"].events.no_input == tuple({"en": text} for text in words.NO_INPUT["en"])
    assert own.events.commands == ("repeat", "help")
    assert own.events.digress is False
    assert own.events.help == {"en": "Say it."}
    assert (own.events.give_up, own.events.operator, own.events.cancel) == ("person", "person", "offer")


def test_slots_places_and_calendars(everything):
    slots = everything.slots
    assert (slots["card"].min, slots["card"].max, slots["card"].sensitive) == (4, 4, True)
    assert slots["sum"].currency == "EUR"
    assert slots["what"].choices == {"cheque": {"en": ("cheque", "check")}, "cash": {"en": ("cash",)}}
    (place,) = slots["near"].places.entries
    assert (place.id, place.names) == ("798-art", {"en": ("The 798 Art Zone", "Factory")})
    office = everything.calendars["office"]
    assert office.zone == "Asia/Shanghai"
    assert [o.day for o in office.openings] == [4, 5, 6, 0, 1, 1]
    assert office.openings[0] == Opening(4, 1320, 120)
    assert office.openings[-1] == Opening(1, 780, 1440)
    assert office.holidays == {"12-25": "Christmas"}


def test_the_shipped_plans_are_good():
    """Those whose files of places are there, too."""
    plans = load_all(DIALPLANS)
    missing = [q for q in plans.problems if "there is no file" in q.message]
    assert [str(q) for q in plans.problems if q not in missing] == []
    assert plans.by_name["main"].languages == ("en", "zh")


def test_a_broken_plan_does_not_take_the_others_with_it(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD, "utf-8")
    (tmp_path / "bad.yaml").write_text("steps: 1", "utf-8")
    plans = load_all(tmp_path)
    assert list(plans.by_name) == ["good"]
    assert all("bad.yaml" in q.file for q in plans.problems)


def test_an_empty_folder_and_a_second_plan_of_a_name_are_told(tmp_path):
    assert [q.message for q in load_all(tmp_path).problems] == ["no dialplan here"]
    (tmp_path / "one.yaml").write_text(GOOD, "utf-8")
    (tmp_path / "two.yaml").write_text("plan: one\n" + GOOD, "utf-8")
    assert [q.message for q in load_all(tmp_path).problems] == ["a second plan named `one`"]


# Plans that call plans --------------------------------------------------------------------------------------------

CALLER = """languages: [en]
operator: person
slots: {card: {kind: digits, min: 4, max: 4}}
steps:
  who: {kind: call, plan: identity, next: tell}
  tell: {kind: say, prompt: "{card}, {name}.", next: end}
  person: {kind: transfer, prompt: One moment., target: agents, busy: end, no_answer: end, failed: end}
"""
IDENTITY = """languages: [en, zh]
on_error: back
anywhere: {lost: back}
events: {tries: 7}
slots: {card: {kind: digits, min: 4, max: 4}, name: {kind: text}}
calendars: {office: {hours: {mon: "09:00-17:00"}}}
steps:
  open: {kind: ask, prompt: {en: What?, zh: 什么？}, next: card}
  card: {kind: ask, slot: card, prompt: {en: The last four digits?, zh: 后四位？}, next: look}
  look: {kind: lookup, backend: bank, path: "/{card}", save: {name: name}, next: when}
  when: {kind: hours, calendar: office, open: back, closed: end}
  back: {kind: return}
"""


def calling(tmp_path, caller=CALLER, identity=IDENTITY):
    (tmp_path / "identity.yaml").write_text(identity, "utf-8")
    (tmp_path / "identity.knowledge.yaml").write_text(LOST, "utf-8")
    (tmp_path / "caller.yaml").write_text(caller, "utf-8")
    return tmp_path / "caller.yaml"


def test_a_called_plan_stands_in_the_callers_steps_with_its_own_ways(tmp_path):
    plan = load(calling(tmp_path))
    assert plan.steps["who"] == p.Call("who", "identity/open", "tell", p.At(plan.file, 5))
    assert set(plan.steps) == {"who", "tell", "person", "end", "identity/open", "identity/card", "identity/look",
                               "identity/when", "identity/back"}  # fmt: skip
    look, when, card = (plan.steps[f"identity/{name}"] for name in ("look", "when", "card"))
    assert (look.on_error, when.closed) == ("identity/back", "end")
    assert plan.calendars.keys() == {"identity/office"}
    assert when.calendar == "identity/office"
    assert (card.events.tries, card.events.operator, card.events.give_up) == (7, "person", "person")
    assert plan.steps["identity/open"].on == {"lost": "identity/back"}
    assert plan.anywhere == {}
    assert plan.slots.keys() == {"card", "name"}
    assert [entry.id for entry in plan.knowledge.entries] == ["lost"]


def test_what_a_called_plan_says_changes_the_callers_version(tmp_path):
    first = load(calling(tmp_path)).version
    assert load(calling(tmp_path, identity=IDENTITY.replace("What?", "Yes?"))).version != first


@pytest.mark.parametrize(
    ("caller", "identity", "told"),
    [
        (CALLER.replace("max: 4", "max: 5"), IDENTITY, "slot `card` is declared differently in plan `identity`"),
        (CALLER.replace("plan: identity", "plan: identiti"), IDENTITY, "there is no plan `identiti`"),
        (CALLER.replace("[en]", "[ko]").replace("{card}, {name}.", "x"), IDENTITY, "does not speak `ko`"),
        (CALLER, IDENTITY.replace("open: back", "open: bck"), "there is no step `bck`"),
        (CALLER, IDENTITY.replace("back: {kind: return}", "back: {kind: call, plan: caller, next: end}"),
         "plans that call one another in a circle: caller -> identity -> caller"),
        (CALLER.replace("{card}, {name}.", "{card}, {nam}."), IDENTITY, "there is no slot `nam`"),
    ],
)  # fmt: skip
def test_faults_between_plans_are_named(tmp_path, caller, identity, told):
    with pytest.raises(InvalidInput) as wrong:
        load(calling(tmp_path, caller, identity))
    assert told in str(wrong.value)


def test_two_called_plans_that_declare_a_slot_differently_are_told(tmp_path):
    calling(tmp_path)
    other = (
        "languages: [en]\nslots: {name: {kind: number}}\nsteps:\n"
        "  a: {kind: ask, slot: name, prompt: x, next: b}\n  b: {kind: return}\n"
    )
    (tmp_path / "other.yaml").write_text(other, "utf-8")
    text = CALLER.replace("next: tell}", "next: more}\n  more: {kind: call, plan: other, next: tell}")
    (fault,) = problems(tmp_path, text)
    assert (fault.line, fault.message) == (6, "slot `name` is declared differently in plan `other`")


def test_a_called_plan_that_cannot_be_read_is_told_once(tmp_path):
    again = "next: tell}\n  more: {kind: call, plan: identity, next: tell}"
    calling(tmp_path, CALLER.replace("next: tell}", again).replace("who:", "start:"), "steps: [")
    found = load_all(tmp_path).problems
    assert [q.message for q in found if q.file.endswith("identity.yaml")] == ["no value where one must stand"]


@pytest.mark.parametrize("broken", ["identity", "caller.knowledge"])
def test_a_file_that_cannot_be_read_is_all_that_is_told(tmp_path, broken):
    """Not what it would have declared, too."""
    file = calling(tmp_path, CALLER.replace("operator: person", "operator: person\nanywhere: {hours: person}"))
    (tmp_path / f"{broken}.yaml").write_text("entries: [", "utf-8")
    with pytest.raises(InvalidInput) as wrong:
        load(file)
    assert [(q.line, q.message) for q in wrong.value.problems] == [(2, "no value where one must stand")]


def test_a_fault_in_a_called_plan_is_told_once_for_the_whole_folder(tmp_path):
    calling(tmp_path, identity=IDENTITY.replace("open: back", "open: bck"))
    plans = load_all(tmp_path)
    assert [q.message for q in plans.problems] == ["there is no step `bck`"]
    assert plans.problems[0].file.endswith("identity.yaml")


# What is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line", "message", "mend"),
    [
        (("next: bye", "next: bey"), 9, "there is no step `bey`", "did you mean `bye`?"),
        (("kind: hangup", "kind: hang_up"), 11, "unknown step kind `hang_up`", "did you mean `hangup`?"),
        (("give_up: bye", "giveup: bye"), 8, "unknown key", "did you mean `give_up`?"),
        (("expect: yes_no", "expect: yesno"), 6, "`yesno` is not known", "did you mean `yes_no`?"),
        (("expect: yes_no", "expect: digits"), 6, "`digits` is not known", "declare it under `slots:`"),
        (("expect: yes_no", "choices: {}"), 6, "unknown key", "kind: menu"),
        (("expect: yes_no", "slot: card"), 6, "there is no slot `card`", "declare it"),
        ((', zh: "再见。"', ""), 12, "no words in `zh`", "add `zh:`"),
        (('zh: "再见。"', "zh: 12"), 12, "must be a text, not a number", 'put it in quotes: "12"'),
        (('zh: "再见。"', "fr: x, zh: y"), 12, "not a language of this plan", "en, zh"),
        (("start: ask", "start: asks"), 2, "there is no step `asks`", "did you mean `ask`?"),
        (("languages: [en, zh]", "languages: english"), 1, "must be a list", "like [en, zh]"),
        (("[en, zh]", "[en, cn]"), 1, "there is no language `cn`", "did you mean `zh`?"),
        (("expect: yes_no", "expect: money"), 6, "`money` is not known", "with `kind: money`"),
        (
            ('{en: "Bye.", zh: "再见。"}', "\n      en: Press # now\n      zh: 再见。"),
            13,
            "what stands after ` #`",
            "in quotes",
        ),
        (('"Bye."', "Bye, my friend"), 12, "cut off by a comma", "put a text that holds a comma in quotes"),
        (('"Bye."', '"Bye {today"'), 12, "a brace without its other half", "{card}"),
        (('"再见。"', '"{{today}}再见。"'), 12, "a brace without its other half", "{card}"),
        (("  bye:\n", "  再见:\n"), 10, "`再见` is not the name of a step", "letters a to z"),
        (("give_up: bye", 'tries: "2"'), 8, "must be a whole number", "remove the quotes"),
        (("kind: hangup", "kind: branch\n    if: today"), 12, "unknown key", "like when: [{if: amount > 100"),
        (("kind: hangup", "kind: lookup\n    url: https://x.example"), 12, "unknown key", "a `backend` of the config"),
        (("kind: hangup", "kind: transfer\n    next: ask"), 12, "unknown key", "every outcome has its own way"),
        (("kind: ask", "kind: ask\n    tries:3: 1"), 6, "unknown key", "with a space after"),
        (("give_up: bye", "tries: 0"), 8, "must be a whole number from 1 to 20", ""),
        (("give_up: bye", "tries: yes"), 8, "must be a whole number", ""),
        (("give_up: bye", "digress: yes"), 8, "must be true or false", ""),
        (("give_up: bye", "no_input:"), 8, "nothing in it", ""),
        (("give_up: bye", "on: {maybe: bye}"), 8, "no answer can be `maybe`", "one of no, unsure, yes"),
        (("give_up: bye", "commands: [repaet]"), 8, "`repaet` is not known", "did you mean `repeat`?"),
        (('"Well?"', '"Well, {card}?"'), 7, "there is no slot `card`", "declare it"),
        (("  bye:", "  be ye:"), 10, "`be ye` is not the name of a step", "letters"),
        (("start: ask", "zone: Asia/Shanghi"), 2, "there is no time zone `Asia/Shanghi`", "`Asia/Shanghai`?"),
        (("start: ask", "anywhere: {lost: bye}"), 2, "no entry of the knowledge file has the intent `lost`", ""),
        (("languages: [en, zh]", "languages: [en, zh, fr]"), 1, "no built-in words in `fr` for `no_match`", "events:"),
    ],
)
def test_a_fault_is_named_with_its_line_and_a_mend(tmp_path, change, line, message, mend):
    assert GOOD.count(change[0]) >= 1
    found = problems(tmp_path, GOOD.replace(*change))
    assert any(q.line == line and message in q.message and mend in q.mend for q in found), [str(q) for q in found]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: digits, min: 4, max: 4", "kind: digits, min: 5, max: 4", "more than max, which is 4"),
        ("kind: digits", "kind: digit", "unknown slot kind `digit`"),
        ("currency: EUR", "currency: EUX", "there is no currency `EUX`"),
        ("kind: text}\ncal", 'kind: phone, country: XX}\ncal', "there is no country `XX`"),
        ("note:", "none:", "`none` has a meaning in expressions"),
        ("note:", "for:", "`for` has a meaning in expressions"),
        ("cash: {en: cash}", "cash: {en: check}", "`check` also means `cheque`"),
        ("town.places.yaml", "twon.places.yaml", "there is no file `twon.places.yaml`"),
        ("town.places.yaml", "../town.places.yaml", "is not a file of places"),
        ('"22:00-02:00"', '"22:00-26:00"', "`22:00-26:00` is no time of day"),
        ('"22:00-02:00"', '"9-17"', "`9-17` is not opening hours"),
        ('"22:00-02:00"', '"09:00-09:00"', "opens for no time at all"),
        ("tue: [", "sat: ['23:00-01:00'], tue: [", "sat has hours that overlap"),
        ('"13:00-24:00"', '"11:30-24:00"', "tue has hours that overlap"),
        ("fri-mon", "friday", "`friday` is not a day or days"),
        ('"12-25"', '"13-25"', "`13-25` is no day of the calendar"),
        ("calendar: office, open", "calendar: ofice, open", "there is no calendar `ofice`"),
        ('key: "#"', "key: 1", "key 1 is taken by `pay`"),
        ('key: "#"', "key: 12", "`12` is not known"),
        ("question], next: open", "pay], next: open", "`pay` also means `pay`"),
        ("on: {cash: pay,", "on: {cahs: pay,", "no answer can be `cahs`"),
        ("on: {404: sorry", "on: {4o4: sorry", "`4o4` is not a status or an outcome"),
        ("path: /pay/{what}", "path: pay", "`pay` is not a path"),
        ("path: /pay/{what}", "path: /pay/{waht}", "there is no slot `waht`"),
        ('sum: "{sum}", times', 'sum: "{summ}", times', "there is no slot `summ`"),
        ("method: POST", "method: GET", "a GET has no body"),
        ("save: {note:", "save: {nota:", "there is no slot `nota`"),
        ("number(sum) > 0", "number(sum) >", "cannot be read as an expression"),
        ("number(sum) > 0", "number(smu) > 0", "there is no slot `smu`"),
        ('invalid: "{sum} is not enough.", ', "", "missing; `check` needs it"),
        ("targets: [agents, 0123]", "target: agents, targets: [x]", "does not go with `target`"),
        ("targets: [agents, 0123], ", "", "missing"),
        ("targets: [agents, 0123]", "targets: []", "must be a list of 1 to 10"),
        ("slot: card, prompt", "slot: card, expect: yes_no, prompt", "does not go with `slot`"),
        ("prompt: Speak., slot: note", "prompt: Speak., slot: sum", "`sum` is of kind money"),
        ("slots: [sum]", "slots: [card]", ""),
        ("above: 0.9", "above: 90", "must be a number from 0 to 1"),
        ("note == \"yes\"", "nothing == 1", "there is no slot `nothing`"),
        ("  sorry:", "  end:", "every plan has this step"),
        ("what: {prompt: \"Cheque, or cash?\"}", "", "no step fills the slot `what`"),
    ],
)  # fmt: skip
def test_faults_of_slots_calendars_and_steps(tmp_path, old, new, message):
    (tmp_path / "town.places.yaml").write_text(PLACES, "utf-8")
    (tmp_path / "plan.knowledge.yaml").write_text(LOST, "utf-8")
    assert old in EVERYTHING
    text = EVERYTHING.replace(old, new)
    if not message:
        (tmp_path / "plan.yaml").write_text(text, "utf-8")
        assert load(tmp_path / "plan.yaml").steps["sure"].no == "card"
        return
    if "fills the slot `what`" in message:
        text = text.replace("fills: [near, what], on: {cash: pay, lost: person}", "fills: [near]")
    found = problems(tmp_path, text)
    assert any(message in q.message for q in found), [str(q) for q in found]
    assert all(q.line and q.column for q in found)


def test_a_fault_in_an_expression_has_its_column(tmp_path):
    (tmp_path / "town.places.yaml").write_text(PLACES, "utf-8")
    (tmp_path / "plan.knowledge.yaml").write_text(LOST, "utf-8")
    text = EVERYTHING.replace('if: note == "yes"', "if: 'note == other'")
    (fault,) = problems(tmp_path, text)
    row = text.splitlines()[fault.line - 1]
    assert row[fault.column - 1 :].startswith("other")
    assert fault.mend == "declare it under `slots:`, or put a text in quotes"


def test_all_faults_are_found_at_once(tmp_path):
    """Three mistakes, three lines, and nothing that only follows from them."""
    text = (
        GOOD.replace("next: bye", "next: x").replace("expect: yes_no", "expect: z").replace("kind: hangup", "kind: h")
    )
    assert [q.line for q in problems(tmp_path, text)] == [6, 9, 11]


def test_a_slot_that_is_declared_wrongly_is_told_there_only(tmp_path):
    """Not again in every step that uses it."""
    text = """languages: [en]
slots: {card: {kind: digit}}
steps:
  a: {kind: ask, slot: card, prompt: Which?, next: b}
  b: {kind: say, prompt: "{card}", next: c}
  c: {kind: branch, when: [{if: card == 1, next: end}], else: end}
"""
    assert [q.field for q in problems(tmp_path, text)] == ["slots.card.kind"]


@pytest.mark.parametrize(
    "key", ["slots", "steps", "calendars", "events", "anywhere", "languages", "operator", "goodbye"]
)
@pytest.mark.parametrize("value", ["[]", "{}", "[[x]]", "{x: [y]}", "3", "x", "null", "[{x: y}]"])
def test_any_value_of_a_top_key_is_read_or_refused_in_words(tmp_path, key, value):
    text = "".join(f"{line}\n" for line in EVERYTHING.splitlines() if not line.startswith(f"{key}:"))
    text = text.replace("\nsteps:", f"\n{key}: {value}\nsteps:") if key != "steps" else f"steps: {value}\n"
    assert all(q.message and q.line for q in problems(tmp_path, text))


def test_the_same_fault_a_thousand_times_is_bounded(tmp_path):
    steps = "".join(f"  s{i}: {{kind: say, prompt: x, next: nowhere}}\n" for i in range(1_000))
    found = problems(tmp_path, "steps:\n" + steps)
    assert len(found) == 101
    assert "more than 100 problems" in str(found)


def test_too_many_steps_are_refused_at_the_first_one_too_many(tmp_path):
    steps = "".join(f"  s{i}: {{kind: goto, next: end}}\n" for i in range(MAX_STEPS + 5))
    found = problems(tmp_path, "steps:\n" + steps)
    assert [(q.line, q.message) for q in found] == [(MAX_STEPS + 2, f"more than {MAX_STEPS} of them")]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_plan_with_anything_in_any_place_is_read_or_refused_in_words(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    (folder / "town.places.yaml").write_text(PLACES, "utf-8")
    (folder / "anything.knowledge.yaml").write_text(LOST, "utf-8")
    lines = EVERYTHING.splitlines()
    index = data.draw(st.integers(0, len(lines) - 1))
    pieces = re.split(r"([A-Za-z0-9_/#]+|[\[{][^\[{}\]]*[\]}])", lines[index])
    place = data.draw(st.integers(0, len(pieces) - 1))
    pieces[place] = data.draw(
        st.sampled_from(["", "3", "x", "[]", "{}", "[x]", "{x: y}", "null", "~", "true", '"{"', "鸟"])
    )
    lines[index] = "".join(pieces)
    problems = ()
    try:
        load_from(folder / "anything.yaml", "\n".join(lines))
    except InvalidInput as wrong:
        problems = wrong.problems
    assert all(q.message and q.line for q in problems)


def load_from(file, text):
    file.write_text(text, "utf-8")
    return load(file)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("entries:\n  - id: a\n    en: {questions: [what]}\n", 3, "no answer"),
        ("entries:\n  - id: a\n    en: {questions: [x], answer: y}\n  - {id: a, intent: i, en: {questions: [z]}}\n", 4,
         "a second entry `a`"),
        ("entries:\n  - id: a\n    en: {question: [x], answer: y}\n", 3, "unknown key"),
        ("entries: 3\n", 1, "must be a list"),
        ("entries:\n  - id: a\n    en: {questions: [x], answer: y, keywords: []}\n", 3, "must be a list of 1 to 200"),
        ("entries:\n  - id: a\n    urgent: maybe\n    en: {questions: [x], answer: y}\n", 3, "must be true or false"),
        ("entries:\n  - {id: a, intent: i}\n", 2, "no way to ask it"),
        ("enries: []\n", 1, "unknown key"),
        ("entries:\n  - {id: a, intent: i, en: {questions: []}}\n", 2, "must be a list of 1 to 200"),
        ("entries:\n  - {id: a, intent: i, en: {questions: [x y]}}\n"
         "  - id: b\n    intent: j\n    en: {questions: [z, 'X, Y']}\n", 5,
         "`X, Y` stands under `i` too, and cannot mean both"),
        ("entries:\n  - {id: a, intent: i, en: {questions: [x]}}\n"
         "  - id: b\n    intent: i\n    ko: {questions: [x]}\n", 5, "not a language of this plan"),
    ],
)  # fmt: skip
def test_a_knowledge_file_is_checked_too(tmp_path, text, line, message):
    (tmp_path / "plan.knowledge.yaml").write_text(text, "utf-8")
    found = problems(tmp_path, GOOD)
    assert any((q.line, q.message) == (line, message) and "knowledge" in q.file for q in found), [str(q) for q in found]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("places:\n  - {id: a, zh: 西单}\n", "no name in `en`"),
        ("places:\n  - {id: a, en: X}\n  - {id: a, en: Y}\n", "a second place `a`"),
        ("places: []\n", "must be a list of 1 to 20000"),
        ("places:\n  - {id: A b, en: X}\n", "`A b` is not an id"),
    ],
)
def test_a_file_of_places_is_checked_too(tmp_path, text, message):
    (tmp_path / "town.places.yaml").write_text(text, "utf-8")
    (tmp_path / "plan.knowledge.yaml").write_text(LOST, "utf-8")
    found = problems(tmp_path, EVERYTHING)
    assert any(message in q.message and "places" in q.file for q in found), [str(q) for q in found]
