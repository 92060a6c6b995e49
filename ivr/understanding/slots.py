"""Slots: typed values that an utterance fills, read from recognised words or from keys.

What each kind's words are stands in a module of its own; here is which of them count. An answer to a question may be
bare ("three fifty"); a slot nobody asked for is filled only by words that say themselves what they are ("tomorrow at
nine", 三千五百元), and no stretch of words fills two. Pure: text in, canonical strings out (see `Filled`). Knows
nothing of steps, prompts or recognisers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Literal

from ivr.turn import ExpectationKind, Filled
from ivr.understanding import codes, dates, durations, expected, money, names, numbers, times
from ivr.understanding.places import Match, Places
from ivr.understanding.said import Span, normal, numerals, sounding

Readings = Sequence[tuple[str, float]]
"""Texts and their confidences in 0..1, best first."""

_WHOLE_TEXT = ("open", "text")
_COUNTS = ("number", "money")
_READINGS = 5
# What a value is worth that was only found by how the Mandarin sounds.
_BY_SOUND = 0.85
# Places that nobody asked for must be named so clearly, by number of syllables or words.
_PLACE_CLEAR, _LONG_PLACE_CLEAR = {1: 0.97, 2: 0.93, 3: 0.85}, 0.8
_PLACE_RIVAL, _SURE_PLACE = 0.12, 0.9
_MOST_RIVALS = 3
# A later reading's value is a rival when the reading is at least so sure beside the best one.
_RIVAL_SHARE = 0.5
_DIGITS_AHEAD_EN = re.compile(r"\b(?:ending(?: in| with)?|ends in|number(?: is)?|digits(?: are)?|code(?: is)?) ?$")
_DIGITS_AHEAD_ZH = (
    "尾号",
    "尾号是",
    "号码",
    "号码是",
    "后四位",
    "后四位是",
    "密码",
    "验证码",
    "验证码是",
    "卡号",
    "卡号是",
)


# "Not the red one", 不要红色; in English, and in Mandarin.
_NOT_THIS = (
    re.compile(r"\b(?:not|no|don't want|don't mean|instead of|rather than)(?: the| a| my)? $"),
    re.compile(r"(?:不是|不要|不想要|不用|别|除了)(?:我的|那个|这个)?$"),
)
_DIRECTIONS = {
    "from": re.compile(r"(?:\b(?:from|out of)(?: my| the)? $|[从自由])(?:我的?)?$"),
    "to": re.compile(r"(?:\b(?:to|into)(?: my| the)? $|[到给往至入])(?:我的?)?$"),
}


@dataclass(frozen=True)
class Slot:
    """One value that a service asks for.

    Attributes:
        name: as dialplans and records call it. Of two slots of a kind, one whose name has the part `from` takes what
            "from" or 从 stands before, one with `to` what "to" or 到 does: `from_account`, `to_account`.
        kind: what kind of value.
        min: least number of digits or characters, or the least number; 0 for no limit.
        max: most of them; 0 for no limit.
        choices: for `choice`: value -> language -> phrases that mean it.
        places: for `place`: the places there are.
        currency: ISO 4217 code of money said without one.
        country: ISO 3166 code of the country whose telephone numbers are meant; empty takes any digits.
        luhn: the last of the digits checks the others (ISO/IEC 7812-1, annex B).
        sensitive: masked in records and logs and silenced in recordings.
    """

    name: str
    kind: ExpectationKind
    min: int = 0
    max: int = 0
    choices: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    places: Places | None = None
    currency: str = "CNY"
    country: str = ""
    luhn: bool = False
    sensitive: bool = False


def read(slot: Slot, readings: Readings, language: str, today: str = "") -> Filled | None:
    """The slot's value in the answer to a question for it; `readings` of one utterance.

    `today` is the ISO date that relative dates count from. None when no reading holds a value that fits.
    """
    if slot.kind == "place":
        return _place(slot, readings, language)
    # What follows a doubtful yes, or a number that breaks off, is the recogniser's guess.
    readings = readings[:1] if slot.kind == "yes_no" else readings[:_READINGS]
    filled: Filled | None = None
    rivals: dict[str, None] = {}
    for text, confidence in readings:
        if filled is not None and confidence <= _RIVAL_SHARE * readings[0][1]:
            continue
        span, said = _best(slot, text, language, today)
        if span is None:
            if filled is None and _too_short(slot, text, language):
                return None
            continue
        if filled is None:
            words = text if slot.kind in _WHOLE_TEXT else said[span.start : span.end].strip()
            filled = Filled(span.value, round(confidence * span.score, 3), words)
        rivals.update(dict.fromkeys((span.value, *span.rivals)))
    if filled is None:
        return None
    return replace(filled, rivals=tuple(r for r in rivals if r != filled.value)[:_MOST_RIVALS])


def read_all(
    slots: Sequence[Slot], asked: Slot | None, readings: Readings, language: str, today: str = ""
) -> dict[str, Filled]:
    """Every slot that the utterance fills, by name; no stretch of words fills two.

    A slot other than `asked` is taken only when the best reading clearly says it, and when it is clear which slot is
    meant: two slots of a kind need two values, which they take in order, the one asked for first.
    """
    if not readings:
        return {}
    if asked is not None and asked.kind in (*_WHOLE_TEXT, "yes_no"):
        filled = read(asked, readings, language, today)
        if asked.kind in _WHOLE_TEXT or filled is None:
            return {asked.name: filled} if filled else {}
    text, confidence = readings[0]
    said = normal(text, language)
    wanted = [s for s in slots if asked is None or s.name != asked.name]
    taken = _shared_out(([asked] if asked else []) + wanted, asked, said, language, today)
    found = {
        name: Filled(span.value, round(confidence * span.score, 3), said[span.start : span.end].strip(), span.rivals)
        for name, span in taken.items()
    }
    if asked is None:
        return found
    if asked.name not in found or asked.kind in ("place", "choice"):
        others = [span for name, span in taken.items() if name != asked.name]
        rest = _without(said, others)
        left = [(rest if others else text, confidence), *(readings[1:] if not others else ())]
        if re.search(r"\w", rest) and (filled := read(asked, left, language, today)):
            found[asked.name] = filled
    elif not any(name != asked.name for name in taken):
        found[asked.name] = read(asked, readings, language, today) or found[asked.name]
    return found


def from_keys(slot: Slot, keys: str, today: str = "") -> str:
    """The value that pressed keys mean, empty when they do not fit. `*` is the point of an amount or number.

    Dates are YYYYMMDD, or DDMMYYYY or MMDDYYYY where only one of these exists, or MMDD and `today`'s nearest year;
    times HHMM; 1 and 2 are yes and no.
    """
    if not re.fullmatch(r"[\d*]{1,32}", keys, re.ASCII):
        return ""
    if slot.kind in ("digits", "code", "text"):
        return keys if keys.isdecimal() and _fits(slot, keys) else ""
    if slot.kind in ("number", "money"):
        return _amount_from_keys(slot, keys)
    if slot.kind == "date":
        return dates.compact(keys) or dates.month_and_day(keys, today)
    if slot.kind == "time":
        return times.compact(keys)
    if slot.kind == "phone":
        if not keys.isdecimal():
            return ""
        return codes.international(keys, slot.country) if slot.country else keys if 3 <= len(keys) <= 15 else ""
    return {"1": "yes", "2": "no"}.get(keys, "") if slot.kind == "yes_no" else ""


def keys_wanted(slot: Slot) -> int:
    """How many keys complete the slot at once; 0 when `#` or a timeout ends it."""
    fixed = {"yes_no": 1, "date": 8, "time": 4}
    return slot.max if slot.kind in ("digits", "code") else fixed.get(slot.kind, 0)


def says_enough(slot: Slot, text: str, language: str) -> Literal["complete", "partial", ""]:
    """Whether `text` holds the whole value, breaks off in the middle of one, or neither; for the end-of-speech wait."""
    said = normal(text, language)
    if not said:
        return ""
    span, _ = _best(slot, text, language, _ANY_DAY) if slot.kind != "place" else (None, "")
    if slot.kind in ("digits", "code", "phone"):
        return _enough_symbols(slot, text, span, language)
    if slot.kind == "place":
        return _enough_of_place(slot, text, language)
    if slot.kind in _WHOLE_TEXT:
        return "partial" if expected.breaks_off(text, language) else ""
    if _mid_value(slot, said, language):
        return "partial"
    if span is None:
        return ""
    return "complete" if span.whole and slot.kind != "number" else ""


# Which spans there are ----------------------------------------------------------------------------------------------

_ANY_DAY = "2000-01-05"
"""Stands for today where only the shape of what was said matters."""


def _best(slot: Slot, text: str, language: str, today: str) -> tuple[Span | None, str]:
    """The best span for a slot that was asked for, and the normalised text it lies in."""
    said = normal(text, language)
    if slot.kind in _WHOLE_TEXT:
        return (Span(0, len(said), text.strip()) if re.search(r"\w", text) else None), said
    if slot.kind == "yes_no":
        value = expected.yes_no(text, language)
        return (Span(0, len(said), value) if value else None), said
    if slot.kind == "choice":
        return _chosen(slot, text, said, language), said
    if slot.kind == "digits" and _fits(slot, value := expected.digits(text, language)) and value:
        return Span(0, len(said), value, clear=False, whole=len(value) == slot.max), said
    spellings = [(said, 1.0)]
    if language == "zh":
        if slot.kind in _COUNTS:
            spellings[0] = (numerals(said), 1.0)
        if slot.kind == "money":
            spellings.insert(0, (money.unit_misheard(spellings[0][0]), 1.0))
        spellings.append((sounding(said), _BY_SOUND))
    best: Span | None = None
    for spelt, worth in spellings:
        spans = [s for s in _spans(slot, spelt, language, today) if _fits(slot, s.value)]
        if not spans:
            continue
        longest = max(spans, key=lambda s: (s.clear, s.end - s.start, s.score))
        if best is None:
            best = replace(longest, score=longest.score * worth)
        elif (
            slot.kind in _COUNTS and longest.value != best.value and longest.end - longest.start > best.end - best.start
        ):
            # 是二 is "it is two", and twelve.
            best = replace(best, rivals=(*best.rivals, longest.value))
    return best or _in_other_words(slot, said, language, today), said


def _in_other_words(slot: Slot, said: str, language: str, today: str) -> Span | None:
    """Digits said as one number (eight thousand six hundred and twenty), and English inside Mandarin."""
    if slot.kind == "digits":
        counted = [s for s in numbers.numbers(said, language) if s.value.isdecimal() and _fits(slot, s.value)]
        if counted:
            return max(counted, key=lambda s: s.end - s.start)
    if (
        language == "zh"
        and (english := re.sub(r"[^a-z0-9'+.: ]", " ", said)).strip()
        and re.search("[a-z]{2}", english)
    ):
        span, _ = _best(slot, english, "en", today)
        return replace(span, start=0, end=len(said), score=span.score * _BY_SOUND) if span else None
    return None


def _spans(slot: Slot, said: str, language: str, today: str) -> Iterable[Span]:
    match slot.kind:
        case "number":
            return numbers.numbers(said, language)
        case "money":
            return money.amounts(said, language, slot.currency)
        case "date":
            return dates.dates(said, language, today)
        case "time":
            return times.times(said, language)
        case "duration":
            return durations.durations(said, language)
        case "name":
            return names.names(said, language)
        case "phone":
            return codes.phones(said, language, slot.country)
        case "code":
            return codes.codes(said, language)
        case "digits":
            return (replace(s, value=s.value.lstrip("+")) for s in numbers.digit_strings(said, language))
        case _:
            return ()


def _fits(slot: Slot, value: str) -> bool:
    """Whether the value is within the slot's bounds, and its check digit is right where it has one."""
    if slot.luhn and not codes.luhn(value):
        return False
    if slot.kind in ("digits", "code", "text"):
        return slot.min <= len(value) and (not slot.max or len(value) <= slot.max)
    if slot.kind == "number" and slot.max > slot.min:
        return slot.min <= Decimal(value) <= slot.max
    return True


def _too_short(slot: Slot, text: str, language: str) -> bool:
    """Whether the best reading is a string that breaks off, so that worse readings must not complete it."""
    if slot.kind != "digits":
        return False
    value = expected.digits(text, language)
    return 0 < len(value) < slot.min


def _clear_spans(slot: Slot, said: str, language: str, today: str) -> list[Span]:
    """What says of itself that it is for such a slot, longest first."""
    if slot.kind == "choice":
        found = _phrases_in(slot, said, language)
    elif slot.kind == "place":
        found = _place_in(slot, said, language)
    elif slot.kind == "digits":
        found = [s for s in _spans(slot, said, language, today) if _announced(said[: s.start], language)]
    else:
        text = money.unit_misheard(said) if slot.kind == "money" and language == "zh" else said
        found = [s for s in _spans(slot, text, language, today) if s.clear]
    return sorted((s for s in found if _fits(slot, s.value)), key=lambda s: (s.start - s.end, s.start))


def _announced(before: str, language: str) -> bool:
    """Whether the words before digits say that digits come."""
    return before.endswith(_DIGITS_AHEAD_ZH) if language == "zh" else bool(_DIGITS_AHEAD_EN.search(before))


def _shared_out(slots: Sequence[Slot], asked: Slot | None, said: str, language: str, today: str) -> dict[str, Span]:
    """Clear spans to slots, longer ones first; those of one kind in the order in which they were said."""
    kinds: dict[tuple[Span, ...], list[Slot]] = {}
    for slot in slots:
        if spans := _clear_spans(slot, said, language, today):
            kinds.setdefault(tuple(spans), []).append(slot)
    taken: list[Span] = []
    found: dict[str, Span] = {}
    for spans in sorted(kinds, key=lambda spans: spans[0].start - spans[0].end):
        free: list[Span] = []
        for span in spans:
            if not any(span.start < t.end and t.start < span.end for t in (*taken, *free)):
                free.append(span)
        takers = kinds[spans]
        if len(free) < len(takers):
            takers = [s for s in takers if asked is not None and s.name == asked.name]
        for slot, span in _by_direction(takers, free, said):
            found[slot.name] = span
            taken.append(span)
    return found


def _by_direction(slots: Sequence[Slot], spans: Sequence[Span], said: str) -> list[tuple[Slot, Span]]:
    """Slots with their spans: those named for a direction take what is said with it, the others what is left."""
    pairs, left = [], list(spans)
    for slot in slots:
        wanted = next((d for d in _DIRECTIONS if d in re.split(r"[^a-z]+", slot.name.lower())), "")
        directed = [s for s in left if wanted and _DIRECTIONS[wanted].search(said[: s.start])]
        if directed:
            pairs.append((slot, directed[0]))
            left.remove(directed[0])
    others = [s for s in slots if all(s is not slot for slot, _ in pairs)]
    if len(others) > 1:
        left.sort(key=lambda s: s.start)
    return pairs + list(zip(others, left, strict=False))


def _without(said: str, spans: Iterable[Span]) -> str:
    """`said` with blanks where the spans are."""
    for span in spans:
        said = said[: span.start] + " " * (span.end - span.start) + said[span.end :]
    return said


# Choices and places -------------------------------------------------------------------------------------------------


def _phrases_of(slot: Slot, language: str) -> dict[str, str]:
    """Phrase -> value."""
    return {p: value for value, by in slot.choices.items() for p in by.get(language, ())}


def _phrases_in(slot: Slot, said: str, language: str) -> list[Span]:
    """Phrases that stand in `said` as whole words, in Mandarin as they sound, two syllables at least."""
    found = []
    units = list(expected.pinyin(said)) if language == "zh" else []
    by_sound = len(units) == len(said)
    for phrase, value in _phrases_of(slot, language).items():
        wanted = normal(phrase, language)
        if language != "zh":
            match = re.search(rf"\b{re.escape(wanted)}\b", said) if wanted else None
            found += [Span(*match.span(), value)] if match else []
            continue
        at, sounds = said.find(wanted), list(expected.pinyin(wanted))
        if at < 0 and by_sound and len(sounds) > 1:
            at = next((i for i in range(len(units)) if units[i : i + len(sounds)] == sounds), -1)
        if at >= 0 and len(wanted) > 1:
            found.append(Span(at, at + len(wanted), value))
    return found


def _chosen(slot: Slot, text: str, said: str, language: str) -> Span | None:
    """The choice that the answer says, alone or in a sentence, as spelt or nearly; None when it says two."""
    inside: list[Span] = []
    phrases = _phrases_in(slot, said, language)
    wanted = [s for s in phrases if not _NOT_THIS[language == "zh"].search(said[: s.start])]
    if phrases and not wanted:
        return None
    for span in sorted(wanted, key=lambda s: s.start - s.end):
        if not any(span.start < s.end and s.start < span.end for s in inside):
            inside.append(span)
    if inside:
        return inside[0] if len({s.value for s in inside}) == 1 else None
    values = _phrases_of(slot, language)
    phrase, score = expected.choice(text, tuple(values), language)
    return Span(0, len(said), values[phrase], score=score) if phrase else None


def _place(slot: Slot, readings: Readings, language: str) -> Filled | None:
    matches = _matches(slot, readings, language)
    if not matches:
        return None
    first, *others = matches
    rivals = tuple(m.id for m in others if m.score >= first.score - _PLACE_RIVAL)
    return Filled(first.id, round(first.score * (0.5 + 0.5 * readings[0][1]), 3), first.text, rivals[:_MOST_RIVALS])


def _matches(slot: Slot, readings: Readings, language: str) -> tuple[Match, ...]:
    return slot.places.find(readings, language, most=1 + _MOST_RIVALS) if slot.places is not None else ()


def _place_in(slot: Slot, said: str, language: str) -> list[Span]:
    """The places that are named in words that go with one; those that the same words may name are rivals."""
    found: list[Span] = []
    for match in _matches(slot, [(said, 1.0)], language):
        at, units = said.find(match.text), len(match.text if language == "zh" else match.text.split())
        behind = at + len(match.text)
        over = next((i for i, s in enumerate(found) if at < s.end and s.start < behind), -1)
        if at < 0 or match.score < _PLACE_CLEAR.get(units, _LONG_PLACE_CLEAR) or not match.placed:
            continue
        if over < 0:
            found.append(Span(at, behind, match.id, score=match.score))
        elif match.score >= found[over].score - _PLACE_RIVAL:
            found[over] = replace(found[over], rivals=(*found[over].rivals, match.id))
    return found


# Enough of it, and keys ---------------------------------------------------------------------------------------------


def _enough_symbols(slot: Slot, text: str, span: Span | None, language: str) -> Literal["complete", "partial", ""]:
    """Digits, codes and telephone numbers: by their length, or by what numbers the country has."""
    if span is not None and slot.kind != "phone":
        return "complete" if slot.max and len(span.value) >= slot.max else ""
    if span is not None:
        return "complete" if span.whole else ""
    symbols = expected.digits(text, language) if slot.kind != "code" else ""
    if slot.kind == "code":
        symbols = max((s.value for s in codes.codes(normal(text, language), language)), key=len, default="")
    return "partial" if symbols and (slot.kind == "phone" or len(symbols) < slot.min) else ""


def _enough_of_place(slot: Slot, text: str, language: str) -> Literal["complete", "partial", ""]:
    if expected.breaks_off(text, language):
        return "partial"
    matches = _matches(slot, [(text, 1.0)], language)
    return "complete" if matches and matches[0].score >= _SURE_PLACE else ""


def _mid_value(slot: Slot, said: str, language: str) -> bool:
    """Whether the words stop where more of the value must come."""
    if slot.kind == "date":
        return dates.breaks_off(said, language)
    if slot.kind == "time":
        return times.breaks_off(said, language)
    if slot.kind == "duration":
        return durations.breaks_off(said, language)
    if slot.kind in ("number", "money"):
        return bool(re.search(r"[点负零]$" if language == "zh" else r"\b(?:point|and|minus|a)$", said))
    return False


def _amount_from_keys(slot: Slot, keys: str) -> str:
    try:
        value = Decimal(keys.replace("*", ".", 1))
    except InvalidOperation:
        return ""
    if value >= numbers.LARGEST:
        return ""
    text = numbers.plain_decimal(value)
    return money.written(value, slot.currency) if slot.kind == "money" else text if _fits(slot, text) else ""
