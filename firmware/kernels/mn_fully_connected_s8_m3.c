// SPDX-License-Identifier: Apache-2.0
// Fully connected layer of one pixel for Cortex-M3: each input meets the weights of eight outputs.
#include "mn_nn_scalar.h"
#include "mn_short.h"

#define LANES 8

// Eight outputs: out[k] from the sum of x[i] * weights[i][k] over x..x_whole (a multiple of eight) and x_whole..x_end.
#if defined(__ARM_ARCH_7M__)

void mn_eight_outputs_m3(const int8_t *x, const int8_t *x_whole, const int8_t *weights, const int32_t *requant,
                         const int8_t *x_end, int8_t *out, uint32_t zero2);

// r0 walks over x, r2 over the weights, r3 over requant; r4-r11: sums; r12: input, lr: weight.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_eight_outputs_m3, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_eight_outputs_m3, %function\n"
  "  .macro mn_weight acc\n"
  "  ldrsb lr, [r2], #1\n"
  "  mla \\acc, lr, r12, \\acc\n"
  "  .endm\n"
  "  .macro mn_input\n"
  "  ldrsb r12, [r0], #1\n"
  "  mn_weight r4\n"
  "  mn_weight r5\n"
  "  mn_weight r6\n"
  "  mn_weight r7\n"
  "  mn_weight r8\n"
  "  mn_weight r9\n"
  "  mn_weight r10\n"
  "  mn_weight r11\n"
  "  .endm\n"
  // The sum's byte; lr: zero2, r2: shift. SMLAL adds the rounding halves.
  "  .macro mn_finish acc\n"
  "  ldrd r0, r1, [r3], #8\n"
  "  add \\acc, r0, \\acc, lsl #1\n"
  "  lsl r0, lr, r2\n"
  "  mov r12, #0x80000000\n"
  "  smlal r12, r0, \\acc, r1\n"
  "  add r0, r0, \\acc, asr #31\n"
  "  asr r0, r0, r2\n"
  "  ssat \\acc, #8, r0, asr #1\n"
  "  .endm\n"
  "  .macro mn_four a, b, c, d\n"
  "  ldr r2, [r3], #4\n"
  "  mn_finish \\a\n"
  "  lsr r2, r2, #8\n"
  "  mn_finish \\b\n"
  "  lsr r2, r2, #8\n"
  "  mn_finish \\c\n"
  "  lsr r2, r2, #8\n"
  "  mn_finish \\d\n"
  "  bfi \\a, \\b, #8, #8\n"
  "  bfi \\a, \\c, #16, #8\n"
  "  bfi \\a, \\d, #24, #8\n"
  "  .endm\n"

  "mn_eight_outputs_m3:\n"
  "  push {r4-r11, lr}\n"
  "  movs r4, #0\n"
  "  movs r5, #0\n"
  "  movs r6, #0\n"
  "  movs r7, #0\n"
  "  mov r8, #0\n"
  "  mov r9, #0\n"
  "  mov r10, #0\n"
  "  mov r11, #0\n"
  "  cmp r0, r1\n"
  "  beq.w 3f\n"
  "2:\n"
  "  .rept 8\n"
  "  mn_input\n"
  "  .endr\n"
  "  cmp r0, r1\n"
  "  bne.w 2b\n"
  "3:\n"
  "  ldr r1, [sp, #36]\n"
  "  b 5f\n"
  "4:\n"
  "  mn_input\n"
  "5:\n"
  "  cmp r0, r1\n"
  "  bne 4b\n"
  "  ldr lr, [sp, #44]\n"
  "  mn_four r4, r5, r6, r7\n"
  "  mn_four r8, r9, r10, r11\n"
  "  ldr r0, [sp, #40]\n"
  "  str r4, [r0]\n"
  "  str r8, [r0, #4]\n"
  "  pop {r4-r11, pc}\n"
  "  .size mn_eight_outputs_m3, . - mn_eight_outputs_m3\n"
  "  .purgem mn_weight\n"
  "  .purgem mn_input\n"
  "  .purgem mn_finish\n"
  "  .purgem mn_four\n"
  "  .popsection\n");

#else

static void mn_eight_outputs_m3(const int8_t *x, const int8_t *x_whole, const int8_t *weights, const int32_t *requant,
                                const int8_t *x_end, int8_t *out, uint32_t zero2)
{
  uint32_t acc[LANES] = {0}, shifts = 0;

  (void)x_whole;
  for (; x != x_end; x++, weights += LANES) {
    for (int32_t k = 0; k < LANES; k++) {
      acc[k] += (uint32_t)(*x * weights[k]);
    }
  }
  for (int32_t k = 0; k < LANES; k++, requant += 2, shifts >>= 8) {
    if (k % 4 == 0) {
      shifts = (uint32_t)*requant++;
    }
    out[k] = mn_requantize_short((uint32_t)requant[0] + 2 * acc[k], requant[1], shifts, zero2);
  }
}

#endif

void mn_fully_connected_s8_m3(const struct mn_fully_connected_s8_m3 *p, const int8_t *in, int8_t *out)
{
  const int8_t *const whole = in + (p->depth & ~7), *const end = in + p->depth, *w = p->weights;
  const uint32_t zero2 = (uint32_t)(2 * p->output_zero_point + 1);
  const int32_t *requant = p->requant;

  for (int32_t c = 0; c < p->outputs; c += LANES, w += LANES * p->depth, requant += 18) {
    int8_t last[LANES];

    if (p->outputs - c >= LANES) {
      mn_eight_outputs_m3(in, whole, w, requant, end, out + c, zero2);
      continue;
    }
    mn_eight_outputs_m3(in, whole, w, requant, end, last, zero2);
    for (int32_t k = 0; c + k < p->outputs; k++) {
      out[c + k] = last[k];
    }
  }
  if (p->low > INT8_MIN || p->high < INT8_MAX) {
    mn_clamp_bytes(out, p->outputs, p->low, p->high);
  }
}
