// SPDX-License-Identifier: Apache-2.0
// CONCATENATION of two images side by side.
#include <string.h>

#include "mn_rows.h"
#include "mn_tensor.h"

void mn_beside_s8(const struct mn_beside_s8 *p, const void *in0, const void *in1, void *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to);

  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    int8_t *const row = (int8_t *)out + mn_slot(y, p->out_ring) * (p->row0 + p->row1);

    memmove(row, (const int8_t *)in0 + mn_slot(y, p->ring0) * p->row0, (uint32_t)p->row0);
    memmove(row + p->row0, (const int8_t *)in1 + mn_slot(y, p->ring1) * p->row1, (uint32_t)p->row1);
  }
}
