"""cutoff: callers cut off in mid-sentence, on plain questions and with a pause put into a third of them.

A caller counts as cut off when the server goes on, answers, or stops listening before the last speech sample. Pauses
are 300-900 ms, uniform, at word boundaries found by the dips of the level.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict

from ivr.bench import corpus
from ivr.bench.gaps import Run, loop_call, server
from ivr.bench.harness import Server
from ivr.bench.report import Report, data_folder, run, spread
from ivr.caller import Caller

NUMBER = {"en": "400", "zh": "401"}


async def lane(srv: Server, caller: Caller, utterances: list[corpus.Utterance], per_call: int, done: Run) -> None:
    """Says everything of one language, a few utterances a call."""
    for start in range(0, len(utterances), per_call):
        piece = utterances[start : start + per_call]
        await loop_call(srv, caller, NUMBER[piece[0].language], piece, done)


def material(options: argparse.Namespace, count: int) -> list[corpus.Utterance]:
    """`count` questions, half in each language, recorded people where there are any."""
    data = data_folder(options.data)
    found = []
    for language in ("en", "zh"):
        pool = corpus.questions(language, data, options.seed)
        if language == "en" and data is not None:
            pool = corpus.bank_questions(data, count // 4, options.seed) + pool
        found += [pool[i % len(pool)] for i in range(count // 2)]
    return found


def paused(utterances: list[corpus.Utterance], seed: int) -> list[corpus.Utterance]:
    """The same with a pause put into every third one (the next one when it has no word boundary)."""
    rng, out, owed = corpus.seeded(seed), [], 0
    for index, utterance in enumerate(utterances):
        owed += index % 3 == 0
        other = corpus.with_pause(utterance, rng) if owed else None
        owed -= other is not None
        out.append(other or utterance)
    return out


async def _cut(srv: Server, caller: Caller, utterances: list[corpus.Utterance], per_call: int) -> Run:
    done = Run()
    lanes = [[u for u in utterances if u.language == language] for language in ("en", "zh")]
    await asyncio.gather(*(lane(srv, caller, one, per_call, done) for one in lanes))
    return done


async def measure(report: Report, options: argparse.Namespace) -> None:
    count = 6 if options.quick else 80
    plain = material(options, count)
    async with server() as srv, Caller(user="cutoff") as caller:
        for what, utterances, limit in (("plain questions", plain, 3), ("with pauses of 300-900 ms in a third",
                                                                        paused(plain, report.seed), 8)):  # fmt: skip
            done = await _cut(srv, caller, utterances, 2)
            share = 100 * done.cut_off / max(1, len(done.judged))
            with_pause = [j for j in done.judged if "(pause" in j.turn.said]
            in_pauses = sum(bool(j.cut_off) for j in with_pause)
            of_pauses = f", {in_pauses} of {len(with_pause)} pauses" if with_pause else ""
            report.row(f"callers cut off, {what}", f"<= {limit} %",
                       f"{share:.1f} % ({done.cut_off} of {len(done.judged)}{of_pauses})", share <= limit)  # fmt: skip
            report.note(f"gaps meanwhile {spread(done.gaps)}")
            report.details[what] = [{**asdict(j.turn), "why": j.cut_off, "heard": j.heard} for j in done.judged]


def main(argv: list[str]) -> int:
    return run("cutoff", __doc__, measure, argv)
