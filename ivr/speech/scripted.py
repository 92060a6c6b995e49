"""A recogniser that hears what it was told to: the fake that stands for an engine in tests and rehearsals.

It obeys the same contract as the real ones (tests/integration/test_recognizers.py runs on it too): silence is
`no_speech`, words that a restricted expectation does not know are `none_of_these`, answers come in canonical form.
Any thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from ivr.errors import SpeechFailed
from ivr.speech import lexicon, pcm
from ivr.turn import Alternative, Expectation, Hypothesis

_QUIET_DBFS = -60.0

Heard = str | Hypothesis | Exception


class ScriptedRecognizer:
    """Says the next line of its script for each utterance, then `fallback`.

    Args:
        script: per utterance a text, a whole Hypothesis, or an exception to raise.
        languages: what it claims to speak.
        fallback: the text heard when the script is used up.
        before: called on the decoding thread before each answer, so that a test can hold it there.
    """

    streaming = False

    def __init__(
        self,
        script: Iterable[Heard] = (),
        languages: tuple[str, ...] = ("en", "zh"),
        fallback: str = "",
        before: Callable[[Expectation], None] | None = None,
        name: str = "scripted",
    ) -> None:
        self.name = name
        self.languages = languages
        self.heard: list[tuple[Expectation, int]] = []
        self.closed = False
        self._script = deque(script)
        self._fallback = fallback
        self._before = before
        self._lock = threading.Lock()

    def stream(self, expectation: Expectation) -> _ScriptedStream:
        return _ScriptedStream(self, expectation)

    def close(self) -> None:
        self.closed = True

    def _next(self) -> Heard:
        with self._lock:
            return self._script.popleft() if self._script else self._fallback


class _ScriptedStream:
    def __init__(self, recognizer: ScriptedRecognizer, expectation: Expectation) -> None:
        self._recognizer = recognizer
        self._expectation = expectation
        self._audio = bytearray()
        self._line: Heard | None = None
        self._last: Hypothesis | None = None

    def accept(self, pcm: bytes) -> None:
        if pcm:
            self._audio += pcm
            self._last = None

    def hypothesis(self) -> Hypothesis:
        if self._last is None:
            self._last = self._answer()
        return self._last

    def finish(self) -> Hypothesis:
        return self.hypothesis()

    def _answer(self) -> Hypothesis:
        audio_ms = pcm.duration_ms(self._audio)
        with self._recognizer._lock:
            self._recognizer.heard.append((self._expectation, audio_ms))
        if self._recognizer._before is not None:
            self._recognizer._before(self._expectation)
        if pcm.rms_dbfs(self._audio) < _QUIET_DBFS:
            return Hypothesis("", rejected="no_speech", engine=self._recognizer.name, audio_ms=audio_ms)
        if self._line is None:
            self._line = self._recognizer._next()
        if isinstance(self._line, Exception):
            raise SpeechFailed(str(self._line)) from self._line
        if isinstance(self._line, Hypothesis):
            return self._line
        text = lexicon.canonical(self._line, self._expectation)
        return Hypothesis(
            text,
            confidence=1.0 if text else 0.0,
            alternatives=(Alternative(self._line, 1.0),) if text != self._line else (),
            rejected="" if text else "none_of_these",
            ended=1.0 if text else None,
            engine=self._recognizer.name,
            audio_ms=audio_ms,
        )
