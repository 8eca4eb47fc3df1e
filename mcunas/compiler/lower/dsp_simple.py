# SPDX-License-Identifier: Apache-2.0
"""DSP lowering of layers without windows: FULLY_CONNECTED, ADD, and the average over a whole image."""
from __future__ import annotations

from math import prod

import numpy as np

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, Table, lowers
from mcunas.compiler.lower.dsp import folded_bias
from mcunas.compiler.lower.int4 import in_pairs
from mcunas.compiler.lower.linear_form import linear_form
from mcunas.compiler.lower.packing import (
    byte_pairs,
    fours,
    halfwords_joined,
    in_blocks,
    in_quads,
    padded,
    quad_positions,
    short,
)
from mcunas.compiler.lower.window import UINT16_MAX, halfwords
from mcunas.graph.elementwise_params import sum_params
from mcunas.graph.integer_params import pool_range, requant, sliding_window
from mcunas.graph.ir import Graph, Op

_LANES = 8                     # output channels of mn_fully_connected_s8_dsp at a time
_MAX_PIXELS = 255              # whose sum fits in a halfword


@lowers("FULLY_CONNECTED", isa="dsp")
def fully_connected(graph: Graph, op: Op) -> list[KernelCall] | None:
    return _dense(graph, op, bits=8)


@lowers("FULLY_CONNECTED", isa="wide")
def fully_connected_wide(graph: Graph, op: Op) -> list[KernelCall] | None:
    """Weights as int16 in flash: a sixth fewer instructions in the innermost loop."""
    return _dense(graph, op, bits=16)


@lowers("FULLY_CONNECTED int4", isa="dsp")
def fully_connected_int4(graph: Graph, op: Op) -> list[KernelCall] | None:
    return _dense(graph, op, bits=4)


def _dense(graph: Graph, op: Op, bits: int) -> list[KernelCall] | None:
    """bits: of a weight in flash."""
    weights, p = graph.tensors[op.inputs[1]].data.astype(np.int64), requant(graph, op)
    outputs, depth = weights.shape
    scaling = short(p, weights, folded_bias(graph, op, p, weights.sum(axis=1)))
    table = None if depth < 4 or scaling is None else _dense_weights(weights, bits)
    if table is None:
        return None
    one_for_all = np.unique(scaling.multiplier).size == 1 and np.unique(scaling.shift).size == 1
    used, rows = slice(0, 1) if one_for_all else slice(None), graph.tensors[op.inputs[0]].elements // depth
    params = {
        "weights": Table("uint32_t", table, "weights"),
        "bias2": Table("int32_t", scaling.bias2.astype(np.int32), "bias"),
        "multiplier": Table("int32_t", scaling.multiplier[used].astype(np.int32), "requant"),
        "shift": Table("uint8_t", scaling.shift[used].astype(np.uint8), "requant"),
        "rows": rows, "depth": depth, "outputs": outputs, "requant_step": 0 if one_for_all else 1,
        "output_zero_point": p.output_zero_point, "low": p.low, "high": p.high,
    }
    kernel = {4: "mn_fully_connected_s4_dsp", 8: "mn_fully_connected_s8_dsp", 16: "mn_fully_connected_s8_wide_dsp"}[bits]
    return [KernelCall(kernel, params, (op.inputs[0],), op.outputs, macs=rows * depth * outputs)]


def _dense_weights(weights: np.ndarray, bits: int) -> np.ndarray | None:
    """uint32, as mn_dense_dsp.h reads weights (outputs, depth); None when they do not pack."""
    outputs, depth = weights.shape
    turn = 2 if depth % 4 else 0                             # the last quad comes first
    steps = np.roll(in_quads(weights[:, None]), turn, axis=1)
    if bits == 16:
        return in_blocks(halfwords_joined(padded(steps, 2)), outputs, _LANES, 1)
    if bits == 8:
        words = byte_pairs(steps)
        return None if words is None else in_blocks(words, outputs, _LANES, 2)
    whole, positions = outputs // _LANES * _LANES, np.roll(quad_positions(depth), turn // 2, axis=0)
    words = fours(steps, np.roll(in_quads(np.ones((1, 1, depth), np.int64))[0], turn, axis=0) > 0)
    if words is None:
        return None
    last = np.where(positions >= 0, in_pairs(weights[whole:].astype(np.int8))[:, positions], 0).astype(np.int8)
    blocks = words[:whole // 4].reshape(-1, _LANES // 4, words.shape[1]).transpose(0, 2, 1)
    return np.concatenate([blocks.reshape(-1), last.reshape(-1).view(np.uint32)])


@lowers("AVERAGE_POOL_2D", isa="dsp")
def average_pool(graph: Graph, op: Op) -> list[KernelCall] | None:
    """Over the whole image; the output may begin where the input does: four channels are read, then written."""
    x, win = graph.tensors[op.inputs[0]].shape, sliding_window(graph, op)
    if (x[0] != 1 or win.kernel != x[1:3] or win.pad != (0, 0) or x[1] * x[2] > _MAX_PIXELS or x[3] % 4
            or graph.tensors[op.outputs[0]].shape[1:3] != (1, 1)):
        return None
    low, high = pool_range(graph, op)
    params = {"low": low, "high": high,
              **halfwords(graph, op, pixels=x[1] * x[2], channels=x[3], in_ring=x[1], out_ring=1)}
    rows = Rows(1, x[3], (RowInput(x[1], x[2] * x[3], "in_ring", win.stride[0], 0, x[1]),))
    return [KernelCall("mn_average_pool_s8_dsp", params, op.inputs, op.outputs, macs=prod(x), rows=rows,
                       overlap=(Overlap(0),))]


@lowers("ADD", "SUB", isa="dsp")
def add(graph: Graph, op: Op) -> list[KernelCall] | None:
    """Operands of one shape."""
    p, shapes = sum_params(graph, op), {graph.tensors[t].shape for t in (*op.inputs, *op.outputs)}
    form = linear_form(p, 1 if op.kind == "ADD" else -1) if len(shapes) == 1 and p.low <= p.high else None
    if form is None:
        return None
    shape = shapes.pop()
    count = shape[1] if len(shape) == 4 and shape[0] == 1 and shape[1] <= UINT16_MAX else 1
    row_bytes = prod(shape) // count
    params = {"ring0": count, "ring1": count, "out_ring": count, "factor0": form[0], "factor1": form[1],
              "constant": form[2], "shift": form[3], "low": p.low, "high": p.high, "row_bytes": row_bytes}
    rows = Rows(count, row_bytes, tuple(RowInput(count, row_bytes, f"ring{k}") for k in range(2)))
    return [KernelCall("mn_add_s8_dsp", params, op.inputs, op.outputs, rows=rows, overlap=(Overlap(0), Overlap(0)))]
