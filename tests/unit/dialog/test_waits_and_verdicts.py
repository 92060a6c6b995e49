"""How long to wait for more, and what speech over a prompt means."""

import pytest

from ivr.config import Hearing
from ivr.dialog import barge_in, waits
from ivr.turn import Expectation, Hypothesis, Understood

HEARING = Hearing()
OPEN, YES_NO = Expectation("open", "en"), Expectation("yes_no", "en")
NOTHING = Hypothesis("", rejected="no_speech")


def understood(**fields) -> Understood:
    return Understood(Hypothesis("words", 0.9), **fields)


def test_a_complete_answer_is_waited_for_least_and_a_partial_one_most():
    """Complete, unknown and partial are in that order."""
    pauses = waits.Pauses()
    complete, unknown, partial = (
        waits.wait_ms(HEARING, YES_NO, u, pauses) for u in (understood(complete=True), None, understood(partial=True))
    )
    assert (complete, unknown, partial) == (HEARING.complete_ms, HEARING.wait_ms, HEARING.partial_ms)


def test_the_wait_of_open_questions_grows_with_the_callers_own_pauses():
    """Somebody who pauses for long in sentences is given longer; yes and no are not."""
    pauses = waits.Pauses()
    for _ in range(5):
        pauses.heard(800)
    slow = waits.wait_ms(HEARING, OPEN, understood(complete=True), pauses)
    assert HEARING.finished_ms < slow <= HEARING.wait_ms
    assert waits.wait_ms(HEARING, YES_NO, understood(complete=True), pauses) == HEARING.complete_ms


@pytest.mark.parametrize("pause_ms", [0, 100, 900, 10_000])
def test_waits_stay_between_the_configured_ends(pause_ms):
    """No caller, however slow, moves a wait beyond `partial_ms`."""
    pauses = waits.Pauses()
    pauses.heard(pause_ms)
    for what in (None, understood(), understood(complete=True), understood(partial=True)):
        assert HEARING.complete_ms <= waits.wait_ms(HEARING, OPEN, what, pauses) <= HEARING.partial_ms


def test_a_cough_over_a_prompt_lets_it_go_on():
    """200 ms of sound is neither long nor a word."""
    assert barge_in.while_speaking(200, True, None, "en") == "wait"
    assert barge_in.when_spoken(Understood(NOTHING), 200, True, "en") == "resume"


def test_long_speech_over_a_prompt_interrupts_it():
    """Nobody coughs for half a second in a row, and "all right" and 好的 are over after six tenths."""
    assert barge_in.while_speaking(500, True, None, "en") == "commit"
    assert barge_in.while_speaking(600, False, None, "zh") == "wait"
    assert barge_in.while_speaking(640, False, None, "zh") == "commit"


@pytest.mark.parametrize(("word", "language"), [("okay", "en"), ("嗯", "zh"), ("네", "ko")])
def test_a_back_channel_counts_only_where_something_was_asked(word, language):
    """Okay over a statement is listening; over a question it is an answer."""
    said = Understood(Hypothesis(word, 0.9), value="yes")
    assert barge_in.when_spoken(said, 300, False, language) == "resume"
    assert barge_in.when_spoken(said, 300, True, language) == "commit"


def test_a_short_answer_to_a_question_is_never_dropped():
    """A yes of 150 ms is a yes."""
    assert barge_in.when_spoken(understood(value="yes"), 150, True, "en") == "commit"
