"""A call's inputs as records fit for JSON, and back: what was given to the engine, in order, is the log that replays.

Where something secret is asked for, or was said, a record keeps the shape of it only: every digit is `1`, every letter
`x`, so that lengths and forms still fit, and `masked` says so. Records are bounded. Pure; knows nothing of databases.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from ivr.dialog import fill, questions
from ivr.dialog.plan import Asking, Form, Lookup, Plan, Record, Step, Transfer
from ivr.dialog.state import (
    Compared,
    Connected,
    Fetched,
    Heard,
    Input,
    Key,
    KeysEnded,
    Recorded,
    Silence,
    Started,
    State,
)
from ivr.errors import IvrError
from ivr.turn import Filled, Understood

MAX_TEXT_CHARS = 2_000
MAX_ALTERNATIVES = 10
MAX_DATA_BYTES = 32_768
"""JSON of a back end's answer; a longer one is left out and the record says `cut`."""
MASK = "****"

_KINDS: Mapping[str, type] = {
    "started": Started, "heard": Heard, "silence": Silence, "key": Key, "keys_ended": KeysEnded,
    "connected": Connected, "fetched": Fetched, "recorded": Recorded,
    "compared": Compared,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ANSWERS = frozenset({"yes", "no", "unsure"})
_COMMAND_KEYS = ("0", "9")
"""Pressed alone these are commands, no part of what is secret."""


class BadRecord(IvrError):
    """A record that no journal of ours wrote."""


def entry(plan: Plan, state: State, given: Input, now: datetime) -> dict[str, Any]:
    """What to write down of `given`, about to be given to the engine in `state`.

    Besides `to_record`: where the call was (`step`, `slot`), what a lookup had asked (`request`), what of it all is
    sensitive, as the plan's slots say, and `ignored` when nothing waited for it.
    """
    here = plan.steps.get(state.step)
    sensitive = is_secret(plan, state, given, now)
    extra: dict[str, Any] = {}
    if sensitive and isinstance(given, KeysEnded) and state.keys in _COMMAND_KEYS:
        extra["keys"] = state.keys
    elif isinstance(given, Started):
        given = replace(given, given=_shown_given(plan, given.given))
    elif isinstance(here, Lookup) and isinstance(given, Fetched):
        extra["request"] = request(plan, state, here, now)
        given = replace(given, data=_hidden(plan, here, given.data))
    if not _is_awaited(here, given):
        extra["ignored"] = True
    open_slots = tuple(name for name, slot in plan.slots.items() if not slot.sensitive)
    return to_record(given, sensitive, open_slots) | {"step": state.step, "slot": state.slot} | extra


def is_secret(plan: Plan, state: State, given: Input, now: datetime) -> bool:
    """Whether `given`, in `state`, may hold what a sensitive slot is for."""
    here = plan.steps.get(state.step)
    if not isinstance(here, Asking) or not isinstance(given, (Heard, Key, KeysEnded)):
        return False
    question = questions.of(plan, here, _asked(here, state), fill.facts(plan, state, now)["today"])
    if not isinstance(given, Heard):
        return question.slot is not None and question.slot.sensitive
    expected = question.expectation
    names = {expected.slot, *expected.slots, *given.understood.slots}
    return expected.sensitive or any(plan.slots[name].sensitive for name in names if name in plan.slots)


def to_record(given: Input, sensitive: bool, open_slots: Collection[str] = ()) -> dict[str, Any]:
    """`given` as JSON: `input` (its kind), `given` (its fields), and `masked` when its words are not there.

    `sensitive` masks words, keys and values; those of `open_slots` are kept, for they are no secret themselves.
    """
    fields = given
    if isinstance(given, Heard):
        fields = Heard(_masked(given.understood, open_slots) if sensitive else _bounded(given.understood))
    elif isinstance(given, Key) and sensitive:
        fields = Key(shape(given.digit))
    record: dict[str, Any] = {"input": _NAMES[type(given)]}
    if isinstance(given, Fetched) and not _fits(given.data):
        fields, record["cut"] = replace(given, data=None), True
    record["given"] = msgspec.to_builtins(fields)
    if sensitive and isinstance(given, (Heard, Key, KeysEnded)):
        record["masked"] = True
    return record


def from_record(record: Mapping[str, Any]) -> Input:
    """The input of a record. Raises BadRecord."""
    kind = _KINDS.get(str(record.get("input"))) if isinstance(record, Mapping) else None
    if kind is None:
        raise BadRecord("a record without the kind of its input")
    try:
        return msgspec.convert(record.get("given") or {}, kind)
    except msgspec.ValidationError as error:
        raise BadRecord(f"a record of `{record['input']}` that does not fit: {error}") from None


def request(plan: Plan, state: State, step: Lookup, now: datetime) -> dict[str, Any]:
    """What `step` asks of its back end, with the shapes of sensitive slots; the same for the same question."""
    shown = replace(state, slots={name: _shown(plan, name, filled) for name, filled in state.slots.items()})
    return {
        "backend": step.backend,
        "path": fill.path(plan, shown, step.path, now)[:MAX_TEXT_CHARS],
        "query": fill.values(plan, shown, step.query, now),
    }


def shape(value: str) -> str:
    """`value` with every digit as 1 and every other letter as x: `8620` is `1111`, `12.50 CNY` is `11.11 xxx`."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "1", value))[:MAX_TEXT_CHARS]


def _asked(here: Asking, state: State) -> State:
    """`state` as keys see it: in a form that asks openly they belong to the first field."""
    if isinstance(here, Form) and not state.slot and (first := questions.due(here, state)) is not None:
        return replace(state, slot=first.slot)
    return state


def _is_awaited(here: Step | None, given: Input) -> bool:
    """Whether the engine does something with `given`; a key pressed during a lookup, say, changes nothing."""
    match given:
        case Started():
            return True
        case Fetched():
            return isinstance(here, Lookup)
        case Connected():
            return isinstance(here, Transfer)
        case Recorded():
            return isinstance(here, Record)
    return isinstance(here, Asking)


def _shown_given(plan: Plan, given: Mapping[str, str]) -> dict[str, str]:
    """What the plan takes of `given`, sensitive values in shape only."""
    taken = {name: str(given[name])[:MAX_TEXT_CHARS] for name in plan.given if name in given}
    return {name: shape(value) if plan.slots[name].sensitive else value for name, value in taken.items()}


def _shown(plan: Plan, name: str, filled: Filled) -> Filled:
    slot = plan.slots.get(name)
    return Filled(shape(filled.value)) if slot is not None and slot.sensitive else filled


def _masked(said: Understood, open_slots: Collection[str]) -> Understood:
    hidden = {filled.value for name, filled in said.slots.items() if name not in open_slots}
    kept = {filled.value for name, filled in said.slots.items() if name in open_slots} | _ANSWERS
    value = said.value
    if value in hidden or value not in kept:
        value = MASK if value and value == said.hypothesis.text else shape(value)
    text = MASK if said.hypothesis.text else ""
    slots = {
        name: Filled(f.value if name in open_slots else shape(f.value), f.confidence, MASK if f.text else "")
        for name, f in said.slots.items()
    }
    hypothesis = replace(said.hypothesis, text=text, alternatives=())
    return replace(_bounded(said), hypothesis=hypothesis, value=value, slots=slots)


def _bounded(said: Understood) -> Understood:
    heard = said.hypothesis
    alternatives = tuple(replace(a, text=a.text[:MAX_TEXT_CHARS]) for a in heard.alternatives[:MAX_ALTERNATIVES])
    return replace(
        said,
        hypothesis=replace(heard, text=heard.text[:MAX_TEXT_CHARS], alternatives=alternatives),
        value=said.value[:MAX_TEXT_CHARS],
        answer=said.answer[:MAX_TEXT_CHARS],
    )


def _fits(data: object) -> bool:
    """Whether `data` can be kept as JSON; deep nests and half characters cannot."""
    try:
        return len(msgspec.json.encode(data)) <= MAX_DATA_BYTES
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False


def _hidden(plan: Plan, here: Lookup, data: object) -> object:
    """`data` with the values that `here` saves into sensitive slots in shape only."""
    for name, place in here.save.items():
        if name in plan.slots and plan.slots[name].sensitive:
            data = _hidden_at(data, place.split("."))
    return data


def _hidden_at(data: object, place: list[str]) -> object:
    if not place:
        return shape(str(data)) if isinstance(data, (str, int, float)) and not isinstance(data, bool) else MASK
    first, *rest = place
    if isinstance(data, Mapping) and first in data:
        return {**data, first: _hidden_at(data[first], rest)}
    if isinstance(data, list) and first.isdecimal() and int(first) < len(data):
        return [_hidden_at(value, rest) if i == int(first) else value for i, value in enumerate(data)]
    return data
