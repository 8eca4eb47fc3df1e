// SPDX-License-Identifier: Apache-2.0
#include "mn_tensor.h"

#define UNIT INT32_C(1024)      // one pixel

// Two neighbouring pixels of one axis and the weight of the upper one, of 1024. At the end of the axis both are the last.
struct neighbours {
  int32_t low, high, weight;
};

static inline struct neighbours locate(int32_t i, int32_t step, int32_t start, int32_t size)
{
  const int32_t at = i * step + start, position = at < 0 ? 0 : at, low = position / UNIT;
  const struct neighbours n = {low, low + 1 < size ? low + 1 : low, position % UNIT};

  return n;
}

void mn_resize_bilinear_s8(const struct mn_resize_bilinear_s8 *p, const int8_t *in, int8_t *out)
{
  const int32_t depth = p->depth, in_row = p->in_w * depth;

  for (int32_t n = 0; n < p->batches; n++) {
    for (int32_t y = 0; y < p->out_h; y++) {
      const struct neighbours v = locate(y, p->step_h, p->start_h, p->in_h);
      const int8_t *upper = in + v.low * in_row, *lower = in + v.high * in_row;

      for (int32_t x = 0; x < p->out_w; x++) {
        const struct neighbours h = locate(x, p->step_w, p->start_w, p->in_w);
        const int32_t left = h.low * depth, right = h.high * depth;

        for (int32_t c = 0; c < depth; c++) {
          const int32_t top = upper[left + c] * (UNIT - h.weight) + upper[right + c] * h.weight;
          const int32_t bottom = lower[left + c] * (UNIT - h.weight) + lower[right + c] * h.weight;
          const int32_t sum = top * (UNIT - v.weight) + bottom * v.weight;

          *out++ = (int8_t)((sum + (sum > 0 ? UNIT * UNIT / 2 : -UNIT * UNIT / 2)) / (UNIT * UNIT));
        }
      }
    }
    in += p->in_h * in_row;
  }
}
