"""One turn of a conversation in words: what is expected, what was heard, what it was taken to mean.

The types that hands (line, speech, understanding), brains (dialog) and conductors (session) share.
Frozen and free of I/O; knows nothing of threads, SIP or engines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ExpectationKind = Literal["open", "yes_no", "digits", "choice", "date"]


@dataclass(frozen=True)
class Expectation:
    """What a step waits for.

    Attributes:
        kind: open question, yes or no, a digit string, one of a few phrases, or a date.
        language: ISO 639-1 code, `en`, `zh`, `ko`.
        phrases: for `choice`, every phrase that counts as an answer, in that language.
        min_digits: for `digits`, how many are needed before the answer can be complete.
        max_digits: for `digits`, how many end it at once.
        sensitive: the answer is masked in records and logs and silenced in recordings.
    """

    kind: ExpectationKind
    language: str
    phrases: tuple[str, ...] = ()
    min_digits: int = 1
    max_digits: int = 32
    sensitive: bool = False


@dataclass(frozen=True)
class Alternative:
    """One reading of an utterance; `confidence` is in 0..1 and comparable within an engine only."""

    text: str
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """What a recogniser makes of the audio of one utterance so far.

    Attributes:
        text: the best reading; empty when nothing was recognised.
        confidence: 0..1 for the best reading.
        alternatives: other readings, best first, without the best one.
        rejected: why there is no usable text: `no_speech` (silence, noise, music), `none_of_these`
            (speech, but nothing that was expected), `failed` (the engine broke); empty otherwise.
        ended: 0..1, how much the text looks like a finished sentence; None when the engine cannot say.
        engine: name of the engine and model that decided, for the record.
        decode_ms: time the engine spent on it.
        audio_ms: how much audio of the utterance it covers.
    """

    text: str
    confidence: float = 0.0
    alternatives: tuple[Alternative, ...] = ()
    rejected: Literal["", "no_speech", "none_of_these", "failed"] = ""
    ended: float | None = None
    engine: str = ""
    decode_ms: int = 0
    audio_ms: int = 0


@dataclass(frozen=True)
class Understood:
    """What an utterance was taken to mean under an expectation.

    Attributes:
        hypothesis: what was heard.
        value: `yes`, `no`, `unsure`, the digits, the matched phrase, an ISO date, or the text of an open answer;
            empty when it means nothing here (no-match).
        intent: name of the intent of an open answer, empty when none was found.
        answer: what the knowledge base says to it, empty when nothing is above its bar.
        source: id of the knowledge entry that `answer` came from.
        confidence: 0..1, how sure the meaning is.
        complete: nothing more need be waited for: a yes, all digits, a finished question.
        partial: more is surely coming: a number cut in the middle, a sentence that breaks off.
    """

    hypothesis: Hypothesis
    value: str = ""
    intent: str = ""
    answer: str = ""
    source: str = ""
    confidence: float = 0.0
    complete: bool = False
    partial: bool = False
    slots: dict[str, str] = field(default_factory=dict)
