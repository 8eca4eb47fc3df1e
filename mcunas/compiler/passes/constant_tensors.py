# SPDX-License-Identifier: Apache-2.0
"""Branches that end in one value per channel: an ADD, SUB, MUL, MAXIMUM or MINIMUM reads a constant instead.

Its shape is (1, ..., C). A residual block whose last layer was pruned away entirely is such a branch: all its ops go,
C bytes of flash stay.
"""
from __future__ import annotations

from dataclasses import replace

from mcunas.compiler.passes.ranges import channel_ranges
from mcunas.compiler.passes.rewrite import compact, constant
from mcunas.graph.ir import Graph

_BINARY = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")


def constant_tensors(graph: Graph) -> Graph:
    """The graph with constants for the tensors that never vary, where all their readers can broadcast one."""
    ranges, readers = channel_ranges(graph), graph.consumers()
    tensors, ops = list(graph.tensors), list(graph.ops)
    for op in graph.ops:
        t = op.outputs[0]
        if t in graph.outputs or t not in ranges or t not in readers or len(op.outputs) != 1:
            continue
        low, high = ranges[t]
        if (low != high).any() or not all(_broadcasts(graph, r, t, ranges) for r in readers[t]):
            continue
        shape = (1,) * (len(graph.tensors[t].shape) - 1) + (len(low),)
        tensors.append(constant(graph.tensors[t].name, low.astype(graph.tensors[t].dtype).reshape(shape),
                                graph.tensors[t].quant))
        for r in readers[t]:
            ops[r] = replace(ops[r], inputs=tuple(len(tensors) - 1 if i == t else i for i in ops[r].inputs))
    if len(tensors) == len(graph.tensors):
        return graph
    return compact(graph.with_(tensors=tuple(tensors), ops=tuple(ops)))


def _broadcasts(graph: Graph, reader: int, t: int, ranges: dict) -> bool:
    """Whether the op's other operand varies and gives the output its shape."""
    op = graph.ops[reader]
    others = [i for i in op.inputs if i != t]
    return (op.kind in _BINARY and len(others) == 1 and not graph.tensors[others[0]].is_const
            and graph.tensors[others[0]].shape == graph.tensors[op.outputs[0]].shape
            and bool((ranges[others[0]][0] != ranges[others[0]][1]).any()))
