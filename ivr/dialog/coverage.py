"""Which steps and ways of a plan calls have taken, and which none has. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ivr.dialog.plan import END, At, Branch, Plan, Set, Step, ways
from ivr.dialog.state import Passage


@dataclass(frozen=True)
class Missed:
    """A step that no call entered, or a `way` out of it to the step `to` that none took."""

    at: At
    step: str
    way: str = ""
    to: str = ""

    def __str__(self) -> str:
        way = f" {self.way} -> {self.to}" if self.way else ""
        return f"{self.at.file}:{self.at.line}: {self.step}{way}"


class Coverage:
    """Counts passages; the built-in `end` is no step of a plan's own, but the ways to it are its ways.

    The `on_error` of expressions that cannot fail is no way.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._steps = set(plan.steps) - {END}
        self._ways = {
            (name, *way)
            for name in self._steps
            for way in ways(plan.steps[name])
            if _possible(plan.steps[name], way[0])
        }
        self._entered: set[str] = set()
        self._taken: set[tuple[str, str, str]] = set()

    def add(self, path: Iterable[Passage]) -> None:
        """The passages of one input (`State.path`)."""
        for passage in path:
            self._entered.add(passage.to)
            self._taken.add((passage.step, passage.way, passage.to))

    def steps(self) -> tuple[int, int]:
        """Steps entered, and all."""
        return len(self._steps & self._entered), len(self._steps)

    def ways(self) -> tuple[int, int]:
        """Ways taken, and all."""
        return len(self._ways & self._taken), len(self._ways)

    def missed(self) -> list[Missed]:
        """Steps and ways that no call took, in the order of the files."""
        steps = [Missed(self._plan.steps[name].at, name) for name in self._steps - self._entered]
        left = [Missed(self._plan.steps[name].at, name, way, to) for name, way, to in self._ways - self._taken]
        return sorted(steps + left, key=lambda m: (m.at.file, m.at.line, m.step, m.way, m.to))


def _possible(step: Step, way: str) -> bool:
    match step:
        case Set(values=values) if way == "on_error":
            return any(expression is not None and expression.may_fail for expression in values.values())
        case Branch(cases=cases) if way == "on_error":
            return any(expression.may_fail for expression, _ in cases)
    return True


def percent(part: tuple[int, int]) -> float:
    """So many of so many, 0..100; a plan without any has all of them."""
    done, whole = part
    return 100.0 * done / whole if whole else 100.0
