"""recognition: the recognisers alone, on recorded speech through G.711, without a call: errors and time.

The same material as `accuracy`, judged decode by decode, so that a threshold or a context can be judged in minutes.
Times are of one decode on one thread: wall clock, and processor time, which other load on the machine hardly changes.
`--contexts` adds a table of word errors and times by context length and number of beams.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from ivr import readings
from ivr.bench import corpus
from ivr.bench.accuracy import FIGURES_ZH, short_words, word_errors
from ivr.bench.report import ROOT, Report, data_folder, percentile, run
from ivr.errors import Unavailable
from ivr.speech import pcm, whisper
from ivr.speech.whisper import WhisperRecognizer
from ivr.speech.whisper_model import WhisperModel
from ivr.turn import Expectation, Hypothesis

MODELS = {"en": "whisper-tiny-en", "zh": "whisper-base"}
BEFORE_MS, AFTER_MS = 300, 160
CONTEXTS = ((4.0, 2.0), (5.0, 3.0), (6.0, 4.0), (8.0, 6.0))
BEAMS = (1, 2, 3, 5)


@dataclass
class Ear:
    """A recogniser with the times of its decodes."""

    recognizer: WhisperRecognizer
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def hear(self, utterance: corpus.Utterance, expectation: Expectation) -> Hypothesis:
        """As the session asks: 300 ms from before the speech, 160 ms of silence after it."""
        spoken = pcm.over_telephone(utterance.pcm.astype("<i2").tobytes(), corpus.RATE_HZ)
        audio = pcm.silence(BEFORE_MS) + spoken + pcm.silence(AFTER_MS)
        wall, cpu = time.perf_counter(), time.process_time()
        heard = self.recognizer.recognize(audio, expectation)
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(time.process_time() - cpu)
        return heard

    def times(self) -> str:
        """Of the decodes since it was last asked."""
        text = (f"wall p50 {1e3 * percentile(self.wall_s, 50):.0f} p95 {1e3 * percentile(self.wall_s, 95):.0f} ms, "
                f"processor p50 {1e3 * percentile(self.cpu_s, 50):.0f} ms")  # fmt: skip
        self.wall_s.clear()
        self.cpu_s.clear()
        return text


def load(language: str) -> Ear:
    return Ear(WhisperRecognizer(WhisperModel(ROOT / "models" / MODELS[language]), language))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f} % ({part} of {whole})"


def sentences(report: Report, ear: Ear, _data: Path | None) -> None:
    said = corpus.prompts(6 if report.quick else 60, report.seed)
    pairs = []
    for utterance in said:
        heard = ear.hear(utterance, Expectation("open", "en"))
        pairs.append((utterance, heard, *word_errors(utterance.text, heard.text)))
    rate = 100 * sum(p[2] for p in pairs) / max(1, sum(p[3] for p in pairs))
    report.row(f"word errors, {len(said)} recorded sentences", "<= 8 %", f"{rate:.1f} %; {ear.times()}", rate <= 8)
    report.details["sentences"] = [{"said": u.text, "heard": h.text, "errors": e, "ended": h.ended}
                                   for u, h, e, _ in pairs]  # fmt: skip


def answers(report: Report, ear: Ear, data: Path | None) -> None:
    """Yes and no, other words, and noise, in a yes/no step."""
    step = 8 if report.quick else 1
    expectation = Expectation("yes_no", "en")
    words = short_words(data)
    wanted = [u for u in words if u.text in ("yes", "no")][::step]
    right = [u for u in wanted if ear.hear(u, expectation).text == u.text]
    report.row("yes and no", ">= 97 %", f"{_share(len(right), len(wanted))}; {ear.times()}",
               len(right) >= 0.97 * len(wanted))  # fmt: skip
    others = [u for u in words if not {"yes", "no"} & set(u.text.lower().split())][::step]
    taken = [(u.text, h.text) for u in others if (h := ear.hear(u, expectation)).text in ("yes", "no")]
    report.row("other words taken as yes or no", "<= 5 %", f"{_share(len(taken), len(others))}; {ear.times()}",
               len(taken) <= 0.05 * len(others))  # fmt: skip
    report.details["others"] = taken
    noises = list(_noises(report, data))
    kinds = ("yes_no", "digits", "open")
    heard = [(n.name, k, t) for n in noises for k in kinds if (t := ear.hear(n, Expectation(k, "en")).text)]
    false_answers = [h for h in heard if h[1] == "yes_no"]
    report.row("noises taken as yes or no", "none", f"{len(false_answers)} of {len(noises)}", not false_answers)
    report.details["noise"] = heard


def _noises(report: Report, data: Path | None) -> Iterable[corpus.Utterance]:
    count = 1 if report.quick else 5
    for i in range(count):
        yield corpus.Utterance(f"cough {i}", "", "en", corpus.cough(report.seed + i, 200 + 60 * i))
    yield corpus.Utterance("silence", "", "en", np.ones(2 * corpus.RATE_HZ, np.int16) * 30)
    if data is not None:
        for name in ("babble", "music", "tap", "bike"):
            for i in range(count):
                yield corpus.Utterance(f"{name} {i}", "", "en", corpus.noise(data, name, 2.5, report.seed + i))


def digits(report: Report, ear: Ear, data: Path | None) -> None:
    found = corpus.recorded(data, "fsdd", "en")
    corpus.seeded(report.seed).shuffle(found)
    found = found[:10] if report.quick else found[:150]
    one = Expectation("digits", "en", min_digits=1, max_digits=1)
    right = [u for u in found if ear.hear(u, one).text == str(corpus.DIGITS.index(u.text))]
    report.row("digits one at a time", ">= 95 %", f"{_share(len(right), len(found))}; {ear.times()}",
               len(right) >= 0.95 * len(found))  # fmt: skip
    four = Expectation("digits", "en", min_digits=4, max_digits=4)
    said = corpus.digit_strings(data, 5 if report.quick else 60, 4, report.seed)
    heard = [(u, ear.hear(u, four)) for u in said]
    missed = [u for u, h in heard if h.text != u.label]
    again = [u for u in missed if ear.hear(corpus.spoken_again(data, u, report.seed + 1), four).text == u.label]
    first = len(said) - len(missed)
    report.row("strings of four digits, first try", ">= 80 %", f"{_share(first, len(said))}; {ear.times()}",
               first >= 0.8 * len(said))  # fmt: skip
    report.row("the same within one reprompt", ">= 93 %", _share(first + len(again), len(said)),
               first + len(again) >= 0.93 * len(said))  # fmt: skip
    report.details["strings"] = [{"said": u.label, "heard": h.text, "confidence": h.confidence} for u, h in heard]


def mandarin(report: Report, ear: Ear, data: Path | None) -> None:
    found = corpus.recorded(data, "zh_caller", "zh")
    step = 4 if report.quick else 1
    answers_ = [u for u in found if u.label in ("yes", "no", "unsure")][::step]
    heard = [(u, ear.hear(u, Expectation("yes_no", "zh"))) for u in answers_]
    right = sum(h.text == u.label for u, h in heard)
    swapped = sum(u.label == "no" and h.text == "yes" for u, h in heard)
    report.row("Mandarin yes, no, unsure", ">= 14 of 15, none swapped",
               f"{right} of {len(heard)}, {swapped} swapped; {ear.times()}",
               right >= 14 / 15 * len(heard) - 1e-9 and not swapped)  # fmt: skip
    strings = [u for u in found if u.label == "digits"][::step]
    four = Expectation("digits", "zh", min_digits=4, max_digits=4)
    right = sum(ear.hear(u, four).text == "".join(FIGURES_ZH[c] for c in u.text) for u in strings)
    report.row("Mandarin digits", ">= 6 of 7", f"{right} of {len(strings)}; {ear.times()}",
               right >= 6 / 7 * len(strings) - 1e-9)  # fmt: skip
    spoken = [u for u in found if u.label not in ("yes", "no", "unsure", "digits")][:: 2 * step]
    pairs = [(_hanzi(u.text), _hanzi(ear.hear(u, Expectation("open", "zh")).text)) for u in spoken]
    total = sum(len(said) for said, _ in pairs)
    characters = sum(Levenshtein.distance(a, b) for a, b in pairs)
    syllables = sum(Levenshtein.distance(readings.toneless(a), readings.toneless(b)) for a, b in pairs)
    report.row(f"Mandarin sentences ({len(spoken)})", "", f"{100 * characters / total:.1f} % of characters, "
               f"{100 * syllables / total:.1f} % of syllables wrong; {ear.times()}")  # fmt: skip
    report.details["mandarin"] = pairs


def _hanzi(text: str) -> str:
    plain = "".join("零一二三四五六七八九"[int(c)] if c in "0123456789" else c for c in text)
    return "".join(c for c in plain if "\u4e00" <= c <= "\u9fff")


def ends(report: Report, ears: dict[str, Ear], data: Path | None) -> None:
    """How well finished sentences are told from those that break off where the level dips."""
    rng = corpus.seeded(report.seed)
    for language, ear in ears.items():
        said = corpus.questions(language, data, report.seed)
        if language == "en":
            said += corpus.prompts(20, report.seed)
        whole, broken = [], []
        for utterance in said[:6] if report.quick else said[:40]:
            expectation = Expectation("open", language)
            whole.append(ear.hear(utterance, expectation).ended or 0.0)
            paused = corpus.with_pause(utterance, rng)
            if paused is not None and (cut := _before_pause(paused.pcm)) is not None:
                part = corpus.Utterance(utterance.name, utterance.text, language, cut)
                broken.append(ear.hear(part, expectation).ended or 0.0)
        told = sum(e >= 0.5 for e in whole), sum(e >= 0.5 for e in broken)
        report.row(f"taken for finished ({language})", "", f"finished {_share(told[0], len(whole))}, broken off "
                   f"{_share(told[1], len(broken))}; {ear.times()}")  # fmt: skip


def _before_pause(samples: np.ndarray) -> np.ndarray | None:
    """What was said before the longest stretch of digital silence."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], samples == 0, [0])).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return None
    longest = int(np.argmax(stops - starts))
    return samples[: starts[longest]] if starts[longest] > corpus.RATE_HZ // 4 else None


def contexts(report: Report, ear: Ear) -> None:
    """Word errors and times by context length and beams; changes the module's settings for the measurement only."""
    kept = whisper.CONTEXT_S, whisper.SILENCE_S, whisper.READINGS
    said = corpus.prompts(10 if report.quick else 60, report.seed)
    try:
        for least_s, silence_s in CONTEXTS:
            for beams in BEAMS:
                whisper.CONTEXT_S, whisper.SILENCE_S, whisper.READINGS = least_s, silence_s, beams
                pairs = [word_errors(u.text, ear.hear(u, Expectation("open", "en")).text) for u in said]
                rate = 100 * sum(e for e, _ in pairs) / max(1, sum(n for _, n in pairs))
                report.row(f"at least {least_s:g} s, {silence_s:g} s of silence, {beams} beams", "",
                           f"{rate:.1f} % of words; {ear.times()}")  # fmt: skip
    finally:
        whisper.CONTEXT_S, whisper.SILENCE_S, whisper.READINGS = kept


async def measure(report: Report, options: argparse.Namespace) -> None:
    data = data_folder(options.data)
    ears = {language: load(language) for language in MODELS}
    for part, language in ((sentences, "en"), (answers, "en"), (digits, "en"), (mandarin, "zh")):
        if not options.only or part.__name__ in options.only:
            try:
                part(report, ears[language], data)
            except Unavailable as error:
                report.row(part.__name__, "measured", f"not measured: {error}", False)
    if not options.only or "ends" in options.only:
        ends(report, ears, data)
    if options.contexts:
        contexts(report, ears["en"])
    report.note(f"memory with both models {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--contexts", action="store_true", help="word errors and times by context and beams")
    parser.add_argument("--only", action="append", default=[], help="sentences, answers, digits, mandarin or ends")


def main(argv: list[str]) -> int:
    return run("recognition", __doc__, measure, argv, _options)
