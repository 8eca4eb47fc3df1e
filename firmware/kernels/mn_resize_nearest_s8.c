// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "mn_tensor.h"

void mn_resize_nearest_s8(const struct mn_resize_nearest_s8 *p, const void *in, void *out)
{
  int8_t *to = out;
  const uint32_t depth = (uint32_t)p->depth, row_bytes = (uint32_t)(p->out_w * p->depth);

  for (int32_t n = 0; n < p->batches; n++) {
    const int8_t *image = (const int8_t *)in + n * p->in_h * p->in_w * p->depth;

    for (int32_t y = 0; y < p->out_h; y++) {
      const int8_t *row = image + p->rows[y] * p->in_w * p->depth;

      if (y > 0 && p->rows[y] == p->rows[y - 1]) {
        memcpy(to, to - row_bytes, row_bytes);
        to += row_bytes;
        continue;
      }
      for (int32_t x = 0; x < p->out_w; x++) {
        memcpy(to, row + p->columns[x] * p->depth, depth);
        to += depth;
      }
    }
  }
}
