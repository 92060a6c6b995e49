"""What a waiting step asks now: its words, its events, what it expects of the ear, what keys mean there. Pure.

A step may ask several things in turn (a form its fields); `of` says which one is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ivr.dialog.plan import Ask, Asking, Confirm, Events, Field, Form, Menu, Plan, Prompt, Record
from ivr.dialog.state import State
from ivr.turn import Expectation
from ivr.understanding.slots import Slot

YES_NO_KEYS: Mapping[str, str] = {"1": "yes", "2": "no"}
_DIGITS_BY_KIND = ("digits", "code")


@dataclass(frozen=True)
class Question:
    """One question. `keys` maps single keys to values; `slot` is the one asked for, if any."""

    prompt: Prompt
    events: Events
    expectation: Expectation
    slot: Slot | None = None
    part: Field | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    barge_in: str = "speech"
    protected_ms: int = 0


def due(form: Form, state: State) -> Field | None:
    """The first field of the form that is not filled (VoiceXML 2.1, section 2.1.6.1)."""
    return next((f for f in form.fields if f.slot not in state.slots), None)


def of(plan: Plan, step: Asking, state: State, today: str) -> Question:
    """What `step` asks in `state`."""
    match step:
        case Ask(slot=name) if name:
            return _for_slot(step, plan.slots[name], (), state, today)
        case Ask(expect="yes_no"):
            return _question(step, state, today, "yes_no", step.fills, keys=YES_NO_KEYS)
        case Ask():
            return _question(step, state, today, "open", step.fills)
        case Menu():
            phrases = tuple(p for c in step.choices for p in c.phrases.get(state.language, ()))
            keys = {c.key: c.value for c in step.choices if c.key}
            return _question(step, state, today, "choice", (), phrases, keys)
        case Form():
            return _of_form(plan, step, state, today)
        case Confirm():
            return _question(step, state, today, "yes_no", step.slots, keys=YES_NO_KEYS)
        case Record():
            return _question(step, state, today, "text", ())


def _of_form(plan: Plan, form: Form, state: State, today: str) -> Question:
    names = tuple(f.slot for f in form.fields)
    asked = next((f for f in form.fields if f.slot == state.slot), None)
    if asked is None:
        return _question(form, state, today, "open", names)
    others = tuple(n for n in names if n != asked.slot)
    question = _for_slot(form, plan.slots[asked.slot], others, state, today)
    return Question(asked.prompt, asked.events, _with_events(question.expectation, asked.events), question.slot, asked,
                    question.keys, form.barge_in, form.protected_ms)  # fmt: skip


def _for_slot(step: Ask | Form, slot: Slot, others: tuple[str, ...], state: State, today: str) -> Question:
    phrases = tuple(p for ways in slot.choices.values() for p in ways.get(state.language, ()))
    least, most = (slot.min or 1, slot.max or 32) if slot.kind in _DIGITS_BY_KIND else (1, 32)
    fills = (*others, *(step.fills if isinstance(step, Ask) else ()))
    expectation = Expectation(
        slot.kind, state.language, phrases, least, most, slot.sensitive, slot.name, fills,
        step.events.commands, step.events.digress, today,
    )  # fmt: skip
    keys = YES_NO_KEYS if slot.kind == "yes_no" else {}
    return Question(step.prompt, step.events, expectation, slot, None, keys, step.barge_in, step.protected_ms)


def _question(
    step: Asking,
    state: State,
    today: str,
    kind: str,
    fills: tuple[str, ...],
    phrases: tuple[str, ...] = (),
    keys: Mapping[str, str] | None = None,
) -> Question:
    digress = step.events.digress and kind != "open"
    expectation = Expectation(
        kind, state.language, phrases, slots=fills, commands=step.events.commands, digress=digress, today=today
    )  # type: ignore[arg-type]
    barge_in, protected_ms = getattr(step, "barge_in", "none"), getattr(step, "protected_ms", 0)
    return Question(step.prompt, step.events, expectation, None, None, keys or {}, barge_in, protected_ms)


def _with_events(expectation: Expectation, events: Events) -> Expectation:
    return Expectation(
        expectation.kind, expectation.language, expectation.phrases, expectation.min_digits, expectation.max_digits,
        expectation.sensitive, expectation.slot, expectation.slots, events.commands, events.digress, expectation.today,
    )  # fmt: skip
