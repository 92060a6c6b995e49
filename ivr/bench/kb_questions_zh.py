"""Bank questions in Mandarin, written by hand for `ivr bench kb`: 46 topics, how editors ask and how callers do.

In `kb_questions_zh.txt` the first line of a topic is what an entry would be given by the people who keep it; the
second, by the same hand and in the same sitting, is what callers say on the telephone: roundabout, with particles,
without the entry's terms. No question stands in both. Reads the file beside it; knows nothing of the rest.
"""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_suffix(".txt")


def topics() -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By topic: the questions of its entry, and those of callers."""
    found = {}
    for block in FILE.read_text("utf-8").split("# ")[1:]:
        name, entry, callers = block.strip().splitlines()
        found[name] = (tuple(entry.split(" / ")), tuple(callers.split(" / ")))
    return found
