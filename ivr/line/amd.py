"""Who answered a call that we placed: a human, an answering machine, or a call-screening assistant.

Clocked by 20 ms frames of 8 kHz audio since the answer, and pure: no threads, clocks or models. Speech is told from the
line by level alone, against what the whole call has shown so far (a VAD calls a noisy line speech until it has learnt
it). What was said is taken as a first phrase, the pause behind it and the rest; how much likelier that is of a machine
than of a human is kept in nats: a human stops and waits, a machine goes on. Knows nothing of what is done about a
verdict. `beeps` finds the tones. The hearing thread of a line process runs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import msgspec
import numpy as np

from ivr.line.beeps import Beeps, Tone
from ivr.line.messages import FRAME_MS

# Power of a full-scale frame is 1. Silence counts as LEAST_POWER; less marks a frame of a tone, which is no speech and
# says nothing of the line.
LEAST_POWER = 1e-10
TONE_POWER, TONE_DB = 1e-12, -110.0
# A frame is speech when it is louder than the middle between the line's floor (10th percentile) and the loudest
# moment, and within DROP_DB of the latter. Both are of the whole call so far, so every frame is judged anew.
DROP_DB = 17.0
MIDDLE = 0.5
# Below this much between floor and peak nobody has spoken: the line hisses, or music plays without a breath.
CONTRAST_DB = 9.0
LOWEST_DB = -50.0
# Shorter gaps are inside a phrase, shorter bursts are clicks.
GAP_FRAMES = 240 // FRAME_MS
BURST_FRAMES = 80 // FRAME_MS
# In a pause at least so long these nats are enough for a human, and after the longest one nobody is kept waiting.
SHORTEST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 1.2
HUMAN_NATS = -3.0
# Who was taken for a human and talks on without a pause of REVISE_PAUSE_S is a machine all the same, with so much more
# evidence than before.
REVISE_NATS = math.log(5)
REVISE_PAUSE_S = 2.0
# Speech dips between its syllables; a phrase of STEADY_S with less than this many dips a second is music or noise.
STEADY_S = 2.5
DIPS_PER_S = 0.8
# Tones are kept out of the levels once they have lasted so long.
TONE_FRAMES = 3

SCREENING_WORDS = (
    "call screening", "screening service", "is screening", "state your name", "say your name and", "record your name",
    "reason for your call", "why you are calling", "why you're calling", "see if this person is available",
    "通话助理", "电话秘书", "智能助理", "智能秘书", "语音助手", "代接", "请说明来意", "请问您找他有什么事",
    "请问您找机主",
)  # fmt: skip
MACHINE_WORDS = (
    "leave a message", "leave your message", "leave your name", "after the tone", "at the tone", "after the beep",
    "not available", "unable to take your call", "you have reached", "you've reached", "voicemail", "voice mail",
    "请留言", "提示音", "嘀声", "语音信箱", "无法接听", "无人接听", "不方便接听", "暂时无法接通", "已关机",
)  # fmt: skip


class Amd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answering-machine detection."""

    hang_up_cost: Annotated[float, msgspec.Meta(ge=1, le=1_000_000)] = 20.0
    """Hanging up on one human is as bad as speaking to so many machines. More makes it slower to say `machine`."""
    machine_share: Annotated[float, msgspec.Meta(ge=0.01, le=0.99)] = 0.3
    """Share of answered calls that a machine answers, as far as is known beforehand."""
    silence_ms: Annotated[int, msgspec.Meta(ge=1_000, le=20_000)] = 4_000
    """With no speech for so long it is `unsure`."""
    decide_ms: Annotated[int, msgspec.Meta(ge=2_000, le=30_000)] = 9_000
    """So long after the answer there is a verdict in any case, `unsure` if nothing better."""
    greeting_end_ms: Annotated[int, msgspec.Meta(ge=500, le=10_000)] = 2_000
    """So much silence after a machine's greeting makes it ready without a beep."""
    watch_ms: Annotated[int, msgspec.Meta(ge=2_000, le=120_000)] = 45_000
    """So long after the answer a beep or the end of a greeting is waited for; then a machine counts as ready."""


Kind = Literal["human", "machine", "machine_ready", "screening", "unsure"]


@dataclass(frozen=True)
class Verdict:
    """`at_ms`: when it was reached, `end_ms`: when the beep or the last speech ended, both since the answer.

    `nats`: how much likelier a machine is than a human, the share of machines included. `unsure` is to be treated as
    `human`. A later verdict supersedes an earlier one.
    """

    verdict: Kind
    cause: str
    at_ms: int
    end_ms: int
    nats: float
    first_ms: int
    speech_ms: int
    phrases: int
    bursts: int


@dataclass(frozen=True)
class _Speaker:
    """One kind of far end; phrases and pauses in seconds.

    short, long: (median, sigma of the logarithm) and (mean, deviation) of the first phrase; `long_share` says how often
    it is the latter. whole: (mean, deviation) of all that is said where it is more than one phrase. stops: chance that
    nothing follows a phrase. pause: (median, sigma) of the pause before more; again: of one before a "hello?" by
    somebody who had stopped.
    """

    short: tuple[float, float]
    long: tuple[float, float]
    long_share: float
    whole: tuple[float, float]
    stops: float
    pause: tuple[float, float]
    again: tuple[float, float] = (1.9, 0.4)

    def first_lasts(self, seconds: float) -> float:
        """Chance that the first phrase lasts longer."""
        short, long = _log_tail(seconds, *self.short), _tail(seconds, *self.long)
        return (1 - self.long_share) * short + self.long_share * long

    def first_ends(self, seconds: float) -> float:
        """Density of its end."""
        short, long = _log_density(seconds, *self.short), _density(seconds, *self.long)
        return (1 - self.long_share) * short + self.long_share * long

    def pause_lasts(self, seconds: float) -> float:
        """Chance of silence for longer after a phrase."""
        return self.stops + (1 - self.stops) * _log_tail(seconds, *self.pause)

    def goes_on(self, seconds: float) -> float:
        """Density of speaking again after a pause."""
        stopped = self.stops * _log_density(seconds, *self.again)
        return stopped + (1 - self.stops) * _log_density(seconds, *self.pause)

    def whole_lasts(self, seconds: float, first: float) -> float:
        """Chance that all that is said lasts longer, given that the first phrase was not all."""
        return _tail(seconds, *self.whole) / _tail(first, *self.whole)


# Chosen by hand on `ivr.bench.amd_calls.fitting` and kept wide: people and machines differ more than samples of them.
HUMAN = _Speaker(short=(0.45, 0.45), long=(2.2, 0.8), long_share=0.35, whole=(2.2, 0.8), stops=0.7, pause=(0.4, 0.4))
MACHINE = _Speaker(short=(0.75, 0.4), long=(2.5, 1.8), long_share=0.7, whole=(9.0, 3.5), stops=0.03, pause=(0.6, 0.5))


def _tail(x: float, mean: float, deviation: float) -> float:
    return max(1e-9, 0.5 * math.erfc((x - mean) / deviation / math.sqrt(2)))


def _density(x: float, mean: float, deviation: float) -> float:
    return max(1e-9, math.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi)))


def _log_tail(x: float, median: float, sigma: float) -> float:
    return _tail(math.log(max(x, 0.02)), math.log(median), sigma)


def _log_density(x: float, median: float, sigma: float) -> float:
    return _density(math.log(max(x, 0.02)), math.log(median), sigma) / max(x, 0.02)


@dataclass(frozen=True)
class Cadence:
    """Phrases as (first frame, frame behind the last) since the answer; `pause_frames` since the last one ended.

    `bursts`: syllables or runs of them, divided by the dips in the phrases and between them. `loud`: there is sound on
    the line, but nothing stands out of it.
    """

    phrases: tuple[tuple[int, int], ...] = ()
    pause_frames: int = 0
    bursts: int = 0
    loud: bool = False

    @property
    def speech_s(self) -> float:
        return sum(end - begin for begin, end in self.phrases) * FRAME_MS / 1000

    @property
    def steady(self) -> bool:
        """It is not syllables that make this loud."""
        return self.speech_s >= STEADY_S and self.bursts < DIPS_PER_S * self.speech_s

    @cached_property
    def nats(self) -> float:
        """Logarithm of how much likelier this is of a machine than of a human, without what was known beforehand."""
        if not self.phrases:
            return 0.0
        first_s = (self.phrases[0][1] - self.phrases[0][0]) * FRAME_MS / 1000
        pause_s = self.pause_frames * FRAME_MS / 1000
        speaking = self.pause_frames < GAP_FRAMES
        if len(self.phrases) == 1 and speaking:
            return math.log(MACHINE.first_lasts(first_s) / HUMAN.first_lasts(first_s))
        found = math.log(MACHINE.first_ends(first_s) / HUMAN.first_ends(first_s))
        if len(self.phrases) > 1:
            resumed_s = (self.phrases[1][0] - self.phrases[0][1]) * FRAME_MS / 1000
            whole_s = self.speech_s
            found += math.log(MACHINE.goes_on(resumed_s) / HUMAN.goes_on(resumed_s))
            found += math.log(MACHINE.whole_lasts(whole_s, first_s) / HUMAN.whole_lasts(whole_s, first_s))
        if not speaking:
            found += math.log(MACHINE.pause_lasts(pause_s) / HUMAN.pause_lasts(pause_s))
        return found


def cadence(smooth_db: np.ndarray) -> Cadence:
    """The phrases of a call so far, by the level of each frame, averaged over three."""
    known = smooth_db[smooth_db > TONE_DB]
    if not len(known):
        return Cadence()
    tenth = len(known) // 10
    peak, floor = float(known.max()), float(np.partition(known, tenth)[tenth])
    if peak - floor < CONTRAST_DB or peak < LOWEST_DB:
        return Cadence(loud=floor > LOWEST_DB)
    above = smooth_db > max(peak - DROP_DB, floor + MIDDLE * (peak - floor))
    edges = (np.flatnonzero(above[1:] != above[:-1]) + 1).tolist()
    edges = [0] * bool(above[0]) + edges + [len(above)] * bool(above[-1])
    phrases: list[tuple[int, int]] = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if phrases and begin - phrases[-1][1] < GAP_FRAMES:
            phrases[-1] = (phrases[-1][0], end)
        else:
            phrases.append((begin, end))
    phrases = [p for p in phrases if p[1] - p[0] >= BURST_FRAMES]
    pause_frames = len(smooth_db) - phrases[-1][1] if phrases else 0
    return Cadence(tuple(phrases), pause_frames, len(edges) // 2, floor > LOWEST_DB)


@dataclass(frozen=True)
class Heard:
    """What a call has shown after `frames` frames; `tone`: one that has just ended."""

    frames: int
    cadence: Cadence
    tone: Tone | None = None


class Ear:
    """Measures a call from its answer on, whatever is to be decided; `watch_ms` is all that it keeps."""

    def __init__(self, watch_ms: int) -> None:
        self._beeps = Beeps()
        self._power = np.zeros(watch_ms // FRAME_MS)
        self._smooth_db = np.zeros(watch_ms // FRAME_MS)
        self._frames = 0
        self._cadence = Cadence()

    def push(self, samples: np.ndarray) -> Heard:
        """The next frame: 160 samples at 8 kHz (float32, 16-bit range) without the echo of our own prompts."""
        self._power[self._frames] = max(float(samples @ samples) / len(samples) / 32_768**2, LEAST_POWER)
        self._frames += 1
        tone = self._beeps.push(samples, bool(self._cadence.phrases))
        first = self._frames - 1
        if self._beeps.frames >= TONE_FRAMES:
            first = self._frames - self._beeps.frames
            self._power[first : self._frames] = TONE_POWER
        self._smooth(max(0, first - 1))
        self._cadence = cadence(self._smooth_db[: self._frames])
        return Heard(self._frames, self._cadence, tone)

    def _smooth(self, first: int) -> None:
        """Levels in dB from frame `first` on, over the frame before, itself and the one behind."""
        for index in range(first, self._frames):
            some = self._power[max(0, index - 1) : min(self._frames, index + 2)].tolist()
            self._smooth_db[index] = 10 * math.log10(sum(some) / len(some))


class Detector:
    """Feed it every frame since the answer; it gives each verdict once.

    First `human`, `machine`, `screening` or `unsure`. A `human` or `unsure` may still become `machine` or
    `machine_ready`, when the far end talks on over what it is told or beeps. `machine_ready` comes when a message may
    be left, and once more if a beep follows what seemed to be the end of the greeting.
    """

    def __init__(self, settings: Amd) -> None:
        self._settings = settings
        self._ear = Ear(settings.watch_ms)
        self._heard = Heard(0, Cadence())
        self._prior = math.log(settings.machine_share / (1 - settings.machine_share))
        self._enough = math.log(settings.hang_up_cost)
        self._last: Verdict | None = None
        self._revisable = True

    @property
    def over(self) -> bool:
        """Nothing will follow: the time to watch is over, or a screening assistant was found."""
        screened = self._last is not None and self._last.verdict == "screening"
        return screened or self._heard.frames >= self._settings.watch_ms // FRAME_MS

    @property
    def _talking(self) -> bool:
        """No machine has been found so far."""
        return self._last is None or self._last.verdict in ("human", "unsure")

    def push(self, samples: np.ndarray) -> Verdict | None:
        """The next frame, as `Ear.push` wants it; a verdict if it makes one certain."""
        return None if self.over else self.judge(self._ear.push(samples))

    def judge(self, heard: Heard) -> Verdict | None:
        """What was measured elsewhere, a frame after the other."""
        self._heard = heard
        if heard.tone is not None and heard.tone.kind == "beep":
            return self._say("machine_ready", "beep", heard.tone.end_ms)
        if heard.tone is not None and heard.tone.kind in ("fax", "information") and self._talking:
            return self._say("machine", heard.tone.kind, heard.tone.end_ms)
        if self._last is None:
            return self._open(heard.cadence, heard.frames * FRAME_MS)
        return self._revise(heard.cadence) if self._talking else self._ready(heard.cadence)

    def words(self, text: str) -> Verdict | None:
        """What the recogniser has understood so far, where somebody recognises the greeting."""
        if self.over:
            return None
        said = text.casefold()
        if any(words in said for words in SCREENING_WORDS):
            return self._say("screening", "words")
        if self._talking and any(words in said for words in MACHINE_WORDS):
            return self._say("machine", "words")
        return None

    def _open(self, heard: Cadence, at_ms: int) -> Verdict | None:
        """The first verdict, by the cadence of what was said."""
        if not heard.phrases:
            late = at_ms >= self._settings.silence_ms
            return self._say("unsure", "noise" if heard.loud else "silence") if late else None
        nats, pause_s = heard.nats + self._prior, heard.pause_frames * FRAME_MS / 1000
        if nats >= self._enough:
            return self._say("unsure", "music") if heard.steady else self._say("machine", "cadence")
        if pause_s >= SHORTEST_PAUSE_S and nats <= HUMAN_NATS:
            return self._say("human", "stopped")
        if pause_s >= LONGEST_PAUSE_S:
            return self._say("human", "stopped") if nats < 0 else self._say("unsure", "pause")
        return self._say("unsure", "undecided") if at_ms >= self._settings.decide_ms else None

    def _revise(self, heard: Cadence) -> Verdict | None:
        """A machine that was taken for a human talks on."""
        if heard.phrases and heard.pause_frames * FRAME_MS / 1000 >= REVISE_PAUSE_S:
            self._revisable = False
        late = self._heard.frames * FRAME_MS > self._settings.decide_ms
        if late or not self._revisable or heard.steady or heard.nats + self._prior < self._enough + REVISE_NATS:
            return None
        return self._say("machine", "talks_on")

    def _ready(self, heard: Cadence) -> Verdict | None:
        """The end of a machine's greeting without a beep."""
        if self._last is None or self._last.verdict != "machine":
            return None
        if heard.phrases and heard.pause_frames * FRAME_MS >= self._settings.greeting_end_ms:
            return self._say("machine_ready", "greeting_end")
        return self._say("machine_ready", "watch_over") if self.over else None

    def _say(self, verdict: Kind, cause: str, end_ms: int | None = None) -> Verdict:
        heard = self._heard.cadence
        begin, end = heard.phrases[0] if heard.phrases else (0, 0)
        if end_ms is None:
            end_ms = heard.phrases[-1][1] * FRAME_MS if heard.phrases else 0
        self._revisable = self._revisable and cause not in ("noise", "music")
        self._last = Verdict(
            verdict, cause, self._heard.frames * FRAME_MS, end_ms, round(heard.nats + self._prior, 2),
            (end - begin) * FRAME_MS, round(heard.speech_s * 1000), len(heard.phrases), heard.bursts,
        )  # fmt: skip
        return self._last
