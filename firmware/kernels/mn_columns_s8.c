// SPDX-License-Identifier: Apache-2.0
// STRIDED_SLICE of an image's columns.
#include <string.h>

#include "mn_rows.h"
#include "mn_tensor.h"

void mn_columns_s8(const struct mn_columns_s8 *p, const void *in, void *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to);

  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    memmove((int8_t *)out + mn_slot(y, p->out_ring) * p->row_out,
            (const int8_t *)in + mn_slot(y, p->in_ring) * p->row_in + p->offset, (uint32_t)p->row_out);
  }
}
