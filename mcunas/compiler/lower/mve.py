# SPDX-License-Identifier: Apache-2.0
"""Lowering for cores with the M-profile vector extension (Cortex-M55, M85).

What does not qualify returns None and falls back to the DSP or the portable kernel: batches, groups, taps apart in x,
multipliers of one and more.
"""
from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, Table, lowers
from mcunas.compiler.lower import mve_packing as packing
from mcunas.compiler.lower import mve_sum  # noqa: F401  registration
from mcunas.compiler.lower.dsp import folded_bias, window_rows
from mcunas.compiler.lower.overlap import _reads as window_reads
from mcunas.compiler.lower.overlap import window_overlap
from mcunas.compiler.lower.window import UINT16_MAX, halfwords
from mcunas.graph.integer_params import Requant, Window, requant, sliding_window
from mcunas.graph.ir import Graph, Op

_PIXEL = Window((1, 1), (1, 1), (1, 1), (0, 0))
_REGISTER_DEPTH = 64            # a pixel that fits into four vectors


def _activation(p: Requant) -> dict[str, int]:
    return {"output_zero_point": p.output_zero_point, "low": p.low, "high": p.high, "ties": int(packing.rounds_ties(p))}


def _product(graph: Graph, op: Op, height: int, width: int) -> list[KernelCall] | None:
    """Each of height x width pixels times the weights."""
    weights = graph.tensors[op.inputs[1]].data
    weights = weights.reshape(weights.shape[0], -1)
    outputs, depth = weights.shape
    p = requant(graph, op)
    if not packing.is_plain(p) or max(height, width, outputs) > UINT16_MAX:
        return None
    bias = folded_bias(graph, op, p, weights.astype(np.int64).sum(axis=1))
    whole = outputs // 8 * 8
    params = {
        "weights": Table("int8_t", packing.in_blocks(weights, 8), "weights"),
        "requant": Table("int32_t", packing.requant_table(p, bias, list(range(0, whole, 8)), packing.EIGHT,
                                                          tuple(range(8)), outputs - whole), "requant"),
        "in_ring": height, "out_ring": height, "width": width, "depth": depth, "outputs": outputs, **_activation(p),
    }
    rows = Rows(height, width * outputs, (RowInput(height, width * depth, "in_ring"),))
    if depth <= _REGISTER_DEPTH:
        # A pixel is read as a whole before its outputs are written.
        kernel, last = "mn_pointwise_s8_mve", (height * width - 1) * (outputs - depth)
        overlap = Overlap(max(0, last), max(0, -last))
    else:
        kernel = "mn_fully_connected_s8_mve"
        overlap = window_overlap((1, height, width, depth), (1, height, width, outputs), _PIXEL)
    return [KernelCall(kernel, params, op.inputs[:1], op.outputs, macs=height * width * weights.size, rows=rows,
                       overlap=(overlap,))]


@lowers("CONV_2D", isa="mve")
def conv_2d(graph: Graph, op: Op) -> list[KernelCall] | None:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    win = sliding_window(graph, op)
    if win.kernel == win.stride == (1, 1) and w[3] == x[3] and x[0] == 1:
        call = _product(graph, op, y[1], y[2])
        if w[3] <= _REGISTER_DEPTH:
            return call
    p, weights = requant(graph, op), graph.tensors[op.inputs[1]].data
    flat = weights.reshape(w[0], -1)
    if x[0] != 1 or w[3] != x[3] or (win.dilation[1] > 1 and w[2] > 1) or not packing.is_plain(p):
        return None
    bias = folded_bias(graph, op, p, flat.astype(np.int64).sum(axis=1))
    whole = w[0] // 4 * 4
    params = {
        "weights": Table("int8_t", packing.in_blocks(flat, 4), "weights"),
        "requant": Table("int32_t", packing.requant_table(p, bias, list(range(0, whole, 4)), packing.FOUR, packing.FOUR,
                                                          w[0] - whole), "requant"),
        **halfwords(graph, op, in_h=x[1], in_w=x[2], in_c=x[3], out_w=y[2], out_c=y[3], in_ring=x[1], out_ring=y[1],
                    kernel_h=w[1], run_bytes=w[2] * w[3], stride_h=win.stride[0], stride_w=win.stride[1],
                    dilation_h=win.dilation[0], pad_top=win.pad[0], pad_left=win.pad[1]),
        "input_zero_point": p.input_zero_point, **_activation(p),
    }
    scratch_bytes = 2 * packing.steps_of(flat.shape[1]) * packing.STEP
    return [KernelCall("mn_conv_s8_mve", params, op.inputs[:1], op.outputs, scratch_bytes=scratch_bytes,
                       macs=prod(y) * prod(w[1:]), rows=window_rows(x, y, win), overlap=(_gathered(x, y, win),))]


def _gathered(x: tuple[int, ...], y: tuple[int, ...], win: Window) -> Overlap:
    """Windows are read as a whole before their pixels are written: only those of later pixels must survive."""
    start, end = window_reads(x, y, win)
    written = np.arange(1, start.size, dtype=np.int64) * y[3]
    first_read = np.minimum.accumulate(start[::-1])[::-1][1:]
    last_read = np.maximum.accumulate(end)[:-1]
    return Overlap(int((written - first_read).max(initial=0)), int((last_read - written).max(initial=0)))


@lowers("DEPTHWISE_CONV_2D", isa="mve")
def depthwise_conv_2d(graph: Graph, op: Op) -> list[KernelCall] | None:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win, channels = requant(graph, op), sliding_window(graph, op), w[3]
    taps = graph.tensors[op.inputs[1]].data.reshape(-1, channels)
    if (x[0] != 1 or op.attrs["depth_multiplier"] != 1 or len(taps) > packing.TAPS or channels < 8
            or int(taps.min()) == -128 or not packing.is_plain(p)):
        return None
    block, lanes, prefix, kernel = 16, packing.SIXTEEN, "", "mn_depthwise_s8_mve"
    if channels % 16:
        block, lanes, prefix, kernel = 8, packing.EIGHT, "layer.", "mn_depthwise_narrow_s8_mve"
    bias = folded_bias(graph, op, p, taps.astype(np.int64).sum(axis=0))
    firsts = packing.starts(channels, block)
    params = {
        "weights": Table("int8_t", packing.depthwise_blocks(taps, block), "weights"),
        "requant": Table("int32_t", packing.requant_table(p, bias, firsts, lanes, lanes), "requant"),
        "padding": Table("int8_t", np.full(channels, p.input_zero_point, np.int8), "table"),
        **halfwords(graph, op, in_h=x[1], in_w=x[2], in_c=x[3], out_w=y[2], in_ring=x[1], out_ring=y[1],
                    kernel_h=w[1], kernel_w=w[2], stride_h=win.stride[0], stride_w=win.stride[1],
                    dilation_h=win.dilation[0], dilation_w=win.dilation[1], pad_top=win.pad[0], pad_left=win.pad[1]),
        **_activation(p),
    }
    # Blocks are read before they are written; the last one reads channels again that are written already.
    again = -channels % block
    beside = window_overlap(x, y, win, by_channel=True)
    overlap = Overlap(beside.input_above + again, beside.output_above + again)
    rows = window_rows(x, y, win)
    rows = replace(rows, ring=prefix + rows.ring, inputs=(replace(rows.inputs[0], ring=prefix + rows.inputs[0].ring),))
    return [KernelCall(kernel, {prefix + name: value for name, value in params.items()}, op.inputs[:1], op.outputs,
                       macs=prod(y) * len(taps), rows=rows, overlap=(overlap,))]


@lowers("FULLY_CONNECTED", isa="mve")
def fully_connected(graph: Graph, op: Op) -> list[KernelCall] | None:
    depth = graph.tensors[op.inputs[1]].shape[1]
    return _product(graph, op, 1, graph.tensors[op.inputs[0]].elements // depth)
