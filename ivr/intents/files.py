"""Models in files: everything a model has in one file, written whole or not at all, refused when it is damaged.

The file is a `.npz` of numpy arrays without pickles; names, terms and examples are one of them, as JSON. Knows nothing
of learning. Any process may write a file while another reads it.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path

import msgspec
import numpy as np

from ivr.errors import InvalidInput, Problem
from ivr.understanding.embedding import dimension
from ivr.understanding.intents import Block, Model
from ivr.understanding.spelling import Speller

FORMAT = 2
"""Of the files; one of another format is trained again."""
MAX_BYTES = 2**30
_MEND = "write it again: ivr intents train PLAN --out FOLDER"
_DAMAGED = (OSError, ValueError, KeyError, IndexError, EOFError, TypeError, AttributeError, NotImplementedError,
            msgspec.MsgspecError, zipfile.BadZipFile, zlib.error)  # fmt: skip
"""What reading a file that is no model, or half of one, ends in."""
_ARRAYS = ("labels", "mean", "transform", "vectors", "weights", "bars")
_POSTINGS = ("idf", "starts", "holders", "weights")
_KINDS = {"labels": "i4"}


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of a model is no array.

    `terms` of each block, in the order of their numbers; `written`: what its Speller was made of.
    """

    format: int
    language: str
    version: str
    intents: tuple[str, ...]
    examples: tuple[str, ...]
    shares: tuple[float, ...]
    width: float
    sharpness: float
    written: dict[str, float]
    terms: dict[str, tuple[str, ...]]


def save(model: Model, file: Path) -> None:
    """Write `model` beside `file` and put it in its place when it is complete. Raises OSError."""
    plain = {f.name: getattr(model, f.name) for f in fields(model) if f.name in _Header.__struct_fields__}
    terms = {n: tuple(b.numbers) for n, b in model.blocks.items()}
    header = _Header(format=FORMAT, terms=terms, written=dict(model.speller.written), **plain)
    arrays = {name: getattr(model, name) for name in _ARRAYS}
    for name, block in model.blocks.items():
        arrays |= {f"{name}.{part}": getattr(block, part) for part in _POSTINGS}
    arrays["header"] = np.frombuffer(msgspec.json.encode(header), dtype=np.uint8)
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as out:
            np.savez(out, **arrays)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def load(file: Path) -> Model:
    """The model in `file`. Raises InvalidInput: there is none, it is damaged, or another version of ivr wrote it."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        with np.load(file, allow_pickle=False) as arrays:
            header = msgspec.json.decode(arrays["header"].tobytes(), type=_Header)
            if header.format != FORMAT:
                raise ValueError(f"format {header.format}, not {FORMAT}")
            return _model(header, {name: arrays[name] for name in arrays.files if name != "header"})
    except FileNotFoundError:
        raise InvalidInput(Problem(str(file), "there is no such model", mend=_MEND)) from None
    except _DAMAGED as error:
        raise InvalidInput(Problem(str(file), f"no usable model of intents: {error}", mend=_MEND)) from None


def _model(header: _Header, arrays: dict[str, np.ndarray]) -> Model:
    """A model whose arrays fit one another. Raises ValueError, KeyError."""
    examples, intents, size = len(header.examples), len(header.intents), dimension(header.language)
    shapes = {"labels": (examples,), "mean": (size,), "transform": (size, size),
              "vectors": (examples, size), "weights": (examples, intents), "bars": (intents,)}  # fmt: skip
    for name, shape in shapes.items():
        _expect(arrays, name, shape, _KINDS.get(name, "f4"))
    _within("labels", arrays["labels"], intents)
    blocks = {}
    for name, terms in header.terms.items():
        _expect(arrays, f"{name}.idf", (len(terms),), "f4")
        _expect(arrays, f"{name}.starts", (len(terms) + 1,), "i4")
        starts = arrays[f"{name}.starts"]
        postings = int(starts[-1])
        if starts[0] != 0 or (np.diff(starts) < 0).any():
            raise ValueError(f"`{name}.starts` does not ascend")
        _expect(arrays, f"{name}.holders", (postings,), "u2 i4")
        _expect(arrays, f"{name}.weights", (postings,), "f4")
        _within(f"{name}.holders", arrays[f"{name}.holders"], examples)
        parts = {part: arrays[f"{name}.{part}"] for part in _POSTINGS}
        blocks[name] = Block({term: number for number, term in enumerate(terms)}, **parts)
    if len(header.shares) != len(blocks) + 1:
        raise ValueError("its shares do not fit its blocks")
    return Model(
        language=header.language, version=header.version, intents=header.intents, examples=header.examples,
        blocks=blocks, shares=header.shares, width=header.width, sharpness=header.sharpness,
        speller=Speller(header.written, header.language), **{name: arrays[name] for name in _ARRAYS},
    )  # fmt: skip


def _expect(arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...], kinds: str) -> None:
    found = arrays[name]
    if found.shape != shape or found.dtype.str[1:] not in kinds.split():
        raise ValueError(f"`{name}` is {found.dtype} {found.shape}, not {kinds} {shape}")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError(f"`{name}` holds what is no number")


def _within(name: str, numbers: np.ndarray, limit: int) -> None:
    if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < limit:
        raise ValueError(f"`{name}` leads beyond {limit}")
