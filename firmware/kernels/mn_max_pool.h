// SPDX-License-Identifier: Apache-2.0
// Largest value of a window, and the pool of it. Before inclusion: as for mn_pool_walk.h, without window(), and
// MN_POOL_LEAST: the least of all values.
#ifndef MN_MAX_POOL_H
#define MN_MAX_POOL_H

#include "mn_rows.h"
#include "mn_window.h"

static int32_t window(const struct MN_POOL *p, const struct mn_lines *lines, const MN_POOL_VALUE *pixel, int32_t rows,
                      int32_t cols)
{
  int32_t best = MN_POOL_LEAST;

  for (int32_t y = 0; y < rows; y++, pixel += lines->step) {
    if (y == lines->wrap) {
      pixel -= lines->ring;
    }
    for (int32_t x = 0; x < cols; x++) {
      const int32_t value = pixel[x * p->channels];

      best = value > best ? value : best;
    }
  }
  return best;
}

#include "mn_pool_walk.h"

#endif
