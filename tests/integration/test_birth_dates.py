"""A birth date proven by voice, from audio to evidence: both shipped models, voices of the system, G.711."""

import pytest

from ivr.caller.speak import speak
from ivr.speech import pcm
from ivr.speech.whisper import WhisperRecognizer
from ivr.speech.whisper_model import WhisperModel
from ivr.turn import Expectation
from ivr.understanding.knowledge import Knowledge
from ivr.understanding.proving import Proofs
from ivr.understanding.understand import Vocabulary

MODELS = {"en": "models/whisper-tiny-en", "zh": "models/whisper-base"}
SAID = {"en": ("The twenty ninth of April, nineteen eighty seven.", "slt"),
        "zh": ("一九八七年四月二十九号", "cmn-latn-pinyin+m3")}  # fmt: skip


@pytest.fixture(scope="module", params=["en", "zh"])
def evidence(request):
    """What the same words are worth where one date or another is expected."""
    language = request.param
    recognizer = WhisperRecognizer(WhisperModel(MODELS[language]), language)
    text, voice = SAID[language]
    spoken = pcm.over_telephone(speak(text, language, voice).astype("<i2").tobytes(), 8_000)
    audio = pcm.silence(300) + spoken + pcm.silence(160)

    def score(expected):
        proofs = Proofs({"birth_date": expected}, b"k" * 32)
        expectation = Expectation("date", language, proof="birth_date", sensitive=True)
        heard = recognizer.recognize(audio, proofs.listening(expectation))
        assert {date for date, _ in heard.line_up} >= {expected}
        return proofs.heard(Vocabulary(Knowledge(())), expectation, heard).evidence.score

    yield score
    recognizer.close()


def test_the_date_that_was_said_is_proven_by_two_answers_at_most(evidence):
    assert 2 * evidence("1987-04-29") >= 7


@pytest.mark.parametrize("other", ["1961-06-03", "1994-11-17"])
def test_another_date_is_not_however_often_it_is_said(evidence, other):
    assert evidence(other) <= 0


def test_a_day_beside_is_less_likely(evidence):
    assert evidence("1987-04-28") < evidence("1987-04-29") - 3
