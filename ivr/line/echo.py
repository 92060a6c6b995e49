"""Our own prompt coming back from the line, told apart from the caller.

The far end's hybrid or handset returns what we play, weaker and 20-450 ms late. While something plays (and shortly
after) captured audio is compared with what was played by normalised cross-correlation; a high peak at a plausible
gain gives the delay, a short least-squares filter around it gives the echo path, and what the path predicts is
subtracted, so that a caller who talks over the prompt is heard in the remainder (double talk).

Clocked by 8 kHz frames, pure, one per leg. Costs nothing while nothing plays, well under 1 ms a frame otherwise.
Method: correlation-based delay estimation and Wiener (least-squares) path, as in Benesty, Gänsler et al.,
"Advances in Network and Acoustic Echo Cancellation", ch. 1.
"""

from __future__ import annotations

import numpy as np

from ivr.line.messages import FRAME_MS
from ivr.line.vad import NARROW_HZ, NARROW_SAMPLES, SILENT_DB, level_db

MAX_DELAY_MS = 450
# How long after the last played sample an echo may still arrive.
TAIL_FRAMES = 500 // FRAME_MS
_WINDOW = 80 * NARROW_HZ // 1000
_FIT = 240 * NARROW_HZ // 1000
_MAX_LAG = MAX_DELAY_MS * NARROW_HZ // 1000
_TAPS = 32
_LEAD = 8
_FFT = 1 << (_MAX_LAG + 2 * _WINDOW).bit_length()
_QUIET = 30.0 * 30.0
# Peak of the normalised correlation above which a frame is our own voice: the first time, and at a known delay.
FIRST_PEAK = 0.72
KNOWN_PEAK = 0.5
MAX_GAIN = 0.7
# Filters are rarely perfect: this much of a predicted echo may remain and still be echo.
RESIDUAL_DB = -8.0


class EchoGate:
    """`process` takes one captured and one played frame and gives what is left of the former without our echo."""

    def __init__(self) -> None:
        history = _MAX_LAG + _FIT + _TAPS + NARROW_SAMPLES
        self._played = np.zeros(history, np.float32)
        self._captured = np.zeros(_FIT, np.float32)
        self._tail = 0
        self._lag = -1
        self._path = np.zeros(_TAPS, np.float32)
        self._since_fit = 0

    @property
    def delay_ms(self) -> int | None:
        """Delay of the echo path in use, None while none is known."""
        return self._lag * 1000 // NARROW_HZ if self._lag >= 0 else None

    def process(self, captured: np.ndarray, played: np.ndarray, gate_db: float) -> tuple[np.ndarray, float]:
        """(what the caller said, level in dB it must exceed to count). Frames of 160 float32 samples at 8 kHz.

        `gate_db` is the level below which nothing counts anyway.
        """
        if float(played @ played) > _QUIET:
            self._tail = TAIL_FRAMES
        elif not self._tail:
            return captured, SILENT_DB
        else:
            self._tail -= 1
        self._shift(captured, played)
        remainder, floor_db = self._subtract(captured)
        if level_db(remainder) <= max(gate_db, floor_db):
            return remainder, floor_db
        if self._find():
            refined, floor_db = self._subtract(captured)
            return refined, max(floor_db, level_db(captured) + RESIDUAL_DB)
        return remainder, floor_db

    def _shift(self, captured: np.ndarray, played: np.ndarray) -> None:
        n = NARROW_SAMPLES
        self._played[:-n] = self._played[n:]
        self._played[-n:] = played
        self._captured[:-n] = self._captured[n:]
        self._captured[-n:] = captured

    def _subtract(self, captured: np.ndarray) -> tuple[np.ndarray, float]:
        if self._lag < 0:
            return captured, SILENT_DB
        echo = np.convolve(self._source(NARROW_SAMPLES), self._path, "valid")
        return captured - echo, level_db(echo) + RESIDUAL_DB

    def _source(self, samples: int) -> np.ndarray:
        """What was played for the last `samples` captured, seen through the delay, with the filter's run-up."""
        end = len(self._played) - self._lag + _LEAD
        surplus = max(0, end - len(self._played))
        part = self._played[end - samples - _TAPS + 1 : end]
        return np.concatenate((part, np.zeros(surplus, np.float32))) if surplus else part

    def _find(self) -> bool:
        """Look for the echo in the last 80 ms; adopt its delay and fit its path. False when this is no echo."""
        y = np.diff(self._captured[-_WINDOW - 1 :])
        x = np.diff(self._played[-(_MAX_LAG + _WINDOW) - 1 :])
        power_y = float(y @ y)
        sums = np.concatenate(([0.0], np.cumsum(x.astype(np.float64) ** 2)))
        power_x = sums[_WINDOW:] - sums[:-_WINDOW]
        cross = np.fft.irfft(np.fft.rfft(x, _FFT) * np.conj(np.fft.rfft(y, _FFT)), _FFT)[: len(power_x)]
        usable = power_x > _WINDOW * 4.0
        ncc = np.where(usable, np.abs(cross) / np.sqrt(np.maximum(power_x, 1.0) * max(power_y, 1.0)), 0.0)
        best = int(np.argmax(ncc))
        lag = len(power_x) - 1 - best
        known = self._lag >= 0 and abs(lag - self._lag) <= 4
        if ncc[best] < (KNOWN_PEAK if known else FIRST_PEAK):
            return False
        if abs(float(cross[best])) / float(power_x[best]) > MAX_GAIN:
            return False
        if not known:
            self._lag = lag
        self._fit()
        return True

    def _fit(self) -> None:
        """Least-squares echo path over the audio at hand."""
        source = self._source(_FIT)
        rows = np.lib.stride_tricks.sliding_window_view(source, _TAPS)[:, ::-1]
        normal = rows.T @ rows
        normal[np.diag_indices(_TAPS)] += 1e-3 * np.trace(normal) / _TAPS + 1.0
        self._path = np.linalg.solve(normal, rows.T @ self._captured).astype(np.float32)
