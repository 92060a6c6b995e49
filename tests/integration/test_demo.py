"""The demonstration that README.md promises, in Mandarin; the English half goes the same way.

Its verification takes a minute more, so a shorter one is made in tests/sip/test_outbound_calls.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demonstration_ends_well():
    demo = [sys.executable, "scripts/demo.py", "--language", "zh", "--part", "calls"]
    done = subprocess.run(demo, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "took it as opening_hours" in done.stdout
    assert "took it as lost_card" in done.stdout
