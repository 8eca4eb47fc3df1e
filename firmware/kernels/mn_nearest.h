// SPDX-License-Identifier: Apache-2.0
#ifndef MN_NEAREST_H
#define MN_NEAREST_H

#include <stdint.h>

// Nearest integer, ties away from zero; beyond +-reach saturated, NaN is 0. The fraction is exact, so no library is needed.
static inline int32_t mn_nearest(float x, int32_t reach)
{
  if (!(x > -(float)reach)) {
    return x < 0.0f ? -reach : 0;
  }
  if (x > (float)reach) {
    return reach;
  }
  const int32_t whole = (int32_t)x;
  const float fraction = x - (float)whole;

  return whole + (fraction >= 0.5f ? 1 : fraction <= -0.5f ? -1 : 0);
}

#endif
