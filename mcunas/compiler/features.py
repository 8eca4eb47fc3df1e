# SPDX-License-Identifier: Apache-2.0
"""What an op's instruction count depends on, as plain arithmetic: works on integers and on differentiable widths.

One row per op, of numbers that are linear or bilinear in the widths (pruning-methods.md section 1.4, Latency), and of
tails, which are counted at integer widths only because a staircase has no useful slope:

macs        multiply-accumulates, those on padding included
outputs     values written
taps        values gathered: pixels x kernel x input channels
pixels      output pixels
calls       one
gathers     kernel rows x pixels
runs        kernel rows x outputs
edge        kernel positions x outputs of the pixels whose window crosses the edge
edge_taps   the same x input channels instead of outputs
border      multiply-accumulates on padding
out_tail    multiply-accumulates of the channels after the last block of LANES; out_odd: of the last odd one
tails       pixels, where there are such channels; tail_outputs: values written to them
depth_tail  multiply-accumulates after the last block of LANES in depth; depth_pad: what filling that block would add
vector_pad  what filling the last VECTOR would add
ragged      gathers of a kernel row that is no whole number of LANES
odd_pixels  multiply-accumulates of the last pixel of an odd number, of the last column of odd rows in a depthwise layer,
            of the outputs after the last block of WIDE in a fully connected one; odd_tail: of its last channels
strided     outputs of a depthwise convolution that skips pixels; strided_rows: their blocks of LANES channels x rows
block_rows  blocks of LANES outputs x output rows; blocks: such blocks x pixels (pairs of them in a convolution; of WIDE
            outputs in a fully connected layer)
ragged_taps taps of kernel rows that are no whole number of LANES
narrow_taps taps, where a kernel row holds less than LANES values (first layers) and is gathered byte by byte
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

FEATURES = ("macs", "outputs", "taps", "pixels", "calls", "gathers", "runs", "edge", "edge_taps", "border", "out_tail",
            "out_odd", "tails", "tail_outputs", "depth_tail", "depth_pad", "vector_pad", "narrow_taps",
            "ragged", "odd_pixels", "strided", "strided_rows", "block_rows", "blocks", "ragged_taps",
            "odd_tail")
LANES = 4           # output channels, and depth values, that the kernels handle at once; the rest is dearer
WIDE = 8            # outputs of a fully connected layer at once
VECTOR = 16         # the same for depth on a core with vectors


def op_features(kind: str, attrs: Mapping[str, Any], shapes: Sequence[tuple], out: tuple) -> tuple:
    """FEATURES of one op. shapes: of its inputs (() when absent), out: of its first output; NHWC."""
    if kind == "TRANSPOSE_CONV":
        return _transposed(attrs, shapes, out)
    if kind == "CONV_2D":
        outputs, kh, kw, inputs = shapes[1]
        pixels = out[1] * out[2]
        crossing, outside = _border(attrs, shapes[0], (kh, kw), out)
        taps = pixels * kh * kw * inputs
        return (taps * outputs, out[1] * out[2] * outputs, taps, pixels, 1, pixels * kh, pixels * kh * outputs,
                crossing * kh * kw * outputs, crossing * kh * kw * inputs, outside * inputs * outputs,
                taps * _tail(outputs), taps * _odd(outputs), pixels * (_tail(outputs) > 0), pixels * _tail(outputs),
                pixels * outputs * _tail(kh * kw * inputs), pixels * outputs * kh * _pad(kw * inputs),
                pixels * outputs * _pad(kh * kw * inputs, VECTOR), taps * _narrow(kw * inputs),
                pixels * kh * (_tail(kw * inputs) > 0), pixels % 2 * kh * kw * inputs * outputs, 0, 0,
                out[1] * _blocks(outputs), (pixels + 1) // 2 * _blocks(outputs), taps * (_tail(kw * inputs) > 0),
                pixels % 2 * kh * kw * inputs * _tail(outputs))
    if kind == "DEPTHWISE_CONV_2D":
        _, kh, kw, channels = shapes[1]
        crossing, outside = _border(attrs, shapes[0], (kh, kw), out)
        pixels = out[1] * out[2]
        taps = pixels * kh * kw * channels
        window, skips = pixels * kh * kw, int(attrs["stride_h"] * attrs["stride_w"] > 1)
        return (taps, pixels * channels, taps, pixels, 1, pixels * kh, window, crossing * kh * kw,
                crossing * kh * kw * channels, outside * channels, window * _tail(channels), window * _odd(channels),
                pixels * (_tail(channels) > 0), pixels * _tail(channels), 0, window * _pad(channels),
                window * _pad(channels, VECTOR), taps * _narrow(channels),
                pixels * kh * (_tail(channels) > 0), out[1] * (out[2] % 2) * kh * kw * channels,
                skips * pixels * channels, skips * out[1] * _blocks(channels), out[1] * _blocks(channels),
                pixels * _blocks(channels), 0, 0)
    if kind == "FULLY_CONNECTED":
        outputs, inputs = shapes[1]
        return (inputs * outputs, outputs, inputs, 1, 1, 1, outputs, 0, 0, 0, inputs * _tail(outputs),
                inputs * _odd(outputs), int(_tail(outputs) > 0), _tail(outputs), outputs * _tail(inputs),
                outputs * _pad(inputs), outputs * _pad(inputs, VECTOR), inputs * _narrow(inputs),
                int(_tail(inputs) > 0), inputs * _tail(outputs, WIDE), 0, 0, _blocks(outputs), _blocks(outputs, WIDE), 0, 0)
    outputs, pixels, taps = _product(out), _product(out[:-1]), 0
    if kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        taps = outputs * attrs["filter_h"] * attrs["filter_w"]
    elif kind == "MEAN":
        taps = _product(shapes[0])
    return 0, outputs, taps, pixels, 1, *(0,) * (len(FEATURES) - 5)


def _transposed(attrs: Mapping[str, Any], shapes: Sequence[tuple], out: tuple) -> tuple:
    """macs: of every input pixel. The others are of positions (kernel x input pixels) whose output exists: taps are their
    multiply-accumulates, strided those positions x outputs, gathers kernel rows that reach an output row x its pixels."""
    outputs, kh, kw, inputs = shapes[1]
    rows, columns = (_inside(out[1 + a], (kh, kw)[a], attrs[f"stride_{n}"], 1, shapes[2][1 + a])[0]
                     for a, n in enumerate("hw"))
    positions, pixels, gathers = rows * columns, out[1] * out[2], rows * out[2]
    found = {"macs": shapes[2][1] * shapes[2][2] * kh * kw * inputs * outputs, "outputs": pixels * outputs,
             "taps": positions * inputs * outputs, "pixels": pixels, "calls": 1, "gathers": gathers,
             "runs": gathers * outputs, "out_tail": positions * inputs * _tail(outputs),
             "tail_outputs": pixels * _tail(outputs), "ragged": positions * _blocks(outputs),
             "strided": positions * outputs}
    return tuple(found.get(name, 0) for name in FEATURES)


def _border(attrs: Mapping[str, Any], x: tuple, kernel: tuple[int, int], out: tuple) -> tuple[int, int]:
    """(pixels whose window leaves the input, kernel positions outside of it over all pixels)."""
    if attrs["padding"] == "VALID":
        return 0, 0
    inside, whole = zip(*(_inside(x[1 + a], kernel[a], attrs[f"stride_{n}"], attrs[f"dilation_{n}"], out[1 + a])
                          for a, n in enumerate("hw")))
    pixels = out[1] * out[2]
    return pixels - whole[0] * whole[1], pixels * kernel[0] * kernel[1] - inside[0] * inside[1]


@lru_cache(maxsize=4096)
def _inside(size: int, k: int, stride: int, dilation: int, count: int) -> tuple[int, int]:
    """(kernel positions inside the input, over one axis; outputs whose positions all are)."""
    before = max((count - 1) * stride + (k - 1) * dilation + 1 - size, 0) // 2
    counts = [sum(0 <= o * stride - before + t * dilation < size for t in range(k)) for o in range(count)]
    return sum(counts), sum(c == k for c in counts)


def _tail(count: Any, block: int = LANES) -> int:
    return count % block if isinstance(count, int) else 0


def _blocks(count: Any, block: int = LANES) -> Any:
    return -(-count // block) if isinstance(count, int) else count / block


def _narrow(count: Any) -> int:
    return int(count < LANES) if isinstance(count, int) else 0


def _odd(count: Any) -> int:
    return count % 2 if isinstance(count, int) else 0


def _pad(count: Any, block: int = LANES) -> int:
    return -count % block if isinstance(count, int) else 0


def _product(values: Sequence) -> Any:
    result: Any = 1
    for value in values:
        result = result * value
    return result
