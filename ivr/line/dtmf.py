"""Touch tones in the audio (ITU-T Q.23, Q.24): one low and one high tone of about equal strength and little else.

Clocked by 20 ms frames at 8 kHz, pure. Used to read keys of peers that send them in band, and to keep tones from
passing for speech.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ivr.line.vad import NARROW_HZ, NARROW_SAMPLES

LOW_HZ = (697, 770, 852, 941)
HIGH_HZ = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
# Q.24: tones of 40 ms must be accepted, so two frames decide; a key ends after as much silence.
PRESS_FRAMES = 2
RELEASE_FRAMES = 2
MIN_POWER = 100.0**2
# Share of the frame's power in the two tones; speech rarely exceeds a half.
PURITY = 0.75
# High group at most 4 dB above, 8 dB below the low group.
TWIST = (10 ** (-8 / 10), 10 ** (4 / 10))


@dataclass(frozen=True)
class Tone:
    """`present`: the frame is a touch tone. `pressed`: a key newly pressed, once per press, else empty."""

    present: bool = False
    pressed: str = ""


_NONE = Tone()


class ToneDetector:
    """Correlates each frame with the eight tones (Goertzel's sums as one matrix product)."""

    _BASIS = np.exp(2j * np.pi * np.outer(np.array(LOW_HZ + HIGH_HZ) / NARROW_HZ, np.arange(NARROW_SAMPLES))).astype(
        np.complex64
    )

    def __init__(self) -> None:
        self._key = ""
        self._run = 0
        self._absent = RELEASE_FRAMES
        self._held = ""

    def push(self, samples: np.ndarray) -> Tone:
        """One frame: 160 samples at 8 kHz in the 16-bit range."""
        key = self._key_of(samples)
        if not key:
            self._absent += 1
            self._run = 0
            if self._absent >= RELEASE_FRAMES:
                self._held = ""
            return _NONE
        self._absent = 0
        self._run = self._run + 1 if key == self._key else 1
        self._key = key
        if self._run >= PRESS_FRAMES and key != self._held:
            self._held = key
            return Tone(True, key)
        return Tone(True)

    def _key_of(self, samples: np.ndarray) -> str:
        power = float(samples @ samples) / NARROW_SAMPLES
        if power < MIN_POWER:
            return ""
        # A sine of amplitude A gives |sum| = A N / 2, and has the power A^2 / 2.
        tones = 2.0 * (np.abs(self._BASIS @ samples) / NARROW_SAMPLES) ** 2
        low, high = int(np.argmax(tones[:4])), int(np.argmax(tones[4:]))
        low_power, high_power = float(tones[low]), float(tones[4 + high])
        if low_power + high_power < PURITY * power:
            return ""
        if not TWIST[0] <= high_power / max(low_power, 1e-9) <= TWIST[1]:
            return ""
        return KEYS[low][high]
