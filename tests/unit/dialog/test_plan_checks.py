"""Plans as a whole: dead steps, circles without a caller, slots that nobody fills, notes."""

import pytest

from ivr.dialog.plan_file import load, load_all
from ivr.errors import InvalidInput

HOURS = "calendars: {o: {hours: {mon: '09:00-10:00'}}}\n"
SAY = "{{kind: say, prompt: x, next: {0}}}"
ASK = "{{kind: ask, expect: yes_no, prompt: x, next: {0}}}"


def told(folder, text, **beside):
    """Field and message of every problem."""
    for name, content in beside.items():
        (folder / f"{name}.yaml").write_text(content, "utf-8")
    (folder / "plan.yaml").write_text(text, "utf-8")
    try:
        load(folder / "plan.yaml")
    except InvalidInput as wrong:
        return [(q.field, q.message) for q in wrong.problems]
    return []


def steps(**named):
    return "steps:\n" + "".join(f"  {name}: {step}\n" for name, step in named.items())


def round_trip(walk):
    return f"goes round without waiting for the caller: {walk}"


def test_steps_that_no_way_leads_to_are_named(tmp_path):
    """A step that leads only to itself, too, and one that only a dead step leads to."""
    text = steps(a=SAY.format("end"), dead=SAY.format("b"), b=ASK.format("b"))
    message = "no way leads to this step"
    assert told(tmp_path, text) == [("steps.dead", message), ("steps.b", message)]


@pytest.mark.parametrize("key", ["operator", "cancel", "on_error"])
def test_universal_ways_lead_to_steps(tmp_path, key):
    assert told(tmp_path, f"{key}: b\n" + steps(a=ASK.format("end"), b=ASK.format("end"))) == []


def test_a_mistyped_way_is_told_without_the_steps_it_would_have_led_to(tmp_path):
    text = steps(a=SAY.format("bb"), b=ASK.format("end"))
    assert told(tmp_path, text) == [("steps.a.next", "there is no step `bb`")]


@pytest.mark.parametrize(
    ("text", "walk"),
    [
        (steps(a=SAY.format("a")), "a -> a"),
        (steps(a=SAY.format("b"), b=SAY.format("c"), c=SAY.format("b")), "b -> c -> b"),
        (steps(a="{kind: branch, when: [{if: today, next: a}], else: end}"), "a -> a"),
        (steps(a=ASK.format("b"), b="{kind: answer, next: a, unknown: c}", c="{kind: goto, next: b}"), "b -> c -> b"),
        (steps(a="{kind: lookup, backend: b, path: /x, next: end, on_error: a}"), "a -> a"),
        (HOURS + steps(a="{kind: hours, calendar: o, open: end, closed: a}"), "a -> a"),
    ],
)  # fmt: skip
def test_a_circle_that_waits_for_nobody_is_named(tmp_path, text, walk):
    assert [message for _, message in told(tmp_path, text)] == [round_trip(walk)]


@pytest.mark.parametrize(
    "text",
    [
        steps(a=SAY.format("b"), b=ASK.format("a")),
        steps(a="{kind: menu, prompt: x, choices: {on: {en: on, next: a}}}"),
        steps(a="{kind: transfer, prompt: x, target: y, busy: b, no_answer: b, failed: b}", b=SAY.format("a")),
        "slots: {n: {kind: text}}\n" + steps(a="{kind: record, prompt: x, slot: n, next: a}"),
        "slots: {n: {kind: number}}\n" + steps(a="{kind: form, fields: [{slot: n, prompt: x}], next: a}"),
    ],
)
def test_a_circle_with_somebody_to_wait_for_is_fine(tmp_path, text):
    assert told(tmp_path, text) == []


def test_two_circles_are_both_named_and_a_long_one_is_shortened(tmp_path):
    long = {f"s{i}": SAY.format(f"s{(i + 1) % 30}") for i in range(30)}
    text = steps(a="{kind: branch, when: [{if: today, next: b}], else: s0}", b=SAY.format("b"), **long)
    found = [message for _, message in told(tmp_path, text)]
    assert round_trip("b -> b") in found
    assert len(found) == 2
    assert all(len(message) < 120 for message in found)


def test_a_chain_of_thousands_of_steps_is_walked(tmp_path):
    chain = {f"s{i}": SAY.format(f"s{i + 1}" if i < 2_999 else "s0") for i in range(3_000)}
    assert len(told(tmp_path, steps(**chain))) == 1


RETURNING = steps(a="{kind: ask, expect: yes_no, prompt: x, next: back}", back="{kind: return}")


def test_a_circle_through_a_called_plan_counts_what_waits_there(tmp_path):
    text = steps(a="{kind: call, plan: other, next: a}")
    assert told(tmp_path, text, other=RETURNING) == []
    quiet = RETURNING.replace("kind: ask, expect: yes_no", "kind: say")
    assert told(tmp_path, text, other=quiet) == [("steps.a", round_trip("a -> other/a -> other/back -> a"))]


SLOTS = "slots: {card: {kind: digits, min: 4, max: 4}, note: {kind: text}}\n"


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ('{kind: say, prompt: "{card}", next: end}', "steps.a.prompt.en"),
        ("{kind: branch, when: [{if: card == 1, next: end}], else: end}", "steps.a.when.0.if"),
        ('{kind: lookup, backend: b, path: "/{card}", next: end}', "steps.a.path"),
        ('{kind: lookup, backend: b, path: /, query: {x: "{card}"}, next: end}', "steps.a.query"),
        ('{kind: notify, backend: b, path: /, event: x, body: {x: "{card}"}, next: end}', "steps.a.body"),
        ("{kind: confirm, prompt: x, slots: [card], yes: end, no: end}", "steps.a.slots.0"),
        ("{kind: set, values: {note: card}, next: end}", "steps.a.values.note"),
    ],
)
def test_a_slot_that_no_step_fills_is_named_where_it_is_used(tmp_path, step, field):
    assert told(tmp_path, SLOTS + steps(a=step)) == [(field, "no step fills the slot `card`")]


@pytest.mark.parametrize(
    "filling",
    [
        "{kind: ask, slot: card, prompt: x, next: b}",
        "{kind: ask, fills: [card], prompt: x, next: b}",
        "{kind: form, fields: {card: {prompt: x}}, next: b}",
        "{kind: lookup, backend: b, path: /, save: {card: x}, next: b}",
        '{kind: set, values: {card: "1"}, next: b}',
    ],
)
def test_every_way_to_fill_a_slot_counts(tmp_path, filling):
    text = SLOTS + steps(a=filling, b='{kind: say, prompt: "{card}", next: end}')
    assert told(tmp_path, text) == []


def test_a_plan_that_returns_may_count_on_its_callers_to_fill_a_slot(tmp_path):
    other = SLOTS + steps(a='{kind: say, prompt: "{card}", next: b}', b="{kind: return}")
    assert told(tmp_path, other) == []
    call = steps(a="{kind: call, plan: other, next: end}")
    assert told(tmp_path, call, other=other) == [("steps.a.prompt.en", "no step fills the slot `card`")]


def test_answers_and_intents_that_nobody_can_give_get_a_suggestion(tmp_path):
    knowledge = "entries:\n  - {id: a, intent: lost_card, en: {questions: [x]}}\n"
    text = "anywhere: {lost_crd: end}\n" + steps(a="{kind: ask, prompt: x, on: {lostcard: end, yes: end}, next: end}")
    (tmp_path / "plan.knowledge.yaml").write_text(knowledge, "utf-8")
    (tmp_path / "plan.yaml").write_text(text, "utf-8")
    with pytest.raises(InvalidInput) as wrong:
        load(tmp_path / "plan.yaml")
    assert [q.mend for q in wrong.value.problems] == ["did you mean `lost_card`?"] * 2


def test_an_answer_to_a_slot_of_figures_may_be_any(tmp_path):
    text = SLOTS + steps(a='{kind: ask, slot: card, prompt: x, on: {"0000": end}, next: end}')
    assert told(tmp_path, text) == []


def test_notes_keep_nothing_from_serving(tmp_path):
    menu = "{kind: menu, prompt: x, choices: {on: {key: 0, en: on, next: end}, off: {key: 1, en: off, next: end}}}"
    (tmp_path / "plan.yaml").write_text(SLOTS + steps(a=menu), "utf-8")
    plans = load_all(tmp_path)
    assert (list(plans.by_name), plans.problems) == (["plan"], ())
    assert [(q.field, q.message) for q in plans.notes] == [
        ("slots.card", "no step uses this slot"),
        ("slots.note", "no step uses this slot"),
        ("steps.a.choices.on.key", "key 0 means a person everywhere else"),
    ]
    assert all(q.line for q in plans.notes)


def test_an_intent_with_one_example_is_named_in_either_language(tmp_path):
    knowledge = (
        "entries:\n"
        "  - {id: a, intent: i, en: {questions: [x]}, zh: {questions: [余额, 查余额]}}\n"
        "  - {id: b, intent: i, en: {questions: [y]}}\n"
        "  - {id: c, intent: j, en: {questions: [v, w]}, zh: {questions: [挂失]}}\n"
    )
    plan = "languages: [en, zh]\nsteps:\n  a: {kind: say, prompt: {en: x, zh: 好}, next: end}\n"
    (tmp_path / "plan.knowledge.yaml").write_text(knowledge, "utf-8")
    (tmp_path / "plan.yaml").write_text(plan, "utf-8")
    plans = load_all(tmp_path)
    assert (list(plans.by_name), plans.problems) == (["plan"], ())
    assert [(q.line, q.field, q.message) for q in plans.notes] == [
        (4, "entries.2.zh.questions", "one example of `j` in `zh`")
    ]


@pytest.mark.parametrize(
    "filling",
    [
        "{kind: ask, slot: card, prompt: x, next: b}",
        "{kind: ask, fills: [card], prompt: x, next: b}",
        "{kind: form, fields: {card: {prompt: x}}, next: b}",
        "{kind: confirm, prompt: x, slots: [card], yes: b, no: b}",
        '{kind: set, values: {card: "1"}, next: b}',
    ],
)
def test_only_a_back_end_verifies_a_caller(tmp_path, filling):
    lookup = "{kind: lookup, backend: b, path: /, save: {card: x}, next: end}"
    text = "verified: card\n" + SLOTS + steps(a=filling, b=lookup)
    assert told(tmp_path, text) == [("verified", "step `a` fills `card` without a back end")]


def test_the_order_of_a_call_verifies_nobody(tmp_path):
    lookup = "{kind: lookup, backend: b, path: /, save: {card: x}, next: end}"
    told_of = [("verified", "the order of a call fills `card` without a back end")]
    assert told(tmp_path, "verified: card\ngiven: [card]\n" + SLOTS + steps(a=lookup)) == told_of


def test_what_empties_the_slot_that_verifies_is_no_fault_and_called_plans_verify_for_their_caller(tmp_path):
    lookup = "{kind: lookup, backend: b, path: /, save: {card: x}, next: b}"
    other = "verified: card\n" + SLOTS + steps(a=lookup, b="{kind: return}")
    root = steps(a="{kind: call, plan: other, next: b}", b="{kind: set, values: {card: null}, next: end}")
    assert told(tmp_path, root, other=other) == []
    assert load(tmp_path / "plan.yaml").verified == ("card",)
    named = steps(a="{kind: call, plan: other, next: b}", b="{kind: ask, slot: card, prompt: x, next: end}")
    assert told(tmp_path, named) == [("verified", "step `b` fills `card` without a back end")]


def test_a_slot_that_verifies_has_to_be_there_and_filled(tmp_path):
    say = steps(a="{kind: say, prompt: x, next: end}")
    assert told(tmp_path, "verified: cart\n" + SLOTS + say) == [("verified", "there is no slot `cart`")]
    assert told(tmp_path, "verified: card\n" + SLOTS + say) == [("verified", "no step fills the slot `card`")]
