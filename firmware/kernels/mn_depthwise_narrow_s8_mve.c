// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution, eight channels at a time: for tensors whose channels are no multiple of 16.
#include "mn_mve.h"

#if MN_HAS_MVE
#include "mn_taps_mve.h"

// 16-bit products in q2, sums in q0 (even channels) and q1.
#define FIRST(tap)                       \
  "vldrb.s16 q2, [" tap "], #8\n"        \
  "vldrb.s16 q3, [r6], #8\n"             \
  "vmul.i16 q2, q2, q3\n"
#define SECOND(tap)                      \
  "vldrb.s16 q3, [" tap "], #8\n"        \
  "vldrb.s16 q4, [r6], #8\n"             \
  "vmul.i16 q3, q3, q4\n"                \
  "vadd.i16 q2, q2, q3\n"
#define WIDEN                            \
  "vmovlb.s16 q3, q2\n"                  \
  "vmovlt.s16 q2, q2\n"                  \
  "vadd.i32 q0, q0, q3\n"                \
  "vadd.i32 q1, q1, q2\n"
#define PAIR(tap0, tap1) FIRST(tap0) SECOND(tap1) WIDEN

static MN_NOINLINE void blocks(struct mn_run_mve *given)
{
#if defined(__arm__)
  register struct mn_run_mve *run __asm__("r0") = given;

  // Loads that widen bytes take low registers only: the taps wait on the stack and come in two parts.
  __asm__ volatile("push {r0}\n"
                   "ldrd r10, r12, [r0, #112]\n"
                   "vdup.16 q7, r10\n"
                   "1: ldr lr, [r0, #96]\n"
                   "ldrd r11, r7, [r0, #104]\n"
                   "dls lr, lr\n"
                   "ldm r0, {r0, r1, r2, r3, r4, r5, r6, r8, r9}\n"
                   "push {r0, r1, r2, r3, r4, r5, r6, r8, r9}\n"
                   "mov r5, sp\n"
                   "mov r6, r11\n"
                   "2: ldm r5, {r0, r1, r2, r3, r4}\n"
                   "vldrw.32 q0, [r7], #16\n"
                   "vldrw.32 q1, [r7], #16\n"
                   PAIR("r0", "r1") PAIR("r2", "r3") FIRST("r4")
                   "stm r5!, {r0, r1, r2, r3, r4}\n"
                   "ldm r5, {r0, r1, r2, r3}\n"
                   SECOND("r0") WIDEN PAIR("r1", "r2") FIRST("r3") WIDEN
                   "stm r5, {r0, r1, r2, r3}\n"
                   "vldrw.32 q2, [r7], #16\n"
                   "vqrdmulh.s32 q0, q0, q2\n"
                   "vldrw.32 q2, [r7], #16\n"
                   "vqrdmulh.s32 q1, q1, q2\n"
                   "cmp r10, #0\n"
                   "bge 4f\n"
                   "vshr.s32 q2, q0, #31\n"
                   "vadd.i32 q0, q0, q2\n"
                   "vshr.s32 q2, q1, #31\n"
                   "vadd.i32 q1, q1, q2\n"
                   "4: vldrb.s32 q2, [r7], #4\n"
                   "vrshl.s32 q0, q0, q2\n"
                   "vldrb.s32 q2, [r7], #4\n"
                   "vrshl.s32 q1, q1, q2\n"
                   "mov r0, r12\n"
                   "vqmovnb.s32 q0, q0\n"
                   "vqmovnt.s32 q0, q1\n"
                   "vqadd.s16 q0, q0, q7\n"
                   "vqmovnb.s16 q0, q0\n"
                   "add r12, r12, #8\n"
                   "sub r5, r5, #20\n"
                   "vstrb.16 q0, [r0]\n"
                   "le lr, 2b\n"
                   "add sp, sp, #36\n" MN_NEXT_PIXEL_MVE
                   "3: pop {r0}"
                   : "+r"(run) : : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr",
                     "cc", "memory", "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d14", "d15");
#else
  static const uint8_t lanes[8] = {0, 2, 4, 6, 1, 3, 5, 7};

  mn_run_blocks_mve(given, 8, lanes);
#endif
}

void mn_depthwise_narrow_s8_mve(const struct mn_depthwise_narrow_s8_mve *p, const int8_t *in, int8_t *out, int32_t from,
                                int32_t to)
{
  mn_walk_mve(&p->layer, in, out, from, to, 8, blocks);
}

#endif
