"""Models in a folder: found by what they are made from, learnt when they are not there, and only so many are kept."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ivr.dialog.plan_file import load_all
from ivr.intents import shelf as shelves
from ivr.intents.shelf import Shelf, learnt, shelf_of
from ivr.understanding import outside
from ivr.understanding.intents import Example, Model
from ivr.understanding.training import version_of

SAID = {
    "en": {"card": ["block my card", "my card is lost"], "money": ["my balance", "money left"]},
    "zh": {"card": ["我的卡丢了", "挂失"], "money": ["查余额", "还有多少钱"]},
}
EXAMPLES = [Example(t, i, lang) for lang, said in SAID.items() for i, each in said.items() for t in each]


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch):
    monkeypatch.setattr(outside, "LEAST", 4)


@pytest.fixture(scope="module")
def english() -> Model:
    return learnt(EXAMPLES, "en", lambda _done, _all: None)


def test_what_was_learnt_once_is_found_by_everybody(tmp_path, capsys, monkeypatch):
    """What takes long is told, at a terminal."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    first = Shelf(tmp_path / "intents").of(EXAMPLES)
    assert sorted(first) == ["en", "zh"]
    assert capsys.readouterr().err.count("learning 34 examples") == 2
    again = Shelf(tmp_path / "intents").of(EXAMPLES[::-1])
    assert {lang: m.version for lang, m in again.items()} == {
        lang: version_of(e, lang) for lang, e in outside.to_learn(EXAMPLES).items()
    }
    assert capsys.readouterr().err == ""


def test_other_examples_are_another_model(tmp_path, english):
    shelf = Shelf(tmp_path)
    shelf.put(english)
    assert shelf.get(english.version) is shelf.get(english.version)
    assert shelf.has(version_of(EXAMPLES, "en"))
    assert shelf.get(version_of([*EXAMPLES, Example("stop it", "card", "en")], "en")) is None


def test_a_damaged_file_is_removed_and_told(tmp_path, english):
    Shelf(tmp_path).put(english)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with capture_logs() as lines:
        assert Shelf(tmp_path).get(english.version) is None
    assert [line["log_level"] for line in lines] == ["warning"]
    assert list(tmp_path.iterdir()) == []


def test_those_that_nobody_asks_for_are_removed(tmp_path, english, monkeypatch):
    monkeypatch.setattr(shelves, "KEPT", 2)
    for age, version in enumerate(("old", "older", "oldest"), 1):
        file = tmp_path / f"{version}.npz"
        file.write_bytes(b"")
        os.utime(file, (1e9 - age, 1e9 - age))
    Shelf(tmp_path).put(replace(english, version="new"))
    assert sorted(file.stem for file in tmp_path.iterdir()) == ["new", "old"]


def test_a_folder_that_cannot_be_written_keeps_nobody_from_learning(tmp_path, capsys):
    (tmp_path / "intents").write_text("a file", "utf-8")
    english_only = [e for e in EXAMPLES if e.language == "en"]
    learnt_all = version_of(outside.to_learn(EXAMPLES)["en"], "en")
    assert Shelf(tmp_path / "intents").of(english_only)["en"].version == learnt_all
    assert "the model is not kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    "examples",
    [
        [Example(text, "greeting", "en") for text in ("hello", "hi", "good day", "hey")],
        [Example("hello", "greeting", "en"), Example("bye", "goodbye", "en")],
        [Example(text, intent, "ko") for intent in "ab" for text in ("하나", "둘", "셋")],
    ],
    ids=["one intent", "too few", "a language without sentences that are outside"],
)
def test_where_words_are_enough_nothing_is_learnt(tmp_path, examples):
    assert Shelf(tmp_path).of(examples) == {}


@pytest.mark.parametrize("language", outside.SAID)
def test_what_is_outside_of_every_plan_is_said_once_and_is_no_example_of_ours(language):
    said = outside.SAID[language]
    assert len(set(said)) == len(said) == 30
    plans = load_all(Path(__file__).parents[3] / "dialplans").by_name.values()
    assert not {e.text for plan in plans for e in plan.knowledge.examples} & set(said)


def test_the_folder_stands_in_the_configuration(tmp_path):
    number = '[[number]]\npattern = "400"\nplan = "main"\n'
    (tmp_path / "config.toml").write_text(f'{number}[store]\nintents = "learnt"\n', "utf-8")
    assert shelf_of(str(tmp_path / "config.toml")).folder == tmp_path / "learnt"
    assert shelf_of(str(tmp_path / "other.toml")).folder == tmp_path / "var" / "intents"
    (tmp_path / "config.toml").write_text("[store]\nintent = 1\n", "utf-8")
    assert shelf_of(str(tmp_path / "config.toml")).folder == tmp_path / "var" / "intents"
