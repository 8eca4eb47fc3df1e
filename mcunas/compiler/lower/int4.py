# SPDX-License-Identifier: Apache-2.0
"""Lowering of layers with int4 weights to the portable kernels, which unpack nothing: firmware/kernels/mn_pairs.h.

Convolutions with groups, and windows of more products than a pair's sums can hold, keep the int8 kernel: their weights
then take a byte each, which the table's size shows.
"""
from __future__ import annotations

from math import prod

import numpy as np

from mcunas.compiler.lower import KernelCall, Table, lowers
from mcunas.compiler.lower import convolution as int8
from mcunas.compiler.lower.steps import without_steps
from mcunas.compiler.lower.window import halfwords, image_calls
from mcunas.graph.integer_params import requant, sliding_window
from mcunas.graph.ir import Graph, Op
from mcunas.graph.nibbles import packed

MOST_PRODUCTS = 1 << 16        # of a sum: 28 bits hold so many times 15 * 128


def in_pairs(weights: np.ndarray) -> np.ndarray:
    """int8 (pairs of channels, ...) of weights (channels, ...): 16 * second + first + 8; an odd last second is 0."""
    wide = np.concatenate([weights, np.zeros((weights.shape[0] % 2, *weights.shape[1:]), np.int8)]).astype(np.int64)
    return (16 * wide[1::2] + wide[0::2] + 8).astype(np.int8)


def _pairs(graph: Graph, op: Op) -> Table | None:
    weights = graph.tensors[op.inputs[1]].data
    return Table("int8_t", in_pairs(weights), "weights") if prod(weights.shape[1:]) <= MOST_PRODUCTS else None


@lowers("CONV_2D int4")
def conv_2d(graph: Graph, op: Op) -> list[KernelCall]:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win, pairs = requant(graph, op), sliding_window(graph, op), _pairs(graph, op)
    if w[3] != x[3] or pairs is None:
        return int8.conv_2d(graph, op)
    if win.kernel == win.stride == (1, 1):
        return int8.product(graph, op, y[0] * y[1], y[2], "mn_fully_connected_s4", pairs)
    params = {
        **int8.tables(graph, op, p, int8.weight_sums(graph, op)), "weights": pairs, **int8.dilation(graph, op, win),
        **halfwords(graph, op, out_c=y[3], group_c=w[3]), "input_zero_point": p.input_zero_point,
    }
    return image_calls(graph, op, "mn_conv_s4", params, win, prod(y) * prod(w[1:]), by_channel=False, has_steps=True)


@lowers("FULLY_CONNECTED int4")
def fully_connected(graph: Graph, op: Op) -> list[KernelCall]:
    pairs, depth = _pairs(graph, op), graph.tensors[op.inputs[1]].shape[1]
    if pairs is None:
        return int8.fully_connected(graph, op)
    pixels = graph.tensors[op.inputs[0]].elements // depth
    return without_steps(int8.product(graph, op, 1, pixels, "mn_fully_connected_s4", pairs))


@lowers("DEPTHWISE_CONV_2D int4")
def depthwise_conv_2d(graph: Graph, op: Op) -> list[KernelCall]:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win, multiplier = requant(graph, op), sliding_window(graph, op), op.attrs["depth_multiplier"]
    taps = graph.tensors[op.inputs[1]].data.reshape(-1, w[3]).T
    data = np.frombuffer(b"".join(packed(channel) for channel in taps), np.int8)
    params = {
        **int8.tables(graph, op, p, int8.weight_sums(graph, op)), **int8.dilation(graph, op, win),
        "weights": Table("int8_t", data, "weights"), **halfwords(graph, op, in_c=x[3], multiplier_c=multiplier),
        "input_zero_point": p.input_zero_point,
    }
    return image_calls(graph, op, "mn_depthwise_s4", params, win, prod(y) * w[1] * w[2], by_channel=multiplier == 1,
                       has_steps=True)
