// SPDX-License-Identifier: Apache-2.0
// Convolution with int4 weights for Armv6-M: as mn_conv_s8_m0.c, but a byte holds two channels, each plus 8, so that a
// number from 0 to 15 needs no sign: 14 instructions for 8 multiply-accumulates, 48 for a run of 16 inputs.
#define MN_CONV_MEMBERS mn_conv_s4_m0
#include "mn_conv_walk_m0.h"

#define RUN 16                 // inputs whose products with a channel stay within 16 bits: 16 * 15 * 128

// Adds the runs' sums of a pair of channels and four pixels to acc: the whole sums of (channel, word of pixels), then
// their upper halves. x: [inputs][2] words of two pixels.
#if defined(__ARM_ARCH_6M__)

void mn_pair_sums_m0(const int32_t *x, const uint8_t *w, int32_t inputs, uint32_t acc[8]);

// r0, r1: inputs, r2, r5: weights of both channels, r3 walks over x, r4 over w, r6: an input's copy, r7: 15; r8 to r11:
// the run's sums, r12: 2^15, lr: end of the steps. The arguments stay on the stack: [sp, 8] inputs left, acc.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_pair_sums_m0, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_pair_sums_m0, %function\n"
  "  .macro mn_flush sum, at\n"
  "  mov r0, \\sum\n"
  "  ldr r1, [r6, #\\at]\n"
  "  ldr r2, [r6, #\\at + 16]\n"
  "  adds r1, r1, r0\n"
  "  asrs r0, r0, #16\n"
  "  adds r2, r2, r0\n"
  "  str r1, [r6, #\\at]\n"
  "  str r2, [r6, #\\at + 16]\n"
  "  .endm\n"

  "mn_pair_sums_m0:\n"
  "  push {r4-r7, lr}\n"
  "  mov r4, r8\n"
  "  mov r5, r9\n"
  "  mov r6, r10\n"
  "  mov r7, r11\n"
  "  push {r4-r7}\n"
  "  push {r0-r3}\n"
  "  mov r3, r0\n"
  "  mov r4, r1\n"
  "  movs r0, #1\n"
  "  lsls r0, r0, #15\n"
  "  mov r12, r0\n"
  "  movs r7, #15\n"
  "  ldr r0, 5f\n"
  "  add r0, pc\n"
  "4:\n"
  "  mov lr, r0\n"
  "1:\n"                                    // a run of r1 inputs
  "  ldr r2, [sp, #8]\n"
  "  cmp r2, #0\n"
  "  bne 8f\n"
  "  b 6f\n"
  "8:\n"
  "  movs r1, #16\n"
  "  cmp r2, r1\n"
  "  bge 2f\n"
  "  mov r1, r2\n"
  "2:\n"
  "  subs r2, r2, r1\n"
  "  str r2, [sp, #8]\n"
  "  mov r8, r12\n"
  "  mov r9, r12\n"
  "  mov r10, r12\n"
  "  mov r11, r12\n"
  "  adds r4, r4, r1\n"
  "  subs r4, #16\n"
  "  lsls r0, r1, #5\n"
  "  lsls r2, r1, #2\n"
  "  subs r0, r0, r2\n"                     // 28 bytes of code an input
  "  mov r2, lr\n"
  "  subs r2, r2, r0\n"
  "  mov pc, r2\n"
  "  .balign 4\n"
  "5:\n"
  "  .word 3f - 4b - 2\n"
  "  .set mn_place, 0\n"
  "  .rept 16\n"
  "  ldrb r2, [r4, #mn_place]\n"
  "  ldmia r3!, {r0, r1}\n"
  "  lsrs r5, r2, #4\n"
  "  ands r2, r7\n"
  "  mov r6, r0\n"
  "  muls r0, r2\n"
  "  add r8, r0\n"
  "  muls r6, r5\n"
  "  add r10, r6\n"
  "  mov r6, r1\n"
  "  muls r1, r2\n"
  "  add r9, r1\n"
  "  muls r6, r5\n"
  "  add r11, r6\n"
  "  .set mn_place, mn_place + 1\n"
  "  .endr\n"
  "3:\n"
  "  adds r4, #16\n"
  "  ldr r6, [sp, #12]\n"
  "  mn_flush r8, 0\n"
  "  mn_flush r9, 4\n"
  "  mn_flush r10, 8\n"
  "  mn_flush r11, 12\n"
  "  b 1b\n"
  "6:\n"
  "  add sp, #16\n"
  "  pop {r4-r7}\n"
  "  mov r8, r4\n"
  "  mov r9, r5\n"
  "  mov r10, r6\n"
  "  mov r11, r7\n"
  "  pop {r4-r7, pc}\n"
  "  .size mn_pair_sums_m0, . - mn_pair_sums_m0\n"
  "  .purgem mn_flush\n"
  "  .popsection\n");

#else

static void mn_pair_sums_m0(const int32_t *x, const uint8_t *w, int32_t inputs, uint32_t acc[8])
{
  for (int32_t start = 0; start < inputs; start += RUN) {
    uint32_t sums[4] = {0x8000, 0x8000, 0x8000, 0x8000};

    for (int32_t i = start; i < inputs && i < start + RUN; i++) {
      for (int32_t k = 0; k < 4; k++) {
        sums[k] += (uint32_t)(k < 2 ? w[i] & 15 : w[i] >> 4) * (uint32_t)x[2 * i + k % 2];
      }
    }
    for (int32_t k = 0; k < 4; k++) {
      acc[k] += sums[k];
      acc[k + 4] += (uint32_t)((int32_t)sums[k] >> 16);
    }
  }
}

#endif

// The sums of four pixels from the whole sums and the upper halves of two words, each begun with 2^15 `runs` times.
static void part(const uint32_t whole[2], const uint32_t upper[2], uint32_t runs, uint32_t sums[PIXELS])
{
  for (int32_t k = 0; k < 2; k++) {
    sums[2 * k] = whole[k] - (upper[k] << 16) - (runs << 15);
    sums[2 * k + 1] = upper[k];
  }
}

// The sums of the inputs of four pixels.
static void input_sums(const int32_t *x, int32_t inputs, uint32_t sums[PIXELS])
{
  const int32_t *const end = x + 2 * inputs;
  uint32_t whole[2] = {0}, upper[2] = {0}, runs = 0;

  for (; x != end; runs++) {
    const int32_t *const stop = end - x > 2 * 128 ? x + 2 * 128 : end;
    uint32_t first = 0x8000, second = 0x8000;

    for (; x != stop; x += 2) {
      first += (uint32_t)x[0];
      second += (uint32_t)x[1];
    }
    whole[0] += first;
    whole[1] += second;
    upper[0] += (uint32_t)((int32_t)first >> 16);
    upper[1] += (uint32_t)((int32_t)second >> 16);
  }
  part(whole, upper, runs, sums);
}

static void channels(const struct mn_conv_s4_m0 *p, const int32_t *x, int8_t *const *write)
{
  const int32_t inputs = p->kernel_h * p->run_bytes, words = MN_STAIRCASE_WORDS(p->signs), *requant = p->requant;
  const uint8_t *w = p->weights;
  uint32_t of_inputs[PIXELS];

  input_sums(x, inputs, of_inputs);
  for (int32_t c = 0; c < p->out_c; w += inputs) {
    uint32_t acc[8] = {0};

    mn_pair_sums_m0(x, w, inputs, acc);
    for (int32_t k = 0; k < 2 && c < p->out_c; k++, c++, requant += words) {
      uint32_t sums[PIXELS];

      part(acc + 2 * k, acc + 4 + 2 * k, (uint32_t)(inputs + RUN - 1) / RUN, sums);
      for (int32_t i = 0; i < PIXELS; i++) {
        sums[i] -= 8 * of_inputs[i];
      }
      mn_staircase(requant, p->signs, sums, PIXELS, write, c);
    }
  }
}

void mn_conv_s4_m0(const struct mn_conv_s4_m0 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                   int32_t to)
{
  mn_conv_walk(p, in, out, scratch, from, to);
}
