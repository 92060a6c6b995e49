"""The two ends of a call in the fake network: a leg of a fake line, and a caller scripted by a test.

Playing, endpointing and AMD are the real pure modules (playout.py, endpointer.py, amd.py); voice activity is a level.
Runs in asyncio's thread; knows nothing of sockets. See fake.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import wave
from array import array
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from ivr.line.amd import Watch
from ivr.line.endpointer import Endpointer
from ivr.line.messages import (
    FRAME_BYTES,
    FRAME_MS,
    RATE_HZ,
    Answer,
    BargeIn,
    Bridged,
    Cause,
    Command,
    Dtmf,
    EndpointWait,
    Event,
    Failure,
    Hangup,
    LegEnded,
    LegState,
    Listen,
    Mute,
    Play,
    Quality,
    Record,
    Refer,
    Refused,
    Reject,
    Ring,
    SendDtmf,
    StopListening,
    StopPlayout,
    Transferred,
    Unbridge,
)
from ivr.line.playout import Playout, Sound
from ivr.line.settings import Amd, LineSettings
from ivr.line.sip import dial_cause, may_refer, transfer_outcome

SILENCE = bytes(FRAME_BYTES)
VOICED_RMS = 300

Behaviour = Literal["answer", "ring", "busy", "reject", "silent"]


class End(Protocol):
    """One end of a call, as the other end sees it."""

    def ringing(self, early_media: bool) -> None: ...

    def answered(self) -> None: ...

    def over(self, code: int, reason: str = "") -> None: ...

    def key(self, digit: str, method: str) -> None: ...

    def asked_to_transfer(self, target: str) -> int:
        """The final status of a REFER."""

    def held(self, on: bool) -> None: ...

    def next_frame(self) -> bytes: ...

    def take(self, frame: bytes) -> None: ...

    @property
    def busy(self) -> bool:
        """It speaks, or waits for the end of speech: time must pass."""


class Call:
    """Two ends, and whether audio passes between them."""

    def __init__(self, number: int) -> None:
        self.caller: End | None = None
        self.callee: End | None = None
        self.media = False
        self.call_id = f"fake-{number}"

    def other(self, end: End) -> End | None:
        return self.callee if end is self.caller else self.caller


class World(Protocol):
    """The network, as an end needs it."""

    def end(self, call: Call) -> None: ...

    async def wait(self, ms: int) -> None: ...


class Line(Protocol):
    """The fake line, as a leg needs it."""

    world: World
    settings: LineSettings
    legs: dict[int, FakeLeg]

    def emit(self, event: Event) -> None: ...


class FakeCaller:
    """Somebody at the other end, scripted by a test.

    Attributes:
        events: `ringing`, `early`, `answered`, `ended`, in order.
        code: the final SIP status, 200 after a BYE.
        keys: digits it was sent.
        heard: every 20 ms frame it heard since media began.
        refer_code: how it answers a REFER.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.call: Call | None = None
        self.events: list[str] = []
        self.code = 0
        self.keys = ""
        self.heard = bytearray()
        self.refer_code = 200
        self.referred_to = ""
        self._mouth: deque[bytes] = deque()
        self._said = asyncio.Event()
        self._changed = asyncio.Event()

    # The script ----------------------------------------------------------------------------------------------------

    def be(self, call: Call, behaviour: Behaviour) -> None:
        """Behave as the one who is rung."""
        caller = call.caller
        assert caller is not None
        self.call, call.callee = call, self
        match behaviour:
            case "busy":
                caller.over(486)
            case "reject":
                caller.over(603)
            case "ring":
                caller.ringing(False)
            case "answer":
                caller.ringing(False)
                call.media = True
                caller.answered()

    async def until(self, event: str) -> None:
        """Wait for something in `events`."""
        while event not in self.events:
            self._changed.clear()
            await self._changed.wait()

    async def say(self, pcm: bytes) -> None:
        """Speak (16 kHz mono 16-bit) and return when it is said."""
        self._said.clear()
        self._mouth.extend(pcm[i : i + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for i in range(0, len(pcm), FRAME_BYTES))
        await self._said.wait()

    async def wait(self, ms: int) -> None:
        await self.world.wait(ms)

    def press(self, digits: Iterable[str], method: Literal["rfc4733", "info"] = "rfc4733") -> None:
        for digit in digits:
            if (other := self._other()) is not None:
                other.key(digit, method)

    def hold(self, on: bool) -> None:
        if (other := self._other()) is not None:
            other.held(on)

    def hangup(self) -> None:
        """BYE, or CANCEL while it rings."""
        other = self._other()
        self._finish(200 if "answered" in self.events else 487)
        if other is not None:
            other.over(self.code)

    # The end of a call ---------------------------------------------------------------------------------------------

    def ringing(self, early_media: bool) -> None:
        self._happened("early" if early_media else "ringing")

    def answered(self) -> None:
        self._happened("answered")

    def over(self, code: int, reason: str = "") -> None:  # noqa: ARG002 - a test looks at the code
        self._finish(code)

    def key(self, digit: str, method: str) -> None:  # noqa: ARG002 - a test looks at the digits
        self.keys += digit

    def asked_to_transfer(self, target: str) -> int:
        self.referred_to = target
        return self.refer_code

    def held(self, on: bool) -> None:
        self._happened("held" if on else "resumed")

    def next_frame(self) -> bytes:
        frame = self._mouth.popleft() if self._mouth else SILENCE
        if not self._mouth:
            self._said.set()
        return frame

    def take(self, frame: bytes) -> None:
        if len(self.heard) < RATE_HZ * 2 * 600:
            self.heard += frame

    @property
    def busy(self) -> bool:
        return bool(self._mouth)

    def _other(self) -> End | None:
        return self.call.other(self) if self.call is not None and "ended" not in self.events else None

    def _happened(self, event: str) -> None:
        self.events.append(event)
        self._changed.set()

    def _finish(self, code: int) -> None:
        if "ended" not in self.events:
            self.code = code
            self._said.set()
            if self.call is not None:
                self.world.end(self.call)
            self._happened("ended")


class FakeLeg:
    """A leg of a fake line: the real playout and endpointer between a call and the brain's messages."""

    def __init__(self, line: Line, leg: int, call: Call, request: int = 0, peer: str = "") -> None:
        self.line = line
        self.leg = leg
        self.call = call
        self.request = request
        self.peer = peer
        self.clock_ms = 0
        self.playout = Playout(leg)
        self.ear = Endpointer(leg, self._interrupt)
        self.amd: Amd | None = None
        self.watch: Watch | None = None
        self.partner: FakeLeg | None = None
        self.ended = False
        self.up = False
        self._verdict_ms = 600
        self.bridged_frame = SILENCE
        self._record: Path | None = None
        self._recorded = (bytearray(), bytearray())
        self._muted = False
        self._packets = 0

    def do(self, command: Command) -> None:
        """A command for this leg."""
        other = self.call.other(self)
        match command:
            case Ring() if other is not None:
                self.call.media = self.call.media or command.early_media
                other.ringing(command.early_media)
            case Answer() if other is not None and not self.up:
                self.up = self.call.media = True
                other.answered()
                self.line.emit(LegState(self.leg, "answered", "G722"))
            case Reject():
                self.finish("rejected", "us", command.code, command.reason)
            case Hangup():
                self.finish(command.cause, "us", command.code)
            case Refer() if other is not None:
                self._refer(command, other)
            case SendDtmf() if other is not None:
                for digit in command.digits:
                    other.key(digit, command.method)
            case _:
                self._media(command)

    def _media(self, command: Command) -> None:
        match command:
            case Play():
                self._play(command)
            case StopPlayout():
                self.playout.stop()
            case Listen():
                self._verdict_ms = command.verdict_ms
                self.ear.listen(command)
            case StopListening():
                self.ear.stop()
            case EndpointWait():
                self.ear.endpoint_wait(command.utterance, command.wait_ms)
            case BargeIn():
                if command.commit:
                    self.playout.stop("barge_in")
                else:
                    self.playout.resume()
            case Unbridge():
                self.part()
            case Record():
                self._record = Path(command.path)
            case Mute():
                self._muted = command.on

    def _play(self, command: Play) -> None:
        try:
            sounds = [Sound(_pcm_of(s.path), s) for s in command.segments]
        except (OSError, EOFError, wave.Error, ValueError):
            self.line.emit(Failure("a prompt cannot be played", self.leg))
            return
        self.playout.play(command.playout, sounds, command.append, command.more)

    def _refer(self, command: Refer, other: End) -> None:
        code = other.asked_to_transfer(command.target)
        outcome = transfer_outcome(code)
        self.line.emit(Transferred(self.leg, outcome, code))
        if outcome == "accepted":
            self.finish("transferred", "us", 200)

    def _interrupt(self) -> tuple[bool, bool]:
        asks = self.playout.asks
        return self.playout.pause(self._verdict_ms), asks

    def join(self, other: FakeLeg) -> None:
        """Hear each other."""
        for leg, mate in ((self, other), (other, self)):
            leg.part()
            leg.partner = mate
            leg.playout.stop()
            leg.ear.stop()
            leg.watch = None
            leg.line.emit(Bridged(leg.leg))

    def part(self) -> None:
        if self.partner is not None:
            self.partner.partner = None
            self.partner = None

    def finish(self, cause: Cause, by: Literal["them", "us"], code: int, reason: str = "") -> None:
        """End the leg and tell both sides."""
        if self.ended:
            return
        self.ended = True
        self.part()
        self.ear.stop()
        self.playout.stop("hangup")
        self.flush()
        self.line.world.end(self.call)
        if by == "us" and (other := self.call.other(self)) is not None:
            other.over(code or (200 if self.up else 487 if self.request else 480), reason)
        self._write_recording()
        quality = Quality(packets=self._packets, codec="G722")
        self.line.emit(LegEnded(self.leg, cause, by, code, reason, quality, self.request))
        self.line.legs.pop(self.leg, None)

    # The end of a call ---------------------------------------------------------------------------------------------

    def ringing(self, early_media: bool) -> None:
        self.line.emit(LegState(self.leg, "early" if early_media else "ringing"))

    def answered(self) -> None:
        self.up = True
        self.line.emit(LegState(self.leg, "answered", "G722"))
        if self.amd is not None:
            self.watch = Watch(self.leg, self.amd)

    def over(self, code: int, reason: str = "") -> None:
        cause: Cause = "hangup" if self.up else dial_cause(code) if self.request else "cancelled"
        self.finish(cause, "them", code, reason)

    def key(self, digit: str, method: str) -> None:
        self.ear.key()
        if self.playout.interruptible("key"):
            self.playout.stop("key")
        self.line.emit(Dtmf(self.leg, digit, self.clock_ms, "info" if method == "info" else "rfc4733"))

    def asked_to_transfer(self, target: str) -> int:
        peer = next((p for p in self.line.settings.peers if p.name == self.peer), None)
        if may_refer(peer, target):
            return 202
        self.line.emit(Refused("transfer", "127.0.0.1"))
        return 603

    def held(self, on: bool) -> None:
        self.line.emit(LegState(self.leg, "held" if on else "resumed"))

    def next_frame(self) -> bytes:
        partner = self.partner
        frame = partner.bridged_frame if partner else bytes(self.playout.next_frame(self.clock_ms))
        if self._record is not None:
            self._recorded[1].extend(frame)
        return frame

    def take(self, frame: bytes) -> None:
        self.clock_ms += FRAME_MS
        self._packets += 1
        self.bridged_frame = frame
        if self.partner is None:
            self.ear.push(frame, _rms(frame) > VOICED_RMS, self.playout.open, self.clock_ms)
        if self.watch is not None:
            self.watch.push(np.frombuffer(frame, np.int16).reshape(-1, 2).mean(axis=1, dtype=np.float32))
        if self._record is not None:
            self._recorded[0].extend(SILENCE if self._muted else frame)

    @property
    def busy(self) -> bool:
        watching = self.watch is not None and self.watch.awaited
        return self.playout.sounding or self.playout.paused or self.ear.running or watching

    def flush(self) -> bool:
        """Send what playout and ear have to say."""
        said = False
        watched = self.watch.events if self.watch is not None else deque()
        for events in (self.playout.events, self.ear.events, watched):
            while events:
                self.line.emit(events.popleft())
                said = True
        return said

    def _write_recording(self) -> None:
        if self._record is None:
            return
        them, us = (array("h", bytes(side))[::2] for side in self._recorded)
        both = min(len(them), len(us))
        stereo = array("h", bytes(both * 4))
        stereo[::2], stereo[1::2] = them[:both], us[:both]
        with contextlib.suppress(OSError), wave.open(str(self._record), "wb") as file:
            file.setparams((2, 2, RATE_HZ // 2, 0, "NONE", ""))
            file.writeframes(stereo.tobytes())


def _pcm_of(path: str) -> bytes:
    with wave.open(path, "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
            raise ValueError(path)
        return file.readframes(file.getnframes())


def _rms(frame: bytes) -> float:
    samples = array("h", frame)
    return (sum(s * s for s in samples) / max(1, len(samples))) ** 0.5
