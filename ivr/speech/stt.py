"""The recogniser pool: every call's utterances, decoded and understood on a few worker threads.

The event loop opens an `Ear` per utterance and feeds it; a worker takes whichever ear is most urgent: final decodes
first, then streaming engines' audio, then speculative decodes. At most one speculative decode an ear; none while finals
have waited over 200 ms. An ear is in one thread at a time, so an engine's stream needs no lock. An engine that raises
or hangs is left for the next of its language; a hung thread is replaced and its late result dropped.

Knows nothing of SIP, sessions or engines' insides. `open`, `accept`, `speculate`, `finish`, `drop` belong to the event
loop's thread; what they wait for runs on `stt-N` threads.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from ivr.speech import pcm
from ivr.speech.protocols import Recognizer, Stream
from ivr.turn import Expectation, Hypothesis, Understood

_log = structlog.get_logger(__name__)

Understand = Callable[[Expectation, Hypothesis], Understood]

_FINALS_LATE_S = 0.2
_MOST_AUDIO_BYTES = 60 * pcm.RATE_HZ * pcm.BYTES_PER_SAMPLE
_MOST_REPLACEMENTS = 4
_FRAME_SAMPLES = pcm.RATE_HZ // 50
_QUIETER_DB = 12.0
_LOUD_FRAMES = 5
_AUDIBLE_DBFS = -55.0
_AUDIBLE = 0.01


def default_deadline_s(audio_ms: int) -> float:
    """How long one decode may take before its engine counts as hung."""
    return 3.0 + audio_ms / 1_000


@dataclass(frozen=True)
class Load:
    """The pool at this moment and since start, for metrics.

    Attributes:
        waiting_finals: ears whose final decode has not begun.
        final_wait_ms: how long the oldest of them has waited.
        waiting_speculative: speculative decodes not begun.
        running: decodes under way.
        finals: final results given, `reused` of them from a speculative decode.
        speculative: speculative decodes done.
        shed: speculative decodes refused or dropped under load, and finals over the queue's limit.
        failed: decodes in which an engine raised or hung.
        lost_threads: threads that hang in native code now.
        decode_ms: the last decodes' times, at most 256.
    """

    waiting_finals: int
    final_wait_ms: int
    waiting_speculative: int
    running: int
    finals: int
    reused: int
    speculative: int
    shed: int
    failed: int
    lost_threads: int
    decode_ms: tuple[int, ...]


class RecognizerPool:
    """See the module's docstring.

    Args:
        recognizers: language -> engines in the order in which they are tried.
        threads: worker threads.
        queue_limit: final decodes that may wait; beyond it an utterance is answered `failed` at once.
        deadline_s: audio in ms -> seconds one decode may take.
    """

    def __init__(
        self,
        recognizers: Mapping[str, Sequence[Recognizer]],
        threads: int,
        queue_limit: int,
        deadline_s: Callable[[int], float] = default_deadline_s,
    ) -> None:
        self._recognizers = {language: tuple(engines) for language, engines in recognizers.items()}
        self._queue_limit = queue_limit
        self._deadline_s = deadline_s
        self._lock = threading.Condition()
        self._finals: deque[Ear] = deque()
        self._audio: deque[Ear] = deque()
        self._speculative: deque[Ear] = deque()
        self._running: dict[int, _Job] = {}
        self._job_ids = itertools.count(1)
        self._closed = False
        self._decode_ms: deque[int] = deque(maxlen=256)
        self._finals_done = self._reused = self._speculative_done = self._shed = self._failed = 0
        self._lost = 0
        self._names = itertools.count()
        self._threads: list[threading.Thread] = []
        self._size = threads
        for _ in range(threads):
            self._start_thread()

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self._recognizers)

    def open(self, call_id: str, expectation: Expectation, understand: Understand) -> Ear:
        """An ear for one utterance; `understand`, what a hypothesis means, runs on the worker right after a decode.

        KeyError: no engine for the language.
        """
        return Ear(self, call_id, expectation, self._recognizers[expectation.language], understand)

    def warm(self) -> None:
        """Decode a moment of near-silence with every engine, so that the first caller does not pay for start-up."""
        hiss = pcm.to_pcm(_AUDIBLE * _noise(pcm.RATE_HZ))
        for language, engines in self._recognizers.items():
            for engine in engines:
                for kind in ("open", "yes_no", "digits"):
                    stream = engine.stream(Expectation(kind, language))
                    stream.accept(hiss)
                    stream.finish()

    def load(self) -> Load:
        now = time.monotonic()
        with self._lock:
            return Load(
                waiting_finals=len(self._finals),
                final_wait_ms=round(self._oldest_final_s(now) * 1_000),
                waiting_speculative=len(self._speculative),
                running=len(self._running),
                finals=self._finals_done,
                reused=self._reused,
                speculative=self._speculative_done,
                shed=self._shed,
                failed=self._failed,
                lost_threads=self._lost,
                decode_ms=tuple(self._decode_ms),
            )

    def close(self, timeout_s: float = 5.0) -> None:
        """Answer what waits with `failed`, end the threads, free the engines. A hung thread is left behind."""
        with self._lock:
            self._closed = True
            waiting = [*self._finals, *self._speculative]
            self._finals.clear()
            self._audio.clear()
            self._speculative.clear()
            for ear in waiting:
                ear._settle(_failed(ear))
            self._lock.notify_all()
        until = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            for engine in {id(e): e for engines in self._recognizers.values() for e in engines}.values():
                engine.close()

    # The event loop's side, called by Ear with the lock held ----------------------------------------------------

    def _oldest_final_s(self, now: float) -> float:
        return now - self._finals[0]._asked if self._finals else 0.0

    def _want(self, ear: Ear) -> None:
        """Queue an ear for what it wants most, once; a worker that has it now will look again by itself."""
        if ear._job is not None or ear._dropped:
            return
        queues = {"final": self._finals, "speculative": self._speculative, "audio": self._audio, "": None}
        wanted = queues[ear._wanted()]
        for queue in (self._finals, self._speculative, self._audio):
            if queue is not wanted and ear in queue:
                queue.remove(ear)
        if wanted is not None and ear not in wanted:
            wanted.append(ear)
            self._lock.notify()

    def _forget(self, ear: Ear) -> None:
        for queue in (self._finals, self._speculative, self._audio):
            if ear in queue:
                queue.remove(ear)

    # The workers' side --------------------------------------------------------------------------------------------

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"stt-{next(self._names)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._take()) is not None:
            try:
                understood = self._decode(job)
            except Exception:
                _log.exception("recognition.broke", call=job.ear.call_id)
                understood = _failed(job.ear)
            with self._lock:
                if self._running.pop(job.id, None) is not None:
                    self._finish_job(job, understood)
                elif self._came_back():
                    return

    def _take(self) -> _Job | None:
        with self._lock:
            while not self._closed:
                if self._finals:
                    ear, kind = self._finals.popleft(), "final"
                elif self._audio:
                    ear, kind = self._audio.popleft(), "audio"
                elif self._speculative:
                    ear, kind = self._speculative.popleft(), "speculative"
                else:
                    self._lock.wait()
                    continue
                job = _Job(next(self._job_ids), ear, kind, len(ear._pcm), ear._engine, ear._stream, ear._fed)
                ear._job = job
                self._running[job.id] = job
                ear._watch(job, self._deadline_s(pcm.duration_ms(ear._pcm)))
                return job
            return None

    def _decode(self, job: _Job) -> Understood | None:
        """Feed the stream up to the job's mark and ask it; engine after engine until one answers."""
        ear = job.ear
        while job.engine < len(ear._engines):
            engine = ear._engines[job.engine]
            began = time.monotonic()
            try:
                if job.stream is None:
                    job.stream, job.fed = engine.stream(ear.expectation), 0
                if job.fed < job.upto:
                    job.stream.accept(bytes(ear._pcm[job.fed : job.upto]))
                    job.fed = job.upto
                if job.kind == "audio":
                    return None
                hypothesis = job.stream.finish() if job.kind == "final" else job.stream.hypothesis()
            except Exception as error:
                _log.warning("recognition.engine_failed", call=ear.call_id, engine=engine.name, error=str(error))
                with self._lock:
                    self._failed += 1
                job.engine, job.stream, job.fed = job.engine + 1, None, 0
                continue
            job.decode_ms = round((time.monotonic() - began) * 1_000)
            return self._meaning(ear, replace(hypothesis, audio_ms=hypothesis.audio_ms or job.audio_ms))
        return None if job.kind == "audio" else _failed(ear)

    def _meaning(self, ear: Ear, hypothesis: Hypothesis) -> Understood:
        try:
            return ear.understand(ear.expectation, hypothesis)
        except Exception:
            _log.exception("understanding.failed", call=ear.call_id)
            return Understood(hypothesis)

    def _finish_job(self, job: _Job, understood: Understood | None) -> None:
        ear = job.ear
        ear._job, ear._engine, ear._stream, ear._fed = None, job.engine, job.stream, job.fed
        if ear._dropped:
            ear._stream = None
            return
        if understood is not None:
            self._decode_ms.append(job.decode_ms)
            if job.kind == "final":
                ear._settle(understood)
                return
            self._speculative_done += 1
            ear._speculated(understood, job.upto)
        self._want(ear)

    def _came_back(self) -> bool:
        """A hung thread is back, its result out of date. True when another took its place and it must end."""
        self._lost -= 1
        if self._closed or len(self._threads) - self._lost <= self._size:
            return self._closed
        self._threads.remove(threading.current_thread())
        return True

    def _overdue(self, job: _Job) -> None:
        """The loop's timer: the job's thread hangs. Leave it, go on with the next engine on another thread."""
        with self._lock:
            if self._running.pop(job.id, None) is None:
                return
            self._lost += 1
            self._failed += 1
            ear = job.ear
            engine = ear._engines[job.engine].name if job.engine < len(ear._engines) else ""
            _log.error("recognition.engine_hung", call=ear.call_id, engine=engine)
            if self._lost <= _MOST_REPLACEMENTS and not self._closed:
                self._start_thread()
            ear._job, ear._engine, ear._stream, ear._fed = None, job.engine + 1, None, 0
            if ear._engine >= len(ear._engines) or self._lost > _MOST_REPLACEMENTS:
                ear._settle(_failed(ear))
            else:
                self._want(ear)


@dataclass(eq=False)
class _Job:
    """One visit of an ear to a worker. The worker owns engine, stream, fed and decode_ms until it is done."""

    id: int
    ear: Ear
    kind: str
    upto: int
    engine: int
    stream: Stream | None
    fed: int
    decode_ms: int = 0

    @property
    def audio_ms(self) -> int:
        return self.upto // (pcm.RATE_HZ * pcm.BYTES_PER_SAMPLE // 1_000)


class Ear:
    """One utterance of one call. Opened by RecognizerPool.open; the event loop's thread only."""

    def __init__(
        self,
        pool: RecognizerPool,
        call_id: str,
        expectation: Expectation,
        engines: Sequence[Recognizer],
        understand: Understand,
    ) -> None:
        self.call_id = call_id
        self.understand = understand
        self.expectation = expectation
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._engines = engines
        self._engine = 0
        self._stream: Stream | None = None
        self._fed = 0
        self._pcm = bytearray()
        self._job: _Job | None = None
        self._dropped = False
        self._asked = 0.0
        self._final: asyncio.Future[Understood] | None = None
        self._speculation: asyncio.Future[Understood | None] | None = None
        self._mark = -1
        self._resumed = False
        self._known: Understood | None = None
        self._known_upto = -1
        self._settled = False

    def accept(self, pcm_: bytes) -> None:
        """More audio, 16 kHz mono 16-bit. Beyond a minute of it is dropped."""
        with self._pool._lock:
            if self._final is None and not self._dropped and len(self._pcm) < _MOST_AUDIO_BYTES:
                self._pcm += pcm_
                self._pool._want(self)

    def resumed(self) -> None:
        """The caller spoke on after a pause: what was speculated before does not cover the utterance any more."""
        with self._pool._lock:
            self._resumed = True
            self._supersede()

    async def speculate(self) -> Understood | None:
        """What the audio so far means, asked at a pause. None when shed under load or overtaken by later audio."""
        pool = self._pool
        with pool._lock:
            self._supersede()
            self._mark, self._resumed = len(self._pcm), False
            if self._known is not None and self._known_upto == self._mark:
                return self._known
            if self._final is not None or self._dropped or pool._closed:
                return None
            busy = pool._oldest_final_s(time.monotonic()) > _FINALS_LATE_S
            if busy or len(pool._speculative) >= pool._queue_limit:
                pool._shed += 1
                return None
            self._speculation = future = self._loop.create_future()
            pool._want(self)
        return await future

    async def finish(self) -> Understood:
        """The final word. Free when a speculative decode covers all speech, awaited when one that will is running."""
        pool = self._pool
        with pool._lock:
            if self._final is None:
                self._final = self._loop.create_future()
                self._asked = time.monotonic()
                if self._dropped or pool._closed:
                    self._settle(_failed(self))
                elif self._covered(self._known_upto) and self._known is not None:
                    pool._reused += 1
                    self._settle(self._known)
                elif not self._covered(self._job.upto if self._job and self._job.kind == "speculative" else -1):
                    if len(pool._finals) >= pool._queue_limit:
                        pool._shed += 1
                        self._settle(_failed(self))
                    else:
                        pool._want(self)
        return await asyncio.shield(self._final)

    def drop(self) -> None:
        """The utterance is of no interest any more; whoever awaits it gets `failed` or None."""
        with self._pool._lock:
            self._dropped = True
            self._pool._forget(self)
            self._settle(_failed(self))

    # With the pool's lock held, any thread ---------------------------------------------------------------------------

    def _wanted(self) -> str:
        if self._final is not None:
            return "" if self._settled else "final"
        if self._speculation is not None:
            return "speculative"
        return "audio" if self._streaming() and self._fed < len(self._pcm) else ""

    def _streaming(self) -> bool:
        return self._engine < len(self._engines) and getattr(self._engines[self._engine], "streaming", False)

    def _covered(self, upto: int) -> bool:
        """Whether a decode of the first `upto` bytes holds all the speech there is: the rest is the closing silence.

        Never so for a streaming engine: its hypothesis is a partial result, and its final one costs little.
        """
        if upto < 0 or self._resumed or upto != self._mark or self._streaming():
            return False
        return not _speech_in(self._pcm, upto)

    def _speculated(self, understood: Understood, upto: int) -> None:
        if understood.hypothesis.rejected != "failed":
            self._known, self._known_upto = understood, upto
        if self._final is not None and not self._settled and self._known_upto == upto and self._covered(upto):
            self._pool._reused += 1
            self._settle(understood)
        elif self._speculation is not None and upto >= self._mark:
            self._resolve(self._speculation, understood)
            self._speculation = None

    def _supersede(self) -> None:
        if self._speculation is not None:
            self._resolve(self._speculation, None)
            self._speculation = None
            self._pool._want(self)

    def _settle(self, understood: Understood) -> None:
        if self._speculation is not None:
            given = None if understood.hypothesis.rejected == "failed" else understood
            self._resolve(self._speculation, given)
            self._speculation = None
        if self._final is not None and not self._settled:
            self._settled = True
            self._pool._finals_done += 1
            self._stream = None
            self._resolve(self._final, understood)

    def _resolve(self, future: asyncio.Future, value: Understood | None) -> None:
        def give() -> None:
            if not future.done():
                future.set_result(value)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(give)

    def _watch(self, job: _Job, seconds: float) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._loop.call_later(seconds, self._pool._overdue, job))


def _failed(ear: Ear) -> Understood:
    return Understood(Hypothesis("", rejected="failed", audio_ms=pcm.duration_ms(ear._pcm)))


def _noise(samples: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(samples).astype(np.float32)


def _speech_in(audio: bytearray, since: int) -> bool:
    """Whether what came after `since` holds 100 ms nearly as loud as the utterance: the pause was not its end."""
    tail = _frame_levels(bytes(audio[since:]))
    if tail.size < _LOUD_FRAMES:
        return False
    spoken = _frame_levels(bytes(audio[:since]))
    if not spoken.size:
        return True
    threshold = max(float(np.quantile(spoken, 0.8)) - _QUIETER_DB, _AUDIBLE_DBFS)
    return int(np.count_nonzero(tail > threshold)) >= _LOUD_FRAMES


def _frame_levels(audio: bytes) -> np.ndarray:
    """The level of every whole 20 ms frame in dB under full scale."""
    wave = pcm.to_wave(audio)
    frames = wave[: wave.size // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES)
    return 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-12)
