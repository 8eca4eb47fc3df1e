// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>

#include "mn_math.h"
#include "mn_nn.h"
#include "mn_window.h"

// Weights of one output channel on the taps outside rows x cols, summed.
static int32_t padding_sum(const struct mn_depthwise_s8 *p, const int8_t *w, int32_t w_step, struct mn_taps rows,
                           struct mn_taps cols)
{
  int32_t sum = 0;

  for (int32_t ky = 0; ky < p->kernel_h; ky++) {
    const bool row_inside = ky >= rows.from && ky < rows.to;

    for (int32_t kx = 0; kx < p->kernel_w; kx++) {
      if (!(row_inside && kx >= cols.from && kx < cols.to)) {
        sum += w[(ky * p->kernel_w + kx) * w_step];
      }
    }
  }
  return sum;
}

static void pixel(const struct mn_depthwise_s8 *p, const int8_t *x, int32_t at, struct mn_taps rows, struct mn_taps cols,
                  int8_t *out)
{
  const int32_t out_c = p->in_c * p->multiplier_c;
  const int32_t x_step = p->dilation_w * p->in_c, row_step = p->dilation_h * p->in_w * p->in_c;
  const int32_t width = cols.to - cols.from;
  const bool border = rows.from > 0 || rows.to < p->kernel_h || cols.from > 0 || cols.to < p->kernel_w;
  int32_t m = 0;

  at += rows.from * row_step + cols.from * x_step;
  for (int32_t c = 0; c < out_c; c++) {
    const int8_t *w = p->weights + (rows.from * p->kernel_w + cols.from) * out_c + c;
    const uint32_t q = (uint32_t)c * p->requant_step;
    uint32_t acc = (uint32_t)p->bias[c];

    if (border) {
      acc += (uint32_t)padding_sum(p, p->weights + c, out_c, rows, cols) * (uint32_t)p->input_zero_point;
    }
    if (width > 0) {
      int32_t row = at;

      for (int32_t ky = rows.from; ky < rows.to; ky++, row += row_step, w += (p->kernel_w - width) * out_c) {
        const int8_t *v = x + row;

        acc += (uint32_t)(*v * *w);
        w += out_c;
        for (int32_t kx = 1; kx < width; kx++, w += out_c) {
          v += x_step;
          acc += (uint32_t)(*v * *w);
        }
      }
    }
    *out++ = mn_requantize_s8(acc, p->multiplier[q], p->shift[q], p->output_zero_point, p->low, p->high);
    if (++m == p->multiplier_c) {
      m = 0;
      at++;
    }
  }
}

void mn_depthwise_s8(const struct mn_depthwise_s8 *p, const int8_t *in, int8_t *out)
{
  for (int32_t n = 0; n < p->batches; n++, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t oy = 0, y = -p->pad_top; oy < p->out_h; oy++, y += p->stride_h) {
      const struct mn_taps rows = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);

      for (int32_t ox = 0, x = -p->pad_left; ox < p->out_w; ox++, x += p->stride_w) {
        const struct mn_taps cols = mn_taps_inside(x, p->in_w, p->kernel_w, p->dilation_w);

        pixel(p, in, (y * p->in_w + x) * p->in_c, rows, cols, out);
        out += p->in_c * p->multiplier_c;
      }
    }
  }
}
