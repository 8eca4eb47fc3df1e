// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>

#include "mn_dot.h"
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_window.h"

// Weights of one output channel on the taps outside rows x cols, summed.
static int32_t padding_sum(const struct mn_conv_s8 *p, const int8_t *w, struct mn_taps rows, struct mn_taps cols)
{
  int32_t sum = 0;

  for (int32_t ky = 0; ky < p->kernel_h; ky++) {
    const bool row_inside = ky >= rows.from && ky < rows.to;

    for (int32_t kx = 0; kx < p->kernel_w; kx++, w += p->group_c) {
      if (!(row_inside && kx >= cols.from && kx < cols.to)) {
        for (int32_t i = 0; i < p->group_c; i++) {
          sum += w[i];
        }
      }
    }
  }
  return sum;
}

// Adds the products of the taps in rows x cols to acc. x + at would be the window's first pixel.
static void inside_products(const struct mn_conv_s8 *p, const int8_t *x, int32_t at, const int8_t *w, uint32_t w_stride,
                            struct mn_taps rows, struct mn_taps cols, uint32_t lanes, uint32_t acc[MN_LANES])
{
  // A row of taps is one run of bytes when its pixels are neighbours and all their channels are read.
  const bool joined = p->dilation_w == 1 && p->group_c == p->in_c;
  const int32_t step = joined ? cols.to - cols.from : 1;

  for (int32_t ky = rows.from; ky < rows.to; ky++) {
    const int32_t row = at + ky * p->dilation_h * p->in_w * p->in_c;

    for (int32_t kx = cols.from; kx < cols.to; kx += step) {
      mn_dot(x + row + kx * p->dilation_w * p->in_c, w + (ky * p->kernel_w + kx) * p->group_c, w_stride,
             (uint32_t)(step * p->group_c), lanes, acc);
    }
  }
}

static void pixel(const struct mn_conv_s8 *p, const int8_t *x, int32_t at, struct mn_taps rows, struct mn_taps cols,
                  int8_t *out)
{
  const uint32_t w_stride = (uint32_t)p->kernel_h * p->kernel_w * p->group_c;
  const bool border = rows.from > 0 || rows.to < p->kernel_h || cols.from > 0 || cols.to < p->kernel_w;
  const int8_t *w = p->weights;
  uint32_t in_group = 0, lanes;

  for (uint32_t c = 0; c < p->out_c; c += lanes, w += lanes * w_stride) {
    uint32_t acc[MN_LANES];

    lanes = p->group_out_c - in_group >= MN_LANES ? MN_LANES : 1;
    for (uint32_t k = 0; k < lanes; k++) {
      acc[k] = (uint32_t)p->bias[c + k];
      if (border) {
        acc[k] += (uint32_t)padding_sum(p, w + k * w_stride, rows, cols) * (uint32_t)p->input_zero_point;
      }
    }
    inside_products(p, x, at, w, w_stride, rows, cols, lanes, acc);
    for (uint32_t k = 0; k < lanes; k++) {
      const uint32_t q = (c + k) * p->requant_step;

      *out++ = mn_requantize_s8(acc[k], p->multiplier[q], p->shift[q], p->output_zero_point, p->low, p->high);
    }
    in_group += lanes;
    if (in_group == p->group_out_c) {
      in_group = 0;
      at += p->group_c;
    }
  }
}

void mn_conv_s8(const struct mn_conv_s8 *p, const int8_t *in, int8_t *out)
{
  for (int32_t n = 0; n < p->batches; n++, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t oy = 0, y = -p->pad_top; oy < p->out_h; oy++, y += p->stride_h) {
      const struct mn_taps rows = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);

      for (int32_t ox = 0, x = -p->pad_left; ox < p->out_w; ox++, x += p->stride_w, out += p->out_c) {
        const struct mn_taps cols = mn_taps_inside(x, p->in_w, p->kernel_w, p->dilation_w);

        pixel(p, in, (y * p->in_w + x) * p->in_c, rows, cols, out);
      }
    }
  }
}
