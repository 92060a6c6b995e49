"""Stereo recording of a leg: 8 kHz 16-bit WAV, left the caller, right us.

Runs in the hearing thread, one call per 20 ms frame. The header is brought up to date every second, so that a file
left by a crash plays to within a second of it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np

from ivr.line.vad import NARROW_HZ, NARROW_SAMPLES

HEADER_BYTES = 44
MAX_BYTES = 4 * NARROW_HZ * 4 * 3600
_SYNC_FRAMES = 50


class Recorder:
    """Raises OSError from the constructor and from `write`; a recording ends silently after four hours."""

    def __init__(self, path: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=NARROW_SAMPLES * 4 * _SYNC_FRAMES)
        self._bytes = 0
        self._frames = 0
        self._file.write(_header(0))
        self.muted = False

    def write(self, caller: np.ndarray, ours: np.ndarray) -> None:
        """One frame of each side: 160 samples at 8 kHz in the 16-bit range."""
        if self._bytes >= MAX_BYTES:
            return
        stereo = np.zeros((NARROW_SAMPLES, 2), np.int16)
        if not self.muted:
            stereo[:, 0] = np.clip(caller, -32768, 32767)
            stereo[:, 1] = np.clip(ours, -32768, 32767)
        self._file.write(stereo.tobytes())
        self._bytes += stereo.nbytes
        self._frames += 1
        if self._frames % _SYNC_FRAMES == 0:
            self._sync()

    def close(self) -> None:
        if not self._file.closed:
            self._sync()
            self._file.close()

    def _sync(self) -> None:
        self._file.flush()
        os.pwrite(self._file.fileno(), _header(self._bytes), 0)


def _header(data_bytes: int) -> bytes:
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", HEADER_BYTES - 8 + data_bytes, b"WAVE", b"fmt ", 16, 1, 2,
        NARROW_HZ, NARROW_HZ * 4, 4, 16, b"data", data_bytes,
    )  # fmt: skip
