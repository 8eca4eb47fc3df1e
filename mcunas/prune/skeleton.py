# SPDX-License-Identifier: Apache-2.0
"""A Graph whose channel counts are open: the int8 Graph at any integer widths, priced before it is trained.

Built once per network from its float Graph and its channel groups; `at(widths)` then fills in shapes, dummy weights
and scales. RAM, flash and instructions depend on shapes only, so what the compiler says of it holds for the real one.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcunas.graph.from_torch import FIXED, to_int8
from mcunas.graph.ir import Graph, Quant, Tensor
from mcunas.graph.torch_lower import Lowered
from mcunas.prune.groups import Axis, Channels

_WEIGHT = 64        # heavier than trained layers are on average: some kernels take only sums of weights that are small
_SHAPE_INPUT = {"RESHAPE": 1, "TRANSPOSE_CONV": 0}      # input position that holds the output's shape


@dataclass(frozen=True, eq=False)
class Skeleton:
    """graph: at dense widths. axes: tensor -> {axis: its channel groups}. full: dense width per group."""

    graph: Graph
    axes: dict[int, dict[int, Axis]]
    full: tuple[int, ...]

    @staticmethod
    def of(lowered: Lowered, channels: Channels) -> Skeleton:
        """From a network lowered and grouped at the same widths."""
        fixed = {op.outputs[0]: FIXED[op.kind] for op in lowered.graph.ops if op.kind in FIXED}
        quants = {t: fixed.get(t, (0.05, 0)) for t in lowered.graph.activations()}
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
        graph = to_int8(lowered, quants, compacted=False)
        return Skeleton(graph, axes, tuple(g.channels for g in channels.groups))

    def shape(self, tensor: int, widths: Sequence) -> tuple:
        """The tensor's shape; widths may be integers or torch scalars."""
        shape = list(self.graph.tensors[tensor].shape)
        for axis, channels in self.axes.get(tensor, {}).items():
            shape[axis] = sum(widths[g] * r if g >= 0 else n for g, r, n in channels.segments)
        return tuple(shape)

    def at(self, widths: Sequence[int]) -> Graph:
        """The Graph at integer widths: right in every shape and dtype, dummy weights and scales."""
        tensors = list(self.graph.tensors)
        for t, old in enumerate(tensors):
            shape, quant = self.shape(t, widths), old.quant
            if quant is not None and old.is_const:      # unequal scales: each channel needs its own requantization
                count = shape[quant.axis] if shape else 1
                scale = (0.01 * (1 + 0.001 * np.arange(count))).astype(np.float32)
                quant = Quant(scale, np.zeros(count, np.int64), quant.axis) if not quant.is_per_tensor else quant
            if shape == old.shape and quant is old.quant:
                continue
            filler = _WEIGHT if old.dtype == "int8" else 0
            data = np.full(shape, filler, old.data.dtype) if old.is_const else None
            tensors[t] = Tensor(old.name, shape, old.dtype, quant, data)
        for op in self.graph.ops:
            position = _SHAPE_INPUT.get(op.kind)
            if position is not None:
                t, shape = op.inputs[position], tensors[op.outputs[0]].shape
                tensors[t] = Tensor(tensors[t].name, (len(shape),), "int32", None, np.array(shape, np.int32))
        return self.graph.with_(tensors=tuple(tensors))
