"""`ivr kb`: take answers in from files, look for one, measure how well they are found, give them out again.

Works on the database and the index folder of a configuration, also beside a running server, which notices. Indexing
runs in a child process at the lowest priority.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from ivr.config import Config, load
from ivr.errors import InvalidInput, Problem, Unavailable
from ivr.kb import files, importing, indexing
from ivr.kb.entry import AUDIENCES, LANGUAGES, QUERY_CHARS, KbFound, KbQuery
from ivr.kb.live import KnowledgeBase
from ivr.store.kb import KbEntries
from ivr.store.store import Store

T = TypeVar("T")
_HAN = re.compile("[\u4e00-\u9fff]")


def main(argv: list[str]) -> int:
    """`ivr kb import FILE ... | search TEXT | eval QUESTIONS.csv | export FILE | index`."""
    parser = argparse.ArgumentParser(prog="ivr kb", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (run, text, extend) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        command.add_argument("--config", default="config.toml", metavar="FILE")
        extend(command)
    options = parser.parse_args(argv)
    return options.run(load(options.config), options)


def _import_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", metavar="FILE", help="of entries: .csv, .json, .md or .xlsx")
    command.add_argument("--strict", action="store_true", help="write nothing at all when a row is broken")
    command.add_argument("--check", action="store_true", help="only report; write nothing")
    command.add_argument("--json", action="store_true", help="the report as JSON")
    command.add_argument("--no-index", action="store_true", help="leave indexing to the running server")


def _search_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("text", help="the question")
    command.add_argument("--language", choices=LANGUAGES, help="that of the question, when its script does not say")
    command.add_argument("--audience", choices=AUDIENCES, default="public", help="who is going to hear it")
    command.add_argument("--tag", action="append", default=[], help="only entries with this tag; may be repeated")
    command.add_argument("--limit", type=int, default=3)
    command.add_argument("--json", action="store_true")


def _eval_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("questions", metavar="QUESTIONS.csv", help="columns question, id and language")
    command.add_argument("--audience", choices=AUDIENCES, default="agents")
    command.add_argument("--json", action="store_true")


def _export_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help=".csv, .json, .md or .xlsx")
    command.add_argument("--language", choices=LANGUAGES)


def _index_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _import(config: Config, options: argparse.Namespace) -> int:
    read, problems = [], []
    for name in options.files:
        found = files.read(Path(name))
        read += [(name, place, entry) for place, entry in found.entries]
        problems += found.problems
    _refuse_two_of_an_id(read, problems)

    async def work(entries: KbEntries) -> importing.ImportReport:
        present = [entry async for entry in entries.all()]
        report = importing.report(read, problems, present, datetime.now(UTC).date(), len(options.files))
        if options.check or (options.strict and problems):
            return report
        return importing.count(report, await entries.save([entry for _, _, entry in read]))

    report = _with_entries(config, work)
    if options.json:
        print(msgspec.json.encode(report).decode())
    else:
        print("\n".join(report.lines()))
    if report.written and report.new + report.changed and not options.no_index:
        _index_in_child(options.config)
    return 1 if problems and (options.strict or not read) else 0


def _refuse_two_of_an_id(read: list, problems: list[Problem]) -> None:
    """The same id in two files, with other content: the first stands."""
    first: dict[str, tuple] = {}
    for row in list(read):
        name, place, entry = row
        known = first.setdefault(entry.id, row)
        if known[2] != entry:
            says = f"`{entry.id}` stands in {known[0]}:{known[1]} already, with other content"
            problems.append(Problem(name, says, line=place, field="id"))
            read.remove(row)


def _index_in_child(config_file: str) -> None:
    """Index in a process of the lowest priority, its progress on this terminal."""
    done = subprocess.run([sys.executable, "-m", "ivr", "kb", "index", "--config", config_file], check=False)
    if done.returncode:
        print("the entries are in the database; `ivr kb index` goes on where it stopped", file=sys.stderr)


def _index(config: Config, options: argparse.Namespace) -> int:
    os.nice(19)
    shown = _nothing if options.quiet or not sys.stderr.isatty() else _Bar()
    folder = config.path(config.store.kb_index)
    done = _with_entries(config, lambda entries: indexing.index(entries, folder, shown))
    print(f"{done.entries} entries indexed: {done.embedded} questions embedded, {done.kept} known")
    return 0


def _nothing(_done: int, _all: int) -> None:
    """No bar."""


class _Bar:
    """How far embedding is, and how long it will take, in one line of the terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        share = done / of if of else 1.0
        left_s = (time.monotonic() - self._began) * (of - done) / done if done else 0
        bar = "#" * round(30 * share)
        end = "\n" if done >= of else ""
        print(f"\r[{bar:30}] {done}/{of} questions, {left_s:.0f} s left ", end=end, file=sys.stderr, flush=True)


def _search(config: Config, options: argparse.Namespace) -> int:
    if not 1 <= len(options.text) <= QUERY_CHARS:
        raise InvalidInput(Problem("ivr kb search", f"the question has {len(options.text)} characters",
                                   mend=f"1 to {QUERY_CHARS}"))  # fmt: skip
    if not 1 <= options.limit <= 50:
        raise InvalidInput(Problem("ivr kb search", f"{options.limit} hits", field="--limit", mend="1 to 50"))
    language = options.language or ("zh" if _HAN.search(options.text) else "en")
    query = KbQuery(text=options.text, language=language, audience=options.audience, limit=options.limit,
                    tags=tuple(options.tag))  # fmt: skip
    found = _with_base(config, lambda base: base.search(query))
    if options.json:
        print(msgspec.json.encode(found).decode())
        return 0
    for hit in found.hits or found.below:
        print(f"{hit.score:.2f}  {hit.entry.id}  ({hit.question})\n      {hit.entry.answer}")
    if not found.answered:
        print(f"nothing reaches {found.bar:g}: a caller would be offered a person")
    print(f"{found.entries} entries, {found.took_ms:g} ms")
    return 0


def _eval(config: Config, options: argparse.Namespace) -> int:
    rows = _questions(Path(options.questions))

    async def work(base: KnowledgeBase) -> list[KbFound]:
        return [
            await base.search(KbQuery(text=text, language=language, limit=10, audience=options.audience))
            for text, _, language in rows
        ]

    found = _with_base(config, work)
    ranks = []
    for (_, wanted, _), result in zip(rows, found, strict=True):
        ids = [hit.entry.id for hit in (*result.hits, *result.below)]
        ranks.append(ids.index(wanted) + 1 if wanted in ids else 0)
    answered = [result.hits[0].entry.id == row[1] for result, row in zip(found, rows, strict=True) if result.answered]
    times = sorted(result.took_ms for result in found)
    figures = {
        "questions": len(rows), "top_1": ranks.count(1) / len(rows),
        "top_3": sum(1 for rank in ranks if 1 <= rank <= 3) / len(rows),
        "mean_reciprocal_rank": sum(1 / rank for rank in ranks if rank) / len(rows),
        "answered": len(answered) / len(rows), "right_of_answered": sum(answered) / len(answered) if answered else 0.0,
        "p95_ms": times[int(0.95 * (len(times) - 1))],
    }  # fmt: skip
    if options.json:
        print(msgspec.json.encode(figures).decode())
    else:
        for name, value in figures.items():
            print(f"{name:22} {value:.3f}" if isinstance(value, float) else f"{name:22} {value}")
    return 0


def _questions(path: Path) -> list[tuple[str, str, str]]:
    """(question, id, language) rows. Raises InvalidInput."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(Problem(str(path), f"cannot be read: {error}")) from None
    problems, found = [], []
    for line, row in rows:
        text, wanted = (row.get("question") or "").strip(), (row.get("id") or "").strip()
        language = (row.get("language") or "en").strip()
        if not text or not wanted or language not in LANGUAGES or len(text) > QUERY_CHARS:
            says = "a question, the id of its entry, and en or zh are needed"
            problems.append(Problem(str(path), says, line=line, mend="columns question,id,language"))
        found.append((text, wanted, language))
    if problems or not found:
        raise InvalidInput(*problems[:20] or [Problem(str(path), "no questions", mend="columns question,id,language")])
    return found


def _export(config: Config, options: argparse.Namespace) -> int:
    async def work(entries: KbEntries) -> int:
        found = [entry async for entry in entries.all(options.language)]
        return await asyncio.to_thread(files.write, Path(options.file), found)

    print(f"{_with_entries(config, work)} entries written to {options.file}")
    return 0


def _with_entries(config: Config, work: Callable[[KbEntries], Awaitable[T]]) -> T:
    async def run() -> T:
        store = Store(config.store.url, config.root)
        await store.open()
        try:
            return await work(KbEntries(store))
        finally:
            await store.close()

    return asyncio.run(run())


def _with_base(config: Config, work: Callable[[KnowledgeBase], Awaitable[T]]) -> T:
    async def run(entries: KbEntries) -> T:
        base = KnowledgeBase(entries, config.path(config.store.kb_index))
        await base.open()
        try:
            await base.refresh()
            if not base.entries:
                raise Unavailable("the knowledge base is empty, or not indexed yet: `ivr kb import`, `ivr kb index`")
            return await work(base)
        finally:
            await base.close()

    return _with_entries(config, run)


_COMMANDS = {
    "import": (_import, "take entries in from files, with a report", _import_options),
    "search": (_search, "what the base answers to a question", _search_options),
    "eval": (_eval, "how well questions find their entries", _eval_options),
    "export": (_export, "write all entries into a file that import takes", _export_options),
    "index": (_index, "bring the index up to the database; goes on where it was stopped", _index_options),
}
