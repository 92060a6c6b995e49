"""Prompts as files that a line can play: recorded, cached, or made by a voice, sentence after sentence.

Runs in asyncio's thread; voices, conversion and disk writes run in worker threads of its own. One piece is made at a
time per voice, live requests before warming ones; two callers who need the same words share one synthesis. Knows
nothing of calls: it gives out files, and the session has them played.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ivr.config import Config
from ivr.errors import InvalidInput, Problem, SpeechFailed
from ivr.speech import recordings, sentences, spoken
from ivr.speech.pcm import RATE_HZ
from ivr.speech.prompt_cache import PromptCache, duration_ms, key_of, write
from ivr.speech.protocols import Rendered, Voice
from ivr.speech.recordings import Recording, Recordings
from ivr.speech.sentences import LAST_GAP_MS
from ivr.speech.shaping import shape

SHAPING = 1  # raise when the same speech comes out otherwise, so that cached files are made anew
LIVE, WARM = 0, 1
SLOW = 0.75
"""Share of the usual rate at which a caller is spoken to who asked for it."""
QUEUE_LIMIT = 256
_FIRST_WORDS = {"en": "one", "zh": "一", "ko": "일"}
PRIVATE_S = 900.0  # private files that nobody discarded are deleted after so long


@dataclass(frozen=True)
class _Item:
    """One file to be: `said` goes to the voice, `text` to the records."""

    key: str
    text: str
    said: str
    language: str
    gap_ms: int
    pace: float = 1.0
    recording: Path | None = None


@dataclass
class _Job:
    item: _Item
    made: asyncio.Future[Rendered]
    private: bool
    priority: int
    waiters: int = 0


@dataclass
class _Desk:
    """What waits for one voice: a heap of (priority, order, job)."""

    heap: list[tuple[int, int, _Job]] = field(default_factory=list)
    filled: asyncio.Event = field(default_factory=asyncio.Event)


class Prompts:
    """`voices` and `fallbacks` are by language; a fallback speaks what its language's voice failed to."""

    def __init__(
        self, config: Config, voices: Mapping[str, Voice], fallbacks: Mapping[str, Voice] | None = None
    ) -> None:
        self._config = config
        self._voices, self._fallbacks = dict(voices), dict(fallbacks or {})
        folder = config.path(config.synthesis.cache)
        self._cache = PromptCache(folder / "voice", config.synthesis.cache_mb * 1_000_000)
        self._converted = PromptCache(folder / "recorded", 1 << 60)
        self._private = folder / "private"
        self._broken: set[str] = set()
        self._recordings: dict[str, Recordings] = {}
        self._jobs: dict[str, _Job] = {}
        self._desks: dict[Voice | None, _Desk] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._threads: ThreadPoolExecutor | None = None
        self._order = itertools.count()
        self._private_files: dict[Path, asyncio.TimerHandle] = {}

    # Life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Index the cache, convert the recordings, start the voices' children. Broken recordings are left out."""
        voices: list[Voice | None] = [None, *dict.fromkeys((*self._voices.values(), *self._fallbacks.values()))]
        self._threads = ThreadPoolExecutor(len(voices) + 1, thread_name_prefix="prompts")
        await self._in_thread(self._prepare)
        for voice in voices:
            self._desks[voice] = _Desk()
            self._workers.append(asyncio.create_task(self._work(voice), name="prompts"))

    async def close(self) -> None:
        """Stop making prompts and close the voices. Private files are deleted, the cache stays."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()
        for job in self._jobs.values():
            job.made.cancel()
        self._jobs.clear()
        for timer in self._private_files.values():
            timer.cancel()
        for voice in dict.fromkeys((*self._voices.values(), *self._fallbacks.values())):
            await asyncio.to_thread(voice.close)
        if self._threads is not None:
            self._threads.shutdown(wait=True)
            await asyncio.to_thread(shutil.rmtree, self._private, True)

    def _prepare(self) -> None:
        shutil.rmtree(self._private, ignore_errors=True)
        self._private.mkdir(parents=True, mode=0o700)
        self._cache.load()
        self._converted.load()
        kept: set[str] = set()
        for language in self._config.languages:
            spoken.say("1", language)  # has the language's rules compiled before a caller waits for them
            found, _ = recordings.load(self._folder(language))
            self._recordings[language] = found
            kept.update(filter(None, map(self._convert, found.by_name.values())))
        self._converted.keep(kept)

    def _folder(self, language: str) -> Path:
        return self._config.path(self._config.paths.audio_prompts) / language

    def _convert(self, recording: Recording) -> str:
        """Have the recording as a file for the line; its key, empty when there is none or it is broken."""
        if recording.path is None:
            return ""
        with contextlib.suppress(OSError):
            key = _recording_key(recording.path)
            if self._converted.get(key) is not None:
                return key
            self._broken.add(key)
            with contextlib.suppress(InvalidInput):
                self._converted.put(key, shape(recordings.read(recording.path), RATE_HZ, LAST_GAP_MS))
                self._broken.discard(key)
                return key
        return ""

    # Asking -------------------------------------------------------------------------------------------------------

    def ready(self, text: str, language: str, *, slow: bool = False) -> tuple[Rendered, ...] | None:
        """The files of `text` when all of them exist, else None. Does not block; some microseconds a sentence."""
        rendered = []
        for item in self._items(text, language, _pace(slow)):
            found = self._existing(item)
            if found is None:
                return None
            rendered.append(found)
        return tuple(rendered)

    async def render(
        self, text: str, language: str, *, cache: bool = True, slow: bool = False
    ) -> AsyncIterator[Rendered]:
        """The files of `text` in order, each as soon as it is made; the next is made meanwhile.

        `slow`: said at SLOW of the usual rate; recordings are as they are.
        With `cache` false nothing new is kept: what had to be made is yours, give it to `discard` after use.
        Raises SpeechFailed when neither the voice nor its fallback could say it, or too much waits already.
        """
        async for rendered in self._rendered(self._items(text, language, _pace(slow)), LIVE, private=not cache):
            yield rendered

    def discard(self, rendered: Iterable[Rendered]) -> None:
        """Delete those of `rendered` that are private; others stay."""
        for one in rendered:
            timer = self._private_files.pop(one.path, None)
            if timer is not None:
                timer.cancel()
                one.path.unlink(missing_ok=True)

    async def warm(
        self, texts: Mapping[str, Iterable[str]], progress: Callable[[int, int], None] | None = None
    ) -> tuple[Problem, ...]:
        """Make the static prompts (`texts` by language) behind whatever callers need now.

        `progress(done, all)` is called after each text. Returns what could not be made.
        """
        wanted = [(text, language) for language, some in texts.items() for text in dict.fromkeys(some)]
        problems = []
        for done, (text, language) in enumerate(wanted, 1):
            try:
                async for _ in self._rendered(self._items(text, language), WARM, private=False):
                    pass
            except SpeechFailed as error:
                problems.append(Problem(f"[speech.{language}]", f"cannot say a prompt: {error}"))
            if progress is not None:
                progress(done, len(wanted))
        return tuple(problems)

    async def _rendered(self, items: list[_Item], priority: int, private: bool) -> AsyncIterator[Rendered]:
        jobs: list[_Job] = []
        try:
            ahead = iter(items)
            waiting: list[tuple[_Item, _Job | None]] = []
            while True:
                while len(waiting) < 2 and (item := next(ahead, None)) is not None:
                    job = None if self._existing(item) else self._ask(item, priority, private)
                    if job is not None:
                        jobs.append(job)
                    waiting.append((item, job))
                if not waiting:
                    return
                item, job = waiting.pop(0)
                found = self._existing(item) if job is None else await asyncio.shield(job.made)
                if found is None:  # evicted since it was asked for
                    waiting.insert(0, (item, self._ask(item, priority, private)))
                    jobs.append(waiting[0][1])
                    continue
                yield found
        finally:
            for job in jobs:
                job.waiters -= 1

    # Finding ------------------------------------------------------------------------------------------------------

    def _items(self, text: str, language: str, pace: float = 1.0) -> list[_Item]:
        known = self._recordings.get(language, _NONE)
        items = []
        for whole in self._recorded(text, known, language):
            if isinstance(whole, _Item):
                items.append(whole)
                continue
            for piece in sentences.split(whole, language):
                for part in self._recorded(piece.text, known, language):
                    items.append(part if isinstance(part, _Item) else self._spoken(part, language, piece.gap_ms, pace))
        return items

    def _recorded(self, text: str, known: Recordings, language: str) -> list[_Item | str]:
        """The recording of `text`, else the words to say: its own, or those of the prompt that it names."""
        found = known.find(text)
        if found is None:
            return [text]
        if found.path is not None:
            with contextlib.suppress(OSError):
                key = _recording_key(found.path)
                if key not in self._broken:
                    return [_Item(key, found.text or text, found.text, language, LAST_GAP_MS, recording=found.path)]
        return [found.text or text]

    def _spoken(self, text: str, language: str, gap_ms: int, pace: float) -> _Item:
        said = " ".join(spoken.say(text, language).split())
        key = self._key(self._voices.get(language), said, language, gap_ms, pace)
        return _Item(key, spoken.written(text, language), said, language, gap_ms, pace)

    def _key(self, voice: Voice | None, said: str, language: str, gap_ms: int, pace: float) -> str:
        speech = self._config.speech_for(language)
        name = voice.name if voice else ""
        return key_of(SHAPING, name, speech.voice_name, speech.rate_wpm, pace, language, gap_ms, said)

    def _existing(self, item: _Item) -> Rendered | None:
        source, cache = ("recording", self._converted) if item.recording else (self._voice_name(item), self._cache)
        found = cache.get(item.key)
        return Rendered(found[0], item.text, found[1], source) if found else None

    def _voice_name(self, item: _Item) -> str:
        voice = self._voices.get(item.language)
        return voice.name if voice else ""

    # Making -------------------------------------------------------------------------------------------------------

    def _ask(self, item: _Item, priority: int, private: bool) -> _Job:
        """The job that makes `item`: the one under way, or a new one. Raises SpeechFailed when the queue is full."""
        voice = None if item.recording else self._voices.get(item.language)
        if voice is None and item.recording is None:
            raise SpeechFailed(f"there is no voice for `{item.language}`")
        desk = self._desks.get(voice)
        if desk is None:
            raise SpeechFailed("the voices are not running")
        private = private and item.recording is None
        job = None if private else self._jobs.get(item.key)
        if job is None or priority < job.priority:
            if len(desk.heap) >= QUEUE_LIMIT:
                raise SpeechFailed(f"{QUEUE_LIMIT} sentences wait for the voice already")
            if job is None:
                job = _Job(item, asyncio.get_running_loop().create_future(), private, priority)
                if not private:
                    self._jobs[item.key] = job
            job.priority = priority
            heapq.heappush(desk.heap, (priority, next(self._order), job))
            desk.filled.set()
        job.waiters += 1
        return job

    async def _work(self, voice: Voice | None) -> None:
        desk = self._desks[voice]
        await self._prime(voice)
        while True:
            while not desk.heap:
                desk.filled.clear()
                await desk.filled.wait()
            _, _, job = heapq.heappop(desk.heap)
            if job.made.done():
                continue
            if job.waiters <= 0:
                self._finish(job, SpeechFailed("nobody waits for it any more"))
                continue
            try:
                rendered = await self._in_thread(self._make, job.item, voice, job.private)
            except (SpeechFailed, InvalidInput, OSError) as error:
                rendered = await self._fall_back(job, error)
            self._finish(job, rendered)

    async def _prime(self, voice: Voice | None) -> None:
        """Have a voice load what it needs for each of its languages before a caller waits for it."""
        for language, one in (*self._voices.items(), *self._fallbacks.items()):
            if one is voice is not None:
                with contextlib.suppress(SpeechFailed):
                    await self._in_thread(voice.speak, _FIRST_WORDS.get(language, "1"), language)

    async def _fall_back(self, job: _Job, error: Exception) -> Rendered | SpeechFailed:
        """Another voice's try: the language's own when a recording is broken, its fallback when that failed."""
        item = job.item
        voice = self._voices.get(item.language) if item.recording else self._fallbacks.get(item.language)
        if item.recording:
            self._broken.add(item.key)
        if voice is not None and item.said:
            try:
                return await self._in_thread(self._make, job.item, voice, job.private)
            except (SpeechFailed, OSError) as second:
                error = second
        return SpeechFailed(str(error))

    def _finish(self, job: _Job, outcome: Rendered | SpeechFailed) -> None:
        if self._jobs.get(job.item.key) is job:
            del self._jobs[job.item.key]
        if job.made.done():
            return
        if isinstance(outcome, Rendered):
            if job.private:
                later = asyncio.get_running_loop().call_later(PRIVATE_S, self.discard, (outcome,))
                self._private_files[outcome.path] = later
            job.made.set_result(outcome)
        else:
            job.made.set_exception(outcome)
            job.made.exception()  # a caller who hung up leaves nobody to fetch it

    def _make(self, item: _Item, voice: Voice | None, private: bool) -> Rendered:
        """In a worker thread: the file of `item`. Raises SpeechFailed, InvalidInput, OSError."""
        if voice is None:
            sound = shape(recordings.read(item.recording), RATE_HZ, item.gap_ms)
            path, length = self._converted.put(item.key, sound)
            return Rendered(path, item.text, length, "recording")
        speech, rate = voice.speak(item.said, item.language, item.pace)
        sound = shape(speech, rate, item.gap_ms)
        if private:
            path = self._private / f"{os.urandom(12).hex()}.wav"
            write(path, sound, path.name + ".part")
            return Rendered(path, item.text, duration_ms(len(sound) + 44), voice.name)
        path, length = self._cache.put(self._key(voice, item.said, item.language, item.gap_ms, item.pace), sound)
        return Rendered(path, item.text, length, voice.name)

    async def _in_thread(self, function: Callable, *arguments: object):
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


_NONE = Recordings()


def _pace(slow: bool) -> float:
    return SLOW if slow else 1.0


def _recording_key(path: Path) -> str:
    """Changes with the file, so that a new recording is used at once. Raises OSError."""
    state = path.stat()
    return key_of(SHAPING, path, state.st_mtime_ns, state.st_size)


def check(config: Config) -> list[Problem]:
    """What is wrong with the recordings of every configured language. Reads the files; for `ivr check`."""
    folder = config.path(config.paths.audio_prompts)
    languages = sorted({*config.languages, *(p.name for p in folder.glob("[a-z][a-z]") if p.is_dir())})
    return [problem for language in languages for problem in recordings.check(folder / language)]
