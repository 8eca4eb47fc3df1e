// SPDX-License-Identifier: Apache-2.0
// The inner part of convolutions: blocks of four output channels of two pixels, in assembly because it needs all
// fourteen registers. A quad of inputs is 24 instructions for 32 multiply-accumulates.
#ifndef MN_CONV_BLOCK_DSP_H
#define MN_CONV_BLOCK_DSP_H

#include "mn_dsp.h"

#if MN_HAS_DSP

// Two pixels times `blocks` (at least 1) x 4 channels; outputs go to out0 and out1.
// x: widened inputs of both pixels up to x_end, as [quad][2][pixel]. weights, requant: see mn_nn_dsp.h. zero2: see
// mn_requantize_short. skip: bytes of code that the first round of the loop leaves out (MN_BLOCK_SKIP).
// clamped: not 0 if results below the zero point will be raised to it, which makes the rounding of ties below it moot.
MN_DSP_ASSEMBLY void mn_conv_block_dsp(const uint32_t *x, const uint32_t *x_end, const uint32_t *weights,
                                       const int32_t *requant, int8_t *out0, int8_t *out1, int32_t blocks,
                                       uint32_t zero2, uint32_t skip, uint32_t clamped);

// Widens `runs` (at least 1) runs of `bytes` (at least 4) that begin `step` apart, for one pixel: the words of a quad
// go to to[0] and to[2]. The last quad of a run that is no multiple of four begins four bytes before its end.
MN_DSP_ASSEMBLY void mn_conv_widen_dsp(uint32_t *to, const int8_t *x, int32_t bytes, int32_t runs, int32_t step);

// Copies `runs` (at least 1) runs of `bytes` (at least 4) that begin `step` apart behind each other.
MN_DSP_ASSEMBLY void mn_conv_join_dsp(int8_t *to, const int8_t *x, int32_t bytes, int32_t runs, int32_t step);

#define MN_BLOCK_QUADS 4          // quads that a round of the loop computes
#define MN_BLOCK_QUAD_CODE 96     // its bytes of code per quad
// The quad before the loop starts the sums; the first round computes what is left over of whole rounds.
#define MN_BLOCK_SKIP(quads)                                                                                  \
  (((quads) == 1 ? MN_BLOCK_QUADS : (MN_BLOCK_QUADS - ((quads) - 1) % MN_BLOCK_QUADS) % MN_BLOCK_QUADS) *      \
   MN_BLOCK_QUAD_CODE)

#if defined(__arm__)

// r4-r11: S and T of (pair 0, pixel 0), (pair 0, pixel 1), (pair 1, pixel 0), (pair 1, pixel 1); r0, r1: inputs of the
// two pixels; r2, r3: weights; r12 and lr walk over weights and inputs. The arguments stay on the stack:
// [sp] x, [sp, 4] x_end, [sp, 8] weights, [sp, 12] requant, [sp, 52] out0, out1, blocks, zero2, skip, clamped.
__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_conv_block_dsp, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_conv_block_dsp, %function\n"

  "  .macro mn_step_first\n"
  "  ldrd r0, r1, [lr], #8\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smuad r4, r2, r0\n"
  "  smuad r6, r2, r1\n"
  "  smuad r8, r3, r0\n"
  "  smuad r10, r3, r1\n"
  "  sxtb16 r2, r2\n"
  "  sxtb16 r3, r3\n"
  "  smuad r5, r2, r0\n"
  "  smuad r7, r2, r1\n"
  "  smuad r9, r3, r0\n"
  "  smuad r11, r3, r1\n"
  "  .endm\n"
  "  .macro mn_step\n"
  "  ldrd r0, r1, [lr], #8\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r4, r2, r0, r4\n"
  "  smlad r6, r2, r1, r6\n"
  "  smlad r8, r3, r0, r8\n"
  "  smlad r10, r3, r1, r10\n"
  "  sxtb16 r2, r2\n"
  "  sxtb16 r3, r3\n"
  "  smlad r5, r2, r0, r5\n"
  "  smlad r7, r2, r1, r7\n"
  "  smlad r9, r3, r0, r9\n"
  "  smlad r11, r3, r1, r11\n"
  "  .endm\n"
  // One channel of both pixels from its sums a0, a1 (acc2 = bias2 + sum shifted by `scale`) to its bytes.
  "  .macro mn_channel signed, a0, a1, scale:vararg\n"
  "  ldrd r0, r1, [r12], #8\n"
  "  lsl r2, lr, r3\n"
  "  add \\a0, r0, \\a0, \\scale\n"
  "  add \\a1, r0, \\a1, \\scale\n"
  "  .if \\signed\n"
  "  smmlar r0, \\a0, r1, r2\n"
  "  add \\a0, r0, \\a0, asr #31\n"
  "  smmlar r0, \\a1, r1, r2\n"
  "  add \\a1, r0, \\a1, asr #31\n"
  "  .else\n"
  "  smmlar \\a0, \\a0, r1, r2\n"
  "  smmlar \\a1, \\a1, r1, r2\n"
  "  .endif\n"
  "  asr \\a0, \\a0, r3\n"
  "  asr \\a1, \\a1, r3\n"
  "  ssat \\a0, #8, \\a0, asr #1\n"
  "  ssat \\a1, #8, \\a1, asr #1\n"
  "  .endm\n"
  "  .macro mn_channels signed\n"
  "  mn_channel \\signed, r5, r7, lsl #1\n"
  "  lsr r3, r3, #8\n"
  "  mn_channel \\signed, r4, r6, asr #7\n"
  "  lsr r3, r3, #8\n"
  "  mn_channel \\signed, r9, r11, lsl #1\n"
  "  lsr r3, r3, #8\n"
  "  mn_channel \\signed, r8, r10, asr #7\n"
  "  .endm\n"

  "mn_conv_block_dsp:\n"
  "  push {r0-r11, lr}\n"
  "  mov r12, r2\n"
  "  ldr r0, [sp, #68]\n"
  "  adr r1, 3f\n"
  "  add r0, r0, r1\n"
  "  orr r0, r0, #1\n"
  "  ldr r1, [sp, #72]\n"
  "  adr.w r2, 7f\n"
  "  cmp r1, #0\n"
  "  it ne\n"
  "  adrne.w r2, 8f\n"
  "  orr r1, r2, #1\n"
  "  strd r0, r1, [sp, #68]\n"

  "2:\n"                                    // a block of four channels
  "  ldr lr, [sp]\n"
  "  mn_step_first\n"
  "  mn_step\n"
  "  ldr pc, [sp, #68]\n"
  "  .balign 4\n"
  "3:\n"
  "  .rept 8\n"
  "  mn_step\n"
  "  .endr\n"
  "  ldr r0, [sp, #4]\n"
  "  cmp lr, r0\n"
  "  bne.w 3b\n"

  "  str r12, [sp, #8]\n"
  "  ldr r12, [sp, #12]\n"
  "  ldr lr, [sp, #64]\n"
  "  ldr r3, [r12], #4\n"
  "  sub r4, r4, r5\n"                      // 256 sum B x
  "  sub r6, r6, r7\n"
  "  sub r8, r8, r9\n"
  "  sub r10, r10, r11\n"
  "  ldr pc, [sp, #72]\n"
  "7:\n"
  "  mn_channels 1\n"
  "  b.n 9f\n"
  "8:\n"
  "  mn_channels 0\n"
  "9:\n"
  "  ldrd r0, r1, [sp, #52]\n"
  "  bfi r5, r4, #8, #8\n"
  "  bfi r5, r9, #16, #8\n"
  "  bfi r5, r8, #24, #8\n"
  "  bfi r7, r6, #8, #8\n"
  "  bfi r7, r11, #16, #8\n"
  "  bfi r7, r10, #24, #8\n"
  "  str r5, [r0], #4\n"
  "  str r7, [r1], #4\n"
  "  strd r0, r1, [sp, #52]\n"
  "  str r12, [sp, #12]\n"
  "  ldr r12, [sp, #8]\n"
  "  ldr r0, [sp, #60]\n"
  "  subs r0, r0, #1\n"
  "  str r0, [sp, #60]\n"
  "  bne.w 2b\n"
  "  add sp, sp, #16\n"
  "  pop {r4-r11, pc}\n"
  "  .size mn_conv_block_dsp, . - mn_conv_block_dsp\n"
  // r0: to; r1: x; r2: bytes; r3: runs; r4: step; r5: rounds of four quads; r6: where the first round
  // begins; then r2: bytes after the last whole quad; r7, r8: data; lr: bytes; r9: rounds left.
  "  .macro mn_put_quad\n"
  "  sxtb16 r8, r7\n"
  "  sxtb16 r7, r7, ror #8\n"
  "  str r8, [r0], #8\n"
  "  str r7, [r0], #8\n"
  "  .endm\n"
  "  .thumb_func\n"
  "  .type mn_conv_widen_dsp, %function\n"
  "mn_conv_widen_dsp:\n"
  "  push {r4-r10, lr}\n"
  "  ldr r4, [sp, #32]\n"
  "  lsr r5, r2, #2\n"
  "  rsb r6, r5, #0\n"
  "  and r6, r6, #3\n"
  "  add r6, r6, r6, lsl #2\n"
  "  adr r7, 5f\n"
  "  add r6, r7, r6, lsl #2\n"
  "  orr r6, r6, #1\n"
  "  add r5, r5, #3\n"
  "  lsr r5, r5, #2\n"
  "  and r2, r2, #3\n"
  "4:\n"
  "  mov lr, r1\n"
  "  mov r9, r5\n"
  "  bx r6\n"
  "  .balign 4\n"
  "5:\n"
  "  .rept 4\n"
  "  ldr r7, [lr], #4\n"
  "  mn_put_quad\n"
  "  .endr\n"
  "  subs r9, r9, #1\n"
  "  bne.n 5b\n"
  "  cbz r2, 6f\n"
  "  add lr, lr, r2\n"
  "  ldr r7, [lr, #-4]\n"
  "  mn_put_quad\n"
  "6:\n"
  "  add r1, r1, r4\n"
  "  subs r3, r3, #1\n"
  "  bne.n 4b\n"
  "  pop {r4-r10, pc}\n"
  "  .size mn_conv_widen_dsp, . - mn_conv_widen_dsp\n"
  "  .purgem mn_put_quad\n"

  // r0: to; r1: x; r2: bytes; r3: runs; r12: step less bytes; r4: data; lr: bytes left.
  "  .thumb_func\n"
  "  .type mn_conv_join_dsp, %function\n"
  "mn_conv_join_dsp:\n"
  "  push {r4, lr}\n"
  "  ldr r12, [sp, #8]\n"
  "  sub r12, r12, r2\n"
  "1:\n"
  "  mov lr, r2\n"
  "  b.n 3f\n"
  "2:\n"
  "  ldr r4, [r1], #4\n"
  "  str r4, [r0], #4\n"
  "3:\n"
  "  subs lr, lr, #4\n"
  "  bge.n 2b\n"
  "  add r1, r1, lr\n"
  "  add r0, r0, lr\n"
  "  ldr r4, [r1], #4\n"
  "  str r4, [r0], #4\n"
  "  add r1, r1, r12\n"
  "  subs r3, r3, #1\n"
  "  bne.n 1b\n"
  "  pop {r4, pc}\n"
  "  .size mn_conv_join_dsp, . - mn_conv_join_dsp\n"

  "  .purgem mn_step_first\n"
  "  .purgem mn_step\n"
  "  .purgem mn_channel\n"
  "  .purgem mn_channels\n"
  "  .popsection\n");

#else

static void mn_conv_block_dsp(const uint32_t *x, const uint32_t *x_end, const uint32_t *weights, const int32_t *requant,
                              int8_t *out0, int8_t *out1, int32_t blocks, uint32_t zero2, uint32_t skip,
                              uint32_t clamped)
{
  (void)skip;
  (void)clamped;
  for (int32_t block = 0; block < blocks; block++, out0 += 4, out1 += 4) {
    uint32_t s[2][2] = {{0}}, t[2][2] = {{0}}, shifts = (uint32_t)*requant++;

    for (const uint32_t *v = x; v != x_end; v += 2, weights += 2) {
      for (int32_t pair = 0; pair < 2; pair++) {
        for (int32_t pixel = 0; pixel < 2; pixel++) {
          s[pair][pixel] = mn_smlad(weights[pair], v[pixel], s[pair][pixel]);
          t[pair][pixel] = mn_smlad(mn_widen_even(weights[pair]), v[pixel], t[pair][pixel]);
        }
      }
    }
    for (int32_t channel = 0; channel < 4; channel++, requant += 2, shifts >>= 8) {
      for (int32_t pixel = 0; pixel < 2; pixel++) {
        const uint32_t a = t[channel / 2][pixel], b = s[channel / 2][pixel] - a;
        const uint32_t sum2 = channel % 2 == 0 ? a << 1 : (uint32_t)((int32_t)b >> 7);

        (pixel == 0 ? out0 : out1)[channel] =
          mn_requantize_short((uint32_t)requant[0] + sum2, (uint32_t)requant[1], shifts & 0xffu, zero2);
      }
    }
  }
}

static void mn_conv_join_dsp(int8_t *to, const int8_t *x, int32_t bytes, int32_t runs, int32_t step)
{
  for (; runs > 0; runs--, x += step, to += bytes) {
    memcpy(to, x, (size_t)bytes);
  }
}

static void mn_conv_widen_dsp(uint32_t *to, const int8_t *x, int32_t bytes, int32_t runs, int32_t step)
{
  for (; runs > 0; runs--, x += step) {
    for (int32_t at = 0; at < bytes; at += 4, to += 4) {
      const uint32_t word = mn_load_word(x + (at + 4 <= bytes ? at : bytes - 4));

      to[0] = mn_widen_even(word);
      to[2] = mn_widen_odd(word);
    }
  }
}

#endif
#endif
#endif
