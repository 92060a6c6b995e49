"""barge: speech onset to silence at barge-in, a 200 ms cough that the prompt survives, back-channels, protection.

The prompt is heard once undisturbed; what comes back after a cough is found in it, so that "resumes where it stopped"
is measured, not assumed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from pathlib import Path
from typing import Any

import numpy as np

from ivr.bench import corpus, plans, prompt_audio
from ivr.bench.harness import Server
from ivr.bench.report import Report, data_folder, percentile, run
from ivr.caller import Call, Caller
from ivr.caller.rtp import RATE_HZ
from ivr.caller.speak import speak

LANGUAGES = {"440": "en", "441": "zh"}
BACK_CHANNELS = {"en": ("okay", "yeah", "all right"), "zh": ("嗯", "好的", "哦")}
INTERRUPTIONS = {
    "en": ("I want to speak to somebody", "what are your opening hours", "stop, I have a question", "hello there"),
    "zh": ("我要转人工", "请问几点开门", "我有一个问题", "你好你好"),
}
SAME_PLACE_S = 0.15
SECTIONS = ("speech", "coughs", "back-channels", "noise")


def server() -> Server:
    """A server that reads out a long announcement, then asks."""
    text = plans.named("notice", plans.announcement())
    numbers = [{"pattern": n, "plan": "notice", "language": language} for n, language in LANGUAGES.items()]
    return Server({"notice": text}, numbers, {"lines": {"reserve_legs": 0}, "sip": {"flood_per_second": 1000}})


async def reference(srv: Server, caller: Caller, number: str) -> np.ndarray:
    """The announcement as it is when nobody disturbs it."""
    call = await caller.dial(srv.uri(number))
    await call.quiet(0.25, 40)
    heard = prompt_audio.first_spell(call.heard())
    await call.hangup()
    return heard


async def disturbed(srv: Server, caller: Caller, number: str, pcm: np.ndarray, after_s: float, listen_s: float = 3.0,
                    ) -> tuple[Call, float | None]:  # fmt: skip
    """A call in which `pcm` begins `after_s` into the announcement; the call and when it went silent (None: not)."""
    call = await caller.dial(srv.uri(number))
    await call.talking()
    await asyncio.sleep(after_s)
    stop = await call.barge(pcm, "", timeout_s=max(1.2, len(pcm) / RATE_HZ + 0.4))
    await call.wait_for(lambda: False, listen_s)
    return call, stop


def resumed(call: Call, whole: np.ndarray, stop_s: float | None) -> dict[str, Any]:
    """Whether the announcement went on where it had stopped after a disturbance."""
    began = next(e["at_s"] for e in call.timeline if e["what"] == "barge_in") + call.invited_at
    start = call.media.talk.spells[0].at_s
    after = [s.at_s for s in call.media.talk.spells if s.what == "talking" and s.at_s > began]
    if stop_s is None:
        piece = call.heard(began + 1.5, began + 2.5)
        at_s, fit = prompt_audio.locate(whole, piece)
        gone_s = began + 1.5 - start
        pause_s = gone_s - at_s
        return {"paused": pause_s > 0.05, "resumed": fit > 0.5, "pause_s": round(pause_s, 3), "fit": round(fit, 2)}
    if not after:
        return {"paused": True, "resumed": False, "pause_s": None, "fit": 0.0}
    played_s = began + stop_s - start
    at_s, fit = prompt_audio.locate(whole, call.heard(after[0] + 0.02, after[0] + 1.02))
    same = fit > 0.5 and abs(at_s - played_s) <= SAME_PLACE_S
    return {"paused": True, "resumed": same, "pause_s": round(after[0] - began - stop_s, 3), "fit": round(fit, 2),
            "skipped_s": round(at_s - played_s, 3)}  # fmt: skip


async def _interruptions(report: Report, srv: Server, caller: Caller, rng: random.Random, count: int) -> None:
    stops, missed = [], 0
    for index in range(count):
        number = ("440", "441")[index % 2]
        language = LANGUAGES[number]
        pcm = corpus.edges_trimmed(speak(rng.choice(INTERRUPTIONS[language]), language))
        call, stop = await disturbed(srv, caller, number, pcm, rng.uniform(1.0, 2.5), 0.5)
        await call.hangup()
        if stop is None:
            missed += 1
        else:
            stops.append(stop)
    p95 = percentile(stops, 95)
    report.row("speech onset to silence at barge-in", "p95 <= 0.250 s",
               f"p50 {percentile(stops, 50):.3f} s, p95 {p95:.3f} s (n {count}, not stopped {missed})",
               bool(stops) and p95 <= 0.25 and not missed)  # fmt: skip
    report.details["stops"] = stops


async def _survives(report: Report, what: str, required: str, srv: Server, caller: Caller,
                    cases: list[tuple[str, np.ndarray, float]]) -> None:  # fmt: skip
    """`cases`: (number, sound, seconds into the announcement); the announcement must go on after each."""
    whole = {number: await reference(srv, caller, number) for number in {n for n, _, _ in cases}}
    outcomes = []
    for number, pcm, after_s in cases:
        call, stop = await disturbed(srv, caller, number, pcm, after_s)
        outcome = resumed(call, whole[number], stop)
        await call.hangup()
        turns = (await srv.record(call))["turns"]
        outcomes.append({**outcome, "heard": [t["heard"] or t["rejected"] for t in turns]})
    ok = sum(o["resumed"] for o in outcomes)
    pauses = [o["pause_s"] for o in outcomes if o["paused"] and o["pause_s"]]
    holds = ok == len(outcomes) if required else None
    report.row(what, required, f"went on {ok} of {len(outcomes)}, paused {sum(o['paused'] for o in outcomes)}"
               + (f", longest pause {max(pauses):.2f} s" if pauses else ""), holds)  # fmt: skip
    report.details[what] = outcomes


async def _coughs(report: Report, srv: Server, caller: Caller, rng: random.Random) -> None:
    numbers = ("440",) if report.quick else ("440", "441")
    count = 2 if report.quick else 10
    cases = [(numbers[i % len(numbers)], corpus.cough(report.seed + i), rng.uniform(1, 3)) for i in range(count)]
    await _survives(report, "a cough (200 ms of sound)", "the prompt resumes", srv, caller, cases)


async def _back_channels(report: Report, srv: Server, caller: Caller, rng: random.Random) -> None:
    words = [(n, text) for n, language in LANGUAGES.items() for text in BACK_CHANNELS[language]]
    cases = [(n, speak(text, LANGUAGES[n]), rng.uniform(1, 3)) for n, text in (words[::3] if report.quick else words)]
    await _survives(report, "back-channels while the prompt asks nothing", "the prompt resumes", srv, caller, cases)


async def _household(report: Report, srv: Server, caller: Caller, data: Path) -> None:
    cases = [("440", corpus.noise(data, name, 0.4, report.seed, 800.0), 1.5) for name in ("tap", "bike")]
    await _survives(report, "400 ms of household noise", "", srv, caller, cases)


async def measure(report: Report, options: argparse.Namespace) -> None:
    rng = corpus.seeded(report.seed)
    data = data_folder(options.data)
    wanted = options.only.split(",") if options.only else SECTIONS
    async with server() as srv, Caller(user="barge") as caller:
        if "speech" in wanted:
            await _interruptions(report, srv, caller, rng, 4 if options.quick else 20)
        if "coughs" in wanted:
            await _coughs(report, srv, caller, rng)
        if "back-channels" in wanted:
            await _back_channels(report, srv, caller, rng)
        if "noise" in wanted and data is not None and not options.quick:
            await _household(report, srv, caller, data)


def main(argv: list[str]) -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", default="", help=f"some of {','.join(SECTIONS)}")

    return run("barge", __doc__, measure, argv, extend)
