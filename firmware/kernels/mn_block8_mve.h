// SPDX-License-Identifier: Apache-2.0
// Assembly for blocks of eight output channels: accumulators, requantization, store.
//
// The even registers r0 to lr accumulate (the only ones that VMLADAVA can take); r3 runs over the weights, r5 over the
// requantization, r7 over the output.
#ifndef MN_BLOCK8_MVE_H
#define MN_BLOCK8_MVE_H

// The block's biases, in the channels' order.
#define MN_BIAS8 "ldm r5!, {r0, r2, r4, r6, r8, r10, r12, lr}\n"

// One step (64 bytes of code): the 16 inputs in `x` times eight channels.
#define MN_STEP8(x)               \
  "vldrb.8 q4, [r3], #16\n"       \
  "vmladava.s8 r0, " x ", q4\n"   \
  "vldrb.8 q5, [r3], #16\n"       \
  "vmladava.s8 r2, " x ", q5\n"   \
  "vldrb.8 q4, [r3], #16\n"       \
  "vmladava.s8 r4, " x ", q4\n"   \
  "vldrb.8 q5, [r3], #16\n"       \
  "vmladava.s8 r6, " x ", q5\n"   \
  "vldrb.8 q4, [r3], #16\n"       \
  "vmladava.s8 r8, " x ", q4\n"   \
  "vldrb.8 q5, [r3], #16\n"       \
  "vmladava.s8 r10, " x ", q5\n"  \
  "vldrb.8 q4, [r3], #16\n"       \
  "vmladava.s8 r12, " x ", q4\n"  \
  "vldrb.8 q5, [r3], #16\n"       \
  "vmladava.s8 lr, " x ", q5\n"

// Lanes hold channels 0 2 4 6 and 1 3 5 7, so that narrowing interleaves them.
#define MN_LANES8                      \
  "vmov q4[2], q4[0], r0, r8\n"        \
  "vmov q4[3], q4[1], r4, r12\n"       \
  "vmov q5[2], q5[0], r2, r10\n"       \
  "vmov q5[3], q5[1], r6, lr\n"

// VRSHL rounds ties up: one less for negative values makes it round them away from zero.
#define MN_AWAY_FROM_ZERO8             \
  "vshr.s32 q6, q4, #31\n"             \
  "vadd.i32 q4, q4, q6\n"              \
  "vshr.s32 q6, q5, #31\n"             \
  "vadd.i32 q5, q5, q6\n"

// q7: output zero point, eight times.
#define MN_STORE8                      \
  "vqmovnb.s32 q4, q4\n"               \
  "vqmovnt.s32 q4, q5\n"               \
  "vqadd.s16 q4, q4, q7\n"             \
  "vqmovnb.s16 q4, q4\n"               \
  "vstrb.16 q4, [r7], #8\n"

// With scales of their own for the channels.
#define MN_FINISH8(ties)               \
  MN_LANES8                            \
  "vldrw.32 q6, [r5], #16\n"           \
  "vqrdmulh.s32 q4, q4, q6\n"          \
  "vldrw.32 q6, [r5], #16\n"           \
  "vqrdmulh.s32 q5, q5, q6\n"          \
  "cbz " ties ", 8f\n"                 \
  MN_AWAY_FROM_ZERO8                   \
  "8: vldrb.s32 q6, [r5], #4\n"        \
  "vrshl.s32 q4, q4, q6\n"             \
  "vldrb.s32 q6, [r5], #4\n"           \
  "vrshl.s32 q5, q5, q6\n"             \
  MN_STORE8

#define MN_CLOBBERS_MVE                                                                                                \
  "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory", "d0", "d1", "d2",   \
    "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14", "d15"

#endif
