"""death: a line process killed, then the brain killed, with callers on the line and an agent's telephone ringing.

Both languages must apologise before the BYE; nothing may keep ringing; a new brain must start on the same ports and
folder, with the calls of the old one recorded as failed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import time
from typing import Any

import numpy as np

from ivr.bench import plans
from ivr.bench.harness import Server, descendants, free_ports
from ivr.bench.report import Report, run
from ivr.caller import Call, Caller, CallFailed
from ivr.caller.rtp import RATE_HZ
from ivr.caller.talk import rms

BACK_S, BYE_S = 2.0, 10.0


def server(agent_port: int, processes: int) -> Server:
    texts = {
        "quiet": plans.named("quiet", plans.loop("yes_no", no_input_ms=120_000)),
        "desk": plans.named("desk", plans.transferring("desk")),
    }
    rows = (("410", "quiet", "en"), ("411", "quiet", "zh"), ("450", "desk", "en"))
    numbers = [{"pattern": number, "plan": plan, "language": language} for number, plan, language in rows]
    settings = {
        "lines": {"processes": processes, "reserve_legs": 1},
        "sip": {"flood_per_second": 1000},
        "agent": [{"name": "desk", "uri": f"sip:desk@127.0.0.1:{agent_port}"}],
    }
    return Server(texts, numbers, settings)


async def _back(srv: Server, caller: Caller, killed_at: float, within_s: float = 10.0) -> float:
    """Seconds after the kill until a new call is answered."""
    while time.monotonic() - killed_at < within_s:
        with contextlib.suppress(CallFailed):
            call = await caller.dial(srv.uri("410"), timeout_s=0.5)
            took = (call.answered_at or 0.0) - killed_at
            await call.hangup()
            return took
        await asyncio.sleep(0.05)
    return float("inf")


async def _line_killed(report: Report, srv: Server, caller: Caller, processes: int) -> None:
    calls = [await caller.dial(srv.uri("410")) for _ in range(2 * processes)]
    await asyncio.sleep(2.5)
    victim = srv.line_pids()[0]
    silent_before = [c.media.reception.received for c in calls]
    os.kill(victim, signal.SIGKILL)
    killed_at = time.monotonic()
    back = _back(srv, caller, killed_at) if processes == 1 else _all_up(srv, killed_at, processes)
    back_s = await back
    await asyncio.sleep(1.5)
    dead, alive = [], []
    counts = [c.media.reception.received for c in calls]
    await asyncio.sleep(0.5)
    for call, before, now in zip(calls, silent_before, counts, strict=True):
        (alive if call.media.reception.received > now and not call.over else dead).append(call)
        assert now >= before
    await asyncio.gather(*(c.hangup() for c in alive))
    failed = [await _cause(srv, c) for c in dead]
    others = [await _cause(srv, c) for c in alive]
    report.row("a line process killed: its calls", "recorded as failed", f"{len(dead)} calls: {sorted(set(failed))}",
               bool(dead) and set(failed) <= {"line_lost", "failed"})  # fmt: skip
    if processes > 1:
        report.row("a line process killed: the others", "untouched", f"{len(alive)} go on: {sorted(set(others))}",
                   len(alive) >= len(calls) // 2 and set(others) == {"hangup"})  # fmt: skip
    report.row("a line process killed: back", f"within {BACK_S:g} s", f"{back_s:.2f} s", back_s <= BACK_S)


async def _all_up(srv: Server, killed_at: float, processes: int) -> float:
    await asyncio.sleep(0.2)
    while time.monotonic() - killed_at < 15:
        if await srv.lines_up() == processes:
            return time.monotonic() - killed_at
        await asyncio.sleep(0.05)
    return float("inf")


async def _cause(srv: Server, call: Call) -> str:
    return (await srv.record(call, within_s=15))["call"]["cause"]


class RingingDesk:
    """An agent's telephone that rings and is never picked up."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> None:
        self.calls.append(call)
        await call.ring()
        await call.wait_for(lambda: call.over, 60)


async def _brain_killed(report: Report, srv: Server, caller: Caller, desk: RingingDesk) -> list[str]:
    """Kills it; returns the Call-IDs of the calls it had."""
    calls = {"en": await caller.dial(srv.uri("410")), "zh": await caller.dial(srv.uri("411")),
             "transferring": await caller.dial(srv.uri("450"))}  # fmt: skip
    await calls["transferring"].quiet(0.5, 10)
    await calls["transferring"].press("0")
    await calls["transferring"].wait_for(lambda: desk.calls, 20)
    children = descendants(srv.pid)
    os.kill(srv.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    for call in (*calls.values(), *desk.calls):
        await call.wait_for(lambda call=call: call.over, BYE_S + 4)
    for language in ("en", "zh"):
        call = calls[language]
        heard = call.heard(killed_at + 0.2)
        loud = [rms(heard[i : i + 160]) > 120 for i in range(0, len(heard) - 160, 160)]
        speech_s = 0.02 * int(np.sum(loud))
        took = (call.ended_at or float("inf")) - killed_at
        report.row(f"the brain killed: the caller ({language})", f"an apology, BYE within {BYE_S:g} s",
                   f"{speech_s:.1f} s of speech, ended by {call.ended_by} after {took:.1f} s",
                   speech_s > 1.0 and took <= BYE_S and call.ended_by == "them")  # fmt: skip
        report.details[f"apology {language}"] = {"speech_s": speech_s, "seconds": len(heard) / RATE_HZ, "ended_s": took}
    ringing = [c for c in desk.calls if not c.over]
    report.row("the brain killed: what rang", "rings no more", f"{len(desk.calls)} rang, {len(ringing)} still do",
               bool(desk.calls) and not ringing)  # fmt: skip
    gone = await _gone(children, killed_at)
    report.row("the brain killed: its children", "gone", gone, gone.startswith("all"))
    return [c.dialog.call_id for c in calls.values()]


async def _gone(children: list[int], killed_at: float) -> str:
    left: list[int] = []
    while time.monotonic() - killed_at < 15:
        left = [pid for pid in children if _runs(pid)]
        if not left:
            return f"all {len(children)} within {time.monotonic() - killed_at:.1f} s"
        await asyncio.sleep(0.1)
    return f"{len(left)} left"


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"
    return False


async def measure(report: Report, options: argparse.Namespace) -> None:
    processes = 1 if options.quick else 2
    agent_port = free_ports(1)[0]
    async with Caller(user="death") as caller, Caller(user="desk", port=agent_port) as agent:
        desk = RingingDesk()
        agent.listen(desk)
        srv = server(agent_port, processes)
        try:
            await srv.start()
            await _line_killed(report, srv, caller, processes)
            lost = await _brain_killed(report, srv, caller, desk)
            begun = time.monotonic()
            await srv.start()
            call = await caller.dial(srv.uri("410"))
            answered = await call.quiet(0.3, 15)
            await call.hangup()
            report.row("a new brain", "starts cleanly, answers", f"ready after {time.monotonic() - begun:.1f} s, "
                       f"{'answers' if answered else 'does not speak'}", answered)  # fmt: skip
            causes = await _causes(srv, lost)
            report.row("the dead brain's calls", "recorded as failed", ", ".join(causes),
                       set(causes) <= {"brain_lost", "failed"})  # fmt: skip
        finally:
            await srv.stop()
        srv.remove()


async def _causes(srv: Server, call_ids: list[str]) -> list[Any]:
    return [(await srv.record_of(call_id))["call"]["cause"] for call_id in call_ids]


def main(argv: list[str]) -> int:
    return run("death", __doc__, measure, argv)
