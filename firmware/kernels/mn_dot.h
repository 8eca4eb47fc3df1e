// SPDX-License-Identifier: Apache-2.0
// Inner products of int8 runs, several output channels at a time so that each input byte is loaded once.
#ifndef MN_DOT_H
#define MN_DOT_H

#include <stdint.h>

#define MN_LANES 4

// acc[k] += x . w_k over n elements for `lanes` (MN_LANES or 1) channels whose weights lie w_stride apart.
static inline void mn_dot(const int8_t *x, const int8_t *w, uint32_t w_stride, uint32_t n, uint32_t lanes,
                          uint32_t acc[MN_LANES])
{
  const int8_t *const end = x + n;
  uint32_t a0 = acc[0];

  if (lanes == MN_LANES) {
    const int8_t *w1 = w + w_stride, *w2 = w1 + w_stride, *w3 = w2 + w_stride;
    uint32_t a1 = acc[1], a2 = acc[2], a3 = acc[3];

    while (x != end) {
      const int32_t v = *x++;

      a0 += (uint32_t)(v * *w++);
      a1 += (uint32_t)(v * *w1++);
      a2 += (uint32_t)(v * *w2++);
      a3 += (uint32_t)(v * *w3++);
    }
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
  } else {
    while (x != end) {
      a0 += (uint32_t)(*x++ * *w++);
    }
  }
  acc[0] = a0;
}

#endif
