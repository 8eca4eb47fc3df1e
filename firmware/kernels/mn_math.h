// SPDX-License-Identifier: Apache-2.0
// Fixed-point arithmetic shared by the int8 kernels: TFLite Micro's double rounding, free of undefined behaviour.
//
// A real multiplier is a Q31 mantissa and a power of two: value * mantissa * 2^(shift - 31). Sums that may leave int32
// wrap modulo 2^32, as they do on every target; so accumulators are uint32_t and constants may be folded into them.
// Right shifts of negative numbers are arithmetic (implementation-defined in C11; GCC and Clang define it so).
#ifndef MN_MATH_H
#define MN_MATH_H

#include <stdint.h>

// round(a * b / 2^31), ties up. Not defined for a = b = INT32_MIN, which no mantissa can cause.
static inline int32_t mn_srdhm(int32_t a, int32_t b)
{
#if defined(__ARM_ARCH_6M__)
  // No long multiplication: by halves, so that no sum leaves 32 bits.
  const int32_t a_high = a >> 16, a_low = a & 0xffff, b_high = b >> 16, b_low = b & 0xffff;
  const int32_t first = a_high * b_low + (int32_t)((uint32_t)a_low * (uint32_t)b_low >> 16);
  const int32_t second = a_low * b_high + (first & 0xffff);
  const uint32_t high = (uint32_t)(a_high * b_high + (first >> 16) + (second >> 16));

  return (int32_t)(2 * high + (uint32_t)(((second & 0xffff) + 0x4000) >> 15));
#else
  return (int32_t)(((int64_t)a * b + (INT32_C(1) << 30)) >> 31);
#endif
}

// x / 2^exponent to nearest, ties away from zero; exponent 0..31, x not INT32_MIN. The sign is added first, so that
// ties below zero round down; the rounding bit is added before the last shift by one, where it cannot overflow.
static inline int32_t mn_rounding_shift(int32_t x, int32_t exponent)
{
  return exponent == 0 ? x : (((x + (x >> 31)) >> (exponent - 1)) + 1) >> 1;
}

// x * 2^exponent modulo 2^32; exponent 0..31.
static inline int32_t mn_shift_left(int32_t x, int32_t exponent)
{
  return (int32_t)((uint32_t)x << exponent);
}

// x times the real multiplier (mantissa >= 0, shift), rounded twice; shift -31..30, positive ones come first and wrap.
static inline int32_t mn_scale(int32_t x, int32_t mantissa, int32_t shift)
{
  if (shift >= 0) {
    return mn_srdhm(mn_shift_left(x, shift), mantissa);
  }
  return mn_rounding_shift(mn_srdhm(x, mantissa), -shift);
}

// a + b modulo 2^32.
static inline int32_t mn_add_wrap(int32_t a, int32_t b)
{
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

// x limited to low..high, which lie within int8.
static inline int8_t mn_clamp_s8(int32_t x, int32_t low, int32_t high)
{
  return (int8_t)(x < low ? low : x > high ? high : x);
}

// A layer's accumulator to its output byte.
static inline int8_t mn_requantize_s8(uint32_t acc, int32_t mantissa, int32_t shift, int32_t zero_point, int32_t low,
                                      int32_t high)
{
  return mn_clamp_s8(mn_add_wrap(mn_scale((int32_t)acc, mantissa, shift), zero_point), low, high);
}

#endif
