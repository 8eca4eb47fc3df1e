# SPDX-License-Identifier: Apache-2.0
"""Which channels of an op's output depend on which channels of its inputs, for every op without weights.

A channel is a slice of the last axis. Where a link is `joined`, the two channels can only be taken out together: the
op passes the axis on. CONV_2D, FULLY_CONNECTED and TRANSPOSE_CONV mix all channels and have no links; for
DEPTHWISE_CONV_2D the links give the coupling and the weights decide what is read.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcunas.compiler.passes.rewrite import data_positions
from mcunas.graph.ir import Graph, Op, Tensor
from mcunas.graph.shapes import slice_ranges


@dataclass(frozen=True, eq=False)
class Link:
    """Channel result_channels[k] of tensor `result` depends on channel source_channels[k] of tensor `source`."""

    source: int
    source_channels: np.ndarray
    result: int
    result_channels: np.ndarray
    joined: bool = True


def channels(tensor: Tensor) -> int:
    """Size of the last axis; a scalar has one channel."""
    return tensor.shape[-1] if tensor.shape else 1


def links(graph: Graph, op: Op) -> list[Link] | None:
    """The op's links; None when it does not pass its channels on, so that each output depends on all of them."""
    rule = _RULES.get(op.kind)
    if rule is None or (rule is not _same and any(not graph.tensors[op.inputs[i]].shape for i in data_positions(op))):
        return None
    return rule(graph, op)


def _same(graph: Graph, op: Op) -> list[Link]:
    """Every input has the output's channels or a single one that is broadcast."""
    count = channels(graph.tensors[op.outputs[0]])
    every, found = np.arange(count), []
    for position in data_positions(op):
        t = op.inputs[position]
        size = channels(graph.tensors[t])
        found.append(Link(t, every if size == count else np.zeros(count, int), op.outputs[0], every, size == count))
    return found


def _depthwise(graph: Graph, op: Op) -> list[Link]:
    every = np.arange(channels(graph.tensors[op.outputs[0]]))
    return [Link(op.inputs[0], every // op.attrs["depth_multiplier"], op.outputs[0], every)]


def _mean(graph: Graph, op: Op) -> list[Link] | None:
    rank = len(graph.tensors[op.inputs[0]].shape)
    reduced = {int(a) % rank for a in graph.tensors[op.inputs[1]].data.reshape(-1)}
    return None if rank - 1 in reduced else _same(graph, op)


def _concatenation(graph: Graph, op: Op) -> list[Link]:
    rank = len(graph.tensors[op.outputs[0]].shape)
    if op.attrs["axis"] % rank != rank - 1:
        return _same(graph, op)
    found, at = [], 0
    for t in op.inputs:
        every = np.arange(channels(graph.tensors[t]))
        found.append(Link(t, every, op.outputs[0], at + every))
        at += len(every)
    return found


def _view(graph: Graph, op: Op) -> list[Link] | None:
    """The element order stays, so one channel count must divide the other: flattening repeats the channels."""
    before, after = channels(graph.tensors[op.inputs[0]]), channels(graph.tensors[op.outputs[0]])
    if max(before, after) % min(before, after):
        return None
    every = np.arange(max(before, after))
    return [Link(op.inputs[0], every % before, op.outputs[0], every % after)]


def _pad(graph: Graph, op: Op) -> list[Link]:
    every = np.arange(channels(graph.tensors[op.inputs[0]]))
    return [Link(op.inputs[0], every, op.outputs[0], every + int(graph.tensors[op.inputs[1]].data[-1, 0]))]


def _transpose(graph: Graph, op: Op) -> list[Link] | None:
    order = graph.tensors[op.inputs[1]].data.reshape(-1)
    return _same(graph, op) if order[-1] == len(order) - 1 else None


def _strided_slice(graph: Graph, op: Op) -> list[Link] | None:
    size = channels(graph.tensors[op.inputs[0]])
    return _same(graph, op) if slice_ranges(graph, op)[-1] == (0, 1, size, True) else None


def _split(graph: Graph, op: Op) -> list[Link] | None:
    x = op.inputs[1]
    rank, every = len(graph.tensors[x].shape), np.arange(channels(graph.tensors[x]))
    if int(graph.tensors[op.inputs[0]].data.reshape(-1)[0]) % rank == rank - 1:
        return None
    return [Link(x, every, result, every) for result in op.outputs]


def _depth_to_space(graph: Graph, op: Op) -> list[Link]:
    every = np.arange(channels(graph.tensors[op.inputs[0]]))
    return [Link(op.inputs[0], every, op.outputs[0], every % channels(graph.tensors[op.outputs[0]]))]


_RULES: dict[str, Callable[[Graph, Op], list[Link] | None]] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "AVERAGE_POOL_2D", "MAX_POOL_2D", "LOGISTIC", "TANH",
                     "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU", "QUANTIZE", "DEQUANTIZE", "RESIZE_NEAREST_NEIGHBOR",
                     "RESIZE_BILINEAR"), _same),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), _view),
    "DEPTHWISE_CONV_2D": _depthwise, "MEAN": _mean, "CONCATENATION": _concatenation, "PAD": _pad,
    "TRANSPOSE": _transpose, "STRIDED_SLICE": _strided_slice, "SPLIT": _split, "DEPTH_TO_SPACE": _depth_to_space,
}
