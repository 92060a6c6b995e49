"""The line processes of one brain: started, supervised, admitted to, dialled through, bridged and shut down.

Knows processes, ports, capacity and which plan answers a number; knows nothing of dialogs, speech or pages.
Runs in asyncio's thread only.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

import structlog

from ivr.config import Config
from ivr.errors import Unavailable
from ivr.line.messages import Bridge, Dial, Drain, Incoming, Patch, Reject, Unbridge
from ivr.line.settings import Amd, LineSettings
from ivr.telephony.child import Child, LineProcess
from ivr.telephony.dialing import Allowed, DialPolicy
from ivr.telephony.edge import EdgeStatus, KamailioEdge
from ivr.telephony.leg import DialOutcome, Leg, LegInfo
from ivr.telephony.line import Line
from ivr.telephony.numbers import plan_for
from ivr.telephony.ports import ASKING_AT_ONCE, is_free, with_fresh_ports
from ivr.telephony.runtime import private_folder
from ivr.telephony.settings import beat_host, inside_host, inside_port, line_settings, secret_names

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 30
START_WITHIN_S = 30
PORT_LEASE_S = 12.0
"""A line that lost its brain ends within 10 s; the rest is for the system."""
FULL_PATIENCE_S = 2.0
FULL_RETRY_S = 0.2
BRIDGE_WITHIN_S = 2.0
"""How long both sides of a bridge have to carry audio."""


class Edge(Protocol):
    """The proxy in front of several lines, as the pool uses it."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def line_up(self, index: int, up: bool) -> None:
        """A line process takes calls now, or does not."""

    def status(self) -> EdgeStatus: ...


@dataclass(frozen=True)
class PoolStatus:
    """What /healthz and /metrics say of the telephone side.

    Attributes:
        lines_up: line processes that are ready; `lines` how many there should be.
        legs_used: legs in use; `legs_total` what the lines that are up can hold.
        restarts: line processes and edge proxies started again since the start.
        registrations: trunk -> registered, for trunks that register.
        trunks_lost: trunks that should be registered and are not.
        draining: new calls are refused.
        edge_up: the proxy runs; true when none is needed.
    """

    lines: int
    lines_up: int
    legs_used: int
    legs_total: int
    restarts: int
    registrations: Mapping[str, bool]
    trunks_lost: tuple[str, ...]
    draining: bool
    edge_up: bool = True


class LinePool:
    """All lines of one brain."""

    def __init__(
        self,
        config: Config,
        on_incoming: Callable[[Leg], Awaitable[None]],
        *,
        apology: Mapping[str, str] | None = None,
        fallback_uri: str = "",
        agents: Sequence[str] | None = None,
        edge: Edge | None = None,
        launch: Callable[[int], Awaitable[Child]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_free: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_incoming` runs in a task per call, and its leg is hung up when it returns.

        `apology` maps a language to a WAV file for callers whose brain died, `fallback_uri` is where they are sent.
        `agents` are SIP URIs that may be dialled without a trunk, those of the configuration by default.
        `edge` stands in front of several line processes, Kamailio by default.
        `launch` starts line `index`; real processes by default. `on_free` is called when a leg is free again.
        """
        self._config = config
        self._on_incoming = on_incoming
        self._policy = DialPolicy(config.trunk, [a.uri for a in config.agent] if agents is None else agents)
        several = config.lines.processes > 1
        self.edge = edge if edge is not None or not several else KamailioEdge(config, self._policy.agents)
        self._clock = clock
        self._on_free = on_free
        self._launch = launch or (lambda _index: LineProcess.start(secret_names(config)))
        self._runtime = private_folder("lines")
        self._requests = itertools.count(1)
        self._sessions: set[asyncio.Task[None]] = set()
        self._partners: dict[str, Leg] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._draining = False
        self._all_up = asyncio.Event()
        self._asking = asyncio.Semaphore(ASKING_AT_ONCE)
        self.lines = [
            Line(
                index,
                line_settings(config, index, self._runtime, dict(apology or {}), fallback_uri, self._policy.agents),
                self._launch,
                self,
                beat_host(config) if launch is None else "",
            )
            for index in range(config.lines.processes)
        ]

    # Life ----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start every line, wait until all are ready. Raises Unavailable, with nothing left running."""
        try:
            await self._wait_for_ports()
            for line in self.lines:
                line.start()
            async with asyncio.timeout(START_WITHIN_S):
                await asyncio.gather(*(line.wait_ready() for line in self.lines))
            if self.edge is not None:
                await self.edge.start()
        except TimeoutError:
            await self.close()
            raise Unavailable(f"the line processes were not ready within {START_WITHIN_S} s") from None
        except BaseException:
            await self.close()
            raise

    async def _wait_for_ports(self) -> None:
        """A line that lost its brain speaks an apology and keeps its port for up to ten seconds."""
        places = {(line.settings.sip_host, line.settings.sip_port, line.settings.tcp) for line in self.lines}
        if self.edge is not None:
            places.add((self._config.sip.host, self._config.sip.port, self._config.sip.tcp))
            places.add((inside_host(self._config), inside_port(self._config), False))
        await asyncio.gather(*(_wait_free(host, port, tcp) for host, port, tcp in sorted(places) if port))

    async def wait_lines_up(self) -> None:
        """Wait until every line process takes calls."""
        await self._all_up.wait()

    async def drain(self, timeout_s: float | None = None) -> bool:
        """Refuse new calls and wait until there are none; False when some were left after `timeout_s`."""
        if not self._draining:
            self._draining = True
            log.info("draining", legs=len(self.legs))
            for line in self.lines:
                line.send(Drain())
        try:
            async with asyncio.timeout(timeout_s):
                while legs := self.legs:
                    await legs[0].wait_ended()
            return True
        except TimeoutError:
            return False

    async def close(self) -> None:
        """End every leg, every session and every child, within five seconds."""
        self._draining = True
        for timer in self._timers.values():
            timer.cancel()
        await asyncio.gather(*(line.close() for line in self.lines))
        for session in list(self._sessions):
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        if self.edge is not None:
            await self.edge.close()
        shutil.rmtree(self._runtime, ignore_errors=True)

    @property
    def legs(self) -> list[Leg]:
        """Every leg that is not over."""
        return [leg for line in self.lines for leg in line.legs.values()]

    def status(self) -> PoolStatus:
        edge = self.edge.status() if self.edge is not None else None
        wanted = {trunk.name for trunk in self._config.trunk if trunk.register}
        said = edge.registrations if edge is not None else self.lines[0].registrations
        registrations = {name: said.get(name, False) for name in sorted(wanted)}
        return PoolStatus(
            lines=len(self.lines),
            lines_up=sum(line.ready for line in self.lines),
            legs_used=sum(line.used for line in self.lines),
            legs_total=sum(line.capacity for line in self.lines),
            restarts=sum(line.restarts for line in self.lines) + (edge.restarts if edge is not None else 0),
            registrations=registrations,
            trunks_lost=tuple(name for name, up in registrations.items() if not up),
            draining=self._draining,
            edge_up=edge is None or edge.up,
        )

    # Calls in ------------------------------------------------------------------------------------------------------

    def incoming(self, line: Line, event: Incoming) -> Leg | Reject:
        """Admit a call, in a session of its own, or say how it is refused."""
        number = plan_for(self._config.number, event.number)
        if self._draining:
            return Reject(event.leg, 503, "draining", RETRY_AFTER_S)
        if number is None:
            return Reject(event.leg, 404, "nobody answers this number")
        if self._free() <= self._config.lines.reserve_legs:
            return Reject(event.leg, 486, "full")
        info = LegInfo(
            "in", event.number, event.caller, event.source, event.peer, event.sip_call_id, number.plan, number.language
        )
        leg = line.leg(event.leg, info, self._may_refer)
        session = asyncio.get_running_loop().create_task(self._session(leg), name=f"session {leg.id}")
        self._sessions.add(session)
        session.add_done_callback(self._sessions.discard)
        return leg

    async def _session(self, leg: Leg) -> None:
        try:
            await self._on_incoming(leg)
        except Exception:
            log.exception("session failed", leg=leg.id)
            leg.hangup("failed", 500)
        else:
            leg.hangup()

    def room(self, keep: int = 0) -> int:
        """Legs that calls out may take now: `keep` are left free, besides those that are for transfers."""
        return 0 if self._draining else max(0, self._free() - self._config.lines.reserve_legs - keep)

    def _free(self) -> int:
        return sum(line.capacity - line.used for line in self.lines)

    # What lines tell -----------------------------------------------------------------------------------------------

    async def settings_of(self, line: Line, incarnation: int) -> LineSettings:
        """What a process of the line is told: its RTP ports are those that nobody sends to."""
        async with self._asking:
            return await with_fresh_ports(line.settings, incarnation)

    def line_up(self, line: Line, up: bool) -> None:
        """A line became ready or was lost."""
        if all(each.ready for each in self.lines):
            self._all_up.set()
        else:
            self._all_up.clear()
        if up and self._draining:
            line.send(Drain())
        if up:
            self._on_free()
        if self.edge is not None:
            self.edge.line_up(line.index, up)

    def answered(self, leg: Leg) -> None:
        """A leg was answered: its longest time begins."""
        if leg.id not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[leg.id] = loop.call_later(self._config.lines.max_call_s, self._too_long, leg)

    def _too_long(self, leg: Leg) -> None:
        log.info("longest call time reached", leg=leg.id)
        leg.limit_reached = True
        leg.hangup()

    def ended(self, leg: Leg) -> None:
        """A leg is over: whoever was bridged to it hears silence."""
        if (timer := self._timers.pop(leg.id, None)) is not None:
            timer.cancel()
        other = self._partners.pop(leg.id, None)
        if other is not None:
            self._partners.pop(other.id, None)
            other.bridging(Unbridge(other.number))
        self._on_free()

    # Calls out -----------------------------------------------------------------------------------------------------

    async def dial(
        self,
        target: str,
        trunk: str | None = None,
        *,
        timeout_ms: int = 45_000,
        language: str = "en",
        near: Leg | None = None,
        reserved: bool = False,
        on_leg: Callable[[Leg], None] | None = None,
        amd: Amd | None = None,
    ) -> Leg | DialOutcome:
        """Ring a number through a trunk, or an agent, and wait for the answer: the leg, or why there is none.

        `near` prefers the line process of that leg, so that a bridge is native. `reserved` may take the legs kept for
        transfers. `on_leg` gets the leg as soon as its INVITE has left. With `amd` the leg's events say who answered.
        Cancelling the wait ends the leg (CANCEL).
        """
        allowed = self._policy.ask(target, trunk, self._clock())
        if not isinstance(allowed, Allowed):
            log.info("not dialled", rule=allowed.rule)
            cause = "full" if allowed.rule == "limit" else "not_allowed"
            return DialOutcome(cause, 0, allowed.words, again_s=allowed.again_s)
        if self._draining:
            return DialOutcome("shutdown", 0, "draining")
        info = LegInfo("out", allowed.uri, peer=allowed.peer, language=language)
        return await self._place(info, timeout_ms, on_leg, near, reserved, amd)

    async def _place(
        self,
        info: LegInfo,
        timeout_ms: int,
        on_leg: Callable[[Leg], None] | None,
        near: Leg | None,
        reserved: bool,
        amd: Amd | None,
    ) -> Leg | DialOutcome:
        """Dial on one line after the other: one may have no native call left for a moment after calls have ended.

        A line that says `full` has sent no INVITE.
        """
        outcome = DialOutcome("full", 0, "no leg is free")
        until = asyncio.get_running_loop().time() + FULL_PATIENCE_S
        tried: set[Line] = set()
        while (line := self._line_for(near, reserved, tried)) is not None:
            dial = Dial(next(self._requests), info.number, info.peer, timeout_ms, info.language, amd)
            answer = await line.dial(dial, info, self._may_refer).answer(timeout_ms, on_leg)
            if isinstance(answer, Leg) or answer.cause != "full":
                return answer
            outcome = answer
            tried.add(line)
            if self._line_for(near, reserved, tried) is None and asyncio.get_running_loop().time() < until:
                tried.clear()
                await asyncio.sleep(FULL_RETRY_S)
        return outcome

    def _line_for(self, near: Leg | None, reserved: bool, but: Set[Line] = frozenset()) -> Line | None:
        """The line to dial on: that of `near` if it has a leg free, else the least used; None when all are taken."""
        if self._free() <= (0 if reserved else self._config.lines.reserve_legs):
            return None
        free = [line for line in self.lines if line.ready and line.used < line.capacity and line not in but]
        beside = [line for line in free if near is not None and line.holds(near)]
        return min(beside or free, key=lambda line: line.used, default=None)

    def _may_refer(self, target: str, leg: Leg) -> str:
        """The URI a transfer by REFER may name, empty when it may not be dialled."""
        allowed = self._policy.ask(
            target, leg.info.peer if self._policy.is_trunk(leg.info.peer) else None, self._clock()
        )
        if isinstance(allowed, Allowed):
            return allowed.uri
        log.info("not transferred", leg=leg.id, rule=allowed.rule)
        return ""

    # Two legs together ---------------------------------------------------------------------------------------------

    async def bridge(self, a: Leg, b: Leg) -> bool:
        """Let two answered legs hear each other: natively in one process, else by a patch between two of them.

        False when either is over or the audio did not connect; then neither is bridged.
        """
        ends = self._line_of(a), self._line_of(b)
        if a is b or ends[0] is None or ends[1] is None:
            return False
        await self.unbridge(a)
        await self.unbridge(b)
        self._partners[a.id], self._partners[b.id] = b, a
        if ends[0] is ends[1]:
            a.bridging(Bridge(a.number, b.number))
        else:
            token, path = secrets.token_hex(16), ends[1].settings.patch_path
            b.bridging(Patch(b.number, token, path, connect=False))
            a.bridging(Patch(a.number, token, path, connect=True))
        waiting = (a,) if ends[0] is ends[1] else (a, b)
        try:
            async with asyncio.timeout(BRIDGE_WITHIN_S):
                together = all(await asyncio.gather(*(leg.wait_bridged() for leg in waiting)))
        except TimeoutError:
            together = False
        if not together:
            await self.unbridge(a)
        return together

    async def unbridge(self, leg: Leg) -> None:
        """Part a leg and its partner; both hear silence. Nothing happens to one that is not bridged."""
        other = self._partners.pop(leg.id, None)
        if other is not None:
            self._partners.pop(other.id, None)
            leg.bridging(Unbridge(leg.number))
            other.bridging(Unbridge(other.number))

    def _line_of(self, leg: Leg) -> Line | None:
        return next((line for line in self.lines if line.holds(leg)), None)


async def _wait_free(host: str, port: int, tcp: bool) -> None:
    """Wait until `host:port` is free. Raises Unavailable when it is held for longer than a dying line holds it."""
    if is_free(host, port, tcp):
        return
    log.warning("port is held, perhaps by lines of an earlier run; waiting", port=port, at_most_s=PORT_LEASE_S)
    try:
        async with asyncio.timeout(PORT_LEASE_S):
            while not is_free(host, port, tcp):  # noqa: ASYNC110 - the kernel has no event for a port set free
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(f"port {port} of {host} is in use by another program") from None
    log.info("port is free", port=port)
