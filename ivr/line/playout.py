"""What a leg hears from us: a queue of decoded prompts cut into 20 ms frames, paused and resumed to the sample.

Pure: it is clocked by `next_frame`, one call every 20 ms, and holds no thread, lock or file. The owner serialises the
calls (media clock: `next_frame`; hearing and SIP threads: everything else) and drains `events`.
Knows nothing of WAV files, SIP or speech detection.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ivr.line.messages import (
    FRAME_BYTES,
    FRAME_MS,
    RATE_HZ,
    Event,
    PlayoutEnded,
    PlayoutPaused,
    PlayoutResumed,
    PlayoutStarted,
    Segment,
)

SILENCE = bytes(FRAME_BYTES)
BYTES_PER_MS = FRAME_BYTES // FRAME_MS
_FADE = RATE_HZ // 100
_FADE_OUT = np.linspace(1.0, 0.0, _FADE, endpoint=False, dtype=np.float32)
_FADE_IN = _FADE_OUT[::-1].copy()
# A full queue means that the brain has lost its mind; a prompt of this many sentences is not a prompt.
MAX_SEGMENTS = 256

EndReason = Literal["finished", "barge_in", "key", "stopped", "replaced", "hangup"]


@dataclass(frozen=True)
class Sound:
    """A decoded segment: 16 kHz mono 16-bit `pcm` (anything that slices like bytes) and its barge-in rules."""

    pcm: bytes | memoryview
    rules: Segment


class Playout:
    """At most one playout at a time; silence when there is none.

    `heard_ms` counts audio handed to the media clock, without gaps and pauses. After a pause the last frame before it
    is repeated, so that no syllable is lost to the fade.
    """

    def __init__(self, leg: int) -> None:
        self.leg = leg
        self.events: deque[Event] = deque()
        self.playout = 0
        self._sounds: deque[Sound] = deque()
        self._last_ended = 0
        self._at = 0
        self._done_bytes = 0
        self._more = False
        self._started = False
        self._underrun_frames = 0
        self._gain = 1.0
        self._paused_frames = 0
        self._state: Literal["idle", "playing", "pausing", "paused", "resuming"] = "idle"
        self._verdict_frames = 0
        self._rules = Segment("")
        self._tail = b""

    @property
    def open(self) -> bool:
        """Something plays, is paused, or waits for segments."""
        return self._state != "idle"

    @property
    def paused(self) -> bool:
        return self._state in ("pausing", "paused")

    @property
    def sounding(self) -> bool:
        """The next frame carries audio of a prompt."""
        return bool(self._sounds) and self._state in ("playing", "resuming", "pausing")

    @property
    def asks(self) -> bool:
        """Whether the segment under way asks for an answer; true when nothing plays."""
        return self._current().asks if self.open else True

    @property
    def heard_ms(self) -> int:
        return (self._done_bytes + self._at) // BYTES_PER_MS

    def play(
        self, playout: int, sounds: list[Sound], append: bool = False, more: bool = False, gain_db: float = 0.0
    ) -> None:
        """Start a playout, or add to it. Appending to one that is over does nothing."""
        if append and playout == self._last_ended:
            return
        if not (append and self.open and playout == self.playout):
            if self.open:
                self._end("replaced")
            self._reset(playout)
        self._gain = 10.0 ** (min(gain_db, 0.0) / 20.0)
        self._more = more
        room = MAX_SEGMENTS - len(self._sounds)
        self._sounds.extend(sounds[:room])
        self._skip_empty()
        if not self._sounds and not self._more:
            self._end("finished")

    def stop(self, reason: EndReason = "stopped") -> bool:
        """End the playout, fading within 10 ms. False when there was none."""
        if not self.open:
            return False
        if self.sounding and self._started and self._state != "resuming":
            self._tail = self._shape(self._peek(), _FADE_OUT, leading=False)
        self._end(reason)
        return True

    def interruptible(self, by: Literal["speech", "key"]) -> bool:
        """Whether `by` may interrupt at this very position; a key may also interrupt what speech may."""
        if not self.open:
            return False
        if self._state in ("pausing", "paused"):
            return True
        rules = self._current()
        if rules.barge_in == "none" or (by == "speech" and rules.barge_in == "key"):
            return False
        return not self._sounds or self._at >= rules.protected_ms * BYTES_PER_MS

    def pause(self, verdict_ms: int) -> bool:
        """Fall silent within 10 ms until `resume` or `stop`, or by itself for `verdict_ms`. False if not allowed."""
        if self._state not in ("playing", "resuming") or not self.interruptible("speech"):
            return False
        self._state = "pausing"
        self._verdict_frames = max(1, verdict_ms // FRAME_MS)
        self._paused_frames = 0
        self.events.append(PlayoutPaused(self.leg, self.playout, self.heard_ms))
        return True

    def resume(self) -> bool:
        """Go on where it stopped, one frame back. False when it was not paused."""
        if not self.paused:
            return False
        if self._state == "paused" and self._sounds:
            self._at = max(0, self._at - FRAME_BYTES)
        self._state = "resuming"
        self.events.append(PlayoutResumed(self.leg, self.playout, self.heard_ms))
        return True

    def next_frame(self, at_ms: int) -> bytes:
        """The next 20 ms for the caller. `at_ms` is the leg's audio clock."""
        state = self._state
        if state == "idle":
            tail, self._tail = self._tail, b""
            return tail or SILENCE
        if state == "paused":
            self._count_verdict()
            return SILENCE
        if not self._sounds:
            return self._dry()
        if not self._started:
            self._started = True
            self.events.append(PlayoutStarted(self.leg, self.playout, at_ms))
        if state == "pausing":
            self._state = "paused"
            return self._shape(self._peek(), _FADE_OUT, leading=False)
        frame = self._take()
        if state == "resuming":
            self._state = "playing" if self.open else "idle"
            return self._shape(frame, _FADE_IN, leading=True)
        if self._gain != 1.0:
            return (np.frombuffer(frame, np.int16) * self._gain).astype(np.int16).tobytes()
        return frame

    def _reset(self, playout: int) -> None:
        self.playout = playout
        self._sounds.clear()
        self._at = self._done_bytes = 0
        self._started = False
        self._underrun_frames = 0
        self._rules = Segment("")
        self._state = "playing"
        self._tail = b""

    def _end(self, reason: EndReason) -> None:
        underrun_ms = self._underrun_frames * FRAME_MS
        self.events.append(PlayoutEnded(self.leg, self.playout, self.heard_ms, reason, underrun_ms))
        self._last_ended = self.playout
        self._sounds.clear()
        self._state = "idle"

    def _current(self) -> Segment:
        return self._sounds[0].rules if self._sounds else self._rules

    def _skip_empty(self) -> None:
        while self._sounds and self._at >= len(self._sounds[0].pcm):
            done = self._sounds.popleft()
            self._rules = done.rules
            self._done_bytes += len(done.pcm)
            self._at = 0

    def _take(self) -> bytes:
        """The next frame of audio, across segments without a gap; ends the playout after its last sample."""
        pcm = self._sounds[0].pcm
        frame = bytes(pcm[self._at : self._at + FRAME_BYTES])
        self._at += len(frame)
        if self._at >= len(pcm):
            self._skip_empty()
            if len(frame) < FRAME_BYTES:
                frame = self._fill(frame)
            if not self._sounds and not self._more:
                self._end("finished")
        return frame

    def _fill(self, frame: bytes) -> bytes:
        while len(frame) < FRAME_BYTES and self._sounds:
            part = self._sounds[0].pcm[: FRAME_BYTES - len(frame)]
            frame += bytes(part)
            self._at = len(part)
            self._skip_empty()
        return frame.ljust(FRAME_BYTES, b"\0")

    def _peek(self) -> bytes:
        """The frame that would come next, for the fade; the position stays."""
        frame = bytes(self._sounds[0].pcm[self._at : self._at + FRAME_BYTES])
        return frame.ljust(FRAME_BYTES, b"\0")

    def _dry(self) -> bytes:
        if self._state == "pausing":
            self._state = "paused"
            return SILENCE
        self._state = "playing"
        if not self._more:
            self._end("finished")
        elif self._started:
            self._underrun_frames += 1
        return SILENCE

    def _count_verdict(self) -> None:
        self._paused_frames += 1
        if self._paused_frames >= self._verdict_frames:
            self.resume()

    def _shape(self, frame: bytes, ramp: np.ndarray, leading: bool) -> bytes:
        """The frame with a 10 ms fade at its beginning; after a fade-out the rest is silence."""
        shaped = np.frombuffer(frame, np.int16).astype(np.float32) * self._gain
        shaped[:_FADE] *= ramp
        if not leading:
            shaped[_FADE:] = 0.0
        return shaped.astype(np.int16).tobytes()
