"""From the values of one plan file to its steps: every name of a step, slot, calendar or fact is looked up here.

What a file leaves out is filled in: events from the step's own, its plan's, the calling plan's, the built-in ones.
Steps of a called plan get the prefix of its name. Problems go to the file's Reading; nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ivr.dialog import plan_format as form
from ivr.dialog import words
from ivr.dialog.expressions import Expression, ExpressionFault, read
from ivr.dialog.plan import (
    END,
    FACTS,
    Answer,
    Ask,
    At,
    Branch,
    Call,
    Choice,
    Confirm,
    Events,
    Field,
    Form,
    Goto,
    Hangup,
    Hours,
    Lookup,
    Menu,
    Notify,
    Prompt,
    Proof,
    Prove,
    Record,
    Return,
    Say,
    Set,
    Settle,
    Step,
    Transfer,
)
from ivr.dialog.plan_slots import check_phrases
from ivr.dialog.plan_yaml import Path_
from ivr.dialog.shapes import AnyOf, ListOf, MapOf, Named, Reading, Tagged, did_you_mean
from ivr.dialog.shapes import Record as Keys
from ivr.understanding.slots import Slot

_PLACEHOLDER = re.compile(r"\{([^{}\n]*)\}")
_BUILT_IN = {"no_input": words.NO_INPUT, "no_match": words.NO_MATCH, "help": words.HELP}
_KINDS: Mapping[str, type] = {
    "say": Say, "answer": Answer, "set": Set, "notify": Notify, "goto": Goto, "return": Return, "lookup": Lookup,
}  # fmt: skip


@dataclass(frozen=True)
class Ways:
    """Where a plan's universal ways lead, and its words: what steps fall back to."""

    operator: str = ""
    cancel: str = ""
    on_error: str = ""
    events: Mapping[str, Any] = field(default_factory=dict)
    goodbye: Prompt = field(default_factory=dict)


@dataclass
class Linker:
    """Links one file. `fills` and `uses` say which slots its steps fill and look at, and where first."""

    reading: Reading
    values: Mapping[str, Any]
    prefix: str
    slots: Mapping[str, Slot]
    calls: Mapping[str, str]
    outer: Ways
    intents: Collection[str]
    whole: bool = True
    """Every file that declares slots and intents could be read; else what is not declared may be in the others."""
    fills: set[str] = field(default_factory=set)
    uses: dict[str, Path_] = field(default_factory=dict)
    lost: bool = False
    """Something could not be found or read, so that what no step leads to cannot be told."""

    def __post_init__(self) -> None:
        self._names: Collection[str] = dict.fromkeys(self.reading.file.names("steps"))
        self._declared = {*self.slots, *self.reading.file.names("slots")}
        self._without_words: set[tuple[str, str]] = set()
        own = self.values
        operator = self.step(own["operator"], ("operator",)) or self.outer.operator
        self.ways = Ways(
            operator,
            self.step(own["cancel"], ("cancel",)) or self.outer.cancel,
            self.step(own["on_error"], ("on_error",)) or self.outer.on_error,
            {**self.outer.events, **self._own_events(own["events"], ("events",))},
            self.linked(form.PROMPT, own["goodbye"], ("goodbye",)) or self.outer.goodbye or self._words("goodbye"),
        )
        self.failed = self.linked(form.PROMPT, own["failed"], ("failed",)) or self._words("failed")
        self.verified = self.slot(own["verified"], ("verified",), use=True)
        self.on_machine = self.step(own["on_machine"], ("on_machine",))
        self.on_screening = self.step(own["on_screening"], ("on_screening",))
        self.on_caller = self.step(own["on_caller"], ("on_caller",))
        self.given = self.linked(form.PLAN.keys["given"].shape, own["given"], ("given",))
        self.fills.update(self.given)
        self.anywhere = {intent: self.step(target, ("anywhere", intent)) for intent, target in own["anywhere"].items()}

    def start(self) -> str:
        """The first step."""
        if given := self.values["start"]:
            return self.step(given, ("start",))
        return self.prefix + next(iter(self._names), END)

    def steps(self) -> dict[str, Step]:
        """Every step that could be read, by its name with the prefix."""
        made = {}
        for name, values in self.values["steps"].items():
            path = ("steps", name)
            if name == END:
                self.reading.fault(path, "every plan has this step: goodbye and hang up", "give yours another name")
            line, _ = self.reading.file.place(path)
            at = At(self.reading.file.path, line)
            made[self.prefix + name] = self._step(self.prefix + name, values, path, at)
        self.lost |= len(made) < len(self._names)
        return made

    def step(self, name: str, path: Path_) -> str:
        """The step `name` as the whole plan calls it; empty for none."""
        if not name or name == END:
            return name
        if name not in self._names:
            self.lost = True
            mend = did_you_mean(name, (*self._names, END), "name a step of this plan")
            self.reading.fault(path, f"there is no step `{name}`", mend)
        return self.prefix + name

    def slot(self, name: str, path: Path_, use: bool = False) -> str:
        """`name`, which must be a slot; with `use`, one whose value is looked at."""
        if name and name not in self._declared and not self.whole:
            self.lost = True
        elif name and name not in self._declared:
            mend = did_you_mean(name, self._declared, "declare it under `slots:`")
            self.reading.fault(path, f"there is no slot `{name}`", mend)
        elif name and use:
            self.uses.setdefault(name, path)
        return name

    def linked(self, shape: Any, value: Any, path: Path_) -> Any:
        """`value`, read by `shape`, with every name in it looked up and expressions read."""
        if value is form.INHERITED:
            return value
        if shape is form.STEP:
            return self.step(value, path)
        if shape is form.SLOT:
            return self.slot(value, path)
        if shape is form.EXPRESSION:
            return self._expression(value, path) if value else None
        if shape is form.PROMPT:
            self._check_prompt(value, path)
            return value
        if shape is form.TEXTS or shape is form.URL_PATH:
            self._check_values(value if isinstance(value, str) else " ".join(value.values()), path)
            return value
        match shape:
            case Named(shape=inner):
                return self.linked(inner, value, path)
            case ListOf(of=of):
                return tuple(self.linked(of, item, (*path, index)) for index, item in enumerate(value))
            case MapOf(of=of):
                return {name: None if item is None else self.linked(of, item, (*path, name))
                        for name, item in value.items()}  # fmt: skip
            case AnyOf(listed=ListOf(of=of)):
                return tuple(self.linked(of, item, where) | {"path": where} for where, item in value)
            case Tagged(kinds=kinds):
                return self.linked(kinds[value["kind"]], value, path)
            case Keys(keys=keys):
                linked = {name: self.linked(key.shape, value[name], (*path, name)) for name, key in keys.items()
                          if name in value}  # fmt: skip
                return linked | ({"languages": value["languages"]} if "languages" in value else {})
        return value

    def _step(self, name: str, values: Mapping[str, Any], path: Path_, at: At) -> Step:
        kind = values["kind"]
        found = self.linked(form.STEP_FORMS[kind], values, path)
        make: Callable[..., Step] | None = getattr(self, f"_{kind}", None)
        common = {"name": name, "at": at}
        return make(found, path, common) if make else _KINDS[kind](**found, **common)

    def _with_events(self, found: dict[str, Any], under: Mapping[str, Any] | None = None) -> Events:
        """Takes the events out of `found` and makes them whole."""
        own = {name: found.pop(name) for name in form.EVENTS}
        return self._events(own, self.ways.events if under is None else under)

    def _own_events(self, values: Mapping[str, Any], path: Path_) -> dict[str, Any]:
        own = self.linked(form.PLAN.keys["events"].shape, values, path)
        return {name: value for name, value in own.items() if value is not form.INHERITED}

    def _events(self, own: Mapping[str, Any], under: Mapping[str, Any]) -> Events:
        given = {**under, **{name: value for name, value in own.items() if value is not form.INHERITED}}
        for name in _BUILT_IN:
            if name not in given:
                given[name] = self._words(name)
        given.setdefault("give_up", self.ways.operator or END)
        return Events(**given, operator=self.ways.operator or END, cancel=self.ways.cancel or END)

    def _words(self, name: str) -> Any:
        """Built-in words in every language of the plan, as prompts."""
        built_in = {"goodbye": words.GOODBYE, "failed": words.FAILED, **_BUILT_IN}[name]
        for language in self.reading.languages:
            if language not in built_in and (name, language) not in self._without_words:
                self._without_words.add((name, language))
                where = f"events: {{{name}: ...}}" if name in _BUILT_IN else f"{name}: {{{language}: ...}}"
                self.reading.fault(("languages",), f"no built-in words in `{language}` for `{name}`", f"add {where}")
        languages = [language for language in self.reading.languages if language in built_in]
        if name in ("no_input", "no_match"):
            return tuple({language: built_in[language][index] for language in languages} for index in range(2))
        return {language: built_in[language] for language in languages}

    def _ask(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Ask:
        slot, expect = found["slot"], found["expect"]
        if slot and expect:
            self.reading.fault((*path, "expect"), "does not go with `slot`", "the slot's kind is what is expected")
        if slot in self.slots:
            expect = self.slots[slot].kind
        expect = expect or "open"
        if not found["next"] and not found["on"]:
            self.reading.fault((*path, "next"), "missing", "name the step that comes next")
        self.fills.update((slot, *found["fills"]))
        if self.prefix and expect == "open":
            found["on"] = {**self.anywhere, **found["on"]}
        events = self._with_events(found)
        return Ask(**{**found, "expect": expect}, events=events, **common)

    def _menu(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Menu:
        entries = found["choices"]
        check_phrases(self.reading, {value: entry["languages"] for value, entry in entries.items()}, (*path, "choices"))
        taken: dict[str, str] = {}
        for value, entry in entries.items():
            if (key := entry["key"]) and taken.setdefault(key, value) != value:
                where = (*path, "choices", value, "key")
                self.reading.fault(where, f"key {key} is taken by `{taken[key]}`", "give it another key")
        choices = tuple(Choice(v, e["languages"], e["next"], e["key"]) for v, e in entries.items())
        events = self._with_events(found)
        return Menu(**{**found, "choices": choices}, events=events, **common)

    def _form(self, found: dict[str, Any], _path: Path_, common: dict[str, Any]) -> Form:
        own = {name: found[name] for name in form.EVENTS if found[name] is not form.INHERITED}
        events = self._with_events(found)
        fields, seen = [], set()
        for part in found["fields"]:
            where = part.pop("path")
            if part["slot"] in seen:
                self.reading.fault((*where, "slot"), f"`{part['slot']}` is asked for twice", "remove one")
            seen.add(part["slot"])
            part_events = self._with_events(part, {**self.ways.events, **own})
            fields.append(Field(**part, events=part_events))
        self.fills.update(seen)
        return Form(**{**found, "fields": tuple(fields)}, events=events, **common)

    def _prove(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Prove:
        own = {name: found[name] for name in form.EVENTS if found[name] is not form.INHERITED}
        events = self._with_events(found)
        fields: list[Proof] = []
        for part in found["fields"]:
            where = part.pop("path")
            if part["proof"] in {each.proof for each in fields}:
                self.reading.fault((*where, "proof"), f"`{part['proof']}` is asked for twice", "remove one")
            part_events = self._with_events(part, {**self.ways.events, **own})
            fields.append(Proof(**part, events=part_events))
        left = self.slots.get(self.slot(found["answers_left"], (*path, "answers_left"), use=True))
        if left is not None and left.kind != "number":
            self.reading.fault((*path, "answers_left"), f"`{left.name}` is of kind {left.kind}", "a number is wanted")
        return Prove(**{**found, "fields": tuple(fields)}, events=events, **common)

    def _confirm(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Confirm:
        for index, name in enumerate(found["slots"]):
            self.slot(name, (*path, "slots", index), use=True)
        if not found["no"] and found["slots"]:
            found["no"] = self._asking_for(found["slots"][0])
            if not found["no"]:
                self.reading.fault((*path, "no"), f"missing; no step asks for `{found['slots'][0]}`", "name a step")
        return Confirm(**found | {"events": self._with_events(found)}, **common)

    def _asking_for(self, slot: str) -> str:
        """The first step that asks for a slot, forms before others."""
        by_rank: dict[int, str] = {}
        for name, values in self.values["steps"].items():
            fields = (part.get("slot") for _, part in values.get("fields", ()) or ())
            if values["kind"] == "form" and slot in fields:
                by_rank.setdefault(0, name)
            elif values["kind"] == "ask" and slot in (values["slot"], *values["fills"]):
                by_rank.setdefault(1, name)
        return self.prefix + by_rank[min(by_rank)] if by_rank else ""

    def _lookup(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Lookup:
        for name in found["save"]:
            self.slot(name, (*path, "save", name))
        self.fills.update(found["save"])
        if found["body"] and found["method"] == "GET":
            self.reading.fault((*path, "body"), "a GET has no body", "add `method: POST`, or use `query`")
        return Lookup(**found | {"on_error": found["on_error"] or self.ways.on_error or END}, **common)

    def _set(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Set:
        for name in found["values"]:
            self.slot(name, (*path, "values", name))
        self.fills.update(found["values"])
        return Set(**found | {"on_error": found["on_error"] or self.ways.on_error or END}, **common)

    def _branch(self, found: dict[str, Any], _path: Path_, common: dict[str, Any]) -> Branch:
        cases = tuple((case["if"], case["next"]) for case in found["when"])
        return Branch(cases=cases, otherwise=found["else"], on_error=found["on_error"] or self.ways.on_error or END,
                      **common)  # fmt: skip

    def _hours(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Hours:
        calendars = self.values["calendars"]
        if found["calendar"] and found["calendar"] not in calendars:
            mend = did_you_mean(found["calendar"], calendars, "declare it under `calendars:`")
            self.reading.fault((*path, "calendar"), f"there is no calendar `{found['calendar']}`", mend)
        found["calendar"] = self.prefix + found["calendar"]
        return Hours(**found | {"holiday": found["holiday"] or found["closed"]}, **common)

    def _transfer(self, found: dict[str, Any], _path: Path_, common: dict[str, Any]) -> Transfer:
        target = found.pop("target")
        return Transfer(**found | {"targets": (target,) if target else found["targets"]}, **common)

    def _record(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Record:
        slot = self.slots.get(found["slot"])
        if slot is not None and slot.kind != "text":
            self.reading.fault((*path, "slot"), f"`{slot.name}` is of kind {slot.kind}", "a recording's name is a text")
        self.fills.add(found["slot"])
        events = self._with_events(found)
        return Record(**found, events=events, **common)

    def _call(self, found: dict[str, Any], _path: Path_, common: dict[str, Any]) -> Call:
        return Call(entry=self.calls.get(found["plan"], END), next=found["next"], **common)

    def _settle(self, found: dict[str, Any], path: Path_, common: dict[str, Any]) -> Settle:
        if not (found["disposition"] or found["again_at"] or found["suppress"]):
            mend = "give `disposition`, `again_at` or `suppress`"
            self.reading.fault((*path, "disposition"), "missing; it settles nothing", mend)
        kinds: set[str] = set()
        for index, name in enumerate(found["again_at"]):
            slot = self.slots.get(self.slot(name, (*path, "again_at", index), use=True))
            if slot is not None and (slot.kind not in ("date", "time", "duration") or slot.kind in kinds):
                mend = "a date, a time, a duration, one of each at most"
                self.reading.fault((*path, "again_at", index), f"`{name}` is of kind {slot.kind}", mend)
            kinds.add(slot.kind if slot else "")
        return Settle(**found, **common)

    def _hangup(self, found: dict[str, Any], _path: Path_, common: dict[str, Any]) -> Hangup:
        return Hangup(**found | {"prompt": found["prompt"] or self.ways.goodbye}, **common)

    def _expression(self, text: str, path: Path_) -> Expression | None:
        try:
            expression = read(text, {*self._declared, *FACTS})
        except ExpressionFault as fault:
            lead = len(text) - len(text.lstrip())
            mend = fault.mend
            if lost := re.match(r"there is no slot `(\w+)`", str(fault)):
                if not self.whole:
                    return None
                unknown = "declare it under `slots:`, or put a text in quotes"
                mend = mend or did_you_mean(lost[1], self._declared, unknown)
            self.reading.fault(path, str(fault), mend, shift=max(0, fault.column - 1) + lead)
            return None
        for name in expression.names & set(self.slots):
            self.uses.setdefault(name, path)
        return expression

    def _check_prompt(self, prompt: Mapping[str, str], path: Path_) -> None:
        for language, text in prompt.items():
            self._check_values(text, (*path, language))

    def _check_values(self, text: str, path: Path_) -> None:
        """Names in braces; `{kind:value}` is for the voice, which knows the kinds."""
        for name in _PLACEHOLDER.findall(text):
            if ":" not in name and name not in FACTS:
                if not name:
                    self.reading.fault(path, "nothing in `{}`", "name a slot: {card}")
                    continue
                self.slot(name, path, use=True)
        if "{" in (rest := _PLACEHOLDER.sub("", text)) or "}" in rest:
            self.reading.fault(path, "a brace without its other half", "a value stands in one pair: {card}")
