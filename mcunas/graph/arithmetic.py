# SPDX-License-Identifier: Apache-2.0
"""TFLite Micro's fixed-point arithmetic in numpy: double rounding, gemmlowp's semantics.

A real multiplier is stored as a Q31 mantissa and a power of two. Scaling rounds twice: a saturating rounding doubling
high multiply (ties up), then a rounding right shift (ties away from zero). pruning-methods.md section 9.
"""
from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

INT8_MIN, INT8_MAX = -128, 127
WIDE_REACH = 1 << 47            # beyond it an int64 accumulator is not scaled
_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1


@lru_cache(maxsize=1 << 16)
def quantize_multiplier(real: float) -> tuple[int, int]:
    """A positive real multiplier as (mantissa in [2^30, 2^31), shift): real ~ mantissa * 2^(shift - 31)."""
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    mantissa = _round_half_away(fraction * (1 << 31))
    if mantissa == 1 << 31:
        mantissa, shift = mantissa // 2, shift + 1
    if shift < -31:
        return 0, 0
    return mantissa, shift


def _round_half_away(value: Any) -> int:
    """value: float, or np.float32 where TFLite rounds one."""
    return int(math.floor(abs(value) + 0.5)) * (1 if value >= 0 else -1)


def doubling_high_multiply(a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:
    """SRDHM: round(a * b / 2^31) of int32 values, ties up, saturated for the single overflow. int64 in and out."""
    product = np.multiply(a, b, dtype=np.int64)
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    total = product + nudge
    quotient = np.where(total >= 0, total >> 31, -((-total) >> 31))     # C's division truncates towards zero
    return np.minimum(quotient, _INT32_MAX)


def rounding_shift_right(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """x / 2^exponent rounded to nearest, ties away from zero (gemmlowp's RoundingDivideByPOT)."""
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def wrap32(x: np.ndarray) -> np.ndarray:
    """Two's-complement int32 of int64 values, kept as int64."""
    return ((np.asarray(x, np.int64) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


def scale_int32(x: np.ndarray, mantissa: np.ndarray | int, shift: np.ndarray | int) -> np.ndarray:
    """x times the real multiplier (mantissa, shift) with double rounding; broadcasts. int64 in int32 range."""
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    return rounding_shift_right(doubling_high_multiply(wrap32(np.asarray(x, np.int64) << left), mantissa), right)


def scale_int64(x: np.ndarray, mantissa: np.ndarray | int, shift: np.ndarray | int) -> np.ndarray:
    """x, |x| < WIDE_REACH, times the real multiplier (mantissa, shift), shift -31..7, as TFLite scales the sums of
    int16 x int8: by 15 bits of the mantissa, rounded once, ties up; modulo 2^32."""
    short = short_multiplier(mantissa)
    right = 15 - shift
    return wrap32((x * short + (np.int64(1) << (right - 1))) >> right)


def short_multiplier(mantissa: np.ndarray | int) -> np.ndarray:
    """The mantissa in 15 bits."""
    whole = np.asarray(mantissa, np.int64)
    return np.where(whole < 0x7FFF0000, (whole + (1 << 15)) >> 16, 0x7FFF)


def clamp_int8(x: np.ndarray, low: int = INT8_MIN, high: int = INT8_MAX) -> np.ndarray:
    return np.clip(x, low, high).astype(np.int8)


def saturated(x: np.ndarray, dtype: str) -> np.ndarray:
    """x limited to what the integer type holds."""
    return np.clip(x, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def activation_range(activation: str, scale: float, zero_point: int, dtype: str = "int8") -> tuple[int, int]:
    """Clamp limits of a fused activation on int8 or int16. TFLite: CalculateActivationRangeQuantized."""
    def quantize(real: float) -> int:
        return zero_point + _round_half_away(np.float32(real) / np.float32(scale))

    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    if activation in ("RELU", "RELU6"):
        low = max(low, quantize(0.0))
    if activation == "RELU6":
        high = min(high, quantize(6.0))
    if activation == "RELU_N1_TO_1":
        low, high = max(low, quantize(-1.0)), min(high, quantize(1.0))
    return low, high
