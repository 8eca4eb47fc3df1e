// SPDX-License-Identifier: Apache-2.0
// Kernels that compute any range of an image's rows, upwards or downwards, between buffers that may hold few rows.
//
// Row r of a tensor lies at slot r modulo its ring, the number of rows that its buffer holds; a full tensor's ring is
// its height. from < to: output rows from..to-1 upwards, pixels left to right. from > to: rows from-1..to downwards,
// pixels right to left. from == to: none. So pixels are written in address order, and the output may overwrite input
// that is no longer read.
#ifndef MN_ROWS_H
#define MN_ROWS_H

#include <stdint.h>

// Indices in the order of computation: first, first + step, ... before end.
struct mn_span {
  int32_t first, end, step;
};

static inline struct mn_span mn_span(int32_t from, int32_t to)
{
  const int32_t down = (to - from) >> 31;      // 0 or -1
  const struct mn_span span = {from + down, to + down, 1 | down};

  return span;
}

// Pixels 0..width-1, in the direction of the rows.
static inline struct mn_span mn_across(const struct mn_span *rows, int32_t width)
{
  const int32_t down = rows->step >> 1;
  const struct mn_span span = {(width - 1) & down, (width & ~down) + down, rows->step};

  return span;
}

static inline int32_t mn_slot(int32_t row, int32_t ring)
{
  return (int32_t)((uint32_t)row % (uint32_t)ring);
}

// Input rows that a window reads, as values: the first, from each to the next, and back by `ring` before row `wrap`.
struct mn_lines {
  int32_t first, step, ring;
  int32_t wrap;               // -1: none
};

// `count` rows from `row` on (any value where count is 0), `dilation` apart.
static inline struct mn_lines mn_lines(int32_t row, int32_t count, int32_t dilation, int32_t ring, int32_t row_bytes)
{
  const int32_t slot = count > 0 ? mn_slot(row, ring) : 0;
  struct mn_lines lines = {slot * row_bytes, dilation * row_bytes, ring * row_bytes, -1};

  if (slot + (count - 1) * dilation >= ring) {
    lines.wrap = (ring - slot + dilation - 1) / dilation;
  }
  return lines;
}

#endif
