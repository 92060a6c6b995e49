"""The recogniser pool: what is decoded in which order, what is reused, and what happens when engines fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ivr.speech import pcm, stt
from ivr.speech.scripted import ScriptedRecognizer
from ivr.speech.stt import RecognizerPool
from ivr.turn import Expectation, Hypothesis, Understood

OPEN = Expectation("open", "en")
SPEECH = pcm.to_pcm(np.random.default_rng(3).standard_normal(8_000).astype(np.float32) * 0.1)
SILENCE = pcm.silence(300)


def meaning(expectation: Expectation, hypothesis: Hypothesis) -> Understood:
    return Understood(hypothesis, value=hypothesis.text)


class Gate:
    """Holds decodes until it is opened, and tells when one has arrived."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self._open = threading.Event()

    def __call__(self, _expectation: Expectation) -> None:
        self.arrived.release()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.arrived.acquire, timeout=10)


@pytest.fixture
def make_pool() -> Iterator[Callable[..., RecognizerPool]]:
    pools: list[RecognizerPool] = []

    def make(*engines: ScriptedRecognizer, threads: int = 1, queue_limit: int = 8, **options) -> RecognizerPool:
        pools.append(RecognizerPool({"en": engines}, threads, queue_limit, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close(timeout_s=2)


async def test_final_decode_gives_the_meaning_of_all_audio(make_pool) -> None:
    engine = ScriptedRecognizer(["lost card"])
    ear = make_pool(engine).open("call", OPEN, meaning)
    ear.accept(SPEECH)
    ear.accept(SPEECH)
    understood = await ear.finish()
    assert understood.value == "lost card"
    assert engine.heard == [(OPEN, 1_000)]


async def test_speculative_decode_is_reused_when_only_silence_follows(make_pool) -> None:
    engine = ScriptedRecognizer(["balance", "wrong"])
    pool = make_pool(engine)
    ear = pool.open("call", OPEN, meaning)
    ear.accept(SPEECH)
    guess = await ear.speculate()
    ear.accept(SILENCE)
    assert await ear.finish() is guess
    assert len(engine.heard) == 1
    assert pool.load().reused == 1


async def test_speech_after_the_pause_makes_the_final_decode_anew(make_pool) -> None:
    engine = ScriptedRecognizer(["my balance"])
    ear = make_pool(engine).open("call", OPEN, meaning)
    ear.accept(SPEECH)
    await ear.speculate()
    ear.accept(SILENCE)
    ear.resumed()
    ear.accept(SPEECH)
    await ear.finish()
    assert [ms for _, ms in engine.heard] == [500, 1_300]


async def test_loud_audio_after_the_pause_is_decoded_even_if_nobody_said_that_speech_resumed(make_pool) -> None:
    engine = ScriptedRecognizer(["my balance"])
    ear = make_pool(engine).open("call", OPEN, meaning)
    ear.accept(SPEECH)
    await ear.speculate()
    ear.accept(SPEECH)
    await ear.finish()
    assert [ms for _, ms in engine.heard] == [500, 1_000]


async def test_finish_waits_for_a_running_speculative_decode_that_covers_the_utterance(make_pool) -> None:
    gate = Gate()
    engine = ScriptedRecognizer(["hours"], before=gate)
    ear = make_pool(engine, threads=2).open("call", OPEN, meaning)
    ear.accept(SPEECH)
    guess = asyncio.create_task(ear.speculate())
    await gate.reached()
    final = asyncio.create_task(ear.finish())
    await asyncio.sleep(0)
    gate.open()
    assert (await final) is (await guess)
    assert len(engine.heard) == 1


async def test_finals_go_before_speculative_decodes(make_pool) -> None:
    gate = Gate()
    order: list[str] = []

    def note(expectation: Expectation, hypothesis: Hypothesis) -> Understood:
        order.append(expectation.phrases[0])
        return Understood(hypothesis)

    pool = make_pool(ScriptedRecognizer(before=gate, fallback="x"))
    ears = {n: pool.open(n, Expectation("open", "en", phrases=(n,)), note) for n in ("busy", "guess", "final")}
    for ear in ears.values():
        ear.accept(SPEECH)
    busy = asyncio.create_task(ears["busy"].finish())
    await gate.reached()
    guess = asyncio.create_task(ears["guess"].speculate())
    await asyncio.sleep(0)
    final = asyncio.create_task(ears["final"].finish())
    await asyncio.sleep(0)
    assert pool.load().waiting_finals == 1
    gate.open()
    await asyncio.gather(busy, guess, final)
    assert order == ["busy", "final", "guess"]


async def test_a_second_speculation_supersedes_the_first(make_pool) -> None:
    gate = Gate()
    engine = ScriptedRecognizer(["one", "one two"], before=gate)
    ear = make_pool(engine).open("call", OPEN, meaning)
    ear.accept(SPEECH)
    first = asyncio.create_task(ear.speculate())
    await gate.reached()
    ear.accept(SPEECH)
    second = asyncio.create_task(ear.speculate())
    await asyncio.sleep(0)
    gate.open()
    assert await first is None
    assert (await second).hypothesis.audio_ms == 1_000


async def test_nothing_is_speculated_while_finals_wait(make_pool, monkeypatch) -> None:
    monkeypatch.setattr(stt, "_FINALS_LATE_S", -1.0)
    gate = Gate()
    pool = make_pool(ScriptedRecognizer(before=gate, fallback="x"))
    ears = [pool.open(str(n), OPEN, meaning) for n in range(3)]
    for ear in ears:
        ear.accept(SPEECH)
    finals = [asyncio.create_task(ears[n].finish()) for n in (0, 1)]
    await gate.reached()
    assert await ears[2].speculate() is None
    assert pool.load().shed == 1
    gate.open()
    await asyncio.gather(*finals)


async def test_an_engine_that_raises_is_left_for_the_next_one(make_pool) -> None:
    broken, sound = ScriptedRecognizer([ValueError("broken")], name="broken"), ScriptedRecognizer(["yes"])
    pool = make_pool(broken, sound)
    ear = pool.open("call", Expectation("yes_no", "en"), meaning)
    ear.accept(SPEECH)
    understood = await ear.finish()
    assert (understood.value, understood.hypothesis.engine) == ("yes", "scripted")
    assert pool.load().failed == 1


async def test_without_an_engine_left_the_utterance_has_failed(make_pool) -> None:
    ear = make_pool(ScriptedRecognizer([ValueError("broken")])).open("call", OPEN, meaning)
    ear.accept(SPEECH)
    assert (await ear.finish()).hypothesis.rejected == "failed"


async def test_an_engine_that_hangs_is_left_and_its_late_result_dropped(make_pool) -> None:
    gate = Gate()
    hung, sound = ScriptedRecognizer(["late"], before=gate, name="hung"), ScriptedRecognizer(["in time"])
    pool = make_pool(hung, sound, deadline_s=lambda _ms: 0.02)
    ear = pool.open("call", OPEN, meaning)
    ear.accept(SPEECH)
    understood = await ear.finish()
    assert understood.value == "in time"
    assert pool.load().lost_threads == 1
    gate.open()
    other = pool.open("next", OPEN, meaning)
    other.accept(SPEECH)
    assert (await other.finish()).hypothesis.rejected in ("", "none_of_these")
    pool.close(timeout_s=10)
    assert pool.load().lost_threads == 0


async def test_a_hung_last_engine_ends_in_failed(make_pool) -> None:
    gate = Gate()
    pool = make_pool(ScriptedRecognizer(["late"], before=gate), deadline_s=lambda _ms: 0.02)
    ear = pool.open("call", OPEN, meaning)
    ear.accept(SPEECH)
    assert (await ear.finish()).hypothesis.rejected == "failed"
    gate.open()


async def test_finals_over_the_limit_fail_at_once(make_pool) -> None:
    gate = Gate()
    pool = make_pool(ScriptedRecognizer(before=gate, fallback="x"), queue_limit=1)
    ears = [pool.open(str(n), OPEN, meaning) for n in range(3)]
    for ear in ears:
        ear.accept(SPEECH)
    first = asyncio.create_task(ears[0].finish())
    await gate.reached()
    second = asyncio.create_task(ears[1].finish())
    await asyncio.sleep(0)
    assert (await ears[2].finish()).hypothesis.rejected == "failed"
    gate.open()
    assert [(await t).value for t in (first, second)] == ["x", "x"]


async def test_dropping_an_ear_frees_whoever_waits(make_pool) -> None:
    gate = Gate()
    pool = make_pool(ScriptedRecognizer(before=gate, fallback="x"))
    ear = pool.open("call", OPEN, meaning)
    ear.accept(SPEECH)
    guess = asyncio.create_task(ear.speculate())
    await gate.reached()
    ear.drop()
    assert await guess is None
    assert (await ear.finish()).hypothesis.rejected == "failed"
    gate.open()


async def test_closing_answers_what_waits(make_pool) -> None:
    gate = Gate()
    engine = ScriptedRecognizer(before=gate, fallback="x")
    pool = make_pool(engine)
    ears = [pool.open(str(n), OPEN, meaning) for n in range(2)]
    for ear in ears:
        ear.accept(SPEECH)
    tasks = [asyncio.create_task(ear.finish()) for ear in ears]
    await gate.reached()
    closing = asyncio.create_task(asyncio.to_thread(pool.close))
    assert (await tasks[1]).hypothesis.rejected == "failed"
    gate.open()
    await closing
    assert (await tasks[0]).value == "x"
    assert engine.closed


async def test_a_meaning_that_breaks_keeps_the_words(make_pool) -> None:
    def broken(_expectation: Expectation, _hypothesis: Hypothesis) -> Understood:
        raise RuntimeError("no meaning")

    ear = make_pool(ScriptedRecognizer(["hello"])).open("call", OPEN, broken)
    ear.accept(SPEECH)
    understood = await ear.finish()
    assert (understood.hypothesis.text, understood.value) == ("hello", "")


async def test_an_utterance_is_in_one_thread_at_a_time(make_pool) -> None:
    inside, most = 0, 0
    lock = threading.Lock()

    def note(_expectation: Expectation, hypothesis: Hypothesis) -> Understood:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.001)
        with lock:
            inside -= 1
        return Understood(hypothesis)

    ear = make_pool(ScriptedRecognizer(fallback="x"), threads=4).open("call", OPEN, note)
    tasks = []
    for _ in range(20):
        ear.accept(SPEECH)
        tasks.append(asyncio.create_task(ear.speculate()))
        await asyncio.sleep(0)
    await ear.finish()
    await asyncio.gather(*tasks)
    assert most == 1


async def test_streaming_engines_get_audio_as_it_comes(make_pool) -> None:
    fed = threading.Semaphore(0)

    class Streaming(ScriptedRecognizer):
        streaming = True

        def stream(self, expectation: Expectation):
            inner = super().stream(expectation)
            accept = inner.accept

            def note(audio: bytes) -> None:
                accept(audio)
                fed.release()

            inner.accept = note
            return inner

    ear = make_pool(Streaming(["go"])).open("call", OPEN, meaning)
    ear.accept(SPEECH)
    assert await asyncio.to_thread(fed.acquire, timeout=10)
    assert (await ear.finish()).value == "go"


async def test_audio_of_one_utterance_is_bounded(make_pool, monkeypatch) -> None:
    monkeypatch.setattr(stt, "_MOST_AUDIO_BYTES", 2 * len(SPEECH))
    engine = ScriptedRecognizer(fallback="x")
    ear = make_pool(engine).open("call", OPEN, meaning)
    for _ in range(5):
        ear.accept(SPEECH)
    await ear.finish()
    assert engine.heard == [(OPEN, 1_000)]


def test_warming_decodes_with_every_engine(make_pool) -> None:
    engines = ScriptedRecognizer(), ScriptedRecognizer()
    make_pool(*engines).warm()
    assert all({e.kind for e, _ in engine.heard} == {"open", "yes_no", "digits"} for engine in engines)
