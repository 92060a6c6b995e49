"""Who picked up a call of ours, from the line's verdicts and the words that were heard before the dialog."""

from __future__ import annotations

import pytest

from ivr.line.messages import AnsweredBy, LegState, MachineAfterAll, MachineReady
from ivr.pickup import Pickup

ANSWERED = LegState(1, "answered")
HUMAN, UNSURE = AnsweredBy(1, "human", "stopped", 900), AnsweredBy(1, "unsure", "silence", 4_000)
MACHINE, READY = AnsweredBy(1, "machine", "cadence", 3_600), MachineReady(1, "beep", 9_000)
AFTER_ALL = MachineAfterAll(1, "talks_on", 7_000)


@pytest.mark.parametrize(
    ("amd", "patient", "events", "said"),
    [
        (False, True, [ANSWERED], ["human"]),
        (True, True, [ANSWERED, HUMAN], [None, "human"]),
        (True, True, [ANSWERED, UNSURE], [None, "human"]),
        (True, True, [ANSWERED, MACHINE, READY], [None, None, "machine"]),
        (True, False, [ANSWERED, MACHINE], [None, "machine"]),
        (True, True, [ANSWERED, HUMAN, AFTER_ALL, READY], [None, "human", None, "machine"]),
        (True, False, [ANSWERED, HUMAN, AFTER_ALL], [None, "human", "machine"]),
    ],
)
def test_the_line_says_who_is_there(amd, patient, events, said):
    pickup = Pickup("en", amd, patient)
    assert [pickup.take(event) for event in events] == said


@pytest.mark.parametrize(
    ("language", "words", "who"),
    [
        ("en", "Please say your name and why you're calling.", "screening"),
        ("zh", "请说出您的姓名和来电原因", "screening"),
        ("en", "Please leave a message after the tone.", None),
        ("zh", "请在提示音后留言", None),
    ],
)
def test_an_assistant_says_what_it_is(language, words, who):
    assert Pickup(language, True, True).heard(words) == who
    assert Pickup(language, False, True).heard(words) is None


def test_the_verdict_is_kept_as_it_was_reached_last():
    pickup = Pickup("en", True, True)
    for event in (ANSWERED, HUMAN, AFTER_ALL):
        pickup.take(event)
    assert pickup.verdict == {"by": "machine", "cause": "talks_on", "at_ms": 7_000}
