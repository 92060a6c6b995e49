"""echo: our own prompt returned at -15 and -25 dB, 50-250 ms late; false pauses in 20 prompts, none committed."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict, dataclass

import numpy as np

from ivr.bench import barge, corpus, prompt_audio
from ivr.bench.harness import Server
from ivr.bench.report import Report, run
from ivr.caller import Caller
from ivr.caller.media import EchoPath
from ivr.caller.rtp import RATE_HZ

PAUSE_S = 0.08
AT_ONCE = 2


@dataclass(frozen=True)
class Returned:
    """One prompt with its echo. `pauses`: silences put into it; `cut`: it ended early."""

    number: str
    gain_db: float
    delay_ms: int
    pauses: int
    cut: bool
    heard: str


async def returned(srv: Server, caller: Caller, number: str, gain_db: float, delay_ms: int, whole: np.ndarray,
                   ) -> Returned:  # fmt: skip
    """Listen to the announcement while it comes back; compare what was heard with the undisturbed one."""
    call = await caller.dial(srv.uri(number))
    call.media.echo = EchoPath(gain_db, delay_ms / 1000)
    await call.talking()
    start = call.media.talk.spells[0].at_s
    await call.quiet(1.0, 2 * len(whole) / RATE_HZ + 5)
    got = call.heard(start)
    call.media.echo = None
    await call.hangup()
    record = await srv.record(call)
    pauses = [hole for hole in prompt_audio.holes(whole, got) if hole[1] >= PAUSE_S]
    cut = record["turns"][0]["said"][0]["interrupted"] or any(t["heard"] for t in record["turns"])
    heard = " | ".join(t["heard"] or t["rejected"] or "" for t in record["turns"])
    return Returned(number, gain_db, delay_ms, len(pauses), cut, heard)


async def measure(report: Report, options: argparse.Namespace) -> None:
    rng = corpus.seeded(report.seed)
    count = 4 if options.quick else 20
    cases = [(("440", "441")[i % 2], (-15.0, -25.0)[i // 2 % 2], rng.randint(50, 250)) for i in range(count)]
    async with barge.server() as srv, Caller(user="echo") as caller:
        whole = {number: await barge.reference(srv, caller, number) for number in ("440", "441")}
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: str, gain_db: float, delay_ms: int) -> Returned:
            async with gate:
                return await returned(srv, caller, number, gain_db, delay_ms, whole[number])

        found = await asyncio.gather(*(one(*case) for case in cases))
    pauses, cut = sum(bool(f.pauses) for f in found), sum(f.cut for f in found)
    report.row(f"own prompt returned, {count} prompts", "at most 1 false pause, none committed",
               f"{pauses} with a pause, {cut} committed", pauses <= 1 and cut == 0)  # fmt: skip
    report.details["prompts"] = [asdict(f) for f in found]


def main(argv: list[str]) -> int:
    return run("echo", __doc__, measure, argv)
