// SPDX-License-Identifier: Apache-2.0
// Walking the outer loops that mn_tensor.h describes.
#ifndef MN_LOOPS_H
#define MN_LOOPS_H

#include <stdint.h>

#include "mn_tensor.h"

// Moves both offsets to the next iteration of the outer loops; 0 when there is none. index: how often each loop ran.
static inline int mn_next(const int32_t *loops, int32_t depth, int32_t index[MN_MAX_LOOPS], int32_t *offset0,
                          int32_t *offset1)
{
  for (int32_t k = depth - 1; k >= 0; k--) {
    const int32_t *loop = loops + 3 * k;

    if (++index[k] < loop[0]) {
      *offset0 += loop[1];
      *offset1 += loop[2];
      return 1;
    }
    index[k] = 0;
  }
  return 0;
}

#endif
