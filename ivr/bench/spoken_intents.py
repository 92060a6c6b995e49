"""Spoken intents: from the sound of a question to its intent, through the telephone band, beside the same as text.

400 questions of BANKING77's training file, in no model, are spoken by Piper and by espeak-ng, sent through G.711 and
heard by the embedded recogniser; the model is trained on all others. In Mandarin the paraphrases of the bank's intents
are spoken by espeak-ng and asked of the bank's plan. Forced choice: nothing is rejected. `--sounds FOLDER` keeps what
was spoken, so that a run that was broken off, or the next one, need not speak it again.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ivr.bench import corpus, recognition
from ivr.bench.report import ROOT, Report, data_folder, run
from ivr.caller.speak import read_wav, speak
from ivr.config import Config, Speech, Synthesis
from ivr.dialog.plan_file import load
from ivr.errors import Unavailable
from ivr.intents import data
from ivr.speech import pcm
from ivr.speech.tts import PiperVoice
from ivr.turn import Expectation, Hypothesis
from ivr.understanding.intents import Example, Model
from ivr.understanding.training import train

QUESTIONS, QUESTIONS_ZH = 400, 100
LEAST_PIPER = 0.85
VOICE_TIMEOUT_S = 1_800
"""Nobody waits for these sentences, and the bench may be of the lowest priority on a busy machine."""
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


def kept(say: Speaker, folder: Path | None, voice: str) -> Speaker:
    """`say`, but what `folder` holds of the voice is taken from there, and what is new is put there."""
    if folder is None:
        return say

    def said(text: str) -> np.ndarray:
        path = folder / f"{voice}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.wav"
        if not path.exists():
            part = path.with_suffix(".part")
            pcm.write_wav(part, say(text).astype("<i2").tobytes(), corpus.RATE_HZ)
            part.replace(path)
        return read_wav(path)

    return said


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


def english(report: Report, source: Path, sounds: Path | None) -> None:
    examples = list(data.read(source, "en").train)
    random.Random(report.seed).shuffle(examples)  # noqa: S311 - a reproducible draw, nothing secret
    count = 4 if report.quick else QUESTIONS
    asked, known = examples[:count], examples[count : 400 if report.quick else None]
    model = train(known, "en")
    ear = recognition.load("en")
    voice = {"en": Speech(voice="piper")}
    config = Config(root=str(ROOT), synthesis=Synthesis(timeout_s=VOICE_TIMEOUT_S), speech=voice)
    try:
        piper = PiperVoice(config, "en")
    except Unavailable as error:
        report.row("BANKING77 spoken by Piper", "measured", f"not measured: {error}", False)
    else:
        say = kept(lambda text: _at_8_khz(*piper.speak(text, "en")), sounds, piper.name)
        try:
            spoken(report, "BANKING77 spoken by Piper", model, asked, say, ear, None if report.quick else LEAST_PIPER)
        finally:
            piper.close()
    say = kept(lambda text: speak(text, "en", ESPEAK), sounds, ESPEAK)
    spoken(report, "BANKING77 spoken by espeak-ng", model, asked, say, ear)


def mandarin(report: Report, sounds: Path | None) -> None:
    plan = load(ROOT / "dialplans" / "bank.yaml")
    known = [e for e in plan.knowledge.examples if e.language == "zh"]
    asked = list(data.read(PARAPHRASES_ZH, "zh").train)
    random.Random(report.seed).shuffle(asked)  # noqa: S311 - a reproducible draw, nothing secret
    asked = asked[: 3 if report.quick else QUESTIONS_ZH]
    what = "Mandarin paraphrases spoken by espeak-ng"
    say = kept(lambda text: speak(text, "zh"), sounds, "zh")
    spoken(report, what, train(known, "zh"), asked, say, recognition.load("zh"))


def _at_8_khz(sound: bytes, rate_hz: int) -> np.ndarray:
    return corpus.resampled(np.frombuffer(sound, dtype="<i2"), rate_hz)


async def measure(report: Report, options: argparse.Namespace) -> None:
    folder = data_folder(options.data)
    source = folder / "banking77" / "train.csv" if folder else None
    if source is None or not source.is_file():
        raise Unavailable("there is no banking77/train.csv; name its folder with --data")
    sounds = Path(options.sounds) if options.sounds else None
    if sounds is not None:
        sounds.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(english, report, source, sounds)
    await asyncio.to_thread(mandarin, report, sounds)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sounds", default="", metavar="FOLDER", help="keep what is spoken there, and use what is")


def main(argv: list[str]) -> int:
    return run("spoken_intents", __doc__, measure, argv, _options)
