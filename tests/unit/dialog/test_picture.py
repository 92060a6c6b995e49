"""Pictures of plans: every step and way is in them, and no name breaks them."""

import re
from pathlib import Path

import pytest
from calls import plan_of

from ivr.dialog.picture import dot, mermaid
from ivr.dialog.plan import END, ways
from ivr.dialog.plan_file import load_all

SHIPPED = load_all(Path(__file__).parents[3] / "dialplans").by_name


@pytest.mark.parametrize("draw", [mermaid, dot])
@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_step_and_way_is_drawn(draw, name):
    """Each step once; one arrow between two steps, with all its labels."""
    plan, text = SHIPPED[name], draw(SHIPPED[name])
    arrows = set(re.findall(r"^  (s\d+) -+>[^s]*.*?(s\d+)", text, re.MULTILINE))
    pairs = {(name, to) for name, step in plan.steps.items() for _, to in ways(step)}
    assert len(arrows) == len(pairs)
    for step in plan.steps:
        if step != END:
            assert len(re.findall(rf"\"{re.escape(step.rpartition('/')[2])}(?:<br/>|\\n)", text)) >= 1, step


def test_called_plans_are_boxes():
    """Identity inside the bank."""
    assert "subgraph gs" in mermaid(SHIPPED["bank"])
    assert '["identity"]' in mermaid(SHIPPED["bank"])
    assert re.search(r'subgraph cluster_s\d+ \{ label="identity";', dot(SHIPPED["bank"]))


def test_links_are_dashed():
    """The operator, "never mind" and intents, from every question."""
    assert re.search(r'any -\.->\|"operator, agent, complaint"\| s\d+', mermaid(SHIPPED["main"]))
    assert re.search(r'any -> s\d+ \[label="operator, agent, complaint", style=dashed\]', dot(SHIPPED["main"]))


def test_names_and_labels_are_escaped(tmp_path):
    """`end` is a word of both languages' grammars, and answers may hold anything but braces."""
    plan = plan_of(tmp_path, """
slots: {code: {kind: code}}
steps:
  end_: {kind: ask, slot: code, prompt: Code?, on: {'a"b\\|<x>;#': graph}, next: subgraph}
  graph: {kind: hangup}
  subgraph: {kind: goto, next: end}
""")  # fmt: skip
    assert '|"on.a#34;b#92;#124;#60;x#62;#59;#35;"|' in mermaid(plan)
    assert '[label="on.a\\"b\\\\|<x>;#"]' in dot(plan)
    assert dot(plan).count("{") == dot(plan).count("}")
