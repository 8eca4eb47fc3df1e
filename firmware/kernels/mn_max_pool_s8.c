// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_window.h"

// Largest value of one channel over rows x cols pixels. `pixel` is the channel in the first of them.
static int32_t largest(const struct mn_max_pool_s8 *p, const int8_t *pixel, int32_t rows, int32_t cols)
{
  int32_t best = INT8_MIN;

  for (int32_t y = 0; y < rows; y++) {
    const int8_t *v = pixel + y * p->in_w * p->channels;

    for (int32_t x = 0; x < cols; x++) {
      const int32_t value = v[x * p->channels];

      best = value > best ? value : best;
    }
  }
  return best;
}

void mn_max_pool_s8(const struct mn_max_pool_s8 *p, const int8_t *in, int8_t *out)
{
  for (int32_t n = 0; n < p->batches; n++, in += p->in_h * p->in_w * p->channels) {
    for (int32_t oy = 0, y = -p->pad_top; oy < p->out_h; oy++, y += p->stride_h) {
      const struct mn_taps rows = mn_taps_inside(y, p->in_h, p->kernel_h, 1);

      for (int32_t ox = 0, x = -p->pad_left; ox < p->out_w; ox++, x += p->stride_w) {
        const struct mn_taps cols = mn_taps_inside(x, p->in_w, p->kernel_w, 1);
        const int8_t *first = in + ((y + rows.from) * p->in_w + x + cols.from) * p->channels;

        for (int32_t c = 0; c < p->channels; c++) {
          *out++ = mn_clamp_s8(largest(p, first + c, rows.to - rows.from, cols.to - cols.from), p->low, p->high);
        }
      }
    }
  }
}
