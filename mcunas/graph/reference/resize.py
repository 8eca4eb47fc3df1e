# SPDX-License-Identifier: Apache-2.0
"""Resizing of images (N, H, W, C) to the size given by the constant second input."""
from __future__ import annotations

import numpy as np

from mcunas.graph.arithmetic import clamp_int8
from mcunas.graph.ir import Graph, Op
from mcunas.graph.reference import Values, executes
from mcunas.graph.resize_params import FRACTION, bilinear_axis, nearest_sources


@executes("RESIZE_NEAREST_NEIGHBOR")
def _nearest(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    _, out_h, out_w, _ = graph.tensors[op.outputs[0]].shape
    _, in_h, in_w, _ = inputs[0].shape
    return [inputs[0][:, nearest_sources(op, in_h, out_h)][:, :, nearest_sources(op, in_w, out_w)]]


@executes("RESIZE_BILINEAR")
def _bilinear(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    """Weights are exact in 1/1024; the weighted sum in 2^-20 is rounded to nearest, ties away from zero."""
    _, out_h, out_w, _ = graph.tensors[op.outputs[0]].shape
    x = inputs[0].astype(np.int64)
    for axis, size_out in ((1, out_h), (2, out_w)):
        low, high, weight = _neighbours(op, x.shape[axis], size_out)
        weight = weight.reshape((-1,) + (1,) * (3 - axis))
        x = np.take(x, low, axis) * (FRACTION - weight) + np.take(x, high, axis) * weight
    half = 1 << 19
    return [clamp_int8(np.where(x > 0, (x + half) >> 20, -((half - x) >> 20)))]


def _neighbours(op: Op, size_in: int, size_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lower index, upper index, weight of the upper) per output index."""
    axis = bilinear_axis(op, size_in, size_out)
    position = np.maximum(np.arange(size_out) * axis.step + axis.start, 0)
    low = position // FRACTION
    return low, np.minimum(low + 1, size_in - 1), position - low * FRACTION
