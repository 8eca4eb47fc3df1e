// SPDX-License-Identifier: Apache-2.0
// Convolution for Armv6-M. Its multiplication overwrites a factor and it has only eight registers for most instructions,
// so each weight meets the widened inputs of three pixels, which LDM reloads; the sums live in the upper registers.
#include "mn_gather.h"
#include "mn_nn_scalar.h"
#include "mn_staircase.h"

#define PIXELS 3
#define CHANNELS 8             // whose sums wait for their requantization

// acc..acc_end, whole channels: acc[channel][pixel] = x[0][pixel] + sum of x[1 + i][pixel] * weights[channel][i].
// x..x_end: [1 + inputs][PIXELS], inputs a multiple of four; odd: of an odd multiple.
#if defined(__ARM_ARCH_6M__)

void mn_conv_sums_m0(const int32_t *x, const int32_t *x_end, const uint8_t *weights, uint32_t *acc,
                     const uint32_t *acc_end, int32_t odd);

// r0: weight, r1-r3: inputs, r4 walks over x, r5 over the weights, r6 over acc; r8-r10: sums, r11: x_end, r12: x,
// lr: where to enter the loop of eight inputs, r7: correction of r5 where that is its middle.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_conv_sums_m0, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_conv_sums_m0, %function\n"
  "  .macro mn_step at\n"
  "  ldrb r0, [r5, #\\at]\n"
  "  ldmia r4!, {r1, r2, r3}\n"
  "  muls r1, r0\n"
  "  add r8, r1\n"
  "  muls r2, r0\n"
  "  add r9, r2\n"
  "  muls r3, r0\n"
  "  add r10, r3\n"
  "  .endm\n"

  "mn_conv_sums_m0:\n"
  "  push {r4-r7, lr}\n"
  "  mov r4, r8\n"
  "  mov r5, r9\n"
  "  mov r6, r10\n"
  "  mov r7, r11\n"
  "  push {r4-r7}\n"
  "  mov r6, r3\n"
  "  mov r5, r2\n"
  "  mov r11, r1\n"
  "  mov r12, r0\n"
  "  movs r7, #0\n"
  "  adr r2, 3f\n"
  "  ldr r3, [sp, #40]\n"
  "  mov lr, r2\n"
  "  cmp r3, #0\n"
  "  beq 2f\n"
  "  adds r2, #(5f - 3f)\n"
  "  mov lr, r2\n"
  "  movs r7, #4\n"
  "2:\n"                                    // a channel
  "  mov r4, r12\n"
  "  subs r5, r5, r7\n"
  "  ldmia r4!, {r1, r2, r3}\n"
  "  mov r8, r1\n"
  "  mov r9, r2\n"
  "  mov r10, r3\n"
  "  mov pc, lr\n"
  "  .balign 4\n"
  "3:\n"
  "  mn_step 0\n"
  "  mn_step 1\n"
  "  mn_step 2\n"
  "  mn_step 3\n"
  "5:\n"
  "  mn_step 4\n"
  "  mn_step 5\n"
  "  mn_step 6\n"
  "  mn_step 7\n"
  "  adds r5, #8\n"
  "  cmp r4, r11\n"
  "  bne 3b\n"
  "  mov r1, r8\n"
  "  mov r2, r9\n"
  "  mov r3, r10\n"
  "  stmia r6!, {r1, r2, r3}\n"
  "  ldr r0, [sp, #36]\n"
  "  cmp r6, r0\n"
  "  bne 2b\n"
  "  pop {r4-r7}\n"
  "  mov r8, r4\n"
  "  mov r9, r5\n"
  "  mov r10, r6\n"
  "  mov r11, r7\n"
  "  pop {r4-r7, pc}\n"
  "  .size mn_conv_sums_m0, . - mn_conv_sums_m0\n"
  "  .purgem mn_step\n"
  "  .popsection\n");

#else

static void mn_conv_sums_m0(const int32_t *x, const int32_t *x_end, const uint8_t *weights, uint32_t *acc,
                            const uint32_t *acc_end, int32_t odd)
{
  (void)odd;
  for (; acc != acc_end; acc += PIXELS) {
    for (int32_t k = 0; k < PIXELS; k++) {
      acc[k] = (uint32_t)x[k];
    }
    for (const int32_t *v = x + PIXELS; v != x_end; v += PIXELS, weights++) {
      for (int32_t k = 0; k < PIXELS; k++) {
        acc[k] += (uint32_t)(v[k] * *weights);
      }
    }
  }
}

#endif

void mn_conv_s8_m0(const struct mn_conv_s8_m0 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                   int32_t to)
{
  const struct mn_gather window = {p->in_h, p->in_w * p->in_c, p->in_ring, p->kernel_h, p->dilation_h, p->run_bytes,
                                   p->input_zero_point};
  const int32_t inputs = (p->kernel_h * p->run_bytes + 3) & ~3, words = MN_STAIRCASE_WORDS(p->signs);
  const int32_t step = from < to ? 1 : -1, last_x = p->out_w - 1;
  int32_t *const x = scratch, *const x_end = x + PIXELS * (inputs + 1);
  int32_t left = (to - from) * step * p->out_w, oy = from < to ? from : from - 1, ox = from < to ? 0 : last_x;

  for (int32_t *fill = x_end - 3 * PIXELS; fill != x_end; fill++) {      // behind the window
    *fill = 0;
  }
  for (; left > 0; left -= PIXELS) {
    uint32_t acc[CHANNELS * PIXELS];
    int8_t *write[PIXELS];
    const uint8_t *w = p->weights;
    const int32_t *requant = p->requant;

    for (int32_t k = 0; k < PIXELS; k++) {
      x[k] = -128 * mn_gather_window(&window, in, oy * p->stride_h - p->pad_top,
                                     (ox * p->stride_w - p->pad_left) * p->in_c, x + PIXELS + k, PIXELS);
      write[k] = out + (mn_slot(oy, p->out_ring) * p->out_w + ox) * p->out_c;
      if (left <= k + 1) {                  // the last one is computed again
        continue;
      }
      ox += step;
      if (ox < 0 || ox > last_x) {
        ox = step > 0 ? 0 : last_x;
        oy += step;
      }
    }
    for (int32_t c = 0; c < p->out_c; ) {
      const int32_t count = p->out_c - c < CHANNELS ? p->out_c - c : CHANNELS;

      mn_conv_sums_m0(x, x_end, w, acc, acc + PIXELS * count, inputs & 4);
      w += count * inputs;
      for (const uint32_t *sum = acc; sum != acc + PIXELS * count; sum += PIXELS, c++, requant += words) {
        mn_staircase(requant, p->signs, sum, PIXELS, write, c);
      }
    }
  }
}
