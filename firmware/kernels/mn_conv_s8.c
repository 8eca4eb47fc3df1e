// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>

#include "mn_dot.h"
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_window.h"

// The taps of one output pixel that lie on the input, as runs of bytes.
struct patch {
  struct mn_taps rows, cols;
  struct mn_runs runs;            // of one row of taps, or of all of them when `joined`
  int32_t x_row, w_row, w_first;  // from row to row of taps; weight of the first tap inside
  bool joined, border;
};

// A row of taps is one run when its pixels are neighbours and all their channels are read.
static void find_runs(const struct mn_conv_s8 *p, struct patch *a)
{
  const int32_t height = a->rows.to - a->rows.from, width = a->cols.to - a->cols.from;

  a->border = height < p->kernel_h || width < p->kernel_w;
  a->joined = p->dilation_w == 1 && p->group_c == p->in_c;
  a->x_row = p->dilation_h * p->in_w * p->in_c;
  a->w_row = p->kernel_w * p->group_c;
  a->w_first = a->rows.from * a->w_row + a->cols.from * p->group_c;
  if (a->joined) {
    a->runs = (struct mn_runs){height, width * p->group_c, a->x_row, a->w_row};
  } else {
    a->runs = (struct mn_runs){width, p->group_c, p->dilation_w * p->in_c, p->group_c};
  }
}

static void products(const struct patch *a, const int8_t *x, const int8_t *w, int32_t w_stride, int32_t lanes,
                     uint32_t acc[MN_LANES])
{
  const int32_t calls = a->joined ? 1 : a->rows.to - a->rows.from;

  w += a->w_first;
  for (int32_t i = 0; i < calls; i++) {
    if (lanes == MN_LANES) {
      mn_dot_lanes(&a->runs, x + i * a->x_row, w + i * a->w_row, w_stride, acc);
    } else {
      acc[0] += mn_dot_one(&a->runs, x + i * a->x_row, w + i * a->w_row);
    }
  }
}

// All channels of one output pixel; x is the input pixel of the first tap inside.
static void pixel(const struct mn_conv_s8 *p, const struct patch *a, const int8_t *x, int8_t *out)
{
  const int32_t w_stride = p->kernel_h * p->kernel_w * p->group_c;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const int8_t *w = p->weights, *shift = p->shift;
  int32_t in_group = 0, lanes;

  for (int32_t c = 0; c < p->out_c; c += lanes, w += lanes * w_stride) {
    uint32_t acc[MN_LANES];

    lanes = p->group_out_c - in_group >= MN_LANES ? MN_LANES : 1;
    for (int32_t k = 0; k < lanes; k++) {
      acc[k] = (uint32_t)*bias++;
      if (a->border) {
        const int32_t sum = mn_padding_sum(w + k * w_stride, p->kernel_h, p->kernel_w, p->group_c, a->rows, a->cols);

        acc[k] += (uint32_t)sum * (uint32_t)p->input_zero_point;
      }
    }
    products(a, x, w, w_stride, lanes, acc);
    for (int32_t k = 0; k < lanes; k++) {
      *out++ = mn_requantize_s8(acc[k], *multiplier, *shift, p->output_zero_point, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
    in_group += lanes;
    if (in_group == p->group_out_c) {
      in_group = 0;
      x += p->group_c;
    }
  }
}

void mn_conv_s8(const struct mn_conv_s8 *p, const int8_t *in, int8_t *out)
{
  struct patch a;

  for (int32_t n = 0; n < p->batches; n++, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t oy = 0, y = -p->pad_top; oy < p->out_h; oy++, y += p->stride_h) {
      a.rows = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);
      const int32_t in_y = y + a.rows.from * p->dilation_h;

      for (int32_t ox = 0, x = -p->pad_left; ox < p->out_w; ox++, x += p->stride_w, out += p->out_c) {
        a.cols = mn_taps_inside(x, p->in_w, p->kernel_w, p->dilation_w);
        const int32_t in_x = x + a.cols.from * p->dilation_w;
        const bool misses = a.rows.from == a.rows.to || a.cols.from == a.cols.to;

        find_runs(p, &a);
        pixel(p, &a, misses ? in : in + (in_y * p->in_w + in_x) * p->in_c, out);
      }
    }
  }
}
