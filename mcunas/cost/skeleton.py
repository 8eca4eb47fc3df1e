# SPDX-License-Identifier: Apache-2.0
"""A Graph whose channel counts are open: the int8 Graph at any integer widths, priced before it is trained.

Built once per network from its float Graph and its channel groups; `at(widths)` then fills in shapes, dummy weights
and scales. RAM, flash and instructions depend on shapes only, so what the compiler says of it holds for the real one.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcunas.graph.ir import Graph, Op, Quant, Tensor

_WEIGHT = 64        # heavier than trained layers are on average: some kernels take only sums of weights that are small
_SHAPE_INPUT = {"RESHAPE": 1, "TRANSPOSE_CONV": 0}      # input position that holds the output's shape


@dataclass(frozen=True)
class Axis:
    """A channel axis: segments (group, repeat, entries). entries: its full length; group -1 is frozen."""

    segments: tuple[tuple[int, int, int], ...]

    @property
    def entries(self) -> int:
        return sum(n for _, _, n in self.segments)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """graph: at dense widths. axes: tensor -> {axis: its channel groups}. full: dense width per group."""

    graph: Graph
    axes: dict[int, dict[int, Axis]]
    full: tuple[int, ...]

    def shape(self, tensor: int, widths: Sequence) -> tuple:
        """The tensor's shape; widths may be integers or torch scalars."""
        shape = list(self.graph.tensors[tensor].shape)
        for axis, channels in self.axes.get(tensor, {}).items():
            shape[axis] = sum(widths[g] * r if g >= 0 else n for g, r, n in channels.segments)
        return tuple(shape)

    def at(self, widths: Sequence[int]) -> Graph:
        """The Graph at integer widths: right in every shape and dtype, dummy weights and scales."""
        tensors = [self._tensor(t, self.shape(t, widths)) for t in range(len(self.graph.tensors))]
        for op in self.graph.ops:
            position = _SHAPE_INPUT.get(op.kind)
            if position is not None:
                t = op.inputs[position]
                tensors[t] = _shape_constant(tensors[t].name, tensors[op.outputs[0]].shape)
        return self.graph.with_(tensors=tuple(tensors))

    def alone(self, op: Op, shapes: dict[int, tuple[int, ...]]) -> Graph:
        """A Graph of one op at these shapes: what its kernels need to be known, without the rest of the network."""
        position, places, tensors = _SHAPE_INPUT.get(op.kind), {}, []
        for t in dict.fromkeys(t for t in (*op.inputs, *op.outputs) if t >= 0):
            places[t] = len(tensors)
            tensors.append(self._tensor(t, shapes[t]))
        if position is not None:
            t = places[op.inputs[position]]
            tensors[t] = _shape_constant(tensors[t].name, shapes[op.outputs[0]])
        single = Op(op.kind, tuple(places.get(t, -1) for t in op.inputs), tuple(places[t] for t in op.outputs), op.attrs)
        inputs = tuple(i for i in dict.fromkeys(single.inputs) if i >= 0 and not tensors[i].is_const)
        return Graph(tuple(tensors), (single,), inputs, single.outputs, self.graph.name)

    def _tensor(self, index: int, shape: tuple[int, ...]) -> Tensor:
        old = self.graph.tensors[index]
        quant = old.quant
        if quant is not None and old.is_const and not quant.is_per_tensor:
            count = shape[quant.axis]           # unequal scales: each channel needs its own requantization
            quant = Quant((0.01 * (1 + 0.001 * np.arange(count))).astype(np.float32), np.zeros(count, np.int64), quant.axis)
        if shape == old.shape and quant is old.quant:
            return old
        filler = {"int8": _WEIGHT, "int4": _WEIGHT // 16}.get(old.dtype, 0)
        return Tensor(old.name, shape, old.dtype, quant, np.full(shape, filler, old.data.dtype) if old.is_const else None)


def _shape_constant(name: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(name, (len(shape),), "int32", None, np.array(shape, np.int32))
