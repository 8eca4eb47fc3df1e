# SPDX-License-Identifier: Apache-2.0
"""Lowering of the layers with weights: folded biases, requantization tables, and which kernel takes which layer.

A bias table holds bias - input zero point * sum(weights) modulo 2^32, so the kernels multiply raw input bytes.
"""
from __future__ import annotations

from math import prod

import numpy as np

from mcunas.compiler.lower import KernelCall, RowInput, Rows, Table, lowers
from mcunas.compiler.lower.overlap import window_overlap
from mcunas.compiler.lower.steps import Shape, steppable, without_steps
from mcunas.compiler.lower.window import UINT16_MAX, halfwords, image_calls, window_fields
from mcunas.graph.arithmetic import wrap32
from mcunas.graph.integer_params import Requant, Window, bias_input, requant, sliding_window
from mcunas.graph.ir import Graph, Op

_PIXEL = Window((1, 1), (1, 1), (1, 1), (0, 0))


def tables(graph: Graph, op: Op, p: Requant, sums: np.ndarray | None) -> dict[str, int | Table]:
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


def weight_sums(graph: Graph, op: Op) -> np.ndarray:
    weights = graph.tensors[op.inputs[1]].data.astype(np.int64)
    return weights.sum(axis=(0, 1, 2) if op.kind == "DEPTHWISE_CONV_2D" else tuple(range(1, weights.ndim)))


def product(graph: Graph, op: Op, height: int, width: int, kernel: str = "mn_fully_connected_s8",
            packed: Table | None = None) -> list[KernelCall]:
    """Each of height x width pixels times the weights. packed: the weights in another form that `kernel` takes."""
    weights = graph.tensors[op.inputs[1]]
    outputs, depth = weights.shape[0], weights.shape[-1]
    if height > UINT16_MAX:
        height, width = 1, height * width
    params = {**tables(graph, op, requant(graph, op), weight_sums(graph, op)), "in_ring": height, "out_ring": height,
              "width": width, "depth": depth, "outputs": outputs} | ({} if packed is None else {"weights": packed})

    def at(x: Shape, y: Shape) -> KernelCall:
        rows = Rows(height, width * y[3], (RowInput(height, width * x[3], "in_ring"),))
        return KernelCall(kernel, params | {"in_step": x[3], "out_step": y[3]}, op.inputs[:1], op.outputs,
                          macs=height * width * depth * outputs, rows=rows, overlap=(window_overlap(x, y, _PIXEL),))

    return [steppable(at, (1, height, width, depth), (1, height, width, outputs), reads_apart=True)]


@lowers("CONV_2D")
def conv_2d(graph: Graph, op: Op) -> list[KernelCall]:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    if win.kernel == win.stride == (1, 1) and w[3] == x[3]:
        return product(graph, op, y[0] * y[1], y[2])
    params = {
        **tables(graph, op, p, weight_sums(graph, op)), **dilation(graph, op, win),
        **halfwords(graph, op, out_c=y[3], group_c=w[3], group_out_c=w[0] // (x[3] // w[3])),
        "input_zero_point": p.input_zero_point,
    }
    return image_calls(graph, op, "mn_conv_s8", params, win, prod(y) * prod(w[1:]), by_channel=False, has_steps=True)


@lowers("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(graph: Graph, op: Op) -> list[KernelCall]:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win, multiplier = requant(graph, op), sliding_window(graph, op), op.attrs["depth_multiplier"]
    weights = np.ascontiguousarray(graph.tensors[op.inputs[1]].data[0].transpose(2, 0, 1))
    params = {
        **tables(graph, op, p, weight_sums(graph, op)), **dilation(graph, op, win),
        "weights": Table("int8_t", weights, "weights"), **halfwords(graph, op, in_c=x[3], multiplier_c=multiplier),
        "input_zero_point": p.input_zero_point,
    }
    return image_calls(graph, op, "mn_depthwise_s8", params, win, prod(y) * w[1] * w[2], by_channel=multiplier == 1,
                       has_steps=True)


def dilation(graph: Graph, op: Op, win: Window) -> dict[str, int]:
    return halfwords(graph, op, dilation_h=win.dilation[0], dilation_w=win.dilation[1])


@lowers("FULLY_CONNECTED")
def fully_connected(graph: Graph, op: Op) -> list[KernelCall]:
    depth = graph.tensors[op.inputs[1]].shape[1]
    return without_steps(product(graph, op, 1, graph.tensors[op.inputs[0]].elements // depth))


@lowers("TRANSPOSE_CONV")
def transpose_conv(graph: Graph, op: Op) -> list[KernelCall]:
    w, x, y = (graph.tensors[t].shape for t in (op.inputs[1], op.inputs[2], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    params = {
        **tables(graph, op, p, None), **window_fields(graph, op, win),
        **halfwords(graph, op, batches=x[0], in_h=x[1], in_w=x[2], in_c=x[3], out_h=y[1], out_w=y[2], out_c=y[3]),
        "input_zero_point": p.input_zero_point,
    }
    return [KernelCall("mn_transpose_conv_s8", params, (op.inputs[2],), op.outputs, macs=prod(x[:3]) * prod(w))]
