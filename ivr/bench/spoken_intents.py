"""Spoken intents: from the sound of a question to its intent, through the telephone band, beside the same as text.

400 questions of BANKING77's training file, in no model, are spoken by Piper and by espeak-ng, sent through G.711 and
heard by the embedded recogniser; the model is trained on all others. In Mandarin the paraphrases of the bank's intents
are spoken by espeak-ng and asked of the bank's plan. Forced choice: nothing is rejected.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ivr.bench import corpus, recognition
from ivr.bench.report import ROOT, Report, data_folder, run
from ivr.caller.speak import speak
from ivr.config import Config, Speech, Synthesis
from ivr.dialog.plan_file import load
from ivr.errors import Unavailable
from ivr.intents import data
from ivr.speech.tts import PiperVoice
from ivr.turn import Expectation, Hypothesis
from ivr.understanding.intents import Example, Model
from ivr.understanding.training import train

QUESTIONS, QUESTIONS_ZH = 400, 100
LEAST_PIPER = 0.85
ESPEAK = "en-us"
PARAPHRASES_ZH = ROOT / "tests" / "intents" / "bank_zh.csv"

Speaker = Callable[[str], np.ndarray]
"""A text as 8 kHz int16 audio."""


def first(model: Model, readings: Sequence[tuple[str, float]]) -> str:
    """The likeliest intent of the readings of one utterance, rejected or not."""
    ranked = model.decide(readings).ranked
    return ranked[0].intent if ranked else ""


def readings(heard: Hypothesis) -> list[tuple[str, float]]:
    """The recogniser's best line and its alternatives."""
    return [(heard.text, heard.confidence), *((a.text, a.confidence) for a in heard.alternatives)]


def spoken(report: Report, what: str, model: Model, asked: Sequence[Example], say: Speaker, ear: recognition.Ear,
           least: float | None = None) -> None:  # fmt: skip
    """A row for one voice: right by the best line, with the alternatives, and beside the text itself."""
    best, several, details = 0, 0, []
    for question in asked:
        sound = corpus.Utterance(question.text, question.text, question.language, corpus.at_level(say(question.text)))
        heard = ear.hear(sound, Expectation("open", question.language))
        line, every = first(model, [(heard.text, 1.0)]), first(model, readings(heard))
        best, several = best + (line == question.intent), several + (every == question.intent)
        details.append([question.text, heard.text, question.intent, every])
    typed = sum(first(model, [(q.text, 1.0)]) == q.intent for q in asked)
    of = 100 / len(asked)
    report.row(
        what, f">= {100 * least:.0f} %" if least else "",
        f"{of * several:.1f} % of {len(asked)} with the alternatives, {of * best:.1f} % by the best line alone; as text"
        f" {of * typed:.1f} %, so the sound costs {of * (typed - several):.1f} points; {ear.times()}",
        several >= least * len(asked) if least else None,
    )  # fmt: skip
    report.details[what] = details


def english(report: Report, source: Path) -> None:
    examples = list(data.read(source, "en").train)
    random.Random(report.seed).shuffle(examples)  # noqa: S311 - a reproducible draw, nothing secret
    count = 4 if report.quick else QUESTIONS
    asked, known = examples[:count], examples[count : 400 if report.quick else None]
    model = train(known, "en")
    ear = recognition.load("en")
    config = Config(root=str(ROOT), synthesis=Synthesis(timeout_s=60), speech={"en": Speech(voice="piper")})
    try:
        piper = PiperVoice(config, "en")
    except Unavailable as error:
        report.row("BANKING77 spoken by Piper", "measured", f"not measured: {error}", False)
    else:
        try:
            spoken(report, "BANKING77 spoken by Piper", model, asked, lambda text: _at_8_khz(*piper.speak(text, "en")),
                   ear, None if report.quick else LEAST_PIPER)  # fmt: skip
        finally:
            piper.close()
    spoken(report, "BANKING77 spoken by espeak-ng", model, asked, lambda text: speak(text, "en", ESPEAK), ear)


def mandarin(report: Report) -> None:
    plan = load(ROOT / "dialplans" / "bank.yaml")
    known = [e for e in plan.knowledge.examples if e.language == "zh"]
    asked = list(data.read(PARAPHRASES_ZH, "zh").train)
    random.Random(report.seed).shuffle(asked)  # noqa: S311 - a reproducible draw, nothing secret
    asked = asked[: 3 if report.quick else QUESTIONS_ZH]
    what = "Mandarin paraphrases spoken by espeak-ng"
    spoken(report, what, train(known, "zh"), asked, lambda text: speak(text, "zh"), recognition.load("zh"))


def _at_8_khz(sound: bytes, rate_hz: int) -> np.ndarray:
    return corpus.resampled(np.frombuffer(sound, dtype="<i2"), rate_hz)


async def measure(report: Report, options: argparse.Namespace) -> None:
    folder = data_folder(options.data)
    source = folder / "banking77" / "train.csv" if folder else None
    if source is None or not source.is_file():
        raise Unavailable("there is no banking77/train.csv; name its folder with --data")
    await asyncio.to_thread(english, report, source)
    await asyncio.to_thread(mandarin, report)


def main(argv: list[str]) -> int:
    return run("spoken_intents", __doc__, measure, argv)
