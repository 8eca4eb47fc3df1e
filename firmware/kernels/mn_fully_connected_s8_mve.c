// SPDX-License-Identifier: Apache-2.0
// Fully connected layer with one scale for all channels: eight of them per pass over a pixel.
#include "mn_mve.h"

#if MN_HAS_MVE
#include "mn_block8_mve.h"
#include "mn_inline.h"
#include "mn_nn_mve.h"
#include "mn_rows.h"

// One pixel, its whole blocks. The order of the members is known to the assembly.
struct job {
  const int8_t *x;
  int32_t steps;               // whole ones
  int32_t rest, multiplier, shift, ties;       // rest: bytes after the whole steps
  const int8_t *weights;
  const int32_t *bias;
  int32_t blocks;
  int32_t zero_point;
  int8_t *out;
};

static MN_NOINLINE void blocks(const struct job *given)
{
#if defined(__arm__)
  register const struct job *job __asm__("r0") = given;

  __asm__ volatile("add r1, r0, #8\n"
                   "ldm r1, {r1, r2, r3, r4}\n"
                   "push {r0, r1, r2, r3, r4}\n"
                   "vctp.8 r1\n"
                   "ldrd r3, r5, [r0, #24]\n"
                   "ldrd r11, r1, [r0, #32]\n"
                   "vdup.16 q7, r1\n"
                   "ldr r7, [r0, #40]\n"
                   "1: ldr r0, [sp]\n"
                   "ldrd r1, r9, [r0]\n" MN_BIAS8
                   "cmp r9, #0\n"
                   "beq 4f\n"
                   "tst r9, #1\n"
                   "bne 3f\n"
                   "2: vldrb.8 q0, [r1], #16\n" MN_STEP8("q0")
                   "3: vldrb.8 q1, [r1], #16\n" MN_STEP8("q1")
                   "subs r9, r9, #2\n"
                   "bgt 2b\n"
                   "4: ldr r9, [sp, #4]\n"
                   "cmp r9, #0\n"
                   "beq 5f\n"
                   "vpst\n"
                   "vldrbt.8 q0, [r1]\n" MN_STEP8("q0")
                   "5:\n" MN_LANES8
                   "ldrd r0, r2, [sp, #8]\n"
                   "ldr r4, [sp, #16]\n"
                   "vqrdmulh.s32 q4, q4, r0\n"
                   "vqrdmulh.s32 q5, q5, r0\n"
                   "cbz r4, 6f\n" MN_AWAY_FROM_ZERO8
                   "6: vrshl.s32 q4, r2\n"
                   "vrshl.s32 q5, r2\n" MN_STORE8
                   "subs r11, r11, #1\n"
                   "bne 1b\n"
                   "pop {r0, r1, r2, r3, r4}"
                   : "+r"(job) : : MN_CLOBBERS_MVE);
#else
  const int8_t *w = given->weights;
  const int32_t depth = given->steps * MN_STEP + given->rest;

  for (int32_t b = 0; b < given->blocks; b++) {
    for (int32_t c = 8 * b; c < 8 * b + 8; c++) {
      uint32_t sum = (uint32_t)given->bias[c];

      for (int32_t at = 0; at < depth; at += MN_STEP) {
        sum = mn_dot_mve(sum, given->x + at, w + at * 8 + c % 8 * MN_STEP, depth - at < MN_STEP ? depth - at : MN_STEP);
      }
      given->out[c] = mn_scale_down_mve(sum, given->multiplier, given->shift, given->zero_point);
    }
    w += (depth + MN_STEP - 1) / MN_STEP * MN_STEP * 8;
  }
#endif
}

void mn_fully_connected_s8_mve(const struct mn_fully_connected_s8_mve *p, const int8_t *in, int8_t *out, int32_t from,
                               int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->width);
  const int32_t depth = p->depth, outputs = p->outputs, whole = outputs & ~7;

  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    for (int32_t c = cols.first; c != cols.end; c += cols.step) {
      const int8_t *const x = in + (mn_slot(y, p->in_ring) * p->width + c) * depth;
      int8_t *const u = out + (mn_slot(y, p->out_ring) * p->width + c) * outputs;
      const struct job job = {x, depth / MN_STEP, depth % MN_STEP, p->multiplier, p->shift, p->ties, p->weights, p->bias,
                              whole / 8, p->output_zero_point, u};
      const int8_t *w = p->weights + (depth + MN_STEP - 1) / MN_STEP * MN_STEP * whole;
      int8_t rest[8];

      for (int32_t k = whole; k < outputs; k++, w += depth) {
        rest[k - whole] = mn_scale_down_mve(mn_dot_mve((uint32_t)p->bias[k], x, w, depth), p->multiplier, p->shift,
                                            p->output_zero_point);
      }
      if (whole > 0) {
        blocks(&job);
      }
      // cppcheck-suppress uninitvar  // as many are copied as the loop has written
      memcpy(u + whole, rest, (size_t)(outputs - whole));
      mn_clamp_mve(u, outputs, p->low, p->high);
    }
  }
}

#endif
