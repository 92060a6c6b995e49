"""How looks at the same audio are weighed together, with a model whose scores are given."""

import numpy as np
import pytest

from ivr.speech import pcm
from ivr.speech.whisper import WhisperRecognizer
from ivr.speech.whisper_model import Reading
from ivr.turn import Expectation

SAID = pcm.to_pcm(0.3 * np.sin(np.arange(int(0.7 * pcm.RATE_HZ)) / 9).astype(np.float32))
WORDS = {"en": {"yes": " Yes.", "no": " No."}, "zh": {"yes": "是", "no": "不是"}}


class Model:
    """Two looks, "first" and "again"; what each makes of yes and of no is given, of other phrases nothing."""

    name = "given"

    def __init__(self, language, **looks):
        self._looks = {look: dict(zip(WORDS[language].values(), scores, strict=True)) for look, scores in looks.items()}

    def tokens(self, text):
        return [text]

    def encode(self, *_):
        return "first"

    def encode_again(self, *_):
        return "again"

    def score(self, look, language, texts):
        return [[self._looks[look].get(text, -20.0)] for (text,) in texts]

    def read(self, *_):
        return [Reading("hm", (1,), -1.4)], 0.1


def heard(language, **looks):
    return WhisperRecognizer(Model(language, **looks), language).recognize(SAID, Expectation("yes_no", language))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_bad_look_does_not_outvote_a_good_one(language) -> None:
    found = heard(language, first=(-7.0, -10.0), again=(-2.5, -9.5))
    assert (found.text, found.rejected) == ("yes", "")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_two_bad_looks_are_no_answer(language) -> None:
    assert heard(language, first=(-7.0, -10.0), again=(-6.9, -9.5)).text == ""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_looks_that_contradict_each_other_are_no_answer(language) -> None:
    assert heard(language, first=(-6.0, -6.2), again=(-4.0, -3.9)).text == ""
