"""Dialplans from their files: YAML in a folder to checked, versioned, immutable plans.

Finds everything wrong at once, each with file, line, field and a mend. `NAME.yaml` is a plan, `NAME.knowledge.yaml`
beside it holds what it can answer, `*.places.yaml` the places that slots may name. Knows nothing of calls or engines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ivr.dialog import plan_checks, plan_secrets, plan_slots, plan_yaml
from ivr.dialog import plan_format as form
from ivr.dialog.plan import END, Hangup, Plan, Plans, Step
from ivr.dialog.plan_link import Linker, Ways
from ivr.dialog.plan_yaml import Path_, YamlFile
from ivr.dialog.shapes import Reading, Record
from ivr.errors import InvalidInput, Problem
from ivr.understanding.knowledge import Entry, Knowledge
from ivr.understanding.places import Places
from ivr.understanding.slots import Slot
from ivr.understanding.understand import Vocabulary

BESIDE = (".knowledge.yaml", ".reviewed.yaml", ".places.yaml")
"""Ends of the names of files that are no plans themselves."""
FOLDER = Path("dialplans")
"""Where the plans that a command names are looked for."""
MAX_CALLED = 50
"""Plans that one plan may call, directly or not."""


def load_all(folder: Path) -> Plans:
    """Every plan in `folder`, the problems of those that cannot be used, and notes on the others.

    Hidden files are not looked at; of two plans with one name neither can be used.
    """
    plans: dict[str, Plan] = {}
    twice: set[str] = set()
    problems: list[Problem] = []
    notes: list[Problem] = []
    files = _plan_files(folder)
    if not files:
        problems.append(Problem(str(folder), "no dialplan here", mend="put a NAME.yaml into it"))
    for file in files:
        try:
            plan, noted = _load(file)
        except InvalidInput as invalid:
            problems.extend(invalid.problems)
            continue
        notes.extend(noted)
        if plan.name in plans:
            problems.append(Problem(str(file), f"a second plan named `{plan.name}`", mend="rename one of them"))
            twice.add(plan.name)
        plans[plan.name] = plan
    plans = {name: plan for name, plan in plans.items() if name not in twice}
    return Plans(plans, tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(notes)))


def _plan_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.yaml") if not p.name.endswith(BESIDE) and not p.name.startswith("."))


def file_of(name: str) -> Path:
    """The file of a plan that somebody names by its path, or by its name in `FOLDER`. Raises InvalidInput."""
    file = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not file.exists():
        there = ", ".join(found.stem for found in _plan_files(file.parent)) or "no plans at all"
        raise InvalidInput(Problem(str(file), "no such file", mend=f"in {file.parent} there are: {there}"))
    return file


def load(file: Path) -> Plan:
    """One plan with the plans it calls and what they know. Raises InvalidInput with every problem found."""
    return _load(file)[0]


def _load(file: Path) -> tuple[Plan, tuple[Problem, ...]]:
    loading = _Loading()
    root = loading.draft(file)
    plan = loading.plan(root) if root else None
    if loading.problems or plan is None:
        raise InvalidInput(*sorted(dict.fromkeys(loading.problems), key=lambda p: (p.file, p.line, p.column)))
    return plan, tuple(loading.notes)


@dataclass
class _Draft:
    """One plan file, read but not yet linked.

    `calls` are the plans it calls by name; `slots` and `intents` are its own and theirs, all of them if `whole`: no
    file that it needs was unreadable.
    """

    stem: str
    reading: Reading
    values: Mapping[str, Any]
    entries: tuple[Entry, ...]
    slots: dict[str, Slot]
    intents: set[str]
    calls: dict[str, _Draft] = field(default_factory=dict)
    whole: bool = True


class _Loading:
    """Everything read for one plan: files by path, drafts by name, problems and notes."""

    def __init__(self) -> None:
        self.notes: list[Problem] = []
        self._failed: list[Problem] = []
        self._readings: list[Reading] = []
        self._drafts: dict[str, _Draft] = {}
        self._open: list[str] = []
        self._unreadable: set[str] = set()
        self._places: dict[Path, Places | None] = {}
        self._hash = hashlib.sha256()
        self._texts: dict[str, str] = {}

    @property
    def problems(self) -> list[Problem]:
        return self._failed + [problem for reading in self._readings for problem in reading.problems]

    def draft(self, file: Path) -> _Draft | None:
        """The plan in `file` and, before its steps are linked, the plans it calls. None when it cannot be read."""
        tree = self._tree(file)
        if tree is None:
            return None
        reading = self._reading(tree, ())
        reading.languages = plan_slots.languages(reading)
        values = form.PLAN.read(tree.root, (), reading) or {}
        failed = len(self._failed)
        entries = self._entries(file, reading.languages)

        def places_of(name: str, path: Path_) -> Places | None:
            return self._places_of(file.with_name(name), path, reading)

        slots = plan_slots.slots(values["slots"], reading, places_of)
        intents = {entry.intent for entry in entries if entry.intent}
        draft = self._drafts[file.stem] = _Draft(file.stem, reading, values, entries, slots, intents)
        self._open.append(file.stem)
        for name, step in values["steps"].items():
            if step["kind"] == "call" and step["plan"]:
                self._call(draft, file.with_name(f"{step['plan']}.yaml"), ("steps", name, "plan"))
        self._open.pop()
        draft.whole = len(self._failed) == failed
        return draft

    def _call(self, draft: _Draft, file: Path, path: Path_) -> None:
        stem, reading = file.stem, draft.reading
        if stem in self._unreadable or stem in draft.calls:
            return
        if stem in self._open:
            circle = " -> ".join((*self._open[self._open.index(stem) :], stem))
            reading.fault(path, f"plans that call one another in a circle: {circle}", "call one of them less")
            return
        if stem not in self._drafts and (len(self._drafts) >= MAX_CALLED or not file.is_file()):
            message = f"there is no plan `{stem}`" if not file.is_file() else f"more than {MAX_CALLED} plans"
            reading.fault(path, message, f"a plan is the file {file.name} beside this one")
            return
        called = self._drafts[stem] if stem in self._drafts else self.draft(file)
        if called is None:
            self._unreadable.add(stem)
            return
        for language in draft.reading.languages:
            if language not in called.reading.languages:
                reading.fault(path, f"plan `{stem}` does not speak `{language}`", "add it to its `languages`")
        for name, slot in called.slots.items():
            if not plan_checks.alike(draft.slots.setdefault(name, slot), slot):
                message = f"slot `{name}` is declared differently in plan `{stem}`"
                where = ("slots", name) if name in draft.values["slots"] else path
                reading.fault(where, message, "declare it alike, or give it another name")
        draft.intents |= called.intents
        draft.calls[stem] = called

    def plan(self, root: _Draft) -> Plan:
        """The whole plan, the steps of called plans under `NAME/`; worth nothing when there are problems."""
        linkers = {root.stem: self._linker(root, "", Ways())}
        outer = linkers[root.stem].ways
        for stem, draft in self._drafts.items():
            if stem != root.stem:
                linkers[stem] = self._linker(draft, f"{stem}/", outer)
        steps: dict[str, Step] = {}
        calendars = {}
        zones = {}
        for stem, linker in linkers.items():
            draft = self._drafts[stem]
            zones[stem] = plan_slots.zone(draft.values["zone"], ("zone",), draft.reading)
            for name, values in draft.values["calendars"].items():
                calendars[linker.prefix + name] = plan_slots.calendar(
                    values, zones[stem], ("calendars", name), draft.reading
                )
            made = linker.steps()
            steps |= made
            plan_checks.check_file(linker, made)
            plan_secrets.check(linker, made)
        steps[END] = Hangup(END, outer.goodbye)
        plan_checks.check_whole(linkers, steps)
        self.notes += [note for linker in linkers.values() for note in plan_checks.notes(linker, linkers.values())]
        linker = linkers[root.stem]
        return Plan(
            name=root.values["plan"] or root.stem,
            version=self._hash.hexdigest()[:12],
            languages=root.reading.languages,
            start=linker.start(),
            steps=steps,
            vocabulary=Vocabulary(Knowledge(self._knowledge(root)), root.slots),
            operator=linker.ways.operator or END,
            cancel=linker.ways.cancel or END,
            on_error=linker.ways.on_error or END,
            verified=tuple(dict.fromkeys(each.verified for each in linkers.values() if each.verified)),
            on_machine=linker.on_machine,
            on_screening=linker.on_screening,
            on_caller=linker.on_caller,
            given=tuple(dict.fromkeys(name for each in linkers.values() for name in each.given)),
            anywhere=linker.anywhere,
            calendars=calendars,
            goodbye=linker.ways.goodbye,
            failed=linker.failed,
            zone=zones[root.stem],
            file=root.reading.file.path,
            files=self._texts,
        )

    def _linker(self, draft: _Draft, prefix: str, outer: Ways) -> Linker:
        firsts = {stem: each.values["start"] or next(iter(each.values["steps"]), END)
                  for stem, each in draft.calls.items()}  # fmt: skip
        calls = {stem: END if first == END else f"{stem}/{first}" for stem, first in firsts.items()}
        return Linker(draft.reading, draft.values, prefix, draft.slots, calls, outer, draft.intents, draft.whole)

    def _knowledge(self, root: _Draft) -> tuple[Entry, ...]:
        """All entries; those of a called plan whose id is taken get its name before it."""
        found = {entry.id: entry for entry in root.entries}
        for stem, draft in self._drafts.items():
            for entry in draft.entries if draft is not root else ():
                found.setdefault(entry.id if entry.id not in found else f"{stem}/{entry.id}", entry)
        return tuple(replace(entry, id=name) for name, entry in found.items())

    def _tree(self, file: Path) -> YamlFile | None:
        try:
            tree = plan_yaml.read(file)
        except InvalidInput as invalid:
            self._failed += invalid.problems
            return None
        self._hash.update(file.name.encode())
        self._hash.update(tree.text.encode())
        self._texts[file.name] = tree.text
        return tree

    def _reading(self, tree: YamlFile, languages: tuple[str, ...]) -> Reading:
        self._readings.append(Reading(tree, languages))
        return self._readings[-1]

    def _read_by(self, form_of_file: Record, file: Path, languages: tuple[str, ...]) -> tuple[Any, Reading] | None:
        tree = self._tree(file)
        if tree is None:
            return None
        reading = self._reading(tree, languages)
        return form_of_file.read(tree.root, (), reading), reading

    def _entries(self, file: Path, languages: tuple[str, ...]) -> tuple[Entry, ...]:
        found: list[Entry] = []
        owners: dict[tuple[str, str], str] = {}
        for end in (".knowledge.yaml", ".reviewed.yaml"):
            beside = file.with_name(f"{file.stem}{end}")
            read = self._read_by(form.KNOWLEDGE, beside, languages) if beside.exists() else None
            if read:
                found += plan_slots.entries(*read, owners)
                self.notes += plan_slots.lone_examples(*read) if end == ".knowledge.yaml" else ()
        return tuple(found)

    def _places_of(self, file: Path, path: Path_, reading: Reading) -> Places | None:
        if file not in self._places:
            if not file.is_file():
                reading.fault(path, f"there is no file `{file.name}` beside the plan", "put it there, or mend the name")
                return None
            read = self._read_by(form.PLACES, file, reading.languages)
            self._places[file] = plan_slots.places(*read) if read else None
        return self._places[file]
