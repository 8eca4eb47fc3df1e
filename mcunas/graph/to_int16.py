# SPDX-License-Identifier: Apache-2.0
"""int8 Graph -> the same with int16 activations in some places (TFLite's 16x8), and QUANTIZE between the two widths.

An op has one width: where any of its values is int16 it reads and writes int16. What comes to it as int8 is widened
exactly, to 1/128 of its step, so that int16 holds all of its range; what leaves it as int8 is rounded from 1/128 of that
step. Weights stay int8. Scales that TFLite wants equal stay equal.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from mcunas.errors import InputError
from mcunas.graph.int16_functions import OUTPUT_SCALE
from mcunas.graph.integer_params import bias_input, data_input
from mcunas.graph.ir import Graph, Op, Quant, Tensor
from mcunas.graph.spec import KINDS, WEIGHTED, data_inputs
from mcunas.graph.to_int8 import FIXED, compact, fixed_quants, scale_classes
from mcunas.graph.verify import verify

STEPS = 128                     # of an int16 value that is also an int8 one, to a step of that
TOP = (1 << 15) - 1


def can_be_int16(graph: Graph, short: Collection[int] = ()) -> tuple[int, ...]:
    """Classes (to_int8.scale_classes) of which every tensor lies between ops that compute in int16.

    graph: int8, or the float one that is to become so. short: weights that are to be int4; layers with int4 weights have
    no int16 form. Inputs and outputs of the graph stay as they are.
    """
    classes, unfit = scale_classes(graph), {*graph.inputs, *graph.outputs}
    for op in graph.ops:
        weights = op.inputs[1] if op.kind in WEIGHTED else -1
        is_short = weights in short or (weights >= 0 and graph.tensors[weights].dtype == "int4")
        if ("int16", "int16") not in KINDS[op.kind].dtypes or is_short:
            unfit.update(op.inputs, op.outputs)
    unfit = {classes[t] for t in unfit if t in classes}
    return tuple(root for root in dict.fromkeys(classes.values()) if root not in unfit)


def widened(graph: Graph, scales: Mapping[int, float], biases: Mapping[int, np.ndarray] | None = None,
            compacted: bool = True) -> Graph:
    """The graph with int16 in some classes of tensors, verified.

    graph: int8. scales: class -> scale of its int16 tensors, where TFLite does not dictate it. biases: bias tensor -> its
    real values (C,), where they are better known than by its int32 ones. Raises InputError for classes that cannot be
    int16 and scales that kernels cannot take.
    """
    for root in set(scales) - set(can_be_int16(graph)):
        raise InputError(f'"{graph.tensors[root].name}" cannot be int16', graph.name)
    wide = _Widened(graph, scales, biases or {}).run()
    return verify(compact(wide) if compacted else wide)


def in_int16(graph: Graph) -> Graph:
    """An int8 graph with int16 throughout, its inputs and outputs too, zeros for constants: for prices, not for answers."""
    tensors = list(graph.tensors)
    weights = {op.inputs[1] for op in graph.ops if op.kind in WEIGHTED}
    results = {op.outputs[0] for op in graph.ops if op.kind in FIXED}
    for t, tensor in enumerate(tensors):
        if tensor.dtype == "int8" and t not in weights:
            data = np.zeros(tensor.shape, np.int16) if tensor.is_const else None
            scale = OUTPUT_SCALE if t in results else tensor.quant.per_tensor[0] / STEPS
            tensors[t] = replace(tensor, dtype="int16", quant=Quant.of(scale), data=data)
    for t in {bias_input(op) for op in graph.ops if op.kind in WEIGHTED}:
        quant = replace(tensors[t].quant, scale=tensors[t].quant.scale / np.float32(STEPS))
        tensors[t] = replace(tensors[t], dtype="int64", quant=quant, data=tensors[t].data.astype(np.int64))
    return verify(graph.with_(tensors=tuple(tensors)))


class _Widened:
    def __init__(self, graph: Graph, scales: Mapping[int, float], biases: Mapping[int, np.ndarray]) -> None:
        self.graph, self.scales, self.biases = graph, scales, biases
        self.classes, self.fixed = scale_classes(graph), fixed_quants(graph)
        self.wide = {t for t, root in self.classes.items() if root in scales}
        self.tensors, self.ops = list(graph.tensors), []
        self.other: dict[int, int] = {}         # int8 tensor -> its values as int16

    def run(self) -> Graph:
        for t in self.wide:
            self.tensors[t] = self._tensor(t, self.tensors[t].name)
        for op in self.graph.ops:
            values = (*data_inputs(op.kind, op.inputs), *op.outputs)
            if self.wide.isdisjoint(values) or op.kind == "QUANTIZE":
                self.ops.append(op)
            else:
                self._in_int16(op)
        return self.graph.with_(tensors=tuple(self.tensors), ops=tuple(self.ops))

    def _scale(self, t: int) -> float:
        """Of the tensor's int16 values."""
        if self.classes.get(t) in self.fixed:
            return OUTPUT_SCALE
        own = self.graph.tensors[t].quant.per_tensor[0] / STEPS
        return float(np.float32(self.scales.get(self.classes[t], own) if t in self.classes else own))

    def _tensor(self, t: int, name: str) -> Tensor:
        return Tensor(name, self.graph.tensors[t].shape, "int16", Quant.of(self._scale(t)))

    def _append(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _in_int16(self, op: Op) -> None:
        values = set(data_inputs(op.kind, op.inputs))
        inputs = [self._as_int16(t) if t in values else t for t in op.inputs]
        if op.kind in WEIGHTED:
            x = op.inputs.index(data_input(op))
            inputs = [*inputs[:max(x + 1, 2)], self._bias(op, inputs[x])]
        outputs, after = [], []
        for t in op.outputs:
            if t in self.wide:
                outputs.append(t)
                continue
            outputs.append(self._append(self._tensor(t, f"{self.graph.tensors[t].name}_int16")))
            after.append(Op("QUANTIZE", (outputs[-1],), (t,)))
        self.ops += [replace(op, inputs=tuple(inputs), outputs=tuple(outputs)), *after]

    def _as_int16(self, t: int) -> int:
        if t in self.wide:
            return t
        if t not in self.other:
            old = self.graph.tensors[t]
            new = self._tensor(t, f"{old.name}_int16")
            if old.is_const:
                real = (old.data.astype(np.float64) - old.quant.per_tensor[1]) * old.quant.per_tensor[0]
                q = np.clip(np.rint(real / new.quant.per_tensor[0]), -TOP, TOP).astype(np.int16)
                new = replace(new, data=q)
            self.other[t] = self._append(new)
            if not old.is_const:
                self.ops.append(Op("QUANTIZE", (t,), (self.other[t],)))
        return self.other[t]

    def _bias(self, op: Op, x: int) -> int:
        """int64, on the grid of the op's int16 input."""
        weights, old = self.tensors[op.inputs[1]], bias_input(op)
        step = self.tensors[x].quant.scale.astype(np.float64) * weights.quant.scale.astype(np.float64)
        channels = weights.shape[3 if op.kind == "DEPTHWISE_CONV_2D" else 0]
        real = np.zeros(channels) if old < 0 else self.biases.get(old)
        if real is None:
            before = self.graph.tensors[data_input(op)].quant.scale.astype(np.float64) * weights.quant.scale
            real = self.graph.tensors[old].data * before
        q = np.rint(real / step).astype(np.int64)
        name = f"{weights.name}_bias" if old < 0 else self.graph.tensors[old].name
        return self._append(Tensor(name, q.shape, "int64", Quant(step.astype(np.float32), np.zeros(step.size, np.int64)), q))
