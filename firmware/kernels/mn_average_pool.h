// SPDX-License-Identifier: Apache-2.0
// Mean of a window, half away from zero, and the pool of it. Before inclusion: as for mn_pool_walk.h, without window().
#ifndef MN_AVERAGE_POOL_H
#define MN_AVERAGE_POOL_H

#include "mn_rows.h"
#include "mn_window.h"

static int32_t window(const struct MN_POOL *p, const struct mn_lines *lines, const MN_POOL_VALUE *pixel, int32_t rows,
                      int32_t cols)
{
  const int32_t count = rows * cols;
  int32_t sum = 0;

  for (int32_t y = 0; y < rows; y++, pixel += lines->step) {
    if (y == lines->wrap) {
      pixel -= lines->ring;
    }
    for (int32_t x = 0; x < cols; x++) {
      sum += pixel[x * p->channels];
    }
  }
  // NOLINTNEXTLINE(clang-analyzer-core.*): every window meets the input, or verify() refuses the model
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

#include "mn_pool_walk.h"

#endif
