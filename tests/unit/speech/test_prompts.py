"""Prompts: cached, shared, recorded, streamed, private. The voice is a fake; files and threads are real."""

import asyncio
import math
import os
import struct
import threading
import wave

import numpy as np
import pytest

from ivr.config import Config, Speech, Synthesis
from ivr.errors import SpeechFailed
from ivr.speech import pcm, prompt_cache, recordings
from ivr.speech.prompt_cache import PromptCache, key_of
from ivr.speech.prompts import Prompts, check
from ivr.speech.shaping import LEVEL_DBFS, shape


def tone(seconds=0.4, rate=22_050, level=0.1, silence=0.2):
    """A hum with silence around it, as 16-bit PCM."""
    hum = level * np.sin(2 * math.pi * 220 * np.arange(int(seconds * rate)) / rate)
    still = np.zeros(int(silence * rate))
    return pcm.to_pcm(np.concatenate([still, hum, still]).astype(np.float32))


class FakeVoice:
    """Hums; keeps what it was asked to say. `gate` holds back texts until they are let through."""

    def __init__(self, name="fake"):
        self.name, self.said, self.failing, self.closed = name, [], set(), False
        self.gates: dict[str, threading.Event] = {}
        self.asked = threading.Event()

    def speak(self, text, language, pace=1.0):
        if text in ("one", "一"):
            return tone(), 22_050
        self.said.append(text)
        self.asked.set()
        if text in self.gates:
            assert self.gates[text].wait(20)
        if text in self.failing:
            raise SpeechFailed("broken")
        return tone(), 22_050

    def close(self):
        self.closed = True


@pytest.fixture
def config(tmp_path):
    return Config(root=str(tmp_path), speech={"en": Speech(), "zh": Speech()}, synthesis=Synthesis(cache="cache"))


@pytest.fixture
async def make(config):
    """Started prompts over a fake voice; closed at the end."""
    opened = []

    async def start(voice, fallback=None, config=config):
        fallbacks = {"en": fallback} if fallback else {}
        prompts = Prompts(config, {"en": voice, "zh": voice}, fallbacks)
        await prompts.start()
        opened.append(prompts)
        return prompts

    yield start
    for prompts in opened:
        await prompts.close()


async def rendered(prompts, text, language="en", **options):
    return [r async for r in prompts.render(text, language, **options)]


def record(path, seconds=1.0, rate=44_100, channels=2, width=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    hum = np.sin(2 * math.pi * 300 * np.arange(int(seconds * rate)) / rate)
    sample = {1: lambda v: struct.pack("B", int(v * 90) + 128), 2: lambda v: struct.pack("<h", int(v * 9_000)),
              3: lambda v: int(v * 2_000_000).to_bytes(3, "little", signed=True)}[width]  # fmt: skip
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(b"".join(sample(v) * channels for v in hum))


def is_line_wav(path):
    with wave.open(str(path), "rb") as file:
        return (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)


async def test_what_was_rendered_is_ready_and_made_once(make):
    voice = FakeVoice()
    prompts = await make(voice)
    assert prompts.ready("Hello there. Bye.", "en") is None
    first = await rendered(prompts, "Hello there. Bye.")
    assert [r.text for r in first] == ["Hello there.", "Bye."]
    assert all(is_line_wav(r.path) and r.source == "fake" for r in first)
    assert prompts.ready("Hello there.  Bye.", "en") == tuple(first)
    assert await rendered(prompts, "Hello there. Bye.") == first
    assert voice.said == ["Hello there.", "Bye."]


async def test_figures_reach_the_voice_in_words_and_the_record_in_figures(make):
    voice = FakeVoice()
    prompts = await make(voice)
    (one,) = await rendered(prompts, "You owe {money:289.5 CNY}。", "zh")
    assert voice.said == ["You owe 两百八十九块五毛。"]
    assert one.text == "You owe ¥289.50。"


async def test_the_first_sentence_comes_while_the_second_is_made(make):
    voice = FakeVoice()
    voice.gates["Second."] = threading.Event()
    prompts = await make(voice)
    stream = prompts.render("First. Second. Third.", "en")
    assert (await anext(stream)).text == "First."
    voice.gates["Second."].set()
    assert [r.text async for r in stream] == ["Second.", "Third."]


async def test_two_callers_share_one_synthesis(make):
    voice = FakeVoice()
    voice.gates["Busy."] = gate = threading.Event()
    prompts = await make(voice)
    callers = [asyncio.create_task(rendered(prompts, "Busy.")) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*callers)
    assert all(r == results[0] for r in results)
    assert voice.said == ["Busy."]


async def test_a_caller_who_leaves_does_not_take_the_sentence_from_another(make):
    voice = FakeVoice()
    voice.gates["Busy."] = gate = threading.Event()
    prompts = await make(voice)
    leaving, staying = (asyncio.create_task(rendered(prompts, "Busy.")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    gate.set()
    assert len(await staying) == 1


async def test_live_requests_go_before_warming(make):
    voice = FakeVoice()
    prompts = await make(voice)
    progress = []
    texts = {"en": [f"Warm {n}." for n in (1, 2, 3)]}
    voice.gates["Warm one."] = gate = threading.Event()
    warming = asyncio.create_task(prompts.warm(texts, lambda done, of: progress.append((done, of))))
    assert await asyncio.to_thread(voice.asked.wait, 20)
    live = asyncio.create_task(rendered(prompts, "Now."))
    await asyncio.sleep(0)
    gate.set()
    await live
    assert await warming == ()
    assert voice.said == ["Warm one.", "Now.", "Warm two.", "Warm three."]
    assert progress == [(1, 3), (2, 3), (3, 3)]


async def test_a_failing_voice_is_reported_and_the_next_text_works(make):
    voice = FakeVoice()
    voice.failing.add("Bad.")
    prompts = await make(voice)
    with pytest.raises(SpeechFailed, match="broken"):
        await rendered(prompts, "Bad.")
    assert len(await rendered(prompts, "Good.")) == 1
    (problem,) = await prompts.warm({"en": ["Bad."]})
    assert "broken" in str(problem)


async def test_the_fallback_speaks_what_the_voice_could_not_and_only_that_time(make):
    voice, fallback = FakeVoice(), FakeVoice("spare")
    voice.failing.add("Bad.")
    prompts = await make(voice, fallback)
    (one,) = await rendered(prompts, "Bad.")
    assert one.source == "spare"
    voice.failing.clear()
    (again,) = await rendered(prompts, "Bad.")
    assert again.source == "fake"


async def test_a_language_without_a_voice_fails(make):
    prompts = await make(FakeVoice())
    with pytest.raises(SpeechFailed, match="no voice"):
        await rendered(prompts, "Bonjour.", "fr")


async def test_too_much_waiting_is_refused(make, monkeypatch):
    monkeypatch.setattr("ivr.speech.prompts.QUEUE_LIMIT", 2)
    voice = FakeVoice()
    voice.gates["Hold."] = gate = threading.Event()
    prompts = await make(voice)
    holding = asyncio.create_task(rendered(prompts, "Hold."))
    assert await asyncio.to_thread(voice.asked.wait, 20)
    waiting = [asyncio.create_task(rendered(prompts, f"Wait {n}.")) for n in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(SpeechFailed, match="wait for the voice"):
        await rendered(prompts, "Too much.")
    gate.set()
    await asyncio.gather(holding, *waiting)


async def test_private_texts_leave_nothing_behind(make, tmp_path):
    voice = FakeVoice()
    prompts = await make(voice)
    (one,) = await rendered(prompts, "Code {digits:8620}.", cache=False)
    assert one.path.exists()
    assert oct(one.path.parent.stat().st_mode)[-3:] == "700"
    prompts.discard((one,))
    assert not one.path.exists()
    assert prompts.ready("Code {digits:8620}.", "en") is None
    (forgotten,) = await rendered(prompts, "Code {digits:8620}.", cache=False)
    await prompts.close()
    assert not forgotten.path.exists()
    assert not list((tmp_path / "cache").rglob("*.wav"))


async def test_discarding_a_cached_file_keeps_it(make):
    prompts = await make(FakeVoice())
    made = await rendered(prompts, "Hello.")
    prompts.discard(made)
    assert prompts.ready("Hello.", "en") == tuple(made)


async def test_the_cache_survives_a_restart_and_broken_files_are_made_again(make):
    voice = FakeVoice()
    prompts = await make(voice)
    whole, cut, other = await rendered(prompts, "Whole. Cut off. Other.")
    await prompts.close()
    cut.path.write_bytes(cut.path.read_bytes()[:-100])
    other.path.write_bytes(b"x" * other.path.stat().st_size)
    (whole.path.parent / "half.wav.1.part").write_bytes(b"")
    voice.said.clear()
    again = await make(voice)
    assert again.ready("Whole. Cut off. Other.", "en") is None
    assert not (whole.path.parent / "half.wav.1.part").exists()
    assert await rendered(again, "Whole. Cut off. Other.") == [whole, cut, other]
    assert voice.said == ["Cut off.", "Other."]
    cut.path.unlink()
    assert again.ready("Whole. Cut off. Other.", "en") is None


async def test_another_rate_is_another_prompt(make, config):
    voice = FakeVoice()
    (slow,) = await rendered(await make(voice), "Hello.")
    changed = Config(root=config.root, speech={"en": Speech(rate_wpm=200)}, synthesis=config.synthesis)
    (fast,) = await rendered(await make(voice, config=changed), "Hello.")
    assert slow.path != fast.path


def test_the_cache_is_bounded_and_drops_what_was_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(prompt_cache, "KEEP_S", 0.0)
    cache = PromptCache(tmp_path, limit_bytes=10_300)
    cache.load()
    sound = bytes(2_000)
    for name in "abcde":
        cache.put(key_of(name), sound)
    assert cache.get(key_of("a")) is not None
    cache.put(key_of("f"), bytes(2_000))
    assert cache.used_bytes <= 10_300
    assert len(list(tmp_path.glob("*/*.wav"))) == len(cache) == 5
    assert cache.get(key_of("a")) is not None
    assert cache.get(key_of("b")) is None


def test_what_may_still_play_stays_until_twice_the_limit(tmp_path):
    cache = PromptCache(tmp_path, limit_bytes=10_300)
    cache.load()
    for name in "abcdefgh":
        cache.put(key_of(name), bytes(2_000))
    assert len(cache) == 8
    for name in "ijklm":
        cache.put(key_of(name), bytes(2_000))
    assert cache.used_bytes <= 2 * 10_300


@pytest.mark.parametrize("text", ["[welcome]", "Welcome to the bank.", " welcome to the BANK "])
async def test_a_recording_wins_over_the_voice(make, tmp_path, text):
    folder = tmp_path / "audio_prompts" / "en"
    record(folder / "welcome.wav")
    (folder / "prompts.toml").write_text('[welcome]\ntext = "Welcome to the bank."\n')
    voice = FakeVoice()
    prompts = await make(voice)
    (one,) = prompts.ready(text, "en")
    assert (one.source, one.text) == ("recording", "Welcome to the bank.")
    assert is_line_wav(one.path)
    assert 900 <= one.duration_ms <= 1_100
    assert [r.source for r in await rendered(prompts, "Welcome to the bank. Hello.")] == ["recording", "fake"]


async def test_a_file_named_like_the_text_is_found(make, tmp_path):
    record(tmp_path / "audio_prompts" / "en" / "how-can-i-help-you.wav", width=1)
    record(tmp_path / "audio_prompts" / "zh" / "请稍候.wav", width=3, channels=1, rate=8_000)
    prompts = await make(FakeVoice())
    assert prompts.ready("How can I help you?", "en")[0].source == "recording"
    assert prompts.ready("请稍候。", "zh")[0].source == "recording"


async def test_a_named_prompt_without_a_recording_is_spoken(make, tmp_path):
    folder = tmp_path / "audio_prompts" / "en"
    folder.mkdir(parents=True)
    (folder / "prompts.toml").write_text('[bye]\ntext = "Goodbye. Thank you."\n')
    voice = FakeVoice()
    prompts = await make(voice)
    await rendered(prompts, "[bye]")
    assert voice.said == ["Goodbye.", "Thank you."]


async def test_a_new_recording_is_used_without_a_restart(make, tmp_path):
    path = tmp_path / "audio_prompts" / "en" / "welcome.wav"
    record(path)
    prompts = await make(FakeVoice())
    (old,) = prompts.ready("[welcome]", "en")
    record(path, seconds=0.5)
    os.utime(path, ns=(1, 1))
    assert prompts.ready("[welcome]", "en") is None
    (new,) = await rendered(prompts, "[welcome]")
    assert new.duration_ms < old.duration_ms
    assert prompts.ready("[welcome]", "en") == (new,)


async def test_a_broken_recording_is_a_problem_and_the_voice_steps_in(make, tmp_path, config):
    folder = tmp_path / "audio_prompts" / "en"
    folder.mkdir(parents=True)
    (folder / "welcome.wav").write_bytes(b"not a wav")
    (folder / "prompts.toml").write_text('[welcome]\ntext = "Welcome."\n')
    (problem,) = check(config)
    assert problem.file.endswith("welcome.wav")
    assert problem.mend
    (one,) = await rendered(await make(FakeVoice()), "[welcome]")
    assert one.source == "fake"


async def test_a_recording_that_breaks_while_serving_is_spoken_instead(make, tmp_path):
    path = tmp_path / "audio_prompts" / "en" / "welcome.wav"
    record(path)
    path.with_name("prompts.toml").write_text('[welcome]\ntext = "Welcome."\n')
    prompts = await make(FakeVoice())
    path.write_bytes(b"RIFF")
    for _ in range(2):
        (one,) = await rendered(prompts, "[welcome]")
        assert one.source == "fake"


async def test_conversions_of_recordings_that_are_gone_are_deleted(make, tmp_path):
    path = tmp_path / "audio_prompts" / "en" / "welcome.wav"
    record(path)
    prompts = await make(FakeVoice())
    (one,) = prompts.ready("[welcome]", "en")
    await prompts.close()
    path.unlink()
    await make(FakeVoice())
    assert not one.path.exists()


@pytest.mark.parametrize(
    ("manifest", "field", "line"),
    [
        ('[a]\ntext = "x"\n\n[b]\ntxt = "y"\ntext = "y"\n', "b.txt", 4),
        ('[a]\nfile = "missing.wav"\ntext = "x"\n', "a.file", 1),
        ("[a]\n", "a.text", 1),
        ("[a]\ntext = 5\n", "a.text", 1),
        ('a = "x"\n', "a", 0),
        ("[a\n", "", 0),
    ],
)
def test_a_wrong_manifest_is_named(tmp_path, config, manifest, field, line):
    folder = tmp_path / "audio_prompts" / "en"
    folder.mkdir(parents=True)
    (folder / "prompts.toml").write_text(manifest)
    (problem,) = check(config)
    assert (problem.field, problem.line) == (field, line)


def test_recordings_of_every_usual_encoding_are_read(tmp_path):
    hum = pcm.to_pcm(0.3 * np.sin(2 * math.pi * 300 * np.arange(8_000) / 8_000).astype(np.float32))
    floats = pcm.to_wave(hum).astype("<f4").tobytes()
    for tag, bits, data in ((1, 16, hum), (3, 32, floats), (7, 8, pcm.mu_law_encode(hum)), (0xFFFE, 16, hum)):
        form = struct.pack("<HHIIHH", tag, 1, 8_000, 8_000 * bits // 8, bits // 8, bits)
        if tag == 0xFFFE:
            form += struct.pack("<HHIH", 22, bits, 0, 1) + bytes(14)
        chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST\3\0\0\0abc\0data" + struct.pack("<I", len(data))
        body = b"WAVE" + chunks + data
        path = tmp_path / f"{tag}.wav"
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        sound = recordings.read(path)
        assert pcm.duration_ms(sound) == 1_000
        assert abs(pcm.rms_dbfs(sound) - pcm.rms_dbfs(hum)) < 0.5


@pytest.mark.parametrize("level", [0.003, 0.1, 0.9])
def test_speech_is_trimmed_and_levelled(level):
    out = shape(tone(0.5, level=level, silence=0.5), 22_050, 60)
    assert 555 <= pcm.duration_ms(out) <= 595
    wave_ = pcm.to_wave(out)
    first = int(np.flatnonzero(np.abs(wave_) > 0.02)[0])
    assert first <= 16 * 20
    assert abs(pcm.rms_dbfs(out[2 * 16 * 30 : 2 * 16 * 480]) - LEVEL_DBFS) < 0.5
    assert not wave_[-16 * 40 :].any()


def test_peaks_are_limited_not_clipped():
    rng = np.random.default_rng(1)
    spiky = 0.02 * rng.standard_normal(16_000)
    spiky[::1_600] = 0.9
    wave_ = pcm.to_wave(shape(pcm.to_pcm(spiky.astype(np.float32)), 16_000, 60))
    assert 0.5 < np.abs(wave_).max() < 0.9


def test_silence_stays_silence():
    assert shape(bytes(8_000), 16_000, 100) == bytes(3_200)
    assert shape(b"", 16_000, 100) == bytes(3_200)
