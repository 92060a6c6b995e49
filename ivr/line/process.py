# ruff: noqa: E402 - numerical libraries read their thread count when they are imported
"""The line process: one SIP endpoint, up to four legs, one socket to the brain.

`python -m ivr.line.process --fd N` (a connected socket inherited from the brain) or `--socket PATH` (connect there).
The first message must be Configure. Knows nothing of dialogs, configuration files or databases.

The SIP thread is the main thread. It waits on the brain's socket, on the SIP sockets and on a wake-up descriptor,
lets the library work, and carries out commands: every pjsua2 call is made here. Other threads reach it by `emit`
only, which never blocks.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import contextlib
import ctypes
import json
import logging
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable

import msgspec
import pjsua2 as pj

from ivr.errors import IvrError
from ivr.line import messages as m
from ivr.line.admission import Admission
from ivr.line.channel import Inbox, Outbox, first_settings, log_to_stderr
from ivr.line.endpoint import Account, Endpoint
from ivr.line.guard import Guard
from ivr.line.leg import Leg
from ivr.line.media import Hearing, LegMedia, release_ports
from ivr.line.settings import LineSettings
from ivr.line.sip import dialable, may_refer, read_request
from ivr.line.timers import Timers

DECIDE_MS = 2_000
TICK_MS = 500
POLL_IDLE_MS = 20
POLL_LEGS_MS = 8
POLL_STREAMS_MS = 5
FAREWELL_MS = 9_000
SHUTDOWN_MS = 1_200
DRAIN_RETRY_S = 5
REFUSALS_A_TICK = 10
_PR_SET_PDEATHSIG = 1

log = logging.getLogger("ivr.line")


class LineProcess:
    """Owns the endpoint, the legs and the clockwork of the SIP thread."""

    def __init__(self, settings: LineSettings, inbox: Inbox, outbox: Outbox) -> None:
        self.settings = settings
        self._inbox, self._outbox = inbox, outbox
        self.emit = outbox.send
        self.legs: dict[int, Leg] = {}
        self._lingering: dict[int, Leg] = {}
        self._dead: list[Leg] = []
        self._last_id = 0
        self._timers: Timers[Leg] = Timers()
        self._next_tick = time.monotonic() + TICK_MS / 1000
        self._draining = False
        self._refusals: Counter[str] = Counter()
        self._stopping: str = ""
        self.wanted_stop: str = ""
        self._stop_at = 0.0
        self._faults: set[tuple[int, str]] = set()
        self._peers = {peer.name: peer for peer in settings.peers}
        self.endpoint = Endpoint(settings, self.refused)
        self.max_legs = min(settings.max_legs, self.endpoint.max_calls)
        self._admission = Admission(settings, lambda: self.endpoint.calls_in_use, self.refused, self._info_key)
        self._guard = Guard(self._admission.judge)
        self._hearing = Hearing(settings, self.emit)
        self._account = self.endpoint.account(None, self._invited, self._registered)
        self._accounts = {
            name: self.endpoint.account(peer, self._invited, self._registered) for name, peer in self._peers.items()
        }
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._waker.setblocking(False)

    # Life -------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until the brain says Shutdown, a signal comes, or the brain is gone."""
        self._admission.start()
        self._hearing.start()
        self.emit(m.Ready(os.getpid(), self.endpoint.sip_port, self.max_legs))
        poller = select.poll()
        poller.register(self.endpoint.udp_socket, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        while not self._finished():
            if self._inbox.ended:
                with contextlib.suppress(KeyError):
                    poller.unregister(self._inbox.descriptor)
            else:
                wanted = select.POLLIN | (select.POLLOUT if self._outbox.waiting else 0)
                poller.register(self._inbox.descriptor, wanted)
            poller.poll(self._patience_ms())
            try:
                self._turn()
            except Exception as error:
                log.exception("the SIP thread stumbled")
                self.fault(f"SIP thread: {type(error).__name__}", 0)

    def _patience_ms(self) -> int:
        """How long to wait for a descriptor; what comes by TCP, and keys out of RTP, come by none of them."""
        if self.endpoint.streams:
            return POLL_STREAMS_MS
        return POLL_LEGS_MS if self.legs else POLL_IDLE_MS

    def wake(self) -> None:
        """Let the SIP thread look at its flags now. Safe in a signal handler."""
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def stop(self, why: str) -> None:
        """Begin to end: `shutdown` ends every leg at once, `brain_lost` says the apology first."""
        if self._stopping:
            return
        self._stopping = why
        log.info("stopping", extra={"why": why})
        if why == "shutdown":
            self._stop_at = time.monotonic() + SHUTDOWN_MS / 1000
            for leg in list(self.legs.values()):
                self._try(_shut_down, leg)
        else:
            self._stop_at = time.monotonic() + (FAREWELL_MS + SHUTDOWN_MS) / 1000
            for leg in list(self.legs.values()):
                self._say_farewell(leg)

    def close(self) -> None:
        """Give everything back. The SIP thread, last."""
        self._hearing.stop()
        for leg in [*self.legs.values(), *self._lingering.values()]:
            if leg.media is not None:
                leg.media.detach()
                leg.media.close("hangup")
        self.legs.clear()
        self._lingering.clear()
        self._dead.clear()
        for account in (*self._accounts.values(), self._account):
            account.shutdown()
        self._accounts.clear()
        release_ports()
        self.endpoint.close()
        self._outbox.flush()

    def _turn(self) -> None:
        with contextlib.suppress(OSError):
            while self._wake.recv(64):
                pass
        self.endpoint.libHandleEvents(0)
        self.endpoint.mind_streams()
        self._reap()
        if not self._inbox.ended:
            self._inbox.fill()
        while (body := self._next_body()) is not None:
            self._obey(body)
        if self.wanted_stop:
            self.stop(self.wanted_stop)
        if self._inbox.ended or self._outbox.broken:
            self.stop("brain_lost")
        self._run_timers()
        if self._outbox.waiting:
            self._outbox.flush()
        self._reap()

    def _next_body(self) -> bytes | None:
        try:
            return self._inbox.next()
        except ValueError as error:
            log.error("the brain talks nonsense", extra={"why": str(error)})
            self._inbox.ended = True
            return None

    def _finished(self) -> bool:
        if not self._stopping:
            return False
        return time.monotonic() >= self._stop_at or not (self.legs or self.endpoint.calls_in_use)

    def _run_timers(self) -> None:
        now = time.monotonic()
        for leg_id, then in self._timers.due(now):
            leg = self.legs.get(leg_id)
            if leg is not None:
                self._try(then, leg)
        if now >= self._next_tick:
            self._next_tick = now + TICK_MS / 1000
            self._refusals.clear()
            for leg in list(self.legs.values()):
                self._try(lambda one: one.check_rtp(TICK_MS), leg)

    def _try(self, then: Callable[[Leg], None], leg: Leg) -> None:
        try:
            then(leg)
        except Exception as error:
            log.exception("a leg's own work failed", extra={"leg": leg.leg})
            self.fault(f"leg: {type(error).__name__}", leg.leg)

    def _reap(self, arriving: int = -1) -> None:
        """Destroy finished native calls, which hangs up what is in their slots: those that newer calls have taken wait.

        `arriving` is a slot that no leg of ours stands for yet."""
        if not self._dead:
            return
        taken = {arriving, *(leg.getId() for leg in (*self.legs.values(), *self._lingering.values()))}
        self._dead = [leg for leg in self._dead if leg.getId() in taken]

    # What a leg needs of its process ----------------------------------------------------------------------------

    def new_media(self, leg: Leg) -> LegMedia:
        media = LegMedia(leg.leg, self.settings, self.emit, leg.peer is not None and leg.peer.inband_dtmf)
        self._hearing.add(media)
        return media

    def after(self, delay_ms: int, leg: int, then: Callable[[Leg], None]) -> None:
        """Call `then(leg)` in the SIP thread unless the leg is over by then."""
        self._timers.add(time.monotonic() + delay_ms / 1000, leg, then)

    def fault(self, message: str, leg: int) -> None:
        """A Failure, once for each leg and message."""
        if (leg, message) not in self._faults:
            self._faults.add((leg, message))
            self.emit(m.Failure(message, leg))

    def refused(self, what: str, source: str) -> None:
        """News of something refused, at most REFUSALS_A_TICK of a kind in a tick: a flood must not become ours."""
        self._refusals[what] += 1
        if self._refusals[what] > REFUSALS_A_TICK:
            return
        log.warning("refused", extra={"what": what, "source": source})
        self.emit(m.Refused(what, source))

    def over(self, leg: Leg) -> None:
        """The leg has ended for the brain; its native call may linger."""
        if self.legs.pop(leg.leg, None) is not None:
            self._lingering[leg.leg] = leg
        if leg.media is not None:
            self._hearing.remove(leg.media)
            leg.media = None
        self._timers.forget(leg.leg)
        self._faults = {fault for fault in self._faults if fault[0] != leg.leg}

    def gone(self, leg: Leg) -> None:
        """The native call is disconnected."""
        if self._lingering.pop(leg.leg, None) is not None:
            self._admission.media_freed()
        self._dead.append(leg)

    def wants_transfer(self, leg: Leg, target: str) -> Leg | None:
        """A REFER from the other side: the leg that shall ring its target, None to decline.

        Accepted only from a configured peer, for a target listed for it, and when the leg is bridged: the new leg
        takes its place there once it answers.
        """
        if leg.peer is None or leg.bridge is None or not may_refer(leg.peer, target) or self._room() < 1:
            self.refused("transfer", leg.source)
            return None
        new = Leg(self, leg.account, self._new_id(), peer=leg.peer, language=leg.language)
        new.successor_of, new.inherits = leg, leg.bridge
        self.legs[new.leg] = new
        return new

    # What arrives -----------------------------------------------------------------------------------------------

    def _info_key(self, call_id: str, number: str, key: str) -> bool:
        """A key by INFO; a retransmission of the same request counts once."""
        leg = next((leg for leg in self.legs.values() if leg.sip_call_id == call_id), None)
        if leg is None:
            return False
        if leg.last_info != number:
            leg.last_info = number
            leg.open_media().dtmf(key, "info")
        return True

    def _invited(self, account: Account, call_id: int, message: str, source: str) -> None:
        self._admission.accepted()
        self._reap(call_id)
        request = read_request(message, source, self._admission.sources.edge)
        peer = self._admission.peer_at(request.source)
        leg = Leg(self, account, self._new_id(), call_id, peer=peer, source=request.source)
        leg.sip_call_id = request.call_id
        self.legs[leg.leg] = leg
        if self._stopping or self._draining:
            leg.unheard = True
            leg.refuse(503, retry_after_s=DRAIN_RETRY_S)
        else:
            self.emit(
                m.Incoming(
                    leg.leg, request.number, request.caller, request.source, request.call_id, peer.name if peer else ""
                )
            )
            self.after(DECIDE_MS, leg.leg, _undecided)

    def _registered(self, peer: str, registered: bool, code: int, reason: str) -> None:
        self.emit(m.Registration(peer, registered, code, reason))

    # Commands ---------------------------------------------------------------------------------------------------

    def _obey(self, body: bytes) -> None:
        try:
            command = m.unpack_command(body)
        except msgspec.DecodeError as error:
            log.error("unreadable command", extra={"why": str(error)})
            self.fault("unreadable command", 0)
            return
        try:
            self._carry_out(command)
        except Exception as error:
            leg = getattr(command, "leg", 0)
            why = error.reason if isinstance(error, pj.Error) else f"{type(error).__name__}: {error}"
            log.exception("command failed", extra={"command": type(command).__name__, "leg": leg})
            self.emit(m.Failure(f"{type(command).__name__}: {why}", leg))

    def _carry_out(self, command: m.Command) -> None:
        kind = type(command)
        if kind is m.Dial:
            self._dial(command)
        elif kind is m.Drain:
            self._draining = True
        elif kind is m.Shutdown:
            self.stop("shutdown")
        elif kind is m.Configure:
            self.emit(m.Failure("Configure: configured already"))
        else:
            leg = self.legs.get(command.leg)
            if leg is not None:
                self._to_leg(leg, command)
            elif not 0 < command.leg <= self._last_id:
                self.emit(m.Failure(f"{kind.__name__}: no such leg", command.leg))

    def _to_leg(self, leg: Leg, command: m.Command) -> None:
        match command:
            case m.Answer():
                leg.accept(command.language)
            case m.Ring():
                leg.ring(command.early_media)
            case m.Reject():
                leg.refuse(command.code, command.reason, command.retry_after_s)
            case m.Hangup():
                leg.end(command.cause if command.cause in _CAUSES else "hangup", command.code)
            case m.Refer():
                leg.refer(command)
            case m.Bridge() if command.other in self.legs and command.other != leg.leg:
                leg.bridge_with(self.legs[command.other])
            case m.Bridge():
                self.emit(m.Failure("Bridge: no such leg", leg.leg))
            case m.Unbridge():
                leg.unbridge()
                leg.open_media().unpatch()
            case m.SendDtmf():
                leg.send_dtmf(command.digits, command.method)
            case _:
                getattr(leg.open_media(), _MEDIA[type(command)])(command)

    def _dial(self, command: m.Dial) -> None:
        account = self._accounts.get(command.peer)
        if account is None:
            self.emit(m.DialFailed(command.request, "not_allowed", "no such peer"))
        elif self._stopping or self._draining:
            self.emit(m.DialFailed(command.request, "shutdown", "draining"))
        elif self._room() < 1 or not self._admission.media_room():
            self.emit(m.DialFailed(command.request, "full", "every leg is taken"))
        else:
            self._reap()
            leg = Leg(self, account, self._new_id(), dial=command, peer=account.peer, language=command.language)
            self.legs[leg.leg] = leg
            try:
                leg.place(dialable(command.uri, account.peer))
            except pj.Error as error:
                if not leg.ended:
                    self.over(leg)
                    self.emit(m.DialFailed(command.request, "failed", error.reason))
                self._lingering.pop(leg.leg, None)
                return
            self.after(command.timeout_ms, leg.leg, _unanswered)

    # The end ----------------------------------------------------------------------------------------------------

    def _say_farewell(self, leg: Leg) -> None:
        """The brain is gone: the fallback address or a recorded apology for who talks to us, CANCEL for who rings."""
        try:
            if not leg.answered:
                leg.end("brain_lost", 503)
            elif self.settings.fallback_uri and not leg.outgoing:
                leg.refer(m.Refer(leg.leg, self.settings.fallback_uri, FAREWELL_MS // 2), self._apologise)
            else:
                self._apologise(leg)
        except Exception:
            log.exception("no farewell possible", extra={"leg": leg.leg})
            self._try(_brain_lost, leg)

    def _apologise(self, leg: Leg) -> None:
        left_ms = max(0, int((self._stop_at - time.monotonic()) * 1000) - SHUTDOWN_MS)
        apologies = self.settings.apology
        path = apologies.get(leg.language) or next(iter(apologies.values()), "")
        leg.unbridge()
        lasts_ms = leg.open_media().say_apology(path) if path else 0
        self.after(min(left_ms, lasts_ms + 200 if lasts_ms else 0), leg.leg, _brain_lost)

    def _room(self) -> int:
        return self.max_legs - self.endpoint.calls_in_use

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id


_CAUSES = frozenset(m.Cause.__args__)
_MEDIA = {
    m.Play: "play", m.StopPlayout: "stop_playout", m.Listen: "listen", m.StopListening: "stop_listening",
    m.EndpointWait: "endpoint_wait", m.BargeIn: "barge_in", m.Record: "record", m.Mute: "mute", m.Patch: "patch",
}  # fmt: skip


def _undecided(leg: Leg) -> None:
    if not leg.decided:
        log.warning("the brain did not decide in time", extra={"leg": leg.leg})
        leg.refuse(503, retry_after_s=DRAIN_RETRY_S, cause="brain_lost")


def _unanswered(leg: Leg) -> None:
    if not leg.answered:
        leg.end("no_answer")


def _shut_down(leg: Leg) -> None:
    leg.end("shutdown", 503)


def _brain_lost(leg: Leg) -> None:
    leg.end("brain_lost")


def _obey_signals(line: LineProcess) -> None:
    parent = os.getppid()

    def handle(number: int, _frame: object) -> None:
        if number == signal.SIGHUP and os.getppid() == parent:
            return
        line.wanted_stop = line.wanted_stop or ("brain_lost" if number == signal.SIGHUP else "shutdown")
        line.wake()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGHUP, handle)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 after an orderly end, 3 when the process could not start."""
    parser = argparse.ArgumentParser(prog="ivr.line.process", description=__doc__.split("\n")[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--fd", type=int, help="inherited descriptor of the socket to the brain")
    where.add_argument("--socket", help="path of the brain's socket")
    chosen = parser.parse_args(arguments)
    if chosen.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(chosen.socket)
    else:
        sock = socket.socket(fileno=chosen.fd)
    outbox = Outbox(sock)
    try:
        settings = first_settings(sock)
        log_to_stderr(settings.log_level)
        line = LineProcess(settings, Inbox(sock), outbox)
    except (IvrError, pj.Error) as error:
        why = str(error) if isinstance(error, IvrError) else error.reason
        print(json.dumps({"level": "error", "event": "cannot start", "why": why}), file=sys.stderr)
        outbox.send(m.Failure(why))
        return 3
    _obey_signals(line)
    try:
        line.run()
        line.close()
    except Exception:
        log.exception("the line broke down")
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
