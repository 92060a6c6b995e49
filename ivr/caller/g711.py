"""G.711 by table: mu-law (PCMU) and A-law (PCMA) to and from 16-bit linear samples at 8 kHz.

ITU-T G.711, tables built once from the segment rules; each conversion is one numpy lookup. Pure; any thread.
"""

from __future__ import annotations

import numpy as np


def _ulaw_decode_table() -> np.ndarray:
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_decode_table() -> np.ndarray:
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _encode_table(decode: np.ndarray) -> np.ndarray:
    """The nearest code of every 16-bit sample, indexed by the sample seen as unsigned."""
    order = np.argsort(decode, kind="stable")
    values = decode[order].astype(np.int32)
    samples = np.arange(-32768, 32768)
    nearest = np.searchsorted((values[1:] + values[:-1]) / 2, samples)
    codes = order[nearest].astype(np.uint8)
    return np.concatenate([codes[32768:], codes[:32768]])


_DECODE = {"PCMU": _ulaw_decode_table(), "PCMA": _alaw_decode_table()}
_ENCODE = {name: _encode_table(table) for name, table in _DECODE.items()}


def decode(codec: str, payload: bytes) -> np.ndarray:
    """Samples (int16) of a G.711 payload. `codec` is PCMU or PCMA."""
    return _DECODE[codec][np.frombuffer(payload, np.uint8)]


def encode(codec: str, pcm: np.ndarray) -> bytes:
    """Payload of int16 samples."""
    return _ENCODE[codec][pcm.astype(np.int16, copy=False).view(np.uint16)].tobytes()
