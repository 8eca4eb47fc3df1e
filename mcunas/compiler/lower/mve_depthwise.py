# SPDX-License-Identifier: Apache-2.0
"""Lowering of depthwise convolutions of up to nine taps for the M-profile vector extension."""
from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from mcunas.compiler.lower import KernelCall, Overlap, Table, lowers
from mcunas.compiler.lower import mve_packing as packing
from mcunas.compiler.lower.dsp import folded_bias, window_rows
from mcunas.compiler.lower.overlap import window_overlap
from mcunas.compiler.lower.steps import Shape, steppable
from mcunas.compiler.lower.window import halfwords
from mcunas.graph.integer_params import requant, sliding_window
from mcunas.graph.ir import Graph, Op


@lowers("DEPTHWISE_CONV_2D", isa="mve")
def depthwise_conv_2d(graph: Graph, op: Op) -> list[KernelCall] | None:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win, channels = requant(graph, op), sliding_window(graph, op), w[3]
    taps = graph.tensors[op.inputs[1]].data.reshape(-1, channels)
    if (x[0] != 1 or op.attrs["depth_multiplier"] != 1 or len(taps) > packing.TAPS or channels < 8
            or int(taps.min()) == -128 or not packing.is_plain(p)):
        return None
    block, prefix, kernel = (8, "layer.", "mn_depthwise_narrow_s8_mve") if channels % 16 else (16, "", "mn_depthwise_s8_mve")
    lanes: tuple[int, ...] = packing.EIGHT if channels % 16 else packing.SIXTEEN
    bias = folded_bias(graph, op, p, taps.astype(np.int64).sum(axis=0))
    firsts = packing.starts(channels, block)
    params: dict[str, Any] = {
        "weights": Table("int8_t", packing.depthwise_blocks(taps, block), "weights"),
        "requant": Table("int32_t", packing.requant_table(p, bias, firsts, lanes, lanes), "requant"),
        "padding": Table("int8_t", np.full(channels, p.input_zero_point, np.int8), "table"),
        **halfwords(graph, op, in_h=x[1], in_w=x[2], in_c=x[3], out_w=y[2], in_ring=x[1], out_ring=y[1],
                    kernel_h=w[1], kernel_w=w[2], stride_h=win.stride[0], stride_w=win.stride[1],
                    dilation_h=win.dilation[0], dilation_w=win.dilation[1], pad_top=win.pad[0], pad_left=win.pad[1]),
        **packing.activation(p),
    }

    def at(xs: Shape, ys: Shape) -> KernelCall:
        # Blocks are read before they are written; the last one reads channels again that are written already.
        again = -channels % block
        beside = window_overlap(xs, ys, win, by_channel=(xs, ys) == (x, y))
        overlap = Overlap(beside.input_above + again, beside.output_above + again)
        rows = window_rows(xs, ys, win)
        rows = replace(rows, ring=prefix + rows.ring, inputs=(replace(rows.inputs[0], ring=prefix + rows.inputs[0].ring),))
        members = params | halfwords(graph, op, in_step=xs[3], out_step=ys[3])
        return KernelCall(kernel, {prefix + name: value for name, value in members.items()}, op.inputs[:1], op.outputs,
                          macs=prod(y) * len(taps), rows=rows, overlap=(overlap,))

    return [steppable(at, x, y, reads_apart=True)]
