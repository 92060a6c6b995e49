"""The real engines in their child processes: they speak, hang, crash and die as they should."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ivr.bench.voice import words, wrong
from ivr.config import Config, Speech, Synthesis
from ivr.errors import SpeechFailed, Unavailable
from ivr.speech import engines, pcm, spoken
from ivr.speech.prompts import Prompts
from ivr.speech.shaping import shape
from ivr.speech.tts import PiperVoice, Pyttsx3Voice, open_voices
from ivr.turn import Expectation

SENTENCES = [
    ("en", "Welcome to the bank.", 1_000, 3_000),
    ("zh", "您好，请问有什么可以帮您？", 2_000, 6_000),
    ("ko", "안녕하세요.", 500, 3_000),
    ("zh", "请打开 Apple Pay 应用", 1_000, 6_000),
    ("en", "The branch is near 鸟巢.", 1_000, 5_000),
]


def config_at(root, timeout_s=30, **speech):
    voices = {"en": Speech(), "zh": Speech(), **speech}
    return Config(root=str(root), speech=voices, synthesis=Synthesis(timeout_s=timeout_s))


@pytest.fixture(scope="session")
def repository():
    """Where the models are."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recognizers(repository):
    built = engines.build(config_at(repository))
    yield built
    for several in built.values():
        for recognizer in several:
            recognizer.close()


@pytest.fixture
def voice(tmp_path):
    voice = Pyttsx3Voice(config_at(tmp_path))
    yield voice
    voice.close()


def wait_until_gone(pid):
    """Returns when no process `pid` is left."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        assert select.select([descriptor], [], [], 10)[0], "the child outlived its parent"
        os.close(descriptor)


@pytest.mark.parametrize(("language", "text", "at_least", "at_most"), SENTENCES)
def test_pyttsx3_speaks_every_language(voice, language, text, at_least, at_most):
    speech, rate = voice.speak(text, language)
    assert at_least <= pcm.duration_ms(speech, rate) <= at_most
    assert pcm.rms_dbfs(speech) > -40


def test_a_sentence_sounds_the_same_whatever_came_before(voice):
    sentences = [
        ("en", "Please hold the line."),
        ("zh", "请稍候。"),
        ("ko", "네."),
        ("en", "Something else, at length."),
    ]
    first = [voice.speak(text, language) for language, text in sentences]
    for _ in range(10):
        assert [voice.speak(text, language) for language, text in sentences] == first


def test_a_hung_voice_is_killed_and_the_next_sentence_is_said(tmp_path):
    voice = Pyttsx3Voice(config_at(tmp_path, timeout_s=2))
    voice.speak("Hello.", "en")
    hung = voice.pid
    os.kill(hung, signal.SIGSTOP)
    with pytest.raises(SpeechFailed, match="hung"):
        voice.speak("Hello.", "en")
    wait_until_gone(hung)
    assert voice.speak("Hello.", "en")[0]
    assert voice.pid != hung
    voice.close()


def test_a_crashed_voice_comes_back(voice):
    voice.speak("Hello.", "en")
    crashed = voice.pid
    os.kill(crashed, signal.SIGKILL)
    wait_until_gone(crashed)
    assert voice.speak("Hello.", "en")[0]


def test_an_unknown_voice_fails_and_does_no_harm(tmp_path):
    voice = Pyttsx3Voice(config_at(tmp_path, en=Speech(voice_name="no-such-voice")))
    with pytest.raises(SpeechFailed):
        voice.speak("Hello.", "en")
    assert voice.speak("您好。", "zh")[0]
    voice.close()


def test_a_closed_voice_fails(tmp_path):
    voice = Pyttsx3Voice(config_at(tmp_path))
    voice.speak("Hello.", "en")
    pid = voice.pid
    voice.close()
    wait_until_gone(pid)
    with pytest.raises(SpeechFailed):
        voice.speak("Hello.", "en")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_dies_with_its_parent(tmp_path, how):
    script = (
        "from ivr.config import Config; from ivr.speech.tts import Pyttsx3Voice; import time\n"
        "voice = Pyttsx3Voice(Config()); voice.speak('Hello.', 'en'); print(voice.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        os.kill(child, signal.SIGSTOP)
        parent.send_signal(how)
        parent.wait(10)
        wait_until_gone(child)


def test_piper_speaks_and_a_missing_model_is_named(tmp_path, repository):
    config = config_at(repository, en=Speech(voice="piper"))
    voice = PiperVoice(config, "en")
    speech, rate = voice.speak("Welcome to the bank. How can I help you?", "en")
    assert 1_500 <= pcm.duration_ms(speech, rate) <= 5_000
    voice.close()
    slow = PiperVoice(config_at(repository, en=Speech(voice="piper", rate_wpm=110)), "en")
    assert len(slow.speak("Welcome to the bank. How can I help you?", "en")[0]) > len(speech)
    slow.close()
    with pytest.raises(Unavailable, match="models pull"):
        open_voices(config_at(tmp_path, en=Speech(voice="piper")))
    with pytest.raises(Unavailable, match="zh"):
        open_voices(config_at(repository, zh=Speech(voice="piper")))


def test_piper_says_a_name_in_hanzi_and_not_how_it_is_written(repository, recognizers):
    voice = PiperVoice(config_at(repository, en=Speech(voice="piper")), "en")
    sound = shape(*voice.speak("This message is for 王小明, from the bank.", "en"), 60)
    voice.close()
    stream = recognizers["en"][0].stream(Expectation("open", "en"))
    stream.accept(pcm.over_telephone(sound))
    heard = stream.finish().text.casefold()
    assert "message is for" in heard
    assert "chinese" not in heard
    assert "letter" not in heard


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "Thank you for calling. Goodbye."), ("en", "Your balance is {money:3500 USD}."),
     ("zh", "请问还有其他需要帮助的吗？"), ("zh", "您的定期存款将于下个月到期。")],
)  # fmt: skip
def test_what_is_said_is_understood_over_the_telephone(voice, recognizers, language, text):
    sound = shape(*voice.speak(spoken.say(text, language), language), 60)
    stream = recognizers[language][0].stream(Expectation("open", language))
    stream.accept(pcm.over_telephone(sound))
    assert wrong([(words(text, language), words(stream.finish().text, language))]) <= 0.2


async def test_a_prompt_is_a_file_for_the_line(tmp_path):
    config = config_at(tmp_path)
    prompts = Prompts(config, *open_voices(config))
    await prompts.start()
    try:
        for language, text in (("en", "Your balance is $1,234.50. Goodbye."), ("zh", "余额是¥289.50元。再见。")):
            made = [r async for r in prompts.render(text, language)]
            assert prompts.ready(text, language) == tuple(made)
            for one in made:
                sound = pcm.read_wav(one.path)
                assert pcm.duration_ms(sound) == one.duration_ms
                loud = np.flatnonzero(np.abs(pcm.to_wave(sound)) > 0.01)
                assert loud[0] <= 16 * 40
                assert 50 * 16 <= sound.__len__() // 2 - loud[-1] <= 400 * 16
    finally:
        await prompts.close()
