// SPDX-License-Identifier: Apache-2.0
// The short way from an accumulator to its output byte on Cortex-M3; the lowering proves that it gives TFLite Micro's
// double rounding (mcunas/compiler/lower/packing.py).
#ifndef MN_SHORT_H
#define MN_SHORT_H

#include <stdint.h>

#include "mn_clamp.h"

// (x >> 1) limited to int8.
static inline int8_t mn_saturate_half(int32_t x)
{
#if defined(__ARM_ARCH_7M__)
  int32_t result;

  __asm__("ssat %0, #8, %1, asr #1" : "=r"(result) : "r"(x));
  return (int8_t)result;
#else
  const int32_t half = x >> 1;

  return (int8_t)(half < INT8_MIN ? INT8_MIN : half > INT8_MAX ? INT8_MAX : half);
#endif
}

// acc2: twice the accumulator, |acc2| < 2^31. shift: the right shift less one, in the low byte (the rest is ignored).
// zero2: twice the output zero point plus one: shifted left it is the zero point and the half that rounds. The sign
// added makes ties below zero round away from it.
static inline int8_t mn_requantize_short(uint32_t acc2, int32_t multiplier, uint32_t shift, uint32_t zero2)
{
  const uint64_t product = (uint64_t)((int64_t)(int32_t)acc2 * multiplier);
  const uint32_t rounded = (uint32_t)(product >> 32) + ((uint32_t)product >> 31);
  const uint32_t scaled = rounded + (zero2 << (shift & 31u)) + (uint32_t)((int32_t)acc2 >> 31);

  return mn_saturate_half((int32_t)scaled >> (shift & 31u));
}

#endif
