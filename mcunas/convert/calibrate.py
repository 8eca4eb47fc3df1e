# SPDX-License-Identifier: Apache-2.0
"""float .tflite -> int8 Graph, under TFLite's constraints (`to_int8`), with ranges from representative data.

TFLite Micro's own interpreter runs the float model and shows every tensor. Rounding the weights moves each output
channel's mean; with the inputs' means known, the bias takes that back (Nagel et al. 2019, Data-Free Quantization, section
4.2, with measured means).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mcunas.errors import InputError
from mcunas.graph import Graph, Op, Quant, Tensor
from mcunas.graph.oracle import Oracle
from mcunas.graph.to_int8 import FIXED, FloatGraph, activation_quants, to_int8, weight_scales

_BIAS_AT = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_MERGING = ("CONCATENATION", "MAXIMUM", "MINIMUM")


@dataclass
class Seen:
    """Of one tensor over all samples. mean: per channel (the last axis), of all positions."""

    low: float = 0.0
    high: float = 0.0
    mean: np.ndarray | float = 0.0


@dataclass(frozen=True, eq=False)
class Calibrated:
    """graph: int8. floats: outputs of the float model, per sample."""

    graph: Graph
    floats: list[list[np.ndarray]] = field(repr=False)


def observe(graph: Graph, data: bytes, samples: Sequence[np.ndarray]) -> tuple[dict[int, Seen], list[list[np.ndarray]]]:
    """(activation tensor -> what was seen there, outputs per sample). samples: one array (N, ...) a input, NHWC."""
    oracle, seen, outputs = Oracle(graph, data, keep_all=True), {t: Seen() for t in graph.activations()}, []
    count = len(samples[0])
    for i in range(count):
        given = [array[i:i + 1] for array in samples]
        outputs.append(oracle.outputs(given))
        values = dict(zip(graph.inputs, given)) | {t: oracle.tensor(t) for op in graph.ops for t in op.outputs}
        for t, value in values.items():
            one = seen[t]
            _demand_finite(graph.tensors[t].name, value)
            one.low, one.high = min(one.low, float(value.min())), max(one.high, float(value.max()))
            one.mean = one.mean + value.reshape(-1, value.shape[-1] if value.ndim else 1).mean(0, np.float64) / count
    return seen, outputs


def quantized(graph: Graph, data: bytes, samples: Sequence[np.ndarray]) -> Calibrated:
    """data: the float .tflite that `graph` was read from. Raises InputError."""
    own = weights_apart(graph)
    seen, outputs = observe(graph, data, samples)
    own = replace(own, graph=bias_corrected(own, seen))
    graph, ranges = rescaled(own.graph, {t: (s.low, s.high) for t, s in seen.items()})
    return Calibrated(to_int8(replace(own, graph=graph), activation_quants(graph, ranges)), outputs)


def nominal(graph: Graph) -> Graph:
    """The int8 Graph of a float one without data: of the right sizes and weights, with ranges that mean nothing."""
    own = weights_apart(graph)
    graph, ranges = rescaled(own.graph, dict.fromkeys(graph.activations(), (-1.0, 1.0)))
    return to_int8(replace(own, graph=graph), activation_quants(graph, ranges))


def weights_apart(graph: Graph) -> FloatGraph:
    """Every layer gets weights and a bias (zeros, where it has none) of its own: their scales depend on its input.

    Raises InputError for weights that are not finite.
    """
    for tensor in graph.tensors:
        if tensor.is_const and tensor.dtype == "float32":
            _demand_finite(tensor.name, tensor.data)
    tensors, ops = list(graph.tensors), []
    weight_of: dict[int, tuple[str, None]] = {}
    bias_of: dict[int, tuple[int, int]] = {}
    for op in graph.ops:
        if op.kind in _BIAS_AT:
            at, name = _BIAS_AT[op.kind], tensors[op.outputs[0]].name
            weights = tensors[op.inputs[1]]
            outputs = weights.shape[3 if op.kind == "DEPTHWISE_CONV_2D" else 0]
            given = op.inputs[at] if len(op.inputs) > at else -1
            bias = tensors[given].data.reshape(-1) if given >= 0 else np.zeros(outputs, np.float32)
            w, b = len(tensors), len(tensors) + 1
            tensors += [replace(weights, name=f"{name}/weights"), Tensor(f"{name}/bias", bias.shape, "float32", None, bias)]
            inputs = (*op.inputs[:1], w, *op.inputs[2:at], b)
            weight_of[w], bias_of[b] = (name, None), (inputs[2 if op.kind == "TRANSPOSE_CONV" else 0], w)
            op = replace(op, inputs=inputs)
        ops.append(op)
    return FloatGraph(graph.with_(tensors=tuple(tensors), ops=tuple(ops)), weight_of, bias_of)


def _demand_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise InputError("holds values that are not finite", f'tensor "{name}"', "see whether the model's training diverged")


def bias_corrected(model: FloatGraph, seen: dict[int, Seen]) -> Graph:
    """The biases less what rounding the weights adds to the mean of each output channel (borders left aside)."""
    tensors = list(model.graph.tensors)
    kinds = {op.inputs[1]: op.kind for op in model.graph.ops if op.kind in _BIAS_AT}
    for b, (x, w) in model.bias_of.items():
        data, axis = tensors[w].data, 3 if kinds[w] == "DEPTHWISE_CONV_2D" else 0
        grid = weight_scales(data, axis).reshape([-1 if a == axis else 1 for a in range(data.ndim)])
        error = np.clip(np.rint(data / grid), -127, 127) * grid - data
        mean = np.asarray(seen[x].mean) if x in seen else None
        if mean is None or kinds[w] == "TRANSPOSE_CONV" or (axis == 0 and mean.size != data.shape[-1]):
            continue        # of a flattened image only the mean of all is known
        if axis == 3:
            shift = error.sum((0, 1, 2)) * np.repeat(mean, data.shape[3] // mean.size)
        else:
            shift = (error * mean).sum(tuple(range(1, data.ndim)))
        tensors[b] = replace(tensors[b], data=(tensors[b].data - shift).astype(np.float32))
    return model.graph.with_(tensors=tuple(tensors))


def rescaled(graph: Graph, ranges: dict[int, tuple[float, float]]) -> tuple[Graph, dict[int, tuple[float, float]]]:
    """The graph and its ranges for ops whose inputs must share one scale: constants widen the range, and a tensor whose
    scale is fixed (softmax and its like) goes through a QUANTIZE.
    """
    tensors, ops, ranges = list(graph.tensors), [], dict(ranges)
    fixed = {t for op in graph.ops if op.kind in FIXED for t in op.outputs}
    for op in graph.ops:
        if op.kind in _MERGING:
            inputs = []
            for t in op.inputs:
                if tensors[t].is_const:
                    low, high = ranges[op.outputs[0]]
                    ranges[op.outputs[0]] = min(low, float(tensors[t].data.min())), max(high, float(tensors[t].data.max()))
                elif t in fixed:
                    tensors.append(replace(tensors[t], name=f"{tensors[t].name}/rescaled"))
                    ranges[len(tensors) - 1] = ranges[t]
                    ops.append(Op("QUANTIZE", (t,), (len(tensors) - 1,)))
                    t = len(tensors) - 1
                inputs.append(t)
            op = replace(op, inputs=tuple(inputs))
        ops.append(op)
    return graph.with_(tensors=tuple(tensors), ops=tuple(ops)), ranges


def to_real(array: np.ndarray, quant: Quant) -> np.ndarray:
    scale, zero_point = quant.per_tensor
    return (array.astype(np.float32) - zero_point) * np.float32(scale)


def to_steps(array: np.ndarray, quant: Quant) -> np.ndarray:
    """Real values on the int8 grid."""
    scale, zero_point = quant.per_tensor
    return np.clip(np.rint(array / np.float32(scale)) + zero_point, -128, 127).astype(np.int8)
