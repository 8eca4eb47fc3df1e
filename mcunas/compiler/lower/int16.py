# SPDX-License-Identifier: Apache-2.0
"""Lowering of ops on int16 activations (TFLite's 16x8: int8 weights, int64 sums), and of QUANTIZE to and from them.

Portable kernels; with the DSP extension dense layers take the same tables to kernels that multiply in pairs.

Zero points are 0, so nothing is folded into a bias. A real multiplier has 15 bits here and its shift goes to the right.
"""
from __future__ import annotations

from dataclasses import asdict, replace
from math import prod
from typing import Any

import numpy as np

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, Table, lowers
from mcunas.compiler.lower.elementwise import binary, border, row_of
from mcunas.compiler.lower.overlap import window_overlap
from mcunas.compiler.lower.pooling import mean_loops
from mcunas.compiler.lower.window import UINT16_MAX, halfwords, image_calls, window_fields
from mcunas.errors import InputError
from mcunas.graph import int16_functions, integer_params
from mcunas.graph.arithmetic import short_multiplier
from mcunas.graph.elementwise_params import product_params, rescale_params, sum_params
from mcunas.graph.integer_params import Window, bias_input, requant, sliding_window
from mcunas.graph.ir import ITEM_BYTES, Graph, Op

_ITEM = ITEM_BYTES["int16"]
_MOST_COLUMNS = 256             # of a depthwise window: their products are summed in 32 bits
_MAX_MEAN_COUNT = 1 << 15       # more values can leave the int32 sum
_PIXEL = Window((1, 1), (1, 1), (1, 1), (0, 0))
_NAMES = {"int8": "s8", "int16": "s16"}


def _tables(graph: Graph, op: Op) -> dict[str, int | Table]:
    """Weights as they are, bias and requantization."""
    p = requant(graph, op)
    short, right = short_multiplier(p.multiplier), 15 - p.shift
    one_for_all = np.unique(short).size == 1 and np.unique(right).size == 1
    used = slice(0, 1) if one_for_all else slice(None)
    return {"weights": Table("int8_t", graph.tensors[op.inputs[1]].data, "weights"),
            "bias": Table("int64_t", graph.tensors[bias_input(op)].data, "bias"),
            "multiplier": Table("int16_t", short[used].astype(np.int16), "requant"),
            "shift": Table("int8_t", right[used].astype(np.int8), "requant"),
            "requant_step": 0 if one_for_all else 1, "low": p.low, "high": p.high}


@lowers("CONV_2D int16")
def conv_2d(graph: Graph, op: Op) -> list[KernelCall]:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    win = sliding_window(graph, op)
    if win.kernel == win.stride == (1, 1) and w[3] == x[3]:
        return [_product(graph, op, y[0] * y[1], y[2])]
    params = {**_tables(graph, op), **_window(graph, op, win),
              **halfwords(graph, op, out_c=y[3], group_c=w[3], group_out_c=w[0] // (x[3] // w[3]))}
    return image_calls(graph, op, "mn_conv_s16", params, win, prod(y) * prod(w[1:]), by_channel=False)


@lowers("CONV_2D int16", isa="dsp")
def conv_2d_dsp(graph: Graph, op: Op) -> list[KernelCall]:
    return [replace(call, kernel=f"{call.kernel}_dsp") for call in conv_2d(graph, op)]


@lowers("DEPTHWISE_CONV_2D int16")
def depthwise_conv_2d(graph: Graph, op: Op) -> list[KernelCall]:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    win, multiplier = sliding_window(graph, op), op.attrs["depth_multiplier"]
    if win.kernel[1] > _MOST_COLUMNS:
        raise InputError(f"a depthwise window of {win.kernel[1]} columns on int16, the kernel takes up to {_MOST_COLUMNS}",
                         where=f"{graph.name}: {graph.where(graph.ops.index(op))}")
    weights = np.ascontiguousarray(graph.tensors[op.inputs[1]].data[0].transpose(2, 0, 1))
    params = {**_tables(graph, op), "weights": Table("int8_t", weights, "weights"), **_window(graph, op, win),
              **halfwords(graph, op, in_c=x[3], multiplier_c=multiplier)}
    return image_calls(graph, op, "mn_depthwise_s16", params, win, prod(y) * w[1] * w[2], by_channel=multiplier == 1)


def _window(graph: Graph, op: Op, win: Window) -> dict[str, int]:
    x, y = (graph.tensors[t].shape for t in (op.inputs[0], op.outputs[0]))
    return halfwords(graph, op, in_step=x[3], out_step=y[3], dilation_h=win.dilation[0], dilation_w=win.dilation[1])


@lowers("FULLY_CONNECTED int16")
def fully_connected(graph: Graph, op: Op) -> list[KernelCall]:
    return [_product(graph, op, 1, graph.tensors[op.inputs[0]].elements // graph.tensors[op.inputs[1]].shape[1])]


@lowers("FULLY_CONNECTED int16", isa="dsp")
def fully_connected_dsp(graph: Graph, op: Op) -> list[KernelCall]:
    return [replace(call, kernel=f"{call.kernel}_dsp") for call in fully_connected(graph, op)]


def _product(graph: Graph, op: Op, height: int, width: int) -> KernelCall:
    """Each of height x width pixels times the weights."""
    weights = graph.tensors[op.inputs[1]]
    outputs, depth = weights.shape[0], weights.shape[-1]
    if height > UINT16_MAX:
        height, width = 1, height * width
    params = {**_tables(graph, op), "in_ring": height, "out_ring": height, "width": width, "depth": depth,
              "outputs": outputs, "in_step": depth, "out_step": outputs}
    rows = Rows(height, width * outputs * _ITEM, (RowInput(height, width * depth * _ITEM, "in_ring"),))
    over = window_overlap((1, height, width, depth * _ITEM), (1, height, width, outputs * _ITEM), _PIXEL)
    return KernelCall("mn_fully_connected_s16", params, op.inputs[:1], op.outputs, macs=height * width * depth * outputs,
                      rows=rows, overlap=(over,))


@lowers("QUANTIZE int16", "DEQUANTIZE int16")
def quantize(graph: Graph, op: Op) -> list[KernelCall]:
    source, result = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    if "float32" in (source.dtype, result.dtype):
        return border(graph, op)
    p, (count, row) = rescale_params(graph, op), row_of(result.shape)
    params: dict[str, Any] = {"in_ring": count, "out_ring": count, "count": prod(row), "zero_in": p.zero_in,
                              "zero_out": p.zero_out, "mantissa": p.scale[0], "shift": p.scale[1]}
    sizes = [prod(row) * ITEM_BYTES[t.dtype] for t in (source, result)]
    rows = Rows(count, sizes[1], (RowInput(count, sizes[0], "in_ring"),))
    # Where values grow, the last one read may lie just before the last one written; where they shrink, the other way.
    apart = result.elements - 1 if sizes[0] != sizes[1] else 0
    over = Overlap(apart if sizes[1] > sizes[0] else 0, apart if sizes[1] < sizes[0] else 0)
    kernel = f"mn_quantize_{_NAMES[source.dtype]}_{_NAMES[result.dtype]}"
    return [KernelCall(kernel, params, op.inputs, op.outputs, rows=rows, overlap=(over,))]


@lowers("ADD int16", "SUB int16")
def add(graph: Graph, op: Op) -> list[KernelCall]:
    p = sum_params(graph, op)
    params = {"low": p.low, "high": p.high, "negate": 0 if op.kind == "ADD" else -1}
    for name, (mantissa, shift) in (("0", p.scale0), ("1", p.scale1), ("_out", p.scale_out)):
        params |= {f"mantissa{name}": mantissa, f"shift{name}": -shift}
    return binary(graph, op, "mn_add_s16", params, _ITEM)


@lowers("MUL int16")
def multiply(graph: Graph, op: Op) -> list[KernelCall]:
    p = product_params(graph, op)
    params = {"mantissa": p.scale_out[0], "shift": -p.scale_out[1], "low": p.low, "high": p.high}
    return binary(graph, op, "mn_mul_s16", params, _ITEM)


@lowers("LOGISTIC int16", "TANH int16")
def sigmoid(graph: Graph, op: Op) -> list[KernelCall]:
    count, row = row_of(graph.tensors[op.outputs[0]].shape)
    params = {**asdict(int16_functions.sigmoid_params(graph, op)), "in_ring": count, "out_ring": count, "count": prod(row),
              "table": Table("uint16_t", int16_functions.logistic_table(), "table")}
    rows = Rows(count, prod(row) * _ITEM, (RowInput(count, prod(row) * _ITEM, "in_ring"),))
    return [KernelCall("mn_sigmoid_s16", params, op.inputs, op.outputs, rows=rows, overlap=(Overlap(0, 0),))]


@lowers("SOFTMAX int16")
def softmax(graph: Graph, op: Op) -> list[KernelCall]:
    """In place: exponentials replace a row's values once the largest is known."""
    shape = graph.tensors[op.inputs[0]].shape
    params = {**asdict(int16_functions.softmax_params(graph, op)), "rows": prod(shape[:-1]), "depth": shape[-1],
              "exponentials": Table("int16_t", int16_functions.exp_table(), "table"),
              "reciprocals": Table("int16_t", int16_functions.reciprocal_table(), "table")}
    return [KernelCall("mn_softmax_s16", params, op.inputs, op.outputs, overlap=(Overlap(0),))]


@lowers("TRANSPOSE_CONV int16")
def transpose_conv(graph: Graph, op: Op) -> list[KernelCall]:
    w, x, y = (graph.tensors[t].shape for t in (op.inputs[1], op.inputs[2], op.outputs[0]))
    params = {**_tables(graph, op), **window_fields(graph, op, sliding_window(graph, op)),
              **halfwords(graph, op, batches=x[0], in_h=x[1], in_w=x[2], in_c=x[3], out_h=y[1], out_w=y[2], out_c=y[3])}
    return [KernelCall("mn_transpose_conv_s16", params, (op.inputs[2],), op.outputs, macs=prod(x[:3]) * prod(w))]


@lowers("AVERAGE_POOL_2D int16", "MAX_POOL_2D int16")
def pool(graph: Graph, op: Op) -> list[KernelCall]:
    x, y = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    win, (low, high) = sliding_window(graph, op), integer_params.pool_range(graph, op)
    if prod(win.kernel) > _MAX_MEAN_COUNT:
        raise InputError(f"a pool over {prod(win.kernel)} int16 values, the kernel takes up to {_MAX_MEAN_COUNT}",
                         where=f"{graph.name}: {graph.where(graph.ops.index(op))}")
    params = {"low": low, "high": high, **halfwords(graph, op, channels=x[3])}
    kernel, adds = ("mn_max_pool_s16", 0) if op.kind == "MAX_POOL_2D" else ("mn_average_pool_s16", prod(win.kernel))
    return image_calls(graph, op, kernel, params, win, prod(y) * adds, by_channel=True)


@lowers("MEAN int16")
def mean(graph: Graph, op: Op) -> list[KernelCall]:
    p = integer_params.mean(graph, op)
    if p.count > _MAX_MEAN_COUNT:
        raise InputError(f"a mean over {p.count} int16 values, the kernel takes up to {_MAX_MEAN_COUNT}",
                         where=f"{graph.name}: {graph.where(graph.ops.index(op))}")
    params = {**mean_loops(graph, op, p.axes), "multiplier": p.multiplier, "shift": p.shift}
    return [KernelCall("mn_mean_s16", params, (op.inputs[0],), op.outputs, macs=graph.tensors[op.inputs[0]].elements,
                       overlap=(Overlap(0),))]
