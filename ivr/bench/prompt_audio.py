"""Received audio beside the prompt it should be: where a piece of it lies, where silence was put into it. Pure."""

from __future__ import annotations

import numpy as np

from ivr.caller.rtp import FRAME_SAMPLES, RATE_HZ
from ivr.caller.talk import LOUD_RMS, QUIET_FRAMES


def levels(pcm: np.ndarray) -> np.ndarray:
    """RMS of every 20 ms frame."""
    frames = pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES).astype(np.float64)
    return np.sqrt(np.mean(frames**2, axis=1))


def spoken(pcm: np.ndarray) -> tuple[int, int]:
    """First and last loud frame (exclusive) of `pcm`; (0, 0) of silence."""
    loud = np.flatnonzero(levels(pcm) > LOUD_RMS)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, 0)


def first_spell(pcm: np.ndarray) -> np.ndarray:
    """The first stretch of talk, up to 300 ms of silence."""
    first, _ = spoken(pcm)
    loud = levels(pcm)[first:] > LOUD_RMS
    quiet = 0
    for index, is_loud in enumerate(loud):
        quiet = 0 if is_loud else quiet + 1
        if quiet == QUIET_FRAMES:
            return pcm[first * FRAME_SAMPLES : (first + index - QUIET_FRAMES + 1) * FRAME_SAMPLES]
    return pcm[first * FRAME_SAMPLES : (first + len(loud)) * FRAME_SAMPLES]


def locate(reference: np.ndarray, piece: np.ndarray) -> tuple[float, float]:
    """(seconds into `reference` where `piece` fits best, how well: normalised correlation -1..1)."""
    if len(piece) < RATE_HZ // 10 or len(reference) < len(piece):
        return 0.0, 0.0
    a, b = reference.astype(np.float64), piece.astype(np.float64)
    size = 1 << (len(a) + len(b) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[: len(a) - len(b) + 1]
    energy = np.concatenate([[0.0], np.cumsum(a**2)])
    window = energy[len(b) :] - energy[: len(a) - len(b) + 1]
    score = product / np.sqrt(np.maximum(window, 1.0) * max(float(np.sum(b**2)), 1.0))
    best = int(np.argmax(score))
    return best / RATE_HZ, float(score[best])


def holes(reference: np.ndarray, got: np.ndarray) -> list[tuple[float, float]]:
    """(seconds into the prompt, length) of silence in `got` that the prompt does not have; both begin with its speech.

    Walks through both frame by frame: where the reference is loud and nothing came, time is let pass until it does.
    """
    wanted, have = levels(reference), levels(got)
    found: list[tuple[float, float]] = []
    place = index = 0
    while place < len(wanted) and index < len(have):
        if wanted[place] > 4 * LOUD_RMS and have[index] < LOUD_RMS / 4:
            start = index
            while index < len(have) and have[index] < LOUD_RMS / 4:
                index += 1
            if index < len(have):
                found.append((place * 0.02, (index - start) * 0.02))
            continue
        place += 1
        index += 1
    return found
