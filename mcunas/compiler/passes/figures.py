# SPDX-License-Identifier: Apache-2.0
"""Sizes of a graph that the passes are judged by, and the lines that say what a pass did."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

from mcunas.compiler.passes.taps import WEIGHTED
from mcunas.graph.integer_params import data_input
from mcunas.graph.ir import Graph, Op


@dataclass(frozen=True)
class PassNote:
    """One change of one pass, for the manifest and the report."""

    name: str
    text: str


def weight_count(graph: Graph) -> int:
    """int8 weights of all layers, a shared tensor counted once."""
    return sum(graph.tensors[t].elements for t in {op.inputs[1] for op in graph.ops if op.kind in WEIGHTED})


def macs(graph: Graph) -> int:
    """Multiply-accumulates of all layers with weights, taps on padding counted."""
    return sum(_macs(graph, op) for op in graph.ops if op.kind in WEIGHTED)


def _macs(graph: Graph, op: Op) -> int:
    weights, result = graph.tensors[op.inputs[1]].shape, graph.tensors[op.outputs[0]].shape
    if op.kind == "TRANSPOSE_CONV":
        return prod(graph.tensors[data_input(op)].shape[:3]) * prod(weights)
    taps = prod(weights[1:]) if op.kind != "DEPTHWISE_CONV_2D" else prod(weights[1:3])
    return prod(result) * taps


def notes(name: str, before: Graph, after: Graph) -> list[PassNote]:
    """What pass `name` made of `before`, layer by layer (a tensor keeps its name when it is cut)."""
    found = []
    gone = Counter(op.kind for op in before.ops)
    gone.subtract(Counter(op.kind for op in after.ops))
    if removed := ", ".join(f"{count} {kind}" for kind, count in gone.items() if count > 0):
        found.append(f"removed {removed}")
    left = {after.tensors[op.outputs[0]].name: after.tensors[op.outputs[0]].shape for op in after.ops}
    for index, op in enumerate(before.ops):
        tensor = before.tensors[op.outputs[0]]
        now = left.get(tensor.name, tensor.shape)
        if op.kind in WEIGHTED and now != tensor.shape:
            found.append(f"op {index} {op.kind}: {tensor.shape[-1]} -> {now[-1]} channels")
    for unit, count in (("multiply-accumulates", macs), ("weights", weight_count)):
        a, b = count(before), count(after)
        if a != b:
            found.append(f"{unit} {a:,} -> {b:,} ({100 * (a - b) / a:.1f} % less)")
    return [PassNote(name, text) for text in found] or [PassNote(name, "rewrote ops")]
