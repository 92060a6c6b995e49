"""A conductor: from the line's speech events to understood utterances, with the waits and the barge-in verdicts.

One Listener a call, in asyncio's thread. It opens an ear in the recogniser pool for every utterance, has it decode
speculatively at the first short silence, tells the line how long to wait for more, and judges speech over a prompt.
Knows nothing of plans, playouts or records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from ivr import metrics
from ivr.config import Hearing
from ivr.dialog import barge_in, waits
from ivr.line.messages import (
    RATE_HZ,
    Audio,
    Event,
    NoInput,
    SpeechEnded,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
)
from ivr.speech.stt import Ear, RecognizerPool
from ivr.telephony.leg import Leg
from ivr.turn import Expectation, Hypothesis, Understood

PREROLL_MS = 300
CLOSED_MS = 100
"""Silence after which an answer to a closed question is decoded speculatively: it has no inner pauses to mistake."""
DIGIT_MS = 110
"""Nobody says a digit in less."""
NOISES = 3
"""Noises in one turn after which a caller counts as silent."""


@dataclass(frozen=True)
class Utterance:
    """Something the caller said, understood. `speculative`: the decode that counts was made before the end."""

    understood: Understood
    ended: SpeechEnded
    speculative: bool


@dataclass(frozen=True)
class Quiet:
    """Nothing was said for as long as the turn waits."""


@dataclass
class _Heard:
    """The utterance that runs."""

    id: int
    ear: Ear
    over_prompt: bool
    asks: bool
    audio_ms: int = -PREROLL_MS
    pause: int = 0
    silent: bool = False
    guess: Understood | None = None
    verdict: barge_in.Verdict = "wait"
    peeked: bool = False


class Listener:
    """`post` takes Utterance and Quiet; `spawn` runs a coroutine for as long as the call lasts."""

    def __init__(
        self,
        leg: Leg,
        pool: RecognizerPool,
        understand: Callable[[Expectation, Hypothesis], Understood],
        hearing: Hearing,
        post: Callable[[Utterance | Quiet], None],
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        self._leg, self._pool, self._understand, self._hearing = leg, pool, understand, hearing
        self._post, self._spawn = post, spawn
        self._pauses = waits.Pauses()
        self._expectation: Expectation | None = None
        self._turn = 0
        self._hotword = False
        self._noises = 0
        self._heard: _Heard | None = None

    def open(self, expectation: Expectation, no_input_ms: int = 0, hotword: bool = False) -> None:
        """Begin a turn; whatever was being heard before is dropped. `hotword`: only what means something interrupts."""
        self._drop()
        self._hotword = hotword
        hearing = self._hearing
        self._expectation, self._noises = expectation, 0
        self._turn = self._leg.listen(
            no_input_ms=no_input_ms or hearing.no_input_ms,
            max_speech_ms=hearing.max_speech_ms,
            wait_ms=hearing.wait_ms,
            pause_ms=hearing.speculate_ms if expectation.kind == "open" else min(CLOSED_MS, hearing.speculate_ms),
            verdict_ms=hearing.verdict_ms,
            language=expectation.language,
        )

    def close(self) -> None:
        """Hear nothing until the next turn."""
        if self._expectation is not None:
            self._leg.stop_listening()
        self._expectation = None
        self._drop()

    def drop_utterance(self) -> None:
        """Forget what is being said, because a key answers instead."""
        self._drop()

    def on(self, event: Event) -> None:
        """Follow one event of the leg; those of an earlier turn or utterance change nothing."""
        if self._expectation is None:
            return
        match event:
            case SpeechStarted(turn=turn) if turn == self._turn:
                self._drop()
                ear = self._pool.open(self._leg.id, self._expectation, self._understand)
                self._heard = _Heard(event.utterance, ear, event.paused, event.asks)
            case NoInput(turn=turn) if turn == self._turn:
                self._post(Quiet())
            case Audio() | SpeechPaused() | SpeechResumed() | SpeechEnded() if (
                self._heard is not None and self._heard.id == event.utterance
            ):
                self._follow(self._heard, event)
            case _:
                pass

    def _drop(self) -> None:
        if self._heard is not None:
            self._heard.ear.drop()
            self._heard = None

    def _follow(self, heard: _Heard, event: Audio | SpeechPaused | SpeechResumed | SpeechEnded) -> None:
        match event:
            case Audio(pcm=pcm):
                heard.ear.accept(pcm)
                heard.audio_ms += len(pcm) * 500 // RATE_HZ
                self._judge_running(heard)
            case SpeechPaused(speech_ms=speech_ms):
                heard.silent = True
                if speech_ms >= self._least_speech_ms:
                    self._spawn(self._speculate(heard, heard.pause, speech_ms))
            case SpeechResumed(silence_ms=silence_ms):
                self._pauses.heard(silence_ms)
                heard.pause += 1
                heard.ear.resumed()
                heard.silent, heard.guess = False, None
            case SpeechEnded():
                self._heard = None
                self._spawn(self._finish(heard, event))

    def _judge_running(self, heard: _Heard) -> None:
        """Speech goes on over a paused prompt."""
        if not heard.over_prompt or heard.verdict != "wait" or heard.silent:
            return
        if not heard.asks and not heard.peeked and heard.audio_ms >= barge_in.PEEK_MS:
            heard.peeked = True
            self._spawn(self._speculate(heard, heard.pause, 0))
        verdict = barge_in.while_speaking(heard.audio_ms, heard.asks, heard.guess, self._language, self._hotword)
        self._pronounce(heard, verdict)

    @property
    def _least_speech_ms(self) -> int:
        """Speech that is too short to be all the digits is not worth decoding yet."""
        expectation = self._expectation
        if expectation is None or expectation.kind != "digits":
            return 0
        return expectation.min_digits * DIGIT_MS

    @property
    def _language(self) -> str:
        return self._expectation.language if self._expectation is not None else ""

    def _verdict(self, heard: _Heard, understood: Understood, speech_ms: int) -> barge_in.Verdict:
        return barge_in.when_spoken(understood, speech_ms, heard.asks, self._language, self._hotword)

    def _pronounce(self, heard: _Heard, verdict: barge_in.Verdict) -> None:
        if verdict != "wait" and heard.verdict != "commit" and verdict != heard.verdict:
            heard.verdict = verdict
            metrics.barge_in("committed" if verdict == "commit" else "resumed")
            self._leg.barge_in(heard.id, verdict == "commit")

    async def _speculate(self, heard: _Heard, pause: int, speech_ms: int) -> None:
        guess = await heard.ear.speculate()
        if guess is None or heard.pause != pause or self._expectation is None or heard is not self._heard:
            return
        heard.guess = guess
        if not speech_ms:
            return
        if heard.over_prompt:
            self._pronounce(heard, self._verdict(heard, guess, speech_ms))
        wait = waits.wait_ms(self._hearing, self._expectation, guess, self._pauses)
        self._leg.endpoint_wait(heard.id, wait)

    async def _finish(self, heard: _Heard, ended: SpeechEnded) -> None:
        expectation, turn = self._expectation, self._turn
        understood = await heard.ear.finish()
        if understood.hypothesis.rejected == "failed":
            metrics.speech_failed(understood.hypothesis.engine or "recogniser")
        if self._expectation is not expectation or self._turn != turn:
            return
        if heard.over_prompt:
            self._pronounce(heard, self._verdict(heard, understood, ended.speech_ms))
            if heard.verdict != "commit":
                return
        elif understood.hypothesis.rejected == "no_speech":
            self._noises += 1
            if self._noises >= NOISES:
                self._post(Quiet())
            return
        self._post(Utterance(understood, ended, heard.guess is not None and heard.guess == understood))
