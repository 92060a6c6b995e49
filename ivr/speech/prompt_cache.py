"""Prompt files on disk: bounded, least recently used out first, written atomically, kept over restarts.

Thread-safe; everything but `get` touches the disk for long and belongs in a worker thread. Knows nothing of voices:
a key is whatever identifies a sound.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Container
from pathlib import Path

from ivr.speech import pcm

HEADER_BYTES = 44
KEEP_S = 120.0  # what was used so recently may still be playing
_TOUCH_S = 600.0


class _Entry:
    __slots__ = ("size", "touched", "used")

    def __init__(self, size: int, used: float) -> None:
        self.size, self.used, self.touched = size, used, used


def key_of(*parts: object) -> str:
    """A name for the sound that `parts` determine."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def header_of(size: int) -> bytes:
    """The RIFF header of a mono 16-bit 16 kHz file with `size` bytes of samples."""
    rate = pcm.RATE_HZ
    return b"".join(
        (b"RIFF", (size + 36).to_bytes(4, "little"), b"WAVEfmt ", (16).to_bytes(4, "little"), b"\x01\0\x01\0",
         rate.to_bytes(4, "little"), (2 * rate).to_bytes(4, "little"), b"\x02\0\x10\0", b"data",
         size.to_bytes(4, "little"))
    )  # fmt: skip


def duration_ms(file_bytes: int) -> int:
    """How long a file of the cache plays."""
    return max(0, file_bytes - HEADER_BYTES) // 2 * 1_000 // pcm.RATE_HZ


class PromptCache:
    """`folder`/ab/abcd….wav, at most `limit_bytes` of them.

    Files used in the last KEEP_S stay until twice the limit is reached, since a line may still have to open them.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self._limit = limit_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._names = itertools.count()

    def load(self) -> None:
        """Index what is on disk, oldest use first; what is no whole WAV file of ours is deleted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        found = []
        for path in self.folder.glob("??/*"):
            size = _sound_bytes(path)
            if path.suffix != ".wav" or size is None:
                path.unlink(missing_ok=True)
            else:
                found.append((path.stat().st_mtime, path.stem, size + HEADER_BYTES))
        now, wall = time.monotonic(), time.time()
        with self._lock:
            for modified, key, size in sorted(found):
                self._entries[key] = _Entry(size, now - max(0.0, wall - modified) - KEEP_S)
                self._bytes += size
        self._evict()

    def get(self, key: str) -> tuple[Path, int] | None:
        """Path and duration in ms of a sound, None when it must be made. Some microseconds: one stat."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            entry.used = time.monotonic()
        path = self.path(key)
        try:
            if path.stat().st_size == entry.size:
                if entry.used - entry.touched > _TOUCH_S:
                    entry.touched = entry.used
                    os.utime(path)
                return path, duration_ms(entry.size)
        except OSError:
            pass
        with self._lock:
            if self._entries.pop(key, None) is not None:
                self._bytes -= entry.size
        return None

    def put(self, key: str, sound: bytes) -> tuple[Path, int]:
        """Store 16 kHz PCM under `key`; other files may go to make room. Raises OSError."""
        path = self.path(key)
        write(path, sound, f"{path.name}.{os.getpid()}.{next(self._names)}.part")
        size = len(sound) + HEADER_BYTES
        with self._lock:
            old = self._entries.pop(key, None)
            self._bytes += size - (old.size if old else 0)
            self._entries[key] = _Entry(size, time.monotonic())
        self._evict()
        return path, duration_ms(size)

    def keep(self, keys: Container[str]) -> None:
        """Delete everything but `keys`."""
        with self._lock:
            gone = [key for key in self._entries if key not in keys]
            for key in gone:
                self._bytes -= self._entries.pop(key).size
        for key in gone:
            self.path(key).unlink(missing_ok=True)

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.wav"

    @property
    def used_bytes(self) -> int:
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def _evict(self) -> None:
        gone = []
        with self._lock:
            recent = time.monotonic() - KEEP_S
            while self._bytes > self._limit and len(self._entries) > 1:
                key, entry = next(iter(self._entries.items()))
                if entry.used > recent and self._bytes <= 2 * self._limit:
                    break
                del self._entries[key]
                self._bytes -= entry.size
                gone.append(key)
        for key in gone:
            self.path(key).unlink(missing_ok=True)


def write(path: Path, sound: bytes, temporary: str) -> None:
    """A whole WAV file or none at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(temporary)
    part.write_bytes(header_of(len(sound)) + sound)
    part.replace(path)


def _sound_bytes(path: Path) -> int | None:
    """Bytes of samples in a file that this cache wrote whole, None for anything else."""
    try:
        size = path.stat().st_size - HEADER_BYTES
        with path.open("rb") as file:
            return size if size > 0 and file.read(HEADER_BYTES) == header_of(size) else None
    except OSError:
        return None
