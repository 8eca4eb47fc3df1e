// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>

#include "mn_inline.h"
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_window.h"

// All channels of a pixel whose 3x3 taps lie inside, one output channel per input channel. x: the first tap's pixel.
static MN_NOINLINE void inside_3x3(const struct mn_depthwise_s8 *p, const int8_t *x, int8_t *out)
{
  const int32_t tap = p->dilation_w * p->in_c, row = p->dilation_h * p->in_w * p->in_c, step = p->requant_step;
  const int8_t *w = p->weights, *shift = p->shift, *const end = out + p->in_c;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const int8_t *y = x + row, *z = y + row;

  for (; out != end; x++, y++, z++, w += 9) {
    uint32_t acc = (uint32_t)*bias++;

    acc += (uint32_t)(x[0] * w[0]);
    acc += (uint32_t)(x[tap] * w[1]);
    acc += (uint32_t)(x[2 * tap] * w[2]);
    acc += (uint32_t)(y[0] * w[3]);
    acc += (uint32_t)(y[tap] * w[4]);
    acc += (uint32_t)(y[2 * tap] * w[5]);
    acc += (uint32_t)(z[0] * w[6]);
    acc += (uint32_t)(z[tap] * w[7]);
    acc += (uint32_t)(z[2 * tap] * w[8]);
    *out++ = mn_requantize_s8(acc, *multiplier, *shift, p->output_zero_point, p->low, p->high);
    multiplier += step;
    shift += step;
  }
}

// All channels of any pixel. x: the pixel of the first tap inside.
static MN_NOINLINE void pixel(const struct mn_depthwise_s8 *p, const int8_t *x, struct mn_taps rows,
                              struct mn_taps cols, int8_t *out)
{
  const int32_t x_tap = p->dilation_w * p->in_c, x_row = p->dilation_h * p->in_w * p->in_c;
  const int32_t height = rows.to - rows.from, width = cols.to - cols.from;
  const int32_t area = p->kernel_h * p->kernel_w, first = rows.from * p->kernel_w + cols.from;
  const bool border = height < p->kernel_h || width < p->kernel_w;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const int8_t *shift = p->shift, *w = p->weights;

  for (int32_t c = 0; c < p->in_c; c++, x++) {
    for (int32_t m = 0; m < p->multiplier_c; m++, w += area) {
      uint32_t acc = (uint32_t)*bias++;

      for (int32_t i = 0; i < height; i++) {
        const int8_t *const v = x + i * x_row, *const u = w + first + i * p->kernel_w;

        for (int32_t k = 0; k < width; k++) {
          acc += (uint32_t)(v[k * x_tap] * u[k]);
        }
      }
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
  const bool is_3x3 = p->kernel_h == 3 && p->kernel_w == 3 && p->multiplier_c == 1;

  for (int32_t n = 0; n < p->batches; n++, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t oy = 0, y = -p->pad_top; oy < p->out_h; oy++, y += p->stride_h) {
      const struct mn_taps rows = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);
      const int32_t in_y = y + rows.from * p->dilation_h;

      for (int32_t ox = 0, x = -p->pad_left; ox < p->out_w; ox++, x += p->stride_w) {
        const struct mn_taps cols = mn_taps_inside(x, p->in_w, p->kernel_w, p->dilation_w);
        const int32_t in_x = x + cols.from * p->dilation_w;
        const bool misses = rows.from == rows.to || cols.from == cols.to;
        const int8_t *const first = misses ? in : in + (in_y * p->in_w + in_x) * p->in_c;

        if (is_3x3 && rows.to - rows.from == 3 && cols.to - cols.from == 3) {
          inside_3x3(p, first, out);
        } else {
          pixel(p, first, rows, cols, out);
        }
        out += p->in_c * p->multiplier_c;
      }
    }
  }
}
