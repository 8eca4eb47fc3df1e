# SPDX-License-Identifier: Apache-2.0
"""Reference of the layers with weights: CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV.

Products are summed tap by tap in float64 (exact below 2^53), wrapped to int32 as TFLite Micro's accumulator is, and
scaled with double rounding; on int16 activations its accumulator is int64 and scaling rounds once. Padding counts as the
input's zero point, so it adds nothing.
"""
from __future__ import annotations

import numpy as np

from mcunas.graph.arithmetic import scale_int32, scale_int64, wrap32
from mcunas.graph.integer_params import requant, sliding_window
from mcunas.graph.ir import Graph, Op
from mcunas.graph.reference import Values, executes


def _finish(graph: Graph, op: Op, total: np.ndarray, bias: np.ndarray | None) -> list[np.ndarray]:
    """Accumulators (float64, channels last) to the output."""
    p, dtype = requant(graph, op), graph.tensors[op.outputs[0]].dtype
    acc = total.astype(np.int64) + (0 if bias is None else bias.astype(np.int64))
    scaled = (scale_int64(acc, p.multiplier, p.shift) if dtype == "int16" else
              wrap32(scale_int32(wrap32(acc), p.multiplier, p.shift) + p.output_zero_point))
    return [np.clip(scaled, p.low, p.high).astype(dtype)]


def _centred(graph: Graph, tensor: int, x: np.ndarray) -> np.ndarray:
    """Input less its zero point, float64."""
    return x.astype(np.float64) - graph.tensors[tensor].quant.per_tensor[1]


def _taps(graph: Graph, op: Op, x: np.ndarray):
    """Yield (kernel row, kernel column, the input that this tap sees: N x out_h x out_w x C), padding as zeros."""
    w, (_, out_h, out_w, _) = sliding_window(graph, op), graph.tensors[op.outputs[0]].shape
    span = [(out - 1) * s + (k - 1) * d + 1 for out, s, k, d in zip((out_h, out_w), w.stride, w.kernel, w.dilation)]
    after = [max(0, span[i] - w.pad[i] - x.shape[1 + i]) for i in (0, 1)]
    padded = np.pad(_centred(graph, op.inputs[0], x), ((0, 0), (w.pad[0], after[0]), (w.pad[1], after[1]), (0, 0)))
    for ky in range(w.kernel[0]):
        for kx in range(w.kernel[1]):
            top, left = ky * w.dilation[0], kx * w.dilation[1]
            yield ky, kx, padded[:, top:top + (out_h - 1) * w.stride[0] + 1:w.stride[0],
                                 left:left + (out_w - 1) * w.stride[1] + 1:w.stride[1]]


@executes("CONV_2D")
def conv_2d(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    """Input N x H x W x C, weights O x kh x kw x C/groups; the group count follows from the two channel counts."""
    x, weights = values[0], values[1].astype(np.float64)
    depth = weights.shape[3]
    groups = x.shape[3] // depth
    per_group = weights.shape[0] // groups
    total = np.zeros(graph.tensors[op.outputs[0]].shape)
    for ky, kx, seen in _taps(graph, op, x):
        for g in range(groups):
            out = slice(g * per_group, (g + 1) * per_group)
            total[..., out] += seen[..., g * depth:(g + 1) * depth] @ weights[out, ky, kx].T
    return _finish(graph, op, total, values[2] if len(values) > 2 else None)


@executes("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    """Input N x H x W x C, weights 1 x kh x kw x (C * multiplier): output channel c reads input c // multiplier."""
    x, weights = values[0], values[1].astype(np.float64)
    total = np.zeros(graph.tensors[op.outputs[0]].shape)
    for ky, kx, seen in _taps(graph, op, x):
        total += np.repeat(seen, op.attrs["depth_multiplier"], axis=3) * weights[0, ky, kx]
    return _finish(graph, op, total, values[2] if len(values) > 2 else None)


@executes("FULLY_CONNECTED")
def fully_connected(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    """Input of any rank as rows of the weights' depth; weights outputs x depth."""
    weights = values[1].astype(np.float64)
    total = _centred(graph, op.inputs[0], values[0]).reshape(-1, weights.shape[1]) @ weights.T
    return _finish(graph, op, total, values[2] if len(values) > 2 else None)


@executes("TRANSPOSE_CONV")
def transpose_conv(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    """Inputs: output shape, weights O x kh x kw x C, input. Each input pixel is stamped on the output at its stride."""
    weights, x = values[1].astype(np.float64), _centred(graph, op.inputs[2], values[2])
    w, (n, out_h, out_w, channels) = sliding_window(graph, op), graph.tensors[op.outputs[0]].shape
    span = [(x.shape[1 + i] - 1) * w.stride[i] + w.kernel[i] for i in (0, 1)]
    canvas = np.zeros((n, max(span[0], w.pad[0] + out_h), max(span[1], w.pad[1] + out_w), channels))
    for ky in range(w.kernel[0]):
        for kx in range(w.kernel[1]):
            canvas[:, ky:ky + span[0] - w.kernel[0] + 1:w.stride[0],
                   kx:kx + span[1] - w.kernel[1] + 1:w.stride[1]] += x @ weights[:, ky, kx].T
    total = canvas[:, w.pad[0]:w.pad[0] + out_h, w.pad[1]:w.pad[1] + out_w]
    return _finish(graph, op, total, values[3] if len(values) > 3 else None)
