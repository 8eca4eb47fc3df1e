// SPDX-License-Identifier: Apache-2.0
// Fully connected layer of one pixel for Armv6-M: each input meets the weights of eight outputs.
#include "mn_nn_scalar.h"
#include "mn_staircase.h"

#define LANES 8

// acc[k] += sum of x[i] * weights[i][k]; inputs is a multiple of four.
#if defined(__ARM_ARCH_6M__)

void mn_eight_sums_m0(const int8_t *x, int32_t inputs, const uint8_t *weights, uint32_t *acc);

// r0: x, r1: index, r2: weights, r3: input, r4: weight, r5: inputs; r8-r12, lr, r6, r7: sums.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_eight_sums_m0, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_eight_sums_m0, %function\n"
  "  .macro mn_weight acc, at\n"
  "  ldrb r4, [r2, #\\at]\n"
  "  muls r4, r3\n"
  "  add \\acc, r4\n"
  "  .endm\n"
  "  .macro mn_input at\n"
  "  ldrsb r3, [r0, r1]\n"
  "  adds r1, #1\n"
  "  mn_weight r8, \\at\n"
  "  mn_weight r9, \\at+1\n"
  "  mn_weight r10, \\at+2\n"
  "  mn_weight r11, \\at+3\n"
  "  mn_weight r12, \\at+4\n"
  "  mn_weight lr, \\at+5\n"
  "  mn_weight r6, \\at+6\n"
  "  mn_weight r7, \\at+7\n"
  "  .endm\n"

  "mn_eight_sums_m0:\n"
  "  push {r3-r7, lr}\n"
  "  mov r4, r8\n"
  "  mov r5, r9\n"
  "  mov r6, r10\n"
  "  mov r7, r11\n"
  "  push {r4-r7}\n"
  "  ldmia r3!, {r4-r7}\n"
  "  mov r8, r4\n"
  "  mov r9, r5\n"
  "  mov r10, r6\n"
  "  mov r11, r7\n"
  "  ldmia r3!, {r4-r7}\n"
  "  mov r12, r4\n"
  "  mov lr, r5\n"
  "  mov r5, r1\n"
  "  movs r1, #0\n"
  "2:\n"
  "  mn_input 0\n"
  "  mn_input 8\n"
  "  mn_input 16\n"
  "  mn_input 24\n"
  "  adds r2, #32\n"
  "  cmp r1, r5\n"
  "  bne 2b\n"
  "  ldr r3, [sp, #16]\n"
  "  mov r0, r8\n"
  "  mov r1, r9\n"
  "  mov r2, r10\n"
  "  mov r4, r11\n"
  "  stmia r3!, {r0, r1, r2, r4}\n"
  "  mov r4, r12\n"
  "  mov r5, lr\n"
  "  stmia r3!, {r4-r7}\n"
  "  pop {r4-r7}\n"
  "  mov r8, r4\n"
  "  mov r9, r5\n"
  "  mov r10, r6\n"
  "  mov r11, r7\n"
  "  pop {r3-r7, pc}\n"
  "  .size mn_eight_sums_m0, . - mn_eight_sums_m0\n"
  "  .purgem mn_weight\n"
  "  .purgem mn_input\n"
  "  .popsection\n");

#else

static void mn_eight_sums_m0(const int8_t *x, int32_t inputs, const uint8_t *weights, uint32_t *acc)
{
  for (int32_t i = 0; i < inputs; i++, weights += LANES) {
    for (int32_t k = 0; k < LANES; k++) {
      acc[k] += (uint32_t)(x[i] * weights[k]);
    }
  }
}

#endif

void mn_fully_connected_s8_m0(const struct mn_fully_connected_s8_m0 *p, const int8_t *in, int8_t *out)
{
  const int32_t whole = p->depth & ~3, words = MN_STAIRCASE_WORDS(p->signs);
  const int32_t *requant = p->requant;
  const uint8_t *w = p->weights;
  int32_t sum = 0;

  for (int32_t i = 0; i < p->depth; i++) {
    sum += in[i];
  }
  for (int32_t c = 0; c < p->outputs; ) {
    uint32_t acc[LANES];

    for (int32_t k = 0; k < LANES; k++) {
      acc[k] = (uint32_t)(-128 * sum);
    }
    if (whole > 0) {
      mn_eight_sums_m0(in, whole, w, acc);
      w += LANES * whole;
    }
    for (int32_t i = whole; i < p->depth; i++, w += LANES) {
      for (int32_t k = 0; k < LANES; k++) {
        acc[k] += (uint32_t)(in[i] * w[k]);
      }
    }
    for (int32_t k = 0; k < LANES && c < p->outputs; k++, c++, requant += words) {
      mn_staircase(requant, p->signs, acc + k, 1, &out, c);
    }
  }
}
