# SPDX-License-Identifier: Apache-2.0
"""Views and ops that change nothing: chains of views merged into one RESHAPE, identities taken out.

A view gives its input's bytes in the same order under another shape: RESHAPE, SQUEEZE, EXPAND_DIMS, but also a
TRANSPOSE that only moves axes of 1, a PAD of nothing, a slice of everything, a CONCATENATION or SPLIT of one part.
An identity also keeps shape, scale and zero point. Element-wise ops are judged by the bytes that they can meet: a
QUANTIZE to the same scale, a RELU behind a RELU, an ADD of zeros.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcunas.compiler.passes.byte_maps import byte_map
from mcunas.compiler.passes.ranges import channel_ranges
from mcunas.compiler.passes.rewrite import bypass, compact, constant, data_positions, interchangeable
from mcunas.graph.ir import Graph, Op
from mcunas.graph.resize_params import FRACTION, BilinearAxis, bilinear_axis, nearest_sources
from mcunas.graph.shapes import slice_ranges


def views(graph: Graph) -> Graph:
    """The graph with single RESHAPEs for views and without identities. Names of its inputs and outputs stay."""
    before = None
    while before is not graph:
        before, graph = graph, _without_identity(_merged(graph))
    return graph


def _without_identity(graph: Graph) -> Graph:
    """The graph without the first op that changes nothing and can go."""
    ranges = channel_ranges(graph)
    for index, op in enumerate(graph.ops):
        source = _unchanged(graph, op, ranges)
        shorter = None if source is None else bypass(graph, index, source)
        if shorter is not None:
            return shorter
    return graph


def _merged(graph: Graph) -> Graph:
    """Each view reads the first tensor of its chain; all are written as RESHAPE."""
    origin: dict[int, int] = {}
    tensors, ops = list(graph.tensors), []
    for op in graph.ops:
        scalar = not all(tensors[t].shape for t in op.outputs)       # no constant can spell the shape of a scalar
        if op.kind in _VIEWS and not scalar and _VIEWS[op.kind](graph, op):
            before, after = op.inputs[data_positions(op)[0]], op.outputs[0]
            source = origin.setdefault(after, origin.get(before, before))
            if op.kind != "RESHAPE" or source != before:
                shape = np.array(tensors[after].shape, np.int32)
                tensors.append(constant(f"{tensors[after].name}_shape", shape))
                op = Op("RESHAPE", (source, len(tensors) - 1), op.outputs)
        ops.append(op)
    if all(new is old for new, old in zip(ops, graph.ops)):
        return graph
    return compact(graph.with_(tensors=tuple(tensors), ops=tuple(ops)))


def _unchanged(graph: Graph, op: Op, ranges: dict) -> int | None:
    """The input that the op's output always equals, byte for byte and in meaning."""
    if len(op.outputs) != 1:
        return None
    for position in data_positions(op):
        t = op.inputs[position]
        if not interchangeable(graph.tensors[t], graph.tensors[op.outputs[0]]):
            continue
        table = byte_map(graph, op, t)
        if op.kind == "RESHAPE" or (table is not None and table.is_identity(ranges[t])):
            return t
    return None


def _always(graph: Graph, op: Op) -> bool:
    return True


def _one_part(graph: Graph, op: Op) -> bool:
    return len(data_positions(op)) == 1 == len(op.outputs)


def _pad(graph: Graph, op: Op) -> bool:
    return not graph.tensors[op.inputs[1]].data.any()


def _transpose(graph: Graph, op: Op) -> bool:
    shape = graph.tensors[op.inputs[0]].shape
    moved = [int(p) for p in graph.tensors[op.inputs[1]].data.reshape(-1) if shape[int(p)] > 1]
    return moved == sorted(moved)


def _strided_slice(graph: Graph, op: Op) -> bool:
    whole = zip(slice_ranges(graph, op), graph.tensors[op.inputs[0]].shape)
    return all(found[:3] == (0, 1, size) for found, size in whole)


def _depth_to_space(graph: Graph, op: Op) -> bool:
    _, h, w, _ = graph.tensors[op.inputs[0]].shape
    return op.attrs["block_size"] == 1 or h == w == 1


def _nearest(graph: Graph, op: Op) -> bool:
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    return before == after and all((nearest_sources(op, n, n) == np.arange(n)).all() for n in before[1:3])


def _bilinear(graph: Graph, op: Op) -> bool:
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    return before == after and all(bilinear_axis(op, n, n) == BilinearAxis(FRACTION, 0) for n in before[1:3])


_VIEWS: dict[str, Callable[[Graph, Op], bool]] = {
    "RESHAPE": _always, "SQUEEZE": _always, "EXPAND_DIMS": _always, "CONCATENATION": _one_part, "SPLIT": _one_part,
    "PAD": _pad, "TRANSPOSE": _transpose, "STRIDED_SLICE": _strided_slice, "DEPTH_TO_SPACE": _depth_to_space,
    "RESIZE_NEAREST_NEIGHBOR": _nearest, "RESIZE_BILINEAR": _bilinear,
}
