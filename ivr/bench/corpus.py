"""What benches say: recorded speech of the evaluation folder, Debian's recorded prompts, and spoken texts.

All audio is 8 kHz int16, as a telephone sends it. Every choice is made by a seeded generator. The evaluation folder
is optional: what needs it says so with Unavailable. Knows nothing of calls.
"""

from __future__ import annotations

import csv
import gzip
import random
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ivr.caller.rtp import RATE_HZ
from ivr.caller.speak import at_telephone_rate, read_wav, speak
from ivr.caller.talk import trimmed
from ivr.errors import Unavailable

SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
SOUND_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
VOICES = ("slt", "awb", "en-us", "en-gb")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MIN_LEVEL = 1_500.0

QUESTIONS = (
    "What are your opening hours?", "What time does the bank close?", "Are you open on Saturday?",
    "When do you open?", "Are branches open on Sundays?", "Are you open on holidays?",
    "What time do you open tomorrow?", "What time does the bank close on Saturday?",
    "Are you open at the weekend?", "When do you close today?",
)  # fmt: skip
QUESTIONS_ZH = ("你们周末营业吗", "银行几点关门", "星期天可以办业务吗", "几点开门", "节假日能不能办业务")
OPEN_LABELS = ("branch", "fee", "hours", "card_delivery")


@dataclass(frozen=True)
class Utterance:
    """Something a caller says. `speaker` groups what belongs to one voice; `label` is what it means, where known."""

    name: str
    text: str
    language: str
    pcm: np.ndarray
    speaker: str = ""
    label: str = ""


def seeded(seed: int) -> random.Random:
    """A generator whose choices repeat."""
    return random.Random(seed)  # noqa: S311 - no secret


def _rows(folder: Path | None, name: str) -> tuple[Path, list[dict[str, str]]]:
    if folder is None or not (folder / name / "manifest.tsv").is_file():
        raise Unavailable(f"no `{name}` in the evaluation speech: give its folder with --data or IVR_DATA")
    with (folder / name / "manifest.tsv").open(encoding="utf-8") as file:
        return folder / name, list(csv.DictReader(file, delimiter="\t"))


def at_level(pcm: np.ndarray, rms_level: float = MIN_LEVEL) -> np.ndarray:
    """Quiet recordings raised to a telephone's level by their loud part; loud ones as they are."""
    if len(pcm) < 160:
        return pcm
    frames = pcm[: len(pcm) // 160 * 160].reshape(-1, 160).astype(np.float64)
    level = float(np.percentile(np.sqrt(np.mean(frames**2, axis=1)), 90))
    gain = max(1.0, rms_level / max(level, 1.0))
    return np.clip(pcm * gain, -32_000, 32_000).astype(np.int16)


def recorded(folder: Path | None, name: str, language: str) -> list[Utterance]:
    """Every WAV of one corpus of the evaluation folder."""
    root, rows = _rows(folder, name)
    return [
        Utterance(row["file"], row.get("text", ""), language, at_level(read_wav(root / row["file"])),
                  row.get("speaker", ""), row.get("label", ""))
        for row in rows if row["file"].endswith(".wav")
    ]  # fmt: skip


def prompts(count: int, seed: int, min_words: int = 4) -> list[Utterance]:
    """Debian's recorded sentences with their texts, chosen at `seed`."""
    if not SOUND_TEXTS.is_file() or not SOUNDS.is_dir():
        raise Unavailable("no recorded prompts: apt-get install asterisk-core-sounds-en asterisk-core-sounds-en-wav")
    lines = gzip.decompress(SOUND_TEXTS.read_bytes()).decode("utf-8", "replace").splitlines()
    pairs = [line.partition(":")[::2] for line in lines if ":" in line and not line.startswith(";")]
    usable = [
        (name.strip(), text.strip()) for name, text in pairs
        if not set("[(") & set(text) and len(text.split()) >= min_words and (SOUNDS / f"{name.strip()}.wav").is_file()
    ]  # fmt: skip
    chosen = seeded(seed).sample(sorted(usable), min(count, len(usable)))
    return [Utterance(name, text, "en", trimmed(read_wav(SOUNDS / f"{name}.wav"))) for name, text in chosen]


def questions(language: str, folder: Path | None, seed: int) -> list[Utterance]:
    """Open questions that the shipped knowledge answers; recorded ones where the evaluation folder has them."""
    rng = seeded(seed)
    if language == "zh":
        try:
            found = [u for u in recorded(folder, "zh_caller", "zh") if u.label in OPEN_LABELS]
        except Unavailable:
            found = [Utterance(t, t, "zh", speak(t, "zh")) for t in QUESTIONS_ZH]
    else:
        found = [
            Utterance(f"{voice}: {text}", text, "en", speak(text, "en", voice), voice)
            for index, text in enumerate(QUESTIONS) for voice in (VOICES[index % 4], VOICES[(index + 1) % 4])
        ]  # fmt: skip
    rng.shuffle(found)
    return found


def bank_questions(folder: Path | None, count: int, seed: int) -> list[Utterance]:
    """Real customers' questions (BANKING77) in synthetic voices: most have no answer in the shipped knowledge."""
    path = folder / "banking77" / "train.csv" if folder is not None else None
    if path is None or not path.is_file():
        raise Unavailable("no `banking77` in the evaluation data: give its folder with --data or IVR_DATA")
    with path.open(encoding="utf-8") as file:
        texts = [r["text"].strip() for r in csv.DictReader(file) if 5 <= len(r["text"].split()) <= 12]
    rng = seeded(seed)
    chosen = rng.sample([t for t in texts if "\n" not in t], count)
    return [Utterance(t, t, "en", speak(t, "en", voice := rng.choice(VOICES)), voice) for t in chosen]


def answers(kind: str, language: str, folder: Path | None, seed: int) -> list[Utterance]:
    """Yes/no answers or digit strings of one language, recorded where the evaluation folder has them."""
    rng = seeded(seed)
    if language == "zh":
        texts = ("是的", "不是", "对", "不对") if kind == "yes_no" else ("一二三四", "八六二零", "六六八八")
        try:
            labels = ("yes", "no") if kind == "yes_no" else ("digits",)
            found = [u for u in recorded(folder, "zh_caller", "zh") if u.label in labels]
        except Unavailable:
            found = [Utterance(t, t, "zh", speak(t, "zh")) for t in texts]
    elif kind == "yes_no":
        found = [Utterance(t, t, "en", speak(t, "en", v), v, t) for t in ("yes", "no") for v in VOICES]
        try:
            both = recorded(folder, "an4", "en") + recorded(folder, "speech_commands_v1", "en")
            found = [replace(u, label=u.text) for u in both if u.text in ("yes", "no")]
        except Unavailable:
            pass
    else:
        try:
            found = digit_strings(folder, 20, 4, seed)
        except Unavailable:
            found = [Utterance(t, t, "en", speak(" ".join(t), "en", v), v, t)
                     for t, v in (("8620", "slt"), ("1957", "en-us"), ("6688", "awb"), ("7315", "slt"))]  # fmt: skip
    rng.shuffle(found)
    return found


def digit_strings(folder: Path | None, count: int, length: int, seed: int) -> list[Utterance]:
    """Strings of single recorded digits of one speaker, 100-300 ms apart."""
    rng = seeded(seed)
    by_speaker: dict[str, list[Utterance]] = {}
    for one in recorded(folder, "fsdd", "en"):
        by_speaker.setdefault(one.speaker, []).append(one)
    found = []
    for index in range(count):
        speaker = sorted(by_speaker)[index % len(by_speaker)]
        picked = [rng.choice(by_speaker[speaker]) for _ in range(length)]
        parts = []
        for one in picked:
            parts += [edges_trimmed(one.pcm), np.zeros(RATE_HZ * rng.randint(100, 300) // 1000, np.int16)]
        label = "".join(str(DIGITS.index(one.text)) for one in picked)
        found.append(Utterance(f"{speaker}-{index}-{label}", label, "en", np.concatenate(parts[:-1]), speaker, label))
    return found


def edges_trimmed(pcm: np.ndarray, threshold: float = 0.05) -> np.ndarray:
    """Without what is quieter than `threshold` of the peak at either end (10 ms kept)."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > threshold * np.max(np.abs(pcm.astype(np.int32))))
    return pcm[max(0, loud[0] - 80) : loud[-1] + 80] if len(loud) else pcm


def word_boundaries(pcm: np.ndarray) -> list[int]:
    """Samples where a word probably ends: middles of dips of 40 ms or more, away from the ends, longest first."""
    step = RATE_HZ // 100
    frames = pcm[: len(pcm) // step * step].reshape(-1, step).astype(np.float64)
    level = np.convolve(np.sqrt(np.mean(frames**2, axis=1)), np.ones(3) / 3, "same")
    quiet = level < 0.2 * np.percentile(level, 80)
    dips: list[tuple[int, int]] = []
    start = None
    for index, low in enumerate([*quiet, False]):
        if low and start is None:
            start = index
        elif not low and start is not None:
            if index - start >= 4 and start > 25 and index < len(quiet) - 25:
                dips.append((index - start, (start + index) // 2 * step))
            start = None
    return [place for _, place in sorted(dips, reverse=True)]


def with_pause(utterance: Utterance, rng: random.Random) -> Utterance | None:
    """The utterance with 300-900 ms of silence at one of its three clearest word boundaries; None if it has none."""
    places = word_boundaries(utterance.pcm)[:3]
    if not places:
        return None
    place, length_ms = rng.choice(places), rng.randint(300, 900)
    silence = np.zeros(RATE_HZ * length_ms // 1000, np.int16)
    pcm = np.concatenate([utterance.pcm[:place], silence, utterance.pcm[place:]])
    return replace(utterance, pcm=pcm, name=f"{utterance.name} (pause {length_ms} ms at {place / RATE_HZ:.2f} s)")


def noise(folder: Path | None, name: str, seconds: float, seed: int, level: float = 1_500.0) -> np.ndarray:
    """A stretch of `babble`, `music`, `tap` or `bike` at the given RMS."""
    files = {"babble": "pesq/speech_bab_0dB.wav", "music": "hold_music/manolo_camp-morning_coffee.wav",
             "tap": "gsc_background/running_tap.wav", "bike": "gsc_background/exercise_bike.wav"}  # fmt: skip
    if folder is None or not (folder / "noise" / files[name]).is_file():
        raise Unavailable("no `noise` in the evaluation speech: give its folder with --data or IVR_DATA")
    pcm = read_wav(folder / "noise" / files[name]).astype(np.float64)
    need = int(RATE_HZ * seconds)
    pcm = np.tile(pcm, need // len(pcm) + 1)
    start = seeded(seed).randrange(max(1, len(pcm) - need))
    piece = pcm[start : start + need]
    return np.clip(piece * level / max(1.0, float(np.sqrt(np.mean(piece**2)))), -32_000, 32_000).astype(np.int16)


def cough(seed: int = 0, milliseconds: int = 200) -> np.ndarray:
    """A burst like a cough: noise through a throat's band, quick onset, falling off."""
    generator = np.random.default_rng(seed)
    count = RATE_HZ * milliseconds // 1000
    burst = np.convolve(generator.standard_normal(count + 40), np.hanning(9) / 4, "same")[:count]
    burst -= np.convolve(burst, np.ones(40) / 40, "same")
    envelope = np.minimum(1.0, np.arange(count) / 80) * np.exp(-np.arange(count) / (count / 2.5))
    shaped = burst * envelope
    return (shaped / np.max(np.abs(shaped)) * 14_000).astype(np.int16)


def words(text: str) -> list[str]:
    """Words for error counting: lower case, no punctuation, figures as they stand."""
    return re.sub(r"[^a-z0-9' ]+", " ", text.lower().replace("-", " ")).split()


def resampled(pcm: np.ndarray, rate_hz: int) -> np.ndarray:
    return at_telephone_rate(pcm, rate_hz)


def spoken_again(folder: Path | None, string: Utterance, seed: int) -> Utterance:
    """The same digit string by the same speaker from other takes, a little slower, as after a reprompt."""
    rng = seeded(seed)
    takes = [u for u in recorded(folder, "fsdd", "en") if u.speaker == string.speaker]
    parts = []
    for digit in string.label:
        one = rng.choice([u for u in takes if u.text == DIGITS[int(digit)]])
        parts += [edges_trimmed(one.pcm), np.zeros(RATE_HZ * rng.randint(150, 300) // 1000, np.int16)]
    return replace(string, name=f"{string.name} again", pcm=np.concatenate(parts[:-1]))
