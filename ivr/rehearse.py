"""Walks scenario files through a plan: what passed, what went otherwise and where, which steps and ways none took.

Knows nothing of terminals' keys; `ivr.simulate` is its door.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from ivr.dialog.coverage import Coverage, percent
from ivr.dialog.plan import Plan
from ivr.dialog.scenario import Scenario, Walked, read, walk
from ivr.errors import InvalidInput, Problem
from ivr.speech import spoken

FOLDER = Path("tests/scenarios")
"""Where `--all` looks."""


@dataclass(frozen=True)
class Report:
    """What came of the scenarios of one plan."""

    plan: Plan
    walked: tuple[Walked, ...]
    coverage: Coverage

    def enough(self, least_steps: float, least_ways: float) -> bool:
        """Whether every scenario passed and so many steps and ways were taken, in percent."""
        passed = all(each.difference is None for each in self.walked)
        covered = percent(self.coverage.steps()) >= least_steps and percent(self.coverage.ways()) >= least_ways
        return passed and covered


def scenarios(files: list[Path], plan: str) -> tuple[Scenario, ...]:
    """Those in `files` that call `plan`. Raises InvalidInput with everything wrong in any of them."""
    problems: list[Problem] = []
    found: list[Scenario] = []
    for file in files:
        try:
            found += read(file)
        except InvalidInput as invalid:
            problems += invalid.problems
    if problems:
        raise InvalidInput(*problems)
    return tuple(each for each in found if each.plan == plan)


def rehearse(plan: Plan, several: tuple[Scenario, ...], now: datetime) -> Report:
    """Walk each of `several`; `now` is for those that name no moment."""
    coverage, walked = Coverage(plan), []
    for each in several:
        if each.language and each.language not in plan.languages:
            known = ", ".join(plan.languages)
            raise InvalidInput(
                Problem(each.file, f"the plan does not speak `{each.language}`", each.line, mend=f"it speaks {known}")
            )
        one = walk(plan, each, now, spoken.written)
        walked.append(one)
        for moment in one.rehearsal.moments:
            coverage.add(moment.state.path)
    return Report(plan, tuple(walked), coverage)


def tell(report: Report, out: TextIO) -> None:
    """The report for people."""
    for one in report.walked:
        print(f"{'ok    ' if one.difference is None else 'FAILED'} {one.scenario.name}", file=out)
        if one.difference is not None:
            print(f"       {one.difference}", file=out)
    for what, part in (("steps", report.coverage.steps()), ("ways", report.coverage.ways())):
        print(f"{what:<6} {part[0]} of {part[1]}, {percent(part):.1f} %", file=out)
    for missed in report.coverage.missed():
        print(f"       not taken: {missed}", file=out)


def as_json(report: Report) -> str:
    """The report for machines."""
    steps, ways = report.coverage.steps(), report.coverage.ways()
    made: dict[str, Any] = {
        "plan": report.plan.name,
        "version": report.plan.version,
        "scenarios": [
            {
                "name": one.scenario.name,
                "file": one.scenario.file,
                "line": one.difference.line if one.difference else one.scenario.line,
                "passed": one.difference is None,
                "difference": one.difference.message if one.difference else None,
            }
            for one in report.walked
        ],
        "steps": {"taken": steps[0], "all": steps[1], "percent": round(percent(steps), 1)},
        "ways": {"taken": ways[0], "all": ways[1], "percent": round(percent(ways), 1)},
        "missed": [
            {"file": m.at.file, "line": m.at.line, "step": m.step, "way": m.way or None, "to": m.to or None}
            for m in report.coverage.missed()
        ],
    }
    return json.dumps(made, ensure_ascii=False, indent=2)
