// SPDX-License-Identifier: Apache-2.0
// Arithmetic of layers on int16 activations with int8 weights (TFLite's 16x8): int64 sums, scaled with one rounding.
#ifndef MN_S16_H
#define MN_S16_H

#include <stdint.h>

// x limited to low..high, which lie within int16.
static inline int16_t mn_clamp_s16(int32_t x, int32_t low, int32_t high)
{
  return (int16_t)(x < low ? low : x > high ? high : x);
}

// A layer's sum, |acc| < 2^47, to its output: times a multiplier of 15 bits, then shifted by 8..46, ties up. What leaves
// 32 bits wraps before it is limited.
static inline int16_t mn_requantize_s16(int64_t acc, int32_t multiplier, int32_t shift, int32_t low, int32_t high)
{
  const int64_t halves = (acc * multiplier) >> (shift - 1);

  return mn_clamp_s16((int32_t)(uint32_t)((halves + 1) >> 1), low, high);
}

#endif
