"""Log-mel features as Whisper was trained on (Radford et al. 2022, section 2.2), in numpy.

80 Slaney mel bands of a 25 ms Hann window every 10 ms, log10, clamped to 8 decades under the maximum, scaled.
Pure; any thread.
"""

from __future__ import annotations

import numpy as np

HOP = 160
_WINDOW = 400
_RATE_HZ = 16_000
_HANN = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


def _mel_filters(bands: int = 80) -> np.ndarray:
    """Slaney's mel scale: linear under 1 kHz, logarithmic above, each triangle of equal energy."""
    step_hz, knee_hz, log_step = 200.0 / 3, 1_000.0, np.log(6.4) / 27.0
    knee_mel = knee_hz / step_hz
    top_mel = knee_mel + np.log(_RATE_HZ / 2 / knee_hz) / log_step
    mels = np.linspace(0.0, top_mel, bands + 2)
    hz = np.where(mels < knee_mel, mels * step_hz, knee_hz * np.exp(log_step * (mels - knee_mel)))
    bins = np.fft.rfftfreq(_WINDOW, 1.0 / _RATE_HZ)
    slopes = hz[:, None] - bins[None, :]
    rising = -slopes[:-2] / np.diff(hz)[:-1, None]
    falling = slopes[2:] / np.diff(hz)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (hz[2:] - hz[:-2]))[:, None]).astype(np.float32)


# A larger product would wake the threads of the linear algebra library, which then spin for longer than it takes.
_ROWS = 16
_FILTERS = np.ascontiguousarray(_mel_filters().T)


def log_mel(wave: np.ndarray) -> np.ndarray:
    """Features of float32 samples at 16 kHz, shape (1, 80, len(wave) // 160). At least 201 samples are needed."""
    padded = np.pad(wave.astype(np.float32, copy=False), _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][: len(wave) // HOP]
    spectrum = np.fft.rfft(frames * _HANN, axis=-1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    bands = np.concatenate([power[i : i + _ROWS] @ _FILTERS for i in range(0, len(power), _ROWS)])
    mel = np.log10(np.maximum(bands, 1e-10))
    mel = (np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0
    return np.ascontiguousarray(mel.T[None].astype(np.float32))
