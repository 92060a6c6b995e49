"""The option that makes `scripts/test` refuse a run in which a test did not pass, tried on small runs of pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
PASSES = "def test_one():\n    assert True\n"


def run(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest on one file beside a copy of our conftest."""
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_it.py").write_text("import pytest\n\n\n" + source)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", folder, folder, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


def test_a_run_in_which_everything_passes_is_accepted(tmp_path):
    done = run(tmp_path, PASSES, "--all-must-pass")
    assert done.returncode == 0, done.stdout
    assert "collected 1, passed 1" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].strip("= ").startswith("1 passed")


BREACHES = {
    "mark_skip": ("@pytest.mark.skip\ndef test_two():\n    pass\n", "skipped: test_mark_skip.py::test_two"),
    "call_skip": ("def test_two():\n    pytest.skip('no')\n", "skipped: test_call_skip.py::test_two"),
    "fails": ("@pytest.mark.xfail\ndef test_two():\n    assert False\n", "expected to fail: test_fails.py::test_two"),
    "passes": ("@pytest.mark.xfail\ndef test_two():\n    pass\n", "expected to fail: test_passes.py::test_two"),
    "collect": ("pytest.importorskip('no_such_module')\n", "skipped while collecting: test_collect.py"),
    "teardown": (
        "@pytest.fixture\ndef broken():\n    yield\n    assert False\n\n\ndef test_two(broken):\n    pass\n",
        "failed: test_teardown.py::test_two",
    ),
}


def test_each_breach_is_named(tmp_path):
    for name, (source, _) in BREACHES.items():
        (tmp_path / f"test_{name}.py").write_text("import pytest\n\n\n" + source)
    done = run(tmp_path, PASSES, "--all-must-pass")
    assert done.returncode != 0
    assert [says for _, says in BREACHES.values() if says not in done.stdout] == []


def test_one_breach_is_enough_though_nothing_failed(tmp_path):
    done = run(tmp_path, PASSES + "\n\n" + BREACHES["mark_skip"][0], "--all-must-pass")
    assert done.returncode == 1, done.stdout


WORKERS = ("-p", "xdist.plugin", "-n", "2", "--dist", "loadfile")


def test_several_workers_count_each_test_once(tmp_path):
    (tmp_path / "test_more.py").write_text(PASSES)
    done = run(tmp_path, PASSES, "--all-must-pass", *WORKERS)
    assert done.returncode == 0, done.stdout
    assert "collected 2, passed 2" in done.stdout


def test_a_breach_is_named_by_several_workers_too(tmp_path):
    for name, (source, _) in BREACHES.items():
        (tmp_path / f"test_{name}.py").write_text("import pytest\n\n\n" + source)
    done = run(tmp_path, PASSES, "--all-must-pass", *WORKERS)
    assert done.returncode != 0
    assert [says for _, says in BREACHES.values() if says not in done.stdout] == []


@pytest.mark.parametrize("more", [(), WORKERS])
def test_a_deselected_test_is_refused(tmp_path, more):
    done = run(tmp_path, PASSES + "\n\ndef test_two():\n    pass\n", "--all-must-pass", "-k", "one", *more)
    assert done.returncode != 0
    assert "deselected: test_it.py::test_two" in done.stdout


def test_without_the_option_pytest_decides(tmp_path):
    done = run(tmp_path, PASSES + "\n\n@pytest.mark.skip\ndef test_two():\n    pass\n")
    assert done.returncode == 0
