# SPDX-License-Identifier: Apache-2.0
"""Lowering of the layers with weights: folded biases, requantization tables, and which kernel takes which layer.

A bias table holds bias - input zero point * sum(weights) modulo 2^32, so the kernels multiply raw input bytes.
"""
from __future__ import annotations

from math import prod

import numpy as np

from mcunas.compiler.lower import KernelCall, Table, lowers
from mcunas.errors import InputError
from mcunas.graph.arithmetic import wrap32
from mcunas.graph.integer_params import Requant, Window, bias_input, requant, sliding_window
from mcunas.graph.ir import Graph, Op

_UINT16_MAX, _INT32_MAX = (1 << 16) - 1, (1 << 31) - 1


def halfwords(graph: Graph, op: Op, **fields: int) -> dict[str, int]:
    """Struct members of type uint16_t. Raises InputError for a value that has no room."""
    for name, value in fields.items():
        if not 0 <= value <= _UINT16_MAX:
            raise InputError(f"{name} is {value}, the kernels take up to {_UINT16_MAX}", where=_where(graph, op))
    return {name: int(value) for name, value in fields.items()}


def window_fields(graph: Graph, op: Op, w: Window) -> dict[str, int]:
    """Struct members that describe a sliding window without dilation."""
    _, rows, columns, channels = graph.tensors[op.outputs[0] if op.kind == "TRANSPOSE_CONV" else op.inputs[0]].shape
    reach = [(k - 1) * d + s for k, d, s in zip(w.kernel, w.dilation, w.stride)]
    if (rows + reach[0]) * (columns + reach[1]) * channels > _INT32_MAX:
        raise InputError(f"a window of {reach[0]} x {reach[1]} pixels is too large", where=_where(graph, op))
    return halfwords(graph, op, kernel_h=w.kernel[0], kernel_w=w.kernel[1], stride_h=w.stride[0],
                     stride_w=w.stride[1], pad_top=w.pad[0], pad_left=w.pad[1])


def _where(graph: Graph, op: Op) -> str:
    return f"{graph.name}: {graph.where(graph.ops.index(op))}"


def _tables(graph: Graph, op: Op, p: Requant, sums: np.ndarray | None) -> dict[str, int | Table]:
    """Weights, bias and requantization. sums: weight sums per output channel to fold, None to keep the plain bias."""
    weights, bias = graph.tensors[op.inputs[1]], bias_input(op)
    channels = weights.shape[3 if op.kind == "DEPTHWISE_CONV_2D" else 0]
    folded = np.zeros(channels, np.int64) if bias < 0 else graph.tensors[bias].data.astype(np.int64)
    if sums is not None:
        folded = wrap32(folded - p.input_zero_point * sums)
    one_for_all = np.unique(p.multiplier).size == 1 and np.unique(p.shift).size == 1
    used = slice(0, 1) if one_for_all else slice(None)
    return {
        "weights": Table("int8_t", weights.data, "weights"),
        "bias": Table("int32_t", folded.astype(np.int32), "bias"),
        "multiplier": Table("int32_t", p.multiplier[used].astype(np.int32), "requant"),
        "shift": Table("int8_t", p.shift[used].astype(np.int8), "requant"),
        "requant_step": 0 if one_for_all else 1,
        "output_zero_point": p.output_zero_point, "low": p.low, "high": p.high,
    }


def _weight_sums(graph: Graph, op: Op) -> np.ndarray:
    weights = graph.tensors[op.inputs[1]].data.astype(np.int64)
    return weights.sum(axis=(0, 1, 2) if op.kind == "DEPTHWISE_CONV_2D" else tuple(range(1, weights.ndim)))


def _rows(graph: Graph, op: Op, p: Requant, rows: int, depth: int, outputs: int) -> KernelCall:
    """A product of the input, as rows, with the weights."""
    params = {**_tables(graph, op, p, _weight_sums(graph, op)), "rows": rows, "depth": depth, "outputs": outputs}
    return KernelCall("mn_fully_connected_s8", params, (op.inputs[0],), op.outputs, macs=rows * depth * outputs)


@lowers("CONV_2D")
def conv_2d(graph: Graph, op: Op) -> list[KernelCall]:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    if win.kernel == win.stride == (1, 1) and w[3] == x[3]:
        return [_rows(graph, op, p, prod(y[:3]), w[3], w[0])]
    params = {
        **_tables(graph, op, p, _weight_sums(graph, op)), **window_fields(graph, op, win), **_dilation(graph, op, win),
        **halfwords(graph, op, batches=x[0], in_h=x[1], in_w=x[2], in_c=x[3], out_h=y[1], out_w=y[2], out_c=y[3],
                    group_c=w[3], group_out_c=w[0] // (x[3] // w[3])),
        "input_zero_point": p.input_zero_point,
    }
    return [KernelCall("mn_conv_s8", params, (op.inputs[0],), op.outputs, macs=prod(y) * prod(w[1:]))]


@lowers("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(graph: Graph, op: Op) -> list[KernelCall]:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    by_channel = np.ascontiguousarray(graph.tensors[op.inputs[1]].data[0].transpose(2, 0, 1))
    params = {
        **_tables(graph, op, p, _weight_sums(graph, op)), **window_fields(graph, op, win), **_dilation(graph, op, win),
        "weights": Table("int8_t", by_channel, "weights"),
        **halfwords(graph, op, batches=x[0], in_h=x[1], in_w=x[2], in_c=x[3], out_h=y[1], out_w=y[2],
                    multiplier_c=op.attrs["depth_multiplier"]),
        "input_zero_point": p.input_zero_point,
    }
    # One pixel wide in every sense: each output byte depends on the input byte that it would replace, and on no other.
    alone = win.kernel == win.stride == (1, 1) and op.attrs["depth_multiplier"] == 1
    return [KernelCall("mn_depthwise_s8", params, (op.inputs[0],), op.outputs, in_place=(0,) if alone else (),
                       macs=prod(y) * w[1] * w[2])]


def _dilation(graph: Graph, op: Op, win: Window) -> dict[str, int]:
    return halfwords(graph, op, dilation_h=win.dilation[0], dilation_w=win.dilation[1])


@lowers("FULLY_CONNECTED")
def fully_connected(graph: Graph, op: Op) -> list[KernelCall]:
    outputs, depth = graph.tensors[op.inputs[1]].shape
    return [_rows(graph, op, requant(graph, op), graph.tensors[op.inputs[0]].elements // depth, depth, outputs)]


@lowers("TRANSPOSE_CONV")
def transpose_conv(graph: Graph, op: Op) -> list[KernelCall]:
    w, x, y = (graph.tensors[t].shape for t in (op.inputs[1], op.inputs[2], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    params = {
        **_tables(graph, op, p, None), **window_fields(graph, op, win),
        **halfwords(graph, op, batches=x[0], in_h=x[1], in_w=x[2], in_c=x[3], out_h=y[1], out_w=y[2], out_c=y[3]),
        "input_zero_point": p.input_zero_point,
    }
    return [KernelCall("mn_transpose_conv_s8", params, (op.inputs[2],), op.outputs, macs=prod(x[:3]) * prod(w))]
