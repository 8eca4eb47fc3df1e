// SPDX-License-Identifier: Apache-2.0
// mn_dot_s16.h with the DSP extension: four products of a channel take five instructions.
#ifndef MN_DOT_S16_DSP_H
#define MN_DOT_S16_DSP_H

#include "mn_dsp.h"
#include "mn_runs.h"

#define MN_S16_LANES 4
#define MN_S16_PRODUCTS 508       // in a sum of 32 bits: each is at most 2^22

// Weights lie as bytes (w0, w1, w2, w3); even and odd hold the inputs (x0, x2) and (x1, x3).
static inline uint32_t mn_four_s16(uint32_t even, uint32_t odd, const int8_t *w, uint32_t acc)
{
  const uint32_t weights = mn_load_word(w);

  return mn_smlad(odd, mn_widen_odd(weights), mn_smlad(even, mn_widen_even(weights), acc));
}

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
  uint32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
  int32_t room = MN_S16_PRODUCTS;

  for (int32_t i = 0; i < r->count; i++) {
    const int16_t *v = x + i * r->x_step;
    const int8_t *u = w + i * r->w_step;

    for (int32_t left = r->length, n; left > 0; left -= n) {
      n = left < room ? left : room;

      const int8_t *u2 = u + 2 * w_stride;
      const int16_t *const end = v + n, *const fours = v + (n & ~3);

      while (v != fours) {
        const uint32_t first = mn_load_word(v), second = mn_load_word(v + 2);
        const uint32_t even = mn_low_halves(first, second), odd = mn_high_halves(first, second);

        a0 = mn_four_s16(even, odd, u, a0);
        a1 = mn_four_s16(even, odd, u + w_stride, a1);
        a2 = mn_four_s16(even, odd, u2, a2);
        a3 = mn_four_s16(even, odd, u2 + w_stride, a3);
        v += 4;
        u += 4;
        u2 += 4;
      }
      for (; v != end; u++, u2++) {
        const int32_t value = *v++;

        a0 += (uint32_t)(value * u[0]);
        a1 += (uint32_t)(value * u[w_stride]);
        a2 += (uint32_t)(value * u2[0]);
        a3 += (uint32_t)(value * u2[w_stride]);
      }
      room -= n;
      if (room == 0) {
        mn_add_lanes_s16(acc, (int32_t)a0, (int32_t)a1, (int32_t)a2, (int32_t)a3);
        a0 = a1 = a2 = a3 = 0;
        room = MN_S16_PRODUCTS;
      }
    }
  }
  mn_add_lanes_s16(acc, (int32_t)a0, (int32_t)a1, (int32_t)a2, (int32_t)a3);
}

// x . w for one channel.
static MN_NOINLINE int64_t mn_dot_one_s16(const struct mn_runs *r, const int16_t *x, const int8_t *w)
{
  int64_t acc = 0;
  uint32_t sum = 0;
  int32_t room = MN_S16_PRODUCTS;

  for (int32_t i = 0; i < r->count; i++) {
    const int16_t *v = x + i * r->x_step;
    const int8_t *u = w + i * r->w_step;

    for (int32_t left = r->length, n; left > 0; left -= n) {
      n = left < room ? left : room;

      const int16_t *const end = v + n, *const fours = v + (n & ~3);

      for (; v != fours; v += 4, u += 4) {
        const uint32_t first = mn_load_word(v), second = mn_load_word(v + 2);

        sum = mn_four_s16(mn_low_halves(first, second), mn_high_halves(first, second), u, sum);
      }
      while (v != end) {
        sum += (uint32_t)(*v++ * *u++);
      }
      room -= n;
      if (room == 0) {
        acc += (int32_t)sum;
        sum = 0;
        room = MN_S16_PRODUCTS;
      }
    }
  }
  return acc + (int32_t)sum;
}

#endif
