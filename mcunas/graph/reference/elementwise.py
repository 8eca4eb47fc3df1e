# SPDX-License-Identifier: Apache-2.0
"""Element-wise ops: sums and products with broadcasting, minimum and maximum, unary functions, borders to float32."""
from __future__ import annotations

import numpy as np

from mcunas.graph.arithmetic import saturated, scale_int32
from mcunas.graph.elementwise_params import product_params, rescale_params, sum_params, unary_table
from mcunas.graph.int16_functions import sigmoid, sigmoid_params
from mcunas.graph.ir import Graph, Op
from mcunas.graph.reference import Values, executes


@executes("ADD", "SUB")
def _sum(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    p = sum_params(graph, op)
    a = scale_int32((inputs[0].astype(np.int64) - p.zero0) << p.left, *p.scale0)
    b = scale_int32((inputs[1].astype(np.int64) - p.zero1) << p.left, *p.scale1)
    total = a + b if op.kind == "ADD" else a - b
    out = np.clip(scale_int32(total, *p.scale_out) + p.zero_out, p.low, p.high)
    return [out.astype(graph.tensors[op.outputs[0]].dtype)]


@executes("MUL")
def _product(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    p = product_params(graph, op)
    product = (inputs[0].astype(np.int64) - p.zero0) * (inputs[1].astype(np.int64) - p.zero1)
    out = np.clip(scale_int32(product, *p.scale_out) + p.zero_out, p.low, p.high)
    return [out.astype(graph.tensors[op.outputs[0]].dtype)]


@executes("MAXIMUM", "MINIMUM")
def _extreme(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    return [(np.maximum if op.kind == "MAXIMUM" else np.minimum)(*inputs)]


@executes("LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU")
def _unary(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    if inputs[0].dtype == np.int16:
        return [sigmoid(sigmoid_params(graph, op), inputs[0]).astype(np.int16)]
    return [unary_table(graph, op)[np.ascontiguousarray(inputs[0]).view(np.uint8)]]


@executes("QUANTIZE")
def _quantize(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    """float32 values beyond int32 saturate and NaN becomes the zero point, as on Arm (in C both are undefined)."""
    result, is_float = graph.tensors[op.outputs[0]].dtype, inputs[0].dtype == np.float32
    if "int16" in (str(inputs[0].dtype), result) and not is_float:
        p = rescale_params(graph, op)
        return [saturated(scale_int32(inputs[0].astype(np.int64) - p.zero_in, *p.scale) + p.zero_out, result)]
    if not is_float:
        return _unary(graph, op, inputs)
    quant, reach = graph.tensors[op.outputs[0]].quant, 4 * np.iinfo(result).max + 4
    with np.errstate(all="ignore"):
        scaled = np.clip(np.nan_to_num(inputs[0] / quant.scale[0], nan=0.0), -reach, reach).astype(np.float64)
    rounded = np.where(scaled < 0, -np.floor(0.5 - scaled), np.floor(scaled + 0.5)).astype(np.int64)
    return [saturated(rounded + quant.zero_point[0], result)]


@executes("DEQUANTIZE")
def _dequantize(graph: Graph, op: Op, inputs: Values) -> list[np.ndarray]:
    quant = graph.tensors[op.inputs[0]].quant
    return [(quant.scale[0] * (inputs[0].astype(np.int64) - quant.zero_point[0]).astype(np.float32)).astype(np.float32)]
