"""A line process without SIP, RTP or a process: the same messages over the same socket, for fast tests.

Signalling is a method call and time is virtual. While anybody speaks or plays, frames pass as fast as the event loop
turns; in silence one passes every 20 ms, or at once when a scripted caller waits for it. Everything runs in asyncio's
thread. Knows nothing of the brain: it is held to the same contract tests as the real line process.
"""

from __future__ import annotations

import asyncio
import itertools
import socket

from ivr.line.fake_ends import Behaviour, Call, FakeCaller, FakeLeg
from ivr.line.messages import (
    FRAME_MS,
    Bridge,
    Command,
    Configure,
    Dial,
    DialFailed,
    Dialing,
    Drain,
    Event,
    Incoming,
    Patch,
    Ready,
    Refused,
    Registration,
    Shutdown,
    pack,
    unpack_command,
)
from ivr.line.settings import LineSettings
from ivr.line.sip import user_of

MAX_LEGS = 4
_TURNS_AFTER_EVENTS = 12
"""How often the event loop turns after a frame that caused events, so that the brain can react before the next."""


class FakeWorld:
    """The network that fake lines and scripted callers live in, and its clock.

    `behaviours` says what SIP URIs that no line serves do when they are dialled; unknown ones are unreachable.
    """

    def __init__(self, behaviours: dict[str, Behaviour] | None = None) -> None:
        self.behaviours = dict(behaviours or {})
        self.lines: list[FakeLine] = []
        self.dialled: list[str] = []
        self.now_ms = 0
        self._calls: list[Call] = []
        self._numbers = itertools.count(1)
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._patches: dict[str, FakeLeg] = {}
        self._flow: asyncio.Task[None] | None = None

    async def launch(self, _index: int = 0) -> FakeLine:
        """Start a line; fit for `LinePool(launch=world.launch)`."""
        line = FakeLine(self)
        self.lines.append(line)
        if self._flow is None:
            self._flow = asyncio.get_running_loop().create_task(self._pass_time(), name="fake time")
        return line

    async def close(self) -> None:
        for line in list(self.lines):
            line.kill()
        if self._flow is not None:
            self._flow.cancel()
            await asyncio.gather(self._flow, return_exceptions=True)

    def ring(self, number: str, *, port: int = 0, caller: str = "100", source: str = "127.0.0.1") -> FakeCaller:
        """A scripted caller dials `number` at the line with that SIP port, the first line by default."""
        end = FakeCaller(self)
        call = end.call = self.begin()
        call.caller = end
        line = next((x for x in self.lines if x.up and port in (0, x.settings.sip_port)), None)
        if line is None:
            end.over(503)
        else:
            line.incoming(call, number, caller, source)
        return end

    def begin(self) -> Call:
        call = Call(next(self._numbers))
        self._calls.append(call)
        return call

    def end(self, call: Call) -> None:
        if call in self._calls:
            self._calls.remove(call)

    def dial(self, leg: FakeLeg, uri: str) -> None:
        """Carry an INVITE to whoever has `uri`."""
        self.dialled.append(uri)
        port = int(uri.rpartition("@")[2].partition(";")[0].partition(":")[2] or 5060)
        line = next((x for x in self.lines if x.up and x.settings.sip_port == port and x is not leg.line), None)
        behaviour = self.behaviours.get(uri)
        if line is not None:
            line.incoming(leg.call, user_of(uri), leg.line.identity(leg.peer), "127.0.0.1")
        elif behaviour is None:
            leg.over(503, "unreachable")
        else:
            FakeCaller(self).be(leg.call, behaviour)

    def patch(self, leg: FakeLeg, token: str) -> None:
        """Bring the two sides of a patch together, whichever comes first."""
        other = self._patches.pop(token, None)
        if other is None:
            self._patches[token] = leg
        else:
            leg.join(other)

    async def wait(self, ms: int) -> None:
        """Let `ms` of silence pass, without waiting for real."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((self.now_ms + ms, done))
        await done

    async def _pass_time(self) -> None:
        while True:
            moved = self._tick()
            busy = any(end.busy for call in self._calls if call.media for end in (call.caller, call.callee) if end)
            for _ in range(_TURNS_AFTER_EVENTS if moved else 1):
                await asyncio.sleep(0)
            if not busy and not self._waiting:
                await asyncio.sleep(FRAME_MS / 1000)

    def _tick(self) -> bool:
        self.now_ms += FRAME_MS
        for call in list(self._calls):
            if call.media and call.caller is not None and call.callee is not None:
                forth, back = call.caller.next_frame(), call.callee.next_frame()
                call.callee.take(forth)
                call.caller.take(back)
        due = [x for x in self._waiting if x[0] <= self.now_ms]
        self._waiting = [x for x in self._waiting if x[0] > self.now_ms]
        for _, done in due:
            if not done.done():
                done.set_result(None)
        flushed = [line.flush() for line in self.lines]
        return any(flushed) or bool(due)


class FakeLine:
    """The in-process line: `sock` is the brain's end of the socket, the rest is what a child process offers.

    Attributes:
        settings: what Configure said.
        legs: live legs by number.
        commands: every command that arrived, in order.
    """

    def __init__(self, world: FakeWorld) -> None:
        self.world = world
        self.settings = LineSettings(name="unconfigured")
        self.legs: dict[int, FakeLeg] = {}
        self.commands: list[Command] = []
        self.pid = 1_000_000 + len(world.lines)
        self.sock, self._ours = socket.socketpair()
        self.up = False
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._numbers = itertools.count(1)
        self._draining = False
        self._writer: asyncio.StreamWriter | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="fake line")

    # A child process -----------------------------------------------------------------------------------------------

    async def wait(self) -> int:
        return await asyncio.shield(self._status)

    def terminate(self) -> None:
        self._exit(-15)

    def kill(self) -> None:
        self._exit(-9)

    def _exit(self, status: int) -> None:
        self.up = False
        writer, self._writer = self._writer, None
        for leg in list(self.legs.values()):
            leg.finish("brain_lost", "us", 0)
        if self in self.world.lines:
            self.world.lines.remove(self)
        if not self._status.done():
            self._status.set_result(status)
        self._task.cancel()
        if writer is not None:
            writer.close()
        else:
            self._ours.close()

    # The socket ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(sock=self._ours)
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(4), "big")
                self._do(unpack_command(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError):
            self._exit(0)

    def emit(self, event: Event) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(pack(event))

    def flush(self) -> bool:
        flushed = [leg.flush() for leg in list(self.legs.values())]
        return any(flushed)

    def _do(self, command: Command) -> None:
        self.commands.append(command)
        match command:
            case Configure():
                self.settings = command.settings
                self.up = True
                self.emit(Ready(self.pid, self.settings.sip_port, min(self.settings.max_legs, MAX_LEGS)))
                for peer in self.settings.peers:
                    if peer.register_with:
                        self.emit(Registration(peer.name, True, 200, "OK"))
            case Dial():
                self._dial(command)
            case Bridge() if command.leg in self.legs and command.other in self.legs:
                self.legs[command.leg].join(self.legs[command.other])
            case Patch() if command.leg in self.legs:
                self.world.patch(self.legs[command.leg], command.token)
            case Drain():
                self._draining = True
            case Shutdown():
                for leg in list(self.legs.values()):
                    leg.finish("shutdown", "us", 0)
                self._exit(0)
            case _ if command.leg in self.legs:
                self.legs[command.leg].do(command)

    def _dial(self, command: Dial) -> None:
        if self._draining or len(self.legs) >= min(self.settings.max_legs, MAX_LEGS):
            self.emit(DialFailed(command.request, "full", "no leg is free"))
            return
        if command.peer not in {peer.name for peer in self.settings.peers}:
            self.emit(DialFailed(command.request, "not_allowed", "no such peer"))
            return
        leg = self._new_leg(command.request, command.peer)
        leg.amd = command.amd
        self.emit(Dialing(command.request, leg.leg, leg.call.call_id))
        asyncio.get_running_loop().call_later(command.timeout_ms / 1000, self._give_up, leg)
        self.world.dial(leg, command.uri)

    def _give_up(self, leg: FakeLeg) -> None:
        if not leg.ended and not leg.up:
            leg.finish("no_answer", "us", 487)

    def _new_leg(self, request: int, peer: str, call: Call | None = None) -> FakeLeg:
        number, outgoing = next(self._numbers), call is None
        call = call or self.world.begin()
        leg = self.legs[number] = FakeLeg(self, number, call, request, peer)
        if outgoing:
            call.caller = leg
        return leg

    # Calls in ------------------------------------------------------------------------------------------------------

    def incoming(self, call: Call, number: str, caller: str, source: str) -> None:
        """An INVITE from the world."""
        caller_end = call.caller
        assert caller_end is not None
        if self._draining:
            caller_end.over(503, "draining")
        elif len(self.legs) >= min(self.settings.max_legs, MAX_LEGS):
            self.emit(Refused("full", source))
            caller_end.over(486, "full")
        else:
            peer = next((p.name for p in self.settings.peers if p.host == source), "")
            leg = self._new_leg(0, peer, call)
            call.callee = leg
            self.emit(Incoming(leg.leg, number, caller, source, call.call_id, peer))

    def identity(self, peer: str) -> str:
        """User part of From when dialling as `peer`."""
        return next((p.from_user or p.username for p in self.settings.peers if p.name == peer), "") or "ivr"
