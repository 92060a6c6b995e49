"""Sentences as vectors: multilingual-e5-small in 4 bits, English and Mandarin in one space.

Some 8 ms on one core for a sentence of ten words. Knows nothing of intents or answers. Any thread may call it, several
at once. The model is loaded by the first call, in half a second; 150 MB, most of it the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
import onnxruntime

from ivr.understanding import e5, e5_graph

DIMENSION = 384
"""Numbers in a vector."""
QUERY_CHARACTERS = 300
"""What is read of a question: half a minute of speech. More would cost time without saying more."""
PASSAGE_CHARACTERS = 2_000
"""What is read of a passage."""
_WINDOW_TOKENS = 510


def embed_queries(texts: Sequence[str], threads: int = 1) -> np.ndarray:
    """Vectors of what callers say, as float32 (n, 384) of length 1; a text without a letter has the vector of "".

    Text after QUERY_CHARACTERS is not read. `threads` is how many cores the call may take.
    """
    return _embed([f"query: {_clean(text, QUERY_CHARACTERS)}" for text in texts], threads)


def embed_passages(texts: Sequence[str], threads: int = 1) -> np.ndarray:
    """Vectors of what is searched, to be laid beside those of queries: float32 (n, 384) of length 1.

    Text after PASSAGE_CHARACTERS is not read. `threads` is how many cores the call may take.
    """
    return _embed([f"passage: {_clean(text, PASSAGE_CHARACTERS)}" for text in texts], threads)


@lru_cache(maxsize=2_048)
def query_vector(text: str) -> np.ndarray:
    """The vector of one question, float32 (384,), read-only. Kept: a turn asks for the same words more than once."""
    vector = embed_queries([text])[0]
    vector.flags.writeable = False
    return vector


def _embed(texts: Sequence[str], threads: int) -> np.ndarray:
    """One text at a time: several at once are hardly faster, and their sums are not the same to the last bit."""
    out = np.empty((len(texts), DIMENSION), dtype=np.float32)
    for row, text in enumerate(texts):
        vector = _mean(text, threads)
        out[row] = vector / np.linalg.norm(vector)
    return out


def _mean(text: str, threads: int) -> np.ndarray:
    """The mean of the tokens of a text, float32 (384,); windows of a long one count by their lengths."""
    vocabulary, weights = e5.opened()
    tokens, total = vocabulary.tokens(text), np.zeros(DIMENSION, dtype=np.float32)
    for start in range(0, len(tokens), _WINDOW_TOKENS):
        window = tokens[start : start + _WINDOW_TOKENS]
        given = weights.start([vocabulary.begin, *window, vocabulary.end])[None]
        total += len(window) * _session(threads).run(None, {"start": given})[0][0]
    return total


def _clean(text: str, characters: int) -> str:
    """One line of valid Unicode."""
    readable = text[:characters].encode("utf-8", "ignore").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f\s]+", " ", readable).strip()


@cache
def _session(threads: int) -> onnxruntime.InferenceSession:
    """Two threads that come first at once both make one; one of the two is used from then on, the other freed."""
    return e5_graph.session(e5.opened()[1], threads)
