"""From a hypothesis under an expectation to its meaning, and whether the caller has finished.

Pure; runs on the recogniser's thread right after the decode, so that the dialog gets meaning, not text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ivr.turn import Expectation, Hypothesis, Understood
from ivr.understanding import expected
from ivr.understanding.knowledge import Knowledge
from ivr.understanding.slots import Slot

SURE_OF_END = 0.5
"""`Hypothesis.ended` from which a sentence counts as finished."""
SURE_OF_MEANING = 0.7
"""Score of a match from which it does not matter how the sentence sounds: more words would not change the answer."""


@dataclass(frozen=True)
class Vocabulary:
    """What a service knows words for: the answers of its knowledge file, and its slots by name."""

    knowledge: Knowledge
    slots: Mapping[str, Slot] = field(default_factory=dict)


def understand(vocabulary: Vocabulary, expectation: Expectation, hypothesis: Hypothesis) -> Understood:
    """What `hypothesis` means to a step that expects `expectation`. An empty value is a no-match."""
    if hypothesis.rejected or not re.search(r"\w", hypothesis.text):
        return Understood(hypothesis)
    if expectation.kind == "open":
        return _open(vocabulary.knowledge, expectation.language, hypothesis)
    if expectation.kind == "digits":
        return _digits(expectation, hypothesis)
    if expectation.kind == "choice":
        return _choice(expectation, hypothesis)
    return _parsed(expectation, hypothesis)


def _readings(hypothesis: Hypothesis) -> list[tuple[str, float]]:
    return [(hypothesis.text, hypothesis.confidence), *((a.text, a.confidence) for a in hypothesis.alternatives)]


def _parsed(expectation: Expectation, hypothesis: Hypothesis) -> Understood:
    """yes_no and date: the best reading that means something; a doubtful yes never becomes a yes by a worse reading."""
    parse = expected.yes_no if expectation.kind == "yes_no" else expected.date
    for text, confidence in _readings(hypothesis):
        if value := parse(text, expectation.language):
            return Understood(hypothesis, value=value, confidence=confidence, complete=True)
        if expectation.kind == "yes_no":
            break
    return Understood(hypothesis, partial=expectation.kind == "date" and bool(hypothesis.text))


def _digits(expectation: Expectation, hypothesis: Hypothesis) -> Understood:
    best = Understood(hypothesis)
    for text, confidence in _readings(hypothesis):
        value = expected.digits(text, expectation.language)
        if expectation.min_digits <= len(value) <= expectation.max_digits:
            return Understood(
                hypothesis, value=value, confidence=confidence, complete=len(value) == expectation.max_digits
            )
        if value and text == hypothesis.text:
            best = replace(best, partial=len(value) < expectation.min_digits, confidence=confidence)
            if best.partial:
                break
    return best


def _choice(expectation: Expectation, hypothesis: Hypothesis) -> Understood:
    for text, confidence in _readings(hypothesis):
        value, score = expected.choice(text, expectation.phrases, expectation.language)
        if value:
            return Understood(hypothesis, value=value, confidence=confidence * score, complete=True)
    return Understood(hypothesis)


def _open(knowledge: Knowledge, language: str, hypothesis: Hypothesis) -> Understood:
    unfinished = expected.breaks_off(hypothesis.text, language)
    sounds_ended = hypothesis.ended is None or hypothesis.ended >= SURE_OF_END
    written_ended = hypothesis.text.rstrip().endswith((".", "?", "!", "。", "？", "！"))
    match = knowledge.find([t for t, _ in _readings(hypothesis)], language)
    if match is None:
        return Understood(
            hypothesis, value=hypothesis.text, complete=sounds_ended and not unfinished, partial=unfinished
        )
    return Understood(
        hypothesis,
        value=hypothesis.text,
        intent=match.entry.intent,
        answer=match.entry.answer.get(language, ""),
        source=match.entry.id,
        confidence=match.score,
        complete=not unfinished and (sounds_ended or written_ended or match.score >= SURE_OF_MEANING),
        partial=unfinished and not sounds_ended,
    )
