"""Scenarios: calls written down in YAML, what the caller does and what must come of it; read and walked.

docs/rehearsing.md explains the format. Pure but for reading the file; knows nothing of terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from ivr.dialog import plan_yaml, state
from ivr.dialog.plan import DISPOSITIONS, Plan
from ivr.dialog.plan_format import PLAN_NAME, SLOT_NAME, SMALL_LETTERS
from ivr.dialog.plan_yaml import ListNode, Node, Path_, Scalar
from ivr.dialog.rehearsal import TYPED_CONFIDENCE, Rehearsal, describe, outcome_of
from ivr.dialog.shapes import LANGUAGE, Flag, Key, ListOf, MapOf, Number, Reading, Record, Text, Word
from ivr.dialog.state import Connected, Fetch, Fetched, Input, Recorded, Silence, Speak, Started
from ivr.errors import InvalidInput, Problem
from ivr.understanding.proving import Proofs

NOTHING = "none"
"""A disposition that is expected not to be there yet."""
MAX_FETCHES = 20
"""Lookups that one turn may lead to."""


@dataclass(frozen=True)
class _Json:
    """Anything: what a back end may answer."""

    empty: ClassVar[None] = None

    def read(self, node: Node, path: Path_, reading: Reading) -> Any:
        match node:
            case Scalar():
                return node.value
            case ListNode():
                return [self.read(item, (*path, index), reading) for index, item in enumerate(node.items)]
        return {key: self.read(item, (*path, key), reading) for key, item in node.items.items()}


_TEXT = Text(figures=True)
_NAMED = MapOf(_TEXT, r"[\w.-]{1,64}", "a name", "letters, figures, _ . -")
_GIVEN = MapOf(_TEXT, r"[\w.-]{1,64}", "a name", "letters, figures, _ . -", nullable=True)
_SLOTS = MapOf(_TEXT, SLOT_NAME, "the name of a slot", SMALL_LETTERS, nullable=True)

EXPECT = Record(
    {
        "step": Key(Text(), "the step where the call waits"),
        "said": Key(ListOf(_TEXT, 1, 20, single=True), "parts of what is said, as a person reads it"),
        "slots": Key(_SLOTS, "slots and their values; null for an empty one"),
        "outcome": Key(Text(), "how the call ended, else how its last lookup or transfer did"),
        "language": Key(Text(LANGUAGE, "a two-letter code"), "the language spoken"),
        "disposition": Key(Word((*DISPOSITIONS, NOTHING)), "what the call has come to for the job behind it"),
        "again_at": Key(_TEXT, "when to ring again, ISO 8601 with its offset"),
        "suppress": Key(_TEXT, "why not to ring any more"),
    }
)
TURN = Record(
    {
        "say": Key(_TEXT, "what the caller says"),
        "confidence": Key(Number(0, 1, decimals=True), "how surely it is heard", default=TYPED_CONFIDENCE),
        "key": Key(Text("[0-9*#A-D]{1,64}", "keys", "0 to 9, * and #, in quotes", figures=True), "keys, then a pause"),
        "silence": Key(Flag(), "true: the caller says nothing"),
        "outcome": Key(Word(("connected", "busy", "no_answer", "failed")), "how a transfer ends"),
        "message": Key(Text(), "the name of the message that is recorded"),
        "expect": Key(EXPECT, "what must come of it"),
    }
)
_MATCH = Record(
    {
        "method": Key(Word(("GET", "POST", "PUT"))),
        "path": Key(_TEXT),
        "query": Key(_NAMED),
        "body": Key(_NAMED),
    }
)
BACKEND = Record(
    {
        "match": Key(_MATCH, "which requests; all when left out"),
        "status": Key(Number(100, 599), "the status it answers", default=200),
        "body": Key(_Json(), "the JSON it answers"),  # type: ignore[arg-type]
        "outcome": Key(Word(("timeout", "failed")), "instead of an answer"),
    }
)
_CALL = {
    "language": Key(Text(LANGUAGE, "a two-letter code"), "the language of the number that was rung"),
    "now": Key(_TEXT, "date and time with zone, like 2026-11-23T10:00+08:00"),
    "answered_by": Key(Word(("human", "machine", "screening", "caller")), "who answers a call of ours, or rings us"),
    "given": Key(_GIVEN, "what the order of a call of ours gives the plan"),
    "proof": Key(_GIVEN, "what the other side must prove to know"),
    "backends": Key(ListOf(BACKEND), "what back ends answer; the first that fits"),
}
_TURNS = ListOf(TURN, 1, 1_000)
SCENARIO = Record({"name": Key(Text(), required=True), **_CALL, "turns": Key(_TURNS, required=True)})
FILE = Record(
    {
        "plan": Key(Text(PLAN_NAME, "the name of a plan"), "the plan that is called", required=True),
        **_CALL,
        "turns": Key(_TURNS, "of the only scenario"),
        "scenarios": Key(ListOf(SCENARIO, 1), "several, each with a name"),
    },
    either=("turns", "scenarios"),
)


@dataclass(frozen=True)
class Backend:
    """One canned answer. `match` has `method`, `path`, `query` and `body`; empty ones fit everything."""

    match: Mapping[str, Any]
    answer: Fetched

    def fits(self, asked: Fetch) -> bool:
        wanted = self.match
        plain = all(not wanted.get(k) or wanted[k] == getattr(asked, k) for k in ("method", "path"))
        return plain and all(
            getattr(asked, part).get(k) == v for part in ("query", "body") for k, v in wanted.get(part, {}).items()
        )


@dataclass(frozen=True)
class Turn:
    """One thing the caller (or somebody else) does, and what must come of it; `line` of the file."""

    line: int
    given: Mapping[str, Any]
    expect: Mapping[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One call, begun by `started`. `language` is empty for the plan's first, `now` None for whenever it is walked."""

    file: str
    line: int
    name: str
    plan: str
    language: str
    now: datetime | None
    started: Started
    proof: Mapping[str, str]
    backends: tuple[Backend, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Walked:
    """A scenario that was walked, and the first thing that went otherwise, if any."""

    scenario: Scenario
    rehearsal: Rehearsal
    difference: Problem | None = None


def read(file: Path) -> tuple[Scenario, ...]:
    """The scenarios in `file`. Raises InvalidInput with everything that is wrong."""
    reading = Reading(plan_yaml.read(file))
    values = FILE.read(reading.file.root, (), reading) or {}
    found = _scenarios(values, reading)
    if reading.problems:
        raise InvalidInput(*reading.problems)
    return tuple(found)


def _scenarios(values: Mapping[str, Any], reading: Reading) -> list[Scenario]:
    several = [(("scenarios", index), each) for index, each in enumerate(values.get("scenarios", ()))]
    alone: list[tuple[Path_, Mapping[str, Any]]] = [((), {**values, "name": Path(reading.file.path).stem})]
    return [
        Scenario(
            reading.file.path,
            reading.file.place(path)[0],
            each["name"],
            values.get("plan", ""),
            each["language"] or values.get("language", ""),
            _moment(each["now"] or values.get("now", ""), (*path, "now"), reading),
            Started(each["answered_by"] or values.get("answered_by") or "human", _over(values["given"], each["given"])),
            _over(values["proof"], each["proof"]),
            tuple(_backend(b) for b in (*each["backends"], *(values["backends"] if path else ()))),
            _turns(each["turns"], (*path, "turns"), reading),
        )
        for path, each in several or alone
    ]


def _over(outer: Mapping[str, str | None], own: Mapping[str, str | None]) -> dict[str, str]:
    """What a scenario says over what stands above all of them; null takes it away."""
    return {name: value for name, value in {**outer, **own}.items() if value is not None}


def _moment(text: str, path: Path_, reading: Reading) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        reading.fault(path, "must be a date and time with its zone", "like 2026-11-23T10:00+08:00")
    return moment


def _backend(values: Mapping[str, Any]) -> Backend:
    if values["outcome"]:
        return Backend(values["match"], Fetched(values["outcome"]))
    outcome = "ok" if 200 <= values["status"] <= 299 else "status"
    return Backend(values["match"], Fetched(outcome, values["status"], values["body"]))


def _turns(values: tuple[Mapping[str, Any], ...], path: Path_, reading: Reading) -> tuple[Turn, ...]:
    turns = []
    for index, each in enumerate(values):
        place = (*path, index)
        given = {k: each[k] for k in ("say", "key", "silence", "outcome", "message") if each[k]}
        if len(given) > 1 or not (given or each["expect"]):
            reading.fault(place, "must be one thing that happens", "say, key, silence, outcome or message")
        turns.append(Turn(reading.file.place(place)[0], {**given, "confidence": each["confidence"]}, each["expect"]))
    return tuple(turns)


# Walking --------------------------------------------------------------------------------------------------------------


def walk(plan: Plan, scenario: Scenario, now: datetime, written: Callable[[str, str], str]) -> Walked:
    """Walk `scenario` until it ends or goes otherwise. `written(text, language)`: a prompt as a person reads it."""
    language, proofs = scenario.language or plan.languages[0], Proofs(scenario.proof)
    call = Rehearsal(plan, language, scenario.now or now, scenario.started, proofs)
    for index, turn in enumerate(scenario.turns):
        since = 0 if index == 0 else len(call.moments)
        wrong = _do(call, turn) or _look_up(call, scenario.backends) or _compare(call, turn, since, written)
        if wrong:
            return Walked(scenario, call, Problem(scenario.file, wrong, turn.line, field=scenario.name))
    return Walked(scenario, call)


def _do(call: Rehearsal, turn: Turn) -> str:
    """Do what the turn says; why that cannot be, else empty."""
    given = turn.given
    awaited = describe(call.last.awaited)
    if "key" in given:
        if not call.takes(state.Key(given["key"][0])):
            return f"no key can be pressed here; the call {awaited}"
        call.press(given["key"])
        return ""
    if not (one := _input(call, given)):
        return ""
    if not call.takes(one):
        return f"this cannot happen here; the call {awaited}"
    call.give(one)
    return ""


def _input(call: Rehearsal, given: Mapping[str, Any]) -> Input | None:
    if "say" in given:
        return call.hear(given["say"], given["confidence"])
    if "silence" in given:
        return Silence()
    if "outcome" in given:
        return Connected(given["outcome"])
    return Recorded(given["message"]) if "message" in given else None


def _look_up(call: Rehearsal, backends: tuple[Backend, ...]) -> str:
    """Answer the call's lookups; what no back end answers, else empty."""
    for _ in range(MAX_FETCHES):
        asked = call.last.awaited
        if not isinstance(asked, Fetch):
            return ""
        answer = next((b.answer for b in backends if b.fits(asked)), None)
        if answer is None:
            return f"no entry of `backends` answers; the call {describe(asked)}"
        call.give(answer)
    return f"more than {MAX_FETCHES} lookups in a row"


def _compare(call: Rehearsal, turn: Turn, since: int, written: Callable[[str, str], str]) -> str:
    """The first thing that is not as expected, else empty. `since`: the turn's first moment."""
    now, expect = call.last.state, turn.expect
    said = [
        written(action.text, action.language)
        for moment in call.moments[since:]
        for action in moment.actions
        if isinstance(action, Speak)
    ]
    if (wanted := expect.get("step")) and wanted != now.step:
        return f"expected step `{wanted}`, got `{now.step}` saying {_shown(said)}"
    for wanted in expect.get("said", ()):
        if wanted not in " ".join(said):
            return f"expected words `{wanted}`, got {_shown(said)}"
    for name, wanted in expect.get("slots", {}).items():
        value = now.slots[name].value if name in now.slots else None
        if value != wanted:
            return f"expected slot {name} `{wanted}`, got `{value}`"
    come_to = now.concluded
    results = {"outcome": outcome_of(call.last), "language": now.language,
               "disposition": come_to.disposition or NOTHING, "again_at": come_to.again_at,
               "suppress": come_to.suppress}  # fmt: skip
    for key, got in results.items():
        if (wanted := expect.get(key)) and wanted != got:
            return f"expected {key} `{wanted}`, got `{got}`"
    return ""


def _shown(said: list[str]) -> str:
    return f"`{' '.join(said)[:300]}`" if said else "nothing said"
