"""How long a large dialplan takes to read and check, the engine to take a step of it, and a search among 10,000 places.

1,000 steps of every common kind, in two languages. Nothing is rung; the plan is written to a folder, read with
all its checks, as at the server's start, and then walked from its beginning to its end by keys.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ivr.bench import gazetteer
from ivr.bench.report import Report, percentile, run, spread
from ivr.dialog import engine
from ivr.dialog.plan import Plan
from ivr.dialog.plan_file import load
from ivr.dialog.state import Fetched, Key, Started, State

STEPS = 1_000
LIMIT_S = 1.0
STEP_LIMIT_S = 0.002
TIMES = 10
_KEYS = ("1", "8620", "10#", "20261123", "1")
_NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)

_HEAD = """plan: large
languages: [en, zh]
zone: Asia/Shanghai
slots:
  card: {kind: digits, min: 4, max: 4, sensitive: true}
  sum: {kind: money}
  day: {kind: date}
  note: {kind: text}
steps:
"""
_ROUND = """  say{a}: {{kind: say, prompt: {{en: "This is part {a}.", zh: "这是第{a}部分。"}}, next: ask{a}}}
  ask{a}:
    kind: ask
    expect: yes_no
    prompt: {{en: "Shall we go on?", zh: "要继续吗？"}}
    no_input:
      - {{en: "I did not hear anything.", zh: "我没有听到。"}}
      - {{en: "Please say yes or no.", zh: "请说是或者不是。"}}
    no_match: {{en: "Yes or no?", zh: "是还是不是？"}}
    on: {{yes: form{a}, no: branch{a}}}
  form{a}:
    kind: form
    fields:
      - {{slot: card, prompt: {{en: "The last four digits?", zh: "后四位数字？"}}}}
      - slot: sum
        prompt: {{en: "How much?", zh: "多少钱？"}}
        check: number(sum) > 0
        invalid: {{en: "More than nothing, please.", zh: "请说大于零的金额。"}}
      - {{slot: day, prompt: {{en: "On which day?", zh: "哪一天？"}}}}
    next: sure{a}
  sure{a}:
    kind: confirm
    slots: [sum, day]
    prompt: {{en: "{{sum}} on {{day}}, is that right?", zh: "{{day}}，{{sum}}，对吗？"}}
    yes: look{a}
    no: form{a}
  look{a}:
    kind: lookup
    backend: bank
    path: /cards/{{card}}
    save: {{note: note}}
    filler: {{en: "One moment.", zh: "请稍等。"}}
    next: branch{a}
  branch{a}:
    kind: branch
    when: [{{if: 'note == "done" and language in ("en", "zh")', next: forget{a}}}]
    else: menu{a}
  menu{a}:
    kind: menu
    prompt: {{en: "On, or back to the beginning?", zh: "继续还是从头开始？"}}
    choices:
      on: {{key: 1, en: [on, go on], zh: [继续], next: forget{a}}}
      again: {{key: 2, en: [beginning], zh: [从头开始], next: say0}}
  forget{a}: {{kind: goto, forget: [card, sum, day], next: {next}}}
"""
_A_ROUND = 8


def plan_of(steps: int) -> str:
    """The text of a plan with so many steps, a multiple of eight."""
    rounds = steps // _A_ROUND
    return _HEAD + "".join(_ROUND.format(a=a, next=f"say{a + 1}" if a + 1 < rounds else "end") for a in range(rounds))


async def measure(report: Report, _options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="ivr-bench-") as folder:
        file = Path(folder) / "large.yaml"
        file.write_text(plan_of(STEPS), "utf-8")
        took = []
        for _ in range(3 if report.quick else TIMES):
            begun = time.perf_counter()
            plan = load(file)
            took.append(time.perf_counter() - begun)
        report.details["seconds"] = took
        what = f"a plan of {len(plan.steps) - 1:,} steps in {len(plan.languages)} languages, read and checked"
        report.row(what, f"<= {LIMIT_S:g} s", spread(took), max(took) <= LIMIT_S)
    for language in plan.languages:
        took = walk(plan, language)
        what = f"one of {len(took):,} inputs to the engine, {language}"
        report.row(what, f"p95 <= {STEP_LIMIT_S:g} s", f"p95 {1e3 * percentile(took, 95):.2f} ms",
                   percentile(took, 95) <= STEP_LIMIT_S)  # fmt: skip
    gazetteer.measure(report)


def walk(plan: Plan, language: str) -> list[float]:
    """Seconds of every step of the engine on the way through the plan."""
    inputs = [Started()]
    for _ in range(STEPS // _A_ROUND):
        inputs += [*(Key(key) for keys in _KEYS for key in keys), Fetched("ok", 200, {"note": "done"})]
    state, took = State(language), []
    for given in inputs:
        begun = time.perf_counter()
        state, _ = engine.step(plan, state, given, _NOW)
        took.append(time.perf_counter() - begun)
    assert state.ended, f"the walk stands at {state.step}"
    return took


def main(argv: list[str]) -> int:
    return run("loading", __doc__, measure, argv)
