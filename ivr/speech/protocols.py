"""What a recogniser and a voice are to the rest of the house. Imports only words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ivr.turn import Expectation, Hypothesis


class Stream(Protocol):
    """One utterance on its way through a recogniser. Used by one thread at a time, never by asyncio's."""

    def accept(self, pcm: bytes) -> None:
        """Take more audio: 16 kHz mono 16-bit. Streaming engines decode here, others only keep it."""

    def hypothesis(self) -> Hypothesis:
        """What the audio so far says. May be asked several times; does not end the utterance."""

    def finish(self) -> Hypothesis:
        """The final word on the utterance; costs nothing when no audio came since `hypothesis`."""


class Recognizer(Protocol):
    """A loaded model. `stream` is cheap and thread-safe; the streams of one recogniser may run in several threads."""

    name: str
    languages: tuple[str, ...]

    def stream(self, expectation: Expectation) -> Stream:
        """A new utterance under `expectation`; engines that can, decode restricted to what is expected."""

    def close(self) -> None:
        """Free the model."""


@dataclass(frozen=True)
class Rendered:
    """One sentence as a WAV file (mono, 16 bit, 16 kHz, no leading silence).

    `source` is `recording`, or the name of the voice that made it.
    """

    path: Path
    text: str
    duration_ms: int
    source: str


class Voice(Protocol):
    """A synthesiser. Calls block; they run in a thread of the prompt cache, never in asyncio's."""

    name: str

    def speak(self, text: str, language: str, pace: float = 1.0) -> tuple[bytes, int]:
        """`text` as (PCM 16-bit mono, rate in Hz), `pace` times the configured rate.

        Raises SpeechFailed, also when it hung and was killed.
        """

    def close(self) -> None:
        """End child processes, free models."""
