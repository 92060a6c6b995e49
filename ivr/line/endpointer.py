"""One turn of listening: when speech begins, pauses, goes on and ends, and when nothing comes at all.

Clocked by 20 ms frames and pure: no threads, clocks or models. It gets frames already told apart by the VAD and fills
`events` with the messages of line/messages.py. Times are the leg's audio clock and back-dated to the frames that were
really voiced. Knows nothing of words.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from ivr.line.messages import (
    FRAME_MS,
    Audio,
    Event,
    Listen,
    NoInput,
    SpeechEnded,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
)

PREROLL_FRAMES = 300 // FRAME_MS
# Speech begins with START_VOICED voiced frames among START_WINDOW: 60 ms; a click fills one or two.
START_VOICED = 3
START_WINDOW = 4
# After a gap a single voiced frame is a crackle, two are speech again.
RESUME_VOICED = 2
BATCH_FRAMES = 3
# After an utterance was cut at its maximum length, this much silence must pass before another may begin in the turn.
REARM_FRAMES = 5


def _nothing_to_interrupt() -> tuple[bool, bool]:
    return False, True


class Endpointer:
    """`interrupt` is called at the beginning of speech and answers (paused a prompt, the prompt asks)."""

    def __init__(self, leg: int, interrupt: Callable[[], tuple[bool, bool]]) -> None:
        self.leg = leg
        self.events: deque[Event] = deque()
        self.utterance = 0
        self._interrupt = interrupt
        self._turn: Listen | None = None
        self._now_ms = 0
        self._recent: deque[tuple[bytes, bool]] = deque(maxlen=PREROLL_FRAMES + START_WINDOW)
        self._idle_ms = 0
        self._no_input_sent = False
        self._unvoiced_frames = REARM_FRAMES
        self._must_rearm = False
        self._running = False
        self._batch: list[bytes] = []
        self._start_ms = 0
        self._last_voiced_ms = 0
        self._speech_frames = 0
        self._again_frames = 0
        self._wait_ms = 0
        self._paused = False

    @property
    def listening(self) -> bool:
        return self._turn is not None

    @property
    def running(self) -> bool:
        """An utterance is under way, be it in a pause."""
        return self._running

    @property
    def speaking(self) -> bool:
        """The last frame belonged to the speech of an utterance."""
        return self._running and self._last_voiced_ms == self._now_ms

    def listen(self, turn: Listen) -> None:
        """Begin a turn; one under way ends, and its utterance with it."""
        self.stop()
        self._turn = turn
        self._idle_ms = 0
        self._no_input_sent = False
        self._must_rearm = False

    def stop(self) -> None:
        """End the turn; a running utterance ends as `stopped`."""
        self.cut()
        self._turn = None

    def cut(self) -> None:
        """End a running utterance as `stopped` and stay in the turn (the caller was put on hold, say)."""
        if self._running:
            self._end("stopped")

    def close(self) -> None:
        """The leg is over: `stop`, and let go of the callback, which would keep its owner alive."""
        self.stop()
        self._interrupt = _nothing_to_interrupt

    def key(self) -> None:
        """A key was pressed: the wait for input begins anew."""
        self._idle_ms = 0

    def endpoint_wait(self, utterance: int, wait_ms: int) -> None:
        """Another wait for the present pause. Ignored when the caller has gone on meanwhile."""
        if not self._running or utterance != self.utterance or self._last_voiced_ms == self._now_ms:
            return
        self._wait_ms = wait_ms
        if not self._again_frames:
            self._check_end()

    def push(self, frame: bytes, voiced: bool, playing: bool, at_ms: int) -> None:
        """Take the next frame: 16 kHz PCM that ends at `at_ms`. `playing`: a prompt is under way, be it paused."""
        self._now_ms = at_ms
        self._recent.append((frame, voiced))
        self._unvoiced_frames = 0 if voiced else self._unvoiced_frames + 1
        if self._running:
            self._go_on(frame, voiced)
        elif self._turn is not None:
            self._await_speech(voiced, playing)

    def _await_speech(self, voiced: bool, playing: bool) -> None:
        if self._must_rearm and self._unvoiced_frames >= REARM_FRAMES:
            self._must_rearm = False
        if voiced and not self._must_rearm:
            window = [v for _, v in list(self._recent)[-START_WINDOW:]]
            if sum(window) >= START_VOICED:
                self._begin(window)
                return
        self._idle_ms = 0 if playing else self._idle_ms + FRAME_MS
        limit = self._turn.no_input_ms
        if limit and self._idle_ms >= limit and not self._no_input_sent:
            self._no_input_sent = True
            self.events.append(NoInput(self.leg, self._turn.turn))

    def _begin(self, window: list[bool]) -> None:
        frames = len(window) - window.index(True)
        self.utterance += 1
        self._running, self._paused = True, False
        self._start_ms = self._now_ms - frames * FRAME_MS
        self._last_voiced_ms = self._now_ms
        self._speech_frames = sum(window)
        self._again_frames = 0
        self._wait_ms = self._turn.wait_ms
        paused, asks = self._interrupt()
        self.events.append(SpeechStarted(self.leg, self._turn.turn, self.utterance, self._start_ms, paused, asks))
        self._batch = [f for f, _ in list(self._recent)[-(PREROLL_FRAMES + frames) :]]
        self._flush()

    def _go_on(self, frame: bytes, voiced: bool) -> None:
        self._batch.append(frame)
        if not voiced:
            self._again_frames = 0
        elif self._last_voiced_ms == self._now_ms - FRAME_MS:
            self._last_voiced_ms = self._now_ms
            self._speech_frames += 1
        else:
            self._again_frames += 1
            if self._again_frames >= RESUME_VOICED:
                self._resume()
        if self._now_ms - self._start_ms >= self._turn.max_speech_ms:
            self._must_rearm = True
            self._end("max_speech")
            return
        silence_ms = self._now_ms - self._last_voiced_ms
        if not self._paused and silence_ms >= self._turn.pause_ms:
            self._paused = True
            self._flush()
            self.events.append(
                SpeechPaused(self.leg, self.utterance, self._last_voiced_ms, self._speech_frames * FRAME_MS)
            )
        if not self._again_frames:
            self._check_end()
        if len(self._batch) >= BATCH_FRAMES:
            self._flush()

    def _resume(self) -> None:
        """Speech goes on after a gap, since the first of the frames that confirmed it."""
        since_ms = self._now_ms - self._again_frames * FRAME_MS
        if self._paused:
            self._flush()
            self.events.append(SpeechResumed(self.leg, self.utterance, since_ms, since_ms - self._last_voiced_ms))
            self._paused = False
        self._wait_ms = self._turn.wait_ms
        self._speech_frames += self._again_frames
        self._last_voiced_ms = self._now_ms
        self._again_frames = 0

    def _check_end(self) -> None:
        if self._running and self._now_ms - self._last_voiced_ms >= max(FRAME_MS, self._wait_ms):
            self._end("endpoint")

    def _end(self, reason: Literal["endpoint", "max_speech", "stopped"]) -> None:
        self._flush()
        self._running = False
        self._idle_ms = 0
        self.events.append(
            SpeechEnded(
                self.leg, self.utterance, self._start_ms, self._last_voiced_ms, self._speech_frames * FRAME_MS, reason
            )
        )

    def _flush(self) -> None:
        if self._batch:
            self.events.append(Audio(self.leg, self.utterance, b"".join(self._batch)))
            self._batch = []
