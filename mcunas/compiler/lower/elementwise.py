# SPDX-License-Identifier: Apache-2.0
"""Element-wise ops. Two operands share a loop nest (broadcast axes have a step of 0); a unary op is a table of 256."""
from __future__ import annotations

import numpy as np

from mcunas.compiler.lower import KernelCall, Table, lowers
from mcunas.compiler.lower.loops import dense_steps, loop_params, merged
from mcunas.graph.elementwise_params import product_params, sum_params, unary_table
from mcunas.graph.ir import Graph, Op


def _binary(graph: Graph, op: Op, kernel: str, params: dict) -> list[KernelCall]:
    out, elements = graph.tensors[op.outputs[0]].shape, graph.tensors[op.outputs[0]].elements
    steps = []
    for t in op.inputs:
        shape = graph.tensors[t].shape
        own = dense_steps(shape)
        steps.append([0] * (len(out) - len(shape)) + [s if d > 1 else 0 for s, d in zip(own, shape)])
    whole = tuple(k for k, t in enumerate(op.inputs) if graph.tensors[t].elements == elements)
    loops = loop_params(merged(out, *steps), ("step0", "step1"))
    return [KernelCall(kernel, {**params, **loops}, op.inputs, op.outputs, in_place=whole)]


@lowers("ADD", "SUB")
def _sum(graph: Graph, op: Op) -> list[KernelCall]:
    p = sum_params(graph, op)
    scales = {"0": p.scale0, "1": p.scale1, "_out": p.scale_out}
    params = {"zero0": p.zero0, "zero1": p.zero1, "zero_out": p.zero_out, "low": p.low, "high": p.high,
              "negate": 0 if op.kind == "ADD" else -1}
    for name, (mantissa, shift) in scales.items():
        params |= {f"mantissa{name}": mantissa, f"shift{name}": -shift}
    return _binary(graph, op, "mn_add_s8", params)


@lowers("MUL")
def _product(graph: Graph, op: Op) -> list[KernelCall]:
    p = product_params(graph, op)
    return _binary(graph, op, "mn_mul_s8", {
        "zero0": p.zero0, "zero1": p.zero1, "zero_out": p.zero_out, "low": p.low, "high": p.high,
        "mantissa": p.scale_out[0], "shift": p.scale_out[1]})


@lowers("MAXIMUM", "MINIMUM")
def _extreme(graph: Graph, op: Op) -> list[KernelCall]:
    return _binary(graph, op, "mn_minmax_s8", {"maximum": int(op.kind == "MAXIMUM")})


@lowers("LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU")
def _unary(graph: Graph, op: Op) -> list[KernelCall]:
    table = Table("uint8_t", unary_table(graph, op).view(np.uint8), "table")
    params = {"count": graph.tensors[op.outputs[0]].elements, "table": table}
    return [KernelCall("mn_lut_s8", params, op.inputs, op.outputs, in_place=(0,))]


@lowers("QUANTIZE", "DEQUANTIZE")
def _border(graph: Graph, op: Op) -> list[KernelCall]:
    source, result = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    if "float32" not in (source.dtype, result.dtype):
        return _unary(graph, op)
    kernel, quant = (("mn_quantize_f32_s8", result.quant) if source.dtype == "float32"
                     else ("mn_dequantize_s8_f32", source.quant))
    params = {"scale_bits": int(quant.scale[:1].view(np.uint32)[0]), "zero_point": quant.per_tensor[1],
              "count": result.elements}
    return [KernelCall(kernel, params, op.inputs, op.outputs)]
