"""Who answered a call that we placed: a human or an answering machine, and when a message may be left with the latter.

Clocked by 20 ms frames of 8 kHz audio since the answer, and pure: no threads, clocks or models. Speech is told from the
line by level alone, against what the whole call has shown so far (a VAD calls a noisy line speech until it has learnt
it). What was said is taken as a first phrase, the pause behind it and the rest; how much likelier that is of a machine
than of a human is kept in nats: a human stops and waits, a machine goes on. Knows nothing of what is done about a
verdict, or of words: `understanding.screening` knows those. `beeps` finds the tones. The hearing thread of a line
process runs it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ivr.line.beeps import Beeps, Tone
from ivr.line.messages import FRAME_MS, AnsweredBy, MachineAfterAll, MachineReady
from ivr.line.settings import Amd

# Power of a full-scale frame is 1. Silence counts as LEAST_POWER; less marks a frame of a tone, which is no speech and
# says nothing of the line.
LEAST_POWER = 1e-10
TONE_POWER, TONE_DB = 1e-12, -110.0
# A frame is speech when it is louder than the middle between the line's floor (10th percentile) and the loudest
# moment, and within DROP_DB of the latter. Both are of the whole call so far, so every frame is judged anew.
DROP_DB = 17.0
MIDDLE = 0.5
# Below this much between floor and peak nobody has spoken: the line hisses, or music plays without a breath.
CONTRAST_DB = 12.0
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

Kind = Literal["human", "machine", "machine_ready", "unsure"]


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
    """What a call has shown after `frames` frames; `tone`: one that has just ended; `sounding`: one may go on."""

    frames: int
    cadence: Cadence
    tone: Tone | None = None
    sounding: bool = False


class Ear:
    """Measures a call from its answer on, whatever is to be decided; `watch_ms` is all that it keeps."""

    def __init__(self, watch_ms: int) -> None:
        self._beeps = Beeps()
        self._power = np.zeros(watch_ms // FRAME_MS)
        self._smooth_db = np.zeros(watch_ms // FRAME_MS)
        self._frames = 0
        self._cadence = Cadence()

    def push(self, samples: np.ndarray, ours: bool = False) -> Heard:
        """The next frame: 160 samples at 8 kHz (float32, 16-bit range).

        ours: it may be the echo of our own prompt, or is a key, or the end of early media; it is no speech and says
        nothing of the line.
        """
        power = max(float(samples.var()) / 32_768**2, LEAST_POWER)
        self._power[self._frames] = TONE_POWER if ours else power
        self._frames += 1
        tone = self._beeps.push(np.zeros_like(samples) if ours else samples, bool(self._cadence.phrases))
        first = self._frames - 1
        if self._beeps.frames >= TONE_FRAMES:
            first = self._frames - self._beeps.frames
            self._power[first : self._frames] = TONE_POWER
        self._smooth(max(0, first - 1))
        self._cadence = cadence(self._smooth_db[: self._frames])
        return Heard(self._frames, self._cadence, tone, self._beeps.sounding)

    def _smooth(self, first: int) -> None:
        """Levels in dB from frame `first` on, over the frame before, itself and the one behind."""
        for index in range(first, self._frames):
            some = self._power[max(0, index - 1) : min(self._frames, index + 2)].tolist()
            self._smooth_db[index] = 10 * math.log10(sum(some) / len(some))


class Detector:
    """Feed it every frame since the answer; it gives each verdict once.

    First `human`, `machine` or `unsure`, after `decide_ms` at the latest. A `human` or `unsure` may still become
    `machine` or `machine_ready`, when the far end talks on over what it is told or beeps, until it has listened for
    REVISE_PAUSE_S. `machine_ready` comes when a message may be left; nothing follows it.
    """

    def __init__(self, settings: Amd) -> None:
        self._settings = settings
        self._ear = Ear(settings.watch_ms)
        self._heard = Heard(0, Cadence())
        self._prior = math.log(settings.machine_share / (1 - settings.machine_share))
        self._enough = math.log(settings.hang_up_cost)
        self._last: Verdict | None = None
        self._listened = False

    @property
    def over(self) -> bool:
        """Nothing will follow."""
        return self._watched or self._listened or (self._last is not None and self._last.verdict == "machine_ready")

    @property
    def _watched(self) -> bool:
        return self._heard.frames >= self._settings.watch_ms // FRAME_MS

    @property
    def _talking(self) -> bool:
        """No machine has been found so far."""
        return self._last is None or self._last.verdict in ("human", "unsure")

    def push(self, samples: np.ndarray, ours: bool = False) -> Verdict | None:
        """The next frame, as `Ear.push` wants it; a verdict if it makes one certain."""
        return None if self.over else self.judge(self._ear.push(samples, ours))

    def judge(self, heard: Heard) -> Verdict | None:
        """What was measured elsewhere, a frame after the other."""
        if self.over:
            return None
        self._heard = heard
        if heard.tone is not None and heard.tone.kind == "beep":
            return self._say("machine_ready", "beep", heard.tone.end_ms)
        if heard.tone is not None and heard.tone.kind in ("fax", "information") and self._talking:
            return self._say("machine", heard.tone.kind, heard.tone.end_ms)
        if self._last is None:
            return self._open(heard.cadence, heard.frames * FRAME_MS)
        return self._revise(heard.cadence) if self._talking else self._ready(heard.cadence)

    def _open(self, heard: Cadence, at_ms: int) -> Verdict | None:
        """The first verdict, by the cadence of what was said."""
        late = at_ms >= self._settings.decide_ms or self._watched
        if not heard.phrases:
            late = late or at_ms >= self._settings.silence_ms
            return self._say("unsure", "noise" if heard.loud else "silence") if late else None
        nats, pause_s = heard.nats + self._prior, heard.pause_frames * FRAME_MS / 1000
        if nats >= self._enough:
            return self._say("unsure", "music") if heard.steady else self._say("machine", "cadence")
        if self._heard.sounding and not late:
            return None
        if pause_s >= SHORTEST_PAUSE_S and nats <= HUMAN_NATS:
            return self._say("human", "stopped")
        if pause_s >= LONGEST_PAUSE_S:
            return self._say("human", "stopped") if nats < 0 else self._say("unsure", "pause")
        return self._say("unsure", "undecided") if late else None

    def _revise(self, heard: Cadence) -> Verdict | None:
        """A machine that was taken for a human talks on."""
        if heard.phrases and heard.pause_frames * FRAME_MS / 1000 >= REVISE_PAUSE_S:
            self._listened = True
        late = self._heard.frames * FRAME_MS > self._settings.decide_ms
        if late or self._listened or heard.steady or self._last.cause in ("noise", "music"):
            return None
        return self._say("machine", "talks_on") if heard.nats + self._prior >= self._enough + REVISE_NATS else None

    def _ready(self, heard: Cadence) -> Verdict | None:
        """The end of a machine's greeting without a beep."""
        if heard.phrases and heard.pause_frames * FRAME_MS >= self._settings.greeting_end_ms:
            return self._say("machine_ready", "end_of_greeting")
        return self._say("machine_ready", "timeout") if self._watched else None

    def _say(self, verdict: Kind, cause: str, end_ms: int | None = None) -> Verdict:
        heard = self._heard.cadence
        begin, end = heard.phrases[0] if heard.phrases else (0, 0)
        if end_ms is None:
            end_ms = heard.phrases[-1][1] * FRAME_MS if heard.phrases else 0
        self._last = Verdict(
            verdict, cause, self._heard.frames * FRAME_MS, end_ms, round(heard.nats + self._prior, 2),
            (end - begin) * FRAME_MS, round(heard.speech_s * 1000), len(heard.phrases), heard.bursts,
        )  # fmt: skip
        return self._last


class Watch:
    """The verdicts on a leg as the events that its brain is told."""

    def __init__(self, leg: int, settings: Amd) -> None:
        self.events: deque[AnsweredBy | MachineAfterAll | MachineReady] = deque()
        self._leg = leg
        self._detector = Detector(settings)
        self._by = ""

    @property
    def awaited(self) -> bool:
        """An event is certain to follow."""
        return not self._detector.over and self._by in ("", "machine")

    def push(self, samples: np.ndarray, ours: bool = False) -> None:
        """The next frame since the answer, as `Ear.push` wants it."""
        found = self._detector.push(samples, ours)
        if found is None:
            return
        machine = found.verdict in ("machine", "machine_ready")
        if not self._by:
            self.events.append(AnsweredBy(self._leg, "machine" if machine else found.verdict, found.cause, found.at_ms))
        elif machine and self._by != "machine":
            self.events.append(MachineAfterAll(self._leg, found.cause, found.at_ms))
        self._by = "machine" if machine else found.verdict
        if found.verdict == "machine_ready":
            self.events.append(MachineReady(self._leg, found.cause, found.at_ms))
