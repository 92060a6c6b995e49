"""One contract for every recogniser: Whisper in English and Mandarin, Vosk in Korean, and the fake that ships.

Each is given the same kinds of utterance in a language of its own, spoken by a synthesiser and sent through G.711.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ivr.errors import Unavailable
from ivr.speech import pcm, vosk_engine
from ivr.speech.protocols import Recognizer
from ivr.speech.scripted import ScriptedRecognizer
from ivr.speech.vosk_engine import VoskRecognizer
from ivr.speech.whisper import WhisperRecognizer
from ivr.speech.whisper_model import WhisperModel
from ivr.turn import Expectation, Hypothesis

MODELS = Path(__file__).resolve().parents[2] / "models"
FRAME_BYTES = 640

Say = Callable[[str], bytes]


@cache
def _spoken(command: tuple[str, ...], text: str) -> bytes:
    """`text` by a synthesiser that writes WAV to its standard output, over the telephone, with silence around."""
    wav = subprocess.run([*command, text], check=True, capture_output=True).stdout
    samples = np.frombuffer(wav[44:], "<i2")
    rate_hz = int.from_bytes(wav[24:28], "little")
    return pcm.silence(300) + pcm.over_telephone(samples.tobytes(), rate_hz) + pcm.silence(300)


@cache
def _flite(text: str) -> bytes:
    return _spoken(("flite", "-voice", "slt", "-o", "/dev/stdout", "-t"), text)


@cache
def _espeak(voice: str, words_a_minute: int, text: str) -> bytes:
    return _spoken(("espeak-ng", "--stdout", "-v", voice, "-s", str(words_a_minute)), text)


@dataclass(frozen=True)
class Subject:
    """A recogniser and what is said to it in its language."""

    recognizer: Recognizer
    language: str
    yes: bytes
    no: bytes
    digits: tuple[bytes, str]
    choice: tuple[bytes, str]
    phrases: tuple[str, ...]

    def expecting(self, kind: str) -> Expectation:
        return Expectation(kind, self.language, phrases=self.phrases, min_digits=1, max_digits=4)

    def hear(self, audio: bytes, kind: str) -> Hypothesis:
        stream = self.recognizer.stream(self.expecting(kind))
        for at in range(0, len(audio), FRAME_BYTES):
            stream.accept(audio[at : at + FRAME_BYTES])
        return stream.finish()


class _Parrot(ScriptedRecognizer):
    """The shipped fake, told what each test audio says."""

    def __init__(self, texts: dict[bytes, str]) -> None:
        super().__init__(languages=("en",))
        self._texts = texts

    def stream(self, expectation: Expectation):
        stream = super().stream(expectation)
        answer = stream._answer

        def say() -> Hypothesis:
            stream._line = self._texts.get(bytes(stream._audio), "")
            return answer()

        stream._answer = say
        return stream


def english() -> Subject:
    model = WhisperModel(MODELS / "whisper-tiny-en", workers=2)
    return Subject(
        WhisperRecognizer(model, "en"), "en", _flite("yes"), _flite("no"), (_flite("four two seven one"), "4271"),
        (_flite("lost card"), "lost card"), ("balance", "lost card", "opening hours"),
    )  # fmt: skip


def mandarin() -> Subject:
    def say(pinyin: str) -> bytes:
        return _espeak("cmn-latn-pinyin", 130, pinyin)

    model = WhisperModel(MODELS / "whisper-base", workers=2)
    return Subject(
        WhisperRecognizer(model, "zh"), "zh", say("dui4"), say("bu2 shi4"), (say("jiu3 qi1 wu3 san1"), "9753"),
        (say("wo3 bu4 zhi1 dao4"), "我不知道"), ("我不知道", "查询余额", "挂失"),
    )  # fmt: skip


def korean() -> Subject:
    def say(text: str) -> bytes:
        return _espeak("ko", 110 if text == "아닙니다" else 130, text)

    return Subject(
        VoskRecognizer(MODELS / "vosk-ko", "ko"), "ko", say("네"), say("아닙니다"), (say("하나, 이, 오"), "125"),
        (say("안내"), "안내"), ("안내", "상담원", "예약"),
    )  # fmt: skip


def scripted() -> Subject:
    yes, no, digits, choice = (_flite(t) for t in ("yes", "no", "four two seven one", "lost card"))
    texts = {yes: "Yes.", no: "No.", digits: "four two seven one", choice: "my lost card"}
    return Subject(
        _Parrot(texts), "en", yes, no, (digits, "4271"), (choice, "lost card"), ("balance", "lost card"),
    )  # fmt: skip


MAKERS = {"whisper-en": english, "whisper-zh": mandarin, "vosk-ko": korean, "scripted": scripted}


@pytest.fixture(scope="module", params=MAKERS)
def subject(request):
    made = MAKERS[request.param]()
    yield made
    made.recognizer.close()


def test_it_says_who_it_is(subject: Subject) -> None:
    assert subject.language in subject.recognizer.languages
    assert subject.recognizer.name


def test_yes_is_yes(subject: Subject) -> None:
    heard = subject.hear(subject.yes, "yes_no")
    assert (heard.text, heard.rejected) == ("yes", "")
    assert 0 < heard.confidence <= 1


def test_no_is_never_yes(subject: Subject) -> None:
    heard = subject.hear(subject.no, "yes_no")
    assert heard.text == "no"
    assert all(a.text != "yes" or a.confidence < heard.confidence for a in heard.alternatives)


def test_digits_come_as_figures(subject: Subject) -> None:
    audio, digits = subject.digits
    assert subject.hear(audio, "digits").text == digits


def test_a_choice_comes_as_it_was_given(subject: Subject) -> None:
    audio, phrase = subject.choice
    assert subject.hear(audio, "choice").text == phrase


def test_silence_is_no_speech(subject: Subject) -> None:
    for kind in ("open", "yes_no", "digits", "choice", "date"):
        heard = subject.hear(pcm.silence(1_200), kind)
        assert (heard.text, heard.rejected) == ("", "no_speech"), kind


def test_an_utterance_without_audio_is_no_speech(subject: Subject) -> None:
    assert subject.recognizer.stream(subject.expecting("open")).finish().rejected == "no_speech"


def test_free_speech_has_words_and_a_confidence(subject: Subject) -> None:
    heard = subject.hear(subject.digits[0], "open")
    assert heard.text
    assert 0 <= heard.confidence <= 1
    assert heard.ended is None or 0 <= heard.ended <= 1


def test_alternatives_are_others_and_no_surer(subject: Subject) -> None:
    for kind, audio in (("open", subject.choice[0]), ("digits", subject.digits[0])):
        heard = subject.hear(audio, kind)
        assert all(a.text and a.text != heard.text for a in heard.alternatives)
        assert all(0 <= a.confidence <= max(heard.confidence, 1e-9) for a in heard.alternatives)


def test_the_result_tells_engine_time_and_length(subject: Subject) -> None:
    heard = subject.hear(subject.yes, "yes_no")
    assert heard.engine == subject.recognizer.name
    assert heard.decode_ms >= 0
    assert heard.audio_ms == pcm.duration_ms(subject.yes)


def test_asking_in_between_does_not_end_the_utterance(subject: Subject) -> None:
    stream = subject.recognizer.stream(subject.expecting("yes_no"))
    half = len(subject.yes) // 2 // FRAME_BYTES * FRAME_BYTES
    stream.accept(subject.yes[:half])
    assert stream.hypothesis().audio_ms == pcm.duration_ms(subject.yes[:half])
    stream.accept(subject.yes[half:])
    assert stream.hypothesis().audio_ms == pcm.duration_ms(subject.yes)
    assert stream.finish().text == "yes"


def test_finishing_twice_gives_the_same(subject: Subject) -> None:
    stream = subject.recognizer.stream(subject.expecting("yes_no"))
    stream.accept(subject.yes)
    stream.hypothesis()
    assert stream.finish().text == "yes"
    assert stream.finish() == stream.finish()


def test_streams_run_side_by_side_in_threads(subject: Subject) -> None:
    work = [(subject.yes, "yes"), (subject.no, "no")] * 2
    with ThreadPoolExecutor(4) as threads:
        heard = list(threads.map(lambda w: subject.hear(w[0], "yes_no").text, work))
    assert heard == [text for _, text in work]


@pytest.mark.parametrize("make", [WhisperModel, lambda p: VoskRecognizer(p, "en")], ids=["whisper", "vosk"])
def test_a_missing_model_says_what_to_run(make, tmp_path) -> None:
    with pytest.raises(Unavailable, match="ivr models pull"):
        make(tmp_path / "none")


def test_vosk_listens_for_commands_in_force(monkeypatch) -> None:
    """Only where a grammar restricts it, and only while commands are in force."""
    grammars = []
    native = vosk_engine.vosk.KaldiRecognizer
    monkeypatch.setattr(vosk_engine.vosk, "KaldiRecognizer", lambda *args: grammars.append(args[2:]) or native(*args))
    engine = VoskRecognizer(MODELS / "vosk-ko", "ko", lambda _language, names: ("상담원 연결",) * ("operator" in names))
    for kind, commands in (("yes_no", ("operator",)), ("yes_no", ("help",)), ("yes_no", ()), ("open", ("operator",))):
        engine.stream(Expectation(kind, "ko", commands=commands))
    engine.close()
    assert ["상담원 연결" in str(json.loads(g[0])) if g else None for g in grammars] == [True, False, False, None]


def test_vosk_hands_on_the_words_behind_an_answer() -> None:
    """What was heard, when it is not the answer itself, stands among the alternatives."""
    engine = VoskRecognizer(MODELS / "vosk-ko", "ko")
    stream = engine.stream(Expectation("yes_no", "ko"))
    stream.accept(_espeak("ko", 110, "다시 말해 주세요"))
    heard = stream.finish()
    engine.close()
    (words,) = heard.alternatives
    assert len(words.text.split()) > 1
    assert heard.text not in ("", words.text) or heard.rejected == "none_of_these"


# What only Whisper can do ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whisper():
    made = english()
    yield made
    made.recognizer.close()


@pytest.mark.parametrize(
    ("said", "meaning"),
    [("yeah", "yes"), ("that's right", "yes"), ("correct", "yes"), ("no way", "no"), ("absolutely not", "no"),
     ("I don't know", "unsure"), ("I think so", "unsure")],
)  # fmt: skip
def test_ways_of_saying_yes_and_no(whisper: Subject, said: str, meaning: str) -> None:
    assert whisper.hear(_flite(said), "yes_no").text == meaning


@pytest.mark.parametrize("said", ["banana", "I would like a mortgage", "tomorrow"])
def test_other_words_are_none_of_these(whisper: Subject, said: str) -> None:
    for kind in ("yes_no", "digits", "choice"):
        heard = whisper.hear(_flite(said), kind)
        assert (heard.text, heard.rejected) == ("", "none_of_these"), kind
        expected = {"yes", "no", "unsure", *whisper.phrases}
        assert {a.text for a in heard.alternatives} - expected, f"{kind}: what was read freely is handed on"


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_no_answer(whisper: Subject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    burst = rng.standard_normal(3_200) * np.exp(-np.linspace(0, 4, 3_200)) * 0.3
    hiss = rng.standard_normal(24_000) * 0.01
    for wave in (burst, hiss):
        for kind in ("yes_no", "digits", "choice", "open"):
            assert whisper.hear(pcm.silence(300) + pcm.to_pcm(wave) + pcm.silence(200), kind).text == "", kind


def test_double_and_oh(whisper: Subject) -> None:
    assert whisper.hear(_flite("double five zero two"), "digits").text == "5502"


def test_recorded_sentences_are_understood_word_by_word(whisper: Subject) -> None:
    """Debian's asterisk-core-sounds-en-wav; the long form with 60 sentences is `ivr bench recognition`."""
    sounds = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
    texts = {
        "conf-muted": "you are now muted",
        "pbx-invalid": "i am sorry but that's not a valid extension please try again",
        "vm-goodbye": "goodbye",
        "agent-newlocation": "please enter a new extension followed by pound",
    }
    heard = {}
    for name in texts:
        read = whisper.hear(pcm.over_telephone(pcm.read_wav(sounds / f"{name}.wav")) + pcm.silence(200), "open")
        heard[name] = " ".join("".join(c for c in read.text.lower() if c.isalnum() or c in " '").split())
    assert heard == texts


def test_an_ended_sentence_sounds_more_ended_than_a_broken_one(whisper: Subject) -> None:
    audio = pcm.over_telephone(pcm.read_wav("/usr/share/asterisk/sounds/en_US_f_Allison/pbx-invalid.wav"))
    whole = whisper.hear(audio + pcm.silence(200), "open")
    broken = whisper.hear(audio[: len(audio) * 33 // 100 & ~1] + pcm.silence(200), "open")
    assert whole.ended > 0.5 > broken.ended
