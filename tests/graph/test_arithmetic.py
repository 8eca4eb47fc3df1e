# SPDX-License-Identifier: Apache-2.0
"""The fixed-point arithmetic against its definitions in integers and fractions, at ties and at the ends of ranges."""
from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcunas.graph.arithmetic import (
    WIDE_REACH,
    activation_range,
    clamp_int8,
    doubling_high_multiply,
    quantize_multiplier,
    rounding_shift_right,
    saturated,
    scale_int32,
    scale_int64,
    short_multiplier,
    wrap32,
)

LOW, HIGH = -(1 << 31), (1 << 31) - 1
int32 = st.one_of(st.integers(LOW, HIGH), st.sampled_from((LOW, LOW + 1, -(1 << 30), -1, 0, 1, 1 << 30, HIGH - 1, HIGH)))


def away(value: Fraction) -> int:
    """Nearest integer, ties away from zero."""
    return math.floor(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1)


@given(int32, int32)
@example(LOW, LOW)
@example(1 << 30, 1)            # 1/2: up
@example(-(1 << 30), 1)         # -1/2: up, to 0
@example(3 << 29, 1 << 1)
@example(-(3 << 30), 1)
@example(-((1 << 30) + 1), 1)   # just below -1/2: down
def test_the_high_multiply_rounds_ties_up_and_saturates_once(a: int, b: int) -> None:
    wanted = min(math.floor(Fraction(2 * a * b, 1 << 32) + Fraction(1, 2)), HIGH)
    assert doubling_high_multiply(a, b) == wanted


@given(int32, st.integers(0, 31))
@example(3, 1)
@example(-3, 1)
@example(-1, 1)
@example(1, 1)
@example(-2, 2)
@example(LOW, 31)
@example(7, 0)
def test_the_shift_rounds_ties_away_from_zero(x: int, exponent: int) -> None:
    assert rounding_shift_right(x, exponent) == away(Fraction(x, 1 << exponent))


@given(st.integers(-(1 << 62), 1 << 62))
@example(HIGH)
@example(HIGH + 1)
@example(LOW)
@example(LOW - 1)
@example((1 << 32) + 5)
def test_wrapping_keeps_the_low_32_bits(x: int) -> None:
    found = int(wrap32(np.int64(x)))
    assert LOW <= found <= HIGH and (found - x) % (1 << 32) == 0


@given(st.integers(-(1 << 20), 1 << 20), st.integers(1 << 30, HIGH), st.integers(-31, 10))
@example(-5, 1 << 30, 1)
@example(5, 1 << 30, -1)
@example(1 << 20, HIGH, 10)
def test_scaling_shifts_left_before_and_right_after(x: int, mantissa: int, shift: int) -> None:
    high = math.floor(Fraction(2 * (x << max(shift, 0)) * mantissa, 1 << 32) + Fraction(1, 2))
    assert scale_int32(np.array([x]), mantissa, shift) == away(Fraction(high, 1 << max(-shift, 0)))


def test_arrays_of_narrow_integers_do_not_overflow_on_the_way() -> None:
    x, mantissa, shift = np.array([HIGH, LOW], np.int32), np.array([1 << 30, HIGH], np.int32), np.array([1, -31], np.int32)
    assert wrap32(x).tolist() == [HIGH, LOW] and wrap32(x).dtype == np.int64
    assert doubling_high_multiply(x, mantissa).tolist() == [1 << 30, -HIGH]
    assert rounding_shift_right(x, np.abs(shift)).tolist() == [1 << 30, -1]
    assert scale_int32(x, mantissa, shift).tolist() == [-1, -1]         # shifted left, 2^32 - 2 wraps to -2
    assert scale_int32(np.array([100, -128], np.int8), mantissa, np.array([3, 3], np.int8)).tolist() == [400, -1024]
    assert scale_int64(x, mantissa, np.array([0, -31], np.int32)).tolist() == [1 << 30, -1]


@given(st.integers(1 - WIDE_REACH, WIDE_REACH - 1), st.integers(1 << 30, HIGH), st.integers(-31, 7))
@example(1, 1 << 30, 0)             # a half: up
@example(-1, 1 << 30, 0)            # and towards zero
@example(-3, 1 << 30, -1)
@example(WIDE_REACH - 1, HIGH, 7)
@example(1 - WIDE_REACH, HIGH, 7)
def test_wide_sums_are_scaled_by_fifteen_bits_and_rounded_once(x: int, mantissa: int, shift: int) -> None:
    exact = Fraction(x * int(short_multiplier(mantissa))) * Fraction(2) ** (shift - 15)
    found = int(scale_int64(np.array([x]), mantissa, shift)[0])
    assert LOW <= found <= HIGH and (found - math.floor(exact + Fraction(1, 2))) % (1 << 32) == 0


@pytest.mark.parametrize(("mantissa", "wanted"), [
    (1 << 30, 1 << 14), ((1 << 30) + (1 << 15) - 1, 1 << 14), ((1 << 30) + (1 << 15), (1 << 14) + 1),
    (0x7FFEFFFF, 0x7FFF), (0x7FFF0000 - 1, 0x7FFF), (0x7FFF0000, 0x7FFF), (HIGH, 0x7FFF),
])
def test_a_short_mantissa_is_rounded_and_stays_below_one(mantissa: int, wanted: int) -> None:
    assert short_multiplier(mantissa) == wanted and short_multiplier(np.array([mantissa], np.int32)).tolist() == [wanted]


def test_saturating_keeps_what_the_type_holds() -> None:
    found = saturated(np.array([-40000, -32768, 5, 32767, 40000]), "int16")
    assert found.dtype == np.int16 and found.tolist() == [-32768, -32768, 5, 32767, 32767]


@given(st.floats(2.0**-31, 2.0**20))
@example(1.0)
@example(0.5)
@example(math.nextafter(1.0, 0.0))       # its mantissa rounds up to the next power of two
@example(2.0**-31)
def test_a_multiplier_is_its_mantissa_and_shift(real: float) -> None:
    mantissa, shift = quantize_multiplier(real)
    assert type(mantissa) is int and type(shift) is int
    assert 1 << 30 <= mantissa < 1 << 31
    assert abs(Fraction(mantissa) * Fraction(2) ** (shift - 31) - Fraction(real)) <= Fraction(2) ** (shift - 32)


@pytest.mark.parametrize(("real", "wanted"), [
    (0.0, (0, 0)), (1.0, (1 << 30, 1)), (0.5, (1 << 30, 0)), (0.75, (3 << 29, 0)), (math.nextafter(1.0, 0.0), (1 << 30, 1)),
    (2.0**-32, (1 << 30, -31)), (2.0**-33, (0, 0)), (2.0**-40, (0, 0)), (3.0, (3 << 29, 2)),
])
def test_multipliers_of_note(real: float, wanted: tuple[int, int]) -> None:
    assert quantize_multiplier(real) == wanted


@pytest.mark.parametrize(("activation", "scale", "zero_point", "wanted"), [
    ("NONE", 0.1, 3, (-128, 127)), ("RELU", 0.1, 3, (3, 127)), ("RELU", 0.1, -128, (-128, 127)),
    ("RELU6", 0.1, 3, (3, 63)), ("RELU6", 0.1, -128, (-128, -68)), ("RELU6", 0.01, 0, (0, 127)),
    ("RELU_N1_TO_1", 0.1, 3, (-7, 13)), ("RELU_N1_TO_1", 0.001, 0, (-128, 127)), ("RELU_N1_TO_1", 2.0, 0, (-1, 1)),
    ("RELU6", 4.0, 0, (0, 2)),              # 1.5 steps, away from zero
])
def test_an_activation_is_a_range(activation: str, scale: float, zero_point: int, wanted: tuple[int, int]) -> None:
    assert activation_range(activation, scale, zero_point) == wanted


def test_an_activation_on_16_bits_ends_where_they_do() -> None:
    assert activation_range("NONE", 1e-3, 0, "int16") == (-32768, 32767)
    assert activation_range("RELU6", 1e-3, 0, "int16") == (0, 6000)


def test_clamping_is_to_int8_or_closer() -> None:
    found = clamp_int8(np.array([-1000, -129, -128, 0, 127, 128, 1000]))
    assert found.dtype == np.int8 and found.tolist() == [-128, -128, -128, 0, 127, 127, 127]
    assert clamp_int8(np.array([-9, 0, 9]), -3, 5).tolist() == [-3, 0, 5]
