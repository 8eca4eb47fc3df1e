# SPDX-License-Identifier: Apache-2.0
"""int4 weights. TFLite stores two a byte, the first in the low half, both in two's complement."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from mcunas.graph.ir import Graph, Quant

LOW, HIGH = -8, 7           # that a nibble holds; symmetric quantization uses LOW + 1 to HIGH


def packed(values: np.ndarray) -> bytes:
    """Values of LOW..HIGH in memory order; a last byte of one value has a high half of 0."""
    flat = values.reshape(-1).astype(np.int8)
    pairs = np.pad(flat, (0, flat.size % 2)).reshape(-1, 2)
    return ((pairs[:, 0] & 15) | pairs[:, 1] << 4).astype(np.uint8).tobytes()


def unpacked(data: bytes, count: int) -> np.ndarray:
    """int8 (count,). Raises ValueError when the bytes hold another number of values."""
    if len(data) != (count + 1) // 2:
        raise ValueError("packed values")
    pairs = np.frombuffer(data, np.int8)
    return np.stack([pairs << 4 >> 4, pairs >> 4], axis=1).astype(np.int8).reshape(-1)[:count]


def with_int4(graph: Graph, op_indices: Iterable[int]) -> Graph:
    """The same int8 Graph with int4 weights of about the same values in these ops: for prices, not for answers.

    Weights that are not zero stay so: what the compiler may leave out stays the same.
    """
    tensors = list(graph.tensors)
    for op in (graph.ops[i] for i in op_indices):
        old = tensors[op.inputs[1]]
        values = np.sign(old.data) * np.minimum((np.abs(old.data.astype(np.int64)) + 15) // 16, HIGH)
        scale = old.quant.scale[:1] if op.kind == "FULLY_CONNECTED" else old.quant.scale
        quant = Quant((scale * np.float32(16)).astype(np.float32), np.zeros(scale.size, np.int64),
                      old.quant.axis if scale.size > 1 else 0)
        tensors[op.inputs[1]] = replace(old, dtype="int4", quant=quant, data=values.astype(np.int8))
        if len(op.inputs) > 2 and op.inputs[2] >= 0:
            bias, step = tensors[op.inputs[2]], tensors[op.inputs[0]].quant.scale * quant.scale
            grid = Quant(step.astype(np.float32), np.zeros(step.size, np.int64))
            tensors[op.inputs[2]] = replace(bias, quant=grid, data=np.rint(bias.data / 16).astype(np.int32))
    return graph.with_(tensors=tuple(tensors))
