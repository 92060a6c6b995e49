"""Playout: what leaves for the caller, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from ivr.line.messages import FRAME_BYTES, PlayoutEnded, PlayoutPaused, PlayoutResumed, PlayoutStarted, Segment
from ivr.line.playout import MAX_SEGMENTS, SILENCE, Playout, Sound


def sound(frames: float, value: int = 1000, **rules) -> Sound:
    samples = np.full(int(frames * FRAME_BYTES / 2), value, np.int16)
    return Sound(samples.tobytes(), Segment("x.wav", **rules))


def ramp(frames: int, **rules) -> Sound:
    """Samples that count up, so that a gap or a repetition shows."""
    return Sound(np.arange(frames * FRAME_BYTES // 2, dtype=np.int16).tobytes(), Segment("x.wav", **rules))


class Clock:
    """Takes frames from a playout, as the media clock does."""

    def __init__(self, playout: Playout) -> None:
        self.playout = playout
        self.frames: list[bytes] = []

    def tick(self, count: int = 1) -> np.ndarray:
        new = [self.playout.next_frame(20 * (len(self.frames) + i)) for i in range(count)]
        self.frames += new
        assert all(len(f) == FRAME_BYTES for f in new)
        return np.frombuffer(b"".join(new), np.int16)


def names(playout: Playout) -> list[str]:
    return [type(e).__name__ for e in playout.events]


def test_an_idle_playout_is_silent_and_says_nothing():
    playout = Playout(1)
    assert Clock(playout).tick(3).any() == np.False_
    assert not playout.events


def test_a_prompt_starts_plays_and_ends_with_what_was_heard():
    playout = Playout(3)
    playout.play(7, [sound(5)])
    clock = Clock(playout)
    assert (clock.tick(5) == 1000).all()
    assert [PlayoutStarted(3, 7, 0), PlayoutEnded(3, 7, 100, "finished")] == list(playout.events)
    assert not clock.tick().any()


def test_segments_follow_each_other_without_a_gap():
    playout = Playout(1)
    playout.play(1, [sound(2.5, 10), sound(1.25, 20), sound(0.05, 30), sound(1.2, 40)])
    heard = Clock(playout).tick(6)
    expected = np.repeat([10, 20, 30, 40], [800, 400, 16, 384])
    assert (heard[: len(expected)] == expected).all()
    assert playout.events[-1] == PlayoutEnded(1, 1, 100, "finished")


def test_appended_segments_join_to_the_sample():
    playout = Playout(1)
    playout.play(1, [sound(2, 10)], more=True)
    clock = Clock(playout)
    clock.tick(1)
    playout.play(1, [sound(2, 20)], append=True)
    assert (clock.tick(3) == np.repeat([10, 20, 20], 320)).all()
    assert playout.events[-1] == PlayoutEnded(1, 1, 80, "finished")


def test_running_dry_while_more_is_promised_is_a_gap_and_is_counted():
    playout = Playout(1)
    playout.play(1, [sound(1)], more=True)
    clock = Clock(playout)
    clock.tick(4)
    assert playout.open
    playout.play(1, [sound(1)], append=True)
    clock.tick(2)
    assert playout.events[-1] == PlayoutEnded(1, 1, 40, "finished", 60)


def test_an_empty_closing_append_ends_an_open_playout():
    playout = Playout(1)
    playout.play(1, [sound(1)], more=True)
    clock = Clock(playout)
    clock.tick(3)
    playout.play(1, [], append=True)
    assert playout.events[-1] == PlayoutEnded(1, 1, 20, "finished", 40)


def test_appending_to_a_playout_that_is_over_does_nothing():
    playout = Playout(1)
    playout.play(4, [sound(3)], more=True)
    Clock(playout).tick()
    playout.stop("barge_in")
    playout.events.clear()
    playout.play(4, [sound(3)], append=True)
    assert not playout.open
    assert not playout.events


def test_a_new_playout_replaces_the_old_one():
    playout = Playout(1)
    playout.play(1, [sound(10, 10)])
    clock = Clock(playout)
    clock.tick(2)
    playout.play(2, [sound(1, 20)])
    assert playout.events[-1] == PlayoutEnded(1, 1, 40, "replaced")
    assert (clock.tick() == 20).all()


def test_a_pause_fades_within_10_ms_and_resumes_one_frame_back():
    playout = Playout(1)
    playout.play(1, [ramp(20)])
    clock = Clock(playout)
    clock.tick(10)
    assert playout.pause(600)
    fading = clock.tick()
    assert fading[:160].any()
    assert not fading[160:].any()
    assert not clock.tick(3).any()
    assert playout.resume()
    clock.tick()
    assert clock.tick()[0] == 10 * 320
    _, paused, resumed = playout.events
    assert (paused, resumed) == (PlayoutPaused(1, 1, 200), PlayoutResumed(1, 1, 180))


def test_without_a_verdict_it_resumes_by_itself():
    playout = Playout(1)
    playout.play(1, [sound(20)])
    clock = Clock(playout)
    clock.tick(5)
    playout.pause(600)
    clock.tick(1 + 29)
    assert playout.paused
    clock.tick(1)
    assert not playout.paused
    assert clock.tick(1).any()
    assert names(playout) == ["PlayoutStarted", "PlayoutPaused", "PlayoutResumed"]


def test_every_sample_leaves_in_spite_of_pauses():
    playout = Playout(1)
    playout.play(1, [ramp(12)])
    clock = Clock(playout)
    for at in (3, 4):
        clock.tick(at)
        playout.pause(60)
        clock.tick(5)
        playout.resume()
    clock.tick(20)
    left = np.frombuffer(b"".join(clock.frames), np.int16)
    assert set(range(12 * 320)) <= set(left.tolist())
    assert playout.events[-1] == PlayoutEnded(1, 1, 240, "finished")


def test_a_verdict_of_barge_in_ends_a_paused_prompt_for_good():
    playout = Playout(1)
    playout.play(1, [sound(20)])
    clock = Clock(playout)
    clock.tick(5)
    playout.pause(600)
    clock.tick(2)
    playout.stop("barge_in")
    assert not clock.tick(50).any()
    assert playout.events[-1] == PlayoutEnded(1, 1, 100, "barge_in")


def test_stopping_in_the_middle_fades_out():
    playout = Playout(1)
    playout.play(1, [sound(20, 8000)])
    clock = Clock(playout)
    clock.tick(3)
    playout.stop("key")
    tail = clock.tick()
    assert 7000 < tail[0] <= 8000
    assert not tail[160:].any()
    assert not clock.tick().any()


@pytest.mark.parametrize(
    ("rules", "speech", "key"),
    [
        ({}, True, True),
        ({"barge_in": "key"}, False, True),
        ({"barge_in": "none"}, False, False),
        ({"protected_ms": 1000}, False, False),
        ({"protected_ms": 20}, True, True),
    ],
)
def test_what_may_interrupt_a_segment(rules, speech, key):
    playout = Playout(1)
    playout.play(1, [sound(100, **rules)])
    Clock(playout).tick(2)
    assert (playout.interruptible("speech"), playout.interruptible("key")) == (speech, key)
    assert playout.pause(600) == speech


def test_the_rules_are_those_of_the_segment_under_way():
    playout = Playout(1)
    playout.play(1, [sound(2, barge_in="none", asks=False), sound(2, asks=True)])
    clock = Clock(playout)
    assert (playout.interruptible("speech"), playout.asks) == (False, False)
    clock.tick(2)
    assert (playout.interruptible("speech"), playout.asks) == (True, True)


def test_speech_in_the_gap_before_the_next_sentence_may_pause_it():
    playout = Playout(1)
    playout.play(1, [sound(1)], more=True)
    clock = Clock(playout)
    clock.tick(3)
    assert playout.pause(600)
    clock.tick(2)
    playout.play(1, [sound(3)], append=True)
    assert not clock.tick().any()
    playout.resume()
    clock.tick(3)
    assert playout.events[-1] == PlayoutEnded(1, 1, 80, "finished", 40)


def test_gain_makes_it_softer():
    playout = Playout(1)
    playout.play(1, [sound(2, 10_000)], gain_db=-20)
    assert (Clock(playout).tick(2) == 1000).all()


def test_the_queue_is_bounded():
    playout = Playout(1)
    playout.play(1, [sound(1)] * (MAX_SEGMENTS + 50))
    Clock(playout).tick(MAX_SEGMENTS)
    assert playout.events[-1] == PlayoutEnded(1, 1, MAX_SEGMENTS * 20, "finished")


def test_silence_is_one_frame():
    assert len(SILENCE) == FRAME_BYTES
