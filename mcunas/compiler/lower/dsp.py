# SPDX-License-Identifier: Apache-2.0
"""Lowering for cores with the DSP extension (Cortex-M4, M7, M33): layers whose short arithmetic is provably exact.

What does not qualify returns None and keeps the portable kernel: batches, groups, taps apart in x, multipliers of one
and more, accumulators beyond 30 bits.
"""
from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, Table, lowers
from mcunas.compiler.lower.dsp_lines import lines
from mcunas.compiler.lower.overlap import window_overlap
from mcunas.compiler.lower.packing import (
    Short,
    byte_pairs,
    depthwise_3x3,
    depthwise_3x3_int4,
    fours,
    halfwords_joined,
    in_steps,
    in_stream,
    padded,
    requant_rows,
    short,
)
from mcunas.compiler.lower.steps import Shape, steppable
from mcunas.compiler.lower.window import halfwords
from mcunas.graph.arithmetic import wrap32
from mcunas.graph.integer_params import Requant, Window, bias_input, requant, sliding_window
from mcunas.graph.ir import Graph, Op

_ROW_TURN = 50      # instructions: a row of a window that is found on its own
_STRIP = 16        # output columns of a depthwise convolution at a time: more would save little


def folded_bias(graph: Graph, op: Op, p: Requant, sums: np.ndarray) -> np.ndarray:
    """int64 (channels,): bias less input zero point times the channels' weight sums, modulo 2^32."""
    bias = bias_input(op)
    plain = np.zeros(sums.size, np.int64) if bias < 0 else graph.tensors[bias].data.astype(np.int64)
    return wrap32(plain - p.input_zero_point * sums)


def window_rows(x: tuple[int, ...], y: tuple[int, ...], win: Window, pixels: int = 1, turn_work: int = 0) -> Rows:
    """Row ranges of a window that slides over x (NHWC, batch 1) to y. pixels: computed together."""
    reach = (win.kernel[0] - 1) * win.dilation[0] + 1
    read = RowInput(x[1], x[2] * x[3], "in_ring", win.stride[0], win.pad[0], reach, turn_work)
    return Rows(y[1], y[2] * y[3], (read,), block_bytes=pixels * y[3])


@lowers("CONV_2D", isa="dsp")
def conv_2d(graph: Graph, op: Op) -> list[KernelCall] | None:
    return _conv(graph, op, bits=8)


@lowers("CONV_2D", isa="wide")
def conv_2d_wide(graph: Graph, op: Op) -> list[KernelCall] | None:
    """Weights as int16 in flash: a twelfth fewer instructions in the innermost loop."""
    return _conv(graph, op, bits=16)


@lowers("CONV_2D int4", isa="dsp")
def conv_2d_int4(graph: Graph, op: Op) -> list[KernelCall] | None:
    return _conv(graph, op, bits=4)


def _conv(graph: Graph, op: Op, bits: int) -> list[KernelCall] | None:
    """bits: of a weight in flash."""
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    weights = graph.tensors[op.inputs[1]].data.astype(np.int64)
    flat, run_bytes = weights.reshape(w[0], -1), w[2] * w[3]
    bias = folded_bias(graph, op, p, flat.sum(axis=1))
    scaling = lines(p, flat, bias) or short(p, flat, bias)
    # Rows of less than a word cannot be read as words.
    if (x[0] != 1 or w[3] != x[3] or (win.dilation[1] > 1 and w[2] > 1) or scaling is None
            or run_bytes >= 4 > x[2] * x[3]):
        return None
    steps = in_steps(weights.reshape(w[0], w[1], run_bytes))
    words = halfwords_joined(padded(steps, 2)) if bits == 16 else byte_pairs(steps) if bits == 8 else fours(steps)
    if words is None:
        return None
    linear = w[1:3] == (1, 1) and win.stride == (1, 1) and x[1:3] == y[1:3]
    first = -(-win.pad[1] // win.stride[1])
    whole = min((x[2] + win.pad[1] - w[2]) // win.stride[1] + 1, y[2]) - first
    params: dict[str, Any] = {
        "weights": Table("uint32_t", in_stream(words, requant_rows(scaling), 16 // bits), "weights"),
        **halfwords(graph, op, in_h=x[1], in_w=x[2], out_h=y[1], out_w=y[2], out_c=y[3], in_ring=x[1],
                    out_ring=y[1], kernel_h=w[1], run_bytes=run_bytes, steps=steps.shape[1], stride_h=win.stride[0],
                    stride_w=win.stride[1], dilation_h=win.dilation[0], pad_top=win.pad[0], pad_left=win.pad[1],
                    first_x=min(first, y[2]), whole=max(whole, 0)),
        "input_zero_point": p.input_zero_point, "output_zero_point": p.output_zero_point, "low": p.low, "high": p.high,
        "exact": int(isinstance(scaling, Short)), "linear": int(linear),
    }

    def at(xs: Shape, ys: Shape) -> KernelCall:
        return KernelCall({4: "mn_conv_s4_dsp", 8: "mn_conv_s8_dsp", 16: "mn_conv_s8_wide_dsp"}[bits],
                          params | halfwords(graph, op, in_step=xs[3], out_step=ys[3]), (op.inputs[0],), op.outputs,
                          scratch_bytes=8 * steps.shape[1], macs=prod(y) * prod(w[1:]),
                          rows=window_rows(xs, ys, win, 2, _ROW_TURN * win.kernel[0] * y[2]),
                          overlap=(_two_pixels(xs, ys, win),))

    return [steppable(at, x, y, reads_apart=w[2] == 1)]


def _two_pixels(x: tuple[int, ...], y: tuple[int, ...], win: Window) -> Overlap:
    """Two pixels are read before the first is written; pairs may begin at any pixel: one pixel more either way."""
    alone = window_overlap(x, y, win)
    return Overlap(alone.input_above + y[3], alone.output_above + y[3])


@lowers("DEPTHWISE_CONV_2D", isa="dsp")
def depthwise_conv_2d(graph: Graph, op: Op) -> list[KernelCall] | None:
    return _depthwise(graph, op, bits=8)


@lowers("DEPTHWISE_CONV_2D int4", isa="dsp")
def depthwise_conv_2d_int4(graph: Graph, op: Op) -> list[KernelCall] | None:
    return _depthwise(graph, op, bits=4)


def _depthwise(graph: Graph, op: Op, bits: int) -> list[KernelCall] | None:
    """3x3 of four or more channels, stride 1 or 2."""
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    p, win = requant(graph, op), sliding_window(graph, op)
    weights = graph.tensors[op.inputs[1]].data[0].astype(np.int64)
    flat = weights.reshape(-1, w[3]).T
    bias = folded_bias(graph, op, p, flat.sum(axis=1))
    scaling = lines(p, flat, bias) or short(p, flat, bias)
    if (x[0] != 1 or x[3] < 4 or w[3] != x[3] or win.kernel != (3, 3) or win.dilation != (1, 1)
            or win.stride not in ((1, 1), (2, 2)) or scaling is None or not _meets_input(x[2], y[2], win)):
        return None
    strip = min(y[2], _STRIP)
    params: dict[str, Any] = {
        "constants": Table("uint32_t", (depthwise_3x3_int4 if bits == 4 else depthwise_3x3)(weights, scaling), "weights"),
        **halfwords(graph, op, in_h=x[1], in_w=x[2], channels=x[3], out_h=y[1], out_w=y[2], in_ring=x[1],
                    out_ring=y[1], stride=win.stride[0], pad_top=win.pad[0], pad_left=win.pad[1], strip=strip),
        "input_zero_point": p.input_zero_point, "output_zero_point": p.output_zero_point, "low": p.low, "high": p.high,
        "exact": int(isinstance(scaling, Short)),
    }

    def at(xs: Shape, ys: Shape) -> KernelCall:
        # Up to two rows, beginning at any row, are written while inputs of these rows are still read: one row more than
        # a row at a time.
        row, line = window_overlap(xs, ys, win, block=y[2]), y[2] * ys[3]
        return KernelCall(f"mn_depthwise_s{bits}_dsp", params | halfwords(graph, op, in_step=xs[3], out_step=ys[3]),
                          (op.inputs[0],), op.outputs, scratch_bytes=32 * ((strip - 1) * win.stride[0] + 3),
                          macs=prod(y) * 9, rows=window_rows(xs, ys, win, 2 * y[2] if win.stride[0] == 1 else 1),
                          overlap=(Overlap(row.input_above + line, row.output_above + line),))

    return [steppable(at, x, y, reads_apart=True)]


def _meets_input(columns: int, out_columns: int, win: Window) -> bool:
    """Whether every output column reads some input column; explicit padding may keep some away."""
    return win.pad[1] < win.kernel[1] and (out_columns - 1) * win.stride[1] - win.pad[1] < columns
