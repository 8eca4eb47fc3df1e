# SPDX-License-Identifier: Apache-2.0
"""Integer parameters of the layers that multiply or average: derived once, used by the reference and the lowering.

Every function gives what TFLite Micro's Prepare step computes from the float scales: multipliers (Q31 mantissa and
power of two), zero points and clamp limits. All scale products are formed in double from the float32 scales; that
decides the result's last bit. (TFLite Micro's sources of August 2026 still rounded input scale x weight scale to
float32 for a FULLY_CONNECTED with one weight scale; the released interpreter of October does not.)
"""
from __future__ import annotations

from dataclasses import dataclass
from math import floor, prod

import numpy as np

from mcunas.graph.arithmetic import activation_range, quantize_multiplier
from mcunas.graph.ir import Graph, Op
from mcunas.graph.shapes import axis_padding, window


@dataclass(frozen=True, eq=False)
class Requant:
    """Scaling of the accumulator to the output of a layer with weights: int32 to int8, or int64 to int16.

    multiplier, shift: int64 (C,) per output channel or (1,) for all. low, high: clamp limits of the activation.
    """

    multiplier: np.ndarray
    shift: np.ndarray
    input_zero_point: int
    output_zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class Window:
    """How a sliding window lies on its input: (rows, columns) each. `pad` is the padding before the first pixel."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int]


@dataclass(frozen=True)
class SoftmaxParams:
    """Scaling of (value - row maximum) to Q5.26; differences below `diff_min` count as minus infinity."""

    multiplier: int
    shift: int
    diff_min: int


@dataclass(frozen=True)
class MeanParams:
    """MEAN over `axes` (sorted, unique) of `count` elements: scales (sum - count * input zero point)."""

    axes: tuple[int, ...]
    count: int
    multiplier: int
    shift: int
    input_zero_point: int
    output_zero_point: int


def data_input(op: Op) -> int:
    """Tensor index of the activation that a layer with weights reads (TRANSPOSE_CONV takes its output shape first)."""
    return op.inputs[2 if op.kind == "TRANSPOSE_CONV" else 0]


def bias_input(op: Op) -> int:
    """Tensor index of a layer's bias, -1 when it has none."""
    position = 3 if op.kind == "TRANSPOSE_CONV" else 2
    return op.inputs[position] if len(op.inputs) > position else -1


def requant(graph: Graph, op: Op) -> Requant:
    """CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV and FULLY_CONNECTED."""
    input_scale, input_zero = graph.tensors[data_input(op)].quant.per_tensor
    output_scale, output_zero = graph.tensors[op.outputs[0]].quant.per_tensor
    scales = graph.tensors[op.inputs[1]].quant.scale
    pairs = [quantize_multiplier(input_scale * float(s) / output_scale) for s in scales]
    low, high = activation_range(op.attrs["activation"], output_scale, output_zero, graph.tensors[op.outputs[0]].dtype)
    return Requant(np.array([m for m, _ in pairs], np.int64), np.array([s for _, s in pairs], np.int64),
                   input_zero, output_zero, low, high)


def sliding_window(graph: Graph, op: Op) -> Window:
    """Convolutions and pools. TRANSPOSE_CONV's window slides over its output, which takes the padding."""
    a, over = op.attrs, op.outputs[0] if op.kind == "TRANSPOSE_CONV" else op.inputs[0]
    kernel = (a["filter_h"], a["filter_w"]) if "filter_h" in a else graph.tensors[op.inputs[1]].shape[1:3]
    stride = a["stride_h"], a["stride_w"]
    dilation = a.get("dilation_h", 1), a.get("dilation_w", 1)
    size = graph.tensors[over].shape[1:3]
    top, left = (window(size[i], kernel[i], stride[i], dilation[i], axis_padding(a, i))[1] for i in (0, 1))
    return Window((int(kernel[0]), int(kernel[1])), stride, dilation, (top, left))


def pool_range(graph: Graph, op: Op) -> tuple[int, int]:
    """Clamp limits of a pool's fused activation."""
    result = graph.tensors[op.outputs[0]]
    return activation_range(op.attrs["activation"], *result.quant.per_tensor, result.dtype)


def softmax(graph: Graph, op: Op) -> SoftmaxParams:
    """SOFTMAX in fixed point: differences are scaled by beta x input scale, 5 integer bits."""
    real = float(np.float32(op.attrs["beta"])) * graph.tensors[op.inputs[0]].quant.per_tensor[0] * (1 << 26)
    multiplier, shift = quantize_multiplier(min(real, float((1 << 31) - 1)))
    return SoftmaxParams(multiplier, shift, -floor(31 * (1 << 26) / (1 << shift)))


def mean_scale(graph: Graph, op: Op) -> tuple[int, int]:
    """MEAN's multiplier (mantissa, shift) before the division by the element count."""
    return quantize_multiplier(graph.tensors[op.inputs[0]].quant.per_tensor[0]
                               / graph.tensors[op.outputs[0]].quant.per_tensor[0])


def mean(graph: Graph, op: Op) -> MeanParams:
    """MEAN: the division by the element count goes into the multiplier, truncated."""
    shape = graph.tensors[op.inputs[0]].shape
    axes = tuple(sorted({int(a) % len(shape) for a in graph.tensors[op.inputs[1]].data.reshape(-1)}))
    input_zero, output_zero = (graph.tensors[t].quant.per_tensor[1] for t in (op.inputs[0], op.outputs[0]))
    multiplier, shift = mean_scale(graph, op)
    count = prod(shape[a] for a in axes)
    widen = min(count.bit_length() - 1, 32, 31 + shift)
    return MeanParams(axes, count, (multiplier << widen) // count, shift - widen, input_zero, output_zero)
