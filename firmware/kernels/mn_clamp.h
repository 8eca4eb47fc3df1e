// SPDX-License-Identifier: Apache-2.0
// Limits of a fused activation narrower than int8.
#ifndef MN_CLAMP_H
#define MN_CLAMP_H

#include <stdint.h>

static inline void mn_clamp_bytes(int8_t *x, int32_t count, int32_t low, int32_t high)
{
  for (int32_t i = 0; i < count; i++) {
    const int32_t value = x[i] < low ? low : x[i];

    x[i] = (int8_t)(value > high ? high : value);
  }
}

#endif
