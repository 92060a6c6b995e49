"""gaps: last speech sample to first word of the answer, as the caller hears it; one call, then 4 and 8 looping.

English and Mandarin open questions, yes/no and digits on one call each; then callers that loop over open questions,
half of them Mandarin, their starts spread over one loop. The callers' own CPU is reported.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ivr.bench import begins, corpus, plans
from ivr.bench.harness import Server
from ivr.bench.report import Report, data_folder, percentile, run, spread
from ivr.bench.turns import Judged, judge
from ivr.caller import Caller

NUMBERS = (
    ("400", "open", "en"), ("401", "open", "zh"), ("410", "yes_no", "en"), ("411", "yes_no", "zh"),
    ("420", "digits", "en"), ("421", "digits", "zh"),
)  # fmt: skip
REQUIRED = {
    "400": ("open question, English", 0.7, 1.1), "401": ("open question, Mandarin", 0.8, 1.3),
    "410": ("yes/no, English", 0.5, None), "411": ("yes/no, Mandarin", 0.5, None),
    "420": ("digits, English", 0.5, None), "421": ("digits, Mandarin", 0.5, None),
}  # fmt: skip
PARTS = ("endpoint_ms", "decode_ms", "understand_ms", "engine_ms", "render_ms", "playout_ms", "total_ms")


@dataclass
class Run:
    """The turns of one set of calls."""

    judged: list[Judged] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    greeting_s: list[float] = field(default_factory=list)
    cpu: float = 0.0
    late_max_ms: float = 0.0
    beginnings: list[begins.Beginning] = field(default_factory=list)

    @property
    def gaps(self) -> list[float]:
        return [j.turn.gap_s for j in self.judged if j.turn.gap_s is not None and not j.cut_off]

    @property
    def unanswered(self) -> int:
        return sum(j.turn.gap_s is None for j in self.judged)

    @property
    def cut_off(self) -> int:
        return sum(bool(j.cut_off) for j in self.judged)

    def parts(self) -> str:
        """The server's own latency breakdown, medians."""
        medians = {}
        for part in PARTS:
            values = [v for j in self.judged if (v := j.latency(part)) is not None]
            if values:
                medians[part] = percentile(values, 50)
        return ", ".join(f"{part.removesuffix('_ms')} {value:.0f}" for part, value in medians.items())


def server(languages: tuple[str, ...] = ("en", "zh"), processes: int = 1) -> Server:
    """A server with a looping plan behind every number of NUMBERS."""
    kinds = {kind for _, kind, language in NUMBERS if language in languages}
    made = Server(
        {kind: plans.named(kind, plans.loop(kind)) for kind in kinds},
        [{"pattern": n, "plan": kind, "language": lang} for n, kind, lang in NUMBERS if lang in languages],
        {"lines": {"processes": processes, "reserve_legs": 0}, "sip": {"flood_per_second": 1000}},
    )
    plans.write_knowledge(made.folder / "dialplans", "open")
    return made


async def loop_call(srv: Server, caller: Caller, number: str, said: list[corpus.Utterance], run_: Run,
                    delay_s: float = 0.0) -> None:  # fmt: skip
    """One call that says each utterance when the far end is silent; its turns go to `run_`."""
    await asyncio.sleep(delay_s)
    call = await caller.dial(srv.uri(number))
    for utterance in said:
        if not await call.quiet(0.7, 40):
            break
        await call.turn(utterance.pcm, utterance.name)
    await call.quiet(0.5, 3)
    await call.hangup()
    judged = judge(call, await srv.record(call))
    run_.judged += judged
    for one in judged:
        if one.turn.answered_s is not None and (one.server or {}).get("answer") and not one.cut_off:
            start = call.invited_at + one.turn.answered_s
            pcm = call.heard(start, start + begins.SECONDS)
            run_.beginnings.append(begins.Beginning(one.server["language"], one.server["answer"], pcm))
    report = call.report()
    run_.answer_s.append(report["answer_s"])
    run_.greeting_s.append(report["greeting_s"] or float("nan"))
    run_.late_max_ms = max(run_.late_max_ms, report["sent"]["late_max_ms"])


def said_of(number: str, data: Path | None, seed: int, count: int) -> list[corpus.Utterance]:
    """`count` utterances that fit what `number` asks, repeated in order when there are fewer."""
    _, kind, language = next(row for row in NUMBERS if row[0] == number)
    pool = corpus.questions(language, data, seed) if kind == "open" else corpus.answers(kind, language, data, seed)
    return [pool[i % len(pool)] for i in range(count)]


async def single(srv: Server, caller: Caller, number: str, said: list[corpus.Utterance]) -> Run:
    done = Run()
    begun, cpu = time.monotonic(), time.process_time()
    await loop_call(srv, caller, number, said, done)
    done.cpu = (time.process_time() - cpu) / (time.monotonic() - begun)
    return done


async def looping(srv: Server, caller: Caller, callers: int, turns: int, data: Path | None, seed: int) -> Run:
    """`callers` calls at once, every second one Mandarin, starts spread over about one loop (8 s)."""
    done = Run()
    begun, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(
        loop_call(srv, caller, "401" if i % 2 else "400",
                  said_of("401" if i % 2 else "400", data, seed + i, turns), done, 8.0 * i / callers)
        for i in range(callers)
    ))  # fmt: skip
    done.cpu = (time.process_time() - cpu) / (time.monotonic() - begun)
    return done


def _details(done: Run) -> list[dict]:
    return [{**asdict(j.turn), "cut_off": j.cut_off, "heard": j.heard, "value": j.value,
             "latency": (j.server or {}).get("latency")} for j in done.judged]  # fmt: skip


def _report_single(report: Report, number: str, done: Run) -> None:
    what, p50, p95 = REQUIRED[number]
    gaps = done.gaps
    required = f"p50 <= {p50} s" + (f", p95 <= {p95} s" if p95 else "")
    holds = bool(gaps) and percentile(gaps, 50) <= p50 and (p95 is None or percentile(gaps, 95) <= p95)
    report.row(what, required, spread(gaps), holds and not done.unanswered)
    report.note(f"server's parts, median ms: {done.parts()}; cut off {done.cut_off}, unanswered {done.unanswered}")
    report.details[number] = _details(done)


async def measure(report: Report, options: argparse.Namespace) -> None:
    data = data_folder(options.data)
    wanted = options.only.split(",") if options.only else [*(number for number, _, _ in NUMBERS), "banking77", "loops"]
    turns = options.turns or (3 if report.quick else 20)
    if set(wanted) - {"loops"}:
        await _singles(report, wanted, data, turns)
    if "loops" in wanted:
        for callers, limit in ((2, 1.5),) if report.quick else ((4, 1.5), (8, 2.5)):
            await _loops(report, callers, limit, data)


async def _singles(report: Report, wanted: list[str], data: Path | None, turns: int) -> None:
    async with server() as srv, Caller(user="gaps") as caller:
        everything = Run()
        for number in (n for n, _, _ in NUMBERS if n in wanted):
            done = await single(srv, caller, number, said_of(number, data, report.seed, turns))
            _report_single(report, number, done)
            everything.answer_s += done.answer_s
            everything.greeting_s += done.greeting_s
            everything.beginnings += done.beginnings
        if everything.answer_s:
            _report_answering(report, everything)
        await _report_beginnings(report, everything.beginnings)
        if "banking77" in wanted and not report.quick:
            await _unknown_questions(report, srv, caller, data)


async def _loops(report: Report, callers: int, limit: float, data: Path | None) -> None:
    async with server(processes=-(-callers // 4)) as srv, Caller(user="gaps") as caller:
        done = await looping(srv, caller, callers, 2 if report.quick else 12, data, report.seed)
    gaps = done.gaps
    report.row(f"{callers} callers looping, half Mandarin", f"p95 <= {limit} s", spread(gaps),
               bool(gaps) and percentile(gaps, 95) <= limit and not done.unanswered)  # fmt: skip
    report.note(f"callers' own CPU {100 * done.cpu:.0f} % of a core, latest packet {done.late_max_ms} ms late; "
                f"cut off {done.cut_off} of {len(done.judged)}; medians ms: {done.parts()}")  # fmt: skip
    report.details[f"looping-{callers}"] = _details(done)


def _report_answering(report: Report, done: Run) -> None:
    answer, greeting = percentile(done.answer_s, 95), percentile(done.greeting_s, 95)
    report.row("INVITE to 200 OK", "p95 <= 0.050 s", f"p95 {answer:.3f} s (n {len(done.answer_s)})", answer <= 0.05)
    report.row("answer to first greeting audio", "p95 <= 0.150 s", f"p95 {greeting:.3f} s", greeting <= 0.15)


async def _report_beginnings(report: Report, beginnings: list[begins.Beginning]) -> None:
    """No tone, breath or filler before the answer: recognised back, it begins with the answer's own words."""
    if not beginnings:
        return
    found = await asyncio.to_thread(begins.recognised, beginnings)
    for language, name in (("en", "English"), ("zh", "Mandarin")):
        own = [(b, heard) for b, heard in found if b.language == language]
        right = sum(begins.fits(b.text, heard, language) for b, heard in own)
        if own:
            report.row(f"answers that begin with the answer, {name}", "all" if language == "en" else "",
                       f"{right} of {len(own)}", right == len(own) if language == "en" else None)  # fmt: skip
    report.details["beginnings"] = [{"text": b.text, "heard": heard} for b, heard in found]


async def _unknown_questions(report: Report, srv: Server, caller: Caller, data: Path | None) -> None:
    """Questions that have no answer are waited for longer: not required, but to be known."""
    if data is None:
        return
    done = await single(srv, caller, "400", corpus.bank_questions(data, 12, report.seed))
    report.row("open question, English, mostly without an answer (BANKING77)", "", spread(done.gaps))
    report.note(f"server's parts, median ms: {done.parts()}; cut off {done.cut_off}")
    report.details["banking77"] = _details(done)


def main(argv: list[str]) -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", default="", help="some of 400,401,410,411,420,421,banking77,loops")
        parser.add_argument("--turns", type=int, default=0, help="turns of each single call (20; quick 3)")

    return run("gaps", __doc__, measure, argv, extend)
