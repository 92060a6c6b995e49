"""Entries in files: CSV, JSON, Markdown and XLSX, read and written so that what goes out comes back in as it was.

A row that cannot be read does not stop the others: it becomes a `Problem` with its line (CSV, Markdown), its place in
the list (JSON) or its row (XLSX). Knows nothing of the database; blocks on the disk.
"""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from ivr.errors import InvalidInput, Problem
from ivr.kb.entry import AUDIENCES, KbEntry, faults, tidy

COLUMNS = (
    "id", "language", "questions", "answer", "long_answer", "tags", "valid_from", "valid_until", "audience", "source",
)  # fmt: skip
FILE_BYTES = 256 * 1024 * 1024
_NEEDED = ("language", "questions", "answer")
_CELL_CHARS = 32_767
"""What a spreadsheet holds in one cell."""

Row = tuple[int, Mapping[str, Any]]
"""Where a row stands, counted from 1, and its fields as the file has them."""


@dataclass(frozen=True)
class Read:
    """What a file held: entries with the line or row each came from, and what could not be taken."""

    entries: tuple[tuple[int, KbEntry], ...]
    problems: tuple[Problem, ...]


def read(path: Path) -> Read:
    """The entries of a file, by its ending. Raises InvalidInput: it is none of ours, or broken as a whole."""
    rows, _ = _format(path)
    try:
        if path.stat().st_size > FILE_BYTES:
            raise _broken(path, f"over {FILE_BYTES // 2**20} MB", "split it")
        found = list(rows(path))
    except OSError as error:
        raise _broken(path, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise _broken(path, f"not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    entries, problems, seen = [], [], {}
    for place, fields in found:
        try:
            entry = _entry(fields)
        except msgspec.ValidationError as error:
            problems.append(Problem(str(path), str(error), line=place))
            continue
        wrong = faults(entry)
        if not wrong and entry.id in seen and entry != seen[entry.id][1]:
            wrong = [("id", f"`{entry.id}` stands in {seen[entry.id][0]} already, with other content")]
        problems += [Problem(str(path), says, line=place, field=field) for field, says in wrong]
        if not wrong:
            seen.setdefault(entry.id, (place, entry))
            entries.append((place, entry))
    return Read(tuple(entries), tuple(problems))


def write(path: Path, entries: Iterable[KbEntry]) -> int:
    """Write entries in the format of the path's ending, all or nothing; how many. Raises InvalidInput."""
    _, save = _format(path)
    fresh = path.with_name(f".{path.name}.part")
    try:
        number = save(fresh, entries)
        os.replace(fresh, path)
    except OSError as error:
        raise _broken(path, f"cannot be written: {error.strerror or error}") from None
    finally:
        fresh.unlink(missing_ok=True)
    return number


def _format(path: Path) -> tuple[Callable[[Path], Iterator[Row]], Callable[[Path, Iterable[KbEntry]], int]]:
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise _broken(path, f"`{path.suffix}` is no format of entries", f"one of {', '.join(_FORMATS)}")
    return found


def _broken(path: Path, says: str, mend: str = "", line: int = 0) -> InvalidInput:
    return InvalidInput(Problem(str(path), says, line=line, mend=mend))


def _entry(fields: Mapping[str, Any]) -> KbEntry:
    """Fields as an entry. Raises msgspec.ValidationError, whose text names the field."""
    given = {k: v for k, v in fields.items() if v not in (None, "", [], ())}
    if missing := [name for name in _NEEDED if name not in given]:
        raise msgspec.ValidationError(f"{', '.join(missing)}: missing or empty")
    if unknown := [str(name) for name in given if name not in (*COLUMNS, "version")]:
        raise msgspec.ValidationError(f"`{unknown[0][:64]}` is no field; known: {', '.join(COLUMNS)}")
    given.pop("version", None)
    for name in ("valid_from", "valid_until"):
        value = given.get(name)
        try:
            if isinstance(value, str):
                given[name] = date.fromisoformat(value.strip())
            elif isinstance(value, datetime):
                given[name] = value.date()
        except ValueError:
            says = f"{name}: `{value[:32]}` is no date; write 2026-01-31"
            raise msgspec.ValidationError(says) from None
    if isinstance(given.get("audience"), str):
        given["audience"] = given["audience"].strip().lower()
        if given["audience"] not in AUDIENCES:
            says = f"audience: `{given['audience'][:32]}` is not one of {', '.join(AUDIENCES)}"
            raise msgspec.ValidationError(says)
    return tidy(msgspec.convert(given, KbEntry))


# Tables: CSV and XLSX -----------------------------------------------------------------------------------------------


def _of_cells(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a table's row: one question a line of its cell, tags between commas."""
    fields = {name: value for name, value in cells.items() if value is not None}
    for name, split in (("questions", str.splitlines), ("tags", lambda text: text.split(","))):
        if name in fields:
            fields[name] = [part for part in (p.strip() for p in split(_text(fields[name]))) if part]
    for name in ("id", "language", "answer", "long_answer", "audience", "source"):
        if name in fields:
            fields[name] = _text(fields[name])
    return fields


def _text(value: Any) -> str:
    """A cell as text: a spreadsheet hands 1001 over as 1001.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _cells(entry: KbEntry) -> dict[str, str]:
    return {
        "id": entry.id, "language": entry.language, "questions": "\n".join(entry.questions), "answer": entry.answer,
        "long_answer": entry.long_answer, "tags": ", ".join(entry.tags),
        "valid_from": entry.valid_from.isoformat() if entry.valid_from else "",
        "valid_until": entry.valid_until.isoformat() if entry.valid_until else "",
        "audience": entry.audience, "source": entry.source,
    }  # fmt: skip


def _header(path: Path, names: list[str]) -> list[str]:
    names = [name.strip().lower() for name in names]
    if unknown := [name for name in names if name and name not in COLUMNS]:
        raise _broken(path, f"column `{unknown[0][:64]}` is not known", f"columns: {', '.join(COLUMNS)}", line=1)
    if missing := [name for name in _NEEDED if name not in names]:
        raise _broken(path, f"no column {', '.join(missing)}", f"columns: {', '.join(COLUMNS)}", line=1)
    if len({n for n in names if n}) < len([n for n in names if n]):
        raise _broken(path, "a column stands twice", line=1)
    return names


def _read_csv(path: Path) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), strict=True)
    csv.field_size_limit(FILE_BYTES)
    begins = 1
    try:
        names = _header(path, next(lines, []))
        while True:
            begins = lines.line_num + 1
            cells = next(lines, None)
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                extra = {"a cell too many": "x"} if any(cells[len(names) :]) else {}
                yield begins, _of_cells(dict(zip(names, cells, strict=False))) | extra
    except csv.Error as error:
        raise _broken(path, f"not CSV from here on: {error}", "quotes inside a cell are doubled", begins) from None


def _write_csv(path: Path, entries: Iterable[KbEntry]) -> int:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        return sum(1 for entry in entries if writer.writerow(_cells(entry)))


def _read_xlsx(path: Path) -> Iterator[Row]:
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(part.file_size for part in packed.infolist()) > 4 * FILE_BYTES:
                raise _broken(path, "unpacks to more than a gigabyte")
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise _broken(path, f"not a spreadsheet: {error}", "save it as .xlsx") from None
    try:
        rows = book.worksheets[0].iter_rows(values_only=True)
        names = _header(path, [_text(v) if v is not None else "" for v in next(rows, ())])
        for number, cells in enumerate(rows, 2):
            if any(cell not in (None, "") for cell in cells):
                fields = {name: cell for name, cell in zip(names, cells, strict=False) if name}
                yield number, _of_cells(fields)
    finally:
        book.close()


def _write_xlsx(path: Path, entries: Iterable[KbEntry]) -> int:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("entries")
    sheet.append(COLUMNS)
    number = 0
    for entry in entries:
        cells = _cells(entry)
        if long := [name for name, text in cells.items() if len(text) > _CELL_CHARS]:
            raise _broken(path, f"{long[0]} of `{entry.id}` does not fit a cell", "export to .json")
        sheet.append([_as_text(sheet, cells[name]) for name in COLUMNS])
        number += 1
    with path.open("wb") as out:
        book.save(out)
    return number


def _as_text(sheet: Any, text: str) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    cell = openpyxl.cell.WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"
    return cell


# JSON ---------------------------------------------------------------------------------------------------------------


def _read_json(path: Path) -> Iterator[Row]:
    try:
        body = json.loads(path.read_text("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise _broken(path, f"not JSON: {error.msg}", line=error.lineno) from None
    except RecursionError:
        raise _broken(path, "not JSON that can be read: nested too deep") from None
    if isinstance(body, dict) and set(body) == {"entries"}:
        body = body["entries"]
    if not isinstance(body, list):
        raise _broken(path, "no list of entries", 'write [{"language": "en", "questions": [...], "answer": ...}, ...]')
    for number, fields in enumerate(body, 1):
        yield number, fields if isinstance(fields, dict) else {"an entry that is no object": "x"}


def _write_json(path: Path, entries: Iterable[KbEntry]) -> int:
    number = 0
    with path.open("w", encoding="utf-8") as out:
        out.write("[")
        for entry in entries:
            fields = msgspec.to_builtins(entry)
            kept = {name: fields[name] for name in COLUMNS if fields[name] not in (None, "", (), [])}
            out.write(("," if number else "") + "\n" + json.dumps(kept, ensure_ascii=False, indent=1))
            number += 1
        out.write("\n]\n")
    return number


# Markdown -----------------------------------------------------------------------------------------------------------

_KEYS = ("language", "audience", "tags", "valid_from", "valid_until", "source")


def _read_markdown(path: Path) -> Iterator[Row]:
    """`# id`, then `key: value` lines, `- question` lines, `> spoken answer` lines, and the long answer."""
    place, lines = 0, []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if line.startswith("# "):
            if place:
                yield place, _section(lines)
            place, lines = number, [line]
        elif place:
            lines.append(line)
        elif line.strip():
            raise _broken(path, "text before the first entry", "an entry begins with `# its-id`", number)
    if place:
        yield place, _section(lines)


def _section(lines: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": lines[0][2:].strip(), "questions": []}
    answer, rest = [], iter(lines[1:])
    for line in rest:
        if line.startswith("- ") and not answer:
            fields["questions"].append(line[2:].strip())
        elif line.startswith(">"):
            answer.append(line[1:].strip())
        elif line.strip() and not answer and not fields["questions"] and line.partition(":")[0].strip() in _KEYS:
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
        elif line.strip() and not answer:
            fields[f"the line `{line.strip()[:40]}`"] = "x"
        elif answer:
            long_answer = [line, *rest]
            fields["long_answer"] = "\n".join(t[1:] if t.startswith("\\") else t for t in long_answer).strip("\n")
    fields["answer"] = " ".join(answer)
    if "tags" in fields:
        fields["tags"] = [tag for tag in (t.strip() for t in fields["tags"].split(",")) if tag]
    return fields


def _write_markdown(path: Path, entries: Iterable[KbEntry]) -> int:
    number = 0
    with path.open("w", encoding="utf-8") as out:
        for entry in entries:
            cells = _cells(entry)
            out.write(f"{'' if number == 0 else chr(10)}# {entry.id}\n")
            out.writelines(f"{key}: {cells[key]}\n" for key in _KEYS if cells[key])
            out.write("\n" + "".join(f"- {question}\n" for question in entry.questions))
            out.write(f"\n> {entry.answer}\n")
            if entry.long_answer:
                escaped = (f"\\{t}" if t.startswith(("# ", "\\", ">")) else t for t in entry.long_answer.split("\n"))
                out.write("\n" + "\n".join(escaped) + "\n")
            number += 1
    return number


_FORMATS = {
    ".csv": (_read_csv, _write_csv), ".json": (_read_json, _write_json),
    ".md": (_read_markdown, _write_markdown), ".xlsx": (_read_xlsx, _write_xlsx),
}  # fmt: skip
