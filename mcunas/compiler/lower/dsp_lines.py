# SPDX-License-Identifier: Apache-2.0
"""Requantization by lines: one multiplication in place of TFLite Micro's two roundings, proven on every accumulator.

Where a fused activation keeps outputs at or above the zero point, output byte k begins at an accumulator T_k that follows
from the two roundings (ties up on that side). Any line a * slope + rounding with the same T_k gives the same bytes, where
a = accumulator * 2^LINE_SHIFT + offset and the result has LINE_POINT bits behind the point. The line through the real
multiplier passes between most T_k and T_k - 1 with room to spare; where it does not, neighbouring slopes are tried.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcunas.graph.integer_params import Requant

LINE_SHIFT, LINE_POINT = 10, 12            # MN_LINE_SHIFT and MN_LINE_POINT in firmware/kernels/mn_dsp.h
_INPUT_REACH = 128                         # largest magnitude of an input byte
_FLAT = LINE_SHIFT + 12                    # right shifts from here on leave all accumulators that fit at the zero point
_SLOPES = (0, *(sign * d for d in (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 130, 200, 300, 450) for sign in (-1, 1)))


@dataclass(frozen=True, eq=False)
class Lines:
    """int64 (channels,): offset holds the folded bias."""

    offset: np.ndarray
    slope: np.ndarray


def lines(p: Requant, weights: np.ndarray, bias: np.ndarray) -> Lines | None:
    """For weights (channels, inputs) and folded biases (channels,); None where some channel has no such line."""
    multiplier, right = (np.broadcast_to(v, bias.shape).astype(np.int64) for v in (p.multiplier, -p.shift))
    reach = np.abs(weights.astype(np.int64)).sum(axis=1) * _INPUT_REACH
    flat = (multiplier == 0) | (right >= _FLAT)
    multiplier, right = np.where(flat, 1 << 30, multiplier), np.where(flat, _FLAT, right)
    if (p.low < p.output_zero_point or right.min() < 1
            or (reach + np.abs(bias) + 2).max() >= 1 << (31 - LINE_SHIFT)):
        return None
    begins = _thresholds(p, multiplier, right)
    above = (begins <= (bias + reach)[:, None]) & ~flat[:, None]          # thresholds that inputs can pass
    below = (begins > (bias - reach)[:, None]) & ~flat[:, None]
    exponent = 1 + LINE_POINT - LINE_SHIFT - right
    slope = np.where(exponent >= 0, multiplier << np.maximum(exponent, 0),
                     (multiplier + (1 << np.maximum(-exponent - 1, 0))) >> np.maximum(-exponent, 0))
    if slope.max() + max(_SLOPES) >= 1 << 31:
        return None
    levels = (2 * np.arange(1, p.high - p.output_zero_point + 1, dtype=np.int64) - 1) << (LINE_POINT - 1 + 32)
    offset, left = np.zeros_like(bias), np.arange(bias.size)
    for change in _SLOPES:
        tried = np.maximum(slope[left] + change, 1)
        least = -(-levels // tried[:, None])                              # smallest a that gives the output
        low = np.where(above[left], least - (begins[left] << LINE_SHIFT), -(1 << 40)).max(axis=1, initial=-(1 << 40))
        high = np.where(below[left], least - 1 - (begins[left] - 1 << LINE_SHIFT), 1 << 40).min(axis=1, initial=1 << 40)
        # A channel without thresholds has both bounds far away.
        found, chosen = low <= high, np.clip(0, low, high)
        offset[left[found]], slope[left[found]] = chosen[found], tried[found]
        left = left[~found]
        if left.size == 0:
            break
    slope = np.where(flat, 0, slope)
    fits = np.abs(offset) < 1 << (LINE_SHIFT + 1)
    return Lines((bias << LINE_SHIFT) + offset, slope) if left.size == 0 and fits.all() else None


def _thresholds(p: Requant, multiplier: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64 (channels, outputs above the zero point): the least accumulator that gives each output or more."""
    outputs = np.arange(1, p.high - p.output_zero_point + 1, dtype=np.int64)
    high_words = (2 * outputs - 1)[None] << (right - 1)[:, None]         # of SRDHM: half an output below
    return -(-((2 * high_words - 1) << 30) // multiplier[:, None])
