// SPDX-License-Identifier: Apache-2.0
// Which taps of a sliding window lie on the input.
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

#endif
