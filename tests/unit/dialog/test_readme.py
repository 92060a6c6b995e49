"""The examples of README.md, Dialplans, put together, are one plan without a fault."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ivr.dialog import plan_file

ROOT = Path(__file__).parents[3]


def fragments() -> dict[str, str]:
    """Top-level key -> everything that the YAML blocks of the chapter say under it."""
    chapter = (ROOT / "README.md").read_text("utf-8").split("\n## Dialplans\n")[1].split("\n## ")[0]
    found: dict[str, str] = {}
    for block in re.findall(r"```yaml\n(.*?)```", chapter, re.DOTALL):
        for key, rest in re.findall(r"^(\w+):(.*?)(?=^\w|\Z)", block, re.DOTALL | re.MULTILINE):
            found[key] = found.get(key, "") + (rest if key not in found else rest.lstrip("\n"))
    return found


def test_the_examples_are_one_plan(tmp_path):
    parts = fragments()
    (tmp_path / "example.yaml").write_text(
        "".join(f"{k}:{v.rstrip()}\n" for k, v in parts.items() if k != "entries"), "utf-8"
    )
    shutil.copy(ROOT / "dialplans" / "bank.places.yaml", tmp_path)
    shutil.copy(ROOT / "dialplans" / "identity.yaml", tmp_path)
    intents = "".join(
        f"  - {{id: {i}, intent: {i}, en: {{questions: [{i}]}}, zh: {{questions: [{i}]}}}}\n"
        for i in ("complaint", "goodbye", "lost_card")
    )
    (tmp_path / "example.knowledge.yaml").write_text(f"entries:{parts['entries'].rstrip()}\n{intents}", "utf-8")
    plan = plan_file.load(tmp_path / "example.yaml")
    kinds = {type(step).__name__.lower() for step in plan.steps.values()}
    assert {"say", "ask", "menu", "form", "confirm", "lookup", "answer", "set", "branch", "hours", "transfer",
            "record", "call", "return", "goto", "notify", "settle", "prove", "hangup"} <= kinds  # fmt: skip
