// SPDX-License-Identifier: Apache-2.0
#include "mn_rows.h"
#include "mn_tensor.h"

void mn_lut_s8(const struct mn_lut_s8 *p, const void *in, void *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to), elements = mn_across(&rows, p->count);
  const uint8_t *table = p->table;

  for (int32_t row = rows.first; row != rows.end; row += rows.step) {
    const uint8_t *v = (const uint8_t *)in + mn_slot(row, p->in_ring) * p->count;
    uint8_t *u = (uint8_t *)out + mn_slot(row, p->out_ring) * p->count;

    for (int32_t i = elements.first; i != elements.end; i += elements.step) {
      u[i] = table[v[i]];
    }
  }
}
