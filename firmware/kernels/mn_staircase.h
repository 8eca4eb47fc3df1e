// SPDX-License-Identifier: Apache-2.0
// From accumulator to output byte with two 32-bit multiplications, for cores without a long multiply. Outputs are a
// staircase over the accumulator; the lowering proves for every step of every channel that this gives the same one as
// TFLite Micro's arithmetic (mcunas/compiler/lower/staircase.py).
//
// a = accumulator - origin, limited to 0..reach; the output is the upper byte of a * m / 2^13 + c with
// m = fine + 2^13 coarse.
// Where `signs`: ties round away from zero, so accumulators below zero (a < zero) get one step of the first rounding
// less. Words of a channel: origin, c, reach << 13 | fine, coarse << 5 | step exponent, and with `signs` zero.
#ifndef MN_STAIRCASE_H
#define MN_STAIRCASE_H

#include <stdint.h>

#define MN_STAIRCASE_WORDS(signs) (4 + ((signs) != 0))

static inline void mn_staircase(const int32_t *words, int32_t signs, const uint32_t *acc, int32_t count,
                                int8_t *const *out, int32_t channel)
{
  const uint32_t origin = (uint32_t)words[0], c = (uint32_t)words[1], reach = (uint32_t)words[2] >> 13;
  const uint32_t fine = (uint32_t)words[2] & 0x1fffu, coarse = (uint32_t)words[3] >> 5;

  for (int32_t i = 0; i < count; i++) {
    // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): callers have a sum for each of `count`
    uint32_t a = acc[i] - origin, value;

    if (a > reach) {
      a = (int32_t)a < 0 ? 0 : reach;
    }
    value = a * coarse + (a * fine >> 13) + c;
    if (signs && a < (uint32_t)words[4]) {
      value -= UINT32_C(1) << (words[3] & 31);
    }
    out[i][channel] = (int8_t)(value >> 24);
  }
}

#endif
