"""Raw speech samples: reading, writing, resampling, levels, and what a telephone line does to them.

Everything is mono. `pcm` is 16-bit little-endian bytes, `wave` a float32 array in -1..1. Pure functions that any
thread may call; knows nothing of calls, engines or codecs other than G.711.
"""

from __future__ import annotations

import wave as _wave
from pathlib import Path

import numpy as np
import soxr

RATE_HZ = 16_000  # what recognisers and recordings of the house use
TELEPHONE_HZ = 8_000
BYTES_PER_SAMPLE = 2
_SILENCE_DBFS = -120.0


def to_wave(pcm: bytes | bytearray | memoryview) -> np.ndarray:
    """float32 samples in -1..1. A half sample at the end is dropped."""
    view = memoryview(pcm)
    return np.frombuffer(view[: len(view) & ~1], dtype="<i2").astype(np.float32) / 32_768.0


def to_pcm(wave: np.ndarray) -> bytes:
    """16-bit bytes; what exceeds full scale is clipped."""
    return np.clip(np.rint(wave * 32_768.0), -32_768, 32_767).astype("<i2").tobytes()


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """The same sound at another rate (soxr, high quality). Whole utterances only: it keeps no state between calls."""
    if from_hz == to_hz:
        return bytes(pcm)
    return to_pcm(soxr.resample(to_wave(pcm), from_hz, to_hz))


def read_wav(path: str | Path, rate_hz: int = RATE_HZ) -> bytes:
    """The samples of a 16-bit WAV file at `rate_hz`; several channels are averaged.

    Raises OSError, and ValueError for anything but 16-bit PCM.
    """
    try:
        with _wave.open(str(path), "rb") as file:
            width, channels, from_hz = file.getsampwidth(), file.getnchannels(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (_wave.Error, EOFError) as error:
        raise ValueError(f"{path}: not a PCM WAV file: {error}") from None
    if width != BYTES_PER_SAMPLE:
        raise ValueError(f"{path}: {8 * width} bits a sample, 16 are needed")
    if channels > 1:
        whole = len(frames) // (BYTES_PER_SAMPLE * channels) * BYTES_PER_SAMPLE * channels
        frames = to_pcm(to_wave(frames[:whole]).reshape(-1, channels).mean(axis=1))
    return resample(frames, from_hz, rate_hz)


def write_wav(path: str | Path, pcm: bytes, rate_hz: int = RATE_HZ) -> None:
    """A mono 16-bit WAV file."""
    with _wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(rate_hz)
        file.writeframes(pcm)


def silence(duration_ms: int, rate_hz: int = RATE_HZ) -> bytes:
    return bytes(BYTES_PER_SAMPLE * (rate_hz * duration_ms // 1_000))


def duration_ms(pcm: bytes | bytearray, rate_hz: int = RATE_HZ) -> int:
    return len(pcm) // BYTES_PER_SAMPLE * 1_000 // rate_hz


def rms_dbfs(pcm: bytes | bytearray) -> float:
    """Mean level in dB under full scale; -120 for digital silence."""
    wave = to_wave(pcm)
    power = float(np.mean(np.square(wave))) if wave.size else 0.0
    return 10 * np.log10(power) if power > 1e-12 else _SILENCE_DBFS


def gain(pcm: bytes, db: float) -> bytes:
    """The same sound louder or softer; clipped at full scale."""
    return to_pcm(to_wave(pcm) * 10 ** (db / 20))


def mixed(one: bytes, other: bytes) -> bytes:
    """Two signals of one length at once, clipped."""
    total = np.frombuffer(one, np.int16).astype(np.int32) + np.frombuffer(other, np.int16)
    return np.clip(total, -32768, 32767).astype(np.int16).tobytes()


def mu_law_encode(pcm: bytes) -> bytes:
    """G.711 mu-law (ITU-T G.711, table 2a)."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.int32) >> 2
    sign = np.where(samples < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(samples), 8_158) + 33
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    mantissa = (magnitude >> (exponent + 1)) & 0x0F
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()


def mu_law_decode(data: bytes) -> bytes:
    """The samples that mu-law bytes stand for, 16 bit."""
    codes = ~np.frombuffer(data, dtype=np.uint8).astype(np.int32) & 0xFF
    magnitude = (((((codes & 0x0F) << 1) + 33) << ((codes >> 4) & 0x07)) - 33) << 2
    return np.where(codes & 0x80, -magnitude, magnitude).astype("<i2").tobytes()


def over_telephone(pcm: bytes, rate_hz: int = RATE_HZ) -> bytes:
    """What arrives at 16 kHz after 8 kHz G.711 mu-law: the band is cut at 4 kHz and the samples are quantised."""
    narrow = mu_law_decode(mu_law_encode(resample(pcm, rate_hz, TELEPHONE_HZ)))
    return resample(narrow, TELEPHONE_HZ, RATE_HZ)
