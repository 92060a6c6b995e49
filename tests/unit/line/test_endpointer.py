"""Endpointer: a turn's speech and silence in 20 ms frames; v is a voiced frame, dot an unvoiced one."""

from __future__ import annotations

import pytest

from ivr.line.endpointer import Endpointer
from ivr.line.messages import (
    Audio,
    Listen,
    NoInput,
    SpeechEnded,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
)


class Ear:
    """Feeds patterns to an Endpointer; the n-th frame's audio is the number n."""

    def __init__(self, **turn) -> None:
        self.interrupts = 0
        self.answer = (False, True)
        self.endpointer = Endpointer(1, self._interrupt)
        self.count = 0
        self.audio: list[int] = []
        self.listen(**turn)

    def _interrupt(self) -> tuple[bool, bool]:
        self.interrupts += 1
        return self.answer

    def listen(self, turn: int = 1, **options) -> None:
        self.endpointer.listen(Listen(1, turn, **options))

    def hear(self, pattern: str, playing: bool = False) -> list:
        """Everything but Audio that this brings; Audio is kept in `audio`."""
        for mark in pattern:
            self.count += 1
            self.endpointer.push(self.count.to_bytes(4, "big"), mark == "v", playing, self.count * 20)
        return self.take()

    def take(self) -> list:
        seen, self.endpointer.events = list(self.endpointer.events), type(self.endpointer.events)()
        for event in seen:
            if isinstance(event, Audio):
                self.audio += [int.from_bytes(event.pcm[i : i + 4], "big") for i in range(0, len(event.pcm), 4)]
        return [e for e in seen if not isinstance(e, Audio)]


def test_speech_begins_after_60_ms_and_is_dated_back():
    ear = Ear()
    assert ear.hear("." * 20 + "vv") == []
    assert ear.hear("v") == [SpeechStarted(1, 1, 1, 400)]
    assert ear.interrupts == 1


@pytest.mark.parametrize("pattern", ["v", "vv", "v.v", "v..v..v..v", "vv..vv..vv"])
def test_clicks_and_crackle_begin_nothing(pattern):
    assert Ear().hear("." * 10 + pattern + "." * 10) == []


def test_one_lost_frame_does_not_hide_the_beginning():
    assert Ear().hear("." * 10 + "vv.v") == [SpeechStarted(1, 1, 1, 200)]


def test_audio_holds_300_ms_from_before_and_every_frame_in_order():
    ear = Ear(wait_ms=200)
    ear.hear("." * 30 + "v" * 10 + "." * 10)
    assert ear.audio == list(range(30 - 15 + 1, 50 + 1))


def test_audio_comes_in_pieces_of_at_most_60_ms():
    ear = Ear()
    ear.hear("." * 20 + "vvv")
    ear.endpointer.push(b"xxxx", True, False, 480)
    ear.endpointer.push(b"xxxx", True, False, 500)
    ear.endpointer.push(b"xxxx", True, False, 520)
    assert [len(e.pcm) // 4 for e in ear.endpointer.events] == [3]


def test_an_utterance_ends_after_the_wait_and_is_dated_back_to_its_last_voiced_frame():
    ear = Ear(wait_ms=300, pause_ms=160)
    ear.hear("." * 5)
    events = ear.hear("v" * 20 + "." * 15)
    assert events == [
        SpeechStarted(1, 1, 1, 100),
        SpeechPaused(1, 1, 500, 400),
        SpeechEnded(1, 1, 100, 500, 400, "endpoint"),
    ]


def test_everything_heard_is_sent_before_a_pause_is_told():
    ear = Ear(pause_ms=160)
    ear.hear("." * 5 + "v" * 20 + "." * 7)
    ear.endpointer.push((99).to_bytes(4, "big"), False, False, 33 * 20)
    kinds = [type(e).__name__ for e in ear.endpointer.events]
    assert kinds == ["Audio", "SpeechPaused"]
    ear.take()
    assert ear.audio[-1] == 99


def test_going_on_after_a_pause():
    ear = Ear(wait_ms=1000, pause_ms=160)
    ear.hear("v" * 10 + "." * 20)
    assert ear.hear("vv") == [SpeechResumed(1, 1, 600, 400)]
    assert ear.hear("." * 8) == [SpeechPaused(1, 1, 640, 240)]


def test_a_crackle_in_a_pause_is_not_going_on():
    ear = Ear(wait_ms=500, pause_ms=160)
    events = ear.hear("v" * 10 + "." * 10 + "v" + "." * 14)
    assert [type(e).__name__ for e in events] == ["SpeechStarted", "SpeechPaused", "SpeechEnded"]
    assert events[-1].end_ms == 200


def test_a_better_wait_takes_effect_at_once():
    ear = Ear(wait_ms=1000, pause_ms=160)
    ear.hear("v" * 10 + "." * 15)
    ear.endpointer.endpoint_wait(1, 260)
    assert ear.take() == [SpeechEnded(1, 1, 0, 200, 200, "endpoint")]


def test_a_longer_wait_is_kept_for_this_pause_only():
    ear = Ear(wait_ms=300, pause_ms=160)
    ear.hear("v" * 10 + "." * 10)
    ear.endpointer.endpoint_wait(1, 1000)
    assert ear.hear("." * 30) == []
    ear.hear("vv")
    events = ear.hear("." * 15)
    assert isinstance(events[-1], SpeechEnded)


def test_a_wait_that_comes_when_the_caller_has_gone_on_is_void():
    ear = Ear(wait_ms=600, pause_ms=160)
    ear.hear("v" * 10 + "." * 10 + "vv")
    ear.endpointer.endpoint_wait(1, 100)
    ear.take()
    assert [type(e).__name__ for e in ear.hear("." * 29)] == ["SpeechPaused"]


def test_a_wait_for_another_utterance_is_void():
    ear = Ear(wait_ms=600)
    ear.hear("v" * 10 + "." * 10)
    ear.endpointer.endpoint_wait(2, 100)
    assert ear.take() == []


def test_a_wait_does_not_cut_speech_that_is_just_coming_back():
    ear = Ear(wait_ms=1000, pause_ms=160)
    ear.hear("v" * 10 + "." * 15 + "v")
    ear.endpointer.endpoint_wait(1, 200)
    assert ear.take() == []
    assert ear.hear("v") == [SpeechResumed(1, 1, 500, 300)]


def test_endless_speech_ends_at_its_maximum_and_does_not_begin_again_without_a_gap():
    ear = Ear(max_speech_ms=2000, no_input_ms=0)
    events = ear.hear("v" * 400)
    assert [type(e).__name__ for e in events] == ["SpeechStarted", "SpeechEnded"]
    assert events[-1].reason == "max_speech"
    assert ear.hear("." * 5 + "vvv")[0].utterance == 2


def test_no_input_is_told_once():
    ear = Ear(no_input_ms=1000)
    assert ear.hear("." * 49) == []
    assert ear.hear(".") == [NoInput(1, 1)]
    assert ear.hear("." * 200) == []


def test_the_wait_for_input_begins_when_nothing_plays_any_more():
    ear = Ear(no_input_ms=1000)
    assert ear.hear("." * 100, playing=True) == []
    assert ear.hear("." * 49) == []
    assert ear.hear(".") == [NoInput(1, 1)]


def test_a_key_restarts_the_wait_for_input():
    ear = Ear(no_input_ms=1000)
    ear.hear("." * 40)
    ear.endpointer.key()
    assert ear.hear("." * 49) == []
    assert ear.hear(".") == [NoInput(1, 1)]


def test_speech_restarts_the_wait_for_input():
    ear = Ear(no_input_ms=1000, wait_ms=200)
    ear.hear("." * 40 + "v" * 10 + "." * 10)
    assert ear.hear("." * 49) == []
    assert ear.hear(".") == [NoInput(1, 1)]


def test_zero_waits_for_ever():
    assert Ear(no_input_ms=0).hear("." * 5000) == []


def test_a_prompt_that_was_paused_is_told_with_the_start():
    ear = Ear()
    ear.answer = (True, False)
    assert ear.hear("vvv", playing=True) == [SpeechStarted(1, 1, 1, 0, True, False)]


def test_a_new_turn_ends_the_utterance_of_the_old_one():
    ear = Ear()
    ear.hear("v" * 10)
    ear.listen(2)
    assert ear.take() == [SpeechEnded(1, 1, 0, 200, 200, "stopped")]
    assert ear.hear("v") == [SpeechStarted(1, 2, 2, 140)]


def test_nothing_is_heard_when_not_listening():
    ear = Ear()
    ear.endpointer.stop()
    assert ear.hear("v" * 50 + "." * 500) == []


def test_a_cut_ends_the_utterance_and_stays_in_the_turn():
    ear = Ear()
    ear.hear("v" * 10)
    ear.endpointer.cut()
    assert [type(e).__name__ for e in ear.take()] == ["SpeechEnded"]
    assert ear.endpointer.listening
    assert not ear.endpointer.running


def test_speaking_tells_the_present_frame():
    ear = Ear()
    ear.hear("vvv")
    assert ear.endpointer.speaking
    ear.hear(".")
    assert not ear.endpointer.speaking
    assert ear.endpointer.running
