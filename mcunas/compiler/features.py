# SPDX-License-Identifier: Apache-2.0
"""What an op's instruction count depends on, as plain arithmetic: works on integers and on differentiable widths.

One row per op, of numbers that are linear or bilinear in the widths (pruning-methods.md section 1.4, Latency), and of
tails, which are counted at integer widths only because a staircase has no useful slope:

macs        multiply-accumulates, those on padding included; inside: without those; border: those alone
outputs     values written; long_outputs: if their rounding takes the longer of the kernel's two ways; clamped: if they have
            closer limits than those of their type
taps        values gathered: pixels x kernel x input channels
pixels      output pixels
calls       one; rows: output rows
gathers     kernel rows x pixels; row_vectors: their vectors of VECTOR values
runs        kernel rows x outputs
crossing    pixels whose window crosses the edge
edge        kernel positions x outputs of these pixels; edge_taps: x input channels instead of outputs
singles     windows that kernels for pairs of pixels put together alone; single_rows: their kernel rows; single_taps
ragged      gathers of a kernel row that is no whole number of LANES; loose: the values after its whole blocks, or in a
            depthwise layer all those of windows over an edge
depth_pad   multiply-accumulates that filling the last LANES values of a kernel row would add; vector_pad: the last VECTOR
            values of a window; odd_taps: outputs of windows with an odd number of values
block_rows  blocks of LANES outputs x output rows; blocks: x pairs of pixels (pixels in a depthwise layer)
four_blocks whole blocks of LANES outputs x pairs of pixels; four_steps: their vectors in depth
tails       pixels, where outputs are left after the last block of LANES; tail_outputs: these values; tail_steps: their
            vectors in depth; out_tail: their multiply-accumulates; out_odd: those of an odd one; tail_taps: taps where
            outputs are left; one_tail: where just one is
wide_tail   outputs after the last block of WIDE; wide_tails: pixels with such outputs; wide_steps: vectors in depth of the
            whole blocks; wide_runs: rows of them, or pixels where outputs are left in between
odd_pixels  multiply-accumulates of the last pixel of an odd number, of the last column of odd rows in a depthwise layer;
            odd_tail: of its last channels
group_pad   multiply-accumulates, and group_outputs the values, that fill up the last group of LANES pixels
dense_blocks, dense_taps, dense_loose  of a fully connected layer: blocks of WIDE outputs x pixels, x their inputs, x their
            last inputs after whole blocks of LANES; dense_tail: inputs x outputs after the last whole block
strided     outputs of a depthwise convolution that skips pixels
walked      outputs of a depthwise convolution that are computed tap by tap: of windows over an edge, and of any window
            that is not 3x3; walked_rows: their kernel rows; walked_taps: their taps inside
two_strips  strips of STRIP columns x blocks of LANES channels x pairs of rows of a depthwise convolution that does not skip;
            one_strips: x single rows, where one_pixels are their columns
half_blocks blocks of WIDE channels of a depthwise convolution x pixels; half_ends: pixels, if the last is not full;
            half_crossing: of windows over an edge
moves, scattered  see KernelCall
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from mcunas.compiler.windows import Edges, edges, positions_inside

if TYPE_CHECKING:
    from mcunas.compiler.lower import KernelCall
    from mcunas.graph.ir import Op

FEATURES = ("macs", "inside", "border", "outputs", "long_outputs", "clamped", "taps", "pixels", "calls", "rows", "gathers",
            "row_vectors", "runs", "crossing", "edge", "edge_taps", "singles", "single_rows", "single_taps", "ragged",
            "loose", "depth_pad", "vector_pad", "odd_taps", "block_rows", "blocks", "four_blocks", "four_steps", "tails",
            "tail_outputs", "tail_steps", "out_tail", "out_odd", "tail_taps", "one_tail", "wide_tail", "wide_tails",
            "wide_runs", "wide_steps", "odd_pixels", "odd_tail", "group_pad", "group_outputs", "dense_blocks", "dense_taps",
            "dense_loose", "dense_tail", "strided", "walked", "walked_rows", "walked_taps", "two_strips", "one_strips",
            "one_pixels", "half_blocks", "half_ends", "half_crossing", "moves", "scattered")
_NONE, _IN_ORDER = dict.fromkeys(FEATURES, 0), itemgetter(*FEATURES)
LANES = 4           # output channels, and depth values, that the kernels handle at once; the rest is dearer
WIDE = 8            # outputs that some kernels handle at once
VECTOR = 16         # values in depth on a core with vectors
STRIP = 16          # columns of a depthwise layer at once


def op_features(kind: str, attrs: Mapping[str, Any], shapes: Sequence[tuple], out: tuple,
                rounds_long: bool = False, clamps: bool = False) -> tuple:
    """FEATURES of one op. shapes: of its inputs (() when absent), out: of its first output; NHWC. rounds_long,
    clamps: see KernelCall."""
    if kind == "CONV_2D":
        found = _convolution(shapes[1], out[1] * out[2], out[1], edges(attrs, shapes[0], shapes[1][1:3], out))
    elif kind == "TRANSPOSE_CONV":
        found = _transposed(attrs, shapes, out)
    elif kind == "DEPTHWISE_CONV_2D":
        found = _depthwise(attrs, shapes, out)
    elif kind == "FULLY_CONNECTED":
        found = _fully_connected(shapes[1][0], shapes[1][1], _product(out[:-1]))
    else:
        outputs, pixels, taps = _product(out), _product(out[:-1]), 0
        if kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            taps = outputs * attrs["filter_h"] * attrs["filter_w"]
        elif kind == "MEAN":
            taps = _product(shapes[0])
        found = {"outputs": outputs, "taps": taps, "pixels": pixels, "calls": 1}
    if rounds_long:
        found["long_outputs"] = found["outputs"]
    if clamps:
        found["clamped"] = found["outputs"]
    return _IN_ORDER(_NONE | found)


def call_features(op: Op, shapes: Sequence[tuple], out: tuple, calls: Sequence[KernelCall]) -> tuple:
    """FEATURES of one op as these calls compute it; shapes and out as above."""
    found = op_features(op.kind, op.attrs, shapes, out, calls[0].rounds_long, calls[0].clamps)
    return *found[:-2], sum(call.moves for call in calls), sum(call.scattered for call in calls)


def _convolution(weights: tuple, pixels: int, rows: int, edge: Edges) -> dict[str, Any]:
    """weights: (output channels, kernel rows, kernel columns, input channels)."""
    outputs, kh, kw, inputs = weights
    crossing, outside, singles, _ = edge
    row, window = kw * inputs, kh * kw * inputs
    taps, tail, steps, pairs = pixels * window, _tail(outputs), _blocks(window, VECTOR), (pixels + 1) // 2
    has_tail, wide_tail, group = int(tail > 0), _tail(outputs, WIDE), -pixels % LANES
    return {
        "macs": taps * outputs, "inside": (pixels * kh * kw - outside) * inputs * outputs,
        "border": outside * inputs * outputs, "outputs": pixels * outputs, "taps": taps, "pixels": pixels, "calls": 1,
        "rows": rows, "gathers": pixels * kh, "row_vectors": pixels * kh * _blocks(row, VECTOR),
        "runs": pixels * kh * outputs, "crossing": crossing, "edge": crossing * kh * kw * outputs,
        "edge_taps": crossing * window, "singles": singles, "single_rows": singles * kh, "single_taps": singles * window,
        "ragged": pixels * kh * int(_tail(row) > 0), "loose": pixels * kh * _tail(row),
        "depth_pad": pixels * outputs * kh * _pad(row), "vector_pad": pixels * outputs * _pad(window, VECTOR),
        "odd_taps": pixels * outputs * _odd(window), "block_rows": rows * _blocks(outputs),
        "blocks": pairs * _blocks(outputs), "four_blocks": pairs * _whole(outputs),
        "four_steps": pairs * _whole(outputs) * steps, "tails": pixels * has_tail, "tail_outputs": pixels * tail,
        "tail_steps": pixels * tail * steps, "out_tail": taps * tail, "out_odd": taps * _odd(outputs),
        "tail_taps": taps * has_tail, "one_tail": taps * int(tail == 1), "wide_tail": pixels * wide_tail,
        "wide_tails": pixels * int(wide_tail > 0), "wide_runs": 0 if outputs < WIDE else pixels if wide_tail else rows,
        "wide_steps": pixels * _whole(outputs, WIDE) * steps, "odd_pixels": pixels % 2 * window * outputs,
        "odd_tail": pixels % 2 * window * tail, "group_pad": group * window * outputs, "group_outputs": group * outputs}


def _transposed(attrs: Mapping[str, Any], shapes: Sequence[tuple], out: tuple) -> dict[str, Any]:
    """macs: of every input pixel. The others are of positions (kernel x input pixels) whose output exists: taps are their
    multiply-accumulates, strided those positions x outputs, gathers kernel rows that reach an output row x its pixels."""
    outputs, kh, kw, inputs = shapes[1]
    rows, columns = (positions_inside(out[1 + a], (kh, kw)[a], attrs[f"stride_{n}"], shapes[2][1 + a])
                     for a, n in enumerate("hw"))
    positions, pixels, gathers = rows * columns, out[1] * out[2], rows * out[2]
    return {"macs": shapes[2][1] * shapes[2][2] * kh * kw * inputs * outputs, "outputs": pixels * outputs,
            "taps": positions * inputs * outputs, "pixels": pixels, "calls": 1, "gathers": gathers,
            "runs": gathers * outputs, "out_tail": positions * inputs * _tail(outputs),
            "tail_outputs": pixels * _tail(outputs), "ragged": positions * _blocks(outputs),
            "strided": positions * outputs}


def _depthwise(attrs: Mapping[str, Any], shapes: Sequence[tuple], out: tuple) -> dict[str, Any]:
    _, kh, kw, channels = shapes[1]
    crossing, outside, _, inner_pairs = edges(attrs, shapes[0], (kh, kw), out)
    pixels, tail, blocks = out[1] * out[2], _tail(channels), _blocks(channels)
    window, skips = pixels * kh * kw, int(attrs["stride_h"] * attrs["stride_w"] > 1)
    taps, strips, inside = window * channels, -(-out[2] // STRIP) * blocks, (window - outside) * channels
    pairs, walked, halves = 0 if skips else out[1] // 2, pixels, _blocks(channels, WIDE)
    single, singles = out[1] - 2 * pairs, pixels - 2 * inner_pairs
    if (kh, kw) == (3, 3) and attrs["depth_multiplier"] == 1:
        walked = crossing
    return {
        "macs": taps, "inside": inside, "border": outside * channels, "outputs": pixels * channels, "taps": taps,
        "pixels": pixels, "calls": 1, "rows": out[1], "gathers": pixels * kh, "runs": window, "crossing": crossing,
        "edge": crossing * kh * kw, "edge_taps": crossing * kh * kw * channels,
        "singles": singles, "single_taps": singles * kh * kw * channels,
        "ragged": pixels * kh * int(tail > 0), "loose": crossing * kh * kw * channels * int(tail > 0),
        "depth_pad": window * _pad(channels),
        "vector_pad": window * _pad(channels, VECTOR), "block_rows": out[1] * blocks, "blocks": pixels * blocks,
        "tails": pixels * int(tail > 0), "tail_outputs": pixels * tail, "out_tail": window * tail,
        "out_odd": window * _odd(channels), "odd_pixels": out[1] * (out[2] % 2) * kh * kw * channels,
        "strided": skips * pixels * channels, "walked": walked * channels, "walked_rows": walked * kh * channels,
        "walked_taps": inside - (pixels - walked) * kh * kw * channels, "two_strips": pairs * strips,
        "one_strips": single * strips, "one_pixels": single * out[2] * blocks, "half_blocks": pixels * halves,
        "half_ends": pixels * int(_tail(channels, WIDE) > 0), "half_crossing": crossing * halves}


def _fully_connected(outputs: Any, inputs: Any, pixels: int) -> dict[str, Any]:
    """As a convolution of 1x1, and by blocks of WIDE outputs."""
    blocks = pixels * _blocks(outputs, WIDE)
    return _convolution((outputs, 1, 1, inputs), pixels, 1, Edges(0, 0, pixels % 2, 0)) | {
        "dense_blocks": blocks, "dense_taps": blocks * inputs, "dense_loose": blocks * _tail(inputs),
        "dense_tail": pixels * inputs * _tail(outputs, WIDE)}


def _tail(count: Any, block: int = LANES) -> int:
    return count % block if isinstance(count, int) else 0


def _blocks(count: Any, block: int = LANES) -> Any:
    return -(-count // block) if isinstance(count, int) else count / block


def _whole(count: Any, block: int = LANES) -> Any:
    return count // block if isinstance(count, int) else count / block


def _odd(count: Any) -> int:
    return count % 2 if isinstance(count, int) else 0


def _pad(count: Any, block: int = LANES) -> int:
    return -count % block if isinstance(count, int) else 0


def _product(values: Sequence) -> Any:
    result: Any = 1
    for value in values:
        result = result * value
    return result
