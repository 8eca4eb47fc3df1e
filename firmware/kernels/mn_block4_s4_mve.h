// SPDX-License-Identifier: Apache-2.0
// As mn_block4_mve.h with int4 weights: a byte holds two channels, 16 * second + first + 8. S, the sums of whole bytes,
// and T, of their low halves, give both channels back (mn_nn_mve.h).
#ifndef MN_BLOCK4_S4_MVE_H
#define MN_BLOCK4_S4_MVE_H

#include "mn_block4_mve.h"

// One step. q4: the mask of low halves. r0, r4: T of the first pixel's two pairs, r2, r6: S; r8, r12, r10, lr: of the
// second pixel's.
#define MN_STEP4_S4                 \
  "vldrb.8 q0, [r1], #16\n"         \
  "vldrb.8 q2, [r3], #16\n"         \
  "vmladava.s8 r2, q0, q2\n"        \
  "vldrb.8 q1, [r11], #16\n"        \
  "vmladava.s8 r10, q1, q2\n"       \
  "vand q3, q2, q4\n"               \
  "vmladava.s8 r0, q0, q3\n"        \
  "vldrb.8 q2, [r3], #16\n"         \
  "vmladava.s8 r8, q1, q3\n"        \
  "vand q3, q2, q4\n"               \
  "vmladava.s8 r6, q0, q2\n"        \
  "vmladava.s8 lr, q1, q2\n"        \
  "vmladava.s8 r4, q0, q3\n"        \
  "vmladava.s8 r12, q1, q3\n"

static inline void mn_blocks4_s4_mve(const struct mn_job4_mve *given)
{
#if defined(__arm__)
  register const struct mn_job4_mve *job __asm__("r0") = given;

  __asm__ volatile("ldr r1, [r0, #12]\n"
                   "push {r0, r1}\n"
                   "ldrd r2, r3, [r0, #20]\n"     // end, weights
                   "ldr r1, [r0, #16]\n"          // pitch
                   "push {r1, r2}\n"
                   "ldrd r5, r7, [r0, #28]\n"    // requant, out
                   "ldr r1, [r0, #36]\n"
                   "vdup.16 q7, r1\n"
                   "vmov.i8 q4, #15\n"
                   "1: ldr r0, [sp, #8]\n"
                   "ldrd r1, r11, [r0]\n"
                   "ldr r9, [r0, #8]\n"
                   "movs r0, #0\n"
                   "movs r2, #0\n"
                   "movs r4, #0\n"
                   "movs r6, #0\n"
                   "mov r8, r0\n"
                   "mov r10, r0\n"
                   "mov r12, r0\n"
                   "mov lr, r0\n"
                   "tst r9, #1\n"
                   "bne 3f\n"
                   "2:\n" MN_STEP4_S4
                   "3:\n" MN_STEP4_S4
                   "subs r9, r9, #2\n"
                   "bgt 2b\n"
                   "ldr r1, [sp, #8]\n"
                   "ldrd r9, r11, [r1, #40]\n"    // inputs8
                   "subs r2, r2, r0\n"
                   "subs r6, r6, r4\n"
                   "sub r10, r10, r8\n"
                   "sub lr, lr, r12\n"
                   "asrs r2, r2, #4\n"
                   "asrs r6, r6, #4\n"
                   "asr r10, r10, #4\n"
                   "asr lr, lr, #4\n"
                   "sub r0, r0, r9\n"
                   "sub r4, r4, r9\n"
                   "sub r8, r8, r11\n"
                   "sub r12, r12, r11\n"
                   "vldrw.32 q3, [r5], #16\n"
                   "vmov q0[2], q0[0], r0, r4\n"
                   "vmov q0[3], q0[1], r2, r6\n"
                   "vmov q1[2], q1[0], r8, r12\n"
                   "vmov q1[3], q1[1], r10, lr\n"
                   "vadd.i32 q0, q0, q3\n"
                   "vldrw.32 q2, [r5], #16\n"
                   "vadd.i32 q1, q1, q3\n"
                   MN_FINISH4
                   : "+r"(job)
                   :
                   : MN_CLOBBERS4, "d8", "d9");
#else
  static const uint8_t order[4] = {0, 1, 2, 3};
  const int8_t *w = given->weights;
  const int32_t *requant = given->requant;

  for (int8_t *out = given->out; out != given->end; out += 4, requant += 9) {
    uint32_t sums[2][4] = {{0}};

    for (int32_t at = 0; at < given->steps * MN_STEP; at += MN_STEP) {
      for (int32_t c = 0; c < 4; c += 2, w += MN_STEP) {
        for (int32_t pixel = 0; pixel < 2; pixel++) {
          const int8_t *const x = (pixel == 0 ? given->x0 : given->x1) + at;

          sums[pixel][c] = mn_dot_low_mve(sums[pixel][c], x, w, MN_STEP);
          sums[pixel][c + 1] = mn_dot_mve(sums[pixel][c + 1], x, w, MN_STEP);
        }
      }
    }
    for (int32_t c = 0; c < 4; c += 2) {
      mn_part_mve(sums[0] + c, given->inputs8[0]);
      mn_part_mve(sums[1] + c, given->inputs8[1]);
    }
    mn_block_mve(sums[0], requant, order, order, 4, given->zero_point, out);
    mn_block_mve(sums[1], requant, order, order, 4, given->zero_point, out + given->pitch);
  }
#endif
}

#endif
