"""The published JSON Schema: the file is what the function makes, and it refuses what the loader refuses."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from ivr.dialog import plan_schema, plan_yaml
from ivr.dialog.plan_file import load
from ivr.errors import InvalidInput

ROOT = Path(__file__).parents[3]
DIALPLANS = ROOT / "dialplans"
VALIDATOR = jsonschema.Draft7Validator(plan_schema.schema())
PLANS = sorted(f for f in DIALPLANS.glob("*.yaml") if f.name.count(".") == 1)
# Blocks that begin with a space are pieces of a step, for `scripts/trial`.
README = re.findall(r"```yaml\n(?! )(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)

GOOD = """languages: [en]
slots: {card: {kind: digits, min: 4, max: 4}}
calendars: {office: {hours: {mon: "09:00-17:00"}}}
steps:
  ask: {kind: ask, prompt: Well?, next: menu}
  menu: {kind: menu, prompt: Well?, choices: {on: {key: 1, en: on, next: form}}}
  form: {kind: form, fields: [{slot: card, prompt: Card?}], next: look}
  look: {kind: lookup, backend: bank, path: /x, next: hours}
  hours: {kind: hours, calendar: office, open: person, closed: end}
  person: {kind: transfer, prompt: x, target: y, busy: end, no_answer: end, failed: end}
"""


def plain(node):
    """The tree as an editor's YAML library reads it."""
    if isinstance(node, plan_yaml.MapNode):
        return {key: plain(value) for key, value in node.items.items()}
    return [plain(item) for item in node.items] if isinstance(node, plan_yaml.ListNode) else node.value


def faults(file):
    return [error.message for error in VALIDATOR.iter_errors(plain(plan_yaml.read(file).root))]


def test_the_file_is_what_the_function_makes():
    assert (DIALPLANS / plan_schema.FILE_NAME).read_text("utf-8") == plan_schema.text()


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(json.loads(plan_schema.text()))


@pytest.mark.parametrize("file", PLANS, ids=lambda file: file.stem)
def test_every_shipped_plan_fits_and_names_it(file):
    assert faults(file) == []
    assert file.read_text("utf-8").startswith(f"# yaml-language-server: $schema={plan_schema.FILE_NAME}\n")


def test_the_examples_in_the_readme_together_fit(tmp_path):
    whole = {}
    for index, text in enumerate(README):
        file = tmp_path / f"{index}.yaml"
        file.write_text(text, "utf-8")
        for key, value in plain(plan_yaml.read(file).root).items():
            whole[key] = {**whole.get(key, {}), **value} if isinstance(value, dict) else value
    whole.pop("entries")
    assert [error.message for error in VALIDATOR.iter_errors(whole)] == []


def test_the_good_one_fits(tmp_path):
    (tmp_path / "plan.yaml").write_text(GOOD, "utf-8")
    load(tmp_path / "plan.yaml")
    assert faults(tmp_path / "plan.yaml") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("languages: [en]", "languages: en"),
        ("languages: [en]", "languages: [english]"),
        ("languages: [en]", "languages: []"),
        ("languages: [en]", "languges: [en]"),
        ("languages: [en]", "languages: [en]\nstart: 3"),
        ("languages: [en]", "languages: [en]\ngoodbye:"),
        ("languages: [en]", "languages: [en]\nevents: {tries: many}"),
        ("languages: [en]", "languages: [en]\nevents: {commands: [sing]}"),
        ("languages: [en]", "languages: [en]\nzone: Far away"),
        ("kind: digits", "kind: digit"),
        ("kind: digits", "kind: date"),
        ("min: 4", "min: 400"),
        ("card: {", "Card: {"),
        ("hours: {mon", "hours: {monday"),
        ('"09:00-17:00"', "nine to five"),
        ("kind: ask", "kind: asks"),
        ("kind: ask, ", ""),
        ("prompt: Well?, next: menu", "next: menu"),
        ("prompt: Well?, next: menu", "prompt: Well?, next: menu, digits: {min: 4}"),
        ("prompt: Well?, next: menu", "prompt: Well?, next: menu, expect: digits"),
        ("prompt: Well?, next: menu", "prompt: Well?, next: menu, tries: 0"),
        ("prompt: Well?, next: menu", "prompt: Well?, next: menu, tries: 2.5"),
        ("prompt: Well?, next: menu", "prompt: 5, next: menu"),
        ("prompt: Well?, next: menu", "prompt: {english: x}, next: menu"),
        ("prompt: Well?, next: menu", "prompt: {}, next: menu"),
        ("prompt: Well?, next: menu", "prompt: [], next: menu"),
        ("prompt: Well?, next: menu", "prompt: x, next: [menu]"),
        ("prompt: Well?, next: menu", "prompt: x, next: menu, barge_in: maybe"),
        ("prompt: Well?, next: menu", "prompt: x, next: menu, digress: yes"),
        ("prompt: Well?, next: menu", "prompt: x, next: menu, fills: card"),
        ("key: 1", "key: 10"),
        ("key: 1", "key: A"),
        ("{on: {key: 1, en: on, next: form}}", "{}"),
        ("en: on, next: form", "en: on"),
        ("en: on, next: form", "en: [], next: form"),
        ("fields: [{slot: card, prompt: Card?}]", "fields: []"),
        ("fields: [{slot: card, prompt: Card?}]", "fields: [{prompt: Card?}]"),
        ("fields: [{slot: card, prompt: Card?}]", "fields: [{slot: card, prompt: Card?, check: card}]"),
        ("path: /x", "path: x"),
        ("path: /x", "path: /x, retries: 9"),
        ("path: /x", "path: /x, on: {40: end}"),
        ("path: /x", "path: /x, save: {card: a b}"),
        ("path: /x", "path: /x, method: FETCH"),
        ("target: y", "target: y, targets: [z]"),
        ("target: y, ", ""),
        ("target: y", "targets: []"),
        ("target: y", "target: y, mode: push"),
        ("closed: end", "closde: end"),
        ("steps:", "step:"),
    ],
)
def test_what_the_loader_refuses_for_its_shape_the_schema_refuses(tmp_path, old, new):
    assert GOOD.count(old) >= 1
    file = tmp_path / "plan.yaml"
    file.write_text(GOOD.replace(old, new, 1), "utf-8")
    with pytest.raises(InvalidInput):
        load(file)
    assert faults(file)
