// SPDX-License-Identifier: Apache-2.0
// What the kernels for the M-profile vector extension share. Their innermost loops are assembly; on the host the same
// arithmetic in C stands in, so that sanitizers run the code around it.
#ifndef MN_MVE_H
#define MN_MVE_H

#if defined(__ARM_FEATURE_MVE) || !defined(__arm__)
#define MN_HAS_MVE 1
#else
#define MN_HAS_MVE 0
#endif

#if MN_HAS_MVE
#include <stdint.h>
#include <string.h>

#include "mn_math.h"

#define MN_STEP 16      // bytes of a vector

// Copies bytes that do not overlap.
static inline void mn_copy_mve(int8_t *to, const int8_t *from, int32_t bytes)
{
#if defined(__arm__)
  __asm__ volatile("wlstp.8 lr, %2, 2f\n"
                   "1: vldrb.8 q0, [%1], #16\n"
                   "vstrb.8 q0, [%0], #16\n"
                   "letp lr, 1b\n"
                   "2:"
                   : "+r"(to), "+r"(from) : "r"(bytes) : "lr", "d0", "d1", "memory");
#else
  memcpy(to, from, (size_t)bytes);
#endif
}

static inline void mn_fill_mve(int8_t *to, int8_t value, int32_t bytes)
{
#if defined(__arm__)
  __asm__ volatile("vdup.8 q0, %2\n"
                   "wlstp.8 lr, %1, 2f\n"
                   "1: vstrb.8 q0, [%0], #16\n"
                   "letp lr, 1b\n"
                   "2:"
                   : "+r"(to) : "r"(bytes), "r"(value) : "lr", "d0", "d1", "memory");
#else
  memset(to, value, (size_t)bytes);
#endif
}

// acc + the sum of products of `count` bytes, count > 0; nothing beyond them is read.
static inline uint32_t mn_dot_mve(uint32_t acc, const int8_t *x, const int8_t *w, int32_t count)
{
#if defined(__arm__)
  __asm__("dlstp.8 lr, %3\n"
          "1: vldrb.8 q0, [%1], #16\n"
          "vldrb.8 q1, [%2], #16\n"
          "vmladava.s8 %0, q0, q1\n"
          "letp lr, 1b"
          : "+Te"(acc), "+r"(x), "+r"(w) : "r"(count) : "lr", "d0", "d1", "d2", "d3", "memory");
#else
  for (int32_t i = 0; i < count; i++) {
    acc += (uint32_t)(x[i] * w[i]);
  }
#endif
  return acc;
}

// The same with the low halves of w as numbers from 0 to 15.
static inline uint32_t mn_dot_low_mve(uint32_t acc, const int8_t *x, const int8_t *w, int32_t count)
{
#if defined(__arm__)
  __asm__("vmov.i8 q2, #15\n"
          "dlstp.8 lr, %3\n"
          "1: vldrb.8 q0, [%1], #16\n"
          "vldrb.8 q1, [%2], #16\n"
          "vand q1, q1, q2\n"
          "vmladava.s8 %0, q0, q1\n"
          "letp lr, 1b"
          : "+Te"(acc), "+r"(x), "+r"(w) : "r"(count) : "lr", "d0", "d1", "d2", "d3", "d4", "d5", "memory");
#else
  for (int32_t i = 0; i < count; i++) {
    acc += (uint32_t)(x[i] * (w[i] & 15));
  }
#endif
  return acc;
}

// The sum of `count` bytes, count > 0.
static inline int32_t mn_sum_mve(const int8_t *x, int32_t count)
{
  int32_t sum = 0;

#if defined(__arm__)
  __asm__("dlstp.8 lr, %2\n"
          "1: vldrb.8 q0, [%1], #16\n"
          "vaddva.s8 %0, q0\n"
          "letp lr, 1b"
          : "+Te"(sum), "+r"(x) : "r"(count) : "lr", "d0", "d1", "memory");
#else
  for (int32_t i = 0; i < count; i++) {
    sum += x[i];
  }
#endif
  return sum;
}

// T and S become the sums of a pair's first and second channel. inputs8: eight times the sum of x.
static inline void mn_part_mve(uint32_t sums[2], uint32_t inputs8)
{
  sums[1] = (uint32_t)((int32_t)(sums[1] - sums[0]) >> 4);
  sums[0] -= inputs8;
}

// A sum to its output byte; shift is negative or 0.
static inline int8_t mn_scale_down_mve(uint32_t sum, int32_t multiplier, int32_t shift, int32_t zero_point)
{
  const int32_t scaled = mn_rounding_shift(mn_srdhm((int32_t)sum, multiplier), -shift);

  return mn_clamp_s8(mn_add_wrap(scaled, zero_point), INT8_MIN, INT8_MAX);
}

// Channels after the last block: their weights one after another, three words of requantization each.
static inline void mn_single_channels_mve(const int8_t *x, int32_t depth, const int8_t *w, const int32_t *requant,
                                          int32_t count, int32_t zero_point, int8_t *out)
{
  for (int32_t c = 0; c < count; c++, w += depth, requant += 3) {
    out[c] = mn_scale_down_mve(mn_dot_mve((uint32_t)requant[0], x, w, depth), requant[1], requant[2], zero_point);
  }
}

// Limits of a fused activation narrower than int8.
static inline void mn_clamp_mve(int8_t *x, int32_t count, int32_t low, int32_t high)
{
  if (low == INT8_MIN && high == INT8_MAX) {
    return;
  }
#if defined(__arm__)
  __asm__ volatile("vdup.8 q1, %2\n"
                   "vdup.8 q2, %3\n"
                   "wlstp.8 lr, %1, 2f\n"
                   "1: vldrb.8 q0, [%0]\n"
                   "vmax.s8 q0, q0, q1\n"
                   "vmin.s8 q0, q0, q2\n"
                   "vstrb.8 q0, [%0], #16\n"
                   "letp lr, 1b\n"
                   "2:"
                   : "+r"(x) : "r"(count), "r"(low), "r"(high) : "lr", "d0", "d1", "d2", "d3", "d4", "d5", "memory");
#else
  for (int32_t i = 0; i < count; i++) {
    x[i] = mn_clamp_s8(x[i], low, high);
  }
#endif
}

// The same for pixels of `channels` bytes that lie `step` bytes apart.
static inline void mn_clamp_pixels_mve(int8_t *x, int32_t pixels, int32_t channels, int32_t step, int32_t low,
                                       int32_t high)
{
  if (step == channels) {
    mn_clamp_mve(x, pixels * channels, low, high);
    return;
  }
  for (; pixels > 0; pixels--, x += step) {
    mn_clamp_mve(x, channels, low, high);
  }
}

#if !defined(__arm__)
// One block of `channels` outputs on the host: `order` says which channel each lane of the requantization table holds.
static inline const int32_t *mn_block_mve(const uint32_t *sums, const int32_t *requant, const uint8_t *order,
                                          const uint8_t *bias_order, int32_t channels, int32_t zero_point,
                                          int8_t *out)
{
  const int8_t *const shifts = (const int8_t *)(requant + 2 * channels);
  uint32_t bias[16];

  for (int32_t lane = 0; lane < channels; lane++) {
    bias[bias_order[lane]] = (uint32_t)requant[lane];
  }
  for (int32_t lane = 0; lane < channels; lane++) {
    const int32_t c = order[lane];

    out[c] = mn_requantize_s8(sums[c] + bias[c], requant[channels + lane], shifts[lane], zero_point, INT8_MIN, INT8_MAX);
  }
  return requant + 2 * channels + channels / 4;
}
#endif

#endif
#endif
