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
#define MN_TAP_LANES 12        // room for whole vectors

// Pixels side by side whose taps move on together. The order of the members is known to the assembly.
struct mn_run_mve {
  const int8_t *tap[MN_TAP_LANES];
  intptr_t step[MN_TAP_LANES]; // of the taps, from pixel to pixel
  int32_t blocks, pixels;
  const int8_t *weights;
  const int32_t *requant;
  int32_t activation;          // output zero point in the lower half, `ties` in the sign
  int8_t *out;
  intptr_t out_skip;           // from the end of a pixel's blocks to the next pixel
};

typedef void mn_blocks_of_run_mve(struct mn_run_mve *run);

// On to the next pixel, or to label 3 after the last one. [sp]: the run; r12: out.
#define MN_NEXT_PIXEL_MVE                \
  "ldr r0, [sp]\n"                       \
  "ldr r1, [r0, #100]\n"                  \
  "subs r1, r1, #1\n"                    \
  "beq 3f\n"                             \
  "str r1, [r0, #100]\n"                  \
  "ldr r2, [r0, #120]\n"                  \
  "add r12, r12, r2\n"                   \
  "ldr r1, [r0, #32]\n"                  \
  "ldr r2, [r0, #80]\n"                  \
  "vldrw.32 q0, [r0]\n"                  \
  "vldrw.32 q1, [r0, #48]\n"             \
  "vadd.i32 q0, q0, q1\n"                \
  "vldrw.32 q1, [r0, #16]\n"             \
  "vldrw.32 q2, [r0, #64]\n"             \
  "vadd.i32 q1, q1, q2\n"                \
  "vstrw.32 q0, [r0]\n"                  \
  "vstrw.32 q1, [r0, #16]\n"             \
  "add r1, r1, r2\n"                     \
  "str r1, [r0, #32]\n"                  \
  "b 1b\n"

// The taps of a row of outputs, as if the first window lay at column 0.
struct mn_row_mve {
  const int8_t *tap[MN_TAP_LANES];
  int32_t column[MN_TAP_LANES];        // of the tap; beyond any image where its row lies outside
};

#define MN_OUTSIDE INT32_C(0x40000000)

static inline void mn_row_mve(const struct mn_depthwise_s8_mve *p, const int8_t *in, int32_t oy, struct mn_row_mve *row)
{
  int32_t y = oy * p->stride_h - p->pad_top, k = 0;

  for (int32_t i = 0; i < p->kernel_h; i++, y += p->dilation_h) {
    const int32_t inside = y >= 0 && y < p->in_h;
    const int8_t *tap = inside ? in + mn_slot(y, p->in_ring) * p->in_w * p->in_step : in;
    int32_t column = inside ? 0 : MN_OUTSIDE;

    for (int32_t j = 0; j < p->kernel_w; j++, k++, column += p->dilation_w, tap += p->dilation_w * p->in_step) {
      row->tap[k] = tap;
      row->column[k] = column;
    }
  }
}

// The windows from input column x on. Taps outside the image, and those that fill up the nine, read the padding and stay.
static inline void mn_place_mve(const struct mn_depthwise_s8_mve *p, const struct mn_row_mve *row, int32_t x, intptr_t move,
                                struct mn_run_mve *run)
{
#if defined(__arm__)
  const int32_t ahead = x * p->in_step;

#define MN_PLACE_FOUR(at)                          \
  "vldrw.32 q0, [%0, #48 + " at "]\n"              \
  "vadd.i32 q0, q0, %2\n"                          \
  "vcmp.u32 cs, q0, %3\n"                          \
  "vldrw.32 q1, [%0, #" at "]\n"                   \
  "vadd.i32 q1, q1, %4\n"                          \
  "vpsel q1, q2, q1\n"                             \
  "vstrw.32 q1, [%1, #" at "]\n"                   \
  "vpsel q0, q4, q3\n"                             \
  "vstrw.32 q0, [%1, #48 + " at "]\n"
  __asm__ volatile("vdup.32 q2, %5\n"
                   "vdup.32 q3, %6\n"
                   "vmov.i32 q4, #0\n"
                   MN_PLACE_FOUR("0") MN_PLACE_FOUR("16") MN_PLACE_FOUR("32")
                   : : "r"(row), "r"(run), "r"(x), "r"(p->in_w), "r"(ahead), "r"(p->padding), "r"(move)
                   : "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "memory");
#else
  for (int32_t k = 0; k < MN_TAPS; k++) {
    const int32_t column = row->column[k] + x;
    const int32_t inside = column >= 0 && column < p->in_w;

    run->tap[k] = inside ? row->tap[k] + x * p->in_step : p->padding;
    run->step[k] = inside ? move : 0;
  }
#endif
}

// The channels after the last whole block, of one pixel: a block of the last channels.
static inline void mn_last_block_mve(const struct mn_run_mve *run, int32_t channels, int32_t block,
                                     mn_blocks_of_run_mve *blocks)
{
  const int32_t whole = channels / block, from = channels - block;
  struct mn_run_mve last = *run;

  for (int32_t k = 0; k < MN_TAPS; k++) {
    last.tap[k] += from;
  }
  last.pixels = last.blocks = 1;
  last.weights += whole * block * MN_TAPS;
  last.requant += whole * (2 * block + block / 4);
  last.out += from;
  blocks(&last);
}

// All pixels of rows from..to. block: how many channels `blocks` computes at once.
static inline void mn_walk_mve(const struct mn_depthwise_s8_mve *p, const int8_t *in, int8_t *out, int32_t from, int32_t to,
                               int32_t block, mn_blocks_of_run_mve *blocks)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);
  const int32_t channels = p->in_c, whole = channels / block, reach = (p->kernel_w - 1) * p->dilation_w;
  const int32_t move = rows.step * p->stride_w * p->in_step, all = whole * block == channels;
  // Pixels whose windows lie between the sides.
  const int32_t inner_first = (p->pad_left + p->stride_w - 1) / p->stride_w;
  const int32_t inner_end = p->in_w + p->pad_left > reach ? (p->in_w + p->pad_left - reach - 1) / p->stride_w + 1 : 0;
  struct mn_row_mve row;
  struct mn_run_mve run;

  run.blocks = whole;
  run.activation = (int32_t)((uint32_t)p->ties << 31 | (uint16_t)p->output_zero_point);
  run.weights = p->weights;
  run.requant = p->requant;
  run.out_skip = rows.step * p->out_step - whole * block;
  for (int32_t k = p->kernel_h * p->kernel_w; k < MN_TAP_LANES; k++) {
    row.tap[k] = in;
    row.column[k] = MN_OUTSIDE;
  }
  for (int32_t oy = rows.first; oy != rows.end; oy += rows.step) {
    int8_t *const u = out + mn_slot(oy, p->out_ring) * p->out_w * p->out_step;

    mn_row_mve(p, in, oy, &row);
    for (int32_t x = cols.first, pixels; x != cols.end; x += pixels * cols.step) {
      pixels = 1;
      if (all && x >= inner_first && x < inner_end) {
        pixels = cols.step > 0 ? inner_end - x : x - inner_first + 1;
      }
      mn_place_mve(p, &row, x * p->stride_w - p->pad_left, move, &run);
      run.pixels = pixels;
      run.out = u + x * p->out_step;
      blocks(&run);
      if (!all) {
        mn_last_block_mve(&run, channels, block, blocks);
      }
    }
    mn_clamp_pixels_mve(u, p->out_w, channels, p->out_step, p->low, p->high);
  }
}

#if !defined(__arm__)
// A run on the host; `lanes`: channels in the order of the requantization's lanes, for biases too.
static inline void mn_run_blocks_mve(struct mn_run_mve *run, int32_t block, const uint8_t *lanes)
{
  int8_t *out = run->out;

  for (int32_t left = run->pixels;;) {
    const int8_t *w = run->weights;
    const int32_t *requant = run->requant;

    for (int32_t b = 0; b < run->blocks; b++, out += block) {
      uint32_t sums[16] = {0};

      for (int32_t k = 0; k < MN_TAPS; k++, w += block) {
        for (int32_t c = 0; c < block; c++) {
          sums[c] += (uint32_t)(run->tap[k][b * block + c] * w[c]);
        }
      }
      requant = mn_block_mve(sums, requant, lanes, lanes, block, (int16_t)(uint16_t)run->activation, out);
    }
    if (--left == 0) {
      return;
    }
    out += run->out_skip;
    for (int32_t k = 0; k < MN_TAPS; k++) {
      run->tap[k] += run->step[k];
    }
  }
}
#endif

#endif
