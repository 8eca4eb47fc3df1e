# SPDX-License-Identifier: Apache-2.0
"""Ops whose output byte depends on one input byte and its channel only, as explicit tables of 256 entries.

Unary functions, sums and products with a constant per channel, maxima with a constant, pools of one pixel. With the
table and the bytes that can occur (ranges), a claim such as "this op changes nothing" is decided, not argued.
"""
from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from mcunas.compiler.passes.links import channels
from mcunas.compiler.passes.ranges import Range
from mcunas.compiler.passes.rewrite import data_positions
from mcunas.graph import reference
from mcunas.graph.ir import Graph, Op, Tensor

_UNARY = ("LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU", "QUANTIZE")
_BINARY = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")
_POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
BYTES = np.arange(-128, 128)


@dataclass(frozen=True, eq=False)
class ByteMap:
    """values: int64 (C, 256) or (1, 256) for all channels; entry q + 128 is what int8 q becomes."""

    values: np.ndarray

    def is_identity(self, occurring: Range) -> bool:
        """Whether every byte that can occur maps to itself."""
        return bool(((self.values == BYTES) | ~_inside(occurring)).all())

    def shift(self, occurring: Range) -> np.ndarray | None:
        """int64 (C,): the number that the map adds to every byte that can occur, per channel; None if there is none."""
        added, inside = np.broadcast_arrays(self.values - BYTES, _inside(occurring))
        low, high = np.where(inside, added, 256).min(axis=1), np.where(inside, added, -256).max(axis=1)
        return low if (low == high).all() else None


def _inside(occurring: Range) -> np.ndarray:
    low, high = (end[:, np.newaxis] for end in occurring)
    return (BYTES >= low) & (BYTES <= high)


def byte_map(graph: Graph, op: Op, source: int) -> ByteMap | None:
    """The map from tensor `source` to the op's output; None when the output depends on more than its byte and channel.

    Both must be int8 of the same shape.
    """
    sources, result = [op.inputs[i] for i in data_positions(op)], graph.tensors[op.outputs[0]]
    x = graph.tensors[source]
    if {x.dtype, result.dtype} != {"int8"} or x.shape != result.shape or x.is_const or sources.count(source) != 1:
        return None
    others = [graph.tensors[t] for t in sources if t != source]
    if op.kind in _POOLS:
        window = ("filter_h", "filter_w", "stride_h", "stride_w")
        if any(op.attrs[name] != 1 for name in window):
            return None
    elif op.kind not in (*_UNARY, *_BINARY) or any(not t.is_const or prod(t.shape[:-1]) != 1 for t in others):
        return None
    count = max([1, *(channels(t) for t in others)])
    shape = (1, 256, 1, count)
    column = np.broadcast_to(BYTES.astype(np.int8)[:, np.newaxis], (256, count)).reshape(shape)
    tensors = [Tensor("", shape, "int8", t.quant, column) if t is x else
               Tensor("", (1, 1, 1, channels(t)), "int8", t.quant, t.data.reshape(1, 1, 1, -1))
               for t in (graph.tensors[i] for i in sources)]
    out = Tensor("", shape, "int8", result.quant)
    small = Graph((*tensors, out), (Op(op.kind, tuple(range(len(sources))), (len(sources),), op.attrs),), (), ())
    return ByteMap(reference.run(small, [])[len(sources)].reshape(256, count).T.astype(np.int64))
