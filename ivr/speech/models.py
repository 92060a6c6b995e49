"""The models on disk: what the manifest knows of them, whether they are whole, and `ivr models`.

`ivr models list | pull [NAME...] | verify [NAME...]`. A model is a folder `models/NAME/`; it appears there in one
rename after every file was checked. Knows nothing of engines or of the server; runs in the foreground of a command.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import shutil
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TextIO

import msgspec

from ivr.errors import InvalidInput, IvrError, Problem, Unavailable
from ivr.speech.download import CHUNK_BYTES, Archive, DownloadFailed, fetch, sha256_of

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "models"
DOWNLOADS = ".downloads"
RECORD = ".files.json"
"""Sizes and checksums of a model that was unpacked whole, written when its archive had been checked."""


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model: `members` of the archives, one after the other."""

    path: str
    bytes: int
    sha256: str
    members: tuple[str, ...] = ()


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of the manifest; the keys are explained at its top."""

    name: str
    title: str
    engine: Literal["whisper", "vosk", "piper", "sentences"]
    languages: tuple[str, ...]
    licence: str
    needed: Literal["run", "test", "no"]
    download: tuple[Archive, ...]
    file: tuple[ModelFile, ...] = ()
    instead: str = ""

    @property
    def bytes(self) -> int:
        """Size on disk where the manifest knows it, else that of the archives."""
        return sum(f.bytes for f in self.file) or sum(a.bytes for a in self.download)


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: tuple[Model, ...]


def load_manifest(folder: Path = DEFAULT_FOLDER) -> tuple[Model, ...]:
    """The models that `folder`/manifest.toml describes. Raises InvalidInput."""
    path = folder / "manifest.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), _Manifest).model
    except FileNotFoundError:
        raise InvalidInput(Problem(str(path), "no such file", mend="restore it from the release")) from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise InvalidInput(Problem(str(path), str(error), mend="restore it from the release")) from None


def faults(model: Model, folder: Path, deep: bool = False) -> list[str]:
    """What is wrong with a model on disk, in words; empty when it is whole.

    Sizes are compared; with `deep` the checksums too, about a second for 200 MB.
    """
    home = folder / model.name
    if not home.is_dir():
        return ["not there"]
    files = model.file or _recorded(home)
    if files is None:
        if not any(home.iterdir()):
            return ["its folder is empty"]
        return [f"cannot be verified: it was not put here by `ivr models pull` ({RECORD} is missing)"] if deep else []
    found = []
    for file in files:
        path = home / file.path
        if not path.is_file():
            found.append(f"{file.path} is missing")
        elif path.stat().st_size != file.bytes:
            found.append(f"{file.path} has {path.stat().st_size} bytes, not {file.bytes}")
        elif deep and sha256_of(path) != file.sha256:
            found.append(f"{file.path} has another checksum than the manifest says")
    return found


def _recorded(home: Path) -> tuple[ModelFile, ...] | None:
    try:
        return msgspec.json.decode((home / RECORD).read_bytes(), type=tuple[ModelFile, ...])
    except (OSError, msgspec.DecodeError):
        return None


def install(model: Model, folder: Path, out: TextIO) -> None:
    """Fetch and unpack one model, replacing what is there.

    Raises DownloadFailed when an archive cannot be had, Unavailable when it does not fit the disk or the manifest.
    """
    downloads = folder / DOWNLOADS
    downloads.mkdir(parents=True, exist_ok=True)
    needed, free = 2 * (model.bytes + sum(a.bytes for a in model.download)), shutil.disk_usage(folder).free
    if free < needed:
        raise Unavailable(f"{_size(needed)} of disk are needed while it is unpacked, {_size(free)} are free")
    with _locked(downloads, out):
        archives = []
        for archive in model.download:
            with contextlib.closing(ProgressLine(f"{model.name}: {archive.label}", out)) as line:
                archives.append(fetch(archive, downloads, line))
        fresh = downloads / f"{model.name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        if model.file:
            _unpack_files(model, archives, fresh)
        else:
            _unpack_whole(archives[0], fresh)
        _swap(fresh, folder / model.name)
        for archive in archives:
            archive.unlink()


def _unpack_files(model: Model, archives: list[Path], fresh: Path) -> None:
    """The files that the manifest names, each joined from its members and checked on the way."""
    with contextlib.ExitStack() as stack:
        zips = [stack.enter_context(zipfile.ZipFile(path)) for path in archives]
        places = {name: archive for archive in zips for name in archive.namelist()}
        for file in model.file:
            target = fresh / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            with target.open("wb") as copy:
                for member in file.members:
                    if member not in places:
                        raise Unavailable(f"{member} is in none of its archives")
                    with places[member].open(member) as source:
                        while chunk := source.read(CHUNK_BYTES):
                            digest.update(chunk)
                            copy.write(chunk)
            if digest.hexdigest() != file.sha256:
                raise Unavailable(f"{file.path} of {model.name} does not match the manifest")


def _unpack_whole(archive: Path, fresh: Path) -> None:
    """Everything below the archive's one top folder, and a record of it for `verify`."""
    files = []
    with zipfile.ZipFile(archive) as source:
        for info in source.infolist():
            path = "/".join(info.filename.split("/")[1:])
            if info.is_dir() or not path:
                continue
            target = fresh / path
            if not target.resolve().is_relative_to(fresh.resolve()):
                raise Unavailable(f"{archive.name} holds a file outside its folder: {info.filename}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open(info) as member, target.open("wb") as copy:
                shutil.copyfileobj(member, copy, CHUNK_BYTES)
            files.append({"path": path, "bytes": info.file_size, "sha256": sha256_of(target)})
    if not files:
        raise Unavailable(f"{archive.name} holds no files in a folder")
    (fresh / RECORD).write_text(json.dumps(files, indent=1), "utf-8")


def _swap(fresh: Path, home: Path) -> None:
    """Put a finished folder in its place; a server that has the old one open keeps it."""
    old = fresh.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if home.exists():
        home.rename(old)
    fresh.rename(home)
    shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _locked(downloads: Path, out: TextIO) -> Iterator[None]:
    """One pull at a time in this folder."""
    with (downloads / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another `ivr models pull` to finish", file=out, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class ProgressLine:
    """Shows how far a download is: a bar that redraws itself on a terminal, else a line every tenth."""

    def __init__(self, label: str, out: TextIO) -> None:
        self._label, self._out, self._bar = label, out, out.isatty()
        self._begun, self._shown, self._first = time.monotonic(), -1, 0

    def __call__(self, have: int, of: int) -> None:
        tenths = 100 * have // of if self._bar else 10 * have // of
        if self._shown < 0:
            self._first = have
        if tenths == self._shown:
            return
        self._shown = tenths
        rate = (have - self._first) / max(time.monotonic() - self._begun, 1e-3)
        text = f"{self._label}  {100 * have // of:3d} %  {_size(have)} of {_size(of)}"
        text += f"  {_size(int(rate))}/s" if have > self._first else ""
        if self._bar:
            filled = 24 * have // of
            self._out.write(f"\r{text}  [{'#' * filled}{'.' * (24 - filled)}]\x1b[K")
        else:
            self._out.write(text + "\n")
        self._out.flush()

    def close(self) -> None:
        if self._bar and self._shown >= 0:
            self._out.write("\n")
            self._out.flush()


def _size(count: int) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _list(models: tuple[Model, ...], folder: Path, out: TextIO) -> int:
    rows = [("name", "engine", "languages", "size", "licence", "needed", "state")]
    words = {"run": "to run", "test": "by tests", "no": "no"}
    for model in models:
        wrong = faults(model, folder)
        instead = f"; used instead: {model.instead}" if wrong and model.instead else ""
        state = ("missing" if wrong == ["not there"] else wrong[0]) + instead if wrong else "present"
        languages = " ".join(model.languages)
        rows.append(
            (model.name, model.engine, languages, _size(model.bytes), model.licence, words[model.needed], state)
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join((*cells, row[-1])), file=out)
    return 0


def _verify(models: tuple[Model, ...], chosen: list[str], folder: Path, out: TextIO) -> int:
    """Checksums of every model that is there and of every needed one; 1 when a needed or named one is not whole."""
    bad = False
    for model in models:
        wrong = faults(model, folder, deep=True)
        if wrong == ["not there"] and model.needed != "run" and model.name not in chosen:
            continue
        print(f"{model.name}: {'ok' if not wrong else '; '.join(wrong)}", file=out)
        if wrong:
            bad = True
            print(f"    mend: ivr models pull {model.name}", file=out)
    return int(bad)


def _pull(models: tuple[Model, ...], chosen: list[Model], needed: set[str], folder: Path, out: TextIO) -> int:
    """Fetch what is not whole of the `chosen`; goes on after a failure.

    1 when at the end any model of the manifest whose need is in `needed` is not there.
    """
    for model in chosen:
        wrong = faults(model, folder)
        if not wrong:
            print(f"{model.name}: present", file=out)
            continue
        print(
            f"{model.name}: {model.title}, {_size(model.bytes)}, licence {model.licence}: {'; '.join(wrong[:3])}",
            file=out,
            flush=True,
        )
        try:
            install(model, folder, out)
        except (DownloadFailed, Unavailable, OSError, zipfile.BadZipFile) as error:
            print(f"{model.name}: not fetched: {error}", file=out)
            if model.instead:
                print(f"    used instead: {model.instead}", file=out)
        else:
            print(f"{model.name}: ready, every file checked", file=out, flush=True)
    missing = [model.name for model in models if model.needed in needed and faults(model, folder)]
    if missing:
        print(
            f"needed, but missing: {', '.join(missing)}. Mend: `ivr models pull {' '.join(missing)}` with a network,"
            f" or copy these folders to {folder} from another machine",
            file=out,
        )
    return int(bool(missing))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ivr models", description="The models of speech and of sentences on disk.")
    parser.add_argument("--models", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="the folder of the models")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name, size, licence and state of each")
    pull = commands.add_parser("pull", help="fetch models; without names, those the server needs")
    pull.add_argument("names", nargs="*", metavar="NAME")
    pull.add_argument("--test", action="store_true", help="also those the tests need")
    pull.add_argument("--all", action="store_true", help="every model of the manifest")
    verify = commands.add_parser("verify", help="compare every file with its checksum")
    verify.add_argument("names", nargs="*", metavar="NAME")
    return parser


def main(argv: list[str] | None = None, out: TextIO | None = None) -> int:
    """`ivr models ...`. Returns the exit status: 0 done, 1 something needed is missing or broken, 2 wrong usage."""
    out = out or sys.stdout
    arguments = _parser().parse_args(argv)
    try:
        models = load_manifest(arguments.models)
        if arguments.command == "list":
            return _list(models, arguments.models, out)
        known = {model.name: model for model in models}
        if unknown := [name for name in arguments.names if name not in known]:
            print(f"no model named {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
            return 2
        if arguments.command == "verify":
            named = tuple(known[name] for name in arguments.names)
            return _verify(named or models, arguments.names, arguments.models, out)
        needed = {"run", "test"} if arguments.test else {"run"}
        chosen = [known[name] for name in arguments.names] or [m for m in models if arguments.all or m.needed in needed]
        return _pull(models, chosen, needed, arguments.models, out)
    except IvrError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
