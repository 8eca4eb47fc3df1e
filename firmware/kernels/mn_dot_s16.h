// SPDX-License-Identifier: Apache-2.0
// Inner products of int16 runs with int8 weights, several output channels at a time so that each input is loaded once.
#ifndef MN_DOT_S16_H
#define MN_DOT_S16_H

#include "mn_runs.h"

#define MN_S16_LANES 4
#define MN_S16_PRODUCTS 508       // in a sum of 32 bits: each is at most 2^22

static inline void mn_add_lanes_s16(int64_t acc[MN_S16_LANES], int32_t a0, int32_t a1, int32_t a2, int32_t a3)
{
  acc[0] += a0;
  acc[1] += a1;
  acc[2] += a2;
  acc[3] += a3;
}

// acc[k] += x . w_k for MN_S16_LANES channels whose weights lie w_stride apart. Runs and steps in values.
static MN_NOINLINE MN_ONE_INDEX void mn_dot_lanes_s16(const struct mn_runs *r, const int16_t *x, const int8_t *w,
                                                      int32_t w_stride, int64_t acc[MN_S16_LANES])
{
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
  int32_t room = MN_S16_PRODUCTS;

  for (int32_t i = 0; i < r->count; i++) {
    const int16_t *v = x + i * r->x_step;
    const int8_t *u = w + i * r->w_step;

    for (int32_t left = r->length, n; left > 0; left -= n) {
      n = left < room ? left : room;
      v += n;
      u += n;

      // Five bases and one index that counts up to zero.
      const int8_t *const w1 = u + w_stride, *const w2 = w1 + w_stride, *const w3 = w2 + w_stride;
      int32_t k = -n;

      do {
        const int32_t value = v[k];

        a0 += value * u[k];
        a1 += value * w1[k];
        a2 += value * w2[k];
        a3 += value * w3[k];
      } while (++k);
      room -= n;
      if (room == 0) {
        mn_add_lanes_s16(acc, a0, a1, a2, a3);
        a0 = a1 = a2 = a3 = 0;
        room = MN_S16_PRODUCTS;
      }
    }
  }
  mn_add_lanes_s16(acc, a0, a1, a2, a3);
}

// x . w for one channel.
static MN_NOINLINE int64_t mn_dot_one_s16(const struct mn_runs *r, const int16_t *x, const int8_t *w)
{
  int64_t acc = 0;
  int32_t sum = 0;
  int32_t room = MN_S16_PRODUCTS;

  for (int32_t i = 0; i < r->count; i++) {
    const int16_t *v = x + i * r->x_step;
    const int8_t *u = w + i * r->w_step;

    for (int32_t left = r->length, n; left > 0; left -= n) {
      n = left < room ? left : room;
      for (const int16_t *const end = v + n; v != end;) {
        sum += *v++ * *u++;
      }
      room -= n;
      if (room == 0) {
        acc += sum;
        sum = 0;
        room = MN_S16_PRODUCTS;
      }
    }
  }
  return acc + sum;
}

#endif
