# SPDX-License-Identifier: Apache-2.0
"""How far a sliding-window kernel's output must stay from its dying input when both share memory.

Kernels compute output pixels in address order, upwards or downwards. A byte may be written once no window that is still
to be computed reads it: the least distance is the largest lead of the writes over the reads, taken over all pixels.
"""
from __future__ import annotations

from functools import lru_cache

import numpy as np

from mcunas.compiler.lower import Overlap
from mcunas.graph.integer_params import Window


def window_overlap(x: tuple[int, ...], y: tuple[int, ...], win: Window, by_channel: bool = False,
                   block: int = 1) -> Overlap:
    """Distances for input shape x and output shape y (NHWC, batch 1).

    by_channel: each output byte is written right after the reads of its own channel (depthwise, pools). block: pixels
    that are read together before the first of them is written.
    """
    first, last = pixel_reads(x[1:3], y[1:3], win)
    first_read, last_read = first * x[3], last * x[3]
    pixel = np.arange(first.size, dtype=np.int64)
    head, tail = pixel // block * block, np.minimum(pixel // block * block + block, first.size)
    if by_channel and block == 1:
        up = pixel * y[3] - first_read
    else:
        up = tail * y[3] - first_read[head]
    down = last_read[tail - 1] - head * y[3]
    return Overlap(int(up.max()), int(down.max()))


@lru_cache(maxsize=1024)
def pixel_reads(x: tuple[int, int], y: tuple[int, int], win: Window) -> tuple[np.ndarray, np.ndarray]:
    """(lowest input pixel that is read from each output pixel on, end of the highest that is read up to it), row-major.

    x, y: rows and columns of input and output.
    """
    start, end = _reads((1, *x, 1), (1, *y, 1), win)
    return np.minimum.accumulate(start[::-1])[::-1], np.maximum.accumulate(end)


def _reads(x: tuple[int, ...], y: tuple[int, ...], win: Window) -> tuple[np.ndarray, np.ndarray]:
    """(first byte, end of the last byte) that each output pixel's window reads, row-major."""
    (top, bottom), (left, right) = (_taps(x[1 + a], y[1 + a], win, a) for a in (0, 1))
    start = (top[:, None] * x[2] + left[None, :]) * x[3]
    end = ((bottom[:, None] - 1) * x[2] + right[None, :]) * x[3]
    return start.ravel(), end.ravel()


def _taps(size: int, count: int, win: Window, axis: int) -> tuple[np.ndarray, np.ndarray]:
    origin = np.arange(count, dtype=np.int64) * win.stride[axis] - win.pad[axis]
    reach = (win.kernel[axis] - 1) * win.dilation[axis] + 1
    return np.clip(origin, 0, size - 1), np.clip(origin + reach, 1, size)
