"""The hearing bench's own instruments."""

from __future__ import annotations

import random

import numpy as np

from ivr.bench import hearing

RNG = np.random.default_rng(6)


def utterance() -> np.ndarray:
    """Half a second of noise at -20 dBFS between soft noise."""
    soft = RNG.standard_normal(4_000) * 5
    return np.concatenate((soft, RNG.standard_normal(4_000) * 3277, soft)).astype(np.float32)


def test_without_recordings_it_says_so(tmp_path, capsys):
    assert hearing.main(["--data", str(tmp_path)]) == 2
    assert "--data" in capsys.readouterr().out


def test_loud_frames_are_labelled_speech():
    voiced = hearing.label(utterance())
    assert voiced[25:50].all()
    assert not voiced[:24].any()
    assert hearing.extent(voiced) == (25, 49)


def test_lone_frames_are_not_the_extent_of_speech():
    voiced = np.zeros(50, bool)
    voiced[[3, 20, 21, 22, 23, 24, 40]] = True
    assert hearing.extent(voiced) == (20, 24)


def test_noise_is_mixed_at_the_ratio_asked_for():
    speech = hearing.Speech(utterance(), hearing.label(utterance()))
    added = hearing.mixed(speech, RNG.standard_normal(12_000), 10) - speech.audio
    assert abs(hearing.level_db(speech.audio[4_000:8_000]) - hearing.level_db(added) - 10) < 0.5


def test_a_pause_lengthens_an_utterance_by_300_to_900_ms():
    speech = np.concatenate((utterance()[4_000:8_000], utterance()[:400], utterance()[4_000:8_000]))
    longer = (len(hearing.with_pauses(speech, random.Random(1))) - len(speech)) / 8
    assert 300 <= longer <= 900


def test_g711_keeps_speech_within_its_noise():
    speech = utterance()
    assert hearing.level_db(hearing.g711(speech) - speech) < hearing.level_db(speech) - 30


def test_a_jumping_line_keeps_its_length():
    audio = utterance()
    line = hearing.EchoLine(-15, 50, jumps=True)
    assert len(hearing.returned(audio, line, RNG)) == len(audio)
