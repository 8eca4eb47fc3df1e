// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_nn_s16.h"
#include "mn_rows.h"
#include "mn_s16.h"

void mn_quantize_s16_s16(const struct mn_quantize_s16_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to), elements = mn_across(&rows, p->count);

  for (int32_t row = rows.first; row != rows.end; row += rows.step) {
    const int16_t *const v = in + mn_slot(row, p->in_ring) * p->count;
    int16_t *const u = out + mn_slot(row, p->out_ring) * p->count;

    for (int32_t i = elements.first; i != elements.end; i += elements.step) {
      const int32_t value = mn_add_wrap(mn_scale(v[i] - p->zero_in, p->mantissa, p->shift), p->zero_out);

      u[i] = mn_clamp_s16(value, INT16_MIN, INT16_MAX);
    }
  }
}
