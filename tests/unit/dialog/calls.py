"""Calls in words for tests of the dialog: short plans in YAML, what a caller does, what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from textwrap import dedent, indent

import pytest

from ivr.dialog import engine
from ivr.dialog.plan import Plan
from ivr.dialog.plan_file import load
from ivr.dialog.state import (
    Action,
    Fetched,
    Heard,
    Input,
    Key,
    KeysEnded,
    Silence,
    Speak,
    Started,
    State,
)
from ivr.errors import InvalidInput, Problem
from ivr.turn import Filled, Hypothesis, Understood

NOW = datetime.fromisoformat("2026-11-23T10:00+08:00")

KNOWLEDGE = """
entries:
  - {id: hours, en: {questions: [opening hours], answer: From nine to five.}}
  - {id: fees, en: {questions: [what does it cost], answer: It is free.}}
  - {id: lost, intent: lost, en: {questions: [my card is lost]}}
"""

SILENCE = Silence()
NOISE = Heard(Understood(Hypothesis("", rejected="none_of_these")))
OTHER_ONE = Heard(Understood(Hypothesis("the other one", 0.9), other=True))
PAUSE = KeysEnded()
OK, GONE, FAILED = Fetched("ok", 200, {}), Fetched("timeout"), Fetched("failed")


def hear(value: str = "", confidence: float = 0.9, **slots: str | Filled) -> Heard:
    """The caller said something that was understood as `value` and fills `slots`."""
    filled = {k: v if isinstance(v, Filled) else Filled(v, confidence, v) for k, v in slots.items()}
    text = value or " ".join(f.value for f in filled.values())
    value = value or next((f.value for f in filled.values()), "")
    return Heard(Understood(Hypothesis(text, confidence), value, confidence=confidence, slots=filled))


def instead(value: str = "", **slots: str) -> Heard:
    """The same, taking back what was said earlier."""
    said = hear(value, **slots).understood
    return Heard(Understood(said.hypothesis, said.value, confidence=0.9, slots=said.slots, corrects=True))


def command(name: str) -> Heard:
    """A universal command."""
    return Heard(Understood(Hypothesis(name, 0.9), command=name))


def question(intent: str = "", answer: str = "", text: str = "words", **slots: str) -> Heard:
    """A question, as an open step or as a digression."""
    filled = {k: Filled(v, 0.9, v) for k, v in slots.items()}
    return Heard(Understood(Hypothesis(text, 0.9), text, intent, answer, "entry", 0.9, slots=filled))


def keys(pressed: str) -> tuple[Key, ...]:
    """One key after the other."""
    return tuple(Key(key) for key in pressed)


def answered(status: int = 200, **data: object) -> Fetched:
    """A back end's answer."""
    return Fetched("ok" if 200 <= status < 300 else "status", status, data)


def plan_of(folder: Path, text: str, **called: str) -> Plan:
    """The plan that `text` is; `called` are the plans beside it."""
    for name, words in {**called, "plan": text}.items():
        (folder / f"{name}.yaml").write_text(whole(words), "utf-8")
    (folder / "plan.knowledge.yaml").write_text(KNOWLEDGE, "utf-8")
    return load(folder / "plan.yaml")


def problems_of(folder: Path, text: str) -> Sequence[Problem]:
    """What is wrong with the plan that `text` is."""
    with pytest.raises(InvalidInput) as caught:
        plan_of(folder, text)
    return caught.value.problems


def whole(text: str) -> str:
    """`text` as a file; steps only, when it does not say more."""
    text = dedent(text).strip("\n")
    return text + "\n" if "\nsteps:" in f"\n{text}" else f"steps:\n{indent(text, '  ')}\n"


def walk(plan: Plan, given: Iterable[Input | tuple[Input, ...]], language: str = "en",
         now: datetime = NOW) -> tuple[State, tuple[Action, ...]]:  # fmt: skip
    """The last state, and the actions of the last input; the call's beginning comes first."""
    state, actions = engine.step(plan, State(language), Started(), now)
    for one in flat(given):
        state, actions = engine.step(plan, state, one, now)
    return state, actions


def flat(given: Iterable[Input | tuple[Input, ...]]) -> list[Input]:
    """One input after the other; keys are groups of them."""
    return [one for group in given for one in (group if isinstance(group, tuple) else (group,))]


def spoken(actions: Iterable[Action]) -> list[str]:
    """What is said."""
    return [action.text for action in actions if isinstance(action, Speak)]
