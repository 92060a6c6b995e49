"""What a caller says: WAV files, or text spoken by a synthesiser of the system (espeak-ng, flite, Festival).

Not the server's own voices: the caller stays a stranger. Blocking; run `speak` in a thread where that matters.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import wave
from functools import lru_cache
from pathlib import Path

import numpy as np
import soxr

from ivr import readings
from ivr.caller.rtp import RATE_HZ
from ivr.errors import InvalidInput, Problem, Unavailable

ESPEAK_VOICES = {"en": "en-us", "zh": "cmn-latn-pinyin+f2"}
TIMEOUT_S = 20


def read_wav(path: str | Path) -> np.ndarray:
    """A WAV file as 8 kHz mono int16. Raises InvalidInput when it is none, or not 16 bit."""
    try:
        with wave.open(str(path), "rb") as file:
            return _samples(file, str(path))
    except (OSError, wave.Error, EOFError) as error:
        raise InvalidInput(Problem(str(path), f"cannot be played: {error}", mend="give a 16-bit PCM WAV")) from None


def _samples(file: wave.Wave_read, name: str) -> np.ndarray:
    if file.getsampwidth() != 2:
        raise InvalidInput(Problem(name, f"has {8 * file.getsampwidth()}-bit samples", mend="give a 16-bit PCM WAV"))
    pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    if file.getnchannels() > 1:
        pcm = pcm.reshape(-1, file.getnchannels()).mean(axis=1).astype(np.int16)
    return at_telephone_rate(pcm, file.getframerate())


def at_telephone_rate(pcm: np.ndarray, rate_hz: int) -> np.ndarray:
    """int16 samples resampled to 8 kHz, with the room at the band's edge that resampling needs."""
    if rate_hz == RATE_HZ:
        return pcm.astype(np.int16)
    scaled = soxr.resample(pcm.astype(np.float32) / 32768, rate_hz, RATE_HZ)
    return np.clip(scaled * 32767, -32768, 32767).astype(np.int16)


@lru_cache(maxsize=256)
def speak(text: str, language: str = "en", voice: str = "") -> np.ndarray:
    """`text` as 8 kHz int16 audio at a usual telephone level, without silence at its ends.

    voice: a flite voice for English (slt, rms, awb, kal16), `festival` for Festival's own, or an espeak-ng voice.
    Raises Unavailable when the program is not installed or the synthesis fails.
    """
    if voice == "festival":
        pcm = _festival(text)
    elif language == "en" and voice in ("", "slt", "rms", "awb", "kal16") and shutil.which("flite"):
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            _run(["flite", "-voice", voice or "slt", "-t", text, "-o", file.name])
            pcm = read_wav(file.name)
    elif shutil.which("espeak-ng"):
        words = text
        if language == "zh":
            words = " ".join(readings.numbered(text))
        name = voice or ESPEAK_VOICES.get(language, language)
        out = _run(["espeak-ng", "-v", name, "-s", "165", "--stdout", words])
        with wave.open(io.BytesIO(_mended(out)), "rb") as file:
            pcm = _samples(file, "espeak-ng")
    else:
        raise Unavailable("no voice to speak with: apt-get install espeak-ng (or flite)")
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 200)
    if not len(loud):
        raise Unavailable(f"the voice said nothing for {text!r}")
    pcm = pcm[loud[0] : loud[-1] + 1]
    peak = float(np.max(np.abs(pcm.astype(np.int32))))
    return (pcm * min(4.0, 16_000 / peak)).astype(np.int16)


def _festival(text: str) -> np.ndarray:
    if not shutil.which("text2wave"):
        raise Unavailable("no Festival to speak with: apt-get install festival festvox-kallpc16k")
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        _run(["text2wave", "-o", file.name], text)
        return read_wav(file.name)


def _run(command: list[str], given: str = "") -> bytes:
    try:
        done = subprocess.run(command, input=given.encode(), capture_output=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} failed: {error}") from None
    return done.stdout


def _mended(out: bytes) -> bytes:
    """espeak-ng writes a WAV to a pipe with no length in its header; put the real ones there."""
    data = out.find(b"data")
    if data < 0:
        raise Unavailable("espeak-ng gave no audio")
    whole, audio = (n.to_bytes(4, "little") for n in (len(out) - 8, len(out) - data - 8))
    return out[:4] + whole + out[8 : data + 4] + audio + out[data + 8 :]
