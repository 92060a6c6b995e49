"""The voices: pyttsx3 over espeak-ng, and Piper, each in a child process that is killed when it hangs.

`Voice.speak` blocks and may be called from any thread but asyncio's; requests of one engine are served one after the
other. Every engine has a thread of its own that starts its child and talks to it: the child dies with that thread
(PR_SET_PDEATHSIG), with the process (end of file), and by SIGKILL when a reply is late. Knows nothing of prompts,
caches or calls.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import msgspec

from ivr.config import Config
from ivr.errors import SpeechFailed, Unavailable
from ivr.speech import espeak_voices, mandarin
from ivr.speech.protocols import Voice
from ivr.speech.voice_child import MAX_MESSAGE_BYTES, Part, Reply, Request, pack

START_TIMEOUT_S = 30.0
PREPARATION = 4  # raise when the same text comes out otherwise, so that cached speech is made anew
PIPER_MODELS = {"en": "piper-en-joe/en_US-joe-medium.onnx"}


class _Child:
    """One engine's process. Started at the first request, again after it was killed or died."""

    def __init__(self, arguments: list[str], timeout_s: float) -> None:
        self._command = [sys.executable, "-m", "ivr.speech.voice_child", *arguments]
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"voice-{arguments[0]}")

    def start(self) -> None:
        """Start the process now and wait until its engine is loaded. Raises SpeechFailed."""
        self._thread.submit(self._started).result()

    def ask(self, parts: tuple[Part, ...]) -> tuple[bytes, int]:
        """The parts as (PCM, rate in Hz). Raises SpeechFailed."""
        try:
            asked = self._thread.submit(self._ask, parts)
        except RuntimeError as error:  # the executor was shut down
            raise SpeechFailed("the voice is closed") from error
        try:
            return asked.result()
        except SpeechFailed:
            with contextlib.suppress(RuntimeError):
                self._thread.submit(self._started)  # the next caller need not wait for it
            raise

    def close(self) -> None:
        self._thread.submit(self._kill)
        self._thread.shutdown(wait=True)

    @property
    def pid(self) -> int:
        """The child's process id, 0 while there is none."""
        return self._process.pid if self._process else 0

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._kill()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        self._reply(self._process, 0, time.monotonic() + START_TIMEOUT_S)
        return self._process

    def _ask(self, parts: tuple[Part, ...]) -> tuple[bytes, int]:
        process = self._started()
        self._number += 1
        deadline = time.monotonic() + self._timeout_s
        try:
            process.stdin.write(pack(Request(self._number, parts)))
        except OSError as error:
            self._kill()
            raise SpeechFailed(f"the voice process is gone: {error}") from None
        reply = self._reply(process, self._number, deadline)
        if reply.error:
            raise SpeechFailed(f"the voice failed: {reply.error}")
        return reply.pcm, reply.rate_hz

    def _reply(self, process: subprocess.Popen[bytes], number: int, deadline: float) -> Reply:
        try:
            size = int.from_bytes(_read(process.stdout.fileno(), 4, deadline), "big")
            if size > MAX_MESSAGE_BYTES:
                raise SpeechFailed(f"the voice process sent a reply of {size} bytes")
            reply = msgspec.msgpack.decode(_read(process.stdout.fileno(), size, deadline), type=Reply)
            if reply.number != number:
                raise SpeechFailed("the voice process answered another request")
        except (SpeechFailed, msgspec.DecodeError) as error:
            self._kill()
            raise SpeechFailed(str(error)) from None
        return reply

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        process.wait()


def _read(descriptor: int, size: int, deadline: float) -> bytes:
    """Exactly `size` bytes before `deadline` (monotonic). Raises SpeechFailed."""
    data = bytearray()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while len(data) < size:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not poller.poll(left_s * 1_000):
            raise SpeechFailed("the voice hung and was stopped")
        chunk = os.read(descriptor, min(size - len(data), 1 << 20))
        if not chunk:
            raise SpeechFailed("the voice process ended unexpectedly")
        data += chunk
    return bytes(data)


class Pyttsx3Voice:
    """pyttsx3 over espeak-ng: every language, a clear but mechanical voice, some 15 ms a sentence.

    Text of another script within a sentence is said by that script's voice.
    """

    def __init__(self, config: Config) -> None:
        self.name = f"pyttsx3-{metadata.version('pyttsx3')}.{PREPARATION}"
        self._config = config
        self._child = _Child(["pyttsx3", *config.languages], config.synthesis.timeout_s)

    def start(self) -> None:
        self._child.start()

    def speak(self, text: str, language: str, pace: float = 1.0) -> tuple[bytes, int]:
        parts = tuple(self._part(run.text, run.language, pace) for run in mandarin.runs(text, language))
        if not parts:
            raise SpeechFailed("there is nothing to say")
        return self._child.ask(parts)

    def close(self) -> None:
        self._child.close()

    @property
    def pid(self) -> int:
        return self._child.pid

    def _part(self, text: str, language: str, pace: float) -> Part:
        speech = self._config.speech_for(language)
        own = speech.voice == "pyttsx3" and speech.voice_name
        voice = own or espeak_voices.NAMES.get(language, language)
        return Part(text, language, voice, round(speech.rate_wpm * pace * espeak_voices.PACE.get(language, 1.0)))


class PiperVoice:
    """A natural voice of one language; about a tenth of the speech's length to make it, 3 s to load.

    An English one would say "Chinese letter" for each of the Hanzi in a name: it is given them in English letters.
    """

    def __init__(self, config: Config, language: str) -> None:
        model = piper_model(config, language)
        if model is None:
            raise Unavailable(f"no Piper voice for `{language}`: set speech.{language}.voice_name or voice")
        if not model.exists():
            raise Unavailable(f"no Piper voice at {model}: get it with `ivr models pull`, or use pyttsx3")
        self.name = f"piper-{metadata.version('piper-tts')}.{PREPARATION}-{model.stem}"
        self._config = config
        self._child = _Child(["piper", str(model)], config.synthesis.timeout_s)

    def start(self) -> None:
        self._child.start()

    def speak(self, text: str, language: str, pace: float = 1.0) -> tuple[bytes, int]:
        rate_wpm = round(self._config.speech_for(language).rate_wpm * pace)
        known = mandarin.for_english_ears(text) if language == "en" else text
        return self._child.ask((Part(known, language, "", rate_wpm=rate_wpm),))

    def close(self) -> None:
        self._child.close()

    @property
    def pid(self) -> int:
        return self._child.pid


def piper_model(config: Config, language: str) -> Path | None:
    """Where the Piper model of `language` should be, None when none is known for it."""
    name = config.speech_for(language).voice_name
    relative = name if name.endswith(".onnx") else PIPER_MODELS.get(language)
    return config.path(config.paths.models) / relative if relative else None


def open_voices(config: Config) -> tuple[dict[str, Voice], dict[str, Voice]]:
    """The voice of every configured language, and the one that stands in when it fails. Engines are shared.

    Raises Unavailable when a configured voice is missing.
    """
    pyttsx3 = Pyttsx3Voice(config)
    makers: Mapping[str, Callable[[str], Voice]] = {
        "pyttsx3": lambda _: pyttsx3,
        "piper": lambda language: PiperVoice(config, language),
    }
    voices = {language: makers[config.speech_for(language).voice](language) for language in config.languages}
    return voices, {language: pyttsx3 for language, voice in voices.items() if voice is not pyttsx3}
