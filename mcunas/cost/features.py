# SPDX-License-Identifier: Apache-2.0
"""What an op's instruction count depends on, as plain arithmetic: works on integers and on differentiable widths.

One row per op: multiply-accumulates, outputs, taps gathered (pixels x kernel x input channels: widening and copying),
pixels, one for the call. A core's table gives instructions per unit for each kernel; every term is linear or bilinear
in the widths, which is what a core without SIMD does exactly and a DSP core does up to its tails
(pruning-methods.md section 1.4, Latency).
"""
from __future__ import annotations

from typing import Any, Mapping, Sequence

FEATURES = ("macs", "outputs", "taps", "pixels", "calls")


def op_features(kind: str, attrs: Mapping[str, Any], shapes: Sequence[tuple], out: tuple) -> tuple:
    """FEATURES of one op. shapes: of its inputs (() when absent), out: of its first output; NHWC."""
    if kind in ("CONV_2D", "TRANSPOSE_CONV"):
        outputs, kh, kw, inputs = shapes[1]
        # a transposed convolution visits input pixels, a convolution output pixels
        pixels = shapes[2][1] * shapes[2][2] if kind == "TRANSPOSE_CONV" else out[1] * out[2]
        taps = pixels * kh * kw * inputs
        return taps * outputs, out[1] * out[2] * outputs, taps, pixels, 1
    if kind == "DEPTHWISE_CONV_2D":
        _, kh, kw, channels = shapes[1]
        pixels = out[1] * out[2]
        taps = pixels * kh * kw * channels
        return taps, pixels * channels, taps, pixels, 1
    if kind == "FULLY_CONNECTED":
        outputs, inputs = shapes[1]
        return inputs * outputs, outputs, inputs, 1, 1
    outputs, pixels = _product(out), _product(out[:-1])
    if kind in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        return 0, outputs, outputs * attrs["filter_h"] * attrs["filter_w"], pixels, 1
    if kind == "MEAN":
        return 0, outputs, _product(shapes[0]), pixels, 1
    return 0, outputs, 0, pixels, 1


def _product(values: Sequence) -> Any:
    result: Any = 1
    for value in values:
        result = result * value
    return result
