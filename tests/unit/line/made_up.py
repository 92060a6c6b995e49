"""Made-up sound on a line, and what the detector of answering machines says of it."""

from __future__ import annotations

import numpy as np

from ivr.line.amd import Detector, Verdict
from ivr.line.settings import Amd

RATE_HZ = 8_000
FRAME = 160


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(RATE_HZ * seconds))


def speech(seconds: float, peak: float = 6_000.0, syllables_per_s: float = 3.0) -> np.ndarray:
    """A buzz at 130 Hz that dips between syllables, as voices do."""
    at = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * 130 * k * at) / k for k in range(1, 20))
    envelope = np.clip(3 * (np.abs(np.sin(np.pi * syllables_per_s * at)) - 0.4), 0.03, 1.0)
    return peak * envelope * voice / 2


def tone(seconds: float, *hz: float, peak: float = 5_000.0) -> np.ndarray:
    at = np.arange(int(RATE_HZ * seconds)) / RATE_HZ
    return sum(peak * np.sin(2 * np.pi * one * at) for one in hz)


def hiss(pcm: np.ndarray, rms: float, seed: int = 1) -> np.ndarray:
    return pcm + rms * np.random.default_rng(seed).standard_normal(len(pcm))


def frames(*parts: np.ndarray) -> np.ndarray:
    pcm = np.clip(np.concatenate(parts), -32_768, 32_767)
    return pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)


def verdicts(*parts: np.ndarray, noise: float = 3.0, **settings: float) -> list[Verdict]:
    detector = Detector(Amd(**settings))
    return [v for frame in frames(hiss(np.concatenate(parts), noise)) if (v := detector.push(frame)) is not None]


def told(found: list[Verdict]) -> list[tuple[str, str]]:
    return [(v.verdict, v.cause) for v in found]


GREETING = (speech(1.4), silence(0.4), speech(2.2), silence(0.5), speech(3.0))
