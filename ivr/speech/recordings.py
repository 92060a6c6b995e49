"""Recorded prompts: `audio_prompts/<language>/*.wav`, which win over synthesis. Blocking; for a worker thread.

A text finds its recording in one of three ways: it is `[name]` and there is a file `name.wav`; the folder's
`prompts.toml` gives that text to a recording; or the file is named like the text (`how-can-i-help-you.wav`).
`prompts.toml` holds a table a name: `text`, what the recording says (spoken by the voice while the file is missing),
and `file`, if it is not `<name>.wav`. Case, spacing and closing punctuation of a text make no difference.
Files may have any rate, one or two channels, 8 to 32 bits, floats, or G.711. Knows nothing of voices and calls.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr

from ivr.errors import InvalidInput, Problem
from ivr.speech import pcm

MANIFEST = "prompts.toml"
LONGEST_S = 600
_NAME = re.compile(r"\[([\w-]{1,64})\]")
_QUIETEST_DBFS = -60.0


@dataclass(frozen=True)
class Recording:
    """A prompt with a name. `text` is empty when nobody said what it says, `path` None when nobody recorded it."""

    name: str
    text: str
    path: Path | None


@dataclass
class Recordings:
    """The recordings of one language."""

    by_name: dict[str, Recording] = field(default_factory=dict)
    _by_text: dict[str, Recording] = field(default_factory=dict)

    def add(self, recording: Recording) -> None:
        self.by_name[recording.name] = recording
        if recording.path:
            self._by_text.setdefault(slug(recording.name), recording)
        if recording.text:
            self._by_text[slug(recording.text)] = recording

    def find(self, text: str) -> Recording | None:
        """The recording of `text`, or the one that `text` names (`[welcome]`)."""
        if named := _NAME.fullmatch(text.strip()):
            return self.by_name.get(named[1])
        return self._by_text.get(slug(text))


def slug(text: str) -> str:
    """`text` without case, spacing and punctuation: `How can I help you?` is `how-can-i-help-you`."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    return "-".join(re.findall(r"\w+", folded.replace("_", "-")))


def load(folder: Path) -> tuple[Recordings, list[Problem]]:
    """What `folder` (`audio_prompts/<language>`) holds, and what is wrong with it. A missing folder is empty."""
    recordings, problems = Recordings(), []
    if not folder.is_dir():
        return recordings, problems
    for path in sorted(folder.glob("*.wav")):
        recordings.add(Recording(path.stem, "", path))
    manifest = folder / MANIFEST
    if not manifest.exists():
        return recordings, problems
    try:
        text = manifest.read_text("utf-8")
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return recordings, [Problem(str(manifest), f"cannot be read: {error}", mend="mend it as UTF-8 TOML")]
    for name, table in tables.items():
        recording = _entry(folder, name, table, text, problems)
        if recording is not None:
            recordings.add(recording)
    return recordings, problems


def _entry(folder: Path, name: str, table: object, text: str, problems: list[Problem]) -> Recording | None:
    file = str(folder / MANIFEST)
    line = next((n for n, row in enumerate(text.splitlines(), 1) if re.match(rf"\s*\[\s*\"?{re.escape(name)}", row)), 0)

    def wrong(key: str, message: str, mend: str) -> None:
        problems.append(Problem(file, message, line, field=f"{name}.{key}" if key else name, mend=mend))

    if not isinstance(table, dict) or not re.fullmatch(r"[\w-]{1,64}", name):
        wrong("", "not a prompt", 'write [name] and below it text = "..."')
        return None
    for key in table.keys() - {"text", "file"}:
        close = difflib.get_close_matches(key, ("text", "file"), 1)
        wrong(key, "unknown key", f"did you mean `{close[0]}`?" if close else "known here: file, text")
    words, named = table.get("text", ""), table.get("file", "")
    if not isinstance(words, str) or not isinstance(named, str):
        wrong("text", "not a string", "put it in quotes")
        return None
    path = folder / (named or f"{name}.wav")
    if named and not path.is_file():
        wrong("file", f"no file {named}", "record it, or remove the line to have the text spoken by the voice")
    if not words and not path.is_file():
        wrong("text", "neither a text nor a file", 'write text = "..."')
    return Recording(name, words, path if path.is_file() else None)


def check(folder: Path) -> list[Problem]:
    """Everything wrong with the recordings in `folder`: the manifest, and files that cannot be played."""
    recordings, problems = load(folder)
    for recording in recordings.by_name.values():
        if recording.path is not None:
            try:
                read(recording.path)
            except InvalidInput as error:
                problems += error.problems
    return problems


def read(path: Path) -> bytes:
    """The recording as 16 kHz mono PCM. Raises InvalidInput."""
    try:
        data = path.read_bytes()
        wave, rate = _decoded(data)
    except (OSError, ValueError) as error:
        raise InvalidInput(Problem(str(path), str(error), mend="save it as a 16-bit PCM WAV file")) from None
    if wave.shape[0] > LONGEST_S * rate:
        raise InvalidInput(Problem(str(path), f"longer than {LONGEST_S // 60} minutes", mend="cut it"))
    mono = wave.mean(axis=1, dtype=np.float32)
    sound = pcm.to_pcm(soxr.resample(mono, rate, pcm.RATE_HZ) if rate != pcm.RATE_HZ else mono)
    if pcm.rms_dbfs(sound) < _QUIETEST_DBFS:
        raise InvalidInput(Problem(str(path), "nothing but silence", mend="record it again"))
    return sound


def _decoded(data: bytes) -> tuple[np.ndarray, int]:
    """Samples (frames x channels, -1..1) and rate of a RIFF WAVE file. Raises ValueError."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("not a WAV file")
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.setdefault(data[at : at + 4], data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    form, sound = chunks.get(b"fmt ", b""), chunks.get(b"data", b"")
    if len(form) < 16 or not sound:
        raise ValueError("a WAV file without sound")
    tag, channels = int.from_bytes(form[:2], "little"), int.from_bytes(form[2:4], "little")
    rate, bits = int.from_bytes(form[4:8], "little"), int.from_bytes(form[14:16], "little")
    if tag == 0xFFFE and len(form) >= 26:
        tag = int.from_bytes(form[24:26], "little")
    if not 1 <= channels <= 8 or not 4_000 <= rate <= 192_000:
        raise ValueError(f"{channels} channels at {rate} Hz")
    wave = _samples(tag, bits, sound)
    return wave[: len(wave) // channels * channels].reshape(-1, channels), rate


def _samples(tag: int, bits: int, sound: bytes) -> np.ndarray:
    match tag, bits:
        case 1, 8:
            return np.frombuffer(sound, np.uint8).astype(np.float32) / 128 - 1
        case 1, 16:
            return pcm.to_wave(sound)
        case 1, 24:
            raw = np.frombuffer(sound[: len(sound) // 3 * 3], np.uint8).reshape(-1, 3)
            wide = np.zeros((len(raw), 4), np.uint8)
            wide[:, 1:] = raw
            return wide.view("<i4").ravel().astype(np.float32) / 2**31
        case 1, 32:
            return np.frombuffer(sound[: len(sound) // 4 * 4], "<i4").astype(np.float32) / 2**31
        case 3, 32:
            return np.nan_to_num(np.frombuffer(sound[: len(sound) // 4 * 4], "<f4")).clip(-1, 1)
        case 6, 8:
            return _a_law(np.frombuffer(sound, np.uint8))
        case 7, 8:
            return pcm.to_wave(pcm.mu_law_decode(sound))
        case _:
            raise ValueError(f"an encoding that is not read here (format {tag}, {bits} bits)")


def _a_law(codes: np.ndarray) -> np.ndarray:
    """ITU-T G.711, table 1a."""
    codes = codes.astype(np.int32) ^ 0x55
    exponent, mantissa = (codes >> 4) & 7, codes & 0x0F
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(codes & 0x80, magnitude, -magnitude).astype(np.float32) / 32_768
