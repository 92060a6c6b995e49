"""Dates that are expected, each weighed on the audio by Whisper itself, beside what it read freely.

What was misread is often still likelier as the right date than as any other: the audio is scored against every date of
a line-up in the spellings that the model is inclined to write. Which of them is expected is not known here. Runs on
recogniser threads; knows nothing of calls.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence

from ivr.speech import spoken_en, spoken_zh
from ivr.speech.whisper_model import Encoded, Reading, WhisperModel, log_add

MOST_MS = 8_000
"""Longer answers are no date alone; weighing takes time by their length."""

_MOST_DATES = 12
_SUFFIXES = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def spellings(date: datetime.date, language: str) -> tuple[str, ...]:
    """A date as the model would write it: in English figures with the month's name, in Mandarin characters.

    Mandarin figures are what it writes by itself, yet characters, one for each syllable, tell dates better apart.
    """
    if language == "zh":
        return (spoken_zh.date(date.year, date.month, date.day).removesuffix("日") + "号",)
    month, ordinal = spoken_en.MONTHS[date.month - 1], f"{date.day}{_SUFFIXES.get(date.day, 'th')}"
    return (
        f" {month} {date.day}, {date.year}.",
        f" The {ordinal} of {month} {date.year}.",
        f" {date.day} {month} {date.year}.",
    )


def weighed(
    model: WhisperModel, language: str, encoded: Encoded, phrases: Sequence[str], readings: Sequence[Reading]
) -> tuple[tuple[str, float], ...]:
    """Each ISO date of `phrases` with the log-probability by which it differs from the best of what was read, in nats.

    Spellings of a date add up. Raises SpeechFailed.
    """
    dates = phrases[:_MOST_DATES]
    texts = [(date, text) for date in dates for text in spellings(datetime.date.fromisoformat(date), language)]
    free = [reading for reading in readings if reading.text]
    tokens = [*(model.tokens(text) for _, text in texts), *(reading.tokens for reading in free)]
    scores = [math.fsum(score) for score in model.score(encoded, language, tokens)]
    read = max(scores[len(texts) :], default=0.0)
    found: dict[str, float] = {}
    for (date, _), score in zip(texts, scores, strict=False):
        found[date] = log_add(found[date], score) if date in found else score
    return tuple((date, round(score - read, 3)) for date, score in found.items())
