// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "mn_tensor.h"

void mn_resize_nearest_s8(const struct mn_resize_nearest_s8 *p, const int8_t *in, int8_t *out)
{
  const uint32_t depth = (uint32_t)p->depth, row_bytes = (uint32_t)(p->out_w * p->depth);

  for (int32_t n = 0; n < p->batches; n++) {
    const int8_t *image = in + n * p->in_h * p->in_w * p->depth;

    for (int32_t y = 0; y < p->out_h; y++) {
      const int8_t *row = image + p->rows[y] * p->in_w * p->depth;

      if (y > 0 && p->rows[y] == p->rows[y - 1]) {
        memcpy(out, out - row_bytes, row_bytes);
        out += row_bytes;
        continue;
      }
      for (int32_t x = 0; x < p->out_w; x++) {
        memcpy(out, row + p->columns[x] * p->depth, depth);
        out += depth;
      }
    }
  }
}
