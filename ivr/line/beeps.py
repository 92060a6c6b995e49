"""Beeps of answering machines in the audio: one steady tone of 400-2,000 Hz for 100 ms or more, then something else.

Clocked by 20 ms frames at 8 kHz, pure. What only resembles a beep is told apart: touch tones and American ringing are
two tones, a ringing or busy tone comes before anybody has spoken, fax machines answer at 2,100 Hz and call at 1,100 Hz,
special information tones follow one another at once. Knows nothing of speech.
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
LONGEST_BEEP_MS = 2_000
# A beep is over when so much of something else has followed, and that is softer by so much: a machine that has beeped
# listens, a note of music is followed by the next one. A click or a lost packet is shorter, and three frames of four
# must be the tone.
AFTER_FRAMES = 60 // FRAME_MS
AFTER_DB = 6.0
LEAST_SHARE = 0.75
# ITU-T E.182: dial, ringing and busy tones of one frequency lie here (425 Hz in Europe, 450 Hz in China).
PROGRESS_HZ = (380.0, 500.0)
# The pairs of other countries lie here: 440 and 480, 480 and 620, 350 and 440, 400 and 450 Hz. No voice keeps so much
# of its power there for so long.
_PAIR_LOW_HZ, _PAIR_HIGH_HZ = 330.0, 660.0
PAIR_SHARE = 0.95
PAIR_FRAMES = 300 // FRAME_MS
# ITU-T T.30: what a fax machine answers, and what one sends that calls, 0.5 s +-15 % long.
FAX_HZ = (2_050.0, 2_150.0)
CALLING_HZ, CALLING_MS = (1_062.0, 1_138.0), (420, 580)
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

    @property
    def lasts_ms(self) -> int:
        return (self.end - self.begin) * FRAME_MS


class Beeps:
    """Feed it every frame since the answer."""

    _WINDOW = np.hanning(_SAMPLES + 2)[1:-1].astype(np.float32)
    _HZ = np.fft.rfftfreq(_SIZE, 1 / _RATE_HZ)
    _BAND = (_HZ >= _LOW_HZ) & (_HZ <= _HIGH_HZ)
    _PAIR = (_HZ >= _PAIR_LOW_HZ) & (_HZ <= _PAIR_HIGH_HZ)

    def __init__(self) -> None:
        self._now = 0
        self._run: list[tuple[float, float]] = []
        self._begin = self._end = 0
        self._single = self._paired = 0
        self._over: _Run | None = None

    @property
    def frames(self) -> int:
        """How many frames a tone, or a pair that tells the progress of a call, has lasted; 0 when there is none now."""
        return max(self._single, self._paired if self._paired >= PAIR_FRAMES else 0)

    @property
    def sounding(self) -> bool:
        """A tone long enough for a beep lasts, or it is not yet certain what it was."""
        return len(self._run) >= BEEP_FRAMES or self._over is not None

    def push(self, samples: np.ndarray, spoken: bool) -> Tone | None:
        """One frame of 160 float32 samples in the 16-bit range; a tone that is certain to be over, if any.

        spoken: somebody has spoken in this call, so that a low tone is no ringing.
        """
        level_db = 10 * float(np.log10(max(1.0, float(samples @ samples) / len(samples))))
        hz, paired = self._measured(samples) if level_db >= LOWEST_DB else (0.0, False)
        self._now += 1
        self._paired = self._paired + 1 if paired else 0
        other = hz and self._run and abs(hz - self._run[-1][0]) > STEADY_HZ
        if other or (not hz and self._run and self._now - self._end >= AFTER_FRAMES):
            self._close()
        self._single = 0 if not hz else 1 if other else self._single + 1
        if hz:
            self._begin = self._begin if self._run else self._now - 1
            self._run.append((hz, level_db))
            self._end = self._now
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
        long = len(self._run) >= max(BEEP_FRAMES, LEAST_SHARE * (self._end - self._begin))
        if long and max(inner) - min(inner) <= STEADY_DB and max(pitch) - min(pitch) <= STEADY_HZ / 2:
            follows = self._over is not None and self._begin - self._over.end < AFTER_FRAMES
            row = self._over.row + 1 if self._over is not None and follows else 1
            self._over = _Run(float(np.median(pitch)), min(inner), self._begin, self._end, row)
        self._run = []

    def _measured(self, samples: np.ndarray) -> tuple[float, bool]:
        """Frequency of a frame that is one tone, 0 of any other; whether it may be a pair of a call's progress."""
        spectrum = np.abs(np.fft.rfft(samples * self._WINDOW, _SIZE)) ** 2
        top, power = int(np.argmax(spectrum)), float(spectrum.sum())
        paired = bool(spectrum[self._PAIR].sum() >= PAIR_SHARE * power)
        purity = VOWEL_PURITY if self._HZ[top] < VOWEL_HZ else PURITY
        if not self._BAND[top] or spectrum[max(0, top - _LOBE) : top + _LOBE + 1].sum() < purity * power:
            return 0.0, paired
        left, middle, right = np.log(spectrum[top - 1 : top + 2] + 1e-9)
        shift = (left - right) / (2 * (left - 2 * middle + right))
        return float((top + shift) * _RATE_HZ / _SIZE), paired


def _kind(run: _Run, spoken: bool) -> Kind:
    if run.row >= INFORMATION_TONES:
        return "information"
    calling = CALLING_HZ[0] <= run.hz <= CALLING_HZ[1] and CALLING_MS[0] <= run.lasts_ms <= CALLING_MS[1]
    if FAX_HZ[0] <= run.hz <= FAX_HZ[1] or (calling and not spoken):
        return "fax"
    if PROGRESS_HZ[0] <= run.hz <= PROGRESS_HZ[1] and not spoken:
        return "progress"
    return "long" if run.lasts_ms > LONGEST_BEEP_MS else "beep"
