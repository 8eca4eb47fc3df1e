# SPDX-License-Identifier: Apache-2.0
"""Activations fused into the op before them, as its clamp.

Exact only between tensors of one scale and zero point: then the activation is a clamp of bytes, and two clamps in a
row are one. An op qualifies when its table of 256 bytes, behind the clamp that is there already, equals the clamp of
NONE, RELU, RELU_N1_TO_1 or RELU6 (also a MAXIMUM with zero). With another output scale the activation rounds a second
time, which no fused form repeats. Two tables in a row stay two ops: the Graph has no op for an arbitrary table.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcunas.compiler.passes.byte_maps import BYTES, byte_map
from mcunas.compiler.passes.rewrite import compact, data_positions, interchangeable
from mcunas.graph.arithmetic import activation_range
from mcunas.graph.ir import Graph, Op
from mcunas.graph.spec import ACTIVATIONS

_CLAMPING = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "ADD", "SUB", "MUL",
             "AVERAGE_POOL_2D", "MAX_POOL_2D")


def fuse_activation(graph: Graph) -> Graph:
    """The graph with every clamp that its producer can take over, where nobody else reads the producer's output."""
    index = 0
    while index < len(graph.ops):
        fused = _fused(graph, index)
        graph, index = (graph, index + 1) if fused is None else (fused, 0)
    return graph


def _fused(graph: Graph, index: int) -> Graph | None:
    op, makers, readers = graph.ops[index], graph.producer(), graph.consumers()
    for position in data_positions(op):
        t = op.inputs[position]
        if t not in makers or readers[t] != [index] or t in graph.outputs:
            continue
        maker = graph.ops[makers[t]]
        activation = _joint(graph, maker, op) if maker.kind in _CLAMPING else None
        if activation is not None:
            joint = replace(maker, outputs=op.outputs, attrs={**maker.attrs, "activation": activation})
            ops = [joint if i == makers[t] else o for i, o in enumerate(graph.ops) if i != index]
            return compact(graph.with_(ops=tuple(ops)))
    return None


def _joint(graph: Graph, maker: Op, op: Op) -> str | None:
    """The activation of `maker` that stands for its own followed by `op`."""
    between, result = graph.tensors[maker.outputs[0]], graph.tensors[op.outputs[0]]
    if not interchangeable(between, result):
        return None
    table = byte_map(graph, op, maker.outputs[0])
    if table is None:
        return None
    quant = between.quant.per_tensor
    both = table.values[:, np.clip(BYTES, *activation_range(maker.attrs["activation"], *quant)) + 128]
    for activation in ACTIVATIONS:
        if (both == np.clip(BYTES, *activation_range(activation, *quant))).all():
            return activation
    return None
