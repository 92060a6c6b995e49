"""How well a line hears, without calls: webrtcvad against Silero on the same telephone-band audio, false starts
on noise, delay of speech starts, callers cut off at several waits, and our own prompt coming back as echo.

Everything runs on the audio's own clock, through the very objects a line process uses; no call is placed. Needs a
folder of recordings (`--data`, or the environment's IVR_DATA); they are resampled to 8 kHz and passed through G.711.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import subprocess
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr

from ivr.line.echo import EchoGate
from ivr.line.endpointer import Endpointer
from ivr.line.messages import FRAME_BYTES, FRAME_MS, Listen, SpeechEnded, SpeechStarted
from ivr.line.vad import (
    MARGIN_DB,
    NARROW_HZ,
    NARROW_SAMPLES,
    Decimator,
    NoiseGate,
    SileroModel,
    Vad,
    WebrtcModel,
    level_db,
)

CORPORA = ("fsdd", "an4", "en_librispeech", "zh_caller", "zh_aishell_sample")
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
GAP_MS = 900
FIXED_RECALL = 0.90
SPEECH_DB = -22.0


@dataclass
class Speech:
    """Utterances strung together with silence between: 8 kHz float32, which frames are speech, where each lies."""

    audio: np.ndarray
    voiced: np.ndarray
    spans: list[tuple[int, int]] = field(default_factory=list)


# Audio --------------------------------------------------------------------------------------------------------------


def load(path: Path) -> np.ndarray:
    """A recording at 8 kHz, float32 in the 16-bit range."""
    if path.suffix == ".flac":
        command = ["sox", str(path), "-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-c", "1", "-"]
        return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.int16).astype("f4")
    with wave.open(str(path)) as sound:
        rate, samples = sound.getframerate(), np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
        samples = samples.reshape(-1, sound.getnchannels())[:, 0].astype(np.float32)
    return samples if rate == NARROW_HZ else soxr.resample(samples, rate, NARROW_HZ)


def g711(samples: np.ndarray) -> np.ndarray:
    """mu-law and back (ITU-T G.711), by its continuous curve at 8 bits."""
    x = np.clip(samples / 32768, -1, 1)
    code = np.round(np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) * 127)
    return (np.sign(code) * (256 ** (np.abs(code) / 127) - 1) / 255 * 32768).astype(np.float32)


def frames_16k(samples: np.ndarray) -> list[bytes]:
    """8 kHz samples as the 16 kHz frames a line gets."""
    wide = np.clip(soxr.resample(samples, NARROW_HZ, 2 * NARROW_HZ), -32768, 32767).astype(np.int16).tobytes()
    return [wide[i : i + FRAME_BYTES] for i in range(0, len(wide) - FRAME_BYTES + 1, FRAME_BYTES)]


def label(samples: np.ndarray) -> np.ndarray:
    """Speech frames of a clean utterance by energy: within 28 dB of its loud frames, gaps to 60 ms filled."""
    levels = np.array([level_db(f) for f in _cut(samples)])
    if not len(levels):
        return np.zeros(0, bool)
    loud, quiet = np.percentile(levels, 95), np.percentile(levels, 10)
    active = levels > max(loud - 28, min(quiet + 9, loud - 12), -55)
    edges = np.flatnonzero(active)
    for a, b in itertools.pairwise(edges):
        if b - a <= 4:
            active[a:b] = True
    return active


def extent(voiced: np.ndarray) -> tuple[int, int]:
    """First and last speech frame of an utterance, lone frames (clicks, breath) left out."""
    dense = np.convolve(voiced, np.ones(4))
    first = np.flatnonzero((dense[3:] >= 3) & voiced)
    last = np.flatnonzero((dense[: len(voiced)] >= 3) & voiced)
    return (int(first[0]), int(last[-1])) if len(first) and len(last) else (0, len(voiced) - 1)


def with_pauses(speech: np.ndarray, rng: random.Random) -> np.ndarray:
    """The utterance with 300-900 ms of silence put at its softest moment between its first and its last third."""
    levels = np.array([level_db(f) for f in _cut(speech)])
    first, last = extent(label(speech))
    a, b = first + (last - first) // 3, last - (last - first) // 3
    if b - a < 3:
        return speech
    at = (a + int(np.argmin(levels[a:b]))) * NARROW_SAMPLES
    return np.concatenate((speech[:at], np.zeros(rng.randrange(300, 901, FRAME_MS) * 8, np.float32), speech[at:]))


def string_together(files: list[Path], rng: random.Random, pauses: bool = False) -> Speech:
    """Utterances of equal loudness; `pauses` puts one into every third of them."""
    pieces, labels, spans, at = [], [], [], 0
    for number, path in enumerate(files):
        speech = load(path)
        if pauses and number % 3 == 0:
            speech = with_pauses(speech, rng)
        speech = speech[: len(speech) // NARROW_SAMPLES * NARROW_SAMPLES]
        voiced = label(speech)
        if voiced.sum() < 4:
            continue
        loud = speech[np.repeat(voiced, NARROW_SAMPLES)]
        speech = speech * 10 ** ((SPEECH_DB - level_db(loud)) / 20)
        gap = np.zeros((GAP_MS + rng.randrange(0, 400, FRAME_MS)) * 8, np.float32)
        onset, last = extent(voiced)
        start = at + len(gap) // NARROW_SAMPLES
        spans.append((start + onset, start + last + 1))
        pieces += [gap, speech]
        labels += [np.zeros(len(gap) // NARROW_SAMPLES, bool), voiced]
        at = start + len(voiced)
    tail = np.zeros(GAP_MS * 16, np.float32)
    return Speech(np.concatenate([*pieces, tail]), np.concatenate([*labels, np.zeros(len(tail) // 160, bool)]), spans)


def mixed(speech: Speech, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Speech with noise at a ratio taken over the speech frames."""
    reach = np.repeat(speech.voiced, NARROW_SAMPLES)
    power = float(np.mean(speech.audio[: len(reach)][reach] ** 2))
    noise = np.resize(noise, len(speech.audio))
    gain = np.sqrt(power / max(float(np.mean(noise**2)), 1e-9)) * 10 ** (-snr_db / 20)
    return speech.audio + noise * gain


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a fixed choice of recordings


def _cut(samples: np.ndarray) -> np.ndarray:
    return samples[: len(samples) // NARROW_SAMPLES * NARROW_SAMPLES].reshape(-1, NARROW_SAMPLES)


# Runs ---------------------------------------------------------------------------------------------------------------


def voiced_frames(vad: Vad, frames: list[bytes]) -> np.ndarray:
    narrow = Decimator()
    return np.array([vad.voiced(narrow(f)) for f in frames])


def starts_and_ends(vad: Vad, frames: list[bytes], wait_ms: int = 900) -> Iterator[tuple[int, object]]:
    """(frame in which it was told, event) for every start and end of speech."""
    endpointer = Endpointer(1, lambda: (False, True))
    endpointer.listen(Listen(1, 1, no_input_ms=0, wait_ms=wait_ms))
    narrow = Decimator()
    for index, frame in enumerate(frames):
        endpointer.push(frame, vad.voiced(narrow(frame)), False, (index + 1) * FRAME_MS)
        while endpointer.events:
            event = endpointer.events.popleft()
            if isinstance(event, SpeechStarted | SpeechEnded):
                yield index, event


def precision_at_recall(speech: Speech, audio: np.ndarray, models: list[Callable[[], Vad]]) -> tuple[float, float]:
    """Best (precision, its recall) among variants whose recall is at least FIXED_RECALL; else of the best recall."""
    frames, points = frames_16k(g711(audio)), []
    for make in models:
        heard = voiced_frames(make(), frames)
        truth = speech.voiced[: len(heard)]
        heard = heard[: len(truth)]
        hit = int((heard & truth).sum())
        points.append((hit / max(1, int(heard.sum())), hit / max(1, int(truth.sum()))))
    able = [p for p in points if p[1] >= FIXED_RECALL]
    return max(able) if able else max(points, key=lambda p: p[1])


def webrtc(aggressiveness: int = 2, margin_db: float = MARGIN_DB) -> Vad:
    return Vad(WebrtcModel(aggressiveness), NoiseGate(margin_db))


def silero(threshold: float = 0.5, margin_db: float = MARGIN_DB) -> Vad:
    return Vad(SileroModel(threshold), NoiseGate(margin_db))


VARIANTS: dict[str, list[Callable[[], Vad]]] = {
    "webrtc": [lambda a=a, m=m: webrtc(a, m) for a in (1, 3) for m in (4.0, 6.0, 8.0, 11.0)],
    "silero": [lambda t=t: silero(t, 4.0) for t in (0.2, 0.4, 0.6, 0.8)],
}
DEFAULTS: dict[str, Callable[[], Vad]] = {"webrtc": webrtc, "silero": silero}


# Tables -------------------------------------------------------------------------------------------------------------


def precision_table(corpora: dict[str, Speech], noises: dict[str, np.ndarray]) -> None:
    print(f"\nframe precision (recall) at a recall of {FIXED_RECALL:.0%} or more, best variant of each model")
    for name, speech in corpora.items():
        for condition in ("clean", *(f"{noise} {snr}" for noise in ("babble", "tap") for snr in (20, 10))):
            audio = speech.audio
            if condition != "clean":
                noise, snr = condition.split()
                audio = mixed(speech, noises[noise], float(snr))
            row = (precision_at_recall(speech, audio, makes) for makes in VARIANTS.values())
            print(f"  {name:18} {condition:10}", *(f"{p:6.3f} ({r:.2f})" for p, r in row), flush=True)
    print("  columns:", *VARIANTS)


def noise_table(noises: dict[str, np.ndarray]) -> None:
    print("\nspeech starts a minute on noise, and share of the time taken for speech (default settings)")
    for name, noise in noises.items():
        for level in (-30, -45):
            audio = noise * 10 ** ((level - level_db(noise)) / 20)
            frames, row = frames_16k(g711(audio)), []
            for make in DEFAULTS.values():
                events = [e for _, e in starts_and_ends(make(), frames)]
                starts = sum(isinstance(e, SpeechStarted) for e in events)
                spoken = sum(e.speech_ms for e in events if isinstance(e, SpeechEnded))
                minutes = len(frames) * FRAME_MS / 60_000
                row.append(f"{starts / minutes:6.1f} {spoken / minutes / 600:4.0f} %")
            print(f"  {name:10} {level} dBFS", *row, flush=True)
    print("  columns:", *DEFAULTS)


def delay_table(corpora: dict[str, Speech], noises: dict[str, np.ndarray]) -> None:
    print("\nspeech starts: missed, already running before (breath, noise); delay in ms from the first speech frame")
    print("to the event (p50 p95)")
    for name, speech in corpora.items():
        for condition, audio in (("clean", speech.audio), ("babble 20", mixed(speech, noises["babble"], 20))):
            frames = frames_16k(g711(audio))
            row = (_delays(speech, list(starts_and_ends(make(), frames))) for make in DEFAULTS.values())
            print(f"  {name:18} {condition:10}", " | ".join(row), flush=True)
    print("  columns:", *DEFAULTS)


def _delays(speech: Speech, told: list[tuple[int, object]]) -> str:
    starts = [i for i, e in told if isinstance(e, SpeechStarted)]
    ends = [e.end_ms // FRAME_MS for _, e in told if isinstance(e, SpeechEnded)]
    ends += [len(speech.voiced)] * (len(starts) - len(ends))
    delays, early, missed = [], 0, 0
    for begin, end in speech.spans:
        over = [s for s, e in zip(starts, ends, strict=False) if s < end and e > begin]
        missed += not over
        early += bool(over) and over[0] < begin
        delays += [(over[0] + 1 - begin) * FRAME_MS] if over and over[0] >= begin else []
    spread = np.percentile(delays, (50, 95)) if delays else (np.nan, np.nan)
    return f"{missed:2d} {early:2d} of {len(speech.spans):2d} {spread[0]:5.0f} {spread[1]:5.0f}"


def cut_table(plain: dict[str, Speech], paused: dict[str, Speech]) -> None:
    print("\ncallers cut off in mid-sentence (% of utterances) by a fixed wait in ms; p50 of end told minus true end")
    waits = (300, 500, 700, 900, 1200)
    print(" " * 28, *(f"{w:6d}" for w in waits))
    for kind, corpora in (("as recorded", plain), ("with pauses", paused)):
        for name, speech in corpora.items():
            frames, row, late = frames_16k(g711(speech.audio)), [], []
            for wait in waits:
                ends = [e for _, e in starts_and_ends(webrtc(), frames, wait) if isinstance(e, SpeechEnded)]
                cut = 0
                for start, end in speech.spans:
                    mine = [e.end_ms for e in ends if start * FRAME_MS < e.end_ms <= (end + 10) * FRAME_MS]
                    cut += len(mine) > 1
                    late += [mine[-1] - end * FRAME_MS] if mine else []
                row.append(f"{100 * cut / len(speech.spans):6.1f}")
            print(f"  {name:18}{kind}", *row, f"{np.median(late):6.0f} ms", flush=True)


def soft_table(data: Path) -> None:
    """Spoken digits one at a time at the loudness they were recorded with, some of them very soft."""
    files = sorted((data / "fsdd").glob("*.wav"))
    quiet = np.zeros(NARROW_HZ, np.float32)
    lines = [frames_16k(g711(np.concatenate((quiet, load(p), quiet)))) for p in files]
    print("\nspoken digits alone, as recorded: not heard at all")
    for name, make in DEFAULTS.items():
        heard = [any(isinstance(e, SpeechStarted) for _, e in starts_and_ends(make(), line)) for line in lines]
        print(f"  {name:10} {len(heard) - sum(heard)} of {len(heard)}", flush=True)


def cost_table(speech: Speech) -> None:
    frames = frames_16k(speech.audio[: 60 * NARROW_HZ])
    print("\nprocessor time per 20 ms frame, us (decimation included)")
    for name, make in DEFAULTS.items():
        vad, begin = make(), time.process_time()
        voiced_frames(vad, frames)
        print(f"  {name:10} {(time.process_time() - begin) / len(frames) * 1e6:6.0f}")


# Echo ---------------------------------------------------------------------------------------------------------------


@dataclass
class EchoLine:
    """A line that returns what it plays: hybrid response, delay, G.711 both ways, a little noise.

    `jumps`: the jitter buffer runs dry or over every second or so: 20-60 ms repeated or left out.
    """

    gain_db: float
    delay_ms: int
    hybrid: bool = False
    jumps: bool = False
    noise_db: float = -70.0

    def __str__(self) -> str:
        kind = "jumping" if self.jumps else "hybrid" if self.hybrid else "plain"
        return f"{kind:8}{self.gain_db:3.0f} dB {self.delay_ms:3d} ms"


def returned(played: np.ndarray, line: EchoLine, rng: np.random.Generator) -> np.ndarray:
    """The echo of 8 kHz `played`, as captured."""
    if line.hybrid:
        taps = rng.standard_normal(48) * np.exp(-np.arange(48) / 12)
        taps /= np.sqrt(np.sum(taps**2))
    else:
        taps = np.ones(1)
    echo = np.convolve(g711(played), taps)[: len(played)] * 10 ** (line.gain_db / 20)
    delay = line.delay_ms * NARROW_HZ // 1000
    echo = np.concatenate((np.zeros(delay), echo))[: len(played)]
    if line.jumps:
        echo = _jumping(echo, rng)
    return echo + rng.standard_normal(len(echo)) * 10 ** ((line.noise_db + 90.3) / 20)


def _jumping(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    pieces, at, ahead = [], 0, 0
    while at < len(audio):
        length = int(rng.integers(40, 80)) * NARROW_SAMPLES
        pieces.append(audio[at : at + length])
        at += length
        jump = int(rng.integers(1, 4)) * NARROW_SAMPLES
        if ahead <= 0:
            pieces.append(np.resize(audio[max(0, at - NARROW_SAMPLES) : at], jump))
            ahead += jump
        else:
            at += min(jump, ahead)
            ahead -= jump
    return np.concatenate(pieces)[: len(audio)]


def barge_ins(played: np.ndarray, captured: np.ndarray, gated: bool = True) -> tuple[list[int], float]:
    """Frames in which a start of speech was told while a prompt played, and the mean cost of a frame in us."""
    endpointer = Endpointer(1, lambda: (True, False))
    endpointer.listen(Listen(1, 1, no_input_ms=0))
    vad, echo, ear, mouth, starts = webrtc(), EchoGate(), Decimator(), Decimator(), []
    begin = time.process_time()
    ours, theirs = frames_16k(played), frames_16k(g711(captured))
    for index, (sent, frame) in enumerate(zip(ours, theirs, strict=False)):
        heard, least = ear(frame), -96.0
        out = mouth(sent)
        if gated:
            heard, least = echo.process(heard, out, vad.threshold_db)
        endpointer.push(frame, vad.voiced(heard, least), True, (index + 1) * FRAME_MS)
        starts += [index for e in endpointer.events if isinstance(e, SpeechStarted)]
        endpointer.events.clear()
    return starts, (time.process_time() - begin) / max(1, len(ours)) * 1e6


def prompts(count: int, rng: random.Random) -> list[np.ndarray]:
    """Recorded prompts of three seconds or more at -20 dBFS of speech."""
    files = sorted(PROMPTS.glob("*.wav"))
    rng.shuffle(files)
    chosen = []
    for path in files:
        sound = load(path)
        if len(sound) >= 3 * NARROW_HZ:
            chosen.append(sound * 10 ** ((-20 - level_db(sound)) / 20))
        if len(chosen) == count:
            break
    return chosen


def echo_table(talkers: list[np.ndarray]) -> None:
    rng, noise = _chance(5), np.random.default_rng(5)
    said = prompts(20, rng)
    print("\necho of 20 prompts, each a new call: prompts falsely paused (without the gate), talkers over it missed")
    print("and delay of their detection in ms (p50 p95), talker at -20 and at -30 dBFS; us a frame")
    for shape in ({}, {"hybrid": True}, {"jumps": True}):
        for gain_db in (-15, -25):
            for delay_ms in (50, 100, 150, 250):
                line = EchoLine(gain_db, delay_ms, **shape)
                false = bare = 0
                found: dict[int, list[int]] = {-20: [], -30: []}
                cost = 0.0
                for number, prompt in enumerate(said):
                    echo = returned(prompt, line, noise)
                    starts, spent = barge_ins(prompt, echo)
                    false += bool(starts)
                    cost = max(cost, spent)
                    bare += bool(barge_ins(prompt, echo, gated=False)[0])
                    for level, told in found.items():
                        told.extend(_talked_over(prompt, echo, talkers[number % len(talkers)], level))
                delays = (f"| {len(said) - len(v)} missed {np.percentile(v, 50):4.0f} {np.percentile(v, 95):4.0f}"
                          for v in found.values() if v)  # fmt: skip
                print(f"  {line}: {false:2d} ({bare:2d})", *delays, f"| {cost:4.0f}", flush=True)


def _talked_over(prompt: np.ndarray, echo: np.ndarray, talker: np.ndarray, level: float) -> list[int]:
    """Delay in ms from a talker's first speech, 1.5 s into the prompt, to its detection; empty when missed."""
    loud = np.array([level_db(f) for f in _cut(talker)])
    onset, last = extent(loud > np.percentile(loud, 95) - 15)
    voice = talker[onset * NARROW_SAMPLES : (last + 1) * NARROW_SAMPLES]
    begun = 75
    over = echo.copy()
    at = begun * NARROW_SAMPLES
    voice = voice[: len(over) - at] * 10 ** ((level - level_db(voice)) / 20)
    over[at : at + len(voice)] += voice
    first = next((i for i in barge_ins(prompt, over)[0] if i >= begun), None)
    return [] if first is None else [(first + 1 - begun) * FRAME_MS]


# Door ---------------------------------------------------------------------------------------------------------------


def noise_files(data: Path, corpora: dict[str, Speech]) -> dict[str, np.ndarray]:
    folder = data / "noise"
    noises = {
        "tap": load(folder / "gsc_background" / "running_tap.wav"),
        "bike": load(folder / "gsc_background" / "exercise_bike.wav"),
        "music": load(folder / "hold_music" / "manolo_camp-morning_coffee.wav"),
    }
    clean, noisy = (load(folder / "pesq" / name) for name in ("speech.wav", "speech_bab_0dB.wav"))
    noises["pesq"] = noisy - clean[: len(noisy)]
    voices = [_squeezed(s)[k * 24_000 :] for s in corpora.values() for k in range(3)]
    length = min([60 * NARROW_HZ, *(len(v) for v in voices if len(v) > 10 * NARROW_HZ)])
    noises["babble"] = np.sum([v[:length] for v in voices if len(v) >= length], axis=0)
    noises["hum"] = (np.sign(np.sin(2 * np.pi * 50 * np.arange(30 * NARROW_HZ) / NARROW_HZ)) * 300).astype(np.float32)
    return noises


def _squeezed(speech: Speech) -> np.ndarray:
    """The speech frames alone, for a babble without breath."""
    frames = _cut(speech.audio)
    return frames[speech.voiced[: len(frames)]].ravel()


def _some(folder: Path, count: int) -> list[Path]:
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".wav", ".flac"))
    _chance(3).shuffle(files)
    return files[:count]


TABLES = ("precision", "noise", "delay", "soft", "cut", "cost", "echo")


def main(argv: list[str]) -> int:
    """The bench's door. 0 when measured, 2 when the data is not there."""
    parser = argparse.ArgumentParser(prog="ivr bench hearing", description="VAD, endpointing and echo on recordings")
    parser.add_argument("--data", default=os.environ.get("IVR_DATA", ""), help="folder of recordings")
    parser.add_argument("--utterances", type=int, default=16, help="at most so many of each corpus")
    parser.add_argument("--only", choices=TABLES, action="append", help="only this table (may be repeated)")
    options = parser.parse_args(argv)
    data = Path(options.data)
    if not (data / "noise").is_dir():
        print(f"no recordings in {data}: give --data or set IVR_DATA")
        return 2
    files = {name: _some(data / name, options.utterances) for name in CORPORA}
    corpora = {name: string_together(some, _chance(3)) for name, some in files.items()}
    paused = {n: string_together(some, _chance(4), pauses=True) for n, some in files.items() if n != "fsdd"}
    noises = noise_files(data, corpora)
    wanted = options.only or TABLES
    talkers = [load(p) for p in sorted((data / "an4").rglob("*.wav"))[:20]]
    tables = {
        "precision": lambda: precision_table(corpora, noises),
        "noise": lambda: noise_table(noises),
        "delay": lambda: delay_table(corpora, noises),
        "soft": lambda: soft_table(data),
        "cut": lambda: cut_table(corpora, paused),
        "cost": lambda: cost_table(corpora["an4"]),
        "echo": lambda: echo_table(talkers),
    }
    for name in wanted:
        tables[name]()
    return 0
