"""amd: people and answering machines told apart on recorded and spoken answers, on quiet lines and in noise.

`bench/amd_calls.py` says what the calls are made of; the detector's figures were chosen on others. A machine counts as
caught when its last verdict is `machine` or `machine_ready`, a human as taken for one when any verdict is. The rule
that it must beat calls a far end a machine when the time from its first sound to its first pause exceeds a duration;
both are chosen on the reported calls themselves. `--plot FILE.png` draws the trade-off. `--choose` works out
`hang_up_cost` on the fitting set instead, without a look at the reported one. No call is placed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image, ImageDraw

from ivr.bench import amd_calls
from ivr.bench.amd_calls import Answered
from ivr.bench.report import Report, data_folder, percentile, run
from ivr.caller.rtp import RATE_HZ
from ivr.line.amd import Detector, Ear, Heard, Verdict
from ivr.line.messages import FRAME_MS
from ivr.line.settings import Amd

FRAME = RATE_HZ * FRAME_MS // 1000
CAUGHT, TAKEN, DECISION_S, BEEP_S = 0.90, 0.02, 1.5, 0.150
COSTS = (1, 3, 10, 16, 50, 200, 1_000, 1_000_000)
# `--choose`: costs that are tried, how often the fitting set is made anew, and how certain the answer is to be (one
# less the share of humans that may be taken for machines), with Student's t for so much by degrees of freedom.
CHOOSE_COSTS = tuple(10 ** (step / 20) for step in range(61))
CHOOSE_SEEDS = 4
CHOOSE_CHANCE = 0.98
STUDENT_T = {2: 4.849, 6: 2.612}
# 800 ms is Asterisk's `after_greeting_silence`, 1,200 ms Twilio's `MachineDetectionSpeechEndThreshold`.
PAUSES_S = (0.4, 0.5, 0.6, 0.8, 1.0, 1.2)


@dataclass(frozen=True)
class Trial:
    """A call and the verdicts it got.

    by_cost: whether it was a machine at last, and ever, at other values of `hang_up_cost`. utterances: by a pause, the
    seconds from the first sound to the first such pause, and when that pause had passed.
    """

    call: Answered
    verdicts: tuple[Verdict, ...]
    by_cost: Mapping[float, tuple[bool, bool]]
    utterances: Mapping[float, tuple[float, float]]

    @property
    def machine(self) -> bool:
        """Whether it ended as a machine."""
        return _machine(self.verdicts[-1:])

    @property
    def ever_machine(self) -> bool:
        return _machine(self.verdicts)

    @property
    def decided_s(self) -> float:
        return self.verdicts[0].at_ms / 1000


@dataclass(frozen=True)
class Rule:
    """`machine` when the first utterance, up to a pause of `pause_s`, is longer than `longer_s`."""

    pause_s: float
    longer_s: float
    caught: float
    taken: float
    decided_s: float


def measured(pcm: np.ndarray, settings: Amd) -> tuple[Heard, ...]:
    """Every frame of a call, as far as is watched."""
    ear = Ear(settings.watch_ms)
    count = min(len(pcm) // FRAME, settings.watch_ms // FRAME_MS)
    frames = pcm[: count * FRAME].reshape(count, FRAME).astype(np.float32)
    return tuple(ear.push(frame) for frame in frames)


def judged(heard: Sequence[Heard], settings: Amd) -> tuple[Verdict, ...]:
    """The verdicts on a call. Its last one is a beep, where there is one."""
    detector = Detector(settings)
    return tuple(v for one in heard if (v := detector.judge(one)) is not None)


def _machine(verdicts: Sequence[Verdict]) -> bool:
    return any(v.verdict in ("machine", "machine_ready") for v in verdicts)


def tried(call: Answered, settings: Amd, costs: Sequence[float] = ()) -> Trial:
    heard = measured(call.pcm, settings)
    by_cost = {}
    for cost in costs:
        verdicts = judged(heard, msgspec.structs.replace(settings, hang_up_cost=float(cost)))
        by_cost[cost] = _machine(verdicts[-1:]), _machine(verdicts)
    utterances = {pause_s: first_utterance(heard, pause_s) for pause_s in PAUSES_S}
    return Trial(call, judged(heard, settings), by_cost, utterances)


def share(of: Sequence[bool]) -> float:
    return sum(of) / max(1, len(of))


def told(of: Sequence[bool]) -> str:
    return f"{100 * share(of):.1f} % ({sum(of)} of {len(of)})"


def first_utterance(heard: Sequence[Heard], pause_s: float) -> tuple[float, float]:
    """Seconds from the first sound to the first pause of `pause_s`, and when that pause had passed."""
    for one in heard:
        spoken = one.cadence.phrases
        if spoken and one.cadence.pause_frames * FRAME_MS / 1000 >= pause_s:
            return (spoken[-1][1] - spoken[0][0]) * FRAME_MS / 1000, one.frames * FRAME_MS / 1000
    return len(heard) * FRAME_MS / 1000, len(heard) * FRAME_MS / 1000


def single_durations(trials: Sequence[Trial], pause_s: float) -> list[Rule]:
    """The rule with every duration that makes a difference."""
    ends = [t.utterances[pause_s] for t in trials]
    waits = [at_s for (_, at_s), t in zip(ends, trials, strict=True) if t.call.group == "human, a word"]
    found = []
    for longer_s in sorted({round(s, 2) for s, _ in ends}):
        caught = share([s > longer_s for (s, _), t in zip(ends, trials, strict=True) if t.call.machine])
        taken = share([s > longer_s for (s, _), t in zip(ends, trials, strict=True) if not t.call.machine])
        found.append(Rule(pause_s, longer_s, caught, taken, percentile(waits, 50)))
    return found


def best(rules: Sequence[Rule]) -> Rule | None:
    """The one that catches most among those that take few enough humans for machines."""
    return max((r for r in rules if r.taken <= TAKEN), key=lambda r: r.caught, default=None)


def _set(report: Report, trials: list[Trial]) -> None:
    on_one_line = [t for t in trials if t.call.line == "quiet"]
    counts = {g: sum(t.call.group == g for t in on_one_line) for g in amd_calls.GROUPS}
    humans = counts["human, a word"] + counts["human, 2-4 s"]
    machines = counts["machine"] + counts["machine, short opening"]
    introduced = sum(not t.call.machine and 2 <= t.call.speech_s <= 4 for t in on_one_line)
    enough = report.quick or (min(humans, machines) >= 100 and introduced >= 40
                              and counts["machine, short opening"] >= 30)  # fmt: skip
    report.row("calls, each on a quiet line and once more in noise", "100 of each, 40 humans of 2-4 s, 30 openings",
               f"{humans} humans, {introduced} of 2-4 s; {machines} machines, {counts['machine, short opening']} with "
               "a short opening", enough)  # fmt: skip


def _errors(report: Report, trials: list[Trial]) -> tuple[float, float]:
    humans, machines = ([t for t in trials if t.call.machine is kind] for kind in (False, True))
    caught, taken = [t.machine for t in machines], [t.ever_machine for t in humans]
    report.row("machines caught", f">= {100 * CAUGHT:.0f} %", told(caught), share(caught) >= CAUGHT)
    report.row("humans taken for machines", f"<= {100 * TAKEN:.0f} %", told(taken), share(taken) <= TAKEN)
    at_once = [t.verdicts[0].verdict.startswith("machine") for t in machines]
    report.row("machines caught by the first verdict, before a word is said to them", "", told(at_once))
    late = [t for t, once in zip(machines, at_once, strict=True) if not once and t.machine]
    seconds = [next(v.at_ms for v in t.verdicts if v.verdict.startswith("machine")) / 1000 - t.decided_s for t in late]
    if seconds:
        report.row("the others were spoken to for", "", f"p50 {percentile(seconds, 50):.1f} s, p95 "
                   f"{percentile(seconds, 95):.1f} s")  # fmt: skip
    unsure = [t.verdicts[0].verdict == "unsure" for t in trials]
    report.row("unsure, treated as human", "", told(unsure))
    return share(caught), share(taken)


def _by_duration(report: Report, trials: list[Trial]) -> None:
    for low, high in ((0, 0.5), (0.5, 1), (1, 2), (2, 3), (3, 4)):
        some = [t.ever_machine for t in trials if not t.call.machine and low <= t.call.speech_s < high]
        if some:
            report.row(f"humans who speak {low:g}-{high:g} s, taken for machines", "", told(some))
    for low, high in ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        some = [t for t in trials if t.call.group == "machine, short opening" and low <= t.call.pause_s < high]
        if some:
            once = [t.verdicts[0].verdict.startswith("machine") for t in some]
            report.row(f"machines that pause {low:g}-{high:g} s after a short opening: caught; by the first verdict",
                       "",
                       f"{told([t.machine for t in some])}; {told(once)}")  # fmt: skip
    for line in sorted({t.call.line for t in trials}):
        some = [t for t in trials if t.call.line == line]
        report.row(f"line with {line}: machines caught; humans taken for machines", "",
                   f"{told([t.machine for t in some if t.call.machine])}; "
                   f"{told([t.ever_machine for t in some if not t.call.machine])}")  # fmt: skip
    for language in sorted({t.call.language for t in trials}):
        some = [t for t in trials if t.call.language == language]
        report.row(f"language {language}: machines caught; humans taken for machines", "",
                   f"{told([t.machine for t in some if t.call.machine])}; "
                   f"{told([t.ever_machine for t in some if not t.call.machine])}")  # fmt: skip


def _times(report: Report, trials: list[Trial]) -> None:
    for group in amd_calls.GROUPS:
        seconds = [t.decided_s for t in trials if t.call.group == group]
        required = group == "human, a word"
        report.row(f"answer to first verdict, {group}", f"p50 <= {DECISION_S} s" if required else "",
                   f"p50 {percentile(seconds, 50):.2f} s, p95 {percentile(seconds, 95):.2f} s",
                   percentile(seconds, 50) <= DECISION_S if required else None)  # fmt: skip
    beeps = [t for t in trials if t.call.beep_end_s is not None]
    errors = [next((v.end_ms / 1000 - t.call.beep_end_s for v in t.verdicts if v.cause == "beep"), None) for t in beeps]
    near = [e is not None and abs(e) <= BEEP_S for e in errors]
    worst = max((abs(e) for e in errors if e is not None), default=0.0)
    off = f"{told(near)}, at most {1000 * worst:.0f} ms off"
    report.row("end of the beep within 150 ms", "every beep", off, all(near))
    false = [t.call.beep_end_s is None and any(v.cause == "beep" for v in t.verdicts) for t in trials]
    report.row("beeps heard where there is none", "", told(false))


def _rules(report: Report, trials: list[Trial], caught: float) -> list[Rule]:
    """Every single-duration rule; the best of each pause is reported, and we must beat the best that is fast enough."""
    rules = {p: single_durations(trials, p) for p in PAUSES_S}
    for pause_s, some in rules.items():
        if (rule := best(some)) is not None:
            report.row(f"single duration, up to a pause of {pause_s:g} s", "", f"machine beyond {rule.longer_s:.2f} s: "
                       f"{100 * rule.caught:.1f} % caught, {100 * rule.taken:.1f} % of humans, "
                       f"p50 {rule.decided_s:.2f} s for a word")  # fmt: skip
    fast = [r for some in rules.values() for r in some if r.decided_s <= DECISION_S]
    rival = best(fast)
    if rival is not None:
        report.row("machines caught, the best such rule that answers a word in time", f"> {100 * rival.caught:.1f} %",
                   f"{100 * caught:.1f} %", caught > rival.caught)  # fmt: skip
    return [rule for some in rules.values() for rule in some]


def _others(report: Report, data: Path | None, settings: Amd) -> None:
    """People whom nothing was chosen on, and whom no requirement was ever checked with."""
    if data is None:
        return
    by_corpus: dict[str, list[bool]] = {}
    for call in amd_calls.others(data, report.seed):
        by_corpus.setdefault(call.name.split()[0], []).append(tried(call, settings).ever_machine)
    for name, taken in by_corpus.items():
        report.row(f"people of {name}, in noise, taken for machines", "", told(taken))


def least_costs(trials: Sequence[Trial]) -> dict[str, float]:
    """By language, the dearest of `CHOOSE_COSTS` at which anybody is taken for a machine, else the least of them."""
    found: dict[str, float] = {}
    for t in trials:
        worst = max((cost for cost, (_, ever) in t.by_cost.items() if ever), default=CHOOSE_COSTS[0])
        found[t.call.language] = max(worst, found.get(t.call.language, 0.0))
    return found


def next_language(costs: Sequence[float]) -> float:
    """The cost at which a further language has nobody taken for a machine, with a chance of CHOOSE_CHANCE.

    Prediction interval of one more value after these, whose logarithms are taken to be normal (Student's t).
    """
    logs = np.log(costs)
    spread = float(logs.std(ddof=1)) * (1 + 1 / len(logs)) ** 0.5
    return float(np.exp(logs.mean() + STUDENT_T[len(logs) - 1] * spread))


def _choose(report: Report) -> None:
    humans = [
        call for more in range(CHOOSE_SEEDS) for call in amd_calls.fitting(report.seed + more) if not call.machine
    ]
    costs = least_costs([tried(call, Amd(), CHOOSE_COSTS) for call in humans])
    for language, cost in sorted(costs.items(), key=lambda one: one[1]):
        report.row(f"fitting set, {language}: nobody taken for a machine above a cost of", "", f"{cost:.1f}")
    report.row(f"hang_up_cost, {100 * CHOOSE_CHANCE:.0f} % certain for one more language", "",
               f"{next_language(list(costs.values())):.1f} ({len(humans)} calls)")  # fmt: skip


def _nobody(report: Report, data: Path | None, settings: Amd) -> None:
    found = {}
    for name, pcm in amd_calls.nobody(data, report.seed).items():
        verdicts = judged(measured(pcm, settings), settings)
        found[name] = f"{verdicts[0].verdict} ({verdicts[0].cause})" if verdicts else "none"
    report.row("nobody speaks, but", "no machine", ", ".join(f"{k}: {v}" for k, v in found.items()),
               not any(v.startswith("machine") for v in found.values()))  # fmt: skip


def trade_off(trials: Sequence[Trial]) -> list[tuple[float, float, float]]:
    """(cost, humans taken for machines, machines caught) of `hang_up_cost` from careless to careful."""
    return [
        (cost, share([t.by_cost[cost][1] for t in trials if not t.call.machine]),
         share([t.by_cost[cost][0] for t in trials if t.call.machine])) for cost in COSTS
    ]  # fmt: skip


def draw(file: Path, ours: Sequence[tuple[float, float, float]], rules: Sequence[Rule], here: float) -> None:
    """Across: humans taken for machines, 0-20 %. Up: machines caught, 50-100 %. Blue: costs; grey: one duration, by the
    pause that ends it, dark where a word is answered in time."""
    edge, side = 70, 600
    picture = Image.new("RGB", (side + 2 * edge, side + 2 * edge), "white")
    pen = ImageDraw.Draw(picture)

    def at(taken: float, caught: float) -> tuple[float, float]:
        return edge + taken / 0.2 * side, edge + (1 - max(caught, 0.5)) / 0.5 * side

    for step in range(11):
        pen.line([at(step / 50, 0.5), at(step / 50, 1)], fill=(225, 225, 225))
        pen.line([at(0, 0.5 + step / 20), at(0.2, 0.5 + step / 20)], fill=(225, 225, 225))
        pen.text((at(step / 50, 0)[0] - 6, edge + side + 8), f"{2 * step}", fill="black")
        pen.text((edge - 30, at(0, 0.5 + step / 20)[1] - 6), f"{50 + 5 * step}", fill="black")
    pen.line([at(TAKEN, 0.5), at(TAKEN, 1)], fill=(220, 120, 120), width=2)
    pen.line([at(0, CAUGHT), at(0.2, CAUGHT)], fill=(220, 120, 120), width=2)
    for pause_s in PAUSES_S:
        curve = [r for r in rules if r.pause_s == pause_s and r.taken <= 0.2]
        if len(curve) > 1:
            ink = (110, 110, 110) if curve[0].decided_s <= DECISION_S else (190, 190, 190)
            pen.line([at(r.taken, r.caught) for r in curve], fill=ink, width=2)
            pen.text((edge + side + 6, at(0.2, curve[0].caught)[1] - 6), f"{pause_s:g} s", fill=ink)
    shown = [one for one in ours if one[1] <= 0.2]
    pen.line([at(taken, caught) for _, taken, caught in shown], fill=(20, 90, 180), width=3)
    for cost, taken, caught in shown:
        x, y = at(taken, caught)
        size = 7 if cost == here else 3
        pen.ellipse([x - size, y - size, x + size, y + size], fill=(200, 30, 30) if cost == here else (20, 90, 180))
        pen.text((x + 10, y + 4), f"{cost:g}", fill=(20, 90, 180))
    axes = "up: machines caught, %   across: humans taken for machines, %   red lines: required"
    pen.text((edge, 14), axes, fill="black")
    pen.text((edge, 32), f"blue: by hang_up_cost; the dot is {here:g}", fill=(20, 90, 180))
    pen.text((edge, 50), "grey: one duration, up to a pause; light: a word is answered too late", fill=(110, 110, 110))
    picture.save(file)


async def measure(report: Report, options: argparse.Namespace) -> None:
    data, settings = data_folder(options.data), Amd()
    if options.choose:
        _choose(report)
        return
    costs = COSTS if options.plot else ()
    trials = [tried(call, settings, costs) for call in amd_calls.reported(data, report.seed, report.quick)]
    _set(report, trials)
    caught, _ = _errors(report, trials)
    _times(report, trials)
    rules = _rules(report, trials, caught)
    _by_duration(report, trials)
    _nobody(report, data, settings)
    if not report.quick:
        _others(report, data, settings)
    if options.plot:
        curve = trade_off(trials)
        draw(Path(options.plot), curve, rules, settings.hang_up_cost)
        for cost, taken, found in curve:
            report.note(f"hang_up_cost {cost:g}: {100 * found:.1f} % caught, {100 * taken:.1f} % of humans")
    report.details["calls"] = [
        {"name": t.call.name, "group": t.call.group, "language": t.call.language, "line": t.call.line,
         "begin_s": t.call.begin_s, "speech_s": t.call.speech_s, "pause_s": t.call.pause_s,
         "verdicts": [msgspec.to_builtins(v) for v in t.verdicts]} for t in trials
    ]  # fmt: skip


def _extend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--choose", action="store_true", help="work out hang_up_cost on the fitting set")
    parser.add_argument("--plot", default="", metavar="FILE.png", help="draw machines caught against humans hung up on")


def main(argv: list[str]) -> int:
    return run("amd", __doc__, measure, argv, _extend)
