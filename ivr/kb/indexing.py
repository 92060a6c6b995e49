"""From the database to files that are searched: embeds what is new, builds the segments, puts them in force.

Runs in a process of its own at the lowest priority (`python -m ivr kb index`), so that no call feels it. The folder
holds numbered snapshots, the file `current` that names the one in force, and a journal of vectors that no snapshot has
yet. A vector is written to the journal before anything else happens to it, so that whatever kills the process costs at
most the batch in hand; entries are in the database all the time and cannot be lost here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ivr.errors import Unavailable
from ivr.kb.entry import LANGUAGES, KbEntry
from ivr.store.kb import KbEntries
from ivr.understanding.embedding import DIMENSION, embed_passages
from ivr.understanding.kb_index import Segment, build, hash_of, quantised

BATCH = 64
"""Questions embedded at once, and the most whose vectors a kill can cost."""
FORMAT = 4
"""Of the snapshots; one of another format is built anew, with its vectors."""
_RECORD = struct.Struct(f"<Q f {DIMENSION}s I")


class Current(msgspec.Struct, frozen=True):
    """The file `current`: the snapshot in force and the change of the database it has read up to."""

    snapshot: str
    change: int
    format: int = FORMAT


@dataclass(frozen=True)
class Snapshot:
    """Segments by language, as of a change."""

    name: str
    change: int
    segments: dict[str, Segment]


@dataclass(frozen=True)
class Indexed:
    """What an indexing did: entries in the snapshot, questions embedded now, questions whose vectors were there."""

    entries: int
    embedded: int
    kept: int
    change: int


def current(folder: Path, any_format: bool = False) -> Current | None:
    """Which snapshot is in force; None when there is none that this version can use."""
    try:
        found = msgspec.json.decode((folder / "current").read_bytes(), type=Current)
    except (OSError, msgspec.DecodeError):
        return None
    return found if any_format or found.format == FORMAT else None


def load(folder: Path) -> Snapshot:
    """The snapshot in force, mapped; an empty one when there is none or its files are damaged."""
    for _ in range(3):  # another process may put a newer one in force meanwhile, and clear this one away
        found = current(folder)
        if found is None:
            break
        place = folder / found.snapshot
        try:
            segments = {path.name: Segment.load(path) for path in place.iterdir() if path.is_dir()}
            return Snapshot(found.snapshot, found.change, segments)
        except (OSError, ValueError):
            continue
    return Snapshot("", 0, {})


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Only one process indexes a folder at a time. Raises Unavailable: another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Unavailable(f"another process is indexing {folder}; it will be done when that one is") from None
        yield


async def index(entries: KbEntries, folder: Path, progress: Callable[[int, int], None]) -> Indexed:
    """Bring the folder up to the database. `progress(done, all)` counts questions. Raises Unavailable."""
    with sole(folder):
        change = await entries.latest_change()
        by_language: dict[str, list[KbEntry]] = {language: [] for language in LANGUAGES}
        async for entry in entries.all():
            by_language[entry.language].append(entry)
        questions = [q for found in by_language.values() for e in found for q in e.questions]
        vectors = _Vectors(folder)
        new = [q for q in dict.fromkeys(questions) if not vectors.knows(q)]
        progress(0, len(new))
        for start in range(0, len(new), BATCH):
            vectors.add(new[start : start + BATCH])
            progress(min(start + BATCH, len(new)), len(new))
        segments = {
            language: build(found, *vectors.of([q for e in found for q in e.questions]))
            for language, found in by_language.items()
            if found
        }
        _publish(folder, segments, change)
        vectors.clear()
        return Indexed(sum(map(len, by_language.values())), len(new), len(set(questions)) - len(new), change)


def _publish(folder: Path, segments: dict[str, Segment], change: int) -> None:
    """All of a snapshot, then the word that it is in force; what is older is cleared away."""
    before = current(folder, any_format=True)
    number = int(before.snapshot.partition("-")[2]) + 1 if before else 1
    name = f"snapshot-{number}"
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    for language, segment in segments.items():
        (place / language).mkdir(parents=True)
        segment.save(place / language)
    place.mkdir(exist_ok=True)
    for path in sorted(place.rglob("*")):
        _sync(path)
    fresh = folder / ".current.part"
    fresh.write_bytes(msgspec.json.encode(Current(name, change)))
    _sync(fresh)
    os.replace(fresh, folder / "current")
    _sync(folder)
    for old in folder.glob("snapshot-*"):
        if old.name not in (name, before.snapshot if before else ""):
            shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True)
class _Known:
    """The vectors of a segment, mapped, with the hashes of their questions."""

    hashes: np.ndarray
    vectors: np.ndarray
    scales: np.ndarray


def _known(folder: Path) -> list[_Known]:
    """What the snapshot in force has, also one of another format; nothing when its files are damaged."""
    found = current(folder, any_format=True)
    if found is None:
        return []
    known = []
    for place in sorted((folder / found.snapshot).glob("*/")):
        try:
            part = _Known(
                *(np.load(place / f"{name}.npy", mmap_mode="r") for name in ("row_hash", "vectors", "scales"))
            )
        except (OSError, ValueError):
            continue
        if part.vectors.shape == (len(part.hashes), DIMENSION) and part.scales.shape == part.hashes.shape:
            known.append(part)
    return known


class _Vectors:
    """Vectors of questions by hash: those of the snapshot in force, and those of the journal."""

    def __init__(self, folder: Path) -> None:
        self._journal = folder / "journal"
        self._rows = {h: (known, row) for known in _known(folder) for row, h in enumerate(known.hashes.tolist())}
        self._new: dict[int, tuple[np.ndarray, float]] = {}
        self._read_journal()

    def knows(self, question: str) -> bool:
        h = hash_of(question)
        return h in self._new or h in self._rows

    def add(self, questions: Sequence[str]) -> None:
        """Embed, and write down before going on."""
        vectors, scales = quantised(embed_passages(questions))
        records = []
        for question, vector, scale in zip(questions, vectors, scales, strict=True):
            h, body = hash_of(question), vector.tobytes()
            self._new[h] = (vector, float(scale))
            records.append(_RECORD.pack(h, scale, body, zlib.crc32(body)))
        with self._journal.open("ab") as out:
            out.write(b"".join(records))
            out.flush()
            os.fsync(out.fileno())

    def of(self, questions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(int8 rows, scales) of questions that are all known."""
        vectors = np.empty((len(questions), DIMENSION), dtype=np.int8)
        scales = np.empty(len(questions), dtype=np.float32)
        for i, question in enumerate(questions):
            h = hash_of(question)
            if h in self._new:
                vectors[i], scales[i] = self._new[h]
            else:
                known, row = self._rows[h]
                vectors[i], scales[i] = known.vectors[row], known.scales[row]
        return vectors, scales

    def clear(self) -> None:
        """What the journal holds is in the snapshot now."""
        self._journal.unlink(missing_ok=True)

    def _read_journal(self) -> None:
        """Whole records only; one that was being written when the process died is cut off."""
        try:
            data = self._journal.read_bytes()
        except FileNotFoundError:
            return
        whole = 0
        for start in range(0, len(data) - _RECORD.size + 1, _RECORD.size):
            h, scale, body, check = _RECORD.unpack_from(data, start)
            if zlib.crc32(body) != check:
                break
            self._new[h] = (np.frombuffer(body, dtype=np.int8), scale)
            whole = start + _RECORD.size
        if whole < len(data):
            os.truncate(self._journal, whole)
