// SPDX-License-Identifier: Apache-2.0
// Fully connected layer of one pixel for Cortex-M3: each input meets the weights of eight outputs.
#include "mn_nn_scalar.h"
#include "mn_short.h"

#define LANES 8

// acc[k] = sum of x[i] * weights[i][k]; inputs is a multiple of eight, and not 0.
#if defined(__ARM_ARCH_7M__)

void mn_eight_sums_m3(const int8_t *x, const int8_t *x_end, const int8_t *weights, uint32_t *acc);

__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_eight_sums_m3, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_eight_sums_m3, %function\n"
  "  .macro mn_weight acc\n"
  "  ldrsb lr, [r2], #1\n"
  "  mla \\acc, lr, r12, \\acc\n"
  "  .endm\n"

  "mn_eight_sums_m3:\n"
  "  push {r3-r11, lr}\n"
  "  movs r4, #0\n"
  "  movs r5, #0\n"
  "  movs r6, #0\n"
  "  movs r7, #0\n"
  "  mov r8, #0\n"
  "  mov r9, #0\n"
  "  mov r10, #0\n"
  "  mov r11, #0\n"
  "2:\n"
  "  .rept 8\n"
  "  ldrsb r12, [r0], #1\n"
  "  mn_weight r4\n"
  "  mn_weight r5\n"
  "  mn_weight r6\n"
  "  mn_weight r7\n"
  "  mn_weight r8\n"
  "  mn_weight r9\n"
  "  mn_weight r10\n"
  "  mn_weight r11\n"
  "  .endr\n"
  "  cmp r0, r1\n"
  "  bne.w 2b\n"
  "  stmia r3, {r4-r11}\n"
  "  pop {r3-r11, pc}\n"
  "  .size mn_eight_sums_m3, . - mn_eight_sums_m3\n"
  "  .purgem mn_weight\n"
  "  .popsection\n");

#else

static void mn_eight_sums_m3(const int8_t *x, const int8_t *x_end, const int8_t *weights, uint32_t *acc)
{
  for (int32_t k = 0; k < LANES; k++) {
    acc[k] = 0;
  }
  for (; x != x_end; x++, weights += LANES) {
    for (int32_t k = 0; k < LANES; k++) {
      acc[k] += (uint32_t)(*x * weights[k]);
    }
  }
}

#endif

void mn_fully_connected_s8_m3(const struct mn_fully_connected_s8_m3 *p, const int8_t *in, int8_t *out)
{
  const int32_t whole = p->depth & ~7;
  const uint32_t zero2 = (uint32_t)(2 * p->output_zero_point + 1);
  const int32_t *requant = p->requant;
  const int8_t *w = p->weights;

  for (int32_t c = 0; c < p->outputs; ) {
    uint32_t acc[LANES] = {0};

    if (whole > 0) {
      mn_eight_sums_m3(in, in + whole, w, acc);
      w += LANES * whole;
    }
    for (int32_t i = whole; i < p->depth; i++, w += LANES) {
      for (int32_t k = 0; k < LANES; k++) {
        acc[k] += (uint32_t)(in[i] * w[k]);
      }
    }
    for (const uint32_t *sum = acc; sum != acc + LANES && c < p->outputs; sum += 4, requant += 9) {
      uint32_t shifts = (uint32_t)requant[0];

      for (int32_t k = 0; k < 4 && c < p->outputs; k++, c++, shifts >>= 8) {
        out[c] = mn_requantize_short((uint32_t)requant[1 + 2 * k] + 2 * sum[k], requant[2 + 2 * k], shifts, zero2);
      }
    }
  }
  if (p->low > INT8_MIN || p->high < INT8_MAX) {
    mn_clamp_bytes(out, p->outputs, p->low, p->high);
  }
}
