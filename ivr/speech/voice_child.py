"""A synthesiser in a process of its own: `python -m ivr.speech.voice_child pyttsx3 [LANGUAGE ...] | piper MODEL`.

Native speech code may hang or crash; here it takes nobody with it. Requests come on standard input and replies leave
on what was standard output, each MessagePack behind a 4-byte big-endian length, one at a time and in order. Whatever
the engines print goes to standard error. The process ends at end of file on its input, and by PR_SET_PDEATHSIG with
the thread that started it. Knows nothing of prompts, caches or calls.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from ivr.speech import espeak_voices, mandarin

MAX_MESSAGE_BYTES = 64 << 20
SAMPLE_RATE_HZ = 22_050  # of every espeak-ng voice
_PR_SET_PDEATHSIG = 1


class Part(msgspec.Struct, frozen=True):
    """A stretch of text in one language and how it is to be said."""

    text: str
    language: str
    voice: str
    rate_wpm: int = 170


class Request(msgspec.Struct, frozen=True):
    number: int
    parts: tuple[Part, ...]


class Reply(msgspec.Struct, frozen=True):
    """Number 0 says that the engine is ready. `pcm` is 16-bit mono; `error` is empty when all went well."""

    number: int
    rate_hz: int = 0
    pcm: bytes = b""
    error: str = ""


def pack(message: Request | Reply) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(4, "big") + body


class _Pyttsx3:
    """pyttsx3 over espeak-ng. Its voices are chosen a part; espeak-ng keeps one setting for the whole process."""

    def __init__(self, languages: list[str]) -> None:
        import pyttsx3  # loads libespeak-ng, which only this process may
        from pyttsx3.drivers import _espeak

        # pyttsx3 2.99 starts espeak-ng in its asynchronous mode and does not wait for it: rate and voice of one
        # sentence then reach another, and sentences come out cut or empty. Synchronous, Synth returns when all is said.
        _espeak.AUDIO_OUTPUT_RETRIEVAL = _espeak.AUDIO_OUTPUT_SYNCHRONOUS
        self._engine = pyttsx3.init("espeak")
        self._driver = self._engine.proxy._driver
        self._start, self._driver._start_synthesis = self._driver._start_synthesis, self._synthesise
        self._espeak = _espeak
        self._folder = tempfile.TemporaryDirectory(prefix="ivr-voice-", dir=_memory_folder())
        data = ctypes.c_char_p()
        _espeak.dll.espeak_Info(ctypes.byref(data))
        self._own = espeak_voices.write(Path(os.fsdecode(data.value)), Path(self._folder.name))
        self._sound = bytearray()
        _espeak.SetSynthCallback(self._collect)
        if "zh" in languages:
            mandarin.pinyin("一")

    def _synthesise(self, text: str) -> None:
        """What pyttsx3's loop runs; espeak-ng's event that would end the loop comes in asynchronous mode only."""
        try:
            self._start(text)
        finally:
            self._driver.endLoop()

    def _collect(self, samples: object, count: int, _: object) -> int:
        """espeak-ng brings the sound here, piece by piece; pyttsx3's own collector may cut it or leave it empty."""
        if count > 0:
            self._sound += ctypes.string_at(samples, 2 * count)
        return 0

    def say(self, part: Part) -> tuple[bytes, int]:
        self._choose(part.voice)
        self._espeak.SetParameter(self._espeak.RATE, part.rate_wpm, 0)
        self._sound.clear()
        text = mandarin.pinyin(part.text) if part.language == "zh" else part.text
        self._engine.save_to_file(text, f"{self._folder.name}/speech.wav")
        self._engine.runAndWait()
        return bytes(self._sound), SAMPLE_RATE_HZ

    def _choose(self, voice: str) -> None:
        """Have espeak-ng use `voice`: one of the house's own, or a name of its own like `en-gb` or `en-us+f3`.

        pyttsx3's own property swallows the failure of a name that does not exist.
        """
        own = self._own.get(voice)
        if own is not None:
            failed = self._espeak.dll.espeak_SetVoiceByFile(os.fsencode(own))
        else:
            failed = self._espeak.SetVoiceByName(espeak_voices.PLAIN.get(voice, voice).encode())
        if failed:
            raise ValueError(f"espeak-ng has no voice `{voice}`")


class _Piper:
    """A Piper voice: one speaker, one language."""

    def __init__(self, model: str) -> None:
        from piper import PiperVoice, SynthesisConfig  # onnxruntime: half a second and 100 MB

        self._voice = PiperVoice.load(model)
        self._config = SynthesisConfig

    def say(self, part: Part) -> tuple[bytes, int]:
        chunks = list(self._voice.synthesize(part.text, self._config(length_scale=170 / part.rate_wpm)))
        return b"".join(c.audio_int16_bytes for c in chunks), self._voice.config.sample_rate


def _memory_folder() -> str | None:
    """A folder in memory when there is one: what is said may be private and need not reach a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - only a random name below it is used


def _answer(request: Request, say: Callable[[Part], tuple[bytes, int]]) -> Reply:
    pcm, rate = bytearray(), 0
    for part in request.parts:
        spoken, part_rate = say(part)
        if rate and part_rate != rate:
            return Reply(request.number, error=f"parts at {rate} and {part_rate} Hz")
        pcm += spoken
        rate = part_rate
    return Reply(request.number, rate, bytes(pcm), "" if pcm else "no sound came of it")


def _read_requests(source: BinaryIO, requests: queue.Queue[Request]) -> None:
    """Runs in its own thread, so that end of file ends the process even while native code hangs."""
    while header := source.read(4):
        size = int.from_bytes(header, "big")
        if len(header) < 4 or size > MAX_MESSAGE_BYTES:
            break
        requests.put(msgspec.msgpack.decode(source.read(size), type=Request))
    os._exit(0)


def _engine(arguments: list[str]) -> Callable[[Part], tuple[bytes, int]]:
    match arguments:
        case ["pyttsx3", *languages]:
            return _Pyttsx3(languages).say
        case ["piper", model]:
            return _Piper(model).say
        case _:
            raise SystemExit("usage: python -m ivr.speech.voice_child pyttsx3 [LANGUAGE ...] | piper MODEL")


def main(arguments: list[str]) -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    requests: queue.Queue[Request] = queue.Queue(maxsize=64)
    threading.Thread(target=_read_requests, args=(sys.stdin.buffer, requests), daemon=True).start()
    say = _engine(arguments)
    with contextlib.suppress(BrokenPipeError):
        replies.write(pack(Reply(0)))
        replies.flush()
        while True:
            request = requests.get()
            try:
                reply = _answer(request, say)
            except Exception as error:  # the edge to native code: the parent must get an answer, whatever it is
                reply = Reply(request.number, error=f"{type(error).__name__}: {error}")
            replies.write(pack(reply))
            replies.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
