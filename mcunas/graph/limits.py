# SPDX-License-Identifier: Apache-2.0
"""Numbers that TFLite Micro refuses, stops on, or computes undefined results from: refused here with the reason.

Called by `verify`, which puts the op's name before the message.
"""
from __future__ import annotations

import numpy as np

from mcunas.graph import int16_functions, integer_params, limits_tensor
from mcunas.graph.arithmetic import WIDE_REACH
from mcunas.graph.ir import Graph, Op
from mcunas.graph.spec import WEIGHTED

_MAX_SHIFT = 30                  # a left shift by 31 overflows the constant that TFLite Micro multiplies by
_MAX_WIDE_SHIFT = 7              # of the int64 sums of layers on int16 activations
_MAX_SOFTMAX_DEPTH = 4095        # the Q12.19 sum of more exponentials can leave int32
_MAX_WIDE_SOFTMAX_DEPTH = (1 << 16) - 1         # the Q16.15 one


def check(graph: Graph, op: Op) -> None:
    """Raise ValueError with the reason when the op's scales or sizes are outside what TFLite Micro computes."""
    if op.attrs.get("activation", "NONE") in ("RELU6", "RELU_N1_TO_1"):
        _activation(op.attrs["activation"], graph.tensors[op.outputs[0]].quant.per_tensor[0])
    if op.kind in WEIGHTED:
        p = integer_params.requant(graph, op)
        if graph.tensors[op.outputs[0]].dtype == "int16":
            _wide_sums(graph, op, p)
        else:
            _multipliers(p.shift)
    if op.kind == "DEPTHWISE_CONV_2D" and len(op.inputs) == 3 and op.inputs[2] < 0:
        raise ValueError("TFLite Micro crashes on an empty bias input here; leave the third input out")
    if op.kind == "FULLY_CONNECTED" and graph.tensors[op.inputs[1]].dtype == "int4":
        _one_scale(graph, op)
    if op.kind == "FULLY_CONNECTED" and integer_params.bias_input(op) >= 0:
        _bias_scale(graph, op)
    if op.kind == "MEAN":
        _multipliers(np.array([integer_params.mean_scale(graph, op)[1]]))
    if op.kind == "SOFTMAX":
        _softmax(graph, op)
    limits_tensor.check(graph, op)


def _activation(activation: str, scale: float) -> None:
    bound = 6.0 if activation == "RELU6" else 1.0
    if bound / scale >= 1 << _MAX_SHIFT:
        raise ValueError(f"output scale {scale:g} is too small for a fused {activation}: its bound overflows int32")


def _multipliers(shift: np.ndarray) -> None:
    if (shift > _MAX_SHIFT).any():
        raise ValueError(f"the input's (and weights') scale is more than 2^{_MAX_SHIFT} times the output's")


def _wide_sums(graph: Graph, op: Op, p: integer_params.Requant) -> None:
    if (p.shift > _MAX_WIDE_SHIFT).any():
        raise ValueError(f"the input's (and weights') scale is more than 2^{_MAX_WIDE_SHIFT} times the output's")
    weights = np.abs(graph.tensors[op.inputs[1]].data.astype(np.int64))
    sums = weights.sum(axis=(0, 1, 2) if op.kind == "DEPTHWISE_CONV_2D" else tuple(range(1, weights.ndim)))
    bias = graph.tensors[integer_params.bias_input(op)].data
    if (bias <= -WIDE_REACH).any() or (bias >= WIDE_REACH).any() or (np.abs(bias) + (sums << 15) >= WIDE_REACH).any():
        raise ValueError("a sum of products and bias may leave 48 bits, beyond which TFLite Micro's result is undefined")


def _one_scale(graph: Graph, op: Op) -> None:
    if not graph.tensors[op.inputs[1]].quant.is_per_tensor:
        raise ValueError("TFLite Micro takes int4 weights here with one scale for all outputs only")


def _bias_scale(graph: Graph, op: Op) -> None:
    """TFLite Micro compares the bias scale of a per-tensor FULLY_CONNECTED with input scale x weight scale."""
    weights, bias = graph.tensors[op.inputs[1]].quant, graph.tensors[integer_params.bias_input(op)].quant
    if not weights.is_per_tensor:
        return
    product = graph.tensors[op.inputs[0]].quant.per_tensor[0] * weights.per_tensor[0]
    bias_scale = float(bias.scale[0]) if bias is not None else 0.0
    if abs(product - bias_scale) / graph.tensors[op.outputs[0]].quant.per_tensor[0] > 0.02:
        raise ValueError(f"bias scale {bias_scale:g} is not input scale times weight scale, {product:g}")


def _softmax(graph: Graph, op: Op) -> None:
    x = graph.tensors[op.inputs[0]]
    if not x.shape:
        raise ValueError("a scalar has no axis to normalize over")
    most = _MAX_WIDE_SOFTMAX_DEPTH if x.dtype == "int16" else _MAX_SOFTMAX_DEPTH
    if x.shape[-1] > most:
        raise ValueError(f"{x.shape[-1]} classes, at most {most} fit the fixed-point sum")
    if x.dtype == "int16":
        int16_functions.softmax_params(graph, op)
    elif not np.float32(op.attrs["beta"]) * x.quant.per_tensor[0] * (1 << 26) > 1.0:
        raise ValueError(f"beta {op.attrs['beta']:g} times input scale {x.quant.per_tensor[0]:g} is too small")
