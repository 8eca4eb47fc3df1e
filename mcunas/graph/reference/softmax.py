# SPDX-License-Identifier: Apache-2.0
"""Reference of SOFTMAX over the last axis, in fixed point.

exp() of a non-positive Q5.26 number: a fourth-order polynomial on [-1/4, 0), then one constant factor exp(-2^k) per
set bit of the remainder. The sum is kept in Q12.19 and inverted with three Newton-Raphson steps. (gemmlowp's method;
TFLite Micro stops with a fatal error when a row's sum reaches 512, where every probability is below 1/2 LSB of a
uniform row; here such values become -128.)
"""
from __future__ import annotations

import numpy as np

from mcunas.graph.arithmetic import clamp_int8, doubling_high_multiply, rounding_shift_right, wrap32
from mcunas.graph.integer_params import softmax as softmax_params
from mcunas.graph.ir import Graph, Op
from mcunas.graph.reference import Values, executes

_ONE = (1 << 31) - 1                                  # 1.0 in Q0.31, as near as int32 comes
_EXP_MINUS_EIGHTH = round(np.exp(-1 / 8) * (1 << 31))
_THIRD = round((1 << 31) / 3)
# exp(-2^k) in Q0.31 for k = -2 .. 4
_EXP_POWERS = tuple(round(np.exp(-2.0 ** k) * (1 << 31)) for k in range(-2, 5))
_48_OVER_17 = round(48 / 17 * (1 << 29))              # Q2.29
_MINUS_32_OVER_17 = round(-32 / 17 * (1 << 29))


def _saturating_left(x: np.ndarray, bits: int) -> np.ndarray:
    return np.clip(x << bits, -(1 << 31), _ONE)


def _exp_on_interval(a: np.ndarray) -> np.ndarray:
    """exp(a) for a in [-1/4, 0), Q0.31: the Taylor series about -1/8."""
    x = a + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3, x4 = doubling_high_multiply(x2, x), doubling_high_multiply(x2, x2)
    tail = doubling_high_multiply(rounding_shift_right(x4, 2) + x3, _THIRD) + x2
    return _EXP_MINUS_EIGHTH + doubling_high_multiply(_EXP_MINUS_EIGHTH, x + rounding_shift_right(tail, 1))


def exp_on_negative_values(a: np.ndarray) -> np.ndarray:
    """exp(a) for a <= 0: Q5.26 in, Q0.31 out."""
    a = np.asarray(a, np.int64)
    quarter = 1 << 24
    low = (a & (quarter - 1)) - quarter
    result = _exp_on_interval(_saturating_left(low, 5))
    remainder = low - a
    for k, factor in enumerate(_EXP_POWERS):
        result = np.where(remainder >> (24 + k) & 1, doubling_high_multiply(result, factor), result)
    return np.where(a == 0, _ONE, result)


def one_over_one_plus_x(a: np.ndarray) -> np.ndarray:
    """1 / (1 + a) for a in [0, 1), Q0.31 in and out."""
    half = (np.asarray(a, np.int64) + (1 << 31)) >> 1
    x = _48_OVER_17 + doubling_high_multiply(half, _MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 29) - doubling_high_multiply(half, x)
        x = wrap32(x + _saturating_left(doubling_high_multiply(x, error), 2))
    return _saturating_left(x, 1)


@executes("SOFTMAX")
def softmax(graph: Graph, op: Op, values: Values) -> list[np.ndarray]:
    p = softmax_params(graph, op)
    rows = values[0].reshape(-1, values[0].shape[-1]).astype(np.int64)
    difference = rows - rows.max(axis=1, keepdims=True)
    kept = difference >= p.diff_min
    exps = exp_on_negative_values(doubling_high_multiply(np.where(kept, difference, 0) << p.shift, p.multiplier))
    sums = np.where(kept, rounding_shift_right(exps, 12), 0).sum(axis=1, keepdims=True)
    headroom = 32 - np.vectorize(int.bit_length, otypes=[np.int64])(sums)
    scale = one_over_one_plus_x((sums << headroom) - (1 << 31))
    out = rounding_shift_right(doubling_high_multiply(scale, exps), 12 - headroom + 23) - 128
    return [clamp_int8(np.where(kept, out, -128)).reshape(values[0].shape)]
