"""Sentences as vectors: multilingual-e5-small, English and Mandarin in one space, and a second model beside it.

What callers say in a language that has a second model (English: all-MiniLM-L6-v2) is the vectors of both, one behind
the other: where they differ, each knows what the other does not. Without it, the first serves alone. Weights are of
4 bits; some 8 ms on one core for a sentence of ten words by the first, 5 by the second. Knows nothing of intents or
answers. Any thread may call it, several at once. Each model is loaded by the first call, in half a second: 150 MB, most
of it vocabulary, and 55 MB.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import onnxruntime

from ivr.understanding import bert, e5, minilm

DIMENSION = 384
"""Numbers in a vector of one model."""
QUERY_CHARACTERS = 300
"""What is read of a question: half a minute of speech. More would cost time without saying more."""
PASSAGE_CHARACTERS = 2_000
"""What is read of a passage."""
_WINDOW_TOKENS = 510
_FIRST = "multilingual-e5-small"
_SECOND = {"en": minilm.NAME}
_SHARE = 0.3
"""What the second model counts in the likeness of two vectors; chosen on CLINC150 and the bank's paraphrases."""
_folders = [Path(__file__).resolve().parents[2] / "models"]


def models_in(folder: Path) -> None:
    """Look for second models in `folder`, too. For the start of a process, before anything is embedded."""
    if folder not in _folders:
        _folders.append(folder)
        _home.cache_clear()


@cache
def _home(model: str) -> Path | None:
    """The folder of a model, as one is there; the checkout's own goes first."""
    return next((folder / model for folder in _folders if (folder / model).is_dir()), None)


def sentence_models(language: str) -> tuple[str, ...]:
    """The names of the models that vectors of what is said in `language` are made by; what is on disk counts."""
    second = _SECOND.get(language, "")
    return (_FIRST, second) if second and _home(second) is not None else (_FIRST,)


def dimension(language: str) -> int:
    """Numbers in a vector of what is said in `language`."""
    return DIMENSION * len(sentence_models(language))


def embed_said(texts: Sequence[str], language: str, threads: int = 1) -> np.ndarray:
    """Vectors of what callers say, to be compared with one another: float32 (n, dimension(language)) of length 1.

    Text after QUERY_CHARACTERS is not read; a text without a letter has the vector of "". `threads` is how many cores
    the call may take. Raises Unavailable when a model cannot be read.
    """
    return _joined(embed_queries(texts, threads), _second(texts, language, threads))


@lru_cache(maxsize=2_048)
def said_vector(text: str, language: str) -> np.ndarray:
    """The vector of one utterance, float32 (dimension(language),), read-only; kept, as `query_vector` is."""
    vector = _joined(query_vector(text)[None], _second([text], language, 1))[0]
    vector.flags.writeable = False
    return vector


def embed_queries(texts: Sequence[str], threads: int = 1) -> np.ndarray:
    """Vectors of questions, to be laid beside passages, by the first model: float32 (n, 384) of length 1."""
    return _embed(_FIRST, [f"query: {_clean(text, QUERY_CHARACTERS)}" for text in texts], threads)


def embed_passages(texts: Sequence[str], threads: int = 1) -> np.ndarray:
    """Vectors of what is searched, to be laid beside those of queries: float32 (n, 384) of length 1.

    Text after PASSAGE_CHARACTERS is not read. `threads` is how many cores the call may take.
    """
    return _embed(_FIRST, [f"passage: {_clean(text, PASSAGE_CHARACTERS)}" for text in texts], threads)


@lru_cache(maxsize=2_048)
def query_vector(text: str) -> np.ndarray:
    """The vector of one question, float32 (384,), read-only. Kept: a turn asks for the same words more than once."""
    vector = embed_queries([text])[0]
    vector.flags.writeable = False
    return vector


def _second(texts: Sequence[str], language: str, threads: int) -> np.ndarray | None:
    """The vectors of the second model of `language`, if it has one."""
    if len(models := sentence_models(language)) == 1:
        return None
    return _embed(models[1], [_clean(text, QUERY_CHARACTERS) for text in texts], threads)


def _joined(first: np.ndarray, second: np.ndarray | None) -> np.ndarray:
    """Vectors of both models, one behind the other, of length 1 as they are."""
    if second is None:
        return first
    return np.concatenate([first * np.float32((1 - _SHARE) ** 0.5), second * np.float32(_SHARE**0.5)], axis=-1)


def _embed(model: str, texts: Sequence[str], threads: int) -> np.ndarray:
    """One text at a time: several at once are hardly faster, and their sums are not the same to the last bit."""
    out = np.empty((len(texts), DIMENSION), dtype=np.float32)
    for row, text in enumerate(texts):
        vector = _mean(model, text, threads)
        out[row] = vector / np.linalg.norm(vector)
    return out


def _mean(model: str, text: str, threads: int) -> np.ndarray:
    """The mean of the tokens of a text, float32 (384,); windows of a long one count by their lengths."""
    vocabulary, weights = _opened(model)
    tokens, total = vocabulary.tokens(text), np.zeros(DIMENSION, dtype=np.float32)
    for start in range(0, max(len(tokens), 1), _WINDOW_TOKENS):
        window = tokens[start : start + _WINDOW_TOKENS]
        given = weights.start([vocabulary.begin, *window, vocabulary.end])[None]
        total += max(len(window), 1) * _session(model, threads).run(None, {"start": given})[0][0]
    return total


def _clean(text: str, characters: int) -> str:
    """One line of valid Unicode."""
    readable = text[:characters].encode("utf-8", "ignore").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f\s]+", " ", readable).strip()


@cache
def _opened(model: str) -> tuple[e5.Vocabulary | minilm.Vocabulary, bert.Weights]:
    return e5.opened() if (home := _home(model)) is None else minilm.opened(home)


@cache
def _session(model: str, threads: int) -> onnxruntime.InferenceSession:
    """Two threads that come first at once both make one; one of the two is used from then on, the other freed."""
    return bert.session(_opened(model)[1], threads)
