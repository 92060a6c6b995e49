"""Whether an answer proves who speaks: what was said, or keyed, weighed against a value that only this module sees.

What leaves it is Evidence: a score, a rank, keyed hashes. The words of such an answer end here, so that neither the
dialog nor a record ever holds them. Pure; runs on the recogniser's thread behind `understand`. Knows nothing of
thresholds: those are a dialplan's.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from ivr.turn import Evidence, Expectation, Hypothesis, Understood
from ivr.understanding import identity, lineup, understand
from ivr.understanding.said import normal
from ivr.understanding.understand import Vocabulary

HEARD = "****"
"""Stands for the words of an answer that was weighed."""

_KINDS: Mapping[str, identity.Kind] = {"birth_date": "date", "id_last4": "digits"}
_HASHES, _HASH_CHARS = 5, 16
# P(the right keys | the right person), against one date of a hundred years, one of ten thousand numbers.
_KEYED_RIGHT = 0.97
_CHANCE = {"birth_date": 36_525, "id_last4": 10_000}


@dataclass(frozen=True)
class Proofs:
    """What a customer must prove to know: field -> value, as the order of the call has it. Never printed.

    `key`: random bytes of this call alone, under which readings are hashed.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: bytes = field(default=b"", repr=False)

    def heard(self, vocabulary: Vocabulary, expectation: Expectation, hypothesis: Hypothesis) -> Understood:
        """What an utterance means; under an expectation with `proof`, weighed and without its words.

        What is no answer (a command, a question in passing, an intent) keeps its meaning.
        """
        said = understand.understand(vocabulary, expectation, hypothesis)
        if not expectation.proof:
            return said
        mute = replace(hypothesis, text=HEARD if hypothesis.text else "", alternatives=(), line_up=())
        if said.command or said.answer or said.intent:
            return replace(said, hypothesis=mute, value="", slots={})
        return replace(said, hypothesis=mute, value="", slots={}, evidence=self._weigh(expectation, hypothesis))

    def keyed(self, proof: str, keys: str) -> Evidence:
        """What keys are worth: digits compared as digits, a date as the ISO date that they mean."""
        right = hmac.compare_digest(
            identity.canonical("digits", self.values[proof]), identity.canonical("digits", keys)
        )
        share = _KEYED_RIGHT * _CHANCE[proof] if right else 1 - _KEYED_RIGHT
        return Evidence(proof, round(math.log(share), 3), int(right), (self._hash(proof, keys),), "keys")

    def listening(self, expectation: Expectation) -> Expectation:
        """What the recogniser listens for: the expected value among decoys, in an order that tells nothing.

        An identity number's last character may be X, which no grammar of digits has: then it listens freely.
        """
        value = self.values.get(expectation.proof, "")
        if not value:
            return expectation
        if _KINDS[expectation.proof] == "date":
            return replace(expectation, phrases=lineup.dates(value, expectation.language, self.key))
        if not value.isdecimal():
            return replace(expectation, kind="code")
        return replace(expectation, phrases=lineup.digits(value, self.key))

    def _weigh(self, expectation: Expectation, hypothesis: Hypothesis) -> Evidence | None:
        """None: nothing was heard that could be such a value."""
        value = self.values.get(expectation.proof, "")
        if hypothesis.rejected or not value:
            return None
        readings = [(hypothesis.text, hypothesis.confidence)]
        readings += [(a.text, a.confidence) for a in hypothesis.alternatives if a.confidence > 0]
        kind = _KINDS[expectation.proof]
        kind = "code" if kind == "digits" and not value.isdecimal() else kind
        language = expectation.language
        said = [identity.values_in(kind, normal(text, language), language) for text, _ in readings]
        score, rank = read = identity.weighed(kind, value, readings, language)
        if hypothesis.line_up:
            score = identity.among(value, hypothesis.line_up, language, score)
        if read == (0.0, 0) and score <= 0.0:
            return None
        hashes = dict.fromkeys(self._hash(expectation.proof, each) for values in said for each in values)
        return Evidence(expectation.proof, score, rank, tuple(hashes)[:_HASHES])

    def _hash(self, proof: str, value: str) -> str:
        return hmac.new(self.key, f"{proof} {value}".encode(), hashlib.sha256).hexdigest()[:_HASH_CHARS]


def decoy(proof: str, key: bytes) -> str:
    """A value that nobody knows, of `key`'s randomness, to be asked of somebody of whom nothing is known."""
    number = int.from_bytes(hashlib.sha256(key).digest())
    if _KINDS[proof] == "date":
        return (date(1940, 1, 1) + timedelta(days=number % (65 * 365))).isoformat()
    return f"{number % _CHANCE[proof]:04d}"


def testimony(evidence: Sequence[Evidence], proven: bool) -> dict[str, Any]:
    """What is testified of a check, in whole numbers: each answer by its score in thousandths of a nat."""
    answers = [
        {
            "field": e.field,
            "by": e.by,
            "score_millinats": round(e.score * 1000),
            "rank": e.rank,
            "hashes": list(e.hashes),
        }
        for e in evidence
    ]
    return {"proven": proven, "answers": answers}
