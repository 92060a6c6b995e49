"""Our own prompt coming back from the line, told apart from the caller.

The far end's hybrid or handset returns what we play, weaker and 20-450 ms late. While something plays (and shortly
after), whatever is loud enough to be speech is compared with what was played: peaks of the normalised correlation
propose delays, a least-squares filter at each says how much of the last 240 ms the playout explains. Enough of it, at
a plausible gain, is echo, and the filter becomes the echo path: what it predicts is subtracted from then on, so that
a caller who talks over the prompt is heard in the remainder (double talk).

Clocked by 8 kHz frames, pure, one per leg. Costs next to nothing while the line is quiet or the path holds.
Methods: J. Benesty, T. Gaensler et al., "Advances in Network and Acoustic Echo Cancellation" (2001), ch. 1-2; the
hybrids are those of ITU-T G.168.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ivr.line.messages import FRAME_MS
from ivr.line.vad import NARROW_HZ, NARROW_SAMPLES, SILENT_DB, level_db

MAX_DELAY_MS = 450
# How long after the last played sample an echo may still arrive.
TAIL_FRAMES = 500 // FRAME_MS
# Share of the captured power that the playout must explain. Over the first 80 ms of 80 talkers and as many echoes:
# talkers at most 0.84 (p98 0.67), echoes at least 0.90.
EXPLAINED = 0.87
# Norm of an echo path; a louder one is somebody else.
MAX_GAIN = 0.7
# Of a predicted echo so much may remain and still be echo.
RESIDUAL_DB = -8.0
# Share that a known path, only shifted, must explain of the last 40 or 80 ms after a jump of the delay.
SHIFT_EXPLAINED = 0.7
# So much may remain of the newest frame then and still be echo.
SHIFTED_DB = -5.0
# On a line that is known to return us, something no louder than its echo gets so long to prove that it is not: a
# jitter buffer that has just run dry repeats and shifts what it has, and fits no path for a moment.
DOUBT_FRAMES = 5
DOUBT_DB = 1.0
_PEAK = 0.3
_EMPHASIS = 0.8
_CANDIDATES = 3
_WINDOW = 80 * NARROW_HZ // 1000
_FIT = 240 * NARROW_HZ // 1000
_MAX_LAG = MAX_DELAY_MS * NARROW_HZ // 1000
_TAPS = 64
_LEAD = 16
# At least _MAX_LAG + _WINDOW, so that no lag looked at wraps around, and a product of small primes.
_FFT = 4_320
_LEVELS = MAX_DELAY_MS // FRAME_MS + 3
_QUIET = NARROW_SAMPLES * 10.0**2
_TOEPLITZ = np.abs(np.subtract.outer(np.arange(_TAPS), np.arange(_TAPS)))


class EchoGate:
    """`process` takes one captured and one played frame and gives what is left of the former without our echo."""

    def __init__(self) -> None:
        self._played = np.zeros(_MAX_LAG + _FIT + _TAPS + NARROW_SAMPLES, np.float32)
        self._captured = np.zeros(_FIT + 1, np.float32)
        self._tail = 0
        self._lag = -1
        self._path = np.zeros(_TAPS, np.float32)
        self._levels: deque[float] = deque([SILENT_DB] * _LEVELS, maxlen=_LEVELS)
        self._doubt = 0

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
            self._doubt = max(0, self._doubt - 1)
            return remainder, floor_db
        allowed_db = self._find()
        if allowed_db is not None:
            remainder, floor_db = self._subtract(captured)
            if level_db(remainder) <= level_db(captured) + allowed_db:
                self._doubt = max(0, self._doubt - 1)
                return remainder, level_db(remainder)
        if self._doubtful(captured):
            self._doubt += 1
            return remainder, level_db(remainder)
        return remainder, floor_db

    def _doubtful(self, captured: np.ndarray) -> bool:
        """Whether this may yet turn out to be an echo that no path explains at the moment."""
        if self._lag < 0 or self._doubt >= DOUBT_FRAMES:
            return False
        gain_db = 10 * np.log10(max(float(self._path @ self._path), 1e-9))
        return level_db(captured) <= max(self._levels) + gain_db + DOUBT_DB

    def _shift(self, captured: np.ndarray, played: np.ndarray) -> None:
        n = NARROW_SAMPLES
        self._played[:-n] = self._played[n:].copy()
        self._played[-n:] = played
        self._captured[:-n] = self._captured[n:].copy()
        self._captured[-n:] = captured
        self._levels.append(level_db(played))

    def _subtract(self, captured: np.ndarray) -> tuple[np.ndarray, float]:
        if self._lag < 0:
            return captured, SILENT_DB
        echo = np.convolve(self._source(self._lag, NARROW_SAMPLES), self._path, "valid")
        remainder = captured - echo
        if float(remainder @ remainder) > float(captured @ captured):
            return captured, SILENT_DB
        return remainder, level_db(echo) + RESIDUAL_DB

    def _source(self, lag: int, samples: int) -> np.ndarray:
        """What was played for the last `samples` captured, seen through a delay, with the filter's run-up."""
        end = len(self._played) - lag + _LEAD
        surplus = max(0, end - len(self._played))
        part = self._played[end - samples - _TAPS + 1 : end]
        return np.concatenate((part, np.zeros(surplus, np.float32))) if surplus else part

    def _find(self) -> float | None:
        """Adopt the delay and path that explain what was just captured; how much may then remain of it, in dB.

        None when nothing explains it: this is no echo.
        """
        if self._lag >= 0 and self._adopt(self._lag):
            return RESIDUAL_DB
        candidates = self._candidates()
        if any(self._adopt(lag) for lag in candidates):
            return RESIDUAL_DB
        if self._lag >= 0 and any(self._shifted(lag) for lag in candidates):
            return SHIFTED_DB
        return None

    def _shifted(self, lag: int) -> bool:
        """Keep the path, change its delay to `lag`, if that explains the newest audio."""
        for samples in (_WINDOW // 2, _WINDOW):
            heard = self._captured[-samples:]
            rest = heard - np.convolve(self._source(lag, samples), self._path, "valid")
            if float(rest @ rest) <= (1.0 - SHIFT_EXPLAINED) * float(heard @ heard):
                self._lag = lag
                return True
        return False

    def _candidates(self) -> list[int]:
        """Delays at which the last 80 ms look most like what was played, best first."""
        y = _emphasised(self._captured[-_WINDOW - 1 :])
        x = _emphasised(self._played[-(_MAX_LAG + _WINDOW) - 1 :])
        sums = np.concatenate(([0.0], np.cumsum(x.astype(np.float64) ** 2)))
        power = sums[_WINDOW:] - sums[:-_WINDOW]
        cross = np.fft.irfft(np.fft.rfft(x, _FFT) * np.conj(np.fft.rfft(y, _FFT)), _FFT)[: len(power)]
        norm = np.sqrt(np.maximum(power, _WINDOW * 4.0) * max(float(y @ y), 1.0))
        likeness = np.abs(cross) / norm
        found = []
        for _ in range(_CANDIDATES):
            best = int(np.argmax(likeness))
            if likeness[best] < _PEAK:
                break
            found.append(len(power) - 1 - best)
            likeness[max(0, best - _TAPS // 2) : best + _TAPS // 2] = 0.0
        return found

    def _adopt(self, lag: int) -> bool:
        """Fit a path at `lag` by least squares (autocorrelation method, pre-emphasis to whiten)."""
        played, heard = self._source(lag, _FIT + 1), self._captured
        x, y = _emphasised(played), _emphasised(heard)
        power = float(heard @ heard)
        late = x[_TAPS - 1 :]
        own = np.correlate(x, late, "valid")[::-1]
        cross = np.correlate(x, y, "valid")[::-1]
        if power < 1.0 or own[0] < 1.0:
            return False
        normal = own[_TOEPLITZ]
        normal[np.diag_indices(_TAPS)] *= 1.001
        path = np.linalg.solve(normal, cross)
        rest = heard - np.convolve(played, path, "valid")
        if 1.0 - float(rest @ rest) / power < EXPLAINED or float(path @ path) > MAX_GAIN**2:
            return False
        self._lag, self._path = lag, path.astype(np.float32)
        return True


def _emphasised(samples: np.ndarray) -> np.ndarray:
    """Pre-emphasis, which whitens speech somewhat; one sample shorter."""
    return samples[1:] - _EMPHASIS * samples[:-1]
