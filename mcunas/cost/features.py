# SPDX-License-Identifier: Apache-2.0
"""What an op's instruction count depends on, as plain arithmetic: works on integers and on differentiable widths.

One row per op: multiply-accumulates, outputs, taps gathered (pixels x kernel x input channels: widening and copying),
pixels, one for the call, runs of taps (kernel rows x outputs), kernel positions of outputs whose window crosses the
edge, multiply-accumulates on padding, and those outside of whole blocks. A core's table gives instructions per
unit for each kernel; but for the tails, every term is linear or bilinear in the widths (pruning-methods.md section 1.4,
Latency).
"""
from __future__ import annotations

from typing import Any, Mapping, Sequence

FEATURES = ("macs", "outputs", "taps", "pixels", "calls", "runs", "edge", "border", "out_tail", "depth_tail")
LANES = 4           # output channels, and depth values, that the kernels handle at once; the rest is dearer


def op_features(kind: str, attrs: Mapping[str, Any], shapes: Sequence[tuple], out: tuple) -> tuple:
    """FEATURES of one op. shapes: of its inputs (() when absent), out: of its first output; NHWC.

    The tails are multiply-accumulates in the last, incomplete block of LANES; they are counted at integer widths only,
    since a staircase has no useful slope.
    """
    if kind in ("CONV_2D", "TRANSPOSE_CONV"):
        outputs, kh, kw, inputs = shapes[1]
        # a transposed convolution visits input pixels, a convolution output pixels
        pixels = shapes[2][1] * shapes[2][2] if kind == "TRANSPOSE_CONV" else out[1] * out[2]
        crossing, outside = _border(attrs, shapes[0], (kh, kw), out) if kind == "CONV_2D" else (0, 0)
        taps = pixels * kh * kw * inputs
        return (taps * outputs, out[1] * out[2] * outputs, taps, pixels, 1, pixels * kh * outputs,
                crossing * kh * kw * outputs, outside * inputs * outputs, taps * _tail(outputs),
                pixels * outputs * _tail(kh * kw * inputs))
    if kind == "DEPTHWISE_CONV_2D":
        _, kh, kw, channels = shapes[1]
        crossing, outside = _border(attrs, shapes[0], (kh, kw), out)
        pixels = out[1] * out[2]
        taps = pixels * kh * kw * channels
        return (taps, pixels * channels, taps, pixels, 1, pixels * kh * kw, crossing * kh * kw, outside * channels,
                kh * kw * pixels * _tail(channels), 0)
    if kind == "FULLY_CONNECTED":
        outputs, inputs = shapes[1]
        return inputs * outputs, outputs, inputs, 1, 1, outputs, 0, 0, inputs * _tail(outputs), outputs * _tail(inputs)
    outputs, pixels, taps = _product(out), _product(out[:-1]), 0
    if kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        taps = outputs * attrs["filter_h"] * attrs["filter_w"]
    elif kind == "MEAN":
        taps = _product(shapes[0])
    return 0, outputs, taps, pixels, 1, 0, 0, 0, 0, 0


def _border(attrs: Mapping[str, Any], x: tuple, kernel: tuple[int, int], out: tuple) -> tuple[int, int]:
    """(pixels whose window leaves the input, kernel positions outside of it over all pixels)."""
    if attrs["padding"] == "VALID":
        return 0, 0
    inside, whole = [], []
    for axis, name in ((0, "h"), (1, "w")):
        size, k, stride, dilation = x[1 + axis], kernel[axis], attrs[f"stride_{name}"], attrs[f"dilation_{name}"]
        before = max((out[1 + axis] - 1) * stride + (k - 1) * dilation + 1 - size, 0) // 2
        counts = [sum(0 <= o * stride - before + t * dilation < size for t in range(k)) for o in range(out[1 + axis])]
        inside.append(sum(counts))
        whole.append(sum(c == k for c in counts))
    pixels = out[1] * out[2]
    return pixels - whole[0] * whole[1], pixels * kernel[0] * kernel[1] - inside[0] * inside[1]


def _tail(count: Any) -> int:
    return count % LANES if isinstance(count, int) else 0


def _product(values: Sequence) -> Any:
    result: Any = 1
    for value in values:
        result = result * value
    return result
