"""`ivr plans`: the versions of a dialplan that were published; show one, or put one back.

Reads the database beside a running server. A rollback writes files into the dialplans folder, which a running server
publishes as it does any change.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from ivr.config import Config, load
from ivr.dialog import plan_file
from ivr.errors import InvalidInput, Problem, Unavailable
from ivr.publishing import first, needed
from ivr.store.store import Store

T = TypeVar("T")


def main(argv: list[str]) -> int:
    """`ivr plans history NAME | show NAME VERSION | rollback NAME VERSION`."""
    parser = argparse.ArgumentParser(prog="ivr plans", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("history", "versions of a plan, the latest first"),
        ("show", "the files of a version"),
        ("rollback", "write a version's files back into the dialplans folder, if it is without faults there"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("name", help="of the plan")
        if name != "history":
            command.add_argument("version", help="as `ivr plans history` lists it")
        command.add_argument("--config", default="config.toml", metavar="FILE")
    options = parser.parse_args(argv)
    config = load(options.config)
    run = {"history": _history, "show": _show, "rollback": _rollback}[options.command]
    return run(config, options)


def _history(config: Config, options: argparse.Namespace) -> int:
    versions = _ask(config, lambda store: store.plan_versions(options.name))
    if not versions:
        raise Unavailable(f"no version of a plan `{options.name}` was ever published with this database")
    present = plan_file.load_all(config.path(config.paths.dialplans)).by_name.get(options.name)
    for version in versions:
        mark = "  as the files are now" if present is not None and present.version == version.version else ""
        print(f"{version.version}  {version.at:%Y-%m-%d %H:%M:%S} UTC{mark}")
    return 0


def _show(config: Config, options: argparse.Namespace) -> int:
    for file, text in sorted(_files(config, options).items()):
        print(f"# {file}\n{text.rstrip()}\n")
    return 0


def _rollback(config: Config, options: argparse.Namespace) -> int:
    folder = config.path(config.paths.dialplans)
    files = _files(config, options)
    changed = _tried(config, folder, files, options)
    for file in sorted(files, key=lambda f: f == f"{options.name}.yaml"):
        _write(folder / file, files[file])
    print(f"{options.name} {options.version}: {', '.join(sorted(files))} written to {folder}")
    if changed:
        print(f"these plans share files with it and change too: {', '.join(changed)}")
    print("a running server puts it in force within seconds; GET /v1/plans tells")
    return 0


def _tried(config: Config, folder: Path, files: Mapping[str, str], options: argparse.Namespace) -> list[str]:
    """Other plans that change when `files` are put into `folder`. Raises InvalidInput when that cannot serve."""
    before = plan_file.load_all(folder)
    with tempfile.TemporaryDirectory(prefix="ivr-plan-") as trial:
        for file in folder.glob("*.yaml"):
            if file.is_file():
                shutil.copy(file, trial)
        for file, text in files.items():
            Path(trial, file).write_text(text, "utf-8", newline="")
        after = plan_file.load_all(Path(trial))
        first(after, needed(config), datetime.now(UTC))
    found = after.by_name.get(options.name)
    if found is None or found.version != options.version:
        says = f"version {options.version} cannot be read any more as it was"
        raise InvalidInput(Problem(options.name, says, mend="`ivr plans show` prints its files"), *after.problems)
    lost = sorted(set(before.by_name) - set(after.by_name))
    if lost:
        says = f"with this version these plans have faults: {', '.join(lost)}"
        raise InvalidInput(Problem(options.name, says, mend="mend them first, or roll them back too"), *after.problems)
    return sorted(n for n, p in after.by_name.items() if n != options.name and n in before.by_name
                  and before.by_name[n].version != p.version)  # fmt: skip


def _write(path: Path, text: str) -> None:
    """All of it or nothing, also when the machine stops."""
    fresh = path.with_name(f".{path.name}.part")
    with fresh.open("w", encoding="utf-8", newline="") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(fresh, path)


def _files(config: Config, options: argparse.Namespace) -> dict[str, str]:
    files = _ask(config, lambda store: store.plan_files(options.name, options.version))
    if files is None:
        raise Unavailable(
            f"plan `{options.name}` has no version {options.version}: see `ivr plans history {options.name}`"
        )
    return {Path(file).name: text for file, text in files.items()}


def _ask(config: Config, question: Callable[[Store], Awaitable[T]]) -> T:
    async def asked() -> T:
        store = Store(config.store.url, config.root)
        await store.open(read_only=True)
        try:
            return await question(store)
        finally:
            await store.close()

    return asyncio.run(asked())
