"""Folders of killed brains are swept up, those of living ones and of others stay."""

import os
import tempfile

from ivr.telephony.runtime import SWEEP_AFTER_S, private_folder

NO_PROCESS = 2**22 + 1


def test_only_old_folders_of_dead_brains_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = (f"ivr-lines-{NO_PROCESS}-old", f"ivr-edge-{NO_PROCESS}-old", f"ivr-lines-{os.getpid()}-mine", "ivr-x-1-y")
    for name in names:
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / f"ivr-lines-{NO_PROCESS}-young").mkdir()
    made = private_folder("lines")
    assert made.stat().st_mode & 0o077 == 0
    left = {path.name for path in tmp_path.iterdir()} - {made.name}
    assert left == {f"ivr-lines-{os.getpid()}-mine", "ivr-x-1-y", f"ivr-lines-{NO_PROCESS}-young"}
    assert SWEEP_AFTER_S > 12
