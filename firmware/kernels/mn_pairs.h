// SPDX-License-Identifier: Apache-2.0
// Inner products of int4 weights: a byte holds those of two output channels, 16 * second + first + 8, so that its low
// half is a number from 0 to 15. With x the inputs, S = sum of byte * x and T = sum of low half * x, the second sum is
// (S - T) / 16 and the first T less eight times the sum of x: nothing has to be unpacked.
#ifndef MN_PAIRS_H
#define MN_PAIRS_H

#include "mn_runs.h"
#include "mn_window.h"

#define MN_LOW_HALF 15

// S and T of two pairs of channels, whose weights lie w_stride apart, are added to acc[4].
static MN_NOINLINE MN_ONE_INDEX void mn_dot_pairs(const struct mn_runs *r, const int8_t *x, const int8_t *w,
                                                  int32_t w_stride, uint32_t acc[4])
{
  uint32_t s0 = acc[0], t0 = acc[1], s1 = acc[2], t1 = acc[3];

  for (int32_t i = r->length > 0 ? 0 : r->count; i < r->count; i++) {
    // Three bases and one index that counts up to zero.
    const int8_t *const v = x + i * r->x_step + r->length, *const w0 = w + i * r->w_step + r->length;
    const int8_t *const w1 = w0 + w_stride;

    int32_t k = -r->length;

    do {
      const int32_t value = v[k], first = w0[k], second = w1[k];

      s0 += (uint32_t)(value * first);
      t0 += (uint32_t)(value * (first & MN_LOW_HALF));
      s1 += (uint32_t)(value * second);
      t1 += (uint32_t)(value * (second & MN_LOW_HALF));
    } while (++k);
  }
  acc[0] = s0;
  acc[1] = t0;
  acc[2] = s1;
  acc[3] = t1;
}

// The same for one pair.
static MN_NOINLINE void mn_dot_pair(const struct mn_runs *r, const int8_t *x, const int8_t *w, uint32_t acc[2])
{
  uint32_t s = acc[0], t = acc[1];

  for (int32_t i = 0; i < r->count; i++) {
    const int8_t *v = x + i * r->x_step, *u = w + i * r->w_step, *const end = v + r->length;

    for (; v != end; v++, u++) {
      s += (uint32_t)(*v * *u);
      t += (uint32_t)(*v * (*u & MN_LOW_HALF));
    }
  }
  acc[0] = s;
  acc[1] = t;
}

// The sum of the inputs.
static MN_NOINLINE uint32_t mn_sum_runs(const struct mn_runs *r, const int8_t *x)
{
  int32_t sum = 0;

  for (int32_t i = 0; i < r->count; i++) {
    sum += mn_sum(x + i * r->x_step, r->length);
  }
  return (uint32_t)sum;
}

// What one pair's taps outside rows x cols add to S and T; they read the input's zero point.
static inline void mn_pad_pair(const int8_t *w, int32_t kernel_h, int32_t kernel_w, int32_t depth,
                               struct mn_taps rows, struct mn_taps cols, int32_t zero_point, uint32_t acc[2])
{
  for (int32_t ky = 0; ky < kernel_h; ky++) {
    for (int32_t kx = 0; kx < kernel_w; kx++, w += depth) {
      if (ky >= rows.from && ky < rows.to && kx >= cols.from && kx < cols.to) {
        continue;
      }
      for (int32_t k = 0; k < depth; k++) {
        acc[0] += (uint32_t)(w[k] * zero_point);
        acc[1] += (uint32_t)((w[k] & MN_LOW_HALF) * zero_point);
      }
    }
  }
}

// S and T become the sums of the first and the second channel. inputs: the sum of x.
static inline void mn_part_pair(uint32_t acc[2], uint32_t inputs)
{
  const uint32_t second = (uint32_t)((int32_t)(acc[0] - acc[1]) >> 4);

  acc[0] = acc[1] - 8 * inputs;
  acc[1] = second;
}

#endif
