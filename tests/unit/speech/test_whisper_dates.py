"""Dates of a line-up in the spellings of a model, and how far each lies from what was read."""

import datetime

import numpy as np
import pytest

from ivr.speech import pcm, whisper_dates
from ivr.speech.whisper import WhisperRecognizer
from ivr.speech.whisper_model import Reading
from ivr.turn import Expectation

PHRASES = ("1987-04-28", "1987-04-29")
SPELT = {"en": (" The 28th of April 1987.", " The 29th of April 1987."),
         "zh": ("一九八七年四月二十八号", "一九八七年四月二十九号")}  # fmt: skip


class Model:
    """Reads something else with -3, likes one spelling of the second date; what it is asked to score is kept."""

    name = "given"

    def __init__(self, language):
        self._scores = dict(zip(SPELT[language], (-9.0, -4.0), strict=True)) | {"read": -3.0}
        self.asked = []

    def tokens(self, text):
        return [text]

    def encode(self, *_):
        return "first"

    def score(self, _, __, texts):
        self.asked.append(len(texts))
        return [[self._scores.get(tokens[0], -30.0)] for tokens in texts]

    def read(self, *_):
        return [Reading("read", ("read",), -1.4)], 0.1


def audio(seconds):
    return pcm.to_pcm(0.3 * np.sin(np.arange(int(seconds * pcm.RATE_HZ)) / 9).astype(np.float32))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_date_of_the_line_up_is_weighed_beside_what_was_read(language):
    heard = WhisperRecognizer(Model(language), language).recognize(
        audio(2.5), Expectation("date", language, phrases=PHRASES)
    )
    assert heard.text == "read"
    assert dict(heard.line_up) == pytest.approx({"1987-04-28": -6.0, "1987-04-29": -1.0}, abs=0.01)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("seconds", "phrases"), [(2.5, ()), (9.0, PHRASES)])
def test_no_line_up_and_no_time_for_one(language, seconds, phrases):
    """An answer much longer than a date would take long to weigh."""
    model = Model(language)
    recognizer = WhisperRecognizer(model, language)
    model.asked.clear()
    assert recognizer.recognize(audio(seconds), Expectation("date", language, phrases=phrases)).line_up == ()
    assert model.asked == [3], "only whether the sentence has ended"


@pytest.mark.parametrize(("day", "spelt"), [
    ("2001-01-01", " The 1st of January 2001."), ("2001-02-22", " The 22nd of February 2001."),
    ("1990-12-11", " The 11th of December 1990."), ("1905-03-31", " The 31st of March 1905."),
])  # fmt: skip
def test_english_ordinals(day, spelt):
    assert spelt in whisper_dates.spellings(datetime.date.fromisoformat(day), "en")


@pytest.mark.parametrize(("day", "spelt"), [
    ("2001-01-01", "二零零一年一月一号"), ("1987-04-29", "一九八七年四月二十九号"),
    ("1990-12-10", "一九九零年十二月十号"),
])  # fmt: skip
def test_mandarin_in_characters(day, spelt):
    assert whisper_dates.spellings(datetime.date.fromisoformat(day), "zh") == (spelt,)
