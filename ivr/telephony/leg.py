"""The brain's handle on one SIP leg: commands down, a bounded stream of events up.

Knows the messages and nothing of processes, dialogs or what the words mean. Used by asyncio's thread only.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ivr.line.messages import (
    Answer,
    Audio,
    BargeIn,
    Bridge,
    Bridged,
    Cause,
    Command,
    EndpointWait,
    Event,
    Failure,
    Hangup,
    LegEnded,
    LegState,
    Listen,
    Mute,
    Patch,
    Play,
    Record,
    Refer,
    Reject,
    Ring,
    Segment,
    SendDtmf,
    StopListening,
    StopPlayout,
    Transferred,
    Unbridge,
)

AUDIO_LIMIT_BYTES = 32_000 * 30
CONTROL_LIMIT = 2_000
AUDIO_DROPPED = "audio dropped: the reader of this leg is too slow"

State = Literal["incoming", "dialing", "ringing", "early", "answered", "held", "ended"]
Outcome = Literal["accepted", "busy", "no_answer", "rejected", "failed"]


@dataclass(frozen=True)
class LegInfo:
    """What is known of a leg when it begins.

    Attributes:
        direction: `in`, somebody rang us; `out`, we dialled.
        number: what was dialled; for `out` the URI.
        caller: user part of From; for `out` empty, since From is the trunk's.
        source: address the INVITE came from; empty for `out`.
        peer: name of the trunk or agent, empty for a caller who is neither.
        sip_call_id: the Call-ID header.
        plan: name of the plan that answers the number, empty for `out`.
        language: ISO 639-1 code the number speaks, for `out` the one given to `dial`.
    """

    direction: Literal["in", "out"]
    number: str
    caller: str = ""
    source: str = ""
    peer: str = ""
    sip_call_id: str = ""
    plan: str = ""
    language: str = "en"


@dataclass(frozen=True)
class DialOutcome:
    """A call that was not answered: why, the SIP status (0 when none) and the words for the record.

    `sent`: its INVITE has left or may have, so that the telephone may have rung. `again_s`: how long the trunk takes no
    more, having had its calls.
    """

    cause: Cause
    code: int = 0
    reason: str = ""
    sent: bool = False
    again_s: float = 0.0


class Events:
    """The events of one leg in order, for one reader; ends after its LegEnded.

    Overflow: unread audio above 30 s drops the rest of that utterance's audio, said once by a Failure in its place;
    the next utterance is taken again as soon as there is room. Control events are never dropped: `put` says False when
    2,000 of them lie unread, and the leg has to be ended.
    """

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._audio_bytes = 0
        self._control = 0
        self._dropping: int | None = None
        self._over = False

    def put(self, event: Event) -> bool:
        """Take an event; False when the reader is so far behind that the leg must end."""
        if isinstance(event, Audio):
            return self._put_audio(event)
        self._waiting.append(event)
        self._control += 1
        self._arrived.set()
        return self._control < CONTROL_LIMIT

    def _put_audio(self, event: Audio) -> bool:
        if self._audio_bytes + len(event.pcm) <= AUDIO_LIMIT_BYTES and self._dropping != event.utterance:
            self._dropping = None
            self._audio_bytes += len(event.pcm)
            self._waiting.append(event)
        elif self._dropping != event.utterance:
            self._dropping = event.utterance
            return self.put(Failure(AUDIO_DROPPED, leg=event.leg))
        self._arrived.set()
        return True

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._over:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        event = self._waiting.popleft()
        if isinstance(event, Audio):
            self._audio_bytes -= len(event.pcm)
        else:
            self._control -= 1
        if isinstance(event, LegEnded):
            self._over = True
            self._waiting.clear()
        return event


class Leg:
    """One call seen from the brain. Commands on a leg that is over do nothing: hanging up races with everything.

    Attributes:
        id: unique in this brain's life, `line.incarnation.number`.
        info: what was known when it began.
        state: where it stands; `held` counts as answered.
        events: what happens on it, for one reader.
        ended: the LegEnded, once there is one.
        codec: name of the audio codec once media runs.
        limit_reached: it was hung up because it had lasted `max_call_s`.
    """

    def __init__(
        self,
        leg_id: str,
        number: int,
        info: LegInfo,
        send: Callable[[Command], None],
        may_refer: Callable[[str, Leg], str],
    ) -> None:
        self.id = leg_id
        self.number = number
        self.info = info
        self.state: State = "incoming" if info.direction == "in" else "dialing"
        self.events = Events()
        self.ended: LegEnded | None = None
        self.codec = ""
        self.limit_reached = False
        self._send = send
        self._may_refer = may_refer
        self._over = asyncio.Event()
        self._playouts = itertools.count(1)
        self._turns = itertools.count(1)
        self._referring: asyncio.Future[Transferred] | None = None
        self._bridged = asyncio.Event()
        self._answered = asyncio.Event()

    # What the pool does --------------------------------------------------------------------------------------------

    def take(self, event: Event) -> bool:
        """Follow an event of the line and queue it for the reader; False when the reader has given up reading."""
        if self.ended is not None:
            return True
        if isinstance(event, LegState):
            self.state = "answered" if event.state == "resumed" else event.state
            self.codec = event.codec or self.codec
        elif isinstance(event, Transferred) and self._referring is not None and not self._referring.done():
            self._referring.set_result(event)
        elif isinstance(event, Bridged):
            self._bridged.set()
        elif isinstance(event, LegEnded):
            self.ended = event
            self.state = "ended"
            self._over.set()
            if self._referring is not None and not self._referring.done():
                self._referring.set_result(Transferred(self.number, "failed", event.code))
        if self.state in ("answered", "ended"):
            self._answered.set()
        return self.events.put(event)

    # What a session does -------------------------------------------------------------------------------------------

    def send(self, command: Command) -> None:
        """Any command, already addressed to `number`."""
        if self.ended is None:
            self._send(command)

    def ring(self, early_media: bool = False) -> None:
        self.send(Ring(self.number, early_media))

    def answer(self, language: str = "") -> None:
        """200 OK. `language` is that of the apology should this brain die; the number's own by default."""
        self.send(Answer(self.number, language or self.info.language))

    def reject(self, code: int, reason: str = "", retry_after_s: int = 0) -> None:
        self.send(Reject(self.number, code, reason, retry_after_s))

    def hangup(self, cause: Cause = "hangup", code: int = 0) -> None:
        self.send(Hangup(self.number, code, cause))

    def play(
        self,
        segments: Sequence[Segment],
        *,
        append_to: int | None = None,
        more: bool = False,
        playout: int | None = None,
    ) -> int:
        """Play segments and return the playout's id; `append_to` adds to that playout while it is open."""
        number = append_to if append_to is not None else playout if playout is not None else next(self._playouts)
        self.send(Play(self.number, number, tuple(segments), append=append_to is not None, more=more))
        return number

    def stop_playout(self) -> None:
        self.send(StopPlayout(self.number))

    def listen(
        self,
        *,
        no_input_ms: int = 5_000,
        max_speech_ms: int = 20_000,
        wait_ms: int = 1_000,
        pause_ms: int = 160,
        verdict_ms: int = 600,
        language: str = "",
    ) -> int:
        """Open the ear for one turn and return the turn's id."""
        turn = next(self._turns)
        language = language or self.info.language
        self.send(Listen(self.number, turn, no_input_ms, max_speech_ms, wait_ms, pause_ms, verdict_ms, language))
        return turn

    def stop_listening(self) -> None:
        self.send(StopListening(self.number))

    def endpoint_wait(self, utterance: int, wait_ms: int) -> None:
        self.send(EndpointWait(self.number, utterance, wait_ms))

    def barge_in(self, utterance: int, commit: bool) -> None:
        self.send(BargeIn(self.number, utterance, commit))

    def send_dtmf(self, digits: str, method: Literal["rfc4733", "info"] = "rfc4733") -> None:
        self.send(SendDtmf(self.number, digits, method))

    def record(self, path: str) -> None:
        self.send(Record(self.number, path))

    def mute(self, on: bool) -> None:
        self.send(Mute(self.number, on))

    async def refer(self, target: str, timeout_ms: int = 30_000) -> Outcome:
        """Ask the far end to call `target` instead (REFER, RFC 3515). What may not be dialled is `rejected`."""
        uri = self._may_refer(target, self)
        if not uri:
            return "rejected"
        if self.ended is not None or self._referring is not None:
            return "failed"
        self._referring = asyncio.get_running_loop().create_future()
        try:
            self.send(Refer(self.number, uri, timeout_ms))
            async with asyncio.timeout(timeout_ms / 1000 + 2):
                return (await self._referring).outcome
        except TimeoutError:
            return "failed"
        finally:
            self._referring = None

    async def wait_answered(self) -> bool:
        """Wait until the leg is answered; False when it ended instead."""
        await self._answered.wait()
        return self.ended is None

    async def wait_ended(self) -> LegEnded:
        """Wait for the end of the leg, whoever reads its events."""
        await self._over.wait()
        assert self.ended is not None
        return self.ended

    async def wait_bridged(self) -> bool:
        """Wait until a Bridge or Patch carries audio; False when the leg ended instead."""
        over = asyncio.ensure_future(self._over.wait())
        bridged = asyncio.ensure_future(self._bridged.wait())
        try:
            await asyncio.wait({over, bridged}, return_when=asyncio.FIRST_COMPLETED)
            return self.ended is None
        finally:
            over.cancel()
            bridged.cancel()

    def bridging(self, command: Bridge | Patch | Unbridge) -> None:
        """Send a bridging command; `wait_bridged` then waits for its own effect, not an earlier one's."""
        self._bridged.clear()
        self.send(command)
