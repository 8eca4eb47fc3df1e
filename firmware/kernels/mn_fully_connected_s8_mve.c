// SPDX-License-Identifier: Apache-2.0
// Fully connected layer: eight output channels per pass over a pixel.
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
  int32_t rest, ties;          // bytes after them
  const int8_t *weights;
  const int32_t *requant;
  int32_t blocks;
  int32_t zero_point;
  int8_t *out;
};

static MN_NOINLINE void blocks(const struct job *given)
{
#if defined(__arm__)
  register const struct job *job __asm__("r0") = given;

  __asm__ volatile("ldrd r1, r2, [r0, #8]\n"
                   "push {r0, r1, r2}\n"
                   "vctp.8 r1\n"
                   "ldrd r3, r5, [r0, #16]\n"
                   "ldrd r11, r1, [r0, #24]\n"
                   "vdup.16 q7, r1\n"
                   "ldr r7, [r0, #32]\n"
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
                   "5: ldr r1, [sp, #8]\n" MN_FINISH8("r1")
                   "subs r11, r11, #1\n"
                   "bne 1b\n"
                   "pop {r0, r1, r2}"
                   : "+r"(job) : : MN_CLOBBERS_MVE);
#else
  const int8_t *w = given->weights;
  const int32_t *requant = given->requant;
  int8_t *out = given->out;

  for (int32_t b = 0; b < given->blocks; b++, out += 8) {
    mn_block8_mve(given->x, given->steps * MN_STEP + given->rest, &w, &requant, given->zero_point, out);
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
      const struct job job = {x, depth / MN_STEP, depth % MN_STEP, p->ties, p->weights, p->requant, whole / 8,
                              p->output_zero_point, u};
      int8_t rest[8];

      mn_single_channels_mve(x, depth, p->weights + (depth + MN_STEP - 1) / MN_STEP * MN_STEP * whole,
                             p->requant + whole / 8 * 18, outputs - whole, p->output_zero_point, rest);
      if (whole > 0) {
        blocks(&job);
      }
      memcpy(u + whole, rest, (size_t)(outputs - whole));
      mn_clamp_mve(u, outputs, p->low, p->high);
    }
  }
}

#endif
