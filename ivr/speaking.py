"""A conductor: from what the dialog says to playouts on the line, and back to what the caller really heard.

One Speaker a call, in asyncio's thread. What is cached plays at once; otherwise the first sentence plays while the
next is made. A voice that fails is replaced by the recorded apology, never by silence. Knows nothing of plans.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import structlog

from ivr import metrics
from ivr.dialog.state import Speak
from ivr.errors import SpeechFailed
from ivr.line.messages import Event, PlayoutEnded, PlayoutStarted, Segment
from ivr.speech.prompts import Prompts
from ivr.speech.protocols import Rendered
from ivr.store.records import Said
from ivr.telephony.leg import Leg

log = structlog.get_logger(__name__)


@dataclass
class _Playout:
    """One answer of ours on its way to the caller."""

    id: int
    sentences: list[Rendered]
    asked_at: float
    sensitive: bool = False
    render_ms: int = 0
    over: bool = False
    ended: PlayoutEnded | None = None


class Speaker:
    """`apology` is a WAV file by language for when no voice can speak."""

    def __init__(
        self,
        leg: Leg,
        prompts: Prompts,
        apology: Callable[[str], Path | None],
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        self._leg, self._prompts = leg, prompts
        self._apology, self._spawn = apology, spawn
        self._playout: _Playout | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._rendering: asyncio.Task[None] | None = None

    def speak(self, said: Sequence[Speak]) -> None:
        """Say all of `said` in place of what is being said."""
        if self._rendering is not None:
            self._rendering.cancel()
            self._rendering = None
        self._idle.clear()
        self._discard()
        asked_at, sensitive = time.monotonic(), any(one.sensitive for one in said)
        ready = [self._prompts.ready(one.text, one.language, slow=one.slow) for one in said]
        if all(r is not None for r in ready):
            pairs = [(r, s) for rs, s in zip(ready, said, strict=True) for r in rs or ()]
            if not pairs:
                self._idle.set()
                return
            number = self._leg.play([_segment(r, s, first) for r, s, first in _with_first(pairs)])
            self._playout = _Playout(number, [r for r, _ in pairs], asked_at, sensitive)
            for rendered, _ in pairs:
                metrics.prompt_prepared("recording" if rendered.source == "recording" else "cache")
            return
        self._playout = _Playout(0, [], asked_at, sensitive)
        self._rendering = self._spawn(self._stream(self._playout, tuple(said)))

    async def _stream(self, playout: _Playout, said: tuple[Speak, ...]) -> None:
        """Play sentence after sentence as they are made."""
        try:
            for one in said:
                first = True
                async for rendered in self._prompts.render(
                    one.text, one.language, slow=one.slow, cache=not one.sensitive
                ):
                    self._add(playout, rendered, _segment(rendered, one, first))
                    first = False
        except SpeechFailed as failed:
            log.warning("voice failed", leg=self._leg.id, reason=str(failed))
            metrics.speech_failed("voice")
            if (path := self._apology(said[0].language)) is not None and not playout.sentences:
                self._add(playout, Rendered(path, "", 4_000, "recording"), Segment(str(path), "key", asks=True))
        if not playout.id:
            self._idle.set()
        elif not playout.over:
            self._leg.play((), append_to=playout.id)

    def _add(self, playout: _Playout, rendered: Rendered, segment: Segment) -> None:
        if playout.over:
            return
        playout.sentences.append(rendered)
        metrics.prompt_prepared("recording" if rendered.source == "recording" else "made")
        if playout.id:
            self._leg.play([segment], append_to=playout.id, more=True)
        else:
            playout.render_ms = round((time.monotonic() - playout.asked_at) * 1000)
            playout.id = self._leg.play([segment], more=True)

    @property
    def sensitive(self) -> bool:
        """Whether what is being said holds what must not be kept."""
        return self._playout is not None and self._playout.sensitive and not self._playout.over

    def _discard(self) -> None:
        """What was made for this call alone is deleted once something else is said."""
        if self._playout is not None and self._playout.sensitive:
            self._prompts.discard(self._playout.sentences)

    def play_files(self, segments: Sequence[Segment]) -> None:
        """Play files as they are (a ringing tone) until something else is said."""
        self._idle.clear()
        self._playout = _Playout(self._leg.play(segments), [], time.monotonic())

    def on(self, event: Event) -> None:
        """Follow the playout of this leg."""
        if isinstance(event, PlayoutEnded) and self._playout is not None and event.playout == self._playout.id:
            self._playout.ended = event
            if event.reason == "key":
                metrics.barge_in("key")
            if event.underrun_ms:
                metrics.playout_ran_dry(event.underrun_ms)
            if event.reason in ("barge_in", "key"):
                self.silence()
            self._playout.over = True
            if self._rendering is None or self._rendering.done() or event.reason != "finished":
                self._idle.set()

    def silence(self) -> None:
        """The caller interrupted: make no more of it."""
        if self._rendering is not None and not self._rendering.done():
            self._rendering.cancel()
        if self._playout is not None:
            self._playout.over = True
        self._idle.set()

    async def finished(self) -> None:
        """Wait until everything said has been played or interrupted."""
        await self._idle.wait()

    def render_ms(self, started: PlayoutStarted) -> int | None:
        """How long the first sentence of the playout that `started` took to make; None when it is another one."""
        ours = self._playout is not None and self._playout.id == started.playout
        return self._playout.render_ms if ours and self._playout is not None else None

    def account(self) -> tuple[Said, ...]:
        """What was said last, sentence by sentence, with how much of each the caller heard."""
        if self._playout is None:
            return ()
        ended = self._playout.ended
        left = ended.heard_ms if ended is not None else None
        said = []
        for one in self._playout.sentences:
            heard = one.duration_ms if left is None else max(0, min(one.duration_ms, left))
            cut = ended is not None and ended.reason != "finished" and 0 <= heard < one.duration_ms
            said.append(Said(text=one.text, heard_ms=heard, total_ms=one.duration_ms, interrupted=cut,
                             sensitive=self._playout.sensitive))  # fmt: skip
            left = None if left is None else max(0, left - one.duration_ms)
        return tuple(said)


def _with_first(pairs: list[tuple[Rendered, Speak]]) -> list[tuple[Rendered, Speak, bool]]:
    return [(r, s, i == 0 or pairs[i - 1][1] is not s) for i, (r, s) in enumerate(pairs)]


def _segment(rendered: Rendered, speak: Speak, first: bool) -> Segment:
    # The line pauses for any speech; whether a hotword was in it is the listener's verdict.
    barge_in = cast(Literal["speech", "key", "none"], "speech" if speak.barge_in == "hotword" else speak.barge_in)
    return Segment(str(rendered.path), barge_in, speak.asks, speak.protected_ms if first else 0)
