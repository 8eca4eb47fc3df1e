// SPDX-License-Identifier: Apache-2.0
// Limits of a fused activation narrower than int8.
#ifndef MN_CLAMP_H
#define MN_CLAMP_H

#include <stdint.h>

static inline void mn_clamp_bytes(int8_t *x, int32_t count, int32_t low, int32_t high)
{
  for (int32_t i = 0; i < count; i++) {
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a kernel's output is in the arena
    const int32_t value = x[i] < low ? low : x[i];

    x[i] = (int8_t)(value > high ? high : value);
  }
}

// The same for pixels of `channels` bytes that lie `step` bytes apart.
static inline void mn_clamp_pixels(int8_t *x, int32_t pixels, int32_t channels, int32_t step, int32_t low, int32_t high)
{
  if (step == channels) {
    mn_clamp_bytes(x, pixels * channels, low, high);
    return;
  }
  for (; pixels > 0; pixels--, x += step) {
    mn_clamp_bytes(x, channels, low, high);
  }
}

#endif
