# SPDX-License-Identifier: Apache-2.0
"""Element-wise ops. Two operands share a loop nest (broadcast axes have a step of 0); a unary op is a table of 256."""
from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, Table, lowers
from mcunas.compiler.lower.loops import dense_steps, loop_params, merged
from mcunas.compiler.lower.window import UINT16_MAX
from mcunas.graph.elementwise_params import product_params, sum_params, unary_table
from mcunas.graph.ir import ITEM_BYTES, Graph, Op


def row_of(shape: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """(rows, shape of a row): an image's rows; anything else counts as one row."""
    if len(shape) == 4 and shape[0] == 1 and shape[1] <= UINT16_MAX:
        return shape[1], shape[2:]
    return 1, shape


def binary(graph: Graph, op: Op, kernel: str, params: dict, item_bytes: int = 1) -> list[KernelCall]:
    """A kernel with a `pair` among its members, whose two operands' values have item_bytes."""
    out = graph.tensors[op.outputs[0]].shape
    count, row = row_of(out)
    pair, steps, inputs = {}, [], []
    for k, t in enumerate(op.inputs):
        shape = (1,) * (len(out) - len(graph.tensors[t].shape)) + graph.tensors[t].shape
        own = shape[len(out) - len(row):]
        rows = 1 if count == 1 else shape[1]
        steps.append([s if d > 1 else 0 for s, d in zip(dense_steps(own), own)])
        inputs.append(RowInput(rows, prod(own) * item_bytes, f"pair.ring{k}", stride=int(rows == count)))
        pair |= {f"ring{k}": rows, f"row{k}": prod(own)}
    pair |= {"out_ring": count, "row_out": prod(row), **loop_params(merged(row, *steps), ("step0", "step1"))}
    # Outer loops inside a row run upwards in any case.
    over = Overlap(0, prod(row) * item_bytes if pair["depth"] else 0)
    overlaps = tuple(over if graph.tensors[t].elements == prod(out) else Overlap() for t in op.inputs)
    params = params | {f"pair.{name}": value for name, value in pair.items()}
    whole = Rows(count, prod(row) * item_bytes, tuple(inputs), "pair.out_ring")
    return [KernelCall(kernel, params, op.inputs, op.outputs, rows=whole, overlap=overlaps)]


@lowers("ADD", "SUB")
def _sum(graph: Graph, op: Op) -> list[KernelCall]:
    p = sum_params(graph, op)
    scales = {"0": p.scale0, "1": p.scale1, "_out": p.scale_out}
    params = {"zero0": p.zero0, "zero1": p.zero1, "zero_out": p.zero_out, "low": p.low, "high": p.high,
              "negate": 0 if op.kind == "ADD" else -1}
    for name, (mantissa, shift) in scales.items():
        params |= {f"mantissa{name}": mantissa, f"shift{name}": -shift}
    return binary(graph, op, "mn_add_s8", params)


@lowers("MUL")
def _product(graph: Graph, op: Op) -> list[KernelCall]:
    p = product_params(graph, op)
    return binary(graph, op, "mn_mul_s8", {
        "zero0": p.zero0, "zero1": p.zero1, "zero_out": p.zero_out, "low": p.low, "high": p.high,
        "mantissa": p.scale_out[0], "shift": p.scale_out[1]})


@lowers("MAXIMUM", "MINIMUM")
def _extreme(graph: Graph, op: Op) -> list[KernelCall]:
    return binary(graph, op, "mn_minmax_s8", {"maximum": int(op.kind == "MAXIMUM")})


@lowers("LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "LEAKY_RELU")
def _unary(graph: Graph, op: Op) -> list[KernelCall]:
    table = Table("uint8_t", unary_table(graph, op).view(np.uint8), "table")
    count, row = row_of(graph.tensors[op.outputs[0]].shape)
    params: dict[str, Any] = {"in_ring": count, "out_ring": count, "count": prod(row), "table": table}
    rows = Rows(count, prod(row), (RowInput(count, prod(row), "in_ring"),))
    return [KernelCall("mn_lut_s8", params, op.inputs, op.outputs, rows=rows, overlap=(Overlap(0, 0),))]


@lowers("QUANTIZE", "DEQUANTIZE")
def _quantize(graph: Graph, op: Op) -> list[KernelCall]:
    dtypes = [graph.tensors[t].dtype for t in (op.inputs[0], op.outputs[0])]
    return border(graph, op) if "float32" in dtypes else _unary(graph, op)


def border(graph: Graph, op: Op) -> list[KernelCall]:
    """From or to float32."""
    source, result = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    own = result if source.dtype == "float32" else source
    name = {"int8": "s8", "int16": "s16"}[own.dtype]
    kernel = f"mn_quantize_f32_{name}" if own is result else f"mn_dequantize_{name}_f32"
    params = {"scale_bits": int(own.quant.scale[:1].view(np.uint32)[0]), "count": result.elements}
    params |= {"zero_point": own.quant.per_tensor[1]} if own.dtype == "int8" else {}
    # To integers never writes beyond what it has read; the other way the input must end where the output does.
    overlap = Overlap(0 if own is result else (4 - ITEM_BYTES[own.dtype]) * (result.elements - 1))
    return [KernelCall(kernel, params, op.inputs, op.outputs, overlap=(overlap,))]
