"""What is wrong with a plan as a whole: dead steps, circles, slots that nobody fills, answers that nobody can give.

Looks at linked steps, notes problems at their places in the files. Pure; raises nothing.
"""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from ivr.dialog.plan import (
    END,
    Ask,
    Call,
    Confirm,
    Form,
    Hangup,
    Menu,
    Prove,
    Record,
    Return,
    Set,
    Step,
    Transfer,
    ways,
)
from ivr.dialog.plan_link import Linker
from ivr.dialog.shapes import did_you_mean
from ivr.errors import Problem
from ivr.understanding.slots import Slot

_WAITS = Ask | Menu | Form | Confirm | Prove | Record | Transfer | Hangup
"""Steps at which a call stands still until the caller, or somebody else, does something."""
_MOST_CIRCLES = 20
_FEW_ANSWERS = 8


def alike(one: Slot, other: Slot) -> bool:
    """Whether two declarations of a slot say the same."""
    return replace(one, places=None) == replace(other, places=None) and one.places is other.places


def check_file(linker: Linker, steps: Mapping[str, Step]) -> None:
    """What is wrong with one file's steps."""
    if linker.whole:
        _intents(linker, steps)
    if not linker.lost:
        _unreachable(linker, steps)


def check_whole(linkers: Mapping[str, Linker], steps: Mapping[str, Step]) -> None:
    """What is wrong with a plan and those it calls, all together."""
    _circles(linkers.values(), steps)
    _unfilled(linkers.values(), steps)
    _verified(linkers.values(), steps.values())


def notes(linker: Linker, together: Collection[Linker]) -> Iterator[Problem]:
    """What is worth knowing about one file and keeps nothing from serving. Slots of a plan that returns are shared."""
    file = linker.reading.file
    used = {name for each in together for name in (*each.uses, *each.fills)}
    shared = any(step["kind"] == "return" for step in linker.values["steps"].values())
    for name in linker.values["slots"] if not shared else ():
        if name not in used:
            yield file.problem(("slots", name), "no step uses this slot", "remove it, or ask for it")
    for name, step in linker.values["steps"].items():
        for value, choice in (step["choices"] if step["kind"] == "menu" else {}).items():
            if choice["key"] in _KEYS:
                message = f"key {choice['key']} means {_KEYS[choice['key']]} everywhere else"
                yield file.problem(("steps", name, "choices", value, "key"), message, "another key may be clearer")


_KEYS = {"0": "a person", "9": "the other language", "*": "back"}


def _intents(linker: Linker, steps: Mapping[str, Step]) -> None:
    """Answers in `on` and `anywhere` that nothing can be understood as."""
    known = linker.intents
    for intent in linker.anywhere:
        if intent not in known:
            mend = did_you_mean(intent, known, "give an entry of the knowledge file that intent")
            message = f"no entry of the knowledge file has the intent `{intent}`"
            linker.reading.fault(("anywhere", intent), message, mend)
    for name, values in linker.values["steps"].items():
        step = steps.get(linker.prefix + name)
        if not isinstance(step, Ask):
            continue
        possible = _answers(linker, step)
        for answer in values["on"] if possible is not None else ():
            if answer not in possible:
                few = ", ".join(sorted(possible)) if len(possible) <= _FEW_ANSWERS else ""
                otherwise = f"one of {few}" if few else "an intent of the knowledge file, or a value of the slot"
                mend = did_you_mean(answer, possible, otherwise)
                linker.reading.fault(("steps", name, "on", answer), f"no answer can be `{answer}`", mend)


def _answers(linker: Linker, ask: Ask) -> set[str] | None:
    """Everything an answer to `ask` may be understood as; None when it may be anything."""
    found = set(linker.intents)
    for name in (ask.slot, *ask.fills):
        slot = linker.slots.get(name)
        if slot is None and name:
            return None
        if slot is not None and slot.kind == "choice":
            found |= set(slot.choices)
        elif slot is not None and slot.kind == "place":
            found |= {place.id for place in slot.places.entries} if slot.places else set()
        elif slot is not None and slot.kind != "yes_no" and name == ask.slot:
            return None
    return found | {"yes", "no", "unsure"} if ask.expect in ("yes_no", "open") else found


def _unreachable(linker: Linker, steps: Mapping[str, Step]) -> None:
    own = linker.ways
    todo = [linker.start(), linker.on_machine, linker.on_screening, linker.on_caller]
    todo += [own.operator, own.cancel, own.on_error, *linker.anywhere.values()]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in steps and name not in seen:
            seen.add(name)
            todo += [target for _, target in ways(steps[name])]
    for name in linker.values["steps"]:
        if linker.prefix + name not in seen and name != END:
            linker.reading.fault(("steps", name), "no way leads to this step", "remove it or go to it")


def _circles(linkers: Collection[Linker], steps: Mapping[str, Step]) -> None:
    """Ways through steps that wait for nobody and lead back to themselves; a call would never leave them."""
    returns: dict[str, set[str]] = {}
    for step in steps.values():
        if isinstance(step, Call):
            returns.setdefault(step.entry.partition("/")[0], set()).add(step.next)
    graph: dict[str, set[str]] = {}
    for name, step in steps.items():
        if isinstance(step, Return):
            graph[name] = set(returns.get(name.partition("/")[0], ())) if "/" in name else set()
        elif isinstance(step, Call):
            graph[name] = {step.entry}
        elif not isinstance(step, _WAITS):
            graph[name] = {target for _, target in ways(step)}
    for _ in range(_MOST_CIRCLES):
        walk = {name: targets & graph.keys() for name, targets in graph.items()}
        try:
            graphlib.TopologicalSorter(walk).prepare()
        except graphlib.CycleError as error:
            circle = error.args[1][::-1]
            _tell_circle(linkers, circle)
            for name in circle:
                graph.pop(name, None)
        else:
            return


def _tell_circle(linkers: Collection[Linker], circle: list[str]) -> None:
    first = min(range(len(circle) - 1), key=lambda index: circle[index].count("/"))
    walk = [*circle[first:-1], *circle[: first + 1]]
    shown = " -> ".join(walk if len(walk) <= 8 else [*walk[:6], "...", walk[-1]])
    prefix, _, name = walk[0].rpartition("/")
    for linker in linkers:
        if linker.prefix == (f"{prefix}/" if prefix else ""):
            message = f"goes round without waiting for the caller: {shown}"
            linker.reading.fault(("steps", name), message, "let one of these steps ask something, or hang up")


def _unfilled(linkers: Collection[Linker], steps: Mapping[str, Step]) -> None:
    """Slots that are looked at and that no step fills. A plan that returns may count on its callers."""
    if any(linker.lost or not linker.whole for linker in linkers):
        return
    if any(isinstance(step, Return) and "/" not in step.name for step in steps.values()):
        return
    filled = {name for linker in linkers for name in linker.fills}
    for linker in linkers:
        for name, path in linker.uses.items():
            if name not in filled:
                mend = "ask for it, or fill it by `save`, `set` or `record`"
                linker.reading.fault(path, f"no step fills the slot `{name}`", mend)


def _verified(linkers: Collection[Linker], steps: Collection[Step]) -> None:
    """A caller is verified by what a back end says; whatever fills the slot otherwise would let anybody pass."""
    given = {name for linker in linkers for name in linker.given}
    for linker in linkers:
        slot = linker.verified
        fill = [f"step `{step.name}` fills" for step in steps if slot and slot in _filled_without_back_end(step)]
        for what in [*fill, "the order of a call fills"] if slot in given else fill:
            message = f"{what} `{slot}` without a back end"
            linker.reading.fault(("verified",), message, "name a slot that only the `save` of a lookup fills")


def _filled_without_back_end(step: Step) -> set[str]:
    match step:
        case Ask():
            return {step.slot, *step.fills}
        case Form():
            return {each.slot for each in step.fields}
        case Confirm():
            return set(step.slots)
        case Record():
            return {step.slot}
        case Set():
            return {name for name, expression in step.values.items() if expression is not None}
    return set()
