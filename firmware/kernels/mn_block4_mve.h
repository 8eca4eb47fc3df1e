// SPDX-License-Identifier: Apache-2.0
// All blocks of four output channels of two pixels whose windows lie in scratch, as assembly.
#ifndef MN_BLOCK4_MVE_H
#define MN_BLOCK4_MVE_H

#include "mn_inline.h"
#include "mn_mve.h"

// The order of the members is known to the assembly.
struct mn_job4_mve {
  const int8_t *x0, *x1;       // windows, filled up to whole steps with anything
  int32_t steps;
  int32_t ties;
  intptr_t pitch;              // from a byte of the first pixel's output to the second pixel's
  int8_t *end;                 // of the first pixel's blocks
  const int8_t *weights;
  const int32_t *requant;
  int8_t *out;                 // of the first pixel
  int32_t zero_point;
  uint32_t inputs8[2];         // int4 weights: eight times the sum of each window
};

// From sums in q0, q1 (pixels) and multipliers in q2 to bytes; then the next block at label 1, or the end.
#define MN_FINISH4 \
  "ldr r4, [sp, #12]\n" \
  "vqrdmulh.s32 q0, q0, q2\n" \
  "vqrdmulh.s32 q1, q1, q2\n" \
  "cbz r4, 4f\n" \
  "vshr.s32 q2, q0, #31\n" /* VRSHL rounds ties up: away from zero for one less than negatives */ \
  "vadd.i32 q0, q0, q2\n" \
  "vshr.s32 q2, q1, #31\n" \
  "vadd.i32 q1, q1, q2\n" \
  "4: vldrb.s32 q2, [r5], #4\n" \
  "ldrd r0, r2, [sp]\n" \
  "vrshl.s32 q0, q0, q2\n" \
  "vrshl.s32 q1, q1, q2\n" \
  "vqmovnb.s32 q0, q0\n" \
  "vqmovnt.s32 q0, q1\n" \
  "vqadd.s16 q0, q0, q7\n" \
  "vqmovnb.s16 q0, q0\n" \
  "add r0, r0, r7\n" \
  "vstrb.32 q0, [r7], #4\n" \
  "vshr.u32 q0, q0, #16\n" \
  "vstrb.32 q0, [r0]\n" \
  "cmp r7, r2\n" \
  "bne 1b\n" \
  "pop {r1, r2}\n" \
  "pop {r0, r1}"

#define MN_CLOBBERS4 \
  "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory", "d0", "d1", "d2", "d3", \
      "d4", "d5", "d6", "d7", "d14", "d15"

// One step. r1, r11: windows. r3: weights. r0 r2 r4 r6: sums of the first pixel, r8 r10 r12 lr: of the second.
#define MN_STEP4                    \
  "vldrb.8 q0, [r1], #16\n"         \
  "vldrb.8 q2, [r3], #16\n"         \
  "vmladava.s8 r0, q0, q2\n"        \
  "vldrb.8 q1, [r11], #16\n"         \
  "vmladava.s8 r8, q1, q2\n"        \
  "vldrb.8 q3, [r3], #16\n"         \
  "vmladava.s8 r2, q0, q3\n"        \
  "vldrb.8 q2, [r3], #16\n"         \
  "vmladava.s8 r10, q1, q3\n"       \
  "vldrb.8 q3, [r3], #16\n"         \
  "vmladava.s8 r4, q0, q2\n"        \
  "vmladava.s8 r12, q1, q2\n"       \
  "vmladava.s8 r6, q0, q3\n"        \
  "vmladava.s8 lr, q1, q3\n"

static inline void mn_blocks4_mve(const struct mn_job4_mve *given)
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
                   "1: ldr r0, [sp, #8]\n"
                   "ldrd r1, r11, [r0]\n"
                   "ldr r9, [r0, #8]\n"
                   "ldm r5!, {r0, r2, r4, r6}\n"
                   "mov r8, r0\n"
                   "mov r10, r2\n"
                   "mov r12, r4\n"
                   "mov lr, r6\n"
                   "tst r9, #1\n"
                   "bne 3f\n"
                   "2:\n" MN_STEP4
                   "3:\n" MN_STEP4
                   "subs r9, r9, #2\n"
                   "bgt 2b\n"
                   "vmov q0[2], q0[0], r0, r4\n"
                   "vmov q0[3], q0[1], r2, r6\n"
                   "vldrw.32 q2, [r5], #16\n"
                   "vmov q1[2], q1[0], r8, r12\n"
                   "vmov q1[3], q1[1], r10, lr\n"
                   MN_FINISH4
                   : "+r"(job)
                   :
                   : MN_CLOBBERS4);
#else
  static const uint8_t order[4] = {0, 1, 2, 3};
  const int8_t *w = given->weights;
  const int32_t *requant = given->requant;

  for (int8_t *out = given->out; out != given->end; out += 4, requant += 9) {
    uint32_t sums[2][4] = {{0}};

    for (int32_t at = 0; at < given->steps * MN_STEP; at += MN_STEP) {
      for (int32_t c = 0; c < 4; c++, w += MN_STEP) {
        sums[0][c] = mn_dot_mve(sums[0][c], given->x0 + at, w, MN_STEP);
        sums[1][c] = mn_dot_mve(sums[1][c], given->x1 + at, w, MN_STEP);
      }
    }
    mn_block_mve(sums[0], requant, order, order, 4, given->zero_point, out);
    mn_block_mve(sums[1], requant, order, order, 4, given->zero_point, out + given->pitch);
  }
#endif
}

#endif
