"""Private folders for sockets and generated files, and sweeping up those of brains that were killed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

SWEEP_AFTER_S = 60.0
"""A killed brain's lines and edge use theirs for ten seconds more."""


def private_folder(kind: str) -> Path:
    """A new folder of this process that nobody else may read; short, since socket paths hold 107 bytes."""
    _sweep()
    return Path(tempfile.mkdtemp(prefix=f"ivr-{kind}-{os.getpid()}-"))


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob("ivr-*-*-*"):
        owner = re.fullmatch(r"ivr-(?:lines|edge)-(\d+)-\w+", folder.name)
        if owner is None or Path("/proc", owner[1]).exists():
            continue
        try:
            known = folder.lstat()
        except FileNotFoundError:
            continue
        if known.st_uid == os.getuid() and time.time() - known.st_mtime > SWEEP_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)
