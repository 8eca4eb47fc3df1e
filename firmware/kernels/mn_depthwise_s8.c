// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>

#include "mn_math.h"
#include "mn_nn.h"
#include "mn_window.h"

// Products of rows x cols taps. x: input pixel of the first tap, w: its weight; the steps lead to the next row and tap.
static uint32_t products(const int8_t *x, int32_t x_row, int32_t x_tap, const int8_t *w, int32_t w_row, int32_t rows,
                         int32_t cols)
{
  uint32_t acc = 0;

  for (int32_t i = 0; i < rows; i++) {
    const int8_t *const v = x + i * x_row, *const u = w + i * w_row;

    if (cols == 3) {
      acc += (uint32_t)(v[0] * u[0]);
      acc += (uint32_t)(v[x_tap] * u[1]);
      acc += (uint32_t)(v[2 * x_tap] * u[2]);
    } else {
      for (int32_t k = 0; k < cols; k++) {
        acc += (uint32_t)(v[k * x_tap] * u[k]);
      }
    }
  }
  return acc;
}

// All channels of one output pixel; x is the input pixel of the first tap inside.
static void pixel(const struct mn_depthwise_s8 *p, const int8_t *x, struct mn_taps rows, struct mn_taps cols, int8_t *out)
{
  const int32_t x_tap = p->dilation_w * p->in_c, x_row = p->dilation_h * p->in_w * p->in_c;
  const int32_t area = p->kernel_h * p->kernel_w, first = rows.from * p->kernel_w + cols.from;
  const int32_t height = rows.to - rows.from, width = cols.to - cols.from;
  const bool border = height < p->kernel_h || width < p->kernel_w;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const int8_t *shift = p->shift, *w = p->weights;

  for (int32_t c = 0; c < p->in_c; c++, x++) {
    for (int32_t m = 0; m < p->multiplier_c; m++, w += area) {
      uint32_t acc = (uint32_t)*bias++ + products(x, x_row, x_tap, w + first, p->kernel_w, height, width);

      if (border) {
        acc += (uint32_t)mn_padding_sum(w, p->kernel_h, p->kernel_w, 1, rows, cols) * (uint32_t)p->input_zero_point;
      }
      *out++ = mn_requantize_s8(acc, *multiplier, *shift, p->output_zero_point, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
  }
}

void mn_depthwise_s8(const struct mn_depthwise_s8 *p, const int8_t *in, int8_t *out)
{
  for (int32_t n = 0; n < p->batches; n++, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t oy = 0, y = -p->pad_top; oy < p->out_h; oy++, y += p->stride_h) {
      const struct mn_taps rows = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);
      const int32_t in_y = y + rows.from * p->dilation_h;

      for (int32_t ox = 0, x = -p->pad_left; ox < p->out_w; ox++, x += p->stride_w) {
        const struct mn_taps cols = mn_taps_inside(x, p->in_w, p->kernel_w, p->dilation_w);
        const int32_t in_x = x + cols.from * p->dilation_w;
        const bool misses = rows.from == rows.to || cols.from == cols.to;

        pixel(p, misses ? in : in + (in_y * p->in_w + in_x) * p->in_c, rows, cols, out);
        out += p->in_c * p->multiplier_c;
      }
    }
  }
}
