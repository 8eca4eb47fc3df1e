// SPDX-License-Identifier: Apache-2.0
// Which taps of a sliding window lie on the input, and what the others add.
#ifndef MN_WINDOW_H
#define MN_WINDOW_H

#include <stdint.h>

struct mn_taps {
  int32_t from, to;      // half open; from == to when the window misses the input
};

// One axis: tap k of `kernel` reads pixel origin + k * dilation of `size` pixels. Divides only at the borders.
static inline struct mn_taps mn_taps_inside(int32_t origin, int32_t size, int32_t kernel, int32_t dilation)
{
  struct mn_taps taps = {0, kernel};

  if (origin < 0) {
    taps.from = (dilation - 1 - origin) / dilation;
    taps.from = taps.from < kernel ? taps.from : kernel;
  }
  if (origin + (kernel - 1) * dilation >= size) {
    taps.to = (size - 1 - origin) / dilation + 1;
    taps.to = taps.to > taps.from ? taps.to : taps.from;
  }
  return taps;
}

static inline int32_t mn_sum(const int8_t *w, int32_t n)
{
  int32_t sum = 0;

  for (const int8_t *const end = w + n; w != end; w++) {
    sum += *w;
  }
  return sum;
}

// Sum of one channel's weights [kernel_h][kernel_w][depth] over the taps outside rows x cols.
static inline int32_t mn_padding_sum(const int8_t *w, int32_t kernel_h, int32_t kernel_w, int32_t depth,
                                     struct mn_taps rows, struct mn_taps cols)
{
  const int32_t row_bytes = kernel_w * depth;
  int32_t sum = mn_sum(w, rows.from * row_bytes);

  for (int32_t ky = rows.from; ky < rows.to; ky++) {
    sum += mn_sum(w + ky * row_bytes, cols.from * depth);
    sum += mn_sum(w + ky * row_bytes + cols.to * depth, (kernel_w - cols.to) * depth);
  }
  return sum + mn_sum(w + rows.to * row_bytes, (kernel_h - rows.to) * row_bytes);
}

#endif
