// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution, 16 channels at a time. Products are 16 bits wide; two of them are added before they are widened
// (no weight is -128, so that two products fit).
#include "mn_mve.h"

#if MN_HAS_MVE
#include "mn_taps_mve.h"

// Products of even channels in q6, of odd ones in q4; sums in q0 to q3.
#define FIRST(tap)                       \
  "vldrb.8 q4, [" tap "], #16\n"         \
  "vldrb.8 q5, [r10], #16\n"             \
  "vmullb.s8 q6, q4, q5\n"               \
  "vmullt.s8 q7, q4, q5\n"
#define SECOND(tap)                      \
  "vldrb.8 q4, [" tap "]\n"              \
  "vldrb.8 q5, [r10], #16\n"             \
  "vmullb.s8 q4, q4, q5\n"               \
  "vadd.i16 q6, q6, q4\n"                \
  "vldrb.8 q4, [" tap "], #16\n"         \
  "vmullt.s8 q4, q4, q5\n"               \
  "vadd.i16 q7, q7, q4\n"
#define WIDEN                            \
  "vmovlb.s16 q4, q6\n"                  \
  "vmovlt.s16 q6, q6\n"                  \
  "vadd.i32 q0, q0, q4\n"                \
  "vmovlb.s16 q5, q7\n"                  \
  "vadd.i32 q1, q1, q6\n"                \
  "vmovlt.s16 q7, q7\n"                  \
  "vadd.i32 q2, q2, q5\n"                \
  "vadd.i32 q3, q3, q7\n"
#define PAIR(tap0, tap1) FIRST(tap0) SECOND(tap1) WIDEN
#define MULTIPLY(sums)                   \
  "vldrw.32 q4, [r7], #16\n"            \
  "vqrdmulh.s32 " sums ", " sums ", q4\n"
#define AWAY_FROM_ZERO(sums)             \
  "vshr.s32 q4, " sums ", #31\n"         \
  "vadd.i32 " sums ", " sums ", q4\n"
#define SHIFT(sums)                      \
  "vldrb.s32 q4, [r7], #4\n"             \
  "vrshl.s32 " sums ", " sums ", q4\n"

static MN_NOINLINE void blocks(struct mn_run_mve *given)
{
#if defined(__arm__)
  register struct mn_run_mve *run __asm__("r0") = given;

  __asm__ volatile("push {r0}\n"
                   "ldrd r11, r12, [r0, #112]\n"
                   "1: ldr lr, [r0, #96]\n"
                   "ldrd r10, r7, [r0, #104]\n"
                   "dls lr, lr\n"
                   "ldm r0, {r0, r1, r2, r3, r4, r5, r6, r8, r9}\n"
                   "2: vldrw.32 q0, [r7], #16\n"
                   "vldrw.32 q1, [r7], #16\n"
                   "vldrw.32 q2, [r7], #16\n"
                   "vldrw.32 q3, [r7], #16\n"
                   PAIR("r0", "r1") PAIR("r2", "r3") PAIR("r4", "r5") PAIR("r6", "r8") FIRST("r9") WIDEN
                   MULTIPLY("q0") MULTIPLY("q1") MULTIPLY("q2") MULTIPLY("q3")
                   "cmp r11, #0\n"
                   "bge 4f\n"
                   AWAY_FROM_ZERO("q0") AWAY_FROM_ZERO("q1") AWAY_FROM_ZERO("q2") AWAY_FROM_ZERO("q3")
                   "4:\n" SHIFT("q0") SHIFT("q1") SHIFT("q2") SHIFT("q3")
                   "vqmovnb.s32 q0, q0\n"
                   "vqmovnt.s32 q0, q1\n"
                   "vqmovnb.s32 q2, q2\n"
                   "vqmovnt.s32 q2, q3\n"
                   "vqadd.s16 q0, q0, r11\n"
                   "vqadd.s16 q2, q2, r11\n"
                   "vqmovnb.s16 q0, q0\n"
                   "vqmovnt.s16 q0, q2\n"
                   "vstrb.8 q0, [r12], #16\n"
                   "le lr, 2b\n" MN_NEXT_PIXEL_MVE
                   "3: pop {r0}"
                   : "+r"(run) : : "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr",
                     "cc", "memory", "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12",
                     "d13", "d14", "d15");
#else
  static const uint8_t lanes[16] = {0, 4, 8, 12, 2, 6, 10, 14, 1, 5, 9, 13, 3, 7, 11, 15};

  mn_run_blocks_mve(given, 16, lanes);
#endif
}

void mn_depthwise_s8_mve(const struct mn_depthwise_s8_mve *p, const int8_t *in, int8_t *out, int32_t from, int32_t to)
{
  mn_walk_mve(p, in, out, from, to, 16, blocks);
}

#endif
