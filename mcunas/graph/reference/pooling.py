# SPDX-License-Identifier: Apache-2.0
"""Reference of AVERAGE_POOL_2D, MAX_POOL_2D and MEAN.

The average divides by the pixels inside the input and rounds half away from zero; it never sees the zero point,
because input and output share their quantization. MEAN rescales, with 1/count folded into the multiplier.
"""
from __future__ import annotations

import numpy as np

from mcunas.graph.arithmetic import saturated, scale_int32, wrap32
from mcunas.graph.integer_params import mean as mean_params
from mcunas.graph.integer_params import pool_range, sliding_window
from mcunas.graph.ir import Graph, Op
from mcunas.graph.reference import Values, executes


def _windows(graph: Graph, op: Op, x: np.ndarray):
    """Yield (output row, output column, the part of the input inside that window: N x h x w x C)."""
    w, (_, out_h, out_w, _) = sliding_window(graph, op), graph.tensors[op.outputs[0]].shape
    for oy in range(out_h):
        for ox in range(out_w):
            y, z = oy * w.stride[0] - w.pad[0], ox * w.stride[1] - w.pad[1]
            yield oy, ox, x[:, max(0, y):y + w.kernel[0], max(0, z):z + w.kernel[1]]


@executes("AVERAGE_POOL_2D")
def average_pool_2d(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    out = np.empty(graph.tensors[op.outputs[0]].shape, np.int64)
    for oy, ox, seen in _windows(graph, op, values[0].astype(np.int64)):
        count, total = seen.shape[1] * seen.shape[2], seen.sum(axis=(1, 2))
        magnitude = (np.abs(total) + count // 2) // count
        out[:, oy, ox] = np.where(total > 0, magnitude, -magnitude)
    return [np.clip(out, *pool_range(graph, op)).astype(values[0].dtype)]


@executes("MAX_POOL_2D")
def max_pool_2d(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    out = np.empty(graph.tensors[op.outputs[0]].shape, np.int64)
    for oy, ox, seen in _windows(graph, op, values[0]):
        out[:, oy, ox] = seen.max(axis=(1, 2))
    return [np.clip(out, *pool_range(graph, op)).astype(values[0].dtype)]


@executes("MEAN")
def mean(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    p = mean_params(graph, op)
    total = wrap32(values[0].sum(axis=p.axes, dtype=np.int64) - p.count * p.input_zero_point)
    scaled = wrap32(scale_int32(total, p.multiplier, p.shift) + p.output_zero_point)
    return [saturated(scaled, graph.tensors[op.outputs[0]].dtype)]
