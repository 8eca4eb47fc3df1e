// SPDX-License-Identifier: Apache-2.0
// The walk of portable convolutions over output pixels, and which taps of each lie on the input.
//
// Before inclusion: MN_CONV_MEMBERS: the name of the kernel's struct; MN_CONV_VALUE: type of inputs and outputs, by default
// int8_t; MN_CONV_WITHOUT_RUNS for a kernel that walks the taps itself (depthwise). After it: pixel().
#ifndef MN_CONV_WALK_H
#define MN_CONV_WALK_H

#include <stdbool.h>

#include "mn_nn.h"
#include "mn_nn_s16.h"
#include "mn_rows.h"
#include "mn_runs.h"
#include "mn_window.h"

#ifndef MN_CONV_VALUE
#define MN_CONV_VALUE int8_t
#endif

// The taps of one output pixel that lie on the input, as runs of values.
struct patch {
  struct mn_taps rows, cols;
  struct mn_lines lines;          // rows of taps in the input's buffer
  struct mn_runs runs;            // of one call: a row of taps, or all of them
  int32_t calls;
  int32_t w_row, w_first;         // from row to row of taps; weight of the first tap inside
  bool border;
};

// All channels of one output pixel; x is the input pixel of the first tap inside.
static void pixel(const struct MN_CONV_MEMBERS *p, const struct patch *a, const MN_CONV_VALUE *x, MN_CONV_VALUE *out);

#ifndef MN_CONV_WITHOUT_RUNS
// A row of taps is one run when its pixels are neighbours and all their channels are read. All rows go into one call
// unless the buffer ends between them.
static void find_runs(const struct MN_CONV_MEMBERS *p, struct patch *a)
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

#endif

static inline void mn_conv_walk(const struct MN_CONV_MEMBERS *p, const MN_CONV_VALUE *in, MN_CONV_VALUE *out, int32_t from,
                                int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);
  struct patch a;

  for (int32_t oy = rows.first; oy != rows.end; oy += rows.step) {
    const int32_t y = oy * p->stride_h - p->pad_top;
    MN_CONV_VALUE *const result = out + mn_slot(oy, p->out_ring) * p->out_w * p->out_step;

    a.rows = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);
    a.lines = mn_lines(y + a.rows.from * p->dilation_h, a.rows.to - a.rows.from, p->dilation_h, p->in_ring,
                       p->in_w * p->in_step);
    for (int32_t ox = cols.first; ox != cols.end; ox += cols.step) {
      const int32_t x = ox * p->stride_w - p->pad_left;

      a.cols = mn_taps_inside(x, p->in_w, p->kernel_w, p->dilation_w);
      const bool misses = a.rows.from == a.rows.to || a.cols.from == a.cols.to;
      const int32_t at = misses ? 0 : a.lines.first + (x + a.cols.from * p->dilation_w) * p->in_step;

#ifndef MN_CONV_WITHOUT_RUNS
      find_runs(p, &a);
#endif
      pixel(p, &a, in + at, result + ox * p->out_step);
    }
  }
}

#endif
