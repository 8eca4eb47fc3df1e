# SPDX-License-Identifier: Apache-2.0
"""float Graph -> int8 Graph, given a scale for every activation; what TFLite demands of the scales.

The hand-over is exact (pruning-methods.md section 9): weights are int8 symmetric per output channel in [-127, 127],
activations int8 asymmetric per tensor, biases int32 at s_in * s_w; a given scale is written as it is, never estimated
again. Tensors that TFLite forces to share a scale (pools, concatenation, reshapes) form one class with one scale.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mcunas.errors import InputError
from mcunas.graph.ir import Graph, Quant, Tensor
from mcunas.graph.spec import KINDS, data_inputs
from mcunas.graph.verify import verify

FIXED = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}   # TFLite's own output scales

_BOTH_SIGNS, _POSITIVE = (-6.4, 6.35), {"RELU": (0.0, 12.75), "RELU6": (0.0, 6.0)}


@dataclass(frozen=True)
class FloatGraph:
    """A Graph of float32 tensors, and which of its constants are weights and biases.

    weight_of: weight tensor -> (name of its layer, permutation of its output channels or None).
    bias_of: bias tensor -> its (input, weight) tensors.
    """

    graph: Graph
    weight_of: Mapping[int, tuple[str, tuple[int, ...] | None]]
    bias_of: Mapping[int, tuple[int, int]]


def scale_classes(graph: Graph) -> dict[int, int]:
    """activation tensor -> representative of the tensors that must share its scale and zero point."""
    parent = {t: t for t in graph.activations()}

    def find(t: int) -> int:
        while parent[t] != t:
            t = parent[t]
        return t

    for op in graph.ops:
        if KINDS[op.kind].same_quant or op.kind == "RELU6":     # TFLM's RELU6 does not rescale
            members = [t for t in (*data_inputs(op.kind, op.inputs), *op.outputs) if t in parent]
            for t in members[1:]:
                low, high = sorted((find(members[0]), find(t)))
                parent[high] = low
    return {t: find(t) for t in parent}


def fixed_quants(graph: Graph, input_quant: tuple[float, int] | None = None) -> dict[int, tuple[float, int]]:
    """class representative -> (scale, zero point) that TFLite or the data format dictates. Raises InputError."""
    classes, fixed = scale_classes(graph), {}
    wanted = [(op.outputs[0], FIXED[op.kind]) for op in graph.ops if op.kind in FIXED]
    wanted += [(t, input_quant) for t in graph.inputs if input_quant]
    for tensor, quant in wanted:
        if fixed.setdefault(classes[tensor], quant) != quant:
            raise InputError(f'"{graph.tensors[tensor].name}" must share a scale with a tensor whose scale is fixed '
                             "to another value", fix="do not pool or concatenate it with that tensor directly")
    return fixed


def quant_from_range(low: float, high: float) -> tuple[float, int]:
    """(scale, zero point) of int8 for a range, widened to include zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max((high - low) / 255, 1e-8)))
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


def activation_quants(graph: Graph, seen: Mapping[int, tuple[float, float]],
                      input_quant: tuple[float, int] | None = None) -> dict[int, tuple[float, int]]:
    """activation tensor -> (scale, zero point) from the (low, high) that were seen there; shared scales are honoured."""
    classes, fixed = scale_classes(graph), fixed_quants(graph, input_quant)
    ranges: dict[int, tuple[float, float]] = {}
    for t, root in classes.items():
        low, high = ranges.get(root, (0.0, 0.0))
        own = seen.get(t, (0.0, 0.0))
        ranges[root] = (min(low, own[0]), max(high, own[1]))
    return {t: fixed.get(root) or quant_from_range(*ranges[root]) for t, root in classes.items()}


def usual_quants(graph: Graph) -> dict[int, tuple[float, int]]:
    """activation tensor -> (scale, zero point) where no values have been seen yet: of ranges with which kernels do what they
    do in most trained networks, for outputs of a ReLU begin at the least byte and need no limit."""
    seen = dict.fromkeys(graph.inputs, _BOTH_SIGNS)
    for op in graph.ops:
        if not KINDS[op.kind].same_quant:
            activation = op.kind if op.kind in _POSITIVE else op.attrs.get("activation", "NONE")
            seen |= dict.fromkeys(op.outputs, _POSITIVE.get(activation, _BOTH_SIGNS))
    return activation_quants(graph, seen)


def weight_scales(weight: np.ndarray, axis: int) -> np.ndarray:
    """Symmetric float32 scales (C,) that put each slice's largest magnitude at 127."""
    top = np.abs(weight).max(axis=tuple(a for a in range(weight.ndim) if a != axis))
    return np.maximum(top / 127, 1e-8).astype(np.float32)


def to_int8(lowered: FloatGraph, activations: Mapping[int, tuple[float, int]],
            weights: Mapping[str, np.ndarray] | None = None, compacted: bool = True,
            bits: Mapping[str, int] | None = None) -> Graph:
    """The int8 Graph. compacted: drop unused tensors, which renumbers the rest.

    activations: tensor -> (scale, zero point) for every activation. weights: layer -> float32 scales (C,) in its
    source's channel order; layers not named get `weight_scales`. bits: layer -> 4 for those whose weights become int4;
    they are named in `weights`. Raises InputError when the result is not legal.
    """
    graph, tensors = lowered.graph, list(lowered.graph.tensors)
    for t in graph.activations():
        tensors[t] = Tensor(tensors[t].name, tensors[t].shape, "int8", Quant.of(*activations[t]))
    depthwise = {op.inputs[1] for op in graph.ops if op.kind == "DEPTHWISE_CONV_2D"}
    for w, (path, order) in lowered.weight_of.items():
        axis, data = (3 if w in depthwise else 0), tensors[w].data
        scale = (weights or {}).get(path)
        scale = weight_scales(data, axis) if scale is None else scale[list(order)] if order and scale.size > 1 else scale
        scale = np.ascontiguousarray(scale, np.float32)
        grid = scale.reshape([-1 if a == axis else 1 for a in range(data.ndim)])
        dtype, top = ("int4", 7) if (bits or {}).get(path) == 4 else ("int8", 127)
        q = np.clip(np.rint(data / grid), -top, top).astype(np.int8)
        quant = Quant(scale, np.zeros(scale.size, np.int64), axis if scale.size > 1 else 0)
        tensors[w] = Tensor(tensors[w].name, q.shape, dtype, quant, q)
    for b, (x, w) in lowered.bias_of.items():
        # TFLM multiplies the two float32 scales in double precision; the bias must sit on that grid.
        scale = tensors[x].quant.scale.astype(np.float64) * tensors[w].quant.scale.astype(np.float64)
        q = np.clip(np.rint(tensors[b].data / scale), -2**31 + 1, 2**31 - 1).astype(np.int32)
        quant = Quant(scale.astype(np.float32), np.zeros(scale.size, np.int64), 0)
        tensors[b] = Tensor(tensors[b].name, q.shape, "int32", quant, q)
    tied = {t: activations[op.outputs[0]] for op in graph.ops if KINDS[op.kind].same_quant
            for t in data_inputs(op.kind, op.inputs)}
    for index, tensor in enumerate(tensors):
        if tensor.is_const and tensor.dtype == "float32":      # operands of element-wise ops
            own = quant_from_range(float(tensor.data.min()), float(tensor.data.max()))
            step, zero_point = tied.get(index, own)
            q = np.clip(np.rint(tensor.data / step) + zero_point, -128, 127).astype(np.int8)
            tensors[index] = Tensor(tensor.name, q.shape, "int8", Quant.of(step, zero_point), q)
    graph = graph.with_(tensors=tuple(tensors))
    return verify(compact(graph) if compacted else graph)


def compact(graph: Graph) -> Graph:
    """Drop tensors that no op reads or writes and renumber the rest in order."""
    used = sorted({t for op in graph.ops for t in (*op.inputs, *op.outputs) if t >= 0} | set(graph.inputs)
                  | set(graph.outputs))
    new = {t: i for i, t in enumerate(used)} | {-1: -1}
    ops = tuple(type(op)(op.kind, tuple(new[t] for t in op.inputs), tuple(new[t] for t in op.outputs), op.attrs)
                for op in graph.ops)
    return Graph(tuple(graph.tensors[t] for t in used), ops, tuple(new[t] for t in graph.inputs),
                 tuple(new[t] for t in graph.outputs), graph.name)
