# SPDX-License-Identifier: Apache-2.0
"""Layers with weights as sums over taps, and which taps lie on padding at which output positions.

A tap is one position of the kernel. Padding counts as the input's zero point, so a tap on it adds nothing; near the
border an output sums fewer taps than inside. A fully connected layer has as many taps as its rows have pixels.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcunas.compiler.passes.links import channels
from mcunas.compiler.passes.rewrite import constant
from mcunas.graph.integer_params import bias_input, data_input, sliding_window
from mcunas.graph.ir import Graph, Op, Quant, Tensor

DENSE = ("CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
WEIGHTED = (*DENSE, "DEPTHWISE_CONV_2D")


def tap_weights(graph: Graph, op: Op) -> np.ndarray | None:
    """int64 (outputs, taps, input channels), or (outputs, taps, 1) for DEPTHWISE_CONV_2D.

    None where input channels are not the last axis of the weights: grouped convolutions, and fully connected layers
    whose rows do not hold whole pixels.
    """
    weights = graph.tensors[op.inputs[1]].data.astype(np.int64)
    if op.kind == "DEPTHWISE_CONV_2D":
        return weights[0].reshape(-1, weights.shape[3]).T[:, :, np.newaxis]
    depth = channels(graph.tensors[data_input(op)])
    if weights.shape[-1] % depth or (op.kind != "FULLY_CONNECTED" and weights.shape[-1] != depth):
        return None
    return weights.reshape(weights.shape[0], -1, depth)


def tap_patterns(graph: Graph, op: Op, taps: int) -> np.ndarray:
    """bool (patterns, taps): every set of taps that lies inside the input at some output position.

    TRANSPOSE_CONV stamps its kernel at a stride, so any subset is taken to occur: each tap alone, and all of them.
    """
    if op.kind == "FULLY_CONNECTED":
        return np.ones((1, taps), bool)
    if op.kind == "TRANSPOSE_CONV":
        return np.vstack([np.zeros(taps, bool), np.eye(taps, dtype=bool), np.ones(taps, bool)])
    window = sliding_window(graph, op)
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    axes = []
    for i in (0, 1):
        first = np.arange(after[1 + i])[:, np.newaxis] * window.stride[i] - window.pad[i]
        position = first + np.arange(window.kernel[i]) * window.dilation[i]
        axes.append(np.unique((position >= 0) & (position < before[1 + i]), axis=0))
    return (axes[0][:, np.newaxis, :, np.newaxis] & axes[1][np.newaxis, :, np.newaxis, :]).reshape(-1, taps)


def bias_values(graph: Graph, op: Op) -> np.ndarray:
    """int64 (outputs,), zeros where the layer has no bias."""
    index = bias_input(op)
    outputs = graph.tensors[op.inputs[1]].shape[3 if op.kind == "DEPTHWISE_CONV_2D" else 0]
    return np.zeros(outputs, np.int64) if index < 0 else graph.tensors[index].data.astype(np.int64)


def bias_tensor(graph: Graph, op: Op, values: np.ndarray) -> Tensor:
    """A bias of `values` in the layer's own bias scale; where it has none, input scale x weight scale."""
    index = bias_input(op)
    if index >= 0:
        return constant(graph.tensors[index].name, values.astype(np.int32), graph.tensors[index].quant)
    weights = graph.tensors[op.inputs[1]]
    scale = graph.tensors[data_input(op)].quant.scale.astype(np.float64) * weights.quant.scale
    quant = Quant(scale.astype(np.float32), np.zeros_like(weights.quant.zero_point))
    return constant(f"{weights.name}_bias", values.astype(np.int32), quant)


def with_bias(op: Op, index: int) -> Op:
    """The layer with tensor `index` as its bias."""
    position = 3 if op.kind == "TRANSPOSE_CONV" else 2
    return replace(op, inputs=(*op.inputs[:position], index))
