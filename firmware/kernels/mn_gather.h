// SPDX-License-Identifier: Apache-2.0
// Windows of a convolution as words that two pixels share, x0 + 2^16 x1, one word per tap and channel. A row of taps is
// a run of bytes, as they lie side by side; what lies outside the input reads the input's zero point.
#ifndef MN_GATHER_H
#define MN_GATHER_H

#include <stdint.h>

#include "mn_inline.h"
#include "mn_rows.h"

#define MN_GATHER_STEP 2       // from a word of a pair to its next: another pair lies between

struct mn_gather {
  int32_t in_h, row_bytes, in_ring;        // of the input
  int32_t rows, row_step, run_bytes;       // of the window; row_step: input rows from one to the next
  int32_t zero_point;
};

// Where a window begins: input row, and byte of it; either may lie outside.
struct mn_place {
  int32_t y, at;
};

static inline int32_t mn_lies_inside(const struct mn_gather *g, struct mn_place p)
{
  return p.y >= 0 && p.y + (g->rows - 1) * g->row_step < g->in_h && p.at >= 0 && p.at + g->run_bytes <= g->row_bytes;
}

// A word becomes, or with `high` grows by 2^16 times, the value.
static inline void mn_gather_put(int32_t *to, int32_t value, int32_t high)
{
  *to = high ? *to + value * 65536 : value;
}

static inline int32_t *mn_gather_fill(int32_t *to, int32_t value, int32_t count, int32_t high)
{
  for (; count > 0; count--, to += MN_GATHER_STEP) {
    mn_gather_put(to, value, high);
  }
  return to;
}

static inline void mn_gather_border(const struct mn_gather *g, const int8_t *in, struct mn_place p, int32_t *to,
                                         int32_t high)
{
  const int32_t run = g->run_bytes, before = p.at < 0 ? (-p.at < run ? -p.at : run) : 0, room = g->row_bytes - p.at;
  const int32_t end = room < run ? (room > before ? room : before) : run;

  for (int32_t i = 0; i < g->rows; i++, p.y += g->row_step) {
    if (p.y < 0 || p.y >= g->in_h) {
      to = mn_gather_fill(to, g->zero_point, run, high);
      continue;
    }
    const int8_t *const row = in + mn_slot(p.y, g->in_ring) * g->row_bytes;

    to = mn_gather_fill(to, g->zero_point, before, high);
    for (const int8_t *x = row + (p.at + before), *const stop = x + (end - before); x != stop; to += MN_GATHER_STEP) {
      mn_gather_put(to, *x++, high);
    }
    to = mn_gather_fill(to, g->zero_point, run - end, high);
  }
}

static MN_NOINLINE void mn_gather_low(const struct mn_gather *g, const int8_t *in, struct mn_place p, int32_t *to)
{
  mn_gather_border(g, in, p, to, 0);
}

static MN_NOINLINE void mn_gather_high(const struct mn_gather *g, const int8_t *in, struct mn_place p, int32_t *to)
{
  mn_gather_border(g, in, p, to, 1);
}

// The windows at a and b.
static MN_NOINLINE void mn_gather_pair(const struct mn_gather *g, const int8_t *in, struct mn_place a,
                                       struct mn_place b, int32_t *to)
{
  if (!mn_lies_inside(g, a) || !mn_lies_inside(g, b)) {
    mn_gather_low(g, in, a, to);
    mn_gather_high(g, in, b, to);
    return;
  }
  for (int32_t i = 0; i < g->rows; i++, a.y += g->row_step, b.y += g->row_step) {
    const int8_t *x = in + mn_slot(a.y, g->in_ring) * g->row_bytes + a.at, *const end = x + g->run_bytes;
    const int8_t *y = in + mn_slot(b.y, g->in_ring) * g->row_bytes + b.at;

    for (; end - x >= 4; x += 4, y += 4, to += 4 * MN_GATHER_STEP) {
      to[0] = x[0] + y[0] * 65536;
      to[MN_GATHER_STEP] = x[1] + y[1] * 65536;
      to[2 * MN_GATHER_STEP] = x[2] + y[2] * 65536;
      to[3 * MN_GATHER_STEP] = x[3] + y[3] * 65536;
    }
    for (; x != end; x++, y++, to += MN_GATHER_STEP) {
      *to = *x + *y * 65536;
    }
  }
}

#endif
