"""What README.md promises to somebody who edits a dialplan for the first time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_first_fifteen_minutes_do_what_the_readme_says():
    done = subprocess.run([sys.executable, "scripts/trial.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Every change did what README.md says.\n")
