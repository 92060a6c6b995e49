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
    pickup = Pickup(amd, patient)
    assert [pickup.take(event) for event in events] == said


SCREENING = ["Hi, the person you are calling is using a screening service. Say your name, and why you are calling.",
             "您好，我是机主的电话助理，请问您是哪位，有什么事？"]  # fmt: skip


@pytest.mark.parametrize("words", SCREENING)
def test_a_machine_that_asks_who_calls_is_an_assistant_however_late_it_says_so(words):
    early, late = Pickup(True, True), Pickup(True, True)
    assert [early.take(ANSWERED), early.heard(words), early.take(MACHINE)] == [None, None, "screening"]
    assert [late.take(ANSWERED), late.take(MACHINE), late.heard(words)] == [None, None, "screening"]


@pytest.mark.parametrize("words", ["Please leave a message after the tone.", "请在提示音之后留言。"])
def test_a_mailbox_is_no_assistant_and_neither_is_a_person_who_asks(words):
    mailbox, person = Pickup(True, True), Pickup(True, True)
    assert [mailbox.take(MACHINE), mailbox.heard(words), mailbox.take(READY)] == [None, None, "machine"]
    assert [person.heard(SCREENING[0]), person.take(HUMAN)] == [None, "human"]


def test_the_verdict_is_kept_as_it_was_reached_last():
    pickup = Pickup(True, True)
    for event in (ANSWERED, HUMAN, AFTER_ALL):
        pickup.take(event)
    assert pickup.verdict == {"by": "machine", "cause": "talks_on", "at_ms": 7_000}
