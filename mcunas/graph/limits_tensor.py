# SPDX-License-Identifier: Apache-2.0
"""Element-wise, moving and resizing ops that TFLite Micro refuses, stops on or computes differently from TFLite.

Our output must equal the interpreter's byte for byte, so they are refused with the reason. Called by `limits.check`.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcunas.graph.elementwise_params import product_params, rescale_params, sum_params, unary_table
from mcunas.graph.int16_functions import sigmoid_params
from mcunas.graph.ir import Graph, Op
from mcunas.graph.resize_params import bilinear_axis
from mcunas.graph.shapes import squeezed_axes

_MAX_RANK = {"TRANSPOSE": 5, "PAD": 5, "STRIDED_SLICE": 4}
_INT32_INPUTS = {"TRANSPOSE": (1,), "PAD": (1,), "STRIDED_SLICE": (1, 2, 3), "SPLIT": (0,), "EXPAND_DIMS": (1,),
                 "RESIZE_NEAREST_NEIGHBOR": (1,), "RESIZE_BILINEAR": (1,)}
_IMAGES = ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "DEPTH_TO_SPACE")
_MAX_CONCATENATED = 10


def check(graph: Graph, op: Op) -> None:
    """Raises ValueError. Call it after the op's arity, dtypes and quantization are known to be sound."""
    shape = graph.tensors[op.inputs[1 if op.kind == "SPLIT" else 0]].shape
    if len(shape) > _MAX_RANK.get(op.kind, len(shape)):
        raise ValueError(f"{len(shape)} dimensions, at most {_MAX_RANK[op.kind]} are possible in TFLite Micro")
    if op.kind in _IMAGES and len(shape) != 4:
        raise ValueError(f"the input has {len(shape)} dimensions, not 4")
    for position in _INT32_INPUTS.get(op.kind, ()):
        tensor = graph.tensors[op.inputs[position]]
        if tensor.dtype != "int32":
            raise ValueError(f'input "{tensor.name}" is {tensor.dtype}, not int32')
    if op.kind in _CHECKS:
        _CHECKS[op.kind](graph, op)


def _unary(graph: Graph, op: Op) -> None:
    dtype = graph.tensors[op.inputs[0]].dtype
    if dtype == "int16":
        sigmoid_params(graph, op)
    elif dtype != "float32":
        unary_table(graph, op)


def _quantize(graph: Graph, op: Op) -> None:
    dtypes = {graph.tensors[t].dtype for t in (op.inputs[0], op.outputs[0])}
    if "int16" in dtypes and "float32" not in dtypes:
        rescale_params(graph, op)
    else:
        _unary(graph, op)


def _relu6(graph: Graph, op: Op) -> None:
    before, after = graph.tensors[op.inputs[0]].quant, graph.tensors[op.outputs[0]].quant
    if not before.same_as(after):
        raise ValueError("TFLite Micro does not rescale here: input and output must share scale and zero point")
    if np.float32(6) / before.scale[0] >= 2.0 ** 30:
        raise ValueError(f"the input scale {before.scale[0]:g} is too small")


def _concatenation(graph: Graph, op: Op) -> None:
    if op.attrs["activation"] != "NONE":
        raise ValueError("a fused activation is not possible in TFLite Micro")
    if len(op.inputs) > _MAX_CONCATENATED:
        raise ValueError(f"{len(op.inputs)} inputs, at most {_MAX_CONCATENATED} are possible in TFLite Micro")


def _nearest(graph: Graph, op: Op) -> None:
    """Our tables of source rows and columns hold 16 bits."""
    shape = graph.tensors[op.inputs[0]].shape
    if max(shape[1:3]) > 1 << 16:
        raise ValueError(f"an image of {shape[1]} x {shape[2]} is too large")


def _bilinear(graph: Graph, op: Op) -> None:
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    for axis in (1, 2):
        bilinear_axis(op, before[axis], after[axis])


def _strided_slice(graph: Graph, op: Op) -> None:
    """On an axis that is dropped, TFLite Micro obeys begin_mask and copies nothing for a negative stride."""
    strides = graph.tensors[op.inputs[3]].data.reshape(-1)
    for axis, stride in enumerate(strides):
        if op.attrs["shrink_axis_mask"] >> axis & 1 and (stride < 0 or op.attrs["begin_mask"] >> axis & 1):
            raise ValueError(f"axis {axis} is dropped, which excludes a negative stride and begin_mask")


def _expand_dims(graph: Graph, op: Op) -> None:
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    axis = int(graph.tensors[op.inputs[1]].data.reshape(-1)[0])
    axis += len(after) if axis < 0 else 0
    if not 0 <= axis <= len(before) or after != (*before[:axis], 1, *before[axis:]):
        raise ValueError(f"the output has shape {after}, which is not {before} with an axis of 1 at {axis}")


def _squeeze(graph: Graph, op: Op) -> None:
    """In the schema an empty list of axes means all of them, so a SQUEEZE that keeps every axis of 1 has no form."""
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    if not squeezed_axes(before, after) and 1 in before:
        raise ValueError(f"it takes no axis out of {before}")


_CHECKS: dict[str, Callable[[Graph, Op], object]] = {
    "ADD": sum_params, "SUB": sum_params, "MUL": product_params, "RELU6": _relu6, "QUANTIZE": _quantize, "RELU": _unary,
    "LEAKY_RELU": _unary, "HARD_SWISH": _unary, "LOGISTIC": _unary, "TANH": _unary, "CONCATENATION": _concatenation,
    "RESIZE_BILINEAR": _bilinear, "RESIZE_NEAREST_NEIGHBOR": _nearest, "STRIDED_SLICE": _strided_slice,
    "EXPAND_DIMS": _expand_dims, "SQUEEZE": _squeeze,
}
