"""Every scenario of the shipped plans passes, and together they leave next to nothing of the plans out."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from ivr import rehearse
from ivr.dialog.coverage import percent
from ivr.dialog.plan import Call, Plan
from ivr.dialog.plan_file import load_all
from ivr.intents.shelf import shelf_of
from ivr.learning import taught

ROOT = Path(__file__).parents[2]
NOW = datetime.fromisoformat("2026-11-23T10:00+08:00")
SHELF = shelf_of(str(ROOT / "config.toml"))
PLANS = load_all(ROOT / "dialplans").by_name
CALLED = {step.entry.partition("/")[0] for plan in PLANS.values() for step in plan.steps.values() if type(step) is Call}
"""Plans that others call; their steps count with their callers'."""
FILES = sorted((ROOT / rehearse.FOLDER).glob("*.yaml"))


@pytest.fixture(scope="module", params=sorted(set(PLANS) - CALLED))
def report(request):
    """What came of all scenarios of one plan, understood by the models of its examples."""
    return rehearse.rehearse(learnt(request.param), rehearse.scenarios(FILES, request.param), NOW)


def learnt(name: str) -> Plan:
    return taught(PLANS[name], SHELF.of(PLANS[name].knowledge.examples))


def test_every_scenario_passes(report):
    """In both languages."""
    assert [str(one.difference) for one in report.walked if one.difference] == []
    assert {one.scenario.language for one in report.walked} >= set(report.plan.languages)


def test_the_scenarios_leave_nothing_out(report):
    """All steps, and at least 95 % of the ways out of them."""
    missed = [str(each) for each in report.coverage.missed()]
    assert percent(report.coverage.steps()) == 100, missed
    assert percent(report.coverage.ways()) >= 95, missed


def test_every_file_calls_a_shipped_plan():
    """A scenario that no plan walks tests nothing."""
    assert {one.plan for file in FILES for one in rehearse.read(file)} <= set(PLANS)


def test_the_example_of_the_manual_passes(tmp_path):
    """What readers copy works."""
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "rehearsing.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "example.yaml").write_text(example, "utf-8")
    several = rehearse.scenarios([tmp_path / "example.yaml"], "bank")
    assert [str(one.difference) for one in rehearse.rehearse(learnt("bank"), several, NOW).walked] == ["None"]
