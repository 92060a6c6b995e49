"""What a person can write or call is named in README.md or docs/: keys, step kinds, routes, commands, benches."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ivr import bench, cli, config_doc
from ivr.dialog import plan_format
from ivr.web import openapi

ROOT = Path(__file__).parents[1]
DOCUMENTS = {path: path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
TEXT = "\n".join(DOCUMENTS.values())


def code_words() -> set[str]:
    """Everything written as code: between backticks, or in a fenced block."""
    spans = re.findall(r"```.*?```|`[^`\n]+`", TEXT, re.DOTALL)
    return {word for span in spans for word in re.findall(r"[\w/{}.-]+", span)}


WORDS = code_words()


@pytest.mark.parametrize("key", config_doc.every_key())
def test_a_configuration_key_is_explained(key):
    assert key.rpartition(".")[2] in WORDS


@pytest.mark.parametrize("kind", plan_format.STEP_KINDS)
def test_a_step_kind_is_explained(kind):
    assert kind in WORDS


@pytest.mark.parametrize("route", openapi.document()["paths"])
def test_a_route_is_explained(route):
    assert route in WORDS


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_command_is_explained(command):
    assert re.search(rf"\bivr {command}\b", TEXT)


def test_the_table_of_benches_is_the_list_of_benches():
    table = DOCUMENTS[ROOT / "README.md"].split("| bench | what it measures |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(bench.BENCHES)


def test_links_between_the_documents_lead_somewhere():
    broken = [
        f"{path.name}: {target}"
        for path, text in DOCUMENTS.items()
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_files_named_in_the_documents_exist():
    missing = [
        f"{path.name}: {name}"
        for path, text in DOCUMENTS.items()
        for name in re.findall(r"`((?:scripts|docs|dialplans|ivr|models|tests)/[\w./-]+\.(?:py|md|yaml|toml))`", text)
        if "NAME" not in name and not (ROOT / name).exists()
    ]
    assert missing == []
