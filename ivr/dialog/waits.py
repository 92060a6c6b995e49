"""How long to wait for more: the end-of-speech wait from what was heard so far and from this caller's own pauses.

VoiceXML's two timers (completetimeout, incompletetimeout; VoiceXML 2.0, appendix D) with a third between them
that adapts to the caller. Pure; all values in ms of audio.
"""

from __future__ import annotations

from dataclasses import dataclass

from ivr.config import Hearing
from ivr.turn import Expectation, Understood

_DECAY = 0.2
_HEADROOM = 1.4


@dataclass
class Pauses:
    """How long this caller pauses inside utterances: the longest pause, slowly forgotten; 0 while none was heard."""

    longest_ms: float = 0.0

    def heard(self, silence_ms: int) -> None:
        """They paused for `silence_ms` and went on."""
        self.longest_ms = max(silence_ms, self.longest_ms + (silence_ms - self.longest_ms) * _DECAY)


def wait_ms(hearing: Hearing, expectation: Expectation, understood: Understood | None, pauses: Pauses) -> int:
    """The wait after the present pause began. None: nothing is known (yet)."""
    if understood is None:
        return hearing.wait_ms
    if understood.partial:
        return hearing.partial_ms
    if understood.complete:
        if expectation.kind != "open":
            return hearing.complete_ms
        return min(hearing.wait_ms, max(hearing.finished_ms, round(pauses.longest_ms * _HEADROOM)))
    return min(hearing.partial_ms, max(hearing.wait_ms, round(pauses.longest_ms * _HEADROOM)))
