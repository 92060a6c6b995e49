"""One line process as the pool keeps it: started, configured, followed, started again after a death.

Knows the process and its legs by number; knows nothing of other lines, plans or dialling rules.
Runs in asyncio's thread only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from ivr.errors import Unavailable
from ivr.line.messages import (
    Cause,
    Command,
    Configure,
    Dial,
    DialFailed,
    Dialing,
    Event,
    Failure,
    Hangup,
    Incoming,
    LegEnded,
    LegState,
    Ready,
    Refused,
    Registration,
    Reject,
    Shutdown,
)
from ivr.line.settings import LineSettings
from ivr.telephony import heartbeat
from ivr.telephony.child import Child, Wire
from ivr.telephony.leg import DialOutcome, Leg, LegInfo

log = structlog.get_logger(__name__)

READY_WITHIN_S = 20.0
SETTLED_AFTER_S = 30.0
"""A line that lived so long died of something new: it is started again at once."""
TRIES_AT_START = 3
SHUTDOWN_S = 2.5
TERMINATE_S = 1.0
REQUEST_GRACE_S = 5.0


def restart_delay_s(deaths_in_a_row: int) -> float:
    """How long to wait before the next start: at once, then 1, 2, 4, 8, 16, 30 s."""
    return 0.0 if deaths_in_a_row <= 1 else min(2.0 ** (deaths_in_a_row - 2), 30.0)


class Owner(Protocol):
    """The pool, as a line needs it."""

    def incoming(self, line: Line, event: Incoming) -> Leg | Reject: ...

    def line_up(self, line: Line, up: bool) -> None: ...

    async def settings_of(self, line: Line, incarnation: int) -> LineSettings: ...

    def answered(self, leg: Leg) -> None: ...

    def ended(self, leg: Leg) -> None: ...


class Dialled:
    """A Dial on its way to an answer."""

    def __init__(self, line: Line, info: LegInfo, may_refer: Callable[[str, Leg], str]) -> None:
        self._line = line
        self._info = info
        self._may_refer = may_refer
        self._leg: asyncio.Future[Leg | DialOutcome] = asyncio.get_running_loop().create_future()

    def dialing(self, event: Dialing) -> None:
        """The INVITE has left; when nobody waits for the answer any more, it is cancelled."""
        info = LegInfo(
            "out", self._info.number, peer=self._info.peer, sip_call_id=event.sip_call_id, language=self._info.language
        )
        leg = self._line.leg(event.leg, info, self._may_refer)
        if self._leg.done():
            leg.hangup("cancelled")
        else:
            self._leg.set_result(leg)

    def failed(self, cause: Cause, code: int, reason: str, sent: bool) -> None:
        if not self._leg.done():
            self._leg.set_result(DialOutcome(cause, code, reason, sent))

    async def answer(self, timeout_ms: int, on_leg: Callable[[Leg], None] | None) -> Leg | DialOutcome:
        """Wait for the answer. The line itself keeps `timeout_ms`; a hung one is given up a little later."""
        try:
            async with asyncio.timeout(timeout_ms / 1000 + REQUEST_GRACE_S):
                leg = await asyncio.shield(self._leg)
                if isinstance(leg, DialOutcome):
                    return leg
                if on_leg is not None:
                    on_leg(leg)
                if await leg.wait_answered():
                    return leg
        except TimeoutError:
            self._abandon()
            return DialOutcome("line_lost", 0, "the line process did not answer", sent=True)
        except BaseException:
            self._abandon()
            raise
        assert leg.ended is not None
        return DialOutcome(leg.ended.cause, leg.ended.code, leg.ended.reason, sent=True)

    def _abandon(self) -> None:
        if not self._leg.done():
            self._leg.cancel()
        elif not self._leg.cancelled() and isinstance(leg := self._leg.result(), Leg):
            leg.hangup("cancelled")


class Line:
    """A slot for a line process and its successors.

    Attributes:
        index: 0-based place in the pool.
        settings: what every incarnation is told.
        legs: live legs by the number the process gave them.
        ready: the present process takes calls.
        restarts: how often it was started again.
        registrations: trunk -> registered, as the process said.
        refused: what strangers tried, by kind.
    """

    def __init__(
        self,
        index: int,
        settings: LineSettings,
        launch: Callable[[int], Awaitable[Child]],
        owner: Owner,
        beat_host: str = "",
    ) -> None:
        """`beat_host` is where the process is asked whether it lives; empty: it is not asked."""
        self.index = index
        self.settings = settings
        self.legs: dict[int, Leg] = {}
        self.ready = False
        self.restarts = 0
        self.registrations: dict[str, bool] = {}
        self.refused: dict[str, int] = {}
        self._launch = launch
        self._owner = owner
        self._beat_host = beat_host
        self._sip_port = 0
        self._max_legs = 0
        self._dials: dict[int, Dialled] = {}
        self._child: Child | None = None
        self._wire: Wire | None = None
        self._incarnation = 0
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._first_ready: asyncio.Future[None] | None = None

    @property
    def pid(self) -> int:
        """Process id of the present incarnation, 0 when there is none."""
        return self._child.pid if self._child is not None else 0

    @property
    def capacity(self) -> int:
        """Legs the process can hold; 0 while it is down."""
        return self._max_legs if self.ready else 0

    @property
    def used(self) -> int:
        return len(self.legs) + len(self._dials)

    def holds(self, leg: Leg) -> bool:
        return self.legs.get(leg.number) is leg

    def send(self, command: Command) -> None:
        if self._wire is not None:
            self._wire.send(command)

    def leg(self, number: int, info: LegInfo, may_refer: Callable[[str, Leg], str]) -> Leg:
        """Make the handle of leg `number` of the present process."""
        incarnation = self._incarnation

        def send(command: Command) -> None:
            if incarnation == self._incarnation:
                self.send(command)

        leg = self.legs[number] = Leg(f"{self.index}.{incarnation}.{number}", number, info, send, may_refer)
        return leg

    def dial(self, command: Dial, info: LegInfo, may_refer: Callable[[str, Leg], str]) -> Dialled:
        dialled = self._dials[command.request] = Dialled(self, info, may_refer)
        self.send(command)
        return dialled

    # Life ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._first_ready = asyncio.get_running_loop().create_future()
        self._task = asyncio.get_running_loop().create_task(self._supervise(), name=self.settings.name)

    async def wait_ready(self) -> None:
        """Wait for the first Ready. Raises Unavailable when the process keeps dying before it."""
        assert self._first_ready is not None
        await asyncio.shield(self._first_ready)

    async def close(self) -> None:
        """End the process: Shutdown, then SIGTERM, then SIGKILL; within five seconds."""
        self._closing = True
        if self._task is None:
            return
        if self._child is not None:
            self.send(Shutdown())
            await self._stop(self._child)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._lost("shutdown")

    async def _stop(self, child: Child) -> None:
        for within_s, harder in ((SHUTDOWN_S, child.terminate), (TERMINATE_S, child.kill)):
            try:
                async with asyncio.timeout(within_s):
                    await child.wait()
                    return
            except TimeoutError:
                log.warning("line does not end", line=self.settings.name, pid=child.pid)
                harder()
        await child.wait()

    async def _supervise(self) -> None:
        deaths = 0
        while not self._closing:
            began = time.monotonic()
            status = await self._live()
            if self._closing:
                return
            deaths = 1 if time.monotonic() - began > SETTLED_AFTER_S else deaths + 1
            if self._first_ready is not None and not self._first_ready.done() and deaths >= TRIES_AT_START:
                self._first_ready.set_exception(
                    Unavailable(f"{self.settings.name} ended with status {status} before it was ready")
                )
            self.restarts += 1
            delay_s = restart_delay_s(deaths)
            log.error("line lost", line=self.settings.name, status=status, deaths=deaths, again_in_s=delay_s)
            await asyncio.sleep(delay_s)

    async def _live(self) -> int:
        """One process from its start to its end; returns its exit status."""
        self._incarnation += 1
        child = await self._launch(self.index)
        self._child = child
        wire = await Wire.over(child.sock)
        self._wire = wire
        watchdog = asyncio.get_running_loop().call_later(READY_WITHIN_S, self._check_ready, child)
        beats = asyncio.get_running_loop().create_task(self._beat(child), name=f"{self.settings.name} beats")
        try:
            wire.send(Configure(await self._owner.settings_of(self, self._incarnation)))
            why = await wire.read(self._take)
            if why != "closed":
                log.error("line talks nonsense", line=self.settings.name, why=why)
            self._lost("line_lost")
            if not self._closing:
                child.kill()
            return await child.wait()
        except BaseException:
            child.kill()
            raise
        finally:
            watchdog.cancel()
            beats.cancel()
            wire.close()
            self._wire = self._child = None

    def _check_ready(self, child: Child) -> None:
        if not self.ready:
            log.error("line is not ready in time", line=self.settings.name, pid=child.pid)
            child.kill()

    async def _beat(self, child: Child) -> None:
        """Kill a process that is ready and does not answer any more."""
        misses = 0
        while self._beat_host:
            await asyncio.sleep(heartbeat.BEAT_S)
            alive = not self.ready or await heartbeat.answers(self._beat_host, self._sip_port)
            misses = 0 if alive else misses + 1
            if misses >= heartbeat.MISSES:
                log.error("line hangs", line=self.settings.name, pid=child.pid, misses=misses)
                child.kill()
                return

    def _lost(self, cause: Cause) -> None:
        was_ready, self.ready = self.ready, False
        self.registrations = dict.fromkeys(self.registrations, False)
        for number in list(self.legs):
            self._take(LegEnded(number, cause, "us"))
        for dialled in self._dials.values():
            dialled.failed(cause, 0, "the line process ended", sent=True)
        self._dials.clear()
        if was_ready:
            self._owner.line_up(self, False)

    # What the process says -----------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        match event:
            case Ready():
                self._max_legs, self._sip_port = event.max_legs, event.sip_port
                self.ready = True
                log.info("line ready", line=self.settings.name, pid=event.pid, port=event.sip_port, legs=event.max_legs)
                if self._first_ready is not None and not self._first_ready.done():
                    self._first_ready.set_result(None)
                self._owner.line_up(self, True)
            case Incoming():
                admitted = self._owner.incoming(self, event)
                if not isinstance(admitted, Leg):
                    log.info("call refused", line=self.settings.name, code=admitted.code, reason=admitted.reason)
                    self.send(admitted)
            case Dialing():
                if (dialled := self._dials.pop(event.request, None)) is not None:
                    dialled.dialing(event)
                else:
                    self.send(Hangup(event.leg, 0, "cancelled"))
            case DialFailed():
                if (dialled := self._dials.pop(event.request, None)) is not None:
                    dialled.failed(event.cause, 0, event.reason, sent=False)
            case Registration():
                self.registrations[event.peer] = event.registered
                log.info("registration", trunk=event.peer, registered=event.registered, code=event.code)
            case Refused():
                self.refused[event.what] = self.refused.get(event.what, 0) + 1
                log.warning("stranger refused", what=event.what, source=event.source)
            case _:
                self._of_a_leg(event)

    def _of_a_leg(self, event: Event) -> None:
        leg = self.legs.get(event.leg)
        if isinstance(event, LegEnded) and event.request and (dialled := self._dials.pop(event.request, None)):
            dialled.failed(event.cause, event.code, event.reason, sent=True)
        if leg is None:
            if isinstance(event, Failure):
                log.error("line failure", line=self.settings.name, message=event.message)
            return
        was = leg.state
        if not leg.take(event):
            log.error("leg's reader has given up", leg=leg.id)
            leg.hangup("failed", 500)
        if isinstance(event, LegEnded):
            del self.legs[event.leg]
            log.info("leg ended", leg=leg.id, cause=event.cause, by=event.by, code=event.code)
            self._owner.ended(leg)
        elif isinstance(event, LegState) and leg.state == "answered" and was != "held":
            self._owner.answered(leg)
