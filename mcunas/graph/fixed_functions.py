# SPDX-License-Identifier: Apache-2.0
"""exp, 1/(1+x), logistic and tanh in 32-bit fixed point, as gemmlowp computes them for TFLite Micro's int8 kernels.

Values are raw integers in int64 arrays; "Qi" means i integer bits and 31 - i fractional bits. exp multiplies factors
exp(-2^k) for the set bits of the argument; the reciprocals take three Newton-Raphson steps. Used by the reference of
SOFTMAX and to build tables, so it is plain rather than fast.
"""
from __future__ import annotations

import numpy as np

from mcunas.graph.arithmetic import doubling_high_multiply, rounding_shift_right, wrap32

ONE = (1 << 31) - 1                       # the largest Q0 value stands for 1
_EXP_FACTORS = ((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401),
                (4, 242))                 # (k, exp(-2^k) in Q0)
_EXP_MINUS_EIGHTH, _THIRD = 1895147668, 715827883           # Q0
_48_OVER_17, _MINUS_32_OVER_17, _ONE_Q2 = 1515870810, -1010580540, 1 << 29      # Q2


def shift_left_saturating(x: np.ndarray, bits: int) -> np.ndarray:
    return np.clip(x << bits, -(1 << 31), (1 << 31) - 1)


def exp_of_negative(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp(a) in Q0 for a <= 0 in Q`integer_bits` (at most 5)."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    low = (a & (quarter - 1)) - quarter                     # a modulo 1/4, in [-1/4, 0)
    x = shift_left_saturating(low, integer_bits) + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3, x4 = doubling_high_multiply(x2, x), doubling_high_multiply(x2, x2)
    tail = rounding_shift_right(doubling_high_multiply(rounding_shift_right(x4, 2) + x3, _THIRD) + x2, 1)
    result = _EXP_MINUS_EIGHTH + doubling_high_multiply(_EXP_MINUS_EIGHTH, x + tail)
    rest = wrap32(low - a)
    for exponent, factor in _EXP_FACTORS:
        if exponent < integer_bits:
            bit = (rest >> (fraction_bits + exponent)) & 1
            result = np.where(bit == 1, doubling_high_multiply(result, factor), result)
    return np.where(a == 0, ONE, result)


def reciprocal(a: np.ndarray) -> np.ndarray:
    """2 / (1 + a) in Q2 for a in [0, 1], Q0."""
    half = (a + ONE + 1) >> 1
    x = _48_OVER_17 + doubling_high_multiply(half, _MINUS_32_OVER_17)
    for _ in range(3):
        error = _ONE_Q2 - doubling_high_multiply(half, x)
        x = wrap32(x + shift_left_saturating(doubling_high_multiply(x, error), 2))
    return x


def logistic(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """1 / (1 + exp(-a)) in Q0."""
    positive = shift_left_saturating(reciprocal(exp_of_negative(-np.abs(a), integer_bits)), 1)
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, ONE - positive))


def tanh(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """tanh(a) in Q0; exp takes 2a, which is the same raw number with one integer bit more."""
    magnitude = shift_left_saturating(reciprocal(exp_of_negative(-np.abs(a), integer_bits + 1)) - _ONE_Q2, 2)
    return np.where(a == 0, 0, np.where(a > 0, magnitude, -magnitude))
