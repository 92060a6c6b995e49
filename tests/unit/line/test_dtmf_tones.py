"""ToneDetector: sixteen keys, and what is not a key."""

from __future__ import annotations

import numpy as np
import pytest

from ivr.line.dtmf import HIGH_HZ, KEYS, LOW_HZ, ToneDetector

RNG = np.random.default_rng(4)


def tone(key: str, ms: int, level: float = 4000.0, twist_db: float = 0.0, off: float = 0.0) -> np.ndarray:
    row = next(i for i, keys in enumerate(KEYS) if key in keys)
    t = np.arange(ms * 8) / 8000
    low = np.sin(2 * np.pi * LOW_HZ[row] * (1 + off) * t)
    high = np.sin(2 * np.pi * HIGH_HZ[KEYS[row].index(key)] * (1 + off) * t)
    return level * (low + high * 10 ** (twist_db / 20))


def silence(ms: int) -> np.ndarray:
    return RNG.standard_normal(ms * 8) * 5


def keys(*pieces: np.ndarray) -> str:
    detector, audio = ToneDetector(), np.concatenate(pieces)
    frames = (audio[i : i + 160].astype(np.float32) for i in range(0, len(audio) - 159, 160))
    return "".join(detector.push(f).pressed for f in frames)


@pytest.mark.parametrize("key", "".join(KEYS))
def test_every_key_is_read_once(key):
    assert keys(silence(100), tone(key, 100), silence(100)) == key


def test_a_number_with_short_tones_and_gaps():
    pieces = [silence(70)]
    for key in "80012*#":
        pieces += [tone(key, 70), silence(70)]
    assert keys(*pieces) == "80012*#"


def test_a_key_held_for_long_counts_once():
    assert keys(silence(50), tone("5", 1500), silence(100)) == "5"


@pytest.mark.parametrize("twist_db", [-7, 3])
def test_twist_within_the_recommendation(twist_db):
    assert keys(silence(50), tone("9", 100, twist_db=twist_db), silence(60)) == "9"


def test_tolerated_frequency_offset():
    assert keys(silence(50), tone("1", 100, off=0.012), silence(60)) == "1"


@pytest.mark.parametrize(
    "sound",
    [
        tone("5", 20),
        tone("5", 300, twist_db=-20),
        4000 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000),
        RNG.standard_normal(8000) * 3000,
        tone("5", 300, level=30),
    ],
    ids=["too short", "one tone", "dial tone", "noise", "too soft"],
)
def test_what_is_no_key(sound):
    assert keys(silence(50), sound, silence(100)) == ""


def test_the_tone_itself_is_told_for_the_vad():
    detector = ToneDetector()
    audio = tone("7", 60).astype(np.float32)
    assert [detector.push(audio[i : i + 160]).present for i in (0, 160, 320)] == [True] * 3
