"""Whether an answer begins with the answer: its first seconds, recognised back, beside the words it should be.

Uses the server's own recognisers, loaded here. What is compared is sound, not spelling: English words, Mandarin
syllables without tones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import soxr
from rapidfuzz.distance import Levenshtein

from ivr import readings
from ivr.bench.corpus import words
from ivr.bench.harness import ROOT
from ivr.caller.rtp import RATE_HZ
from ivr.config import Config, Number, Paths
from ivr.speech import engines
from ivr.turn import Expectation

SECONDS = 2.5
ENOUGH = 0.5
"""Share of the expected beginning that may be misheard: these are synthetic voices over G.711."""


@dataclass(frozen=True)
class Beginning:
    """What should be said and the first SECONDS of what was received, from its first loud frame."""

    language: str
    text: str
    pcm: np.ndarray


def units(text: str, language: str) -> list[str]:
    return readings.toneless(re.sub(r"[^\u4e00-\u9fff]", "", text)) if language == "zh" else words(text)


def fits(expected: str, heard: str, language: str) -> bool:
    """Whether `heard`, cut off after a few seconds, is how `expected` begins."""
    got = units(heard, language)
    if not got:
        return False
    wanted = units(expected, language)[: len(got)]
    return Levenshtein.distance(wanted, got) <= ENOUGH * len(wanted)


def recognised(beginnings: list[Beginning]) -> list[tuple[Beginning, str]]:
    """Each beginning with what the recogniser makes of it. Raises Unavailable without models."""
    languages = sorted({b.language for b in beginnings})
    config = Config(
        root=str(ROOT), paths=Paths(models=str(ROOT / "models")),
        number=tuple(Number(pattern=str(i), plan="main", language=language) for i, language in enumerate(languages)),
    )  # fmt: skip
    loaded = engines.build(config)
    found = []
    for one in beginnings:
        stream = loaded[one.language][0].stream(Expectation("open", one.language))
        wide = soxr.resample(one.pcm.astype(np.float32), RATE_HZ, 2 * RATE_HZ)
        stream.accept(np.clip(wide, -32_768, 32_767).astype("<i2").tobytes())
        found.append((one, stream.finish().text))
    return found
