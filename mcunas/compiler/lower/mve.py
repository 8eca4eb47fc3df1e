# SPDX-License-Identifier: Apache-2.0
"""Lowering for cores with the M-profile vector extension (Cortex-M55, M85): convolutions and fully connected layers.

What does not qualify returns None and falls back to the DSP or the portable kernel: batches, groups, taps apart in x,
multipliers of one and more.
"""
from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, Table, lowers, mve_depthwise, mve_sum  # noqa: F401  registration
from mcunas.compiler.lower import mve_packing as packing
from mcunas.compiler.lower.dsp import folded_bias, window_rows
from mcunas.compiler.lower.int4 import MOST_PRODUCTS
from mcunas.compiler.lower.overlap import _reads as window_reads
from mcunas.compiler.lower.overlap import window_overlap
from mcunas.compiler.lower.steps import Shape, steppable, without_steps
from mcunas.compiler.lower.window import UINT16_MAX, halfwords
from mcunas.graph.integer_params import Requant, Window, requant, sliding_window
from mcunas.graph.ir import Graph, Op

_PIXEL = Window((1, 1), (1, 1), (1, 1), (0, 0))
_REGISTER_DEPTH = 64            # a pixel that fits into four vectors
_FEW_CHANNELS = 64              # the pointwise kernel's table costs five more bytes per channel


@lowers("CONV_2D", isa="mve")
def conv_2d(graph: Graph, op: Op) -> list[KernelCall] | None:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    if x[0] != 1 or w[3] != x[3] or (win.dilation[1] > 1 and w[2] > 1) or not packing.is_plain(p):
        return None
    if win.kernel == win.stride == (1, 1) and w[3] <= _REGISTER_DEPTH:
        return _pointwise(graph, op, p, y[1], y[2])
    return _gathering(graph, op, p, x, (w[0], w[1], w[2] * w[3]), y, win)


@lowers("CONV_2D int4", isa="mve")
def conv_2d_int4(graph: Graph, op: Op) -> list[KernelCall] | None:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    if (x[0] != 1 or w[3] != x[3] or (win.dilation[1] > 1 and w[2] > 1) or not packing.is_plain(p)
            or prod(w[1:]) > MOST_PRODUCTS):
        return None
    return _gathering(graph, op, p, x, (w[0], w[1], w[2] * w[3]), y, win, bits=4)


@lowers("FULLY_CONNECTED int4", isa="mve")
def fully_connected_int4(graph: Graph, op: Op) -> list[KernelCall] | None:
    outputs, depth = graph.tensors[op.inputs[1]].shape
    p, pixels = requant(graph, op), graph.tensors[op.inputs[0]].elements // depth
    if not packing.is_plain(p) or max(pixels, outputs, depth) > UINT16_MAX:
        return None
    return without_steps(_gathering(graph, op, p, (1, 1, pixels, depth), (outputs, 1, depth), (1, 1, pixels, outputs),
                                    _PIXEL, bits=4))


@lowers("FULLY_CONNECTED", isa="mve")
def fully_connected(graph: Graph, op: Op) -> list[KernelCall] | None:
    outputs, depth = graph.tensors[op.inputs[1]].shape
    p, pixels = requant(graph, op), graph.tensors[op.inputs[0]].elements // depth
    if not packing.is_plain(p) or max(pixels, outputs, depth) > UINT16_MAX:
        return None
    uniform = np.unique(p.multiplier).size == np.unique(p.shift).size == 1
    if depth <= _REGISTER_DEPTH and (not uniform or outputs <= _FEW_CHANNELS):
        return without_steps(_pointwise(graph, op, p, 1, pixels))
    if not uniform:
        return without_steps(_gathering(graph, op, p, (1, 1, pixels, depth), (outputs, 1, depth), (1, 1, pixels, outputs),
                                        _PIXEL))
    weights = graph.tensors[op.inputs[1]].data
    params: dict[str, Any] = {
        "weights": Table("int8_t", packing.in_blocks(weights, 8), "weights"),
        "bias": Table("int32_t", _bias(graph, op, p, weights).astype(np.int32), "bias"),
        "multiplier": int(p.multiplier[0]), "shift": int(p.shift[0]) if p.multiplier[0] else -1,
        "in_ring": 1, "out_ring": 1, "width": pixels, "depth": depth, "outputs": outputs, **packing.activation(p),
    }
    overlap = window_overlap((1, 1, pixels, depth), (1, 1, pixels, outputs), _PIXEL)
    rows = Rows(1, pixels * outputs, (RowInput(1, pixels * depth, "in_ring"),))
    return [KernelCall("mn_fully_connected_s8_mve", params, op.inputs[:1], op.outputs, macs=pixels * weights.size,
                       rows=rows, overlap=(overlap,))]


def _bias(graph: Graph, op: Op, p: Requant, weights: np.ndarray) -> np.ndarray:
    return folded_bias(graph, op, p, weights.astype(np.int64).sum(axis=1))


def _pointwise(graph: Graph, op: Op, p: Requant, height: int, width: int) -> list[KernelCall]:
    """Each of height x width pixels times the weights. A pixel is read as a whole before its outputs are written."""
    weights = graph.tensors[op.inputs[1]].data
    weights = weights.reshape(weights.shape[0], -1)
    outputs, depth = weights.shape
    whole = outputs // 8 * 8
    table = packing.requant_table(p, _bias(graph, op, p, weights), list(range(0, whole, 8)), packing.EIGHT,
                                  tuple(range(8)), outputs - whole)
    params: dict[str, Any] = {
        "weights": Table("int8_t", packing.in_blocks(weights, 8), "weights"),
        "requant": Table("int32_t", table, "requant"),
        **halfwords(graph, op, in_ring=height, out_ring=height, width=width, depth=depth, outputs=outputs),
        **packing.activation(p),
    }

    def at(x: Shape, y: Shape) -> KernelCall:
        rows = Rows(height, width * y[3], (RowInput(height, width * x[3], "in_ring"),))
        lead = (height * width - 1) * (y[3] - x[3])
        return KernelCall("mn_pointwise_s8_mve", params | halfwords(graph, op, in_step=x[3], out_step=y[3]), op.inputs[:1],
                          op.outputs, macs=height * width * weights.size, rows=rows,
                          overlap=(Overlap(max(0, lead), max(0, -lead)),))

    return [steppable(at, (1, height, width, depth), (1, height, width, outputs), reads_apart=True)]


def _gathering(graph: Graph, op: Op, p: Requant, x: tuple[int, ...], runs: tuple[int, int, int], y: tuple[int, ...],
               win: Window, bits: int = 8) -> list[KernelCall]:
    """A convolution from x to y (NHWC); runs: (output channels, rows of taps, bytes of a row of taps). bits: of a weight."""
    weights = graph.tensors[op.inputs[1]].data.reshape(runs[0], -1)
    whole = runs[0] // 4 * 4
    table = packing.requant_table(p, _bias(graph, op, p, weights), list(range(0, whole, 4)), packing.FOUR, packing.FOUR,
                                  runs[0] - whole)
    blocks = packing.in_blocks if bits == 8 else packing.in_pair_blocks
    params: dict[str, Any] = {
        "weights": Table("int8_t", blocks(weights, 4), "weights"),
        "requant": Table("int32_t", table, "requant"),
        **halfwords(graph, op, in_h=x[1], in_w=x[2], out_w=y[2], out_c=y[3], in_ring=x[1], out_ring=y[1],
                    kernel_h=runs[1], run_bytes=runs[2], stride_h=win.stride[0], stride_w=win.stride[1],
                    dilation_h=win.dilation[0], pad_top=win.pad[0], pad_left=win.pad[1]),
        "input_zero_point": p.input_zero_point, **packing.activation(p),
    }

    def at(xs: Shape, ys: Shape) -> KernelCall:
        return KernelCall(f"mn_conv_s{bits}_mve", params | halfwords(graph, op, in_step=xs[3], out_step=ys[3]),
                          op.inputs[:1], op.outputs, scratch_bytes=2 * packing.steps_of(weights.shape[1]) * packing.STEP,
                          macs=y[1] * y[2] * weights.size, rows=window_rows(xs, ys, win, 2),
                          overlap=(_gathered(xs, ys, win),))

    return [steppable(at, x, y, reads_apart=win.kernel[1] == 1)]


def _gathered(x: tuple[int, ...], y: tuple[int, ...], win: Window) -> Overlap:
    """Windows are read as a whole before their pixels are written: only those of later pixels must survive."""
    start, end = window_reads(x, y, win)
    written = np.arange(1, start.size, dtype=np.int64) * y[3]
    first_read = np.minimum.accumulate(start[::-1])[::-1][1:]
    last_read = np.maximum.accumulate(end)[:-1]
    return Overlap(int((written - first_read).max(initial=0)), int((last_read - written).max(initial=0)))
