"""Slots, calendars, places and knowledge as a plan's files declare them: read values in, the types of brains out.

Checks what a value means by itself (a currency there is, a day of the calendar); knows nothing of steps.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import phonenumbers
from babel import Locale
from babel.languages import get_official_languages
from babel.numbers import is_currency

from ivr.dialog.calendar import DAYS, MINUTES_A_DAY, Calendar, Opening
from ivr.dialog.expressions import CONSTANTS
from ivr.dialog.plan import FACTS
from ivr.dialog.plan_format import LANGUAGES
from ivr.dialog.plan_yaml import Path_
from ivr.dialog.shapes import Reading, did_you_mean
from ivr.errors import Problem
from ivr.understanding.expected import plain
from ivr.understanding.knowledge import Entry
from ivr.understanding.places import Place, Places
from ivr.understanding.slots import Slot

_RESERVED = {*FACTS, *CONSTANTS}


def languages(reading: Reading) -> tuple[str, ...]:
    """The languages a plan says it speaks, English when it says nothing, none when they cannot be made out.

    What is not even a list of codes is told when the plan is read.
    """
    given = reading.file.root.items.get("languages")
    if given is None:
        return ("en",)
    trial = Reading(reading.file)
    codes = LANGUAGES.read(given, ("languages",), trial) or ()
    known = Locale("en").languages
    for index, code in enumerate(codes):
        if code not in known:
            spoken = get_official_languages(code.upper(), de_facto=True)
            mend = f"did you mean `{spoken[0]}`?" if spoken else "ISO 639-1, like zh"
            reading.fault(("languages", index), f"there is no language `{code}`", mend)
    told = len(trial.problems) > len(reading.file.problems) or not known.keys() >= set(codes)
    return () if told else tuple(dict.fromkeys(codes))


def slots(
    declared: Mapping[str, dict[str, Any]], reading: Reading, places: Callable[[str, Path_], Places | None]
) -> dict[str, Slot]:
    """The slots of a plan. `places` reads the file of places with that name, noting at the path what is wrong."""
    found = {}
    for name, values in declared.items():
        path = ("slots", name)
        if name in _RESERVED or keyword.iskeyword(name):
            reading.fault(path, f"`{name}` has a meaning in expressions", "give the slot another name")
        given = {key: value for key, value in values.items() if key not in ("kind", "choices", "places")}
        if given.get("max") and given["min"] > given["max"]:
            reading.fault((*path, "min"), f"more than max, which is {given['max']}", "swap them")
        if (currency := given.get("currency")) and not is_currency(currency):
            reading.fault((*path, "currency"), f"there is no currency `{currency}`", "ISO 4217, like CNY")
        if (country := given.get("country")) and country not in phonenumbers.SUPPORTED_REGIONS:
            reading.fault((*path, "country"), f"there is no country `{country}`", "ISO 3166, like CN")
        if values["kind"] == "choice":
            given["choices"] = {value: entry["languages"] for value, entry in values["choices"].items()}
            check_phrases(reading, given["choices"], (*path, "choices"))
        if values["kind"] == "place" and values["places"]:
            given["places"] = places(values["places"], (*path, "places"))
        found[name] = Slot(name, values["kind"], **given)
    return found


def check_phrases(reading: Reading, choices: Mapping[str, Mapping[str, tuple[str, ...]]], path: Path_) -> None:
    """No phrase may mean two choices (value -> language -> phrases)."""
    owners: dict[tuple[str, str], str] = {}
    for value, languages in choices.items():
        for language, phrases in languages.items():
            for phrase in phrases:
                owner = owners.setdefault((language, phrase.casefold()), value)
                if owner != value:
                    where = (*path, value, language)
                    reading.fault(where, f"`{phrase}` also means `{owner}`", "leave it to one of them")


def zone(name: str, path: Path_, reading: Reading) -> str:
    """The time zone `name`, UTC with a problem when there is none."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        mend = did_you_mean(name, available_timezones(), "like Asia/Shanghai")
        reading.fault(path, f"there is no time zone `{name}`", mend)
        return "UTC"
    return name


def calendar(values: Mapping[str, Any], plan_zone: str, path: Path_, reading: Reading) -> Calendar:
    """One calendar. Hours that end before they begin go past midnight."""
    own = values["zone"]
    openings: list[Opening] = []
    for days, times in values["hours"].items():
        where = (*path, "hours", days)
        for index, times_of_day in enumerate(times):
            item = (*where, index) if len(times) > 1 else where
            if (minutes := _minutes(times_of_day, item, reading)) is not None:
                openings += [Opening(day, *minutes) for day in _days(days)]
    for one, other in pairwise(sorted(openings, key=lambda o: (o.day, o.opens))):
        if one.day == other.day and other.opens < _ends(one):
            mend = "give each hour of a day once; hours for some days do not replace those for others"
            reading.fault((*path, "hours"), f"{DAYS[one.day]} has hours that overlap", mend)
            break
    for day in values["holidays"]:
        try:
            date.fromisoformat(day if len(day) == 10 else f"2024-{day}")
        except ValueError:
            reading.fault((*path, "holidays", day), f"`{day}` is no day of the calendar", "like 2026-10-01 or 10-01")
    used = zone(own, (*path, "zone"), reading) if own else plan_zone
    return Calendar(used, tuple(openings), dict(values["holidays"]))


def _ends(opening: Opening) -> int:
    """Minutes after midnight of its day."""
    return opening.closes + MINUTES_A_DAY * (opening.closes < opening.opens)


def _days(text: str) -> list[int]:
    first, _, last = text.partition("-")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1)]


def _minutes(text: str, path: Path_, reading: Reading) -> tuple[int, int] | None:
    hours = [int(part) for part in re.findall("[0-9]{2}", text)]
    opens, closes = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if max(hours[1], hours[3]) > 59 or opens >= MINUTES_A_DAY or closes > MINUTES_A_DAY:
        reading.fault(path, f"`{text}` is no time of day", "hours 00:00 to 23:59, closing at 24:00 at most")
        return None
    if opens == closes:
        reading.fault(path, f"`{text}` opens for no time at all", "00:00-24:00 is the whole day")
        return None
    return opens, closes


def places(values: Mapping[str, Any], reading: Reading) -> Places:
    """The places of a places file; each has a name in every language of the plan."""
    entries, seen = [], set()
    for index, entry in enumerate(values["places"]):
        path = ("places", index)
        if entry["id"] in seen:
            reading.fault((*path, "id"), f"a second place `{entry['id']}`", "give it another id")
        seen.add(entry["id"])
        also = entry["also"].get("languages", {})
        names = {language: (name, *also.get(language, ())) for language, name in entry["languages"].items()}
        for language in reading.languages:
            if language not in names:
                reading.fault((*path, language), f"no name in `{language}`", f"add `{language}:`")
        entries.append(Place(entry["id"], names))
    return Places(entries)


def entries(
    values: Mapping[str, Any], reading: Reading, owners: dict[tuple[str, str], str] | None = None
) -> tuple[Entry, ...]:
    """The entries of a knowledge file. One without an intent needs an answer in each of its languages.

    `owners` keeps which intent an example (language, words) stands under, over the files of a plan.
    """
    found, seen = [], set()
    owners = {} if owners is None else owners
    for index, entry in enumerate(values["entries"]):
        path = ("entries", index)
        name = entry["id"]
        if name in seen:
            reading.fault((*path, "id"), f"a second entry `{name}`", "give it another id")
        seen.add(name)
        _examples(entry, path, owners, reading)
        if not entry["languages"]:
            reading.fault(path, "no way to ask it", "add en: {questions: [...], answer: ...}")
        for language, part in entry["languages"].items():
            if not entry["intent"] and not part["answer"]:
                reading.fault((*path, language, "answer"), "no answer", "add `answer:` or `intent:`")
        questions = {language: part["questions"] for language, part in entry["languages"].items()}
        answers = {language: part["answer"] for language, part in entry["languages"].items()}
        keywords = {language: tuple(part["keywords"]) for language, part in entry["languages"].items()}
        called = {language: part["called"] for language, part in entry["languages"].items() if part["called"]}
        found.append(Entry(name, questions, answers, entry["intent"], bool(entry["urgent"]), keywords, called))
    return tuple(found)


def _examples(entry: Mapping[str, Any], path: Path_, owners: dict[tuple[str, str], str], reading: Reading) -> None:
    """Notes examples that stand under another intent too, and languages that the plan does not speak."""
    intent = entry["intent"] or entry["id"]
    for language, part in entry["languages"].items():
        if reading.languages and language not in reading.languages:
            message = "not a language of this plan"
            reading.fault((*path, language), message, f"its languages are {', '.join(reading.languages)}")
        for number, question in enumerate(part["questions"]):
            other = owners.setdefault((language, plain(question)), intent)
            if other != intent:
                message = f"`{question}` stands under `{other}` too, and cannot mean both"
                reading.fault((*path, language, "questions", number), message, "leave it where it belongs")


def lone_examples(values: Mapping[str, Any], reading: Reading) -> Iterator[Problem]:
    """Intents that have a single example in a language: nobody who says it otherwise is understood."""
    counts: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], Path_] = {}
    for index, entry in enumerate(values["entries"]):
        for language, part in entry["languages"].items():
            key = (entry["intent"] or entry["id"], language)
            counts[key] += len(part["questions"])
            places.setdefault(key, ("entries", index, language, "questions"))
    for (intent, language), count in counts.items():
        if count < 2:
            message = f"one example of `{intent}` in `{language}`"
            yield reading.file.problem(places[intent, language], message, "ten that differ find far more callers")
