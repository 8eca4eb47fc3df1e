# SPDX-License-Identifier: Apache-2.0
"""Source positions of the RESIZE ops along one axis, in TFLite Micro's arithmetic.

Nearest neighbour positions come from float32 products, so they are kept as tables. Bilinear positions are integers in
1/1024 pixel: position(i) = i * step + start.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcunas.graph.ir import Op

FRACTION = 1 << 10              # positions and weights of the bilinear resize count 1/1024 pixel


@dataclass(frozen=True)
class BilinearAxis:
    """position(i) = max(0, i * step + start), in 1/1024 pixel of the input."""

    step: int
    start: int


def nearest_sources(op: Op, size_in: int, size_out: int) -> np.ndarray:
    """Input index for each output index, int64 (size_out,)."""
    align, half = op.attrs["align_corners"], op.attrs["half_pixel_centers"]
    scale = (np.float32(size_in - 1) / np.float32(size_out - 1) if align and size_out > 1
             else np.float32(size_in) / np.float32(size_out))
    position = (np.arange(size_out, dtype=np.float32) + np.float32(0.5 if half else 0.0)) * scale
    if align:                                               # round half away from zero; float32 to double is exact
        position = position.astype(np.float64) + 0.5
    return np.minimum(np.floor(position).astype(np.int64), size_in - 1)


def bilinear_axis(op: Op, size_in: int, size_out: int) -> BilinearAxis:
    """Raises ValueError where rounding of the step carries TFLite Micro past the end of the input."""
    if op.attrs["align_corners"] and op.attrs["half_pixel_centers"]:
        raise ValueError("align_corners and half_pixel_centers exclude each other")
    corner = 1 if op.attrs["align_corners"] and size_out > 1 else 0         # first and last pixels coincide
    span_in, span_out = size_in - corner, size_out - corner
    step = (FRACTION * span_in + span_out // 2) // span_out
    start = step // 2 - FRACTION // 2 if op.attrs["half_pixel_centers"] else 0
    last = (size_out - 1) * step + start
    if last // FRACTION >= size_in or last >= 1 << 31:
        raise ValueError(f"enlarging {size_in} to {size_out} pixels reads past the input in TFLite Micro")
    return BilinearAxis(step, start)
