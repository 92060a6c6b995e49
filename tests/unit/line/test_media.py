"""LegMedia without a native port: the test is the media clock and the hearing thread."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import threading
import wave
import weakref
from pathlib import Path

import numpy as np
import pytest

from ivr.line import messages as m
from ivr.line.dtmf import HIGH_HZ, LOW_HZ
from ivr.line.media import RING_FRAMES, Hearing, LegMedia
from ivr.line.settings import Amd, LineSettings

SETTINGS = LineSettings("x")


@pytest.fixture(scope="session")
def voice() -> list[bytes]:
    """A spoken sentence as 16 kHz frames, loud from the first one."""
    made = subprocess.run(["espeak-ng", "--stdout", "I have lost my card"], check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(made)) as sound:
        rate, samples = sound.getframerate(), np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    at = np.arange(0, len(samples) - 1, rate / 16_000)
    speech = np.interp(at, np.arange(len(samples)), samples).astype(np.int16)
    speech = speech[np.flatnonzero(np.abs(speech) > 1000)[0] :]
    raw = speech.tobytes()
    return [raw[i : i + m.FRAME_BYTES] for i in range(0, len(raw) - m.FRAME_BYTES + 1, m.FRAME_BYTES)]


class Call:
    """A leg, clocked by hand."""

    def __init__(self, tmp_path: Path, **options) -> None:
        self.path = tmp_path
        self.events: list[m.Event] = []
        self.media = LegMedia(1, SETTINGS, self.events.append, **options)
        self.heard: list[bytes] = []
        self.quiet = np.random.default_rng(1)

    def prompt(self, frames: int, name: str = "p", value: int = 0, **rules) -> m.Segment:
        path = self.path / f"{name}.wav"
        samples = np.full(frames * 320, value, np.int16) if value else np.arange(frames * 320, dtype=np.int16)
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 16_000, 0, "NONE", ""))
            sound.writeframes(samples.tobytes())
        return m.Segment(str(path), **rules)

    def play(self, *segments: m.Segment, playout: int = 1, **options) -> None:
        self.media.play(m.Play(1, playout, segments, **options))

    def listen(self, **options) -> None:
        self.media.listen(m.Listen(1, 1, **options))

    def run(self, said: list[bytes] | int) -> None:
        """The caller says these frames, or nothing for so many."""
        if isinstance(said, int):
            said = [(self.quiet.standard_normal(320) * 8).astype(np.int16).tobytes() for _ in range(said)]
        for frame in said:
            self.heard.append(self.media.requested())
            self.media.captured(frame)
            self.media.hear()

    def names(self) -> list[str]:
        return [type(e).__name__ for e in self.events if not isinstance(e, m.Audio)]

    def of(self, kind: type) -> list:
        return [e for e in self.events if isinstance(e, kind)]


@pytest.fixture
def call(tmp_path) -> Call:
    return Call(tmp_path)


def test_a_prompt_is_played_and_told(call):
    call.play(call.prompt(10))
    call.run(12)
    assert b"".join(call.heard[:10]) == np.arange(3200, dtype=np.int16).tobytes()
    assert call.events == [m.PlayoutStarted(1, 1, 0), m.PlayoutEnded(1, 1, 200, "finished")]


def test_a_caller_who_speaks_pauses_the_prompt_at_once(call, voice):
    call.play(call.prompt(500, value=3, asks=False))
    call.listen()
    call.run(50)
    call.run(voice[:6])
    started, paused = call.of(m.SpeechStarted)[0], call.of(m.PlayoutPaused)[0]
    assert started.paused
    assert not started.asks
    assert 1000 <= started.at_ms <= 1040
    assert paused.heard_ms <= 1120
    call.run(voice[6:8])
    assert not any(call.heard[-1])


def test_the_start_of_speech_is_told_before_its_audio_and_the_pause(call, voice):
    call.play(call.prompt(500, value=3))
    call.listen()
    call.run(30)
    call.run(voice[:6])
    kinds = [type(e).__name__ for e in call.events]
    assert kinds[1:4] == ["SpeechStarted", "Audio", "PlayoutPaused"]


def test_a_committed_barge_in_ends_the_prompt(call, voice):
    call.play(call.prompt(500, value=3))
    call.listen()
    call.run(30)
    call.run(voice[:20])
    call.media.barge_in(m.BargeIn(1, 1, True))
    call.run(voice[20:30])
    assert call.of(m.PlayoutEnded)[0].reason == "barge_in"
    assert not any(b"".join(call.heard[-10:]))


def test_a_barge_in_taken_back_resumes_where_it_stopped(call, voice):
    call.play(call.prompt(500))
    call.listen()
    call.run(30)
    call.run(voice[:10])
    call.media.barge_in(m.BargeIn(1, 1, False))
    call.run(5)
    paused, resumed = call.of(m.PlayoutPaused)[0], call.of(m.PlayoutResumed)[0]
    assert resumed.heard_ms == paused.heard_ms - 20
    assert np.frombuffer(call.heard[-1], np.int16)[0] == (resumed.heard_ms // 20 + 4) * 320


def test_without_a_verdict_the_prompt_goes_on_and_the_same_utterance_does_not_pause_it_again(call, voice):
    call.play(call.prompt(500, value=3))
    call.listen(verdict_ms=200)
    call.run(30)
    call.run((voice * 3)[:80])
    assert call.names().count("PlayoutPaused") == 1
    assert call.names().count("PlayoutResumed") == 1
    assert any(call.heard[-1])


def test_a_late_commit_stops_it_all_the_same(call, voice):
    call.play(call.prompt(500, value=3))
    call.listen(verdict_ms=200)
    call.run(30)
    call.run(voice[:40])
    call.media.barge_in(m.BargeIn(1, 1, True))
    call.run(1)
    assert call.of(m.PlayoutEnded)[0].reason == "barge_in"


def test_a_verdict_does_not_touch_the_next_playout(call, voice):
    call.play(call.prompt(500, value=3))
    call.listen()
    call.run(30)
    call.run(voice[:10])
    call.play(call.prompt(100, "q", value=4), playout=2)
    call.media.barge_in(m.BargeIn(1, 1, True))
    call.run(3)
    assert [e.reason for e in call.of(m.PlayoutEnded)] == ["replaced"]
    assert any(call.heard[-1])


@pytest.mark.parametrize("rules", [{"barge_in": "key"}, {"barge_in": "none"}])
def test_speech_does_not_pause_what_it_may_not_interrupt_but_is_heard(call, voice, rules):
    call.play(call.prompt(500, value=3, **rules))
    call.listen()
    call.run(30)
    call.run(voice[:20])
    call.media.barge_in(m.BargeIn(1, 1, True))
    call.run(2)
    assert call.of(m.SpeechStarted)[0].paused is False
    assert "PlayoutPaused" not in call.names()
    assert "PlayoutEnded" not in call.names()


def test_speech_that_outlasts_the_protected_beginning_pauses_then(call, voice):
    call.play(call.prompt(500, value=3, protected_ms=600))
    call.listen()
    call.run(15)
    call.run((voice * 2)[:60])
    assert call.of(m.SpeechStarted)[0].paused is False
    assert call.of(m.PlayoutPaused)[0].heard_ms >= 600


def test_a_key_interrupts_and_restarts_the_wait_for_input(call):
    call.play(call.prompt(500, value=3, barge_in="key"))
    call.listen(no_input_ms=1000)
    call.run(30)
    call.media.dtmf("5", "rfc4733")
    call.run(40)
    call.media.dtmf("6", "info")
    call.run(49)
    assert call.names() == ["PlayoutStarted", "Dtmf", "PlayoutEnded", "Dtmf"]
    assert call.of(m.Dtmf) == [m.Dtmf(1, "5", 600, "rfc4733"), m.Dtmf(1, "6", 1400, "info")]
    assert call.of(m.PlayoutEnded)[0].reason == "key"
    call.run(1)
    assert call.names()[-1] == "NoInput"


def test_a_key_does_not_interrupt_what_nothing_may(call):
    call.play(call.prompt(100, value=3, barge_in="none"))
    call.run(10)
    call.media.dtmf("5", "rfc4733")
    call.run(10)
    assert "PlayoutEnded" not in call.names()


def test_the_prompt_coming_back_is_not_a_caller(call, tmp_path, voice):
    path = tmp_path / "spoken.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(b"".join(voice * 3))
    call.play(m.Segment(str(path)))
    call.listen()
    for _ in range(len(voice) * 3):
        echo = call.heard[-8] if len(call.heard) >= 8 else bytes(m.FRAME_BYTES)
        call.run([(np.frombuffer(echo, np.int16) * 0.178).astype(np.int16).tobytes()])
    call.run(40)
    assert call.names() == ["PlayoutStarted", "PlayoutEnded"]


def test_an_utterance_from_start_to_end(call, voice):
    call.listen(wait_ms=400)
    call.run(20)
    call.run(voice)
    call.run(30)
    assert call.names()[0] == "SpeechStarted"
    assert call.names()[-1] == "SpeechEnded"
    start, end = call.of(m.SpeechStarted)[0], call.of(m.SpeechEnded)[0]
    assert end.start_ms == start.at_ms
    audio = b"".join(e.pcm for e in call.of(m.Audio))
    assert b"".join(voice) in audio
    assert len(audio) % m.FRAME_BYTES == 0


def test_on_hold_nothing_plays_on_and_nothing_is_heard(call, voice):
    call.play(call.prompt(100, value=3))
    call.listen()
    call.run(10)
    call.media.hold(True)
    call.run(voice[:30])
    assert not any(b"".join(call.heard[10:]))
    assert "SpeechStarted" not in call.names()
    call.media.hold(False)
    call.run(89)
    assert "PlayoutEnded" not in call.names()
    call.run(2)
    assert call.of(m.PlayoutEnded)[0].heard_ms == 2000


def test_hold_ends_an_utterance(call, voice):
    call.listen()
    call.run(20)
    call.run(voice[:20])
    call.media.hold(True)
    call.run(1)
    assert call.of(m.SpeechEnded)[0].reason == "stopped"


def test_closing_says_what_is_left_to_say_and_nothing_more(call, voice):
    call.play(call.prompt(500, value=3))
    call.listen()
    call.run(20)
    call.run(voice[:10])
    call.media.close("hangup")
    assert call.names()[-2:] == ["SpeechEnded", "PlayoutEnded"]
    assert call.of(m.PlayoutEnded)[0].reason == "hangup"
    said = len(call.events)
    call.media.close("hangup")
    call.run(voice[:10])
    assert len(call.events) == said


def test_a_closed_leg_is_freed_at_once_without_the_collector(call):
    call.listen()
    call.play(call.prompt(5))
    call.run(3)
    gone = weakref.ref(call.media)
    gc.disable()
    try:
        call.media.close("hangup")
        call.media = None
        assert gone() is None
    finally:
        gc.enable()


def test_a_missing_prompt_is_a_failure_and_the_rest_plays(call):
    call.play(m.Segment("/nowhere/a.wav"), call.prompt(5, value=3))
    call.run(6)
    assert call.names() == ["Failure", "PlayoutStarted", "PlayoutEnded"]
    assert call.of(m.Failure)[0].leg == 1


def test_a_playout_of_missing_prompts_ends_at_once(call):
    call.play(m.Segment("/nowhere/a.wav"))
    call.run(1)
    assert call.of(m.PlayoutEnded) == [m.PlayoutEnded(1, 1, 0, "finished")]


def test_the_apology_replaces_everything_and_cannot_be_interrupted(call, voice):
    call.play(call.prompt(500, value=3))
    call.listen()
    call.run(20)
    assert call.media.say_apology(call.prompt(100, "sorry", value=9).path) == 2000
    call.run(voice[:20])
    call.media.dtmf("1", "rfc4733")
    call.run(2)
    assert np.frombuffer(call.heard[-1], np.int16)[0] == 9
    assert call.media.say_apology("/nowhere.wav") == 0


def test_a_recording_holds_both_sides_and_its_mute(call, voice, tmp_path):
    path = tmp_path / "rec" / "1.wav"
    call.media.record(m.Record(1, str(path)))
    call.play(call.prompt(500, value=3000))
    call.run(voice[:20])
    call.media.mute(m.Mute(1, True))
    call.run(voice[:20])
    call.media.close("hangup")
    with wave.open(str(path)) as sound:
        stereo = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2)
    assert len(stereo) == 40 * 160
    assert np.abs(stereo[:3200, 0]).max() > 1000
    assert abs(int(np.median(stereo[:3200, 1])) - 3000) < 5
    assert not stereo[3200:].any()


def test_a_recording_of_a_bridged_leg_has_the_other_one_on_the_right(call, voice, tmp_path):
    other = Call(tmp_path)
    path = tmp_path / "1.wav"
    call.media.record(m.Record(1, str(path)))
    call.media.bridged_to(other.media)
    for frame in voice[:20]:
        other.run([frame])
        call.run(1)
    call.media.close("hangup")
    with wave.open(str(path)) as sound:
        stereo = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2)
    assert np.abs(stereo[:, 1]).max() > 1000
    assert np.abs(stereo[:, 0]).max() < 200


def test_a_recording_that_cannot_be_written_is_a_failure(call):
    call.media.record(m.Record(1, "/proc/nowhere/1.wav"))
    assert call.names() == ["Failure"]


def tone(key_row: int, key_column: int, frames: int) -> list[bytes]:
    t = np.arange(frames * 320) / 16_000
    samples = 3000 * (np.sin(2 * np.pi * LOW_HZ[key_row] * t) + np.sin(2 * np.pi * HIGH_HZ[key_column] * t))
    raw = samples.astype(np.int16).tobytes()
    return [raw[i : i + m.FRAME_BYTES] for i in range(0, len(raw), m.FRAME_BYTES)]


def test_tones_in_band_are_keys_only_for_peers_that_send_them_so(tmp_path):
    for inband, keys in ((True, ["5"]), (False, [])):
        call = Call(tmp_path, inband_dtmf=inband)
        call.listen()
        call.run(30)
        call.run(tone(1, 1, 6))
        call.run(10)
        assert [e.digit for e in call.of(m.Dtmf)] == keys
        assert "SpeechStarted" not in call.names()


class FakeLink:
    def __init__(self) -> None:
        self.incoming: list[bytes] = []
        self.sent: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)


def test_a_patched_leg_sends_what_it_hears_and_hears_what_comes(call, voice):
    from collections import deque

    link = FakeLink()
    link.incoming = deque([voice[0], voice[1]])
    call.media.patch_opened(link)
    call.run(voice[5:8])
    assert link.sent == voice[5:8]
    assert call.heard[:2] == [voice[0], voice[1]]
    assert not any(call.heard[2])
    call.media.patch_closed(link)
    call.run(voice[:1])
    assert len(link.sent) == 3


def test_a_hearing_thread_that_falls_behind_loses_the_oldest_but_not_the_time(call, voice):
    call.listen(no_input_ms=0)
    for _ in range(RING_FRAMES + 30):
        call.media.captured(bytes(m.FRAME_BYTES))
    call.media.hear()
    assert call.media.lost_frames == 30
    call.run(voice[:4])
    assert call.of(m.SpeechStarted)[0].at_ms >= (RING_FRAMES + 30) * 20


def test_a_frame_that_comes_while_the_hearing_thread_wakes_does_not_keep_it_asleep_for_ever(monkeypatch):
    """Two legs' clocks: a wake-up in the middle of the last one's end was lost, and then all of them."""
    woken, read = threading.Semaphore(0), os.eventfd_read
    hearing = Hearing(SETTINGS, lambda _: None)
    wakes = []

    class Leg:
        def connect(self, wake, _patches):
            wakes.append(wake)

        def hear(self):
            pass

    def crossed(event):
        wakes[0]()
        read(event)
        wakes[0]()
        woken.release()

    monkeypatch.setattr(os, "eventfd_read", crossed)
    hearing.add(Leg())
    hearing.start()
    try:
        wakes[0]()
        assert woken.acquire(timeout=5)
        wakes[0]()
        assert woken.acquire(timeout=5), "it slept through a frame"
    finally:
        hearing.stop()


def who(call: Call) -> list[tuple[str, str]]:
    kinds = (m.AnsweredBy, m.MachineAfterAll, m.MachineReady)
    return [(type(e).__name__, e.cause) for e in call.events if isinstance(e, kinds)]


def test_who_answered_is_told_once_asked_for_and_turns_hear_the_same(call, voice):
    call.run(voice)
    call.listen(no_input_ms=0)
    call.media.watch(Amd(), early=False)
    call.run(15)
    call.run(voice)
    call.run(80)
    assert who(call) == [("AnsweredBy", "stopped")]
    assert len(call.of(m.SpeechStarted)) == 1
    assert call.of(m.AnsweredBy)[0].at_ms == pytest.approx(20 * (15 + len(voice)) + 1_200, abs=800)


@pytest.mark.parametrize(("early", "cause"), [(True, "silence"), (False, "stopped")])
def test_the_end_of_early_media_says_nothing_of_who_answered(call, voice, early, cause):
    """What the jitter buffer still holds when the answer comes."""
    call.run(voice[:20])
    call.media.watch(Amd(), early)
    call.run(voice[20:29])
    call.run(220)
    assert who(call) == [("AnsweredBy", cause)]


def test_our_own_prompt_that_comes_back_is_no_machine_that_talks_on(call, voice):
    """A person on a line that returns us: they have said a word, and all that follows is our echo."""
    call.media.watch(Amd(), early=False)
    call.run(15)
    call.run(voice[:25])
    call.run(40)
    path = call.path / "ours.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(b"".join(voice) * 6)
    call.play(m.Segment(str(path)))
    for _ in range(6 * len(voice)):
        echo = call.heard[-8] if len(call.heard) >= 8 else bytes(m.FRAME_BYTES)
        call.run([(np.frombuffer(echo, np.int16) * 0.5).astype(np.int16).tobytes()])
    assert who(call) == [("AnsweredBy", "stopped")]


def test_keys_are_no_speech_of_who_answered(call):
    call.media.watch(Amd(), early=False)
    for _ in range(4):
        call.run(tone(0, 0, 10))
        call.run(30)
    call.run(50)
    assert who(call) == [("AnsweredBy", "silence")]


def test_a_bridged_leg_is_not_watched_any_more(call, voice):
    call.media.watch(Amd(), early=False)
    call.media.bridged_to(None)
    call.run(voice)
    call.run(250)
    assert who(call) == []
