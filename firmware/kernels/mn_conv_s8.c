// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>

#include "mn_dot.h"
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_rows.h"
#include "mn_window.h"

// The taps of one output pixel that lie on the input, as runs of bytes.
struct patch {
  struct mn_taps rows, cols;
  struct mn_lines lines;          // rows of taps in the input's buffer
  struct mn_runs runs;            // of one call: a row of taps, or all of them
  int32_t calls;
  int32_t w_row, w_first;         // from row to row of taps; weight of the first tap inside
  bool border;
};

// A row of taps is one run when its pixels are neighbours and all their channels are read. All rows go into one call
// unless the buffer ends between them.
static void find_runs(const struct mn_conv_s8 *p, struct patch *a)
{
  const int32_t height = a->rows.to - a->rows.from, width = a->cols.to - a->cols.from;

  a->border = height < p->kernel_h || width < p->kernel_w;
  a->w_row = p->kernel_w * p->group_c;
  a->w_first = a->rows.from * a->w_row + a->cols.from * p->group_c;
  a->calls = height;
  if (p->dilation_w != 1 || p->group_c != p->in_step) {
    a->runs = (struct mn_runs){width, p->group_c, p->dilation_w * p->in_step, p->group_c};
  } else if (a->lines.wrap >= 0) {
    a->runs = (struct mn_runs){1, width * p->group_c, 0, 0};
  } else {
    a->runs = (struct mn_runs){height, width * p->group_c, a->lines.step, a->w_row};
    a->calls = 1;
  }
}

static void products(const struct patch *a, const int8_t *x, const int8_t *w, int32_t w_stride, int32_t lanes,
                     uint32_t acc[MN_LANES])
{
  w += a->w_first;
  for (int32_t i = 0; i < a->calls; i++, x += a->lines.step, w += a->w_row) {
    if (i == a->lines.wrap) {
      x -= a->lines.ring;
    }
    if (lanes == MN_LANES) {
      mn_dot_lanes(&a->runs, x, w, w_stride, acc);
    } else {
      acc[0] += mn_dot_one(&a->runs, x, w);
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

void mn_conv_s8(const struct mn_conv_s8 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);
  struct patch a;

  for (int32_t oy = rows.first; oy != rows.end; oy += rows.step) {
    const int32_t y = oy * p->stride_h - p->pad_top;
    int8_t *const result = out + mn_slot(oy, p->out_ring) * p->out_w * p->out_step;

    a.rows = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);
    a.lines = mn_lines(y + a.rows.from * p->dilation_h, a.rows.to - a.rows.from, p->dilation_h, p->in_ring,
                       p->in_w * p->in_step);
    for (int32_t ox = cols.first; ox != cols.end; ox += cols.step) {
      const int32_t x = ox * p->stride_w - p->pad_left;

      a.cols = mn_taps_inside(x, p->in_w, p->kernel_w, p->dilation_w);
      const bool misses = a.rows.from == a.rows.to || a.cols.from == a.cols.to;
      const int32_t at = misses ? 0 : a.lines.first + (x + a.cols.from * p->dilation_w) * p->in_step;

      find_runs(p, &a);
      pixel(p, &a, in + at, result + ox * p->out_step);
    }
  }
}
