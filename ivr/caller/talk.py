"""Who talks when: a far end's audio, frame by frame, as spells of talking and quiet.

Talking begins with the first of three 20 ms frames above an RMS of 120 with less than three quiet ones between them,
and ends after 15 quiet frames, counted from the first of those. A received frame's audio began 20 ms before it arrived;
a sent frame's ends 20 ms after it left. These are the definitions that turn gaps are measured by. Pure; times are
seconds of the monotonic clock as given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

LOUD_RMS = 120.0
SPEECH_RMS = 200.0
LOUD_FRAMES = 3
QUIET_FRAMES = 15
FRAME_S = 0.02


def rms(samples: np.ndarray) -> float:
    """Root mean square of int16 samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


@dataclass(frozen=True)
class Spell:
    """A change: `talking` or `quiet` since `at_s`, the beginning of the first frame that counts."""

    what: Literal["talking", "quiet"]
    at_s: float


@dataclass
class TalkDetector:
    """Feed it every received frame in order of arrival."""

    talking: bool = False
    last_loud_s: float | None = None
    spells: list[Spell] = field(default_factory=list)
    _loud: int = 0
    _quiet: int = 0
    _first_loud_s: float = 0.0
    _last_s: float | None = None

    def take(self, samples: np.ndarray, arrival_s: float) -> Spell | None:
        """One 20 ms frame that arrived at `arrival_s`; the change it makes certain, if any."""
        self._last_s = arrival_s
        return self._step(rms(samples) > LOUD_RMS, arrival_s)

    def idle(self, now_s: float) -> Spell | None:
        """No frame came for a while: silence counts on, 20 ms at a time."""
        while self._last_s is not None and now_s - self._last_s > 3 * FRAME_S:
            self._last_s += FRAME_S
            if (change := self._step(False, self._last_s)) is not None:
                return change
        return None

    def _step(self, loud: bool, at_s: float) -> Spell | None:
        if loud:
            self._loud += 1
            self._quiet = 0
            self.last_loud_s = at_s
            if self._loud == 1:
                self._first_loud_s = at_s - FRAME_S
            if self._loud == LOUD_FRAMES and not self.talking:
                self.talking = True
                return self._note("talking", self._first_loud_s)
            return None
        self._quiet += 1
        if self._quiet >= LOUD_FRAMES:
            self._loud = 0
        if self.talking and self._quiet == QUIET_FRAMES:
            self.talking = False
            return self._note("quiet", at_s - QUIET_FRAMES * FRAME_S)
        return None

    def _note(self, what: Literal["talking", "quiet"], at_s: float) -> Spell:
        spell = Spell(what, at_s)
        self.spells.append(spell)
        return spell


def trimmed(pcm: np.ndarray, frame: int = 160) -> np.ndarray:
    """`pcm` (8 kHz int16) without its silent tail, so that a gap counts from the last speech sample."""
    end = len(pcm)
    while end > frame and rms(pcm[end - frame : end]) < SPEECH_RMS:
        end -= frame
    return pcm[:end]
