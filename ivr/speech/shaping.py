"""Speech as a prompt file wants it: 16 kHz, no silence around it, one loudness, soft edges. Pure; any thread.

Levels are RMS of the active frames in dB under full scale. All voices and recordings are brought to the same level, as
loud as speech can be with its peaks under PEAK and little limiting.
"""

from __future__ import annotations

import numpy as np
import soxr

from ivr.speech import pcm

LEVEL_DBFS = -19.0
PEAK = 0.89  # -1 dBFS: room for the codec's own overshoot
LEAD_MS = 15
_FRAME = pcm.RATE_HZ // 100
_FLOOR_DB = 38.0  # a frame this far under the loudest one is silence
_FADE = pcm.RATE_HZ * 4 // 1_000
_LOOKAHEAD = pcm.RATE_HZ * 2 // 1_000


def shape(speech: bytes, rate_hz: int, gap_ms: int) -> bytes:
    """16-bit mono `speech` at `rate_hz` as 16 kHz PCM with `gap_ms` of silence after its last sound.

    Silence in gives silence of `gap_ms` out.
    """
    wave = pcm.to_wave(speech)
    if rate_hz != pcm.RATE_HZ and wave.size:
        wave = soxr.resample(wave, rate_hz, pcm.RATE_HZ)
    sound = _active(wave)
    if sound is None:
        return pcm.silence(gap_ms)
    first, last = sound
    lead = min(first, LEAD_MS * pcm.RATE_HZ // 1_000)
    tail = min(len(wave) - last, gap_ms * pcm.RATE_HZ // 1_000)
    wave = _limited(_levelled(wave[first - lead : last + tail] - float(np.mean(wave))))
    fade = min(_FADE, len(wave) // 2)
    ramp = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
    wave[:fade] *= ramp
    wave[len(wave) - fade :] *= ramp[::-1]
    return pcm.to_pcm(wave) + pcm.silence(gap_ms)[: 2 * (gap_ms * pcm.RATE_HZ // 1_000 - tail)]


def _powers(wave: np.ndarray) -> np.ndarray:
    whole = len(wave) // _FRAME * _FRAME
    return np.mean(np.square(wave[:whole].reshape(-1, _FRAME)), axis=1)


def _active(wave: np.ndarray) -> tuple[int, int] | None:
    """First and one past the last sample that belong to sound; None for silence."""
    powers = _powers(np.pad(wave, (0, -len(wave) % _FRAME)))
    if not powers.size or powers.max() < 1e-8:
        return None
    loud = np.flatnonzero(powers > powers.max() * 10 ** (-_FLOOR_DB / 10))
    return int(loud[0]) * _FRAME, min((int(loud[-1]) + 1) * _FRAME, len(wave))


def _levelled(wave: np.ndarray) -> np.ndarray:
    powers = _powers(np.pad(wave, (0, -len(wave) % _FRAME)))
    active = powers[powers > powers.max() * 10 ** (-25 / 10)]
    level = float(np.sqrt(active.mean())) if active.size else 0.0
    return wave * np.float32(10 ** (LEVEL_DBFS / 20) / max(level, 1e-4))


def _limited(wave: np.ndarray) -> np.ndarray:
    """Peaks above PEAK brought down by a gain that moves slowly enough not to be heard as distortion."""
    over = np.abs(wave)
    if not over.size or over.max() <= PEAK:
        return wave
    need = np.minimum(1.0, PEAK / np.maximum(over, 1e-9))
    window = 2 * _LOOKAHEAD + 1
    padded = np.pad(need, 2 * _LOOKAHEAD, constant_values=1.0)
    lowest = np.lib.stride_tricks.sliding_window_view(padded, window).min(axis=1)
    smooth = np.convolve(lowest, np.full(window, 1 / window), mode="valid")
    return (wave * smooth).astype(np.float32)
