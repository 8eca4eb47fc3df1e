// SPDX-License-Identifier: Apache-2.0
#include "mn_nn_s16.h"
#include "mn_rows.h"

#define LAST 255

void mn_sigmoid_s16(const struct mn_sigmoid_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to), elements = mn_across(&rows, p->count);
  const uint16_t *table = p->table;
  const int32_t multiplier = p->multiplier, shift = p->shift, fraction = p->fraction, out_shift = p->out_shift;
  const int32_t half_in = (INT32_C(1) << shift) >> 1, mask = (INT32_C(1) << fraction) - 1;
  const int32_t above = p->offset + (INT32_C(1) << (out_shift - 1)), most = p->most;

  for (int32_t row = rows.first; row != rows.end; row += rows.step) {
    const int16_t *const v = in + mn_slot(row, p->in_ring) * p->count;
    int16_t *const u = out + mn_slot(row, p->out_ring) * p->count;

    for (int32_t i = elements.first; i != elements.end; i += elements.step) {
      const int32_t x = (v[i] * multiplier + half_in) >> shift, magnitude = x < 0 ? -x : x;
      const int32_t at = magnitude >> fraction;
      int32_t distance = most;

      if (at < LAST) {
        const int32_t low = table[at];

        distance = ((low - INT32_C(32768)) << fraction) + (magnitude & mask) * (table[at + 1] - low);
      }
      u[i] = (int16_t)((x < 0 ? above - 1 - distance : above + distance) >> out_shift);
    }
  }
}
