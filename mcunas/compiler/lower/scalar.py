# SPDX-License-Identifier: Apache-2.0
"""Lowering for cores without the DSP extension: isa "m3" (Cortex-M3) and "m0" (Armv6-M).

Blocks of pixels and channels that fill the registers, tables packed for them. What does not qualify returns None and
keeps the portable kernel: batches, groups, taps apart in x, multipliers beyond the proofs of packing and staircase.
"""
from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mcunas.compiler.lower import KernelCall, Overlap, RowInput, Rows, Table, lowers
from mcunas.compiler.lower.int4 import in_pairs
from mcunas.compiler.lower.overlap import window_overlap
from mcunas.compiler.lower.packing import Short, requant_blocks, short
from mcunas.compiler.lower.staircase import staircase
from mcunas.compiler.lower.steps import Shape, steppable, without_steps
from mcunas.compiler.lower.window import UINT16_MAX, halfwords
from mcunas.graph.arithmetic import wrap32
from mcunas.graph.integer_params import Requant, Window, bias_input, requant, sliding_window
from mcunas.graph.ir import Graph, Op

_ISAS = ("m0", "m3")
_LONGEST_RUN, _HALF = 16, 1 << 15
_STEP_HALFWORDS = 7            # of code per weight in mn_conv_s8_m0.c


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer's integers: weights int64 (channels, inputs), bias with the input zero point folded in."""

    p: Requant
    weights: np.ndarray
    bias: np.ndarray

    @staticmethod
    def of(graph: Graph, op: Op) -> _Layer:
        p, data = requant(graph, op), graph.tensors[op.inputs[1]].data.astype(np.int64)
        if op.kind == "DEPTHWISE_CONV_2D":
            data = data.reshape(-1, data.shape[3]).T
        weights, plain = data.reshape(data.shape[0], -1), bias_input(op)
        bias = np.zeros(weights.shape[0], np.int64) if plain < 0 else graph.tensors[plain].data.astype(np.int64)
        return _Layer(p, weights, wrap32(bias - p.input_zero_point * weights.sum(axis=1)))

    def short(self) -> Short | None:
        return short(self.p, self.weights, self.bias)

    def finish(self, isa: str, lanes: int) -> dict[str, Any] | None:
        """Struct members from accumulator to output; None where the core's short way is not exact.

        lanes: outputs of a block, which m3 fills up.
        """
        if isa == "m0":
            stairs = staircase(self.p, self.weights, self.bias)
            return {"requant": Table("int32_t", stairs.words, "requant"), "signs": int(stairs.signs)} if stairs else None
        scaling = self.short()
        if scaling is None:
            return None
        requant_words = requant_blocks(_filled_up(scaling, lanes))
        return {"requant": Table("int32_t", requant_words, "requant"), **self.limits()}

    def limits(self) -> dict[str, int]:
        return {"output_zero_point": self.p.output_zero_point, "low": self.p.low, "high": self.p.high}

    def table(self, isa: str, lanes: int, inputs: int) -> Table:
        """Weights as [block of lanes][input][lane], zeros behind the last input and output; m0: plus 128."""
        outputs = -(-self.weights.shape[0] // lanes) * lanes
        padded = np.zeros((outputs, inputs), np.int64)
        padded[:self.weights.shape[0], :self.weights.shape[1]] = self.weights
        blocks = padded.reshape(-1, lanes, inputs).transpose(0, 2, 1).reshape(-1)
        return (Table("uint8_t", (blocks + 128).astype(np.uint8), "weights") if isa == "m0" else
                Table("int8_t", blocks.astype(np.int8), "weights"))


def _filled_up(p: Short, lanes: int) -> Short:
    more = -p.bias2.size % lanes
    return Short(*(np.concatenate([v, np.zeros(more, np.int64)]) for v in (p.bias2, p.multiplier, p.shift)))


def _rows(x: tuple[int, ...], y: tuple[int, ...], win: Window, pixels: int) -> Rows:
    reach = (win.kernel[0] - 1) * win.dilation[0] + 1
    return Rows(y[1], y[2] * y[3], (RowInput(x[1], x[2] * x[3], "in_ring", win.stride[0], win.pad[0], reach),),
                block_bytes=pixels * y[3])


def _gathered(graph: Graph, op: Op, isa: str, x: tuple[int, ...], y: tuple[int, ...],
              win: Window, bits: int = 8) -> list[KernelCall] | None:
    """The convolution kernel on input x and output y (NHWC). bits: of a weight."""
    if max(*x, *y, win.kernel[1] * x[3]) > UINT16_MAX:
        return None
    layer = _Layer.of(graph, op)
    tables = _conv_tables(layer, isa) if bits == 8 else _pair_tables(layer)
    if tables is None:
        return None
    params = {
        **tables,
        **halfwords(graph, op, in_h=x[1], in_w=x[2], out_w=y[2], out_c=y[3], in_ring=x[1], out_ring=y[1],
                    kernel_h=win.kernel[0], run_bytes=win.kernel[1] * x[3], stride_h=win.stride[0],
                    stride_w=win.stride[1], dilation_h=win.dilation[0], pad_top=win.pad[0], pad_left=win.pad[1]),
        "input_zero_point": layer.p.input_zero_point,
    }
    inputs = layer.weights.shape[1]

    def at(xs: Shape, ys: Shape) -> KernelCall:
        return KernelCall(f"mn_conv_s{bits}_{isa}", params | halfwords(graph, op, in_step=xs[3], out_step=ys[3]),
                          op.inputs[:1], op.outputs, scratch_bytes=8 * inputs, macs=prod(y) * inputs,
                          rows=_rows(xs, ys, win, 4), overlap=(_after(window_overlap(xs, ys, win), ys[3]),))

    return [steppable(at, x, y, reads_apart=win.kernel[1] == 1)]


def _pair_tables(layer: _Layer) -> dict[str, Any] | None:
    """Of mn_conv_s4_m0."""
    finish = layer.finish("m0", 1)
    pairs = in_pairs(layer.weights.astype(np.int8)).astype(np.int64) + 128
    return finish and {"weights": Table("uint8_t", pairs.astype(np.uint8), "weights"), **finish}


def _conv_tables(layer: _Layer, isa: str) -> dict[str, Any] | None:
    if isa == "m0":
        finish, scaling = layer.finish(isa, 1), None
    else:
        scaling = layer.short()
        finish = None
        if scaling is not None:
            pairs = np.stack([scaling.bias2, scaling.multiplier], axis=1).astype(np.int32)
            finish = {"requant": Table("int32_t", pairs, "requant"), **layer.limits()}
    if finish is None:
        return None
    channels = [_runs(w, _STEP_HALFWORDS if isa == "m0" else 1) for w in layer.weights]
    if scaling is not None:
        channels = [np.concatenate([runs, [shift]]) for runs, shift in zip(channels, scaling.shift)]
    stream = np.concatenate(channels).astype(np.uint8).view(np.int8)
    return {"stream": Table("int8_t", stream, "weights"), **finish}


def _runs(weights: np.ndarray, unit: int) -> np.ndarray:
    """A channel's bytes (modulo 256): runs whose sum of products stays within 16 bits whatever the inputs are.

    Each is its length times `unit` and its weights; behind the last one 0 and the number of runs, in two bytes.
    """
    most = np.concatenate([[0], np.cumsum(np.where(weights > 0, 127, -128) * weights)])
    least = np.concatenate([[0], np.cumsum(np.where(weights > 0, 128, -127) * weights)])
    parts, start, count = [], 0, 0
    while start < weights.size:
        end = min(int(np.searchsorted(most, most[start] + _HALF - 1, "right")),
                  int(np.searchsorted(least, least[start] + _HALF, "right"))) - 1
        end = min(end, start + _LONGEST_RUN, weights.size)
        parts += [[unit * (end - start)], weights[start:end]]
        start, count = end, count + 1
    return np.concatenate([*parts, [0, count & 0xFF, count >> 8]])


def _after(alone: Overlap, pixel_bytes: int) -> Overlap:
    """All windows of a group are read before its first byte is written, so a group's own reads do not count."""
    return Overlap(alone.input_above - pixel_bytes, alone.output_above - pixel_bytes)


def _conv_2d(graph: Graph, op: Op, isa: str, bits: int = 8) -> list[KernelCall] | None:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    win = sliding_window(graph, op)
    if x[0] != 1 or w[3] != x[3] or (win.dilation[1] > 1 and w[2] > 1):
        return None
    return _gathered(graph, op, isa, x, y, win, bits)


def _fully_connected(graph: Graph, op: Op, isa: str) -> list[KernelCall] | None:
    outputs, depth = graph.tensors[op.inputs[1]].shape
    pixels = graph.tensors[op.inputs[0]].elements // depth
    if pixels > 1:
        calls = _gathered(graph, op, isa, (1, 1, pixels, depth), (1, 1, pixels, outputs),
                          Window((1, 1), (1, 1), (1, 1), (0, 0)))
        return calls and without_steps(calls)
    layer = _Layer.of(graph, op)
    finish = layer.finish(isa, 8)
    if finish is None:
        return None
    params = {"weights": layer.table(isa, 8, depth), **finish, "depth": depth, "outputs": outputs}
    return [KernelCall(f"mn_fully_connected_s8_{isa}", params, op.inputs[:1], op.outputs, macs=depth * outputs)]


def _depthwise_conv_2d(graph: Graph, op: Op, isa: str) -> list[KernelCall] | None:
    x, w, y = (graph.tensors[t].shape for t in (op.inputs[0], op.inputs[1], op.outputs[0]))
    win, layer = sliding_window(graph, op), _Layer.of(graph, op)
    if x[0] != 1 or w[1:3] != (3, 3) or win.dilation != (1, 1) or op.attrs["depth_multiplier"] != 1:
        return None
    tables = _depthwise_tables(layer, isa)
    if tables is None:
        return None
    params = {
        **tables, **halfwords(graph, op, in_h=x[1], in_w=x[2], in_c=x[3], out_w=y[2], in_ring=x[1], out_ring=y[1],
                              stride_h=win.stride[0], stride_w=win.stride[1], pad_top=win.pad[0], pad_left=win.pad[1]),
        "input_zero_point": layer.p.input_zero_point,
    }

    def at(xs: Shape, ys: Shape) -> KernelCall:
        alone = window_overlap(xs, ys, win)
        overlap = alone if isa == "m0" else Overlap(alone.input_above + ys[3], alone.output_above + ys[3])
        return KernelCall(f"mn_depthwise_s8_{isa}", params | halfwords(graph, op, in_step=xs[3], out_step=ys[3]),
                          op.inputs[:1], op.outputs, scratch_bytes=6 * xs[3] + 3 * x[3], macs=prod(y) * 9,
                          rows=_rows(xs, ys, win, 1), overlap=(overlap,))

    return [steppable(at, x, y, reads_apart=True)]


def _depthwise_tables(layer: _Layer, isa: str) -> dict[str, Any] | None:
    channels = layer.bias.size
    if isa == "m0":
        finish = layer.finish(isa, 1)
        w = (layer.weights & 0xFF).reshape(channels, 3, 3)
        words = (w[..., 0] | w[..., 1] << 24 | w[..., 2] << 8).astype(np.uint32)
        return finish and {"weights": Table("uint32_t", words, "weights"), **finish}
    scaling = layer.short()
    if scaling is None:
        return None
    head = np.zeros((channels, 12), np.int8)
    head[:, :9], head[:, 9] = layer.weights, scaling.shift
    words = np.concatenate([head.view("<i4"), scaling.bias2[:, None], scaling.multiplier[:, None]], axis=1)
    return {"words": Table("int32_t", words.astype(np.int32), "weights"), **layer.limits()}


def _register(isa: str) -> None:
    for kind, lowering in (("CONV_2D", _conv_2d), ("DEPTHWISE_CONV_2D", _depthwise_conv_2d),
                           ("FULLY_CONNECTED", _fully_connected)):
        lowers(kind, isa=isa)(lambda graph, op, lowering=lowering: lowering(graph, op, isa))


@lowers("CONV_2D int4", isa="m0")
def _conv_2d_int4(graph: Graph, op: Op) -> list[KernelCall] | None:
    return _conv_2d(graph, op, "m0", bits=4)


for _isa in _ISAS:
    _register(_isa)
