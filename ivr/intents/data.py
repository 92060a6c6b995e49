"""Labelled questions from files: a CSV, a JSON in CLINC form, a folder of WAVs with a manifest.

Reads and checks, nothing more: every fault comes with its row, the first MAX_FAULTS of them at once. Knows nothing of
models. Runs in the foreground of a command.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ivr.errors import InvalidInput, Problem
from ivr.understanding.intents import OUT_OF_SCOPE, Example

MAX_BYTES = 64 * 2**20
MAX_EXAMPLES = 100_000
MAX_TEXT = 2_000
MAX_FAULTS = 20
OUT_OF_SCOPE_LABELS = frozenset({"oos", "ood", "out_of_scope", "none", OUT_OF_SCOPE})
_HEADINGS = frozenset({"category", "class", "intent", "label", "target"})


@dataclass(frozen=True)
class Labelled:
    """Questions with their intents.

    Attributes:
        train: what a model may be trained on.
        validation: given by the file to choose thresholds on; empty when it gives none.
        test: given by the file to report figures on; empty when it gives none.
        sounds: path of the WAV of each test question, where they were spoken; their texts are what was said, if known.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...] = ()
    test: tuple[Example, ...] = ()
    sounds: tuple[Path, ...] = field(default=())


def read(path: Path, language: str) -> Labelled:
    """The questions of a file or folder. Raises InvalidInput that names every faulty row."""
    if path.is_dir():
        return _folder(path, language)
    text = _text(path)
    if path.suffix.lower() == ".json":
        return _clinc(path, text, language)
    return Labelled(tuple(_csv(path, text, language)))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidInput(Problem(str(path), f"more than {MAX_BYTES >> 20} MB", mend="split it"))
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InvalidInput(Problem(str(path), "not UTF-8", line, mend="save it as UTF-8")) from None
    except OSError as error:
        raise InvalidInput(
            Problem(str(path), error.strerror or "cannot be read", mend="give a file or a folder")
        ) from None


class _Faults:
    """Collects the faults of one file, and raises them together."""

    def __init__(self, path: Path) -> None:
        self._path, self._found = path, list[Problem]()

    def add(self, message: str, line: int = 0, field_: str = "", mend: str = "") -> None:
        self._found.append(Problem(str(self._path), message, line, field=field_, mend=mend))
        if len(self._found) >= MAX_FAULTS:
            self.check()

    def check(self) -> None:
        if self._found:
            raise InvalidInput(*self._found)


def _example(faults: _Faults, text: object, label: object, language: str, line: int, place: str) -> Example | None:
    if not isinstance(text, str) or not text.strip():
        faults.add("no text", line, place, "write what a caller says")
        return None
    if len(text) > MAX_TEXT:
        faults.add(f"a text of {len(text)} characters", line, place, f"at most {MAX_TEXT}")
        return None
    if not isinstance(label, str) or not label.strip():
        faults.add("no intent", line, place, "the last column is the intent")
        return None
    label = label.strip()
    return Example(text.strip(), OUT_OF_SCOPE if label.lower() in OUT_OF_SCOPE_LABELS else label, language)


def _rows(path: Path, text: str, faults: _Faults) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line that each ends on; at least two columns in each."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns = 0
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            columns = columns or len(row)
            if len(row) != columns or columns < 2:
                mend = "a text that holds the separator goes into quotes" if columns > 1 else "text, then intent"
                faults.add(f"{len(row)} columns, not {max(columns, 2)}", reader.line_num, mend=mend)
                continue
            yield reader.line_num, row
    except csv.Error as error:
        faults.add(str(error), reader.line_num, mend="quotes inside a quoted text are doubled")


def _csv(path: Path, text: str, language: str) -> list[Example]:
    faults, examples = _Faults(path), []
    for number, (line, row) in enumerate(_rows(path, text, faults)):
        if number == 0 and row[-1].strip().lower() in _HEADINGS:
            continue
        example = _example(faults, row[0], row[-1], language, line, f"row {number + 1}")
        if example is not None:
            examples.append(example)
        if len(examples) > MAX_EXAMPLES:
            faults.add(f"more than {MAX_EXAMPLES} rows", line, mend="give fewer")
            break
    faults.check()
    if not examples:
        raise InvalidInput(Problem(str(path), "no rows", mend="text, then intent in the last column"))
    return examples


def _clinc(path: Path, text: str, language: str) -> Labelled:
    """`{"train": [[text, intent], ...], "val": ..., "test": ...}`, and `oos_train`, `oos_val`, `oos_test` the same."""
    try:
        tree = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        raise InvalidInput(Problem(str(path), f"no JSON: {getattr(error, 'msg', 'nested too deep')}", line)) from None
    faults = _Faults(path)
    if not isinstance(tree, dict) or not {"train", "val", "test"} & set(tree):
        faults.add("no lists of questions", mend='{"train": [["text", "intent"], ...], "val": [...], "test": [...]}')
        faults.check()
    found: dict[str, list[Example]] = {"train": [], "val": [], "test": []}
    for name, part in tree.items():
        split = name.removeprefix("oos_")
        if split not in found:
            faults.add("not a list of questions that is known", field_=name, mend="train, val, test, oos_train, ...")
            continue
        if not isinstance(part, list) or len(part) > MAX_EXAMPLES:
            faults.add(f"not a list of at most {MAX_EXAMPLES} questions", field_=name)
            continue
        for number, row in enumerate(part):
            place = f"{name}[{number}]"
            if not isinstance(row, list) or len(row) != 2:
                faults.add('not ["text", "intent"]', field_=place)
            elif example := _example(faults, row[0], row[1], language, 0, place):
                found[split].append(example)
    faults.check()
    return Labelled(*(tuple(found[split]) for split in ("train", "val", "test")))


def _folder(path: Path, language: str) -> Labelled:
    """A manifest `manifest.tsv` or `.csv` with headings: `file`, `intent` (or `label`), and `text` if it is known."""
    manifest = next((f for name in ("manifest.tsv", "manifest.csv") if (f := path / name).is_file()), None)
    if manifest is None:
        raise InvalidInput(Problem(str(path), "no manifest.tsv", mend="columns file, text, intent, with headings"))
    faults, examples, sounds = _Faults(manifest), [], []
    names: dict[str, int] = {}
    for line, row in _rows(manifest, _text(manifest), faults):
        if not names:
            names = {name.strip().lower(): number for number, name in enumerate(row)}
            label = names.get("intent", names.get("label", len(row) - 1))
            if "file" not in names:
                faults.add("no column `file`", line, mend="name it in the first row")
                break
            continue
        sound = path / row[names["file"]]
        if sound.resolve().parent != path.resolve() or not sound.is_file():
            faults.add(f"no file {row[names['file']]} in the folder", line, "file")
            continue
        said = row[names["text"]] if "text" in names else row[names["file"]]
        if example := _example(faults, said, row[label], language, line, "text"):
            examples.append(example)
            sounds.append(sound)
    faults.check()
    if not examples:
        raise InvalidInput(Problem(str(manifest), "no rows", mend="columns file, text, intent, with headings"))
    return Labelled((), test=tuple(examples), sounds=tuple(sounds))
