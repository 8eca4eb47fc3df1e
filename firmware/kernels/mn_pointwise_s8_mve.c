// SPDX-License-Identifier: Apache-2.0
// 1x1 convolution of up to 64 channels: a pixel stays in vector registers while all weights pass by.
#include "mn_mve.h"

#if MN_HAS_MVE
#include "mn_block8_mve.h"
#include "mn_inline.h"
#include "mn_nn_mve.h"
#include "mn_rows.h"

// Pixels in a row, all their whole blocks. The order of the members is known to the assembly.
struct run {
  const int8_t *x;             // last step of the pixel
  intptr_t x_step;
  int32_t steps;
  const int8_t *weights;
  const int32_t *requant;
  int32_t blocks;
  intptr_t out_skip;           // from the end of a pixel's blocks to the next pixel
  int32_t pixels;
  int32_t ties, last_bytes, zero_point;
  int8_t *out;
};

#if !defined(__arm__)
static const uint8_t order[8] = {0, 2, 4, 6, 1, 3, 5, 7};
static const uint8_t in_order[8] = {0, 1, 2, 3, 4, 5, 6, 7};

// One block on the host: x holds `depth` bytes, weights are [step][8][16].
static void host_block(const int8_t *x, int32_t depth, const int8_t **w, const int32_t **requant,
                                 int32_t zero_point, int8_t *out)
{
  uint32_t sums[8] = {0};

  for (int32_t at = 0; at < depth; at += MN_STEP) {
    const int32_t bytes = depth - at < MN_STEP ? depth - at : MN_STEP;

    for (int32_t c = 0; c < 8; c++, *w += MN_STEP) {
      sums[c] = mn_dot_mve(sums[c], x + at, *w, bytes);
    }
  }
  *requant = mn_block_mve(sums, *requant, order, in_order, 8, zero_point, out);
}
#endif

static MN_NOINLINE void blocks(struct run *run)
{
#if defined(__arm__)
  register struct run *job __asm__("r0") = run;

  __asm__ volatile("push {r0}\n"
                   "ldr r1, [r0, #36]\n"
                   "vctp.8 r1\n"                  // holds to the end: the bytes of the last step
                   "ldrd r1, r7, [r0, #40]\n"
                   "vdup.16 q7, r1\n"
                   "ldr r1, [r0, #8]\n"
                   ".p2align 2\n"                 // ADR counts from words: the section must begin with one
                   "adr r9, 5f\n"                 // where as many steps as the depth has begin
                   "sub r9, r9, r1, lsl #6\n"
                   "orr r9, r9, #1\n"
                   "1: ldr r0, [sp]\n"
                   "ldrd r1, r2, [r0]\n"
                   "ldrd r4, r3, [r0, #8]\n"
                   "add r2, r2, r1\n"
                   "str r2, [r0]\n"
                   "vpst\n"
                   "vldrbt.8 q3, [r1]\n"
                   "cmp r4, #2\n"
                   "blt 2f\n"
                   "vldrb.8 q2, [r1, #-16]\n"
                   "beq 2f\n"
                   "vldrb.8 q1, [r1, #-32]\n"
                   "cmp r4, #3\n"
                   "beq 2f\n"
                   "vldrb.8 q0, [r1, #-48]\n"
                   "2: ldrd r5, r11, [r0, #16]\n"
                   "ldr r1, [r0, #32]\n"
                   "3:\n" MN_BIAS8
                   "bx r9\n"
                   MN_STEP8("q0") MN_STEP8("q1") MN_STEP8("q2") MN_STEP8("q3")
                   "5:\n" MN_FINISH8("r1")
                   "subs r11, r11, #1\n"
                   "bne 3b\n"
                   "ldr r0, [sp]\n"
                   "ldrd r1, r2, [r0, #24]\n"
                   "add r7, r7, r1\n"
                   "subs r2, r2, #1\n"
                   "str r2, [r0, #28]\n"
                   "bne 1b\n"
                   "pop {r0}"
                   : "+r"(job) : : MN_CLOBBERS_MVE);
#else
  for (; run->pixels > 0; run->pixels--, run->x += run->x_step, run->out += run->out_skip) {
    const int32_t before = (run->steps - 1) * MN_STEP;
    const int8_t *w = run->weights;
    const int32_t *requant = run->requant;
    int8_t x[4 * MN_STEP];

    memcpy(x, run->x - before, (size_t)(before + run->last_bytes));
    for (int32_t b = 0; b < run->blocks; b++, run->out += 8) {
      host_block(x, before + run->last_bytes, &w, &requant, run->zero_point, run->out);
    }
  }
#endif
}

void mn_pointwise_s8_mve(const struct mn_pointwise_s8_mve *p, const int8_t *in, int8_t *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to);
  const int32_t depth = p->depth, outputs = p->outputs, width = p->width, whole = outputs & ~7;
  const int32_t steps = (depth + MN_STEP - 1) / MN_STEP, before = (steps - 1) * MN_STEP;
  const int32_t first = rows.step > 0 ? 0 : width - 1, group = whole == outputs ? width : 1;

  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    const int8_t *x = in + (mn_slot(y, p->in_ring) * width + first) * p->in_step;
    int8_t *u = out + (mn_slot(y, p->out_ring) * width + first) * p->out_step;

    for (int32_t left = width; left > 0; left -= group) {
      int8_t rest[8];
      struct run run = {x + before, rows.step * p->in_step, steps, p->weights, p->requant, whole / 8,
                        rows.step * p->out_step - whole, group, p->ties, depth - before, p->output_zero_point, u};

      if (whole != outputs) {
        mn_single_channels_mve(x, depth, p->weights + steps * MN_STEP * whole, p->requant + whole / 8 * 18,
                               outputs - whole, p->output_zero_point, rest);
      }
      if (whole > 0) {
        blocks(&run);
      }
      // cppcheck-suppress uninitvar  // as many are copied as the loop has written
      memcpy(u + whole, rest, (size_t)(outputs - whole));
      x += rows.step * p->in_step;     // group is 1 or the whole row
      u += rows.step * p->out_step;
    }
    mn_clamp_pixels_mve(out + mn_slot(y, p->out_ring) * width * p->out_step, width, outputs, p->out_step, p->low,
                        p->high);
  }
}

#endif
