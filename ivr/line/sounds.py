"""Prompt files as PCM in memory: read once, kept while there is room.

Runs in the SIP thread; knows nothing of playouts. Short files stay in a bounded cache, long ones (hold music) are
mapped, so that they take no memory of their own.
"""

from __future__ import annotations

import mmap
import os
import threading
import wave
from collections import OrderedDict

from ivr.errors import Unavailable
from ivr.line.messages import RATE_HZ

CACHE_BYTES = 8 << 20
MAPPED_BYTES = 1 << 20


class Sounds:
    """A bounded least-recently-used cache, keyed by path and modification time."""

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._limit = cache_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._bytes = 0

    def load(self, path: str) -> bytes | memoryview:
        """The samples of a WAV file. Raises Unavailable when it is missing or not 16 kHz mono 16 bit."""
        try:
            stat = os.stat(path)
        except OSError as error:
            raise Unavailable(f"prompt file: {error.strerror}") from error
        key = (path, stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        pcm = _read(path)
        if isinstance(pcm, bytes):
            self._keep(key, pcm)
        return pcm

    def _keep(self, key: tuple[str, int, int], pcm: bytes) -> None:
        with self._lock:
            if key in self._held:
                return
            self._held[key] = pcm
            self._bytes += len(pcm)
            while self._bytes > self._limit:
                _, old = self._held.popitem(last=False)
                self._bytes -= len(old)


def _read(path: str) -> bytes | memoryview:
    try:
        with open(path, "rb") as file, wave.open(file) as sound:
            if (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) != (RATE_HZ, 1, 2):
                raise Unavailable("prompt file: not 16 kHz mono 16 bit")
            size = sound.getnframes() * 2
            if size <= MAPPED_BYTES:
                return sound.readframes(sound.getnframes())
            # wave leaves the file at the first sample, whatever chunks came before.
            start = file.tell()
            mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            return memoryview(mapped)[start : min(start + size, len(mapped)) & ~1]
    except (OSError, EOFError, wave.Error) as error:
        raise Unavailable(f"prompt file: {error}") from error
