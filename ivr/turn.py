"""One turn of a conversation in words: what is expected, what was heard, what it was taken to mean.

The types that hands (line, speech, understanding), brains (dialog) and conductors (session) share.
Frozen and free of I/O; knows nothing of threads, SIP or engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ExpectationKind = Literal[
    "open",
    "yes_no",
    "digits",
    "choice",
    "date",
    "number",
    "money",
    "time",
    "duration",
    "phone",
    "place",
    "code",
    "name",
    "text",
]


@dataclass(frozen=True)
class Wish:
    """One of several things that an utterance asks for.

    Its intent, what the knowledge base says to it, if any, the entry they are of, and words to name it by.
    """

    intent: str = ""
    answer: str = ""
    source: str = ""
    called: str = ""


@dataclass(frozen=True)
class Expectation:
    """What a step waits for.

    Attributes:
        kind: an open question, or the kind of value that is asked for.
        language: ISO 639-1 code, `en`, `zh`, `ko`.
        phrases: for `choice`, every phrase that counts as an answer, in that language; for `digits` that are a proof,
            strings to be weighed besides what is heard where that is in doubt; for a `date` that is one, ISO dates.
        min_digits: for `digits`, how many are needed before the answer can be complete.
        max_digits: for `digits`, how many end it at once.
        sensitive: the answer is masked in records and logs and silenced in recordings.
        slot: name of the slot that the step asks for, empty when it asks for none.
        slots: names of other slots that the same utterance may fill.
        commands: universal commands in force: repeat, slower, help, back, cancel, operator, language.
        digress: a question that the knowledge base answers may be answered here, whatever the step expects.
        today: ISO date where the caller is, for "yesterday"; empty when relative dates mean nothing.
        proof: name of what the answer has to prove; its value is known to the session alone.
        unfinished: for `date`, what was said to this very question and was not enough: a day and a month, a year.
        between: for `open`, the two things of which the caller was just asked to say which they meant.
    """

    kind: ExpectationKind
    language: str
    phrases: tuple[str, ...] = ()
    min_digits: int = 1
    max_digits: int = 32
    sensitive: bool = False
    slot: str = ""
    slots: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    digress: bool = False
    today: str = ""
    proof: str = ""
    unfinished: str = ""
    between: tuple[Wish, ...] = ()


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
        line_up: of a `date` with phrases, each of them with the log-probability, in nats, by which it lies above what
            was read; empty when the engine cannot weigh.
    """

    text: str
    confidence: float = 0.0
    alternatives: tuple[Alternative, ...] = ()
    rejected: Literal["", "no_speech", "none_of_these", "failed"] = ""
    ended: float | None = None
    engine: str = ""
    decode_ms: int = 0
    audio_ms: int = 0
    line_up: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Filled:
    """One slot's value.

    Attributes:
        value: canonical, as the slot's kind writes it: `8620`, `12.50 CNY`, `1985-03-12`, `14:30`, `PT2H30M`, a place's
            id.
        confidence: 0..1, how sure the value is.
        text: the words it was taken from, as recognised; empty when keys were pressed.
        rivals: other values of the same slot that the sound does not rule out, best first.
    """

    value: str
    confidence: float = 1.0
    text: str = ""
    rivals: tuple[str, ...] = ()


FROM_BASE = "kb:"
"""What the `source` of an answer begins with that came from the base, and not from the plan's own file."""


@dataclass(frozen=True)
class Evidence:
    """What an answer is worth as a proof, without its words.

    Attributes:
        field: what was to be proven: `birth_date`, `id_last4`.
        score: log-likelihood ratio for the expected value, in nats; below 0 it speaks against it.
        rank: place of the expected value among the readings, 1 the best; 0 when none of them is it.
        hashes: of each reading, best first, a hash under a key of this call alone.
        by: how it was given.
    """

    field: str
    score: float
    rank: int = 0
    hashes: tuple[str, ...] = ()
    by: Literal["voice", "keys"] = "voice"


@dataclass(frozen=True)
class Understood:
    """What an utterance was taken to mean under an expectation.

    Attributes:
        hypothesis: what was heard.
        value: the canonical value of what was expected, the matched phrase of a choice without a slot, or the text of
            an open answer; empty when it means nothing here (no-match).
        intent: name of the intent of an open answer or of a digression, empty when none was found.
        answer: what the knowledge base says to it, empty when nothing is above its bar.
        source: id of the knowledge entry that `answer` came from; of one of the base, FROM_BASE, its id, `@`, version.
        confidence: 0..1, how sure the meaning is.
        complete: nothing more need be waited for: a yes, all digits, a finished question.
        partial: more is surely coming: a number cut in the middle, a sentence that breaks off.
        slots: every slot that the utterance fills, the one asked for included.
        command: the universal command it is; `language:zh` carries the language asked for.
        corrects: what was said earlier is taken back: "no, not X, Y".
        other: they want the other one of what was offered.
        evidence: what it is worth as a proof, where one is asked for; the hypothesis then has no words.
        also: what else they asked for in the same breath, in the order in which to do it.
        between: two things that the words may mean, about as likely: to be asked about by naming both.
        model: version of the model of intents that was asked; empty where none was.
    """

    hypothesis: Hypothesis
    value: str = ""
    intent: str = ""
    answer: str = ""
    source: str = ""
    confidence: float = 0.0
    complete: bool = False
    partial: bool = False
    slots: Mapping[str, Filled] = field(default_factory=dict)
    command: str = ""
    corrects: bool = False
    other: bool = False
    evidence: Evidence | None = None
    also: tuple[Wish, ...] = ()
    between: tuple[Wish, ...] = ()
    model: str = ""

    @property
    def unanswered(self) -> bool:
        """Something was said that the plan's own words make nothing of: no value of a slot, intent or answer."""
        return bool(self.value) and not (self.answer or self.intent or self.command or self.slots or self.between)
