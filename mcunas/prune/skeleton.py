# SPDX-License-Identifier: Apache-2.0
"""The Skeleton of a torch network: its int8 Graph with the channel groups as open widths (cost/skeleton.py prices it)."""
from __future__ import annotations

from mcunas.compiler.passes.pad_folding import folded_ops
from mcunas.cost.skeleton import Axis, Skeleton
from mcunas.graph.to_int8 import to_int8, usual_quants
from mcunas.graph.torch_lower import Lowered
from mcunas.prune.groups import Channels


def skeleton_of(lowered: Lowered, channels: Channels) -> Skeleton:
    """From a network lowered and grouped at the same widths."""
    axes: dict[int, dict[int, Axis]] = {}
    for op in lowered.graph.ops:
        if op.kind == "PAD":                # stands for no node of the traced module; keeps its input's channels
            source = lowered.node_of[op.inputs[0]]
            axes[op.outputs[0]] = {3: channels.nodes[source]}
    for t, node in lowered.node_of.items():
        axes[t] = {len(lowered.graph.tensors[t].shape) - 1: channels.nodes[node]}
    depthwise = {op.inputs[1] for op in lowered.graph.ops if op.kind == "DEPTHWISE_CONV_2D"}
    for w, (path, _) in lowered.weight_of.items():
        rank, out = len(lowered.graph.tensors[w].shape), channels.outputs[path]
        axes[w] = {3: out} if w in depthwise else {0: out, rank - 1: channels.inputs[path]}
    for b, (_, w) in lowered.bias_of.items():
        axes[b] = {0: channels.outputs[lowered.weight_of[w][0]]}
    graph = to_int8(lowered, usual_quants(lowered.graph), compacted=False)
    graph = graph.with_(ops=folded_ops(graph))      # as the compiler does, whatever the weights
    return Skeleton(graph, axes, tuple(g.channels for g in channels.groups))
