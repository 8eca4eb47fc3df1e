// SPDX-License-Identifier: Apache-2.0
// Inner products of int8 runs, several output channels at a time so that each input byte is loaded once.
#ifndef MN_DOT_H
#define MN_DOT_H

#include "mn_runs.h"

#define MN_LANES 4

// acc[k] += x . w_k for MN_LANES channels whose weights lie w_stride apart.
static MN_NOINLINE MN_ONE_INDEX void mn_dot_lanes(const struct mn_runs *r, const int8_t *x, const int8_t *w,
                                                  int32_t w_stride, uint32_t acc[MN_LANES])
{
  uint32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];

  for (int32_t i = r->length > 0 ? 0 : r->count; i < r->count; i++) {
    // Five bases and one index that counts up to zero.
    const int8_t *const v = x + i * r->x_step + r->length, *const w0 = w + i * r->w_step + r->length;
    const int8_t *const w1 = w0 + w_stride, *const w2 = w1 + w_stride, *const w3 = w2 + w_stride;

    int32_t k = -r->length;

    do {
      const int32_t value = v[k];

      a0 += (uint32_t)(value * w0[k]);
      a1 += (uint32_t)(value * w1[k]);
      a2 += (uint32_t)(value * w2[k]);
      a3 += (uint32_t)(value * w3[k]);
    } while (++k);
  }
  acc[0] = a0;
  acc[1] = a1;
  acc[2] = a2;
  acc[3] = a3;
}

// x . w for one channel.
static MN_NOINLINE uint32_t mn_dot_one(const struct mn_runs *r, const int8_t *x, const int8_t *w)
{
  uint32_t acc = 0;

  for (int32_t i = 0; i < r->count; i++) {
    const int8_t *v = x + i * r->x_step, *u = w + i * r->w_step, *const end = v + r->length;

    while (v != end) {
      acc += (uint32_t)(*v++ * *u++);
    }
  }
  return acc;
}

#endif
