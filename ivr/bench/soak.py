"""soak: thousands of short calls; descriptors, threads and legs afterwards, and the memory slope of brain and lines.

Callers ring, hear the beginning of the greeting and hang up at random moments, some before the answer; some press a
key or speak. Memory is sampled as calls go by; the slope is a straight line through the samples after the first 500.
"""

from __future__ import annotations

import argparse
import asyncio
import random

import numpy as np

from ivr.bench import corpus
from ivr.bench.harness import Server, footprint, plan_main
from ivr.bench.report import Report, run
from ivr.caller import Caller, CallFailed
from ivr.caller.speak import speak

AT_ONCE = 3
SAMPLE_EVERY = 50
SLOPE_KB = 4.0


class Samples:
    """Memory, threads and descriptors of every process of the server, by number of calls so far."""

    def __init__(self, srv: Server) -> None:
        self._srv = srv
        self.rows: list[dict] = []

    def take(self, calls: int) -> None:
        brain, lines = self._srv.pid, self._srv.line_pids()
        roles = {"brain": brain, **{f"line {i}": pid for i, pid in enumerate(lines)}}
        self.rows.append({"calls": calls, **{role: footprint(pid) for role, pid in roles.items()}})

    def roles(self) -> list[str]:
        return [key for key in self.rows[-1] if key != "calls"]

    def slope_kb(self, role: str, after: int) -> float:
        """KB a call from `after` calls on (least squares over RSS)."""
        points = [(r["calls"], r[role]["rss_kb"]) for r in self.rows if r["calls"] >= after and role in r]
        if len(points) < 2:
            return float("nan")
        x, y = np.array(points, float).T
        return float(np.polyfit(x, y, 1)[0])


async def _short_call(srv: Server, caller: Caller, rng: random.Random, words: dict[str, np.ndarray]) -> str:
    """One short call; how it went: `answered`, or why not."""
    number, language = rng.choice((("400", "en"), ("401", "zh")))
    manner = rng.random()
    try:
        patience_s = rng.uniform(0.001, 0.006) if manner < 0.05 else None
        async with asyncio.timeout(patience_s):
            call = await caller.dial(srv.uri(number))
        await call.wait_for(lambda: False, rng.uniform(0.05, 0.6))
        if manner < 0.15:
            await call.press(rng.choice("123#"), duration_ms=60)
        elif manner < 0.3:
            await call.say(words[language])
            await call.wait_for(lambda: False, rng.uniform(0.0, 0.8))
        await call.hangup()
    except TimeoutError:
        return "cancelled"
    except CallFailed as failure:
        return str(failure.code)
    return "answered"


async def measure(report: Report, options: argparse.Namespace) -> None:
    total = options.calls or (60 if options.quick else 2_000)
    after = total // 4
    rng = corpus.seeded(report.seed)
    words = {"en": speak("what are your opening hours", "en"), "zh": speak("几点开门", "zh")}
    outcomes: dict[str, int] = {}
    settings = {"lines": {"reserve_legs": 0}, "sip": {"flood_per_second": 1000}}
    async with Server(**plan_main(), settings=settings) as srv, Caller(user="soak", keep_audio=False) as caller:
        samples, made = Samples(srv), 0

        async def lane() -> None:
            nonlocal made
            while made < total:
                made += 1
                if made % SAMPLE_EVERY == 0 or made == after:
                    samples.take(made)
                outcome = await _short_call(srv, caller, rng, words)
                outcomes[outcome] = outcomes.get(outcome, 0) + 1

        for _ in range(AT_ONCE):
            await _short_call(srv, caller, rng, words)
        await asyncio.sleep(2)
        samples.take(0)
        await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
        await asyncio.sleep(6)
        samples.take(total)
        legs = (await srv.get("/healthz"))["calls"]
    _rows(report, samples, outcomes, legs, total, after)


def _rows(report: Report, samples: Samples, outcomes: dict[str, int], legs: int, total: int, after: int) -> None:
    refused = {k: n for k, n in outcomes.items() if k not in ("answered", "cancelled")}
    report.row(f"{total} short calls", "all taken", str(outcomes), not refused)
    report.row("legs left", "0", str(legs), legs == 0)
    first, last = samples.rows[0], samples.rows[-1]
    for role in samples.roles():
        for what in ("threads", "fds"):
            grown = last[role][what] - first[role][what]
            measured = f"{first[role][what]} -> {last[role][what]}"
            report.row(f"{what} of the {role}", "none left over", measured, grown <= 2)
        slope = samples.slope_kb(role, after)
        required = f"<= {SLOPE_KB:g} KB a call"
        holds = None if report.quick else slope <= SLOPE_KB
        report.row(f"memory of the {role} over calls {after}-{total}", required,
                   f"{slope:.2f} KB a call ({first[role]['rss_kb'] // 1024} -> {last[role]['rss_kb'] // 1024} MB)",
                   holds)  # fmt: skip
    report.details["samples"] = samples.rows


def main(argv: list[str]) -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--calls", type=int, default=0, help="how many calls (2000; quick 60)")

    return run("soak", __doc__, measure, argv, extend)
