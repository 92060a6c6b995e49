"""Which entries of a knowledge file an utterance asks for: by the model of its examples, or by their words.

Words decide where there is no model: at the first start, until it is learnt, and for a plan with too few examples. An
example as it stands is always its entry, and in Mandarin what sounds nearly like one. What is urgent goes first,
wherever in the utterance it is said. Pure; runs on the recogniser's thread, at some 20 ms of one core for one reading
by a model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ivr.understanding import knowledge, wishes
from ivr.understanding.intents import Decision, Model
from ivr.understanding.knowledge import Entry, Knowledge, Match

FOLLOWED = 0.7
"""Confidence of a model from which its intent is followed; below it the caller is asked, or not understood. Chosen on
questions of CLINC150 and eighty Mandarin sentences that no plan answers."""
NAMED = 0.1
"""Likelihood of the second intent from which both are named where the first is not to be followed."""
A_WISH = 0.6
"""Score by words from which a part of a sentence asks for something besides an urgent matter."""
SURE_URGENT, MOST_WISHES = 0.15, 3
"""How far an urgent matter has to be ahead of what else words may mean; how many wishes beside the first are kept."""
STRONG = 0.7
"""Confidence from which a question is answered although something else was asked: of a model, all that it follows."""
BY_SOUND = ("zh",)
"""Languages in which what nearly is an example is its entry before a model is asked: words are compared by sound there,
and a recogniser writes other characters than a model has learnt. Of 69 paraphrases of the bank's that come so near, 68
mean that entry, and none of 50 sentences outside come so near."""
SURE_OF_MEANING = {"model": 0.95, "words": 0.7}
"""Confidence from which it does not matter how a sentence sounds, because more words would not change what it means:
of beginnings of the bank's examples that reach it a model takes one in twelve for something else, words one in six."""
_READ = 5


@dataclass(frozen=True)
class Asked:
    """What an utterance asks for.

    Attributes:
        entries: in the order in which to do them; empty when nothing is known to it. Of `close` the two likeliest.
        close: one of the two is meant, and the caller has to say which.
        confidence: 0..1, that of a model calibrated.
        sure: more words would not change it.
        version: of the model that decided, empty where words did.
    """

    entries: tuple[Entry, ...] = ()
    close: bool = False
    confidence: float = 0.0
    sure: bool = False
    version: str = ""

    @property
    def entry(self) -> Entry | None:
        """What is to be done first, if that is known."""
        return self.entries[0] if self.entries and not self.close else None


def asked_for(
    known: Knowledge, model: Model | None, readings: Sequence[tuple[str, float]], language: str, fills: bool = False
) -> Asked:
    """What the readings of one utterance (text and confidence, best first) ask for.

    `fills`: the same words fill a slot, so that no keyword is needed.
    """
    if model is None:
        return _by_words(known, [text for text, _ in readings], language, fills)
    if (entry := known.exactly(readings[0][0], language)) is not None:
        return Asked((entry,), confidence=1.0, sure=True, version=model.version)
    if language in BY_SOUND and (match := _nearly(known, readings[0][0], language, fills)) is not None:
        return Asked((match.entry,), confidence=match.score, sure=True, version=model.version)
    return _by_model(known, model, readings[:_READ], language, fills)


def _by_model(
    known: Knowledge, model: Model, readings: Sequence[tuple[str, float]], language: str, fills: bool
) -> Asked:
    decision = model.decide(readings)
    said = " ".join(text for text, _ in readings)

    def entries(meanings: Iterable[str]) -> list[Entry]:
        found = (known.of(meaning) for meaning in meanings)
        return [e for e in found if e is not None and (fills or knowledge.has_keyword(e, said, language))]

    found, close = entries(decision.intents), decision.kind == "close"
    if decision.kind == "intent" and found and decision.confidence < FOLLOWED:
        found = entries([r.intent for r in decision.ranked[:2] if r.confidence >= NAMED])
        close = True
    if urgent := _urgent(known, model, readings[0][0], language, entries):
        found, close = urgent, False
    if close and len(found) < 2:
        found, close = [], False
    ordered = tuple(found) if close else tuple(sorted(found, key=lambda e: not e.urgent))[: 1 + MOST_WISHES]
    sure = decision.confidence if decision.kind == "intent" else 0.0
    return Asked(ordered, close, decision.confidence, sure >= SURE_OF_MEANING["model"], decision.version)


def _nearly(known: Knowledge, text: str, language: str, fills: bool) -> Match | None:
    """The entry one of whose examples `text` nearly is: so nearly that more words would not change it."""
    match = known.find([wishes.wanted(text, language)], language, fills)
    return match if match is not None and match.score >= SURE_OF_MEANING["words"] else None


def _urgent(
    known: Knowledge, model: Model, text: str, language: str, entries: Callable[[Iterable[str]], list[Entry]]
) -> list[Entry]:
    """What the parts of `text` ask for, when one of them is surely urgent; else nothing."""
    parts = knowledge.parts(wishes.wanted(text, language), language)
    if len(parts) < 2 or not any(e.urgent for e in known.entries):
        return []
    decided: list[Decision] = [model.decide([(part, 1.0)]) for part in parts]
    sure = [d.intents[0] for d in decided if d.kind == "intent" and d.confidence >= FOLLOWED]
    found = entries(dict.fromkeys(sure))
    return found if any(e.urgent for e in found) else []


def _by_words(known: Knowledge, texts: Sequence[str], language: str, fills: bool) -> Asked:
    match = known.find(texts, language, fills)
    parted = known.wishes(texts[0], language, fills)
    urgent = [w for w in parted if w.entry.urgent and w.score >= STRONG and w.score - w.runner_up >= SURE_URGENT]
    if urgent:
        others = [w.entry for w in parted if w.entry.id != urgent[0].entry.id and w.score >= A_WISH]
        return _by_words_of(urgent[0], *others[:MOST_WISHES])
    return _by_words_of(match) if match is not None else Asked()


def _by_words_of(match: Match, *others: Entry) -> Asked:
    return Asked((match.entry, *others), False, match.score, match.score >= SURE_OF_MEANING["words"])
