"""accuracy: what is heard through SIP and G.711, in both languages, against what was said.

Word errors on recorded sentences; digits one at a time and in strings of four; yes and no, other words, and noise in
a yes/no step; Mandarin yes, no, unsure and digits. Everything is read from the call records.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from num2words import num2words
from rapidfuzz.distance import Levenshtein

from ivr.bench import corpus, plans
from ivr.bench.harness import Server
from ivr.bench.report import Report, data_folder, run
from ivr.bench.turns import Judged, judge
from ivr.caller import Caller
from ivr.caller.rtp import RATE_HZ
from ivr.errors import Unavailable

NUMBERS = (
    ("400", "open", "en"), ("410", "yes_no", "en"), ("411", "yes_no", "zh"), ("420", "digits", "en"),
    ("421", "digits", "zh"), ("430", "digit", "en"),
)  # fmt: skip
SECTIONS = ("sentences", "digits", "strings", "yes_no", "others", "noise", "mandarin")
PER_CALL = 8
AT_ONCE = 2
FIGURES_ZH = dict(zip("零一二三四五六七八九", "0123456789", strict=True))


@dataclass(frozen=True)
class Result:
    """One utterance and what became of it."""

    utterance: corpus.Utterance
    judged: Judged

    @property
    def value(self) -> str:
        return self.judged.value

    @property
    def right(self) -> bool:
        return self.value == self.utterance.label


def server() -> Server:
    return Server(
        {kind: plans.named(kind, plans.loop(kind)) for kind in sorted({k for _, k, _ in NUMBERS})},
        [{"pattern": n, "plan": kind, "language": language} for n, kind, language in NUMBERS],
        {"lines": {"reserve_legs": 0}, "sip": {"flood_per_second": 1000}},
    )


async def _one_call(srv: Server, caller: Caller, number: str, said: list[corpus.Utterance]) -> list[Result]:
    call = await caller.dial(srv.uri(number))
    spoken = []
    for utterance in said:
        if not await call.quiet(0.5, 40):
            break
        await call.turn(utterance.pcm, utterance.name, timeout_s=7.0)
        spoken.append(utterance)
    await call.hangup()
    judged = judge(call, await srv.record(call))
    return [Result(u, j) for u, j in zip(spoken, judged, strict=True)]


async def say_all(srv: Server, caller: Caller, number: str, said: list[corpus.Utterance]) -> list[Result]:
    """Say everything to one number, eight a call, two calls at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def part(piece: list[corpus.Utterance]) -> list[Result]:
        async with gate:
            return await _one_call(srv, caller, number, piece)

    pieces = [said[i : i + PER_CALL] for i in range(0, len(said), PER_CALL)]
    return [r for results in await asyncio.gather(*map(part, pieces)) for r in results]


def normal(text: str) -> list[str]:
    """Words without case, punctuation or figures: `press 1` counts as `press one`."""
    out = []
    for word in corpus.words(text.replace("#", " pound ")):
        out += corpus.words(num2words(int(word))) if word.isdigit() and len(word) < 6 else [word.strip("'")]
    return [w for w in out if w]


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """(substitutions, deletions and insertions; words said)."""
    return Levenshtein.distance(normal(said), normal(heard)), len(normal(said))


async def _sentences(report: Report, srv: Server, caller: Caller, _data: Path | None) -> None:
    count = 4 if report.quick else 60
    results = await say_all(srv, caller, "400", corpus.prompts(count, report.seed))
    pairs = [word_errors(r.utterance.text, r.judged.heard) for r in results]
    rate = 100 * sum(e for e, _ in pairs) / max(1, sum(n for _, n in pairs))
    cut = sum(bool(r.judged.cut_off) for r in results)
    report.row(f"word errors, {len(results)} recorded sentences of 4 or more words", "<= 8 %",
               f"{rate:.1f} % (cut off {cut})", rate <= 8)  # fmt: skip
    report.details["sentences"] = [
        {"said": r.utterance.text, "heard": r.judged.heard, "errors": e, "cut": r.judged.cut_off}
        for r, (e, _) in zip(results, pairs, strict=True)
    ]


async def _digits(report: Report, srv: Server, caller: Caller, data: Path | None) -> None:
    found = [replace(u, label=str(corpus.DIGITS.index(u.text))) for u in corpus.recorded(data, "fsdd", "en")]
    corpus.seeded(report.seed).shuffle(found)
    results = await say_all(srv, caller, "430", found[:6] if report.quick else found[:120])
    _share(report, "digits one at a time", 95, results)


def _share(report: Report, what: str, least: float, results: list[Result]) -> None:
    right = sum(r.right for r in results)
    share = 100 * right / max(1, len(results))
    report.row(what, f">= {least} %", f"{share:.1f} % ({right} of {len(results)})", share >= least)
    report.details[what] = [{"said": r.utterance.name, "label": r.utterance.label, "value": r.value,
                             "heard": r.judged.heard, "rejected": r.judged.rejected} for r in results]  # fmt: skip


async def _strings(report: Report, srv: Server, caller: Caller, data: Path | None) -> None:
    """The second try is the same string from other takes of the same speaker."""
    count = 4 if report.quick else 40
    first = corpus.digit_strings(data, count, 4, report.seed)
    tried = await say_all(srv, caller, "420", first)
    right = [r for r in tried if r.right]
    missed = [r.utterance for r in tried if not r.right]
    again = await say_all(srv, caller, "420", [corpus.spoken_again(data, u, report.seed + 1) for u in missed])
    right_again = sum(r.right for r in again)
    share, both = 100 * len(right) / max(1, len(tried)), 100 * (len(right) + right_again) / max(1, len(tried))
    wrong = sum(bool(r.value) and not r.right for r in tried)
    report.row("strings of four digits, first try", ">= 80 %", f"{share:.1f} % ({len(right)} of {len(tried)}, "
               f"{wrong} taken wrongly)", share >= 80)  # fmt: skip
    report.row("strings of four digits, within one reprompt", ">= 93 %", f"{both:.1f} %", both >= 93)
    report.details["strings"] = [{"label": r.utterance.label, "value": r.value, "heard": r.judged.heard,
                                  "cut": r.judged.cut_off} for r in tried + again]  # fmt: skip


def short_words(data: Path | None) -> list[corpus.Utterance]:
    both = corpus.recorded(data, "an4", "en") + corpus.recorded(data, "speech_commands_v1", "en")
    return [replace(u, label=u.text) for u in both]


async def _yes_no(report: Report, srv: Server, caller: Caller, data: Path | None) -> None:
    found = [u for u in short_words(data) if u.text in ("yes", "no")]
    corpus.seeded(report.seed).shuffle(found)
    results = await say_all(srv, caller, "410", found[:6] if report.quick else found)
    _share(report, "yes and no in a yes/no step", 97, results)


async def _others(report: Report, srv: Server, caller: Caller, data: Path | None) -> None:
    found = [u for u in short_words(data) if not {"yes", "no"} & set(u.text.lower().split())]
    corpus.seeded(report.seed).shuffle(found)
    results = await say_all(srv, caller, "410", found[:6] if report.quick else found)
    taken = [r for r in results if r.value in ("yes", "no")]
    share = 100 * len(taken) / max(1, len(results))
    measured = f"{share:.1f} % ({len(taken)} of {len(results)})"
    report.row("other words taken as yes or no", "<= 5 %", measured, share <= 5)
    report.details["others"] = [{"said": r.utterance.text, "value": r.value, "heard": r.judged.heard} for r in taken]


async def _noise(report: Report, srv: Server, caller: Caller, data: Path | None) -> None:
    count = 1 if report.quick else 4
    coughs = [corpus.cough(report.seed + i, 200 + 60 * i) for i in range(count)]
    sounds = [corpus.Utterance(f"cough {i}", "", "en", pcm) for i, pcm in enumerate(coughs)]
    sounds.append(corpus.Utterance("silence", "", "en", np.ones(4 * RATE_HZ, np.int16) * 30))
    if data is not None:
        sounds += [corpus.Utterance(f"{name} {i}", "", "en", corpus.noise(data, name, 2.5, report.seed + i))
                   for name in ("babble", "music", "tap", "bike") for i in range(count)]  # fmt: skip
    results = await say_all(srv, caller, "410", sounds)
    taken = [r.utterance.name for r in results if r.value]
    report.row("silence, coughs, music, babble taken as an answer", "none",
               f"{len(taken)} of {len(results)}{': ' + ', '.join(taken) if taken else ''}", not taken)  # fmt: skip
    report.details["noise"] = [{"sound": r.utterance.name, "value": r.value, "heard": r.judged.heard,
                                "rejected": r.judged.rejected} for r in results]  # fmt: skip


async def _mandarin(report: Report, srv: Server, caller: Caller, data: Path | None) -> None:
    found = corpus.recorded(data, "zh_caller", "zh")
    step = 3 if report.quick else 1
    words = [u for u in found if u.label in ("yes", "no", "unsure")][::step]
    results = await say_all(srv, caller, "411", words)
    right = sum(r.right for r in results)
    swapped = sum(r.value == "yes" and r.utterance.label == "no" for r in results)
    enough = right >= 14 / 15 * len(results) - 1e-9
    report.row("Mandarin yes, no, unsure", ">= 14 of 15, no `no` heard as `yes`",
               f"{right} of {len(results)}, {swapped} swapped", enough and not swapped)  # fmt: skip
    report.details["mandarin yes/no"] = [{"said": r.utterance.text, "value": r.value, "heard": r.judged.heard}
                                         for r in results]  # fmt: skip
    strings = [replace(u, label="".join(FIGURES_ZH[c] for c in u.text)) for u in found if u.label == "digits"][::step]
    results = await say_all(srv, caller, "421", strings)
    right = sum(r.right for r in results)
    report.row("Mandarin digits", ">= 6 of 7", f"{right} of {len(results)}", right >= 6 / 7 * len(results) - 1e-9)
    report.details["mandarin digits"] = [{"said": r.utterance.text, "value": r.value, "heard": r.judged.heard}
                                         for r in results]  # fmt: skip


PARTS: dict[str, Callable] = dict(
    zip(SECTIONS, (_sentences, _digits, _strings, _yes_no, _others, _noise, _mandarin), strict=True)
)


async def measure(report: Report, options: argparse.Namespace) -> None:
    data = data_folder(options.data)
    wanted = options.only.split(",") if options.only else SECTIONS
    async with server() as srv, Caller(user="accuracy") as caller:
        for name in wanted:
            try:
                await PARTS[name](report, srv, caller, data)
            except Unavailable as missing:
                report.row(name, "", f"not measured: {missing}", None if report.quick else False)


def main(argv: list[str]) -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", default="", help=f"some of {','.join(SECTIONS)}")

    return run("accuracy", __doc__, measure, argv, extend)
