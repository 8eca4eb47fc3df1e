# SPDX-License-Identifier: Apache-2.0
"""Which int8 values each channel of each tensor can take, whatever the input: interval analysis in exact integers.

Graph inputs take everything. A layer with weights sums the extremes of each tap, for every pattern of padding, and
scales them as the kernel does (that is monotone). A channel whose two ends coincide is constant: a filter of zeros
gives one, and so does a filter whose every possible sum saturates.
"""
from __future__ import annotations

import numpy as np

from mcunas.compiler.passes.links import channels, links
from mcunas.compiler.passes.rewrite import data_positions
from mcunas.compiler.passes.taps import DENSE, WEIGHTED, bias_values, tap_patterns, tap_weights
from mcunas.graph import integer_params, reference
from mcunas.graph.arithmetic import scale_int32, wrap32
from mcunas.graph.elementwise_params import unary_table
from mcunas.graph.ir import Graph, Op, Tensor

Range = tuple[np.ndarray, np.ndarray]       # lowest and highest value per channel: int64 (C,), int64 (C,)
_INT32 = (1 << 31) - 1
_BINARY = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")
_TABLES = ("LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU", "QUANTIZE")
_MAX_MEAN_COUNT = 1 << 22                   # int32 holds the sum of as many differences of bytes


def channel_ranges(graph: Graph) -> dict[int, Range]:
    """Tensor index -> its range, for every tensor of 8 bits that carries values (activations and constant operands)."""
    found: dict[int, Range] = {}
    for t in graph.inputs:
        if _has_bytes(graph.tensors[t]):
            found[t] = _any(graph.tensors[t])
    for op in graph.ops:
        for position in data_positions(op):
            t = op.inputs[position]
            if graph.tensors[t].is_const and t not in found and _has_bytes(graph.tensors[t]):
                data = graph.tensors[t].data.astype(np.int64).reshape(-1, channels(graph.tensors[t]))
                found[t] = data.min(axis=0), data.max(axis=0)
        for t in op.outputs:
            if _has_bytes(graph.tensors[t]):
                found[t] = _transfer(graph, op, t, found)
    return found


def _has_bytes(tensor: Tensor) -> bool:
    return tensor.dtype in ("int8", "uint8")


def _any(tensor: Tensor) -> Range:
    low, high = (0, 255) if tensor.dtype == "uint8" else (-128, 127)
    return np.full(channels(tensor), low), np.full(channels(tensor), high)


def _transfer(graph: Graph, op: Op, result: int, found: dict[int, Range]) -> Range:
    tensor = graph.tensors[result]
    sources = [op.inputs[i] for i in data_positions(op)]
    if op.kind == "SOFTMAX" or any(t not in found for t in sources):
        return _any(tensor)
    if op.kind == "MEAN" and integer_params.mean(graph, op).count > _MAX_MEAN_COUNT:
        return _any(tensor)
    if op.kind in WEIGHTED:
        return _layer(graph, op, found)
    if op.kind in _BINARY:
        return _corners(graph, op, result, [found[t] for t in sources])
    if op.kind in _TABLES:
        return _table(graph, op, found[sources[0]])
    low, high = _gathered(graph, op, result, found)
    if op.kind == "MEAN":
        return _mean(graph, op, low), _mean(graph, op, high)
    if op.kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        limits = integer_params.pool_range(graph, op)
        return low.clip(*limits), high.clip(*limits)
    return low, high


def _gathered(graph: Graph, op: Op, result: int, found: dict[int, Range]) -> Range:
    """Of ops that choose among or average over their inputs' values: the hull of what each output channel can see."""
    count = channels(graph.tensors[result])
    found_links = links(graph, op)
    if found_links is None:
        sources = [found[op.inputs[i]] for i in data_positions(op)]
        return (np.full(count, min(s[0].min() for s in sources)), np.full(count, max(s[1].max() for s in sources)))
    low, high = np.full(count, _INT32), np.full(count, -_INT32)
    for link in found_links:
        if link.result == result:
            np.minimum.at(low, link.result_channels, found[link.source][0][link.source_channels])
            np.maximum.at(high, link.result_channels, found[link.source][1][link.source_channels])
    if op.kind == "PAD" and (pads := graph.tensors[op.inputs[1]].data).any():
        zero = graph.tensors[result].quant.per_tensor[1]
        seen = np.ones(count, bool)
        if not pads[:-1].any():                                 # padding of channels only: those inside see none
            seen[int(pads[-1, 0]):count - int(pads[-1, 1])] = False
        low, high = np.where(seen, np.minimum(low, zero), low), np.where(seen, np.maximum(high, zero), high)
    return low, high


def _corners(graph: Graph, op: Op, result: int, sources: list[Range]) -> Range:
    """Sums, products and extremes lie between those of the ends of both operands; computed by the reference."""
    ends = [np.stack([s[i] for i in picks]) for s, picks in zip(sources, ((0, 0, 1, 1), (0, 1, 0, 1)))]
    shape = np.broadcast_shapes(*(e.shape for e in ends))
    data = [np.broadcast_to(e, shape).astype(np.int8) for e in ends]
    tensors = tuple(Tensor("", shape, "int8", graph.tensors[t].quant, d) for t, d in zip(op.inputs, data))
    out = Tensor("", shape, "int8", graph.tensors[result].quant)
    small = Graph((*tensors, out), (Op(op.kind, (0, 1), (2,), op.attrs),), (), (2,))
    values = np.broadcast_to(reference.run(small, [])[2].astype(np.int64), (4, channels(graph.tensors[result])))
    return values.min(axis=0), values.max(axis=0)


def _table(graph: Graph, op: Op, source: Range) -> Range:
    lowest = 0 if graph.tensors[op.inputs[0]].dtype == "uint8" else -128
    table = unary_table(graph, op)[np.arange(lowest, lowest + 256) & 255].astype(np.int64)
    parts = [table[a - lowest:b - lowest + 1] for a, b in zip(*source)]
    return np.array([p.min() for p in parts]), np.array([p.max() for p in parts])


def _mean(graph: Graph, op: Op, value: np.ndarray) -> np.ndarray:
    p = integer_params.mean(graph, op)
    scaled = scale_int32((value - p.input_zero_point) * p.count, p.multiplier, p.shift)
    return wrap32(scaled + p.output_zero_point).clip(-128, 127)


def _layer(graph: Graph, op: Op, found: dict[int, Range]) -> Range:
    p = integer_params.requant(graph, op)
    bounds = accumulators(graph, op, found)
    count = channels(graph.tensors[op.outputs[0]])
    if bounds is None:
        return np.full(count, p.low), np.full(count, p.high)
    low, high = bounds[0].min(axis=0), bounds[1].max(axis=0)
    room = _INT32 >> np.maximum(p.shift, 0)                     # beyond it the scaled sum would wrap
    safe = (low >= -room) & (high <= room)
    ends = [requantized(p, np.where(safe, v, 0)) for v in (low, high)]
    return np.where(safe, ends[0], p.low), np.where(safe, ends[1], p.high)


def requantized(p: integer_params.Requant, sums: np.ndarray) -> np.ndarray:
    """Output values of accumulators (..., outputs)."""
    return wrap32(scale_int32(sums, p.multiplier, p.shift) + p.output_zero_point).clip(p.low, p.high)


def accumulators(graph: Graph, op: Op, found: dict[int, Range]) -> tuple[np.ndarray, np.ndarray] | None:
    """Least and greatest accumulator, bias included: int64 (patterns of padding, outputs) each; None when unknown."""
    weights = tap_weights(graph, op)
    if weights is None:
        return None
    low, high = (end - graph.tensors[integer_params.data_input(op)].quant.per_tensor[1]
                 for end in found[integer_params.data_input(op)])
    positive, negative = np.maximum(weights, 0), np.minimum(weights, 0)
    if op.kind in DENSE:
        ends = positive @ low + negative @ high, positive @ high + negative @ low
    else:
        low, high = (np.repeat(end, op.attrs["depth_multiplier"])[:, np.newaxis] for end in (low, high))
        positive, negative = positive[..., 0], negative[..., 0]
        ends = positive * low + negative * high, positive * high + negative * low
    patterns = tap_patterns(graph, op, weights.shape[1]).astype(np.int64)
    if op.kind == "TRANSPOSE_CONV":                             # any subset of the taps: extremes leave out what hurts
        ends, patterns = (np.minimum(ends[0], 0), np.maximum(ends[1], 0)), patterns[-1:]
    bias = bias_values(graph, op)
    return tuple(patterns @ end.T + bias for end in ends)
