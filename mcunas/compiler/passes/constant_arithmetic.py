# SPDX-License-Identifier: Apache-2.0
"""ADD, SUB and MUL by a constant (and QUANTIZE to another zero point) folded into the layers that read the result.

Exact in one case: for every byte that can occur, the op adds a fixed number n to it (n may differ by channel), and its
two scales are equal. A layer then reads the op's input instead: what it multiplies, q - zero point, differs by
d = n + input zero point - output zero point, and d x sum of weights goes into its bias. Where d is not 0, the weights
must sum to the same at every pattern of padding. ADD is such a map when its input scale equals its output scale and
is the larger one and nothing saturates; QUANTIZE and MUL when the scale stays.

Everything else is left alone. A real factor rounds, the layer behind it rounds again, and one rounding by the product
of the factors differs from two in some of the 256 bytes; likewise a layer before it, which rounds first.
"""
from __future__ import annotations

import numpy as np

from mcunas.compiler.passes.byte_maps import byte_map
from mcunas.compiler.passes.ranges import channel_ranges
from mcunas.compiler.passes.rewrite import compact, data_positions, renamed
from mcunas.compiler.passes.taps import WEIGHTED, bias_tensor, bias_values, tap_patterns, tap_weights, with_bias
from mcunas.graph.ir import Graph, Op

_INT32 = (1 << 31) - 1


def constant_arithmetic(graph: Graph) -> Graph:
    """The graph without the additions of constants that all their readers can take into a bias."""
    index, ranges = 0, channel_ranges(graph)
    while index < len(graph.ops):
        shorter = _folded(graph, index, ranges)
        if shorter is None:
            index += 1
        else:
            graph, ranges, index = shorter, channel_ranges(shorter), 0
    return graph


def _folded(graph: Graph, index: int, ranges: dict) -> Graph | None:
    op = graph.ops[index]
    result = op.outputs[0]
    readers = graph.consumers().get(result, [])
    taken = bool(readers) and all(graph.ops[r].kind in WEIGHTED for r in readers)
    if len(op.outputs) != 1 or result in graph.outputs or not taken:
        return None
    for position in data_positions(op):
        source = op.inputs[position]
        if graph.tensors[source].quant is None:
            continue
        (scale, zero), (scale_out, zero_out) = (graph.tensors[t].quant.per_tensor for t in (source, result))
        table = byte_map(graph, op, source) if scale == scale_out else None
        added = None if table is None else table.shift(ranges[source])
        if added is None:
            continue
        biases = [_bias(graph, graph.ops[r], added + zero - zero_out) for r in readers]
        if all(b is not None for b in biases):
            return _rewritten(graph, index, source, dict(zip(readers, biases)))
    return None


def _bias(graph: Graph, reader: Op, offset: np.ndarray) -> np.ndarray | None:
    """The reader's bias when `offset` (C,) is taken from every input pixel; None when it has no such bias."""
    weights = tap_weights(graph, reader)
    if weights is None:
        return None
    patterns = tap_patterns(graph, reader, weights.shape[1]).astype(np.int64)
    if reader.kind == "DEPTHWISE_CONV_2D":
        offset = np.repeat(offset, reader.attrs["depth_multiplier"])[:, np.newaxis]
    else:
        offset = offset[np.newaxis]
    shares = np.einsum("pt,otc->poc", patterns, weights) * offset
    bias = bias_values(graph, reader)
    reach = abs(bias) + abs(shares[0]).sum(axis=1) + 255 * abs(weights).sum(axis=(1, 2))
    if (shares != shares[0]).any() or (reach > _INT32).any():
        return None
    return bias + shares[0].sum(axis=1)


def _rewritten(graph: Graph, index: int, source: int, biases: dict[int, np.ndarray]) -> Graph:
    """The readers of op `index` read `source`, with new biases where they differ."""
    result, tensors, ops = graph.ops[index].outputs[0], list(graph.tensors), list(graph.ops)
    for reader, bias in biases.items():
        op = ops[reader]
        if (bias != bias_values(graph, op)).any():
            tensors.append(bias_tensor(graph, op, bias))
            op = with_bias(op, len(tensors) - 1)
        ops[reader] = renamed(op, {result: source})
    del ops[index]
    return compact(graph.with_(tensors=tuple(tensors), ops=tuple(ops)))
