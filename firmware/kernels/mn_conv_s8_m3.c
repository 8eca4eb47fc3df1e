// SPDX-License-Identifier: Apache-2.0
// Convolution for Cortex-M3: blocks of four output channels of two pixels, whose inputs are widened to words so that one
// LDRD loads both. In assembly because it needs all fourteen registers: 13 instructions for 8 multiply-accumulates.
#include "mn_gather.h"
#include "mn_nn_scalar.h"
#include "mn_short.h"

// Two pixels times `blocks` (at least 1) x 4 channels; outputs go to out0 and out1.
// x..x_end: [inputs][pixel], inputs a multiple of four.
#if defined(__ARM_ARCH_7M__)

void mn_conv_block_m3(const int32_t *x, const int32_t *x_end, const int8_t *weights, const int32_t *requant,
                      int8_t *out0, int8_t *out1, int32_t blocks, uint32_t zero2);

// r4-r11: sums of (channel 0, pixel 0), (channel 0, pixel 1), (channel 1, pixel 0) ...; r0, r1: inputs, r2: weight, r3
// and r12 walk over inputs and weights, lr: x_end. The arguments stay on the stack: [sp] x, [sp, 4] x_end, [sp, 8]
// weights, [sp, 12] requant, [sp, 52] out0, out1, blocks, zero2.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_conv_block_m3, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_conv_block_m3, %function\n"
  "  .macro mn_weight a0, a1\n"
  "  ldrsb r2, [r12], #1\n"
  "  mla \\a0, r2, r0, \\a0\n"
  "  mla \\a1, r2, r1, \\a1\n"
  "  .endm\n"
  "  .macro mn_step\n"
  "  ldrd r0, r1, [r3], #8\n"
  "  mn_weight r4, r5\n"
  "  mn_weight r6, r7\n"
  "  mn_weight r8, r9\n"
  "  mn_weight r10, r11\n"
  "  .endm\n"
  // acc2 = twice the accumulator -> byte; r1: multiplier, r2: shift, lr: zero2. SMLAL adds the rounding halves.
  "  .macro mn_finish acc2\n"
  "  lsl r0, lr, r2\n"
  "  mov r3, #0x80000000\n"
  "  smlal r3, r0, \\acc2, r1\n"
  "  add r0, r0, \\acc2, asr #31\n"
  "  asr r0, r0, r2\n"
  "  ssat \\acc2, #8, r0, asr #1\n"
  "  .endm\n"
  "  .macro mn_channel a0, a1\n"
  "  ldrd r0, r1, [r12], #8\n"
  "  add \\a0, r0, \\a0, lsl #1\n"
  "  add \\a1, r0, \\a1, lsl #1\n"
  "  mn_finish \\a0\n"
  "  mn_finish \\a1\n"
  "  .endm\n"

  "mn_conv_block_m3:\n"
  "  push {r0-r11, lr}\n"
  "  mov r12, r2\n"
  "2:\n"                                    // a block of four channels
  "  ldrd r3, lr, [sp]\n"
  "  movs r4, #0\n"
  "  movs r5, #0\n"
  "  movs r6, #0\n"
  "  movs r7, #0\n"
  "  mov r8, #0\n"
  "  mov r9, #0\n"
  "  mov r10, #0\n"
  "  mov r11, #0\n"
  "  sub r0, lr, r3\n"
  "  lsls r0, r0, #26\n"                   // an odd multiple of four inputs begins in the middle
  "  bmi 4f\n"
  "3:\n"
  "  .rept 4\n"
  "  mn_step\n"
  "  .endr\n"
  "4:\n"
  "  .rept 4\n"
  "  mn_step\n"
  "  .endr\n"
  "  cmp r3, lr\n"
  "  bne.w 3b\n"
  "  str r12, [sp, #8]\n"
  "  ldr r12, [sp, #12]\n"
  "  ldr lr, [sp, #64]\n"
  "  ldr r2, [r12], #4\n"
  "  mn_channel r4, r5\n"
  "  lsr r2, r2, #8\n"
  "  mn_channel r6, r7\n"
  "  lsr r2, r2, #8\n"
  "  mn_channel r8, r9\n"
  "  lsr r2, r2, #8\n"
  "  mn_channel r10, r11\n"
  "  ldrd r0, r1, [sp, #52]\n"
  "  bfi r4, r6, #8, #8\n"
  "  bfi r4, r8, #16, #8\n"
  "  bfi r4, r10, #24, #8\n"
  "  bfi r5, r7, #8, #8\n"
  "  bfi r5, r9, #16, #8\n"
  "  bfi r5, r11, #24, #8\n"
  "  str r4, [r0], #4\n"
  "  str r5, [r1], #4\n"
  "  strd r0, r1, [sp, #52]\n"
  "  str r12, [sp, #12]\n"
  "  ldr r12, [sp, #8]\n"
  "  ldr r0, [sp, #60]\n"
  "  subs r0, r0, #1\n"
  "  str r0, [sp, #60]\n"
  "  bne 2b\n"
  "  add sp, sp, #16\n"
  "  pop {r4-r11, pc}\n"
  "  .size mn_conv_block_m3, . - mn_conv_block_m3\n"
  "  .purgem mn_weight\n"
  "  .purgem mn_step\n"
  "  .purgem mn_finish\n"
  "  .purgem mn_channel\n"
  "  .popsection\n");

#else

static void mn_conv_block_m3(const int32_t *x, const int32_t *x_end, const int8_t *weights, const int32_t *requant,
                             int8_t *out0, int8_t *out1, int32_t blocks, uint32_t zero2)
{
  for (; blocks > 0; blocks--, out0 += 4, out1 += 4) {
    uint32_t acc[4][2] = {{0}}, shifts = (uint32_t)*requant++;

    for (const int32_t *v = x; v != x_end; v += 2, weights += 4) {
      for (int32_t c = 0; c < 4; c++) {
        acc[c][0] += (uint32_t)(v[0] * weights[c]);
        acc[c][1] += (uint32_t)(v[1] * weights[c]);
      }
    }
    for (int32_t c = 0; c < 4; c++, requant += 2, shifts >>= 8) {
      out0[c] = mn_requantize_short((uint32_t)requant[0] + 2 * acc[c][0], requant[1], shifts & 0xffu, zero2);
      out1[c] = mn_requantize_short((uint32_t)requant[0] + 2 * acc[c][1], requant[1], shifts & 0xffu, zero2);
    }
  }
}

#endif

void mn_conv_s8_m3(const struct mn_conv_s8_m3 *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                   int32_t to)
{
  const struct mn_gather window = {p->in_h, p->in_w * p->in_c, p->in_ring, p->kernel_h, p->dilation_h, p->run_bytes,
                                   p->input_zero_point};
  const int32_t inputs = (p->kernel_h * p->run_bytes + 3) & ~3, blocks = p->out_c / 4, tail = p->out_c & 3;
  const int32_t step = from < to ? 1 : -1, last_x = p->out_w - 1;
  const uint32_t zero2 = (uint32_t)(2 * p->output_zero_point + 1);
  int32_t *const x = scratch, *const x_end = x + 2 * inputs;
  int32_t left = (to - from) * step * p->out_w, oy = from < to ? from : from - 1, ox = from < to ? 0 : last_x;

  for (int32_t *fill = x_end - 6; fill != x_end; fill++) {               // behind the window
    *fill = 0;
  }
  for (; left > 0; left -= 2) {
    int8_t *write[2];

    for (int32_t k = 0; k < 2; k++) {
      mn_gather_window(&window, in, oy * p->stride_h - p->pad_top, (ox * p->stride_w - p->pad_left) * p->in_c, x + k, 2);
      write[k] = out + (mn_slot(oy, p->out_ring) * p->out_w + ox) * p->out_c;
      if (left == 1) {                      // the last one is computed twice
        continue;
      }
      ox += step;
      if (ox < 0 || ox > last_x) {
        ox = step > 0 ? 0 : last_x;
        oy += step;
      }
    }
    if (blocks > 0) {
      mn_conv_block_m3(x, x_end, p->weights, p->requant, write[0], write[1], blocks, zero2);
    }
    if (tail > 0) {
      int8_t last[2][4];

      mn_conv_block_m3(x, x_end, p->weights + blocks * 4 * inputs, p->requant + blocks * 9, last[0], last[1], 1, zero2);
      for (int32_t c = 0; c < tail; c++) {
        write[0][4 * blocks + c] = last[0][c];
        write[1][4 * blocks + c] = last[1][c];
      }
    }
    if (p->low > INT8_MIN || p->high < INT8_MAX) {
      mn_clamp_bytes(write[0], p->out_c, p->low, p->high);
      mn_clamp_bytes(write[1], p->out_c, p->low, p->high);
    }
  }
}
