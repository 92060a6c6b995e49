"""load: twelve legs on three line processes at one address, one pair bridged across processes, RTP seen from outside.

Every caller hears the same announcement again and again: what arrives is compared with it sample by sample, so that
a gap inside a prompt shows. One caller is transferred to an agent of ours; both sides' audio is measured too. The
next call must be refused before it is answered.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import numpy as np

from ivr.bench import plans, prompt_audio
from ivr.bench.harness import Server, cpu_seconds, free_ports
from ivr.bench.report import Report, run
from ivr.caller import Call, Caller, CallFailed
from ivr.caller.rtp import RATE_HZ
from ivr.errors import Unavailable

PROCESSES, LEGS = 3, 4
HOLE_S = 0.04


def server(agent_port: int, processes: int = PROCESSES, reserve: int = 1) -> Server:
    """Line processes behind Kamailio; 440 tells for ever, 450 transfers at key 0 to our agent."""
    settings = {
        "lines": {"processes": processes, "reserve_legs": reserve},
        "sip": {"flood_per_second": 1000},
        "agent": [{"name": "desk", "uri": f"sip:desk@127.0.0.1:{agent_port}"}],
    }
    numbers = [
        {"pattern": "440", "plan": "tell", "language": "en"},
        {"pattern": "450", "plan": "desk", "language": "en"},
    ]
    texts = {"tell": plans.named("tell", plans.telling()), "desk": plans.named("desk", plans.transferring("desk"))}
    return Server(texts, numbers, settings)


def tone(seconds: float, hz: float, level: float = 6_000.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(int(RATE_HZ * seconds)) / RATE_HZ)).astype(np.int16)


def bridged_both_ways(a: Call, b: Call, since: float, hz: tuple[float, float]) -> bool:
    """Whether each hears the other's tone since a moment."""

    def hears(call: Call, frequency: float) -> bool:
        pcm = call.heard(since + 0.5).astype(np.float64)
        if len(pcm) < RATE_HZ // 2:
            return False
        spectrum = np.abs(np.fft.rfft(pcm))
        place = round(frequency * len(pcm) / RATE_HZ)
        return bool(spectrum[place - 3 : place + 4].max() > 10 * np.median(spectrum) + 1)

    return hears(a, hz[1]) and hears(b, hz[0])


def prompt_gaps(call: Call, whole: np.ndarray) -> int:
    """Silences inside the announcements this call heard."""
    pcm = call.heard()
    starts = [s.at_s for s in call.media.talk.spells if s.what == "talking"]
    origin = call.answered_at or call.invited_at
    count = 0
    for start in starts:
        piece = pcm[max(0, round((start - origin) * RATE_HZ)) :][: len(whole)]
        if len(piece) == len(whole):
            count += sum(length >= HOLE_S for _, length in prompt_audio.holes(whole, piece))
    return count


class Desk:
    """The agent that calls are transferred to: answers and waits."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> None:
        self.calls.append(call)
        await call.ring()
        await call.accept()


async def _transfer(caller_leg: Call, desk: Desk, seconds: float) -> tuple[bool, bool]:
    """(the agent answered, both hear each other) after key 0."""
    await caller_leg.press("0")
    if not await caller_leg.wait_for(lambda: desk.calls and desk.calls[-1].state == "answered", 15):
        return False, False
    agent = desk.calls[-1]
    await caller_leg.wait_for(lambda: False, 1.0)
    since = time.monotonic()
    await asyncio.gather(caller_leg.say(tone(seconds, 600)), agent.say(tone(seconds, 1000)))
    return True, bridged_both_ways(caller_leg, agent, since, (600, 1000))


async def _refused(srv: Server, caller: Caller) -> tuple[str, bool]:
    """How one call too many ends, and whether that was before an answer."""
    try:
        extra = await caller.dial(srv.uri("440"))
    except CallFailed as failure:
        return str(failure), failure.code in (486, 503)
    await extra.hangup()
    return "it was answered", False


async def _across(srv: Server, call: Call) -> str:
    """The line processes of a bridged call's legs, from its record: `0 and 2`."""
    record = await srv.record(call)
    return " and ".join(sorted({leg["id"].split(".")[0] for leg in record["legs"]}))


async def reference(srv: Server, caller: Caller) -> np.ndarray:
    """The announcement as one caller alone hears it."""
    call = await caller.dial(srv.uri("440"))
    await call.quiet(0.4, 40)
    whole = prompt_audio.first_spell(call.heard())
    await call.hangup()
    return whole


async def measure(report: Report, options: argparse.Namespace) -> None:
    processes = 2 if options.quick else PROCESSES
    seconds = 5.0 if options.quick else 30.0
    agent_port = free_ports(1)[0]
    async with (
        server(agent_port, processes) as srv,
        Caller(user="load") as caller,
        Caller(user="desk", port=agent_port) as agent,
    ):
        desk = Desk()
        agent.listen(desk)
        whole = await reference(srv, caller)
        inbound = processes * LEGS - 1
        cpu = cpu_seconds(srv.family())
        begun, own = time.monotonic(), time.process_time()
        calls = await _dial_all(srv, caller, inbound)
        transferred, both = await _transfer(calls[0], desk, seconds)
        words, before = await _refused(srv, caller)
        await asyncio.sleep(max(0.0, seconds - 2))
        took = time.monotonic() - begun
        report.note(f"server {100 * (cpu_seconds(srv.family()) - cpu) / took:.0f} % of a core, callers "
                    f"{100 * (time.process_time() - own) / took:.0f} %")  # fmt: skip
        _rows(report, calls, desk, whole, inbound, transferred and both)
        await asyncio.gather(*(c.hangup() for c in calls))
        report.row(f"call {inbound + 2} of {processes * LEGS}", "refused before answering", words, before)
        if transferred:
            lines = await _across(srv, calls[0])
            report.row("the bridged pair's line processes", "two different", lines, " and " in lines)


async def _dial_all(srv: Server, caller: Caller, inbound: int) -> list[Call]:
    first = await caller.dial(srv.uri("450"))
    rest = await asyncio.gather(*(caller.dial(srv.uri("440")) for _ in range(inbound - 1)), return_exceptions=True)
    failed = [r for r in rest if isinstance(r, BaseException)]
    if failed:
        raise Unavailable(f"{len(failed)} of {inbound} calls were not answered: {failed[0]}")
    return [first, *(r for r in rest if isinstance(r, Call))]


def _rows(report: Report, calls: list[Call], desk: Desk, whole: np.ndarray, inbound: int, bridged: bool) -> None:
    every = [*calls, *desk.calls]
    stats: list[dict[str, Any]] = [c.media.reception.summary() for c in every]
    report.row("calls answered at one address, one transferred across processes", f"{inbound} and their agent",
               f"{len(calls)} answered, bridged both ways: {'yes' if bridged else 'no'}", bridged)  # fmt: skip
    lost = sum(s["lost"] for s in stats)
    report.row("caller's RTP", "no loss", f"{lost} lost of {sum(s['packets'] for s in stats)}", lost == 0)
    jitter, peak = max(s["deviation_p99_ms"] for s in stats), max(s["jitter_max_ms"] for s in stats)
    spacing = max(s["spacing_p99_ms"] for s in stats)
    report.row("jitter", "p99 <= 20 ms", f"p99 {jitter:.1f} ms of the worst call (its estimator's peak {peak:.1f} ms, "
               f"p99 of arrival spacing {spacing:.1f} ms)", jitter <= 20)  # fmt: skip
    gaps = sum(prompt_gaps(c, whole) for c in calls[1:])
    report.row("gaps inside prompts", "none", str(gaps), gaps == 0)
    report.details["rtp"] = stats


def main(argv: list[str]) -> int:
    return run("load", __doc__, measure, argv)
