// SPDX-License-Identifier: Apache-2.0
// Fully connected layers: eight output channels per load of inputs. A quad of inputs is 31 instructions for 32
// multiply-accumulates (26 with weights of 16 bits, 34 with 4).
//
// Before inclusion: MN_DENSE_BITS: 8 when weights are pairs of bytes, 4 when they are int4 (mn_nn_dsp.h), 16 when they
// are int16; MN_DENSE_MEMBERS: the name of the kernel's struct.
#ifndef MN_DENSE_DSP_H
#define MN_DENSE_DSP_H

#include "mn_dsp.h"
#include "mn_inline.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

// Each width has a name of its own, for a program that is compiled as a whole may hold both.
#if MN_DENSE_BITS == 16
#define MN_DOT_EIGHT mn_dot_eight_wide_dsp
#elif MN_DENSE_BITS == 4
#define MN_DOT_EIGHT mn_dot_eight_s4_dsp
#else
#define MN_DOT_EIGHT mn_dot_eight_dsp
#endif

// Eight channels of one row: sums2[k] is twice the sum of products. The first quad of inputs is at `first`, the others
// (a multiple of four bytes, or none) from x to x_end. weights: [quad][2][pair of channels], with 16 bits [channel], with
// 4 bits [four channels]; there sums2[0] is given, eight times the sum of the inputs.
// Returns the weights after.
MN_DSP_ASSEMBLY const uint32_t *MN_DOT_EIGHT(const int8_t *first, const int8_t *x, const int8_t *x_end,
                                             const uint32_t *weights, uint32_t sums2[8]);

#if defined(__arm__)

// r4-r11: S and T of four pairs, with 16 bits the second and the first channel, with 4 S3, S4, S1, S2 of four; r0: input bytes; r1: two of them widened;
// r2, r3: weights; r12, lr walk over weights and inputs. Pairs of quads are a round; an odd number of them begins in its
// middle. [sp] x, x_end; [sp, 44] sums2.
__asm__(
  "  .syntax unified\n"
  "  .set mn_bits, " MN_DSP_TEXT(MN_DENSE_BITS) "\n"
  "  .pushsection .text." MN_DSP_TEXT(MN_DOT_EIGHT) ", \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type " MN_DSP_TEXT(MN_DOT_EIGHT) ", %function\n"

  // A word of two inputs times four channels; destroys the weights. other: a register, or the weights' own.
  "  .macro mn_four w, other, s4, s3, s2, s1, first=0\n"
  "  uxtb16 \\other, \\w\n"
  "  .if \\first\n"
  "  smuad \\s1, \\w, r1\n"
  "  smuad \\s3, \\other, r1\n"
  "  and \\w, \\w, #0x0f0f0f0f\n"
  "  smuad \\s2, \\w, r1\n"
  "  and \\w, \\w, #0x000f000f\n"
  "  smuad \\s4, \\w, r1\n"
  "  .else\n"
  "  smlad \\s1, \\w, r1, \\s1\n"
  "  smlad \\s3, \\other, r1, \\s3\n"
  "  and \\w, \\w, #0x0f0f0f0f\n"
  "  smlad \\s2, \\w, r1, \\s2\n"
  "  and \\w, \\w, #0x000f000f\n"
  "  smlad \\s4, \\w, r1, \\s4\n"
  "  .endif\n"
  "  .endm\n"
  // Sums of four channels to twice the channels. r1: given sums2[0].
  "  .macro mn_part s4, s3, s2, s1\n"
  "  sub \\s3, \\s3, \\s4\n"
  "  sub \\s1, \\s1, \\s2\n"
  "  sub \\s1, \\s1, \\s3\n"
  "  sub \\s2, \\s2, \\s4\n"
  "  sub \\s4, \\s4, r1\n"
  "  sub \\s3, \\s3, r1, lsl #4\n"
  "  sub \\s2, \\s2, r1, lsl #8\n"
  "  lsl \\s4, \\s4, #1\n"
  "  asr \\s3, \\s3, #3\n"
  "  asr \\s2, \\s2, #7\n"
  "  asr \\s1, \\s1, #11\n"
  "  .endm\n"

  // A word of two inputs times eight channels. free: whether r0 is.
  "  .macro mn_eight free\n"
  "  .if mn_bits == 16 && \\free\n"
  "  ldm r12!, {r0, r2, r3}\n"
  "  smlad r5, r0, r1, r5\n"
  "  smlad r4, r2, r1, r4\n"
  "  smlad r7, r3, r1, r7\n"
  "  ldm r12!, {r0, r2, r3}\n"
  "  smlad r6, r0, r1, r6\n"
  "  smlad r9, r2, r1, r9\n"
  "  smlad r8, r3, r1, r8\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r11, r2, r1, r11\n"
  "  smlad r10, r3, r1, r10\n"
  "  .elseif mn_bits == 16\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r5, r2, r1, r5\n"
  "  smlad r4, r3, r1, r4\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r7, r2, r1, r7\n"
  "  smlad r6, r3, r1, r6\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r9, r2, r1, r9\n"
  "  smlad r8, r3, r1, r8\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r11, r2, r1, r11\n"
  "  smlad r10, r3, r1, r10\n"
  "  .elseif mn_bits == 4 && \\free\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  mn_four r2, r0, r5, r4, r7, r6\n"
  "  mn_four r3, r0, r9, r8, r11, r10\n"
  "  .elseif mn_bits == 4\n"
  "  ldr r2, [r12], #4\n"
  "  mn_four r2, r3, r5, r4, r7, r6\n"
  "  ldr r2, [r12], #4\n"
  "  mn_four r2, r3, r9, r8, r11, r10\n"
  "  .else\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r4, r2, r1, r4\n"
  "  smlad r6, r3, r1, r6\n"
  "  sxtb16 r2, r2\n"
  "  sxtb16 r3, r3\n"
  "  smlad r5, r2, r1, r5\n"
  "  smlad r7, r3, r1, r7\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r8, r2, r1, r8\n"
  "  smlad r10, r3, r1, r10\n"
  "  sxtb16 r2, r2\n"
  "  sxtb16 r3, r3\n"
  "  smlad r9, r2, r1, r9\n"
  "  smlad r11, r3, r1, r11\n"
  "  .endif\n"
  "  .endm\n"
  "  .macro mn_eight_quad\n"
  "  ldr r0, [lr], #4\n"
  "  sxtb16 r1, r0\n"
  "  mn_eight 0\n"
  "  sxtb16 r1, r0, ror #8\n"
  "  mn_eight 1\n"
  "  .endm\n"

  MN_DSP_TEXT(MN_DOT_EIGHT) ":\n"
  "  push {r1, r2, r4-r11, lr}\n"
  "  mov lr, r0\n"
  "  mov r12, r3\n"
  "  ldr r0, [lr]\n"
  "  sxtb16 r1, r0\n"
  "  .if mn_bits == 16\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smuad r5, r2, r1\n"
  "  smuad r4, r3, r1\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smuad r7, r2, r1\n"
  "  smuad r6, r3, r1\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smuad r9, r2, r1\n"
  "  smuad r8, r3, r1\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smuad r11, r2, r1\n"
  "  smuad r10, r3, r1\n"
  "  .elseif mn_bits == 4\n"
  "  ldr r2, [r12], #4\n"
  "  mn_four r2, r3, r5, r4, r7, r6, 1\n"
  "  ldr r2, [r12], #4\n"
  "  mn_four r2, r3, r9, r8, r11, r10, 1\n"
  "  .else\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smuad r4, r2, r1\n"
  "  smuad r6, r3, r1\n"
  "  sxtb16 r2, r2\n"
  "  sxtb16 r3, r3\n"
  "  smuad r5, r2, r1\n"
  "  smuad r7, r3, r1\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smuad r8, r2, r1\n"
  "  smuad r10, r3, r1\n"
  "  sxtb16 r2, r2\n"
  "  sxtb16 r3, r3\n"
  "  smuad r9, r2, r1\n"
  "  smuad r11, r3, r1\n"
  "  .endif\n"
  "  sxtb16 r1, r0, ror #8\n"
  "  mn_eight 1\n"
  "  ldr lr, [sp]\n"
  "  ldr r0, [sp, #4]\n"
  "  subs r1, r0, lr\n"
  "  beq.w 3f\n"
  "  lsls r1, r1, #29\n"
  "  bmi.w 2f\n"
  "1:\n"
  "  mn_eight_quad\n"
  "2:\n"
  "  mn_eight_quad\n"
  "  ldr r0, [sp, #4]\n"
  "  cmp lr, r0\n"
  "  bne.w 1b\n"
  "3:\n"
  "  ldr r0, [sp, #44]\n"
  "  .if mn_bits == 16\n"
  "  lsl r4, r4, #1\n"
  "  lsl r6, r6, #1\n"
  "  lsl r8, r8, #1\n"
  "  lsl r10, r10, #1\n"
  "  .elseif mn_bits == 4\n"
  "  ldr r1, [r0]\n"
  "  mn_part r5, r4, r7, r6\n"
  "  mn_part r9, r8, r11, r10\n"
  "  .else\n"
  "  sub r4, r4, r5\n"
  "  sub r6, r6, r7\n"
  "  sub r8, r8, r9\n"
  "  sub r10, r10, r11\n"
  "  asr r4, r4, #7\n"
  "  asr r6, r6, #7\n"
  "  asr r8, r8, #7\n"
  "  asr r10, r10, #7\n"
  "  .endif\n"
  "  .if mn_bits != 4\n"
  "  lsl r5, r5, #1\n"
  "  lsl r7, r7, #1\n"
  "  lsl r9, r9, #1\n"
  "  lsl r11, r11, #1\n"
  "  .endif\n"
  "  strd r5, r4, [r0]\n"
  "  strd r7, r6, [r0, #8]\n"
  "  strd r9, r8, [r0, #16]\n"
  "  strd r11, r10, [r0, #24]\n"
  "  mov r0, r12\n"
  "  add sp, sp, #8\n"
  "  pop {r4-r11, pc}\n"
  "  .size " MN_DSP_TEXT(MN_DOT_EIGHT) ", . - " MN_DSP_TEXT(MN_DOT_EIGHT) "\n"
  "  .purgem mn_four\n"
  "  .purgem mn_part\n"
  "  .purgem mn_eight\n"
  "  .purgem mn_eight_quad\n"
  "  .popsection\n");

#else

#if MN_DENSE_BITS == 4

static const uint32_t *MN_DOT_EIGHT(const int8_t *first, const int8_t *x, const int8_t *x_end,
                                    const uint32_t *weights, uint32_t sums2[8])
{
  const uint32_t inputs8 = sums2[0];
  uint32_t s[2][4] = {{0}};

  for (const int8_t *quad = first;; x += 4) {
    const uint32_t bytes = mn_load_word(quad), inputs[2] = {mn_widen_even(bytes), mn_widen_odd(bytes)};

    for (int32_t i = 0; i < 4; i++, weights++) {
      s[i % 2][0] = mn_smlad(*weights, inputs[i / 2], s[i % 2][0]);
      s[i % 2][1] = mn_smlad(*weights & 0x0f0f0f0fu, inputs[i / 2], s[i % 2][1]);
      s[i % 2][2] = mn_smlad(*weights & 0x00ff00ffu, inputs[i / 2], s[i % 2][2]);
      s[i % 2][3] = mn_smlad(*weights & 0x000f000fu, inputs[i / 2], s[i % 2][3]);
    }
    quad = x;
    if (x == x_end) {
      break;
    }
  }
  for (int32_t i = 0; i < 2; i++) {
    sums2[4 * i] = (s[i][3] - inputs8) << 1;
    sums2[4 * i + 1] = (uint32_t)((int32_t)(s[i][2] - s[i][3] - (inputs8 << 4)) >> 3);
    sums2[4 * i + 2] = (uint32_t)((int32_t)(s[i][1] - s[i][3] - (inputs8 << 8)) >> 7);
    sums2[4 * i + 3] = (uint32_t)((int32_t)(s[i][0] - s[i][1] - s[i][2] + s[i][3]) >> 11);
  }
  return weights;
}

#else

static const uint32_t *MN_DOT_EIGHT(const int8_t *first, const int8_t *x, const int8_t *x_end,
                                    const uint32_t *weights, uint32_t sums2[8])
{
  uint32_t s[4] = {0}, t[4] = {0};

  for (const int8_t *quad = first;; x += 4) {
    const uint32_t bytes = mn_load_word(quad), inputs[2] = {mn_widen_even(bytes), mn_widen_odd(bytes)};

    for (int32_t i = 0; i < 8; i++) {
      t[i % 4] = mn_smlad(MN_DENSE_BITS == 16 ? *weights : mn_widen_even(*weights), inputs[i / 4], t[i % 4]);
      weights += MN_DENSE_BITS == 16;
      s[i % 4] = mn_smlad(*weights++, inputs[i / 4], s[i % 4]);
    }
    quad = x;
    if (x == x_end) {
      break;
    }
  }
  for (int32_t i = 0; i < 4; i++) {
    sums2[2 * i] = t[i] << 1;
    sums2[2 * i + 1] = MN_DENSE_BITS == 16 ? s[i] << 1 : (uint32_t)((int32_t)(s[i] - t[i]) >> 7);
  }
  return weights;
}

#endif
#endif

#if MN_DENSE_BITS == 4

// Eight times the sum of a row's inputs. Bytes plus 128 are differences from -128.
static MN_NOINLINE uint32_t row_inputs8(const int8_t *in, int32_t depth)
{
  const int8_t *const end = in + depth;
  uint32_t sum = 0;

  for (; end - in >= 16; in += 16) {
    sum = mn_usada8(mn_load_word(in) ^ 0x80808080u, 0, sum);
    sum = mn_usada8(mn_load_word(in + 4) ^ 0x80808080u, 0, sum);
    sum = mn_usada8(mn_load_word(in + 8) ^ 0x80808080u, 0, sum);
    sum = mn_usada8(mn_load_word(in + 12) ^ 0x80808080u, 0, sum);
  }
  for (; in != end; in++) {
    sum += (uint32_t)(*in + 128);
  }
  return 8 * (sum - 128u * (uint32_t)depth);
}

// Two channels, as MN_DOT_EIGHT: a byte of weights is 16 B + A + 8, at the place of its input's byte.
static MN_NOINLINE const uint32_t *dot_two(const int8_t *first, const int8_t *x, const int8_t *x_end,
                                           const uint32_t *weights, uint32_t sums2[2])
{
  uint32_t s = 0, t = 0;

  for (const int8_t *quad = first;; x += 4) {
    const uint32_t bytes = mn_load_word(quad), even = mn_widen_even(bytes), odd = mn_widen_odd(bytes);
    const uint32_t w = *weights++, low = w & 0x0f0f0f0fu;

    s = mn_smlad(mn_widen_odd(w), odd, mn_smlad(mn_widen_even(w), even, s));
    t = mn_smlad(mn_widen_odd(low), odd, mn_smlad(mn_widen_even(low), even, t));
    quad = x;
    if (x == x_end) {
      break;
    }
  }
  sums2[1] = (uint32_t)((int32_t)(s - t) >> 3);
  sums2[0] = (t - sums2[0]) << 1;
  return weights;
}

#else

// Two channels, as MN_DOT_EIGHT.
static MN_NOINLINE const uint32_t *dot_two(const int8_t *first, const int8_t *x, const int8_t *x_end,
                                           const uint32_t *weights, uint32_t sums2[2])
{
  uint32_t s = 0, t = 0;

  for (const int8_t *quad = first;; x += 4, weights += MN_DENSE_BITS == 16 ? 4 : 2) {
    const uint32_t bytes = mn_load_word(quad), even = mn_widen_even(bytes), odd = mn_widen_odd(bytes);

    if (MN_DENSE_BITS == 16) {
      t = mn_smlad(weights[2], odd, mn_smlad(weights[0], even, t));
      s = mn_smlad(weights[3], odd, mn_smlad(weights[1], even, s));
    } else {
      s = mn_smlad(weights[1], odd, mn_smlad(weights[0], even, s));
      t = mn_smlad(mn_widen_even(weights[1]), odd, mn_smlad(mn_widen_even(weights[0]), even, t));
    }
    quad = x;
    if (x == x_end) {
      break;
    }
  }
  sums2[0] = t << 1;
  sums2[1] = MN_DENSE_BITS == 16 ? s << 1 : (uint32_t)((int32_t)(s - t) >> 7);
  return weights + (MN_DENSE_BITS == 16 ? 4 : 2);
}

#endif

static MN_NOINLINE int8_t *requantize(const struct MN_DENSE_MEMBERS *p, int32_t c, uint32_t zero2,
                                      const uint32_t *sums2, int32_t lanes, int8_t *out)
{
  const int32_t *bias2 = p->bias2 + c;

  if (p->requant_step == 0) {
    const uint32_t multiplier = (uint32_t)*p->multiplier, shift = *p->shift;

    for (; lanes >= 2; lanes -= 2, bias2 += 2, sums2 += 2, out += 2) {
      out[0] = mn_requantize_short((uint32_t)bias2[0] + sums2[0], multiplier, shift, zero2);
      out[1] = mn_requantize_short((uint32_t)bias2[1] + sums2[1], multiplier, shift, zero2);
    }
    if (lanes > 0) {
      *out++ = mn_requantize_short((uint32_t)*bias2 + *sums2, multiplier, shift, zero2);
    }
  } else {
    const int32_t *multiplier = p->multiplier + c;
    const uint8_t *shift = p->shift + c;

    for (const uint32_t *const end = sums2 + lanes; sums2 != end;) {
      *out++ = mn_requantize_short((uint32_t)*bias2++ + *sums2++, (uint32_t)*multiplier++, *shift++, zero2);
    }
  }
  return out;
}

static inline void mn_dense(const struct MN_DENSE_MEMBERS *p, const int8_t *in, int8_t *out)
{
  const uint32_t zero2 = (uint32_t)(2 * p->output_zero_point + 1);
  const int32_t odd = p->depth & 3;        // then the first quad is the last four bytes

  for (int32_t row = 0; row < p->rows; row++, in += p->depth) {
    const int8_t *const first = odd ? in + p->depth - 4 : in, *const x = odd ? in : in + 4;
    const int8_t *const x_end = in + p->depth - odd;
    const uint32_t *w = p->weights;
    int32_t lanes;
#if MN_DENSE_BITS == 4
    const uint32_t inputs8 = row_inputs8(in, p->depth);
#endif

    for (int32_t c = 0; c < p->outputs; c += lanes) {
      uint32_t sums2[8];

#if MN_DENSE_BITS == 4
      sums2[0] = inputs8;
#endif
      if (p->outputs - c >= 8) {
        lanes = 8;
        w = MN_DOT_EIGHT(first, x, x_end, w, sums2);
      } else {
        lanes = p->outputs - c >= 2 ? 2 : 1;
        w = dot_two(first, x, x_end, w, sums2);
      }
      out = requantize(p, c, zero2, sums2, lanes, out);
    }
    if (p->low > INT8_MIN || p->high < INT8_MAX) {
      mn_clamp_bytes(out - p->outputs, p->outputs, p->low, p->high);
    }
  }
}

#endif
#endif
