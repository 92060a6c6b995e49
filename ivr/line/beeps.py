"""Beeps of answering machines in the audio: one steady tone of 400-2,000 Hz for 100 ms or more, then something else.

Clocked by 20 ms frames at 8 kHz, pure. What only resembles a beep is told apart: touch tones and ringing are two tones,
a ringing or busy tone comes before anybody has spoken, fax answers are long and at 2,100 Hz, special information tones
follow one another at once. Knows nothing of speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ivr.line.messages import FRAME_MS

_RATE_HZ = 8_000
_SAMPLES = _RATE_HZ * FRAME_MS // 1000
_SIZE = 512
_LOW_HZ, _HIGH_HZ = 380.0, 2_200.0
# Half the main lobe of a Hann window of 20 ms.
_LOBE = int(100 / _RATE_HZ * _SIZE)
# Share of the power in one lobe. A tone 12 dB above white noise has 0.95 of it.
PURITY = 0.85
# A vowel of a low voice comes to 0.91 for 120 ms, at the pitch of its first formant.
VOWEL_HZ, VOWEL_PURITY = 600.0, 0.95
# Of an RMS of 1 in the 16-bit range.
LOWEST_DB = 40.0
# A tone keeps its level, and its pitch from frame to frame and, within half as much, from beginning to end; a vowel
# does not, and two tones beat.
STEADY_HZ = 25.0
STEADY_DB = 2.0
BEEP_FRAMES = 100 // FRAME_MS
LONGEST_BEEP_FRAMES = 2_000 // FRAME_MS
# A beep is over when so much of something else has followed, and that is softer by so much: a machine that has beeped
# listens, a note of music is followed by the next one.
AFTER_FRAMES = 60 // FRAME_MS
AFTER_DB = 6.0
# ITU-T E.182: dial, ringing and busy tones of one frequency lie here (425 Hz in Europe, 450 Hz in China).
PROGRESS_HZ = (380.0, 500.0)
FAX_HZ = (2_050.0, 2_150.0)
# ITU-T E.180: three tones of 950, 1,400 and 1,800 Hz, each right behind the other.
INFORMATION_TONES = 3


Kind = Literal["beep", "progress", "fax", "information", "long"]


@dataclass(frozen=True)
class Tone:
    """A tone that is over: a `beep`; `progress` (ringing, busy); `fax`; `information` (number unobtainable); `long`."""

    kind: Kind
    hz: float
    begin_ms: int
    end_ms: int


@dataclass(frozen=True)
class _Run:
    """A tone from frame `begin` to behind `end`; the `row`th of tones that follow each other at once."""

    hz: float
    level_db: float
    begin: int
    end: int
    row: int


class Beeps:
    """Feed it every frame since the answer."""

    _WINDOW = np.hanning(_SAMPLES + 2)[1:-1].astype(np.float32)
    _HZ = np.fft.rfftfreq(_SIZE, 1 / _RATE_HZ)
    _BAND = (_HZ >= _LOW_HZ) & (_HZ <= _HIGH_HZ)

    def __init__(self) -> None:
        self._now = 0
        self._run: list[tuple[float, float]] = []
        self._over: _Run | None = None

    @property
    def frames(self) -> int:
        """How many frames the present tone has lasted; 0 when the last frame is none."""
        return len(self._run)

    @property
    def sounding(self) -> bool:
        """A tone long enough for a beep lasts, or it is not yet certain what it was."""
        return len(self._run) >= BEEP_FRAMES or self._over is not None

    def push(self, samples: np.ndarray, spoken: bool) -> Tone | None:
        """One frame of 160 float32 samples in the 16-bit range; a tone that is certain to be over, if any.

        spoken: somebody has spoken in this call, so that a low tone is no ringing.
        """
        level_db = 10 * float(np.log10(max(1.0, float(samples @ samples) / len(samples))))
        hz = self._pure(samples) if level_db >= LOWEST_DB else 0.0
        if not hz or (self._run and abs(hz - self._run[-1][0]) > STEADY_HZ):
            self._close()
        self._now += 1
        if hz:
            self._run.append((hz, level_db))
        if self._over is None or self._run or self._now - self._over.end < AFTER_FRAMES:
            return None
        run, self._over = self._over, None
        if run.level_db - level_db < AFTER_DB:
            return None
        return Tone(_kind(run, spoken), run.hz, run.begin * FRAME_MS, run.end * FRAME_MS)

    def _close(self) -> None:
        """The present tone is over: keep it if it was long and steady enough."""
        # The first and the last frame may hold only a part of it.
        inner = [level_db for _, level_db in self._run[1:-1]]
        pitch = [hz for hz, _ in self._run[1:-1]]
        long = len(self._run) >= BEEP_FRAMES
        if long and max(inner) - min(inner) <= STEADY_DB and max(pitch) - min(pitch) <= STEADY_HZ / 2:
            begin = self._now - len(self._run)
            follows = self._over is not None and begin - self._over.end < AFTER_FRAMES
            row = self._over.row + 1 if self._over is not None and follows else 1
            self._over = _Run(float(np.median(pitch)), min(inner), begin, self._now, row)
        self._run = []

    def _pure(self, samples: np.ndarray) -> float:
        """Frequency of a frame that is one tone; 0 of any other."""
        spectrum = np.abs(np.fft.rfft(samples * self._WINDOW, _SIZE)) ** 2
        top = int(np.argmax(spectrum))
        if not self._BAND[top]:
            return 0.0
        purity = VOWEL_PURITY if self._HZ[top] < VOWEL_HZ else PURITY
        if spectrum[max(0, top - _LOBE) : top + _LOBE + 1].sum() < purity * spectrum.sum():
            return 0.0
        left, middle, right = np.log(spectrum[top - 1 : top + 2] + 1e-9)
        shift = (left - right) / (2 * (left - 2 * middle + right))
        return float((top + shift) * _RATE_HZ / _SIZE)


def _kind(run: _Run, spoken: bool) -> Kind:
    if run.row >= INFORMATION_TONES:
        return "information"
    if FAX_HZ[0] <= run.hz <= FAX_HZ[1]:
        return "fax"
    if PROGRESS_HZ[0] <= run.hz <= PROGRESS_HZ[1] and not spoken:
        return "progress"
    return "long" if run.end - run.begin > LONGEST_BEEP_FRAMES else "beep"
