"""The command line itself: whoever reads the output may stop, and no command minds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "unbuffered"), [(["simulate", "main", "--all"], ""), (["help"], ""), (["help"], "1")]
)
def test_a_reader_who_has_had_enough_ends_a_command_quietly(words, unbuffered):
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "ivr", *words]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (1, "")
