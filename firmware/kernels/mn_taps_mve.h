// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution: which bytes a pixel's nine taps read, and the walk over the pixels. The kernels that include
// this differ in how many channels they compute at once.
#ifndef MN_TAPS_MVE_H
#define MN_TAPS_MVE_H

#include "mn_inline.h"
#include "mn_mve.h"
#include "mn_nn_mve.h"
#include "mn_rows.h"

#define MN_TAPS 9

// One pixel's blocks of channels. The order of the members is known to the assembly.
struct mn_pixel_mve {
  const int8_t *tap[MN_TAPS];
  int32_t blocks;
  int32_t activation;          // output zero point in the lower half, `ties` in the sign
  const int8_t *weights;
  const int32_t *requant;
  int8_t *out;
};

typedef void mn_blocks_of_pixel_mve(const struct mn_pixel_mve *pixel);

// Where the taps begin that do not move: taps outside the image, and those that fill up the nine, read the padding.
static inline void mn_place_taps_mve(const struct mn_depthwise_s8_mve *p, const int8_t *in, int32_t oy, int32_t ox,
                                     intptr_t move, const int8_t **tap, intptr_t *step)
{
  const int32_t x0 = ox * p->stride_w - p->pad_left;
  int32_t y = oy * p->stride_h - p->pad_top, k = 0;

  for (int32_t i = 0; i < p->kernel_h; i++, y += p->dilation_h) {
    const int32_t row_inside = y >= 0 && y < p->in_h;
    const int8_t *const row = row_inside ? in + mn_slot(y, p->in_ring) * p->in_w * p->in_c : in;
    int32_t x = x0;

    for (int32_t j = 0; j < p->kernel_w; j++, k++, x += p->dilation_w) {
      const int32_t inside = row_inside && x >= 0 && x < p->in_w;

      tap[k] = inside ? row + x * p->in_c : p->padding;
      step[k] = inside ? move : 0;
    }
  }
  for (; k < MN_TAPS; k++) {
    tap[k] = p->padding;
    step[k] = 0;
  }
}

static inline void mn_move_taps_mve(const int8_t **tap, const intptr_t *step)
{
#if defined(__arm__)
  __asm__ volatile("vldrw.32 q0, [%0]\n"
                   "vldrw.32 q1, [%1]\n"
                   "vadd.i32 q0, q0, q1\n"
                   "vldrw.32 q1, [%0, #16]\n"
                   "vldrw.32 q2, [%1, #16]\n"
                   "vadd.i32 q1, q1, q2\n"
                   "vstrw.32 q0, [%0]\n"
                   "vstrw.32 q1, [%0, #16]"
                   : : "r"(tap), "r"(step) : "d0", "d1", "d2", "d3", "d4", "d5", "memory");
  tap[8] += step[8];
#else
  for (int32_t k = 0; k < MN_TAPS; k++) {
    tap[k] += step[k];
  }
#endif
}

// All pixels of rows from..to. block: channels of `blocks`.
static inline void mn_walk_taps_mve(const struct mn_depthwise_s8_mve *p, const int8_t *in, int8_t *out, int32_t from,
                                    int32_t to, int32_t block, mn_blocks_of_pixel_mve *blocks)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);
  const int32_t channels = p->in_c, whole = channels / block, move = rows.step * p->stride_w * channels;
  const int32_t reach = (p->kernel_w - 1) * p->dilation_w;
  // Pixels whose windows lie between the sides: their taps move on together.
  const int32_t inner_first = (p->pad_left + p->stride_w - 1) / p->stride_w;
  const int32_t inner_end = p->in_w + p->pad_left > reach ? (p->in_w + p->pad_left - reach - 1) / p->stride_w + 1 : 0;
  struct mn_pixel_mve pixel;
  intptr_t step[MN_TAPS];

  pixel.blocks = whole;
  pixel.activation = (int32_t)((uint32_t)p->ties << 31 | (uint16_t)p->output_zero_point);
  pixel.weights = p->weights;
  pixel.requant = p->requant;
  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    int8_t *u = out + (mn_slot(y, p->out_ring) * p->out_w + cols.first) * channels;
    int32_t moves = 0;

    for (int32_t x = cols.first; x != cols.end; x += cols.step, u += cols.step * channels) {
      const int32_t inner = x >= inner_first && x < inner_end;

      if (inner & moves) {
        mn_move_taps_mve(pixel.tap, step);
      } else {
        mn_place_taps_mve(p, in, y, x, move, pixel.tap, step);
      }
      moves = inner;
      pixel.out = u;
      blocks(&pixel);
      if (whole * block != channels) {
        struct mn_pixel_mve last = pixel;

        for (int32_t k = 0; k < MN_TAPS; k++) {
          last.tap[k] += channels - block;
        }
        last.blocks = 1;
        last.weights += whole * block * MN_TAPS;
        last.requant += whole * (2 * block + block / 4);
        last.out += channels - block;
        blocks(&last);
      }
    }
    mn_clamp_mve(out + mn_slot(y, p->out_ring) * p->out_w * channels, p->out_w * channels, p->low, p->high);
  }
}

#if !defined(__arm__)
// Blocks of a pixel on the host; `lanes`: channels in the order of the requantization's lanes, for biases too.
static inline void mn_pixel_blocks_mve(const struct mn_pixel_mve *pixel, int32_t block, const uint8_t *lanes)
{
  const int8_t *w = pixel->weights;
  const int32_t *requant = pixel->requant;

  for (int32_t b = 0; b < pixel->blocks; b++) {
    uint32_t sums[16] = {0};

    for (int32_t k = 0; k < MN_TAPS; k++, w += block) {
      for (int32_t c = 0; c < block; c++) {
        sums[c] += (uint32_t)(pixel->tap[k][b * block + c] * w[c]);
      }
    }
    requant = mn_block_mve(sums, requant, lanes, lanes, block, (int16_t)(uint16_t)pixel->activation,
                           pixel->out + b * block);
  }
}
#endif

#endif
