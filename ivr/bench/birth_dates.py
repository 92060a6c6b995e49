"""Birth dates in every synthetic voice there is, through G.711, a third in noise at 15 dB: who is believed.

A caller says one date in several ways, asked three times at most; an impostor says theirs where another is expected:
any, or one that nearly sounds alike. Weights in `understanding.identity` were fitted on one half of the voices
(`FITTED`), and what is reported is of the others. Part of `ivr bench identity --spoken`.
"""

from __future__ import annotations

import datetime
import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ivr.bench import corpus, recognition
from ivr.bench.report import ROOT, Report
from ivr.caller.rtp import RATE_HZ
from ivr.caller.speak import at_telephone_rate, speak
from ivr.config import load
from ivr.speech import spoken_en, spoken_zh
from ivr.speech.tts import PiperVoice
from ivr.turn import Expectation
from ivr.understanding import lineup
from ivr.understanding.knowledge import Knowledge
from ivr.understanding.proving import Proofs
from ivr.understanding.understand import Vocabulary

FITTED = {
    "en": ("slt", "kal16", "en-us", "en-gb+f4", "en-gb-scotland+m3", "en-029+f2", "festival"),
    "zh": tuple(f"cmn-latn-pinyin{variant}" for variant in ("", "+f1", "+f3", "+f5", "+m1", "+m4", "+m7")),
}
REPORTED = {
    "en": ("piper", "rms", "awb", "en-us+f2", "en-gb", "en-gb-x-rp+m1", "en-gb-x-gbcwmd+f3"),
    "zh": tuple(f"cmn-latn-pinyin{variant}" for variant in ("+f2", "+f4", "+m2", "+m3", "+m5", "+m6", "+m8")),
}
CALLERS = 21
ANSWERS = 3
_ANYBODY, _NEAR = 3, 1
_SNR_DB = 15.0
_NOISES = ("babble", "tap", "bike")
_FIRST, _SPAN_DAYS = datetime.date(1935, 1, 1), 26_000


@dataclass(frozen=True)
class Caller:
    """Somebody's birth date, said several times."""

    voice: str
    born: str
    takes: tuple[corpus.Utterance, ...]


def said(born: datetime.date, language: str) -> tuple[str, ...]:
    """Ways to say a birth date."""
    if language == "zh":
        year, day = spoken_zh.year(born.year), spoken_zh.date(None, born.month, born.day)
        whole = f"{year}年{day}"
        return (f"{whole[:-1]}号", whole, f"我是{whole[:-1]}号出生的", f"{year[2:]}年{day[:-1]}号")
    month, day = spoken_en.MONTHS[born.month - 1], spoken_en.ordinal(born.day)
    year = spoken_en.year(born.year)
    return (
        f"The {day} of {month}, {year}.",
        f"{month} the {day}, {year}.",
        f"{month} {day} {year}",
        f"I was born on {day} {month} {year}.",
    )


def callers(language: str, voices: Sequence[str], count: int, data: Path | None, seed: int) -> list[Caller]:
    """`count` callers. Raises Unavailable where a voice or noise is missing."""
    chance, found = corpus.seeded(seed), []
    piper = PiperVoice(load(ROOT / "config.toml"), "en") if "piper" in voices else None
    try:
        for number in range(count):
            voice, born = voices[number % len(voices)], _day(chance)
            takes = []
            for text in chance.sample(said(born, language), ANSWERS):
                if voice == "piper":
                    speech, rate_hz = piper.speak(text, "en")
                    wave = at_telephone_rate(np.frombuffer(speech, "<i2"), rate_hz)
                else:
                    wave = speak(text, language, voice)
                wave = corpus.at_level(wave)
                if number // len(voices) % 2:
                    wave = _noisy(wave, data, chance)
                takes.append(corpus.Utterance(f"{voice}: {text}", text, language, wave, voice, born.isoformat()))
            found.append(Caller(voice, born.isoformat(), tuple(takes)))
    finally:
        if piper is not None:
            piper.close()
    return found


def _day(chance: random.Random) -> datetime.date:
    return _FIRST + datetime.timedelta(chance.randrange(_SPAN_DAYS))


def _noisy(wave: np.ndarray, data: Path | None, chance: random.Random) -> np.ndarray:
    """With noise 15 dB below its loud part."""
    loud = wave[np.abs(wave.astype(np.int32)) > 0.1 * np.max(np.abs(wave.astype(np.int32)))].astype(np.float64)
    level = float(np.sqrt(np.mean(loud**2))) / 10 ** (_SNR_DB / 20)
    noise = corpus.noise(data, chance.choice(_NOISES), len(wave) / RATE_HZ + 0.01, chance.randrange(10**6), level)
    return np.clip(wave + noise[: len(wave)].astype(np.int32), -32_000, 32_000).astype(np.int16)


def near(born: str, language: str, chance: random.Random) -> str:
    """A date that nearly sounds like another: one part of it is off."""
    alike = [d for d in lineup.dates(born, language, chance.randbytes(8)) if d != born and _shared(d, born) == 2]
    return chance.choice(alike)


def _shared(one: str, other: str) -> int:
    return sum(a == b for a, b in zip(one.split("-"), other.split("-"), strict=True))


def spoken(report: Report, data: Path | None, plan: tuple[float, float]) -> None:
    """Both languages, read freely alone and with the line-up; `plan`: the thresholds of asking again."""
    for language in REPORTED:
        count = len(REPORTED[language]) if report.quick else CALLERS
        ear, chance = recognition.load(language), corpus.seeded(report.seed)
        trials = []
        for caller in callers(language, REPORTED[language], count, data, report.seed + 1):
            trials.append(("callers", caller, caller.born))
            trials += [("impostors", caller, _day(chance).isoformat()) for _ in range(_ANYBODY)]
            trials += [("impostors a part off", caller, near(caller.born, language, chance)) for _ in range(_NEAR)]
        freely: dict[str, list[_Asked]] = {}
        lined_up: dict[str, list[_Asked]] = {}
        for who, caller, expected in trials:
            hear = functools.cache(functools.partial(_heard, ear, caller, expected))
            freely.setdefault(who, []).append(_asked(lambda n, hear=hear: hear(n)[0], plan))
            lined_up.setdefault(who, []).append(_asked(lambda n, hear=hear: hear(n)[1], plan))
        report.note(f"birth dates, {language}, with the line-up: {ear.times()}")
        _rows(report, f"birth dates spoken, {language}, read freely", freely)
        _rows(report, f"birth dates spoken, {language}, with the line-up", lined_up, required=True)


def _heard(ear: recognition.Ear, caller: Caller, expected: str, number: int) -> tuple[float, float]:
    """What an answer is worth in nats, as it was read freely and by the line-up."""
    take, proofs = caller.takes[number], Proofs({"birth_date": expected}, b"bench")
    expectation = Expectation("date", take.language, proof="birth_date", sensitive=True)
    heard = ear.hear(take, proofs.listening(expectation))
    weighed = (
        proofs.heard(Vocabulary(Knowledge(())), expectation, one).evidence
        for one in (replace(heard, line_up=()), heard)
    )
    freely, lined_up = (evidence.score if evidence else 0.0 for evidence in weighed)
    return freely, lined_up


@dataclass(frozen=True)
class _Asked:
    """Whether somebody is believed, after how many questions, and the sum of the scores."""

    proven: bool
    questions: int
    total: float


def _asked(score: Callable[[int], float], plan: tuple[float, float]) -> _Asked:
    total = 0.0
    for number in range(ANSWERS):
        total += score(number)
        if not plan[1] < total < plan[0]:
            return _Asked(total >= plan[0], number + 1, total)
    return _Asked(False, ANSWERS, total)


def _rows(report: Report, what: str, found: dict[str, list[_Asked]], required: bool = False) -> None:
    for who, asked in found.items():
        proven, questions = sum(a.proven for a in asked), f"{np.mean([a.questions for a in asked]):.2f} questions"
        if who == "callers":
            once = sum(a.proven and a.questions == 1 for a in asked)
            report.row(f"{what}: false rejects", "", f"{len(asked) - proven} of {len(asked)}, {questions}, "
                       f"{once} proven by the first answer")  # fmt: skip
            continue
        needed = required and who == "impostors"
        report.row(f"{what}: {who} accepted", "none" if needed else "",
                   f"{proven} of {len(asked)}, {questions}, highest sum {max(a.total for a in asked):.1f}",
                   not proven if needed else None)  # fmt: skip
