"""VAD: speech against silence, hum, noise and clicks, on audio made here."""

from __future__ import annotations

import io
import subprocess
import wave

import numpy as np
import pytest

from ivr.line.messages import FRAME_BYTES
from ivr.line.settings import LineSettings
from ivr.line.vad import LOWEST_DB, Decimator, NoiseGate, Vad, WebrtcModel, level_db, make_vad

RNG = np.random.default_rng(1)


@pytest.fixture(scope="module")
def sentence() -> np.ndarray:
    """`espeak-ng` at 16 kHz, -20 dBFS."""
    made = subprocess.run(["espeak-ng", "--stdout", "I lost my card yesterday"], check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(made)) as sound:
        rate, samples = sound.getframerate(), np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    at = np.arange(0, len(samples) - 1, rate / 16_000)
    speech = np.interp(at, np.arange(len(samples)), samples)
    return (speech * 3277 / np.sqrt(np.mean(speech**2))).clip(-32768, 32767)


def frames(samples: np.ndarray) -> list[bytes]:
    raw = samples.clip(-32768, 32767).astype(np.int16).tobytes()
    return [raw[i : i + FRAME_BYTES] for i in range(0, len(raw) - FRAME_BYTES + 1, FRAME_BYTES)]


def noise(seconds: float, level: float) -> np.ndarray:
    return RNG.standard_normal(int(16_000 * seconds)) * 32768 * 10 ** (level / 20)


def voiced(vad: Vad, samples: np.ndarray) -> list[bool]:
    narrow = Decimator()
    return [vad.voiced(narrow(f)) for f in frames(samples)]


def webrtc() -> Vad:
    return make_vad(LineSettings("x"))


def test_the_decimator_passes_the_telephone_band_and_stops_what_would_alias():
    t = np.arange(16_000) / 16_000
    narrow = Decimator(), Decimator()
    passed, stopped = (
        np.concatenate([n(f) for f in frames(8000 * np.sin(2 * np.pi * hz * t))])
        for n, hz in zip(narrow, (1000, 5500), strict=True)
    )
    assert abs(level_db(passed[1000:]) - level_db(8000 * np.sin(2 * np.pi * 1000 * t))) < 0.5
    assert level_db(stopped[1000:]) < level_db(passed[1000:]) - 40


def test_the_decimator_carries_its_state_over_frames():
    sine = 8000 * np.sin(2 * np.pi * 440 * np.arange(3200) / 16_000)
    narrow = np.concatenate([Decimator()(sine.astype(np.int16).tobytes())])
    in_frames = Decimator()
    assert np.allclose(narrow, np.concatenate([in_frames(f) for f in frames(sine)]), atol=0.5)


def test_level_of_silence_and_of_full_scale():
    assert level_db(np.zeros(160)) == -96.0
    assert abs(level_db(np.full(160, 32768.0))) < 0.01


@pytest.mark.parametrize("kind", ["webrtc", "silero"])
def test_a_sentence_is_speech_and_silence_is_not(kind, sentence):
    vad = make_vad(LineSettings("x", vad=kind))
    quiet = np.zeros(16_000)
    told = voiced(vad, np.concatenate((quiet, sentence, quiet)))
    speech = len(sentence) // 320
    assert not any(told[:49])
    assert sum(told[50 : 50 + speech]) > 0.7 * speech
    assert not any(told[-40:])


def test_speech_from_the_first_frame_is_heard(sentence):
    assert sum(voiced(webrtc(), sentence)[:20]) >= 12


def test_the_end_is_not_stretched_by_the_models_hangover(sentence):
    told = voiced(webrtc(), np.concatenate((sentence, noise(1, -75))))
    last = max(i for i, v in enumerate(told) if v)
    levels = [level_db(np.frombuffer(f, np.int16).astype(float)) for f in frames(sentence)]
    assert last <= max(i for i, level in enumerate(levels) if level > LOWEST_DB) + 1


@pytest.mark.parametrize("level", [-60, -50, -40])
def test_steady_noise_is_not_speech_once_the_floor_is_known(level):
    told = voiced(webrtc(), noise(6, level))
    assert sum(told[150:]) <= 3


def test_mains_hum_is_not_speech():
    t = np.arange(6 * 16_000) / 16_000
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in (1, 3, 5)) * 32768 * 10 ** (-35 / 20)
    assert sum(voiced(webrtc(), hum)[150:]) == 0


def test_speech_over_noise_is_still_speech(sentence):
    told = voiced(
        webrtc(), np.concatenate((noise(3, -42), sentence + noise(len(sentence) / 16_000, -42)[: len(sentence)]))
    )
    assert sum(told[150:]) > 0.5 * (len(told) - 150)


def test_the_floor_follows_the_line_both_ways():
    gate = NoiseGate()
    for level in [-45.0] * 300:
        gate.open(level)
    high = gate.threshold_db
    for level in [-75.0] * 300:
        gate.open(level)
    assert high > -40
    assert gate.threshold_db == LOWEST_DB


def test_the_floor_is_not_raised_by_somebody_who_talks_without_a_breath():
    gate = NoiseGate()
    assert all(gate.open(-20.0) for _ in range(1000))


def test_an_echo_floor_keeps_a_frame_out(sentence):
    vad = Vad(WebrtcModel(2))
    narrow = Decimator()
    assert not any(vad.voiced(narrow(f), at_least_db=-5.0) for f in frames(sentence))


def test_silero_frames_do_not_depend_on_its_window(sentence):
    vad = make_vad(LineSettings("x", vad="silero"))
    assert len(voiced(vad, sentence)) == len(sentence) // 320
