"""Bank questions in Mandarin, written by hand for `ivr bench kb`: how editors ask and how callers do.

`kb_questions_zh.txt` has 46 topics, `kb_unseen_zh.txt` 47 others, written when the search was finished: no weight, bar
or method was chosen with those in view. The first line of a topic is what an entry would be given by the people who
keep it; the second, by the same hand and in the same sitting, is what callers say on the telephone: roundabout, with
particles, without the entry's terms. No question stands in both. Reads the files beside it; knows nothing of the rest.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def topics(name: str = "kb_questions_zh") -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By topic: the questions of its entry, and those of callers."""
    found = {}
    for block in (FOLDER / f"{name}.txt").read_text("utf-8").split("# ")[1:]:
        topic, entry, callers = block.strip().splitlines()
        found[topic] = (tuple(entry.split(" / ")), tuple(callers.split(" / ")))
    return found
