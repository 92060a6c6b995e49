"""A conductor: takes a message from a caller, from the first word to a long silence, a `#` or its longest time.

One TakeMessage at a time; the line's own endpointing ends it, so that it is counted in audio. Runs in asyncio's
thread; the file is written in a worker thread. Knows nothing of plans.
"""

from __future__ import annotations

import asyncio
import time
import uuid
import wave
from collections.abc import Callable, Coroutine
from pathlib import Path

import structlog

from ivr.dialog.state import Recorded, TakeMessage
from ivr.line.messages import Audio, Dtmf, Event, NoInput, SpeechEnded, SpeechStarted
from ivr.speech.pcm import RATE_HZ
from ivr.telephony.leg import Leg

log = structlog.get_logger(__name__)

NO_INPUT_MS = 5_000
_BYTES_A_MS = RATE_HZ * 2 // 1000


def purge(folder: Path, retention_days: int) -> None:
    """Delete the messages that are older than so many days."""
    before = time.time() - retention_days * 86_400
    for path in folder.glob("*.wav"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)


class MessageTaker:
    """`folder` is where messages are kept, `post` takes the Recorded, `spawn` runs a coroutine during the call."""

    def __init__(
        self,
        leg: Leg,
        folder: Path,
        post: Callable[[Recorded], None],
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        self._leg, self._folder, self._post, self._spawn = leg, folder, post, spawn
        self._turn: int | None = None
        self._utterance: int | None = None
        self._audio = bytearray()
        self._most_bytes = 0

    @property
    def taking(self) -> bool:
        return self._turn is not None

    def take(self, action: TakeMessage) -> None:
        """Begin to listen, once what is being said has been said."""
        self._audio.clear()
        self._utterance = None
        self._most_bytes = action.max_s * 1000 * _BYTES_A_MS
        self._turn = self._leg.listen(
            no_input_ms=NO_INPUT_MS, max_speech_ms=action.max_s * 1000, wait_ms=action.silence_ms,
            pause_ms=action.silence_ms, language=action.language,
        )  # fmt: skip

    def on(self, event: Event) -> None:
        """Follow one event of the leg."""
        if self._turn is None:
            return
        match event:
            case SpeechStarted(turn=turn) if turn == self._turn and self._utterance is None:
                self._utterance = event.utterance
            case Audio(pcm=pcm) if event.utterance == self._utterance:
                self._audio += pcm[: max(0, self._most_bytes - len(self._audio))]
            case SpeechEnded() if event.utterance == self._utterance:
                self._finish()
            case NoInput(turn=turn) if turn == self._turn:
                self._finish()
            case Dtmf(digit="#"):
                self._leg.stop_listening()
                self._finish()
            case _:
                pass

    def close(self) -> None:
        """The call is over: what was said so far is kept."""
        if self._turn is not None and self._audio:
            self._write(f"{uuid.uuid4().hex}.wav", bytes(self._audio))
        self._turn = None

    def _finish(self) -> None:
        self._turn = None
        self._spawn(self._keep(bytes(self._audio)))

    async def _keep(self, audio: bytes) -> None:
        name = f"{uuid.uuid4().hex}.wav" if audio else ""
        if name:
            try:
                await asyncio.to_thread(self._write, name, audio)
            except OSError as error:
                log.error("a message cannot be kept", leg=self._leg.id, reason=error.strerror)
                name = ""
        self._post(Recorded(name, len(audio) // _BYTES_A_MS))

    def _write(self, name: str, audio: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._folder / f"{name}.part"
        with wave.open(str(part), "wb") as out:
            out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            out.writeframes(audio)
        part.replace(self._folder / name)
