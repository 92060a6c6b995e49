"""EchoGate: our own prompt coming back, with and without a caller who talks over it."""

from __future__ import annotations

import io
import subprocess
import wave

import numpy as np
import pytest

from ivr.line.echo import EchoGate
from ivr.line.vad import SILENT_DB, Vad, WebrtcModel, level_db

RNG = np.random.default_rng(2)


def say(text: str, voice: str = "en") -> np.ndarray:
    """`espeak-ng` at 8 kHz, -20 dBFS."""
    made = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(made)) as sound:
        rate, samples = sound.getframerate(), np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    speech = np.interp(np.arange(0, len(samples) - 1, rate / 8_000), np.arange(len(samples)), samples)
    return speech * 3277 / np.sqrt(np.mean(speech**2))


@pytest.fixture(scope="module")
def prompt() -> np.ndarray:
    return say("Welcome to the bank. You can say account balance, lost card, or speak to an agent at any time.")


@pytest.fixture(scope="module")
def caller() -> np.ndarray:
    return say("I have lost my credit card", "en+f3")


def returned(played: np.ndarray, gain_db: float, delay_ms: int, hybrid: bool = False) -> np.ndarray:
    taps = np.ones(1)
    if hybrid:
        taps = np.random.default_rng(3).standard_normal(40) * np.exp(-np.arange(40) / 10)
        taps /= np.sqrt(taps @ taps)
    echo = np.convolve(played, taps) * 10 ** (gain_db / 20)
    late = np.concatenate((np.zeros(delay_ms * 8), echo))[: len(played)]
    return coded(late + RNG.standard_normal(len(played)) * 10)


def coded(samples: np.ndarray) -> np.ndarray:
    """mu-law and back."""
    x = samples / 32768
    code = np.round(np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) * 127)
    return np.sign(code) * (256 ** (np.abs(code) / 127) - 1) / 255 * 32768


def voiced(played: np.ndarray, captured: np.ndarray) -> list[bool]:
    gate, vad, told = EchoGate(), Vad(WebrtcModel(2)), []
    for at in range(0, len(played) - 159, 160):
        frame = captured[at : at + 160].astype(np.float32)
        rest, least = gate.process(frame, played[at : at + 160].astype(np.float32), vad.threshold_db)
        told.append(vad.voiced(rest, least))
    return told


def starts(told: list[bool]) -> list[int]:
    return [i for i in range(3, len(told)) if sum(told[i - 3 : i + 1]) >= 3]


@pytest.mark.parametrize("gain_db", [-15, -25])
@pytest.mark.parametrize("delay_ms", [50, 120, 250])
@pytest.mark.parametrize("hybrid", [False, True])
def test_an_echo_is_not_speech(prompt, gain_db, delay_ms, hybrid):
    echo = returned(prompt, gain_db, delay_ms, hybrid)
    assert not starts(voiced(prompt, echo))


def test_without_the_gate_it_would_be(prompt):
    vad = Vad(WebrtcModel(2))
    echo = returned(prompt, -15, 120).astype(np.float32)
    assert starts([vad.voiced(echo[i : i + 160]) for i in range(0, len(echo) - 159, 160)])


@pytest.mark.parametrize("gain_db", [-15, -25])
@pytest.mark.parametrize("at_frame", [30, 100])
@pytest.mark.parametrize(("softer_db", "within"), [(0, 8), (-6, 11)])
def test_a_caller_over_the_prompt_and_its_echo_is_heard(prompt, caller, gain_db, at_frame, softer_db, within):
    line = returned(prompt, gain_db, 120)
    at = at_frame * 160
    line[at : at + len(caller)] += caller * 10 ** (softer_db / 20)
    heard = starts(voiced(prompt, coded(line)))
    assert heard
    assert at_frame <= heard[0] <= at_frame + within


def test_a_caller_over_a_prompt_without_echo_is_heard(prompt, caller):
    line = RNG.standard_normal(len(prompt)) * 10
    line[8000 : 8000 + len(caller)] += caller
    assert 50 <= starts(voiced(prompt, line))[0] <= 58


def test_the_delay_is_found(prompt):
    gate = EchoGate()
    echo = returned(prompt, -15, 120)
    for at in range(0, 16_000, 160):
        gate.process(echo[at : at + 160].astype(np.float32), prompt[at : at + 160].astype(np.float32), -50.0)
    assert abs(gate.delay_ms - 120) <= 4


def test_another_delay_is_found_when_the_line_changes(prompt):
    first, then = returned(prompt, -15, 80), returned(prompt, -15, 200)
    line = np.concatenate((first, then))
    assert not starts(voiced(np.concatenate((prompt, prompt)), line))


@pytest.mark.parametrize("at_frame", [70, 93, 120, 151])
def test_a_jitter_buffer_that_runs_dry_is_no_caller(prompt, at_frame):
    echo, at = returned(prompt, -15, 120), at_frame * 160
    concealed = np.tile(echo[at - 160 : at], 3)
    assert not starts(voiced(prompt, np.concatenate((echo[:at], concealed, echo[at:]))))


def test_nothing_is_touched_while_nothing_plays(caller):
    gate = EchoGate()
    frame = caller[4000:4160].astype(np.float32)
    rest, least = gate.process(frame, np.zeros(160, np.float32), -50.0)
    assert rest is frame
    assert least == SILENT_DB


def test_what_is_left_of_an_echo_is_much_weaker(prompt):
    gate, before, after = EchoGate(), [], []
    echo = returned(prompt, -15, 120)
    for at in range(0, len(prompt) - 159, 160):
        frame = echo[at : at + 160].astype(np.float32)
        rest, _ = gate.process(frame, prompt[at : at + 160].astype(np.float32), -50.0)
        before.append(frame)
        after.append(rest)
    half = len(before) // 2
    assert level_db(np.concatenate(after[half:])) < level_db(np.concatenate(before[half:])) - 12
