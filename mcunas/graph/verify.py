# SPDX-License-Identifier: Apache-2.0
"""Legality of a Graph: structure, shapes, dtypes and quantization. Run after reading and, in tests, after every pass."""
from __future__ import annotations

import numpy as np

from mcunas.errors import InputError
from mcunas.graph import limits, nibbles
from mcunas.graph.int16_functions import OUTPUT_SCALE
from mcunas.graph.ir import Graph, Op, Tensor
from mcunas.graph.shapes import infer
from mcunas.graph.spec import EXPLICIT_PADDING, KINDS, WEIGHTED, data_inputs

_MAX_RANK = 6
_MAX_BORDER_SIDE = (1 << 16) - 1     # struct mn_tensor holds the sides of inputs and outputs in 16 bits
_MAX_ELEMENTS = 1 << 28      # 256 MiB of int8: far beyond any microcontroller, well inside int32 indices


def verify(graph: Graph, floats: bool = False) -> Graph:
    """Return `graph` unchanged, or raise InputError naming the op, its index and the tensor that is not legal.

    floats: the graph is one of float32 that is still to be quantized.
    """
    count = len(graph.tensors)
    for t in (*graph.inputs, *graph.outputs):
        _require(0 <= t < count, f"graph input or output {t} does not exist", graph.name)
    _require(len(set(graph.inputs)) == len(graph.inputs), "an input is listed twice", graph.name)
    _require(bool(graph.inputs) and bool(graph.outputs), "the graph has no input or no output", graph.name)
    for tensor in graph.tensors:
        _verify_tensor(tensor, graph.name)
    for t in (*graph.inputs, *graph.outputs):
        _require(max(graph.tensors[t].shape, default=1) <= _MAX_BORDER_SIDE,
                 f'input or output "{graph.tensors[t].name}" of shape {graph.tensors[t].shape} has a side above '
                 f"{_MAX_BORDER_SIDE}", graph.name, "split it into rows and columns")
    known = set(graph.inputs) | {i for i, t in enumerate(graph.tensors) if t.is_const}
    _require(not any(graph.tensors[t].is_const for t in graph.inputs), "a graph input is a constant", graph.name)
    for index, op in enumerate(graph.ops):
        where = f"{graph.name}: op {index} {op.kind}"
        _require(all(-1 <= t < count for t in op.inputs) and all(0 <= t < count for t in op.outputs),
                 "it refers to a tensor that does not exist", where)
        where = f"{graph.name}: {graph.where(index)}"
        for t in op.inputs:
            _require(t < 0 or t in known, f'input "{graph.tensors[t].name}" is read before it is written', where)
        for t in op.outputs:
            _require(t not in known, f'tensor "{graph.tensors[t].name}" is written twice', where)
        known.update(op.outputs)
        _verify_op(graph, op, where, floats)
    for t in graph.outputs:
        _require(t in known, f'output "{graph.tensors[t].name}" is never written', graph.name)
        _require(not graph.tensors[t].is_const, f'output "{graph.tensors[t].name}" is a constant', graph.name)
    return graph


def _require(condition: bool, what: str, where: str, fix: str = "") -> None:
    if not condition:
        raise InputError(what, where=where, fix=fix)


def _verify_tensor(tensor: Tensor, name: str) -> None:
    where = f'{name}: tensor "{tensor.name}"'
    _require(len(tensor.shape) <= _MAX_RANK, f"{len(tensor.shape)} dimensions, at most {_MAX_RANK} are supported", where)
    _require(all(isinstance(d, int) and d > 0 for d in tensor.shape), f"shape {tensor.shape} is not positive", where,
             "convert the model with a fixed batch and input size")
    _require(tensor.elements <= _MAX_ELEMENTS, f"{tensor.elements} elements are too many", where)
    if tensor.is_const:
        _require(tensor.data.shape == tensor.shape, f"data of shape {tensor.data.shape}, not {tensor.shape}", where)
        _require(tensor.dtype != "int4" or bool(((tensor.data >= nibbles.LOW) & (tensor.data <= nibbles.HIGH)).all()),
                 "a value does not fit into four bits", where)
    _require(tensor.is_const or tensor.dtype != "int4", "only weights can be int4", where)
    quant = tensor.quant
    if quant is None:
        return
    _require(quant.scale.size == quant.zero_point.size, "it has unequal numbers of scales and zero points", where)
    _require(bool(np.isfinite(quant.scale).all() and (quant.scale > 0).all()), "a scale is not positive", where)
    if not quant.is_per_tensor:
        _require(0 <= quant.axis < len(tensor.shape) and tensor.shape[quant.axis] == quant.scale.size,
                 f"{quant.scale.size} scales do not fit axis {quant.axis} of {tensor.shape}", where)
    _require(tensor.dtype != "int16" or bool((quant.zero_point == 0).all()), "an int16 tensor has a zero point of 0", where)
    limits = {"int8": (-128, 127), "uint8": (0, 255), "int4": (nibbles.LOW, nibbles.HIGH)}.get(tensor.dtype)
    if limits:
        _require(bool(((quant.zero_point >= limits[0]) & (quant.zero_point <= limits[1])).all()),
                 "a zero point lies outside its type", where)


def _verify_op(graph: Graph, op: Op, where: str, floats: bool) -> None:
    spec = KINDS.get(op.kind)
    _require(spec is not None, "this op is not supported", where, f"supported are {', '.join(sorted(KINDS))}")
    low, high = spec.inputs
    _require(low <= len(op.inputs) and (high == 0 or len(op.inputs) <= high), f"{len(op.inputs)} inputs", where)
    _require(all(t >= 0 for i, t in enumerate(op.inputs) if i < low), "a required input is absent", where)
    _require(len(op.outputs) == (spec.outputs or len(op.outputs) or 1), f"{len(op.outputs)} outputs", where)
    _require(set(op.attrs) == set(spec.attrs), f"attributes {sorted(op.attrs)} instead of {sorted(spec.attrs)}", where)
    for name, attr in spec.attrs.items():
        if name == "padding" and isinstance(op.attrs[name], tuple):
            _verify_padding(op, where)
        elif attr.choices:
            _require(op.attrs[name] in attr.choices, f"{name}={op.attrs[name]!r} is not supported", where)
        elif name.startswith(("stride_", "dilation_", "filter_", "depth_")):
            _require(op.attrs[name] >= 1, f"{name}={op.attrs[name]} must be at least 1", where)
    for position in spec.const:
        if position < len(op.inputs) and op.inputs[position] >= 0:
            tensor = graph.tensors[op.inputs[position]]
            _require(tensor.is_const, f'input "{tensor.name}" must be a constant', where)
    (_verify_floats if floats else _verify_types)(graph, op, where)
    try:
        shapes = infer(graph, op)
    except (ValueError, IndexError) as error:
        raise InputError(str(error), where=where) from None
    for t, shape in zip(op.outputs, shapes):
        _require(graph.tensors[t].shape == shape, f"output has shape {graph.tensors[t].shape}, expected {shape}", where)
    if floats:
        return
    try:
        limits.check(graph, op)
    except ValueError as error:
        raise InputError(str(error), where=where) from None


def _verify_padding(op: Op, where: str) -> None:
    sides = op.attrs["padding"]
    well_formed = len(sides) == 2 and all(len(side) == 2 and all(isinstance(n, int) and n >= 0 for n in side)
                                          for side in sides)
    _require(op.kind in EXPLICIT_PADDING and well_formed, f"padding={sides!r} is not supported", where)


def _verify_floats(graph: Graph, op: Op, where: str) -> None:
    weights = {"TRANSPOSE_CONV": (1, 3)}.get(op.kind, (1, 2) if op.kind in WEIGHTED else ())
    for t in (*data_inputs(op.kind, op.inputs), *(op.inputs[i] for i in weights if i < len(op.inputs)), *op.outputs):
        _require(t < 0 or graph.tensors[t].dtype == "float32", f'tensor "{graph.tensors[t].name}" is '
                 f"{graph.tensors[t].dtype}, not float32", where, "give a model of float32 throughout")


def _verify_types(graph: Graph, op: Op, where: str) -> None:
    spec, tensors = KINDS[op.kind], graph.tensors
    data = data_inputs(op.kind, op.inputs)
    for t in data:
        for out in op.outputs:
            pair = (tensors[t].dtype, tensors[out].dtype)
            fix = ("put a QUANTIZE between int8 and int16" if set(pair) == {"int8", "int16"} else
                   "this op has no kernel for int16: QUANTIZE its input to int8" if "int16" in pair else
                   "quantize the model to int8 throughout (float32 only at its borders)")
            _require(pair in spec.dtypes, f'"{tensors[t].name}" is {pair[0]} and the output {pair[1]}', where, fix)
    for t in (*data, *op.outputs):
        if tensors[t].dtype in ("int8", "uint8", "int16"):
            _require(tensors[t].quant is not None and tensors[t].quant.is_per_tensor,
                     f'tensor "{tensors[t].name}" needs one scale and zero point', where)
    if spec.same_quant:
        first = tensors[op.outputs[0]].quant
        _require(all(tensors[t].quant.same_as(first) for t in (*data, *op.outputs)),
                 "inputs and outputs must share scale and zero point", where)
    if op.kind in WEIGHTED:
        _verify_weights(graph, op, where)
    if op.kind in ("SOFTMAX", "LOGISTIC", "TANH"):
        result = tensors[op.outputs[0]]
        fixed = ((OUTPUT_SCALE, 0) if result.dtype == "int16" else (1 / 128, 0) if op.kind == "TANH" else
                 (1 / 256, -128))
        _require(result.quant.per_tensor == fixed,
                 f"the output must have scale {fixed[0]} and zero point {fixed[1]}", where)


def _verify_weights(graph: Graph, op: Op, where: str) -> None:
    weights, wide = graph.tensors[op.inputs[1]], graph.tensors[op.outputs[0]].dtype == "int16"
    possible = ("int8",) if wide or op.kind == "TRANSPOSE_CONV" else ("int8", "int4")
    _require(weights.dtype in possible, f"weights are {weights.dtype}, not {' or '.join(possible)}", where,
             "quantize the model to int8")
    quant = weights.quant
    axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
    _require(quant is not None and (quant.zero_point == 0).all(), "weights need a scale and zero point 0", where)
    _require(quant.is_per_tensor or quant.axis == axis, f"weights must be quantized along axis {axis}", where)
    position, wanted = (3 if op.kind == "TRANSPOSE_CONV" else 2), "int64" if wide else "int32"
    has_bias = len(op.inputs) > position and op.inputs[position] >= 0
    _require(has_bias or not wide, "a layer on int16 activations needs an int64 bias", where, "give it one of zeros")
    if has_bias:
        bias = graph.tensors[op.inputs[position]]
        outputs = weights.shape[axis]
        _require(bias.dtype == wanted and bias.shape == (outputs,),
                 f"bias is {bias.dtype} {bias.shape}, not {wanted} ({outputs},)", where)
