"""The file of a plan's decisions, NAME.reviewed.yaml beside NAME.yaml: a knowledge file that a program writes.

Each decision is an entry of its own, whose id takes it back. What was dismissed stands beside the entries and means
nothing to calls. Written whole or not at all. Knows nothing of plans; who writes checks the plan with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ivr.errors import InvalidInput, Problem

HEAD = "# What trainers decided. Written by `ivr intents review`; `ivr intents review --undo ID` takes one back.\n"
MAX_SENTENCES = 200
"""Of one decision: the most typical of a group."""


class Decisions:
    """The decisions in a file that may not be there yet. Raises InvalidInput when it is none of ours."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            tree = yaml.safe_load(file.read_text("utf-8")) if file.exists() else {}
            self._entries = [dict(entry) for entry in tree.get("entries", ())]
            self._dismissed = [dict(entry) for entry in tree.get("dismissed", ())]
            self._ids = [str(entry["id"]) for entry in (*self._entries, *self._dismissed)]
        except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError, KeyError, AttributeError) as error:
            says = f"not as it was written: {str(error).splitlines()[0]}"
            raise InvalidInput(Problem(str(file), says, mend="mend it as a knowledge file, or remove it")) from None

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all decisions, oldest first."""
        return tuple(sorted(self._ids, key=lambda name: (len(name), name)))

    def sentences(self, language: str) -> Iterator[str]:
        """Everything of a language that was decided on."""
        for entry in (*self._entries, *self._dismissed):
            yield from entry.get(language, {}).get("questions", ())

    def add(self, language: str, sentences: Sequence[str], intent: str, answers: Mapping[str, str]) -> str:
        """Examples of an intent, or with `answers` by language of an entry that answers; the id of the decision."""
        name = self._fresh()
        part: dict[str, Any] = {"questions": list(sentences[:MAX_SENTENCES])}
        if answers.get(language):
            part["answer"] = answers[language]
        self._entries.append({"id": name, **({"intent": intent} if intent else {}), language: part})
        return name

    def dismiss(self, language: str, sentences: Sequence[str]) -> str:
        """They belong to nothing; the id of the decision."""
        name = self._fresh()
        self._dismissed.append({"id": name, language: {"questions": list(sentences[:MAX_SENTENCES])}})
        return name

    def undo(self, name: str) -> bool:
        """Take a decision out; whether there was one."""
        before = len(self._entries) + len(self._dismissed)
        self._entries = [e for e in self._entries if e["id"] != name]
        self._dismissed = [e for e in self._dismissed if e["id"] != name]
        return len(self._entries) + len(self._dismissed) < before

    def write(self) -> None:
        """Put the file in place; nothing is left of one without decisions. Raises OSError."""
        tree = {"entries": self._entries} | ({"dismissed": self._dismissed} if self._dismissed else {})
        if not self._entries and not self._dismissed:
            self._file.unlink(missing_ok=True)
            return
        fresh = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            text = yaml.safe_dump(tree, allow_unicode=True, sort_keys=False, width=118)
            fresh.write_text(HEAD + text, "utf-8")
            fresh.replace(self._file)
        finally:
            fresh.unlink(missing_ok=True)

    def _fresh(self) -> str:
        numbers = [int(n) for name in self._ids if (n := name.removeprefix("review-")).isdigit()]
        name = f"review-{max(numbers, default=0) + 1}"
        self._ids.append(name)
        return name
