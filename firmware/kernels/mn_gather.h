// SPDX-License-Identifier: Apache-2.0
// Windows of a convolution as words, one per tap and channel, so that the inner loops load several at once. The taps of
// a row lie side by side: a row is a run of bytes; what lies outside the input reads the input's zero point.
#ifndef MN_GATHER_H
#define MN_GATHER_H

#include <stdint.h>

#include "mn_inline.h"
#include "mn_rows.h"

struct mn_gather {
  int32_t in_h, row_bytes, in_ring;        // of the input
  int32_t rows, row_step, run_bytes;       // of the window; row_step: input rows from one to the next
  int32_t zero_point;
};

static inline int32_t *mn_gather_fill(int32_t *to, int32_t step, int32_t value, int32_t count)
{
  for (; count > 0; count--, to += step) {
    *to = value;
  }
  return to;
}

// Writes every step-th word from `to` on; *sum grows by the values.
static inline int32_t *mn_gather_run(int32_t *to, int32_t step, const int8_t *x, int32_t count, int32_t *sum)
{
  for (; count >= 4; count -= 4, x += 4, to += 4 * step) {
    const int32_t a = x[0], b = x[1], c = x[2], d = x[3];

    to[0] = a;
    to[step] = b;
    to[2 * step] = c;
    to[3 * step] = d;
    *sum += a + b + c + d;
  }
  for (; count > 0; count--, x++, to += step) {
    *to = *x;
    *sum += *x;
  }
  return to;
}

// The window whose first row is input row y and whose rows begin at byte `at` of an input row (either may lie outside).
// Returns the sum of its values.
static MN_NOINLINE int32_t mn_gather_window(const struct mn_gather *g, const int8_t *in, int32_t y, int32_t at,
                                            int32_t *to, int32_t step)
{
  const int32_t run = g->run_bytes, before = at < 0 ? (-at < run ? -at : run) : 0, room = g->row_bytes - at;
  const int32_t end = room < run ? (room > before ? room : before) : run;
  int32_t sum = 0, padding = 0;

  for (int32_t i = 0; i < g->rows; i++, y += g->row_step) {
    if (y < 0 || y >= g->in_h) {
      to = mn_gather_fill(to, step, g->zero_point, run);
      padding += run;
      continue;
    }
    to = mn_gather_fill(to, step, g->zero_point, before);
    to = mn_gather_run(to, step, in + mn_slot(y, g->in_ring) * g->row_bytes + (at + before), end - before, &sum);
    to = mn_gather_fill(to, step, g->zero_point, run - end);
    padding += run - end + before;
  }
  return sum + padding * g->zero_point;
}

#endif
