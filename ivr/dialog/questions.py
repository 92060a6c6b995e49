"""What a waiting step asks now: its words, its events, what it expects of the ear, what keys mean there. Pure.

A step may ask several things in turn (a form its fields); `of` says which one is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ivr.dialog.plan import Ask, Asking, Confirm, Events, Field, Form, Menu, Plan, Prompt, Proof, Prove, Record
from ivr.dialog.state import State
from ivr.turn import Expectation, ExpectationKind
from ivr.understanding.slots import Slot

YES_NO_KEYS: Mapping[str, str] = {"1": "yes", "2": "no"}
_DIGITS_BY_KIND = ("digits", "code")
_PROOFS: Mapping[str, Slot] = {
    "birth_date": Slot("birth_date", "date", sensitive=True),
    "id_last4": Slot("id_last4", "digits", 4, 4, sensitive=True),
}


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
    """The first field of the form that is not filled (VoiceXML 2.0, section 2.1.6.2)."""
    return next((f for f in form.fields if f.slot not in state.slots), None)


def next_proof(step: Prove, state: State) -> Proof | None:
    """What `step` asks for next: of what can be proven the one that was answered least; None when there is nothing."""
    possible = [part for part in step.fields if part.proof in state.proofs]
    return min(possible, key=lambda part: sum(e.field == part.proof for e in state.evidence), default=None)


def of(plan: Plan, step: Asking, state: State, today: str) -> Question:
    """What `step` asks in `state`."""
    match step:
        case Ask(slot=name) if name:
            return _for_slot(plan, step, plan.slots[name], step.fills, step.events, state, today)
        case Ask(expect="yes_no"):
            return _question(plan, step, state, today, "yes_no", step.fills, keys=YES_NO_KEYS)
        case Ask():
            return _question(plan, step, state, today, "open", step.fills)
        case Menu():
            phrases = tuple(p for c in step.choices for p in c.phrases.get(state.language, ()))
            keys = {c.key: c.value for c in step.choices if c.key}
            return _question(plan, step, state, today, "choice", (), phrases, keys)
        case Form():
            return _of_form(plan, step, state, today)
        case Confirm():
            return _question(plan, step, state, today, "yes_no", step.slots, keys=YES_NO_KEYS)
        case Prove():
            return _of_proof(plan, step, state, today)
        case Record():
            return _question(plan, step, state, today, "text", ())


def _of_form(plan: Plan, form: Form, state: State, today: str) -> Question:
    names = tuple(f.slot for f in form.fields)
    asked = next((f for f in form.fields if f.slot == state.slot), None)
    if asked is None:
        return _question(plan, form, state, today, "open", names)
    others = tuple(n for n in names if n != asked.slot)
    question = _for_slot(plan, form, plan.slots[asked.slot], others, asked.events, state, today)
    return replace(question, prompt=asked.prompt, part=asked)


def _of_proof(plan: Plan, step: Prove, state: State, today: str) -> Question:
    part = next((p for p in step.fields if p.proof == state.slot), step.fields[0])
    once_more = part.again and any(e.field == part.proof for e in state.evidence)
    slot = _PROOFS[part.proof]
    question = _question(plan, step, state, today, slot.kind, (), events=part.events)
    expectation = replace(question.expectation, proof=part.proof, sensitive=True, unfinished="",
                          min_digits=slot.min or 1, max_digits=slot.max or 32)  # fmt: skip
    prompt = part.again if once_more else part.prompt
    return replace(question, prompt=prompt, expectation=expectation, slot=slot)


def _for_slot(
    plan: Plan, step: Ask | Form, slot: Slot, fills: tuple[str, ...], events: Events, state: State, today: str
) -> Question:
    phrases = tuple(p for ways in slot.choices.values() for p in ways.get(state.language, ()))
    keys = YES_NO_KEYS if slot.kind == "yes_no" else {}
    question = _question(plan, step, state, today, slot.kind, fills, phrases, keys, events)
    least, most = (slot.min or 1, slot.max or 32) if slot.kind in _DIGITS_BY_KIND else (1, 32)
    expectation = replace(
        question.expectation, slot=slot.name, min_digits=least, max_digits=most,
        sensitive=slot.sensitive or question.expectation.sensitive,
    )  # fmt: skip
    return replace(question, expectation=expectation, slot=slot)


def _question(
    plan: Plan,
    step: Asking,
    state: State,
    today: str,
    kind: ExpectationKind,
    fills: tuple[str, ...],
    phrases: tuple[str, ...] = (),
    keys: Mapping[str, str] | None = None,
    events: Events | None = None,
) -> Question:
    """What may be filled along with the answer decides, too, whether it may be kept."""
    events = events or step.events
    expectation = Expectation(
        kind, state.language, phrases, sensitive=any(plan.slots[name].sensitive for name in fills), slots=fills,
        commands=events.commands, digress=events.digress and kind != "open", today=today,
        unfinished=state.unfinished if kind == "date" else "", between=state.between if kind == "open" else (),
    )  # fmt: skip
    barge_in, protected_ms = getattr(step, "barge_in", "none"), getattr(step, "protected_ms", 0)
    return Question(getattr(step, "prompt", {}), events, expectation, None, None, keys or {}, barge_in, protected_ms)
