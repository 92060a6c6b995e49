"""From a hypothesis under an expectation to its meaning, and whether the caller has finished.

In order: a command about the conversation, the rest of a date, a correction, the value that was asked for with the
other slots the same words fill, a question that may be answered in passing. Pure; runs on the recogniser's thread right
after the decode, so that the dialog gets meaning, not text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ivr.turn import Expectation, Filled, Hypothesis, Understood, Wish
from ivr.understanding import choosing, commands, dates, expected, slots
from ivr.understanding.answers import STRONG, Asked, asked_for
from ivr.understanding.intents import Model
from ivr.understanding.knowledge import Entry, Knowledge
from ivr.understanding.said import normal
from ivr.understanding.slots import Slot

SURE_OF_END = 0.5
"""`Hypothesis.ended` from which a sentence counts as finished."""
PLAIN = 0.9
"""Score of a match from which words that may be a yes or a no are what they say instead: "I will ring you back"."""
UNCLEAR = 0.4
"""Confidence below which a sentence that means nothing is not a question without an answer: it was not understood."""

# A value that is less of the utterance than this is no reason to leave a question in it unanswered.
_MOST_OF_IT = 0.5
# Confidence from which a command counts: of the best reading and of a free one beside it, of longer ones and of single
# short words, which noises are taken for.
_SURE_COMMAND = {"best": 0.0, "beside": 0.3}
_SURE_SHORT_COMMAND = {"best": 0.35, "beside": 0.6}
_SHORT_COMMAND = {"zh": 2, "en": 8}
_SURE_BESIDE = 0.5
# How well a value behind a plain no and a place inside a question have to fit, since 谢谢 sounds nearly like 西四.
_SURE_OF_VALUE, _SURE_ASIDE = 0.9, 0.97
_READINGS = 5
_AT_ONCE = ("yes_no", "choice")
_AHEAD_OF_YEAR = re.compile(r"^(?:(?:it|it's|that|is|was|in|of|and|the|year) )+", re.IGNORECASE)
_IN_ANY_WORDS = ("open", "text", "place")
_RESTRICTED = ("yes_no", "choice", "digits")
_BARE = (expected.YES, expected.NO, expected.UNSURE)


@dataclass(frozen=True)
class Vocabulary:
    """What a service knows words for: the answers of its knowledge file, and its slots by name.

    `models` by language: what was learnt of the ways to ask; where there is none, their words decide.
    """

    knowledge: Knowledge
    slots: Mapping[str, Slot] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict, compare=False, repr=False)

    def asked_for(self, readings: Sequence[tuple[str, float]], language: str, fills: bool = False) -> Asked:
        """See `answers.asked_for`."""
        return asked_for(self.knowledge, self.models.get(language), readings, language, fills)


def understand(vocabulary: Vocabulary, expectation: Expectation, hypothesis: Hypothesis) -> Understood:
    """What `hypothesis` means to a step that expects `expectation`. An empty value is a no-match."""
    if hypothesis.rejected == "none_of_these":
        return _beside(vocabulary, expectation, hypothesis)
    if hypothesis.rejected or not re.search(r"\w", hypothesis.text):
        return Understood(hypothesis)
    asked = _asked(vocabulary, expectation)
    said = [(hypothesis.text, hypothesis.confidence), *_free(expectation, hypothesis)]
    if commanded := _commanded(expectation, asked, hypothesis, said):
        return commanded
    if expectation.kind in _IN_ANY_WORDS and expected.hesitates(hypothesis.text, expectation.language):
        return Understood(hypothesis, partial=expected.breaks_off(hypothesis.text, expectation.language))
    if whole := _joined(expectation, asked, hypothesis):
        return whole
    corrected = _corrected(vocabulary, expectation, asked, hypothesis)
    if expectation.kind == "open":
        return _open(vocabulary, expectation, hypothesis, corrected)
    if corrected is not None:
        return corrected.understood
    understood = _expected(vocabulary, expectation, asked, hypothesis)
    if expectation.digress and expectation.kind == "yes_no":
        texts = [text for text, _ in said if expected.plain(text) not in _BARE]
        answer = vocabulary.knowledge.find(texts, expectation.language)
        if answer is not None and answer.entry.intent and answer.score >= PLAIN:
            return replace(understood, intent=answer.entry.intent, source=answer.entry.id)
    if expectation.digress and expectation.kind not in _AT_ONCE and not _fills_most(understood, asked):
        found = vocabulary.asked_for(_readings(hypothesis), expectation.language)
        if found.entry is not None and found.confidence >= STRONG:
            aside = _digression(hypothesis, expectation.language, found)
            named = _named_aside(vocabulary, expectation, asked, understood, found.entry) if aside.answer else {}
            return replace(aside, slots=named)
    return understood


def _readings(hypothesis: Hypothesis) -> list[tuple[str, float]]:
    alternatives = [(a.text, a.confidence) for a in hypothesis.alternatives]
    return [(hypothesis.text, hypothesis.confidence), *alternatives][:_READINGS]


def _asked(vocabulary: Vocabulary, expectation: Expectation) -> Slot:
    """The slot that is asked for; one without a name where the step itself says what counts."""
    if known := vocabulary.slots.get(expectation.slot):
        return known
    language = expectation.language
    choices = {p: {language: (p,)} for p in expectation.phrases}
    digits = expectation.kind == "digits"
    least, most = (expectation.min_digits, expectation.max_digits) if digits else (0, 0)
    return Slot(expectation.slot, expectation.kind, least, most, choices=choices)


def _wanted(vocabulary: Vocabulary, expectation: Expectation) -> list[Slot]:
    """The other slots that this utterance may fill."""
    return [vocabulary.slots[name] for name in expectation.slots if name in vocabulary.slots]


def _free(expectation: Expectation, hypothesis: Hypothesis) -> list[tuple[str, float]]:
    """Free readings among the alternatives of a recogniser that listened for a few words only."""
    if expectation.kind not in _RESTRICTED:
        return []
    values = {expected.YES, expected.NO, expected.UNSURE, *expectation.phrases}
    readings = [(a.text, a.confidence) for a in hypothesis.alternatives if a.text not in values]
    return [(text, confidence) for text, confidence in readings if not text.isdecimal() and re.search(r"\w", text)]


def _commanded(
    expectation: Expectation, asked: Slot, hypothesis: Hypothesis, said: Sequence[tuple[str, float]]
) -> Understood | None:
    """The command that the best reading or, with a higher bar, a free one beside it is; None otherwise."""
    for text, confidence in said:
        short = len(expected.plain(text)) <= _SHORT_COMMAND.get(expectation.language, 0)
        sure = (_SURE_SHORT_COMMAND if short else _SURE_COMMAND)["best" if text == hypothesis.text else "beside"]
        if confidence < sure:
            continue
        command = _command(expectation, asked, text)
        # "Never mind" answers a question with no.
        if command and not (command == "cancel" and hypothesis.text == expected.NO):
            return Understood(hypothesis, command=command, confidence=confidence, complete=True)
    return None


def _command(expectation: Expectation, asked: Slot, text: str) -> str:
    """The command in force that `text` is; a choice of the same words goes first."""
    if not expectation.commands:
        return ""
    phrases = {p for by in asked.choices.values() for p in by.get(expectation.language, ())}
    if expected.plain(text) in {expected.plain(p) for p in phrases}:
        return ""
    return commands.command(text, expectation.language, expectation.commands)


def _joined(expectation: Expectation, asked: Slot, hypothesis: Hypothesis) -> Understood | None:
    """The date that the words make together with what was said before them: "12th of March", then "1985"."""
    before, language, confidence = expectation.unfinished, expectation.language, hypothesis.confidence
    text = commands.instead(hypothesis.text, language) or hypothesis.text.strip(" .。")
    if not before or dates.with_year(normal(text, language), language):
        return None
    text = _AHEAD_OF_YEAR.sub("", text)
    alone = {slots.read(asked, [(each, confidence)], language, expectation.today) for each in (before, text)}
    values = {filled.value for filled in alone if filled}
    for said in (f"{before} {text}", f"{text} {before}", f"{text}年{before}"):
        filled = slots.read(asked, [(said, confidence)], language, expectation.today)
        if filled and filled.value not in values and dates.with_year(normal(said, language), language):
            return Understood(hypothesis, filled.value, confidence=filled.confidence, complete=True,
                              slots=_named({asked.name: filled}))  # fmt: skip
    return None


@dataclass(frozen=True)
class _Corrected:
    """A correction as `understood`; `new` are the words that are meant instead, empty for "the other one"."""

    understood: Understood
    new: str = ""


def _corrected(
    vocabulary: Vocabulary, expectation: Expectation, asked: Slot, hypothesis: Hypothesis
) -> _Corrected | None:
    """The correction that the utterance makes and that fills a slot, or asks for the other one; None otherwise.

    A plain no before a value ("no, Xisi") is one when there is little but the value behind it.
    """
    language, wanted = expectation.language, _wanted(vocabulary, expectation)
    value = {"yes_no": "no", "open": hypothesis.text}.get(asked.kind, "")
    for text, confidence in _readings(hypothesis):
        correction = commands.correction(text, language)
        if asked.kind != "open" and commands.other_one(text, language):
            corrects = correction is not None or expected.yes_no(text, language) == "no"
            return _Corrected(Understood(hypothesis, value=value * corrects, confidence=confidence, complete=True,
                                         corrects=corrects, other=True))  # fmt: skip
        new = correction.new if correction else commands.instead(text, language)
        filled = _put_right(wanted, asked, [(new, confidence)], expectation) if new else {}
        clear = filled and all(f.confidence >= _SURE_OF_VALUE * confidence for f in filled.values())
        if filled and (correction or (clear and _covered(filled.values(), new) >= _MOST_OF_IT)):
            own = filled.get(asked.name)
            understood = Understood(hypothesis, value=own.value if own else value, confidence=confidence, complete=True,
                                    slots=_named(filled), corrects=True)  # fmt: skip
            return _Corrected(understood, new)
    return None


def _put_right(
    wanted: Sequence[Slot], asked: Slot, said: list[tuple[str, float]], expectation: Expectation
) -> dict[str, Filled]:
    """What a correction fills: the slot that is asked for, what says itself what it is, or the one slot it fits."""
    language, today = expectation.language, expectation.today
    target = None if asked.kind in ("yes_no", "open", "text") else asked
    return slots.read_all(wanted, target, said, language, today) or _only_one(wanted, said, language, today)


def _covered(filled: Iterable[Filled], words: str) -> float:
    """How much of `words` the values were taken from, 0..1."""
    return sum(_letters(f.text) for f in filled) / max(1, _letters(words))


def _letters(words: str) -> int:
    return len(re.sub(r"[\W_]", "", words))


def _only_one(wanted: Sequence[Slot], said: list[tuple[str, float]], language: str, today: str) -> dict[str, Filled]:
    """The one slot that bare words fit, where no other of them does."""
    filled = {s.name: f for s in wanted if s.kind != "text" and (f := slots.read(s, said, language, today))}
    return filled if len(filled) == 1 else {}


def _named(filled: Mapping[str, Filled]) -> dict[str, Filled]:
    return {name: value for name, value in filled.items() if name}


def _expected(vocabulary: Vocabulary, expectation: Expectation, asked: Slot, hypothesis: Hypothesis) -> Understood:
    """The value asked for, and what else the words fill."""
    language, today = expectation.language, expectation.today
    wanted, free = _wanted(vocabulary, expectation), _free(expectation, hypothesis)
    filled = slots.read_all(wanted, asked, _readings(hypothesis), language, today)
    if wanted and free:
        # "Yes, and five hundred yuan": the recogniser listened for the yes, what it read freely has the rest.
        filled = {**slots.read_all(wanted, None, free[:1], language, today), **filled}
    own = filled.get(asked.name)
    if own is None:
        partial = slots.says_enough(asked, hypothesis.text, language) == "partial"
        partial = partial or (asked.kind == "date" and not filled)
        return Understood(hypothesis, partial=partial, slots=_named(filled))
    enough = "complete" if asked.kind in _AT_ONCE else slots.says_enough(asked, hypothesis.text, language)
    return Understood(
        hypothesis,
        value=own.value,
        confidence=own.confidence,
        complete=enough == "complete",
        partial=enough == "partial",
        slots=_named(filled),
    )


def _fills_most(understood: Understood, asked: Slot) -> bool:
    """Whether the value that was found is most of what was said, so that nothing else was asked in passing."""
    own = understood.slots.get(asked.name)
    if not understood.value or own is None:
        return bool(understood.value)
    return _covered([own], understood.hypothesis.text) >= _MOST_OF_IT


def _named_aside(
    vocabulary: Vocabulary, expectation: Expectation, asked: Slot, understood: Understood, entry: Entry
) -> dict[str, Filled]:
    """The places that a question in passing names besides what belongs to the question (往境外 sounds like 望京).

    Other values are a part of it: "are you open tomorrow".
    """
    hypothesis, language = understood.hypothesis, expectation.language
    places = [s for s in (asked, *_wanted(vocabulary, expectation)) if s.kind == "place" and s.name]
    found = slots.read_all(places, None, _readings(hypothesis), language, expectation.today)
    own = understood.slots.get(asked.name)
    if asked in places and own is not None and own.confidence >= _SURE_ASIDE * hypothesis.confidence:
        found.setdefault(asked.name, own)
    written = "\n".join(entry.questions.get(language, ()))
    known = " ".join(" ".join(expected.pinyin(q)) for q in written.splitlines())
    # As written too: cut out of its phrase, a character may be read otherwise (跨行转账).
    return {n: f for n, f in found.items() if f.text not in written and " ".join(expected.pinyin(f.text)) not in known}


def _digression(hypothesis: Hypothesis, language: str, found: Asked) -> Understood:
    wish = _wish(found.entries[0], language)
    return Understood(hypothesis, intent=wish.intent, answer=wish.answer, source=wish.source,
                      confidence=found.confidence, complete=True, model=found.version)  # fmt: skip


def _wish(entry: Entry, language: str) -> Wish:
    return Wish(entry.intent, entry.answer.get(language, ""), entry.id, entry.name(language))


def _beside(vocabulary: Vocabulary, expectation: Expectation, hypothesis: Hypothesis) -> Understood:
    """What was said instead of anything expected: the free readings among the alternatives, with higher bars."""
    asked, language = _asked(vocabulary, expectation), expectation.language
    free = _free(expectation, hypothesis)
    if commanded := _commanded(expectation, asked, hypothesis, free):
        return commanded
    free = [(t, c) for t, c in free if c >= _SURE_BESIDE]
    if not free:
        return Understood(hypothesis)
    best = replace(hypothesis, text=free[0][0], confidence=free[0][1], alternatives=(), rejected="")
    if corrected := _corrected(vocabulary, expectation, asked, best):
        return replace(corrected.understood, hypothesis=hypothesis)
    if expectation.digress:
        found = vocabulary.asked_for(free, language)
        if found.entry is not None and found.confidence >= STRONG:
            return _digression(hypothesis, language, found)
    filled = slots.read_all(_wanted(vocabulary, expectation), None, free[:1], language, expectation.today)
    return Understood(hypothesis, slots=filled)


def _open(
    vocabulary: Vocabulary, expectation: Expectation, hypothesis: Hypothesis, corrected: _Corrected | None
) -> Understood:
    """The intent of an open answer and what it fills; of a correction, those of what is meant instead."""
    language = expectation.language
    unfinished = expected.breaks_off(hypothesis.text, language)
    sounds_ended = hypothesis.ended is None or hypothesis.ended >= SURE_OF_END
    written_ended = hypothesis.text.rstrip().endswith((".", "?", "!", "。", "？", "！"))
    if corrected and corrected.new:
        readings = [(corrected.new, hypothesis.confidence)]
    else:
        readings = _beyond_no(_wanted(vocabulary, expectation), _readings(hypothesis), expectation)
    filled = slots.read_all(_wanted(vocabulary, expectation), None, readings, language, expectation.today)
    found = _chosen(vocabulary, expectation, readings, bool(filled))
    understood = Understood(hypothesis, value=hypothesis.text, partial=unfinished, slots=filled, model=found.version)
    if not found.entries and not filled and not corrected and (hypothesis.confidence < UNCLEAR or expectation.between):
        return Understood(hypothesis, partial=unfinished, model=found.version)
    if not found.entries:
        understood = replace(understood, complete=sounds_ended and not unfinished)
    else:
        wishes = tuple(_wish(entry, language) for entry in found.entries)
        first, ended = wishes[0] if found.entry else Wish(), sounds_ended or written_ended
        understood = replace(
            understood,
            intent=first.intent,
            answer=first.answer,
            source=first.source,
            confidence=found.confidence,
            also=wishes[1:] if found.entry else (),
            between=() if found.entry else wishes,
            complete=not unfinished and (ended or found.sure),
            partial=unfinished and not sounds_ended,
        )
    if corrected is None:
        return understood
    made = corrected.understood
    return replace(understood, slots=made.slots, corrects=made.corrects, other=made.other)


def _beyond_no(
    wanted: Sequence[Slot], readings: list[tuple[str, float]], expectation: Expectation
) -> list[tuple[str, float]]:
    """The readings; of "no, is there one near Xisi" only what is behind the no, which is no refusal then."""
    text, confidence = readings[0]
    behind = [(commands.instead(text, expectation.language), confidence)]
    fills = behind[0][0] and slots.read_all(wanted, None, behind, expectation.language, expectation.today)
    return behind if fills else readings


def _chosen(vocabulary: Vocabulary, expectation: Expectation, readings: list[tuple[str, float]], fills: bool) -> Asked:
    """What is asked for; where the caller was asked which of two they meant, what they chose or said instead."""
    between, language = expectation.between, expectation.language
    if not between:
        return vocabulary.asked_for(readings, language, fills)
    text = readings[0][0]
    chosen = choosing.by_place(text, language)
    if chosen is None:
        chosen = choosing.by_name(between, text, language, choosing.NEARLY_ALL)
    if chosen is None:
        found = vocabulary.asked_for(readings, language, fills)
        if found.entry is not None:
            return found
        chosen = choosing.by_name(between, text, language)
    entry = vocabulary.knowledge.by_id(between[chosen].source) if chosen not in (None, choosing.NEITHER) else None
    return Asked((entry,), confidence=readings[0][1], sure=True) if entry is not None else Asked()
