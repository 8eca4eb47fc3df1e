// SPDX-License-Identifier: Apache-2.0
// The inner part of convolutions: runs of pixel pairs, in assembly because it needs all fourteen registers. The windows
// of two pixels are widened into words that lie in turn, then multiplied with blocks of four output channels: a step of
// two inputs is 12 instructions for 16 multiply-accumulates (11 with wide weights).
//
// MN_CONV_WIDE: 0 when weights are pairs of bytes (mn_nn_dsp.h), 1 when they are int16.
#ifndef MN_CONV_BLOCK_DSP_H
#define MN_CONV_BLOCK_DSP_H

#include "mn_dsp.h"

#if MN_HAS_DSP

// Pairs of pixels whose outputs follow each other. The assembly reads the members by their place.
struct mn_conv_run {
  int8_t *out;                    // pixel 0 of the first pair
  int32_t delta;                  // its pixel 1 from there, in bytes; 0: there is none
  int8_t *out_end;                // behind the channels of whole blocks
  uint32_t *x;                    // widened inputs as [step][pixel], up to x_end
  int32_t entry;                  // MN_CONV_ENTRY(steps)
  const uint32_t *x_end;
  uint32_t exact;                 // 0: outputs lie on lines; otherwise each channel rounds as it is written
  uint32_t rounding;              // lines: the zero point and a half; else see zero2 of mn_requantize_short
  const uint32_t *weights;
  uint32_t unused;
  int32_t pairs;                  // at least 1
  uint32_t *to;                   // where widening begins
  const int8_t *x0, *x1;          // first runs of both pixels
  int32_t runs;                   // to widen; 0: the windows are in x
  int32_t row_step;               // bytes from the end of a run to the next
  int32_t quad_entry;             // MN_CONV_QUAD_ENTRY(quads of a run)
  int32_t quad_rounds;            // of four quads, at least 1
  int32_t rest;                   // bytes of a run after its quads
  uint32_t *rest_to;              // they go here, as halfwords
  int32_t wrap, wrap_bytes;       // this many runs before the last (0: none), the input's rows begin anew
  int32_t in_step;                // bytes between pairs
  uint32_t tail;                  // channels after whole blocks
  int32_t out_step;
  int32_t block_bytes;            // channels of whole blocks
};
MN_DSP_ASSEMBLY void mn_conv_run_dsp(struct mn_conv_run *r);

// Loops are entered in their midst, at a distance in bytes of code; 1 marks Thumb.
#define MN_CONV_STEP_CODE (MN_CONV_WIDE ? 44 : 48)
#define MN_CONV_ENTRY(steps) \
  (((steps) == 1 ? 8 : (8 - ((steps) - 1) % 8) % 8) * MN_CONV_STEP_CODE + 1)
#define MN_CONV_QUAD_ENTRY(quads) (((quads) == 0 ? 4 * 28 + 8 : (4 - (quads) % 4) % 4 * 28) + 1)

#if defined(__arm__)

#if MN_CONV_WIDE
#define MN_CONV_WIDE_TEXT "  .set mn_wide, 1\n"
#else
#define MN_CONV_WIDE_TEXT "  .set mn_wide, 0\n"
#endif

// r4-r11: sums of (pair 0, pixel 0), (pair 0, pixel 1), (pair 1, pixel 0), (pair 1, pixel 1), two registers each: S and
// T, or with wide weights the second and the first channel. r0, r1: inputs of the two pixels; r2, r3: weights; r12 and
// lr walk over weights and inputs. [sp] holds the run, then two words of outputs of the tail, and its out and delta.
__asm__(
  "  .syntax unified\n"
  MN_CONV_WIDE_TEXT
  "  .pushsection .text.mn_conv_run_dsp, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"
  "  .thumb_func\n"
  "  .type mn_conv_run_dsp, %function\n"

  "  .macro mn_step_first\n"
  "  ldrd r0, r1, [lr], #8\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  .if mn_wide\n"
  "  smuad r5, r2, r0\n"
  "  smuad r7, r2, r1\n"
  "  smuad r4, r3, r0\n"
  "  smuad r6, r3, r1\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smuad r9, r2, r0\n"
  "  smuad r11, r2, r1\n"
  "  smuad r8, r3, r0\n"
  "  smuad r10, r3, r1\n"
  "  .else\n"
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
  "  .endif\n"
  "  .endm\n"
  "  .macro mn_step\n"
  "  ldrd r0, r1, [lr], #8\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  .if mn_wide\n"
  "  smlad r5, r2, r0, r5\n"
  "  smlad r7, r2, r1, r7\n"
  "  smlad r4, r3, r0, r4\n"
  "  smlad r6, r3, r1, r6\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r9, r2, r0, r9\n"
  "  smlad r11, r2, r1, r11\n"
  "  smlad r8, r3, r0, r8\n"
  "  smlad r10, r3, r1, r10\n"
  "  .else\n"
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
  "  .endif\n"
  "  .endm\n"
  // One channel of both pixels from its sums a0, a1 to its bytes, rounded as TFLite Micro does.
  "  .macro mn_exact a0, a1, scale:vararg\n"
  "  ldrd r0, r1, [r12], #8\n"
  "  lsl r2, lr, r3\n"
  "  add \\a0, r0, \\a0, \\scale\n"
  "  add \\a1, r0, \\a1, \\scale\n"
  "  smmlar r0, \\a0, r1, r2\n"
  "  add \\a0, r0, \\a0, asr #31\n"
  "  smmlar r0, \\a1, r1, r2\n"
  "  add \\a1, r0, \\a1, asr #31\n"
  "  asr \\a0, \\a0, r3\n"
  "  asr \\a1, \\a1, r3\n"
  "  ssat \\a0, #8, \\a0, asr #1\n"
  "  ssat \\a1, #8, \\a1, asr #1\n"
  "  .endm\n"
  // Two channels, of sums a0, a1 and b0, b1, by their lines.
  "  .macro mn_lines a0, a1, b0, b1\n"
  "  ldm r12!, {r0-r3}\n"
  "  add \\a0, r0, \\a0, lsl #10\n"
  "  add \\a1, r0, \\a1, lsl #10\n"
  "  .if mn_wide\n"
  "  add \\b0, r2, \\b0, lsl #10\n"
  "  add \\b1, r2, \\b1, lsl #10\n"
  "  .else\n"
  "  add \\b0, r2, \\b0, lsl #2\n"
  "  add \\b1, r2, \\b1, lsl #2\n"
  "  .endif\n"
  "  smmla \\a0, \\a0, r1, lr\n"
  "  smmla \\a1, \\a1, r1, lr\n"
  "  smmla \\b0, \\b0, r3, lr\n"
  "  smmla \\b1, \\b1, r3, lr\n"
  "  ssat \\a0, #8, \\a0, asr #12\n"
  "  ssat \\a1, #8, \\a1, asr #12\n"
  "  ssat \\b0, #8, \\b0, asr #12\n"
  "  ssat \\b1, #8, \\b1, asr #12\n"
  "  .endm\n"

  "mn_conv_run_dsp:\n"
  "  push {r4-r11, lr}\n"
  "  sub sp, #124\n"
  "  mov r12, sp\n"
  "  ldm r0!, {r1-r11, lr}\n"
  "  stm r12!, {r1-r11, lr}\n"
  "  ldm r0!, {r1-r11, lr}\n"
  "  stm r12!, {r1-r11, lr}\n"
  "  ldrd r1, r2, [r0]\n"
  "  strd r1, r2, [r12]\n"
  "  ldr r0, [sp, #16]\n"
  "  adr.w r1, 3f\n"
  "  add r0, r1\n"
  "  str r0, [sp, #16]\n"
  "  ldr r0, [sp, #24]\n"
  "  adr.w r1, 7f\n"
  "  cmp r0, #0\n"
  "  it ne\n"
  "  adrne.w r1, 8f\n"
  "  orr r1, r1, #1\n"
  "  str r1, [sp, #24]\n"
  "  ldr r0, [sp, #64]\n"
  "  adr.w r1, 12f\n"
  "  add r0, r1\n"
  "  str r0, [sp, #64]\n"

  // A pair. Widening: r0: to; r1, r2: inputs; r3: runs left; r4: row_step; r5: quad_entry; r6: quad_rounds; r7: rest;
  // r8: rest_to; r9: rounds left.
  "10:\n"
  "  add r0, sp, #44\n"
  "  ldm r0, {r0-r8}\n"
  "  cmp r3, #0\n"
  "  beq.n 20f\n"
  "11:\n"
  "  mov r9, r6\n"
  "  bx r5\n"
  "  .balign 4\n"
  "12:\n"
  "  .rept 4\n"
  "  ldr r12, [r1], #4\n"
  "  ldr lr, [r2], #4\n"
  "  sxtb16 r10, r12\n"
  "  sxtb16 r11, lr\n"
  "  sxtb16 r12, r12, ror #8\n"
  "  sxtb16 lr, lr, ror #8\n"
  "  stm r0!, {r10, r11, r12, lr}\n"
  "  .endr\n"
  "  subs.w r9, r9, #1\n"
  "  bne.w 12b\n"
  "  cbnz r7, 14f\n"
  "13:\n"
  "  subs r3, r3, #1\n"
  "  beq.n 20f\n"
  "  ldrd r10, r11, [sp, #80]\n"
  "  add r1, r4\n"
  "  add r2, r4\n"
  "  cmp r3, r10\n"
  "  bne.n 11b\n"
  "  sub r1, r11\n"
  "  sub r2, r11\n"
  "  b.n 11b\n"
  "14:\n"
  "  mov r9, r7\n"
  "15:\n"
  "  ldrsb r10, [r1], #1\n"
  "  ldrsb r11, [r2], #1\n"
  "  strh r10, [r8]\n"
  "  strh r11, [r8, #4]\n"
  "  add r8, r8, #2\n"
  "  tst r8, #2\n"                          // after the upper half of a word: the other pixel's word follows
  "  it eq\n"
  "  addeq r8, r8, #4\n"
  "  subs r9, r9, #1\n"
  "  bne.n 15b\n"
  "  b.n 13b\n"

  "20:\n"
  "  ldm sp, {r0, r1, r2, lr}\n"
  "  ldr r12, [sp, #32]\n"
  "  cmp r0, r2\n"
  "  beq.w 30f\n"
  "2:\n"                                    // a block of four channels
  "  mn_step_first\n"
  "  ldr pc, [sp, #16]\n"
  "  .balign 4\n"
  "3:\n"
  "  .rept 8\n"
  "  mn_step\n"
  "  .endr\n"
  "  ldr r0, [sp, #20]\n"
  "  cmp lr, r0\n"
  "  bne.w 3b\n"
  "6:\n"
  "  ldr lr, [sp, #28]\n"
  "  .if !mn_wide\n"
  "  sub r4, r4, r5\n"                      // 256 sum B x
  "  sub r6, r6, r7\n"
  "  sub r8, r8, r9\n"
  "  sub r10, r10, r11\n"
  "  .endif\n"
  "  ldr pc, [sp, #24]\n"
  "  .balign 4\n"
  "8:\n"
  "  ldr r3, [r12], #4\n"
  "  mn_exact r5, r7, lsl #1\n"
  "  lsr r3, r3, #8\n"
  "  .if mn_wide\n"
  "  mn_exact r4, r6, lsl #1\n"
  "  .else\n"
  "  mn_exact r4, r6, asr #7\n"
  "  .endif\n"
  "  lsr r3, r3, #8\n"
  "  mn_exact r9, r11, lsl #1\n"
  "  lsr r3, r3, #8\n"
  "  .if mn_wide\n"
  "  mn_exact r8, r10, lsl #1\n"
  "  .else\n"
  "  mn_exact r8, r10, asr #7\n"
  "  .endif\n"
  "  b.n 9f\n"
  "  .balign 4\n"
  "7:\n"
  "  mn_lines r5, r7, r4, r6\n"
  "  mn_lines r9, r11, r8, r10\n"
  "9:\n"
  "  bfi r5, r4, #8, #8\n"
  "  bfi r5, r9, #16, #8\n"
  "  bfi r5, r8, #24, #8\n"
  "  bfi r7, r6, #8, #8\n"
  "  bfi r7, r11, #16, #8\n"
  "  bfi r7, r10, #24, #8\n"
  "  ldm sp, {r0, r1, r2, lr}\n"
  "  str r7, [r0, r1]\n"
  "  str r5, [r0], #4\n"
  "  str r0, [sp]\n"
  "  cmp r0, r2\n"
  "  bne.w 2b\n"

  "30:\n"                                   // r0: out; r1: delta; r2: the end that out has reached
  "  ldr r3, [sp, #92]\n"
  "  cbnz r3, 50f\n"
  "40:\n"
  "  ldr r0, [sp, #40]\n"
  "  subs r0, r0, #1\n"
  "  beq.n 41f\n"
  "  str r0, [sp, #40]\n"
  "  ldrd r0, r1, [sp, #48]\n"
  "  ldr r2, [sp, #88]\n"
  "  add r0, r2\n"
  "  add r1, r2\n"
  "  strd r0, r1, [sp, #48]\n"
  "  ldr r1, [sp, #8]\n"
  "  ldrd r2, r3, [sp, #96]\n"
  "  add r1, r2\n"
  "  sub r0, r1, r3\n"
  "  str r0, [sp]\n"
  "  str r1, [sp, #8]\n"
  "  b.w 10b\n"
  "41:\n"
  "  add sp, #124\n"
  "  pop {r4-r11, pc}\n"

  // One to three channels more: outputs go through the stack. Three are a block whose last channel is not copied.
  "50:\n"
  "  add r4, sp, #108\n"
  "  cmp r2, r4\n"
  "  beq.n 53f\n"
  "  strd r0, r1, [sp, #112]\n"
  "  add r0, sp, #104\n"
  "  mov r1, #4\n"
  "  mov r2, r4\n"
  "  stm sp, {r0, r1, r2}\n"
  "  cmp r3, #3\n"
  "  beq.w 2b\n"
  "  mov r4, #0\n"
  "  mov r5, #0\n"
  "  mov r6, #0\n"
  "  mov r7, #0\n"
  "  ldr r8, [sp, #20]\n"
  "51:\n"
  "  ldrd r0, r1, [lr], #8\n"
  "  .if mn_wide\n"
  "  ldrd r2, r3, [r12], #8\n"
  "  smlad r5, r2, r0, r5\n"
  "  smlad r7, r2, r1, r7\n"
  "  smlad r4, r3, r0, r4\n"
  "  smlad r6, r3, r1, r6\n"
  "  .else\n"
  "  ldr r2, [r12], #4\n"
  "  smlad r4, r2, r0, r4\n"
  "  smlad r6, r2, r1, r6\n"
  "  sxtb16 r2, r2\n"
  "  smlad r5, r2, r0, r5\n"
  "  smlad r7, r2, r1, r7\n"
  "  .endif\n"
  "  cmp lr, r8\n"
  "  bne.n 51b\n"
  "  b.n 6b\n"
  "53:\n"
  "  ldrd r4, r5, [sp, #104]\n"
  "  ldrd r0, r1, [sp, #112]\n"
  "  strd r1, r0, [sp, #4]\n"
  "54:\n"
  "  strb r5, [r0, r1]\n"
  "  strb r4, [r0], #1\n"
  "  lsrs r5, r5, #8\n"
  "  lsrs r4, r4, #8\n"
  "  subs r3, r3, #1\n"
  "  bne.n 54b\n"
  "  b.n 40b\n"
  "  .size mn_conv_run_dsp, . - mn_conv_run_dsp\n"

  "  .purgem mn_step_first\n"
  "  .purgem mn_step\n"
  "  .purgem mn_exact\n"
  "  .purgem mn_lines\n"
  "  .popsection\n");

#else

static void mn_conv_put_rest(uint32_t *to, int32_t index, int32_t value)
{
  int16_t *const half = (int16_t *)(to + index / 2 * 2) + index % 2;

  *half = (int16_t)value;
}

static void mn_conv_widen_pair(const struct mn_conv_run *r, const int8_t *const from[2], int32_t quads)
{
  for (int32_t pixel = 0; pixel < 2; pixel++) {
    const int8_t *x = from[pixel];
    uint32_t *to = r->to + pixel;
    int32_t rest = ((uintptr_t)r->rest_to & 2) / 2;
    uint32_t *const rest_to = (uint32_t *)((uintptr_t)r->rest_to & ~(uintptr_t)2) + pixel;

    for (int32_t left = r->runs; left > 0; x += r->row_step) {
      for (int32_t q = 0; q < quads; q++, x += 4, to += 4) {
        const uint32_t word = mn_load_word(x);

        to[0] = mn_widen_even(word);
        to[2] = mn_widen_odd(word);
      }
      for (int32_t i = 0; i < r->rest; i++) {
        mn_conv_put_rest(rest_to, rest++, *x++);
      }
      if (--left == 0) {
        break;
      }
      if (left == r->wrap) {
        x -= r->wrap_bytes;
      }
    }
  }
}

// Sums of four channels (or of two) of both pixels.
static const uint32_t *mn_conv_sums(const struct mn_conv_run *r, const uint32_t *w, int32_t channels,
                                    uint32_t sums[4][2])
{
  for (const uint32_t *v = r->x; v != r->x_end; v += 2) {
    for (int32_t c = 0; c < channels; c += MN_CONV_WIDE ? 1 : 2, w++) {
      for (int32_t pixel = 0; pixel < 2; pixel++) {
        sums[c][pixel] = mn_smlad(MN_CONV_WIDE ? *w : mn_widen_even(*w), v[pixel], sums[c][pixel]);
        if (!MN_CONV_WIDE) {
          sums[c + 1][pixel] = mn_smlad(*w, v[pixel], sums[c + 1][pixel]);
        }
      }
    }
  }
  for (int32_t i = 0; !MN_CONV_WIDE && i < channels; i += 2) {
    for (int32_t pixel = 0; pixel < 2; pixel++) {
      sums[i + 1][pixel] = (uint32_t)((int32_t)(sums[i + 1][pixel] - sums[i][pixel]) >> 8);
    }
  }
  return w;
}

static const uint32_t *mn_conv_channels(const struct mn_conv_run *r, const uint32_t *w, uint32_t count, int8_t *out)
{
  uint32_t sums[4][2] = {{0}};
  const uint32_t *q = mn_conv_sums(r, w, count < 3 ? 2 : 4, sums);
  uint32_t shifts = r->exact ? *q++ : 0;

  for (uint32_t c = 0; c < 4; c++, q += 2, shifts >>= 8) {
    for (int32_t pixel = 1; pixel >= 0 && c < count; pixel--) {
      int8_t *const to = out + c + (pixel ? r->delta : 0);

      if (r->exact) {
        *to = mn_requantize_short(q[0] + 2 * sums[c][pixel], q[1], shifts & 0xffu, r->rounding);
      } else {
        *to = mn_requantize_line(q[0] + (sums[c][pixel] << MN_LINE_SHIFT), q[1], r->rounding);
      }
    }
  }
  return q;
}

static void mn_conv_run_dsp(struct mn_conv_run *r)
{
  const int32_t all = 4 * 28 + 9, quads = r->quad_entry == all ? 0 : 4 * r->quad_rounds - r->quad_entry / 28;
  const int8_t *from[2] = {r->x0, r->x1};

  for (; r->pairs > 0; r->pairs--, r->out += r->out_step) {
    const uint32_t *w = r->weights;
    int32_t c = 0;

    if (r->runs > 0) {
      mn_conv_widen_pair(r, from, quads);
      from[0] += r->in_step;
      from[1] += r->in_step;
    }
    for (; c < r->block_bytes; c += 4) {
      w = mn_conv_channels(r, w, 4, r->out + c);
    }
    if (r->tail > 0) {
      mn_conv_channels(r, w, r->tail, r->out + c);
    }
  }
}

#endif
#endif
#endif
