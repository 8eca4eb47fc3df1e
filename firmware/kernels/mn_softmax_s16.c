// SPDX-License-Identifier: Apache-2.0
// exp and the reciprocal of their sum are straight lines between 513 entries each; results are kept where they go to.
#include "mn_math.h"
#include "mn_nn_s16.h"
#include "mn_s16.h"

// An int16 value through a table: 128 values from an entry to the next.
static int32_t look_up(const int16_t *table, int32_t value)
{
  const int16_t *at = table + 256 + (value >> 7);

  return at[0] + (((at[1] - at[0]) * (value & 127) + 64) >> 7);
}

// exp of each value less the largest in Q0.15, at least one of which is 32767. Returns their sum.
static uint32_t row_exp(const struct mn_softmax_s16 *p, const int16_t *in, int16_t *out)
{
  int32_t largest = INT16_MIN;
  uint32_t sum = 0;

  for (uint32_t i = 0; i < p->depth; i++) {
    largest = in[i] > largest ? in[i] : largest;
  }
  for (uint32_t i = 0; i < p->depth; i++) {
    const int32_t scaled = mn_scale(in[i] - largest, p->multiplier, p->shift) + INT16_MAX;
    const int32_t value = look_up(p->exponentials, mn_clamp_s16(scaled, INT16_MIN, INT16_MAX));

    sum += (uint32_t)value;
    out[i] = (int16_t)value;
  }
  return sum;
}

void mn_softmax_s16(const struct mn_softmax_s16 *p, const int16_t *in, int16_t *out)
{
  for (uint32_t row = 0; row < p->rows; row++, in += p->depth, out += p->depth) {
    uint32_t sum = row_exp(p, in, out);
    int32_t shift = 30;

    while (!(sum >> 30)) {        // to [1, 2)
      sum <<= 1;
      shift--;
    }
    const int32_t fraction = (int32_t)((sum + (1u << 13)) >> 14) - (INT32_C(1) << 16) - (INT32_C(1) << 15);
    const int32_t inverse = look_up(p->reciprocals, mn_clamp_s16(fraction, INT16_MIN, INT16_MAX));

    for (uint32_t i = 0; i < p->depth; i++) {
      out[i] = mn_clamp_s16((out[i] * inverse + (INT32_C(1) << (shift - 1))) >> shift, 0, INT16_MAX);
    }
  }
}
