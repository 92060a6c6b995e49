"""The vocabulary and the weights of all-MiniLM-L6-v2 (English, Apache-2.0), from its folder among the models.

It tells English questions apart that multilingual-e5-small does not. 22 million weights of 32 bits are packed into the
blocks of 4 bits that `bert` runs. Read once by the first who asks; afterwards it is only read, by any thread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ivr.errors import Unavailable
from ivr.understanding.bert import Weights, packed

NAME = "minilm-en"
_HEADS, _EPSILON = 12, 1e-12
_PARTS = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm", "fi": "intermediate.dense",
    "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
_NORMS = ("aln", "oln")


@dataclass(frozen=True)
class Vocabulary:
    """How text becomes tokens; `begin` and `end` frame them."""

    tokenizer: Tokenizer
    begin: int
    end: int

    def tokens(self, text: str) -> list[int]:
        """The pieces of `text` (WordPiece, lower case), without those that frame it."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids


def opened(folder: Path) -> tuple[Vocabulary, Weights]:
    """The model in `folder`, read; half a second. Raises Unavailable when it is not what this module knows."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        vocabulary = Vocabulary(tokenizer, tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]"))
        return vocabulary, _weights(_tensors(folder / "model.safetensors"))
    except Exception as error:  # the tokenizers library raises nothing narrower
        message = f"no sentence model in {folder}: {error}; run ivr models pull {NAME}"
        raise Unavailable(message) from None


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file by name, mapped: a header in JSON, then the numbers."""
    data = np.memmap(path, np.uint8, mode="r")
    start = 8 + int.from_bytes(bytes(data[:8]), "little")
    found = {}
    for name, about in json.loads(bytes(data[8:start])).items():
        if about.get("dtype") == "F32":
            first, last = about["data_offsets"]
            found[name] = np.frombuffer(data[start + first : start + last], "<f4").reshape(about["shape"])
    return found


def _weights(found: dict[str, np.ndarray]) -> Weights:
    """Copies, so that nothing holds the file any longer."""
    words, places = found["embeddings.word_embeddings.weight"], found["embeddings.position_embeddings.weight"].copy()
    tensors = {"emb.type": found["embeddings.token_type_embeddings.weight"][0].copy()}
    tensors |= {f"emb.ln.{kind[0]}": found[f"embeddings.LayerNorm.{kind}"].copy() for kind in ("weight", "bias")}
    layers = 0
    while f"encoder.layer.{layers}.output.dense.weight" in found:
        for part, named in _PARTS.items():
            weight, bias = (found[f"encoder.layer.{layers}.{named}.{kind}"] for kind in ("weight", "bias"))
            tensors[f"l{layers}.{part}.w"] = weight.copy() if part in _NORMS else packed(weight)
            tensors[f"l{layers}.{part}.b"] = bias.copy()
        layers += 1
    inner = len(found["encoder.layer.0.intermediate.dense.bias"])
    rows = packed(words).reshape(len(words), -1)
    return Weights(words.shape[1], inner, _HEADS, layers, _EPSILON, rows, places, tensors)
