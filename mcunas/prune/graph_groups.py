# SPDX-License-Identifier: Apache-2.0
"""Coupled channel groups of an int8 Graph, for models that come as .tflite and have no torch module behind them.

The same rules as groups.py, on NHWC: a flatten strings H*W copies of the channels together instead of repeating each.
"""
from __future__ import annotations

import math

from mcunas.cost.skeleton import Axis, Skeleton
from mcunas.graph.ir import Graph, Op
from mcunas.graph.spec import data_inputs
from mcunas.prune.groups import Group
from mcunas.prune.sets import Segments, Sets

_PASS = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU",
         "QUANTIZE", "DEQUANTIZE", "RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "MEAN")
_JOIN = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")
_RESHAPE = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
Frozen = tuple[tuple[tuple[str, ...], str], ...]


class _Walk:
    def __init__(self, graph: Graph) -> None:
        self.graph, self.sets = graph, Sets()
        self.axes: dict[int, dict[int, Segments]] = {}      # tensor -> axis -> its channels
        for t in graph.inputs:
            self._start(t, "network input")
        for index, op in enumerate(graph.ops):
            name = f"{index} {op.kind}"
            found = self._op(op, name)
            if found is None or len(op.outputs) != 1:
                for t in data_inputs(op.kind, op.inputs):
                    self._freeze(t, f"{name} mixes or moves channels")
                for t in op.outputs:
                    self._start(t, f"{name} mixes or moves channels")
            else:
                self._set(op.outputs[0], found)
        for t in graph.outputs:
            self._freeze(t, "network output")

    def _last(self, t: int) -> int:
        return len(self.graph.tensors[t].shape) - 1

    def _set(self, t: int, segments: Segments) -> None:
        self.axes.setdefault(t, {})[self._last(t)] = segments

    def _start(self, t: int, reason: str) -> None:
        shape = self.graph.tensors[t].shape
        self._set(t, ((self.sets.new(shape[-1] if shape else 1, reason), 1),))

    def _of(self, t: int) -> Segments:
        return self.axes[t][self._last(t)]

    def _freeze(self, t: int, reason: str) -> None:
        if t in self.axes:
            self.sets.freeze(self._of(t), reason)

    def _op(self, op: Op, name: str) -> Segments | None:
        """The channels of the op's output; None where they cannot be followed."""
        tensors, shape = self.graph.tensors, self.graph.tensors[op.outputs[0]].shape
        if op.kind in ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"):
            return self._weighted(op, name)
        if op.kind == "MEAN":
            axes = {a % len(tensors[op.inputs[0]].shape) for a in tensors[op.inputs[1]].data.flatten().tolist()}
            return None if self._last(op.inputs[0]) in axes else self._of(op.inputs[0])
        if op.kind in _PASS:
            return self._of(op.inputs[0])
        if op.kind in _RESHAPE:
            return self._reshaped(op.inputs[0], shape)
        if op.kind == "CONCATENATION" and op.attrs["axis"] % len(shape) == len(shape) - 1:
            return None if any(tensors[t].is_const for t in op.inputs) else tuple(s for t in op.inputs for s in self._of(t))
        return self._joined(op) if op.kind in _JOIN else None

    def _weighted(self, op: Op, name: str) -> Segments | None:
        source, weight = op.inputs[:2]
        shape, bias = self.graph.tensors[weight].shape, op.inputs[2] if len(op.inputs) > 2 else -1
        given = self._of(source)
        if weight in self.axes or (bias >= 0 and bias in self.axes):        # shared by several layers
            self.sets.freeze(self.axes.get(weight, {}).get(0, ()), f"{name} shares its weights")
            return None
        if op.kind == "DEPTHWISE_CONV_2D":
            made = tuple((s, r * (shape[3] // self._length(given))) for s, r in given)
            for s, _ in given:
                self.sets.modules[self.sets.find(s)].append(name)
            self.axes[weight] = {3: made}
        else:
            if op.kind == "FULLY_CONNECTED":
                given = self._reshaped(source, (1, shape[1]))
            if given is None or self._length(given) != shape[-1]:
                return None
            made = ((self.sets.new(shape[0]), 1),)
            self.sets.modules[made[0][0]].append(name)
            self.axes[weight] = {0: made, len(shape) - 1: given}
        if bias >= 0:
            self.axes[bias] = {0: made}
        return made

    def _length(self, segments: Segments) -> int:
        return sum(self.sets.width[s] * r for s, r in segments)

    def _reshaped(self, source: int, shape: tuple[int, ...]) -> Segments | None:
        old, given = self.graph.tensors[source].shape, self._of(source)
        if old[-1] == shape[-1]:
            return given
        pixels = math.prod(old[1:-1])
        return given * pixels if len(shape) == 2 and shape[-1] == pixels * old[-1] else None

    def _joined(self, op: Op) -> Segments | None:
        tensors, out = self.graph.tensors, self.graph.tensors[op.outputs[0]].shape
        moving = [t for t in op.inputs if not tensors[t].is_const]
        given = self._of(moving[0])
        for t in op.inputs:
            if tensors[t].is_const:
                if tensors[t].shape and tensors[t].shape[-1] == out[-1] != 1:
                    self._set(t, given)
                continue
            other = self._of(t)
            if [(self.sets.width[s], r) for s, r in other] != [(self.sets.width[s], r) for s, r in given]:
                return None
            for (a, _), (b, _) in zip(given, other):
                self.sets.join(a, b)
        return given


def graph_groups(graph: Graph) -> tuple[tuple[Group, ...], Frozen, Skeleton]:
    """(groups in order of first use, (members, reason) of what is frozen, the Graph with the groups as open widths)."""
    walk = _Walk(graph)
    sets = walk.sets
    roots = [r for r in dict.fromkeys(sets.find(s) for s in range(len(sets.parent))) if sets.modules[r]]
    free = {r: i for i, r in enumerate(r for r in roots if not sets.reason[r])}
    groups = tuple(Group(sets.modules[r][0], sets.width[r], tuple(dict.fromkeys(sets.modules[r]))) for r in free)
    frozen = tuple((tuple(sets.modules[r]), sets.reason[r]) for r in roots if sets.reason[r])
    axes = {t: {a: Axis(tuple((free.get(sets.find(s), -1), r, r * sets.width[s]) for s, r in segments))
                for a, segments in found.items()} for t, found in walk.axes.items()}
    return groups, frozen, Skeleton(graph, axes, tuple(g.channels for g in groups))
