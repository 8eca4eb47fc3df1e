// SPDX-License-Identifier: Apache-2.0
// The inner part of 3x3 depthwise convolutions: a strip of four channels of two output rows, or of one, in assembly
// because it needs all fourteen registers. Vertical neighbours share a word, so that a column of three taps takes two
// multiplications.
#ifndef MN_DEPTHWISE_BLOCK_DSP_H
#define MN_DEPTHWISE_BLOCK_DSP_H

#include "mn_dsp.h"

#if MN_HAS_DSP

// A strip's columns of inputs, widened: per channel a word of rows 0 and 1, and one of rows 2 and 3.
#define MN_COLUMN_WORDS 8
#define MN_COLUMN_BYTES 32

// One channel's constants, as mn_nn_dsp.h describes them.
#define MN_DEPTHWISE_WORDS 5

// Writes `count` (at least 1) columns of four channels from byte `at` on of input rows; columns lie `step` bytes apart.
// fourth: 0 when there are three rows.
MN_DSP_ASSEMBLY void mn_depthwise_columns_dsp(const int8_t *const rows[4], int32_t count, uint32_t *columns,
                                              int32_t step, int32_t at, int32_t fourth);

// Computes `count` (at least 1) output columns. The bytes of four channels end in the first word of each column, those
// of a second row in the next word. _one computes one row only, from input columns `step` bytes apart, one or two
// times MN_COLUMN_BYTES, so that bytes land where inputs have been used.
// rounding, exact: as in struct mn_conv_run. room: for a word of the stack.
MN_DSP_ASSEMBLY void mn_depthwise_two_dsp(uint32_t *columns, int32_t count, const uint32_t *constants,
                                          uint32_t rounding, int32_t exact, int32_t step, int32_t room);
MN_DSP_ASSEMBLY void mn_depthwise_one_dsp(uint32_t *columns, int32_t count, const uint32_t *constants,
                                          uint32_t rounding, int32_t exact, int32_t step);

#if defined(__arm__)

__asm__(
  "  .syntax unified\n"
  "  .pushsection .text.mn_depthwise_block_dsp, \"ax\", %progbits\n"
  "  .balign 4\n"
  "  .thumb\n"

  // Two input rows of a column, already loaded into a and b, to words of pairs: channels 0 to 3 in t, a, b, d.
  "  .macro mn_pair_rows a, b, c, d, t\n"
  "  sxtb16 \\c, \\a, ror #8\n"
  "  sxtb16 \\d, \\b, ror #8\n"
  "  sxtb16 \\a, \\a\n"
  "  sxtb16 \\b, \\b\n"
  "  pkhbt \\t, \\a, \\b, lsl #16\n"
  "  pkhtb \\b, \\b, \\a, asr #16\n"
  "  pkhbt \\a, \\c, \\d, lsl #16\n"
  "  pkhtb \\d, \\d, \\c, asr #16\n"
  "  .endm\n"

  // r0 to r3: rows behind the last column; r12: columns; lr: bytes to the end, negative. [sp] lr, step. Of three rows
  // r3 is the step, and the third row's channels lie alone in the low halves of their words.
  "  .thumb_func\n"
  "  .type mn_depthwise_columns_dsp, %function\n"
  "mn_depthwise_columns_dsp:\n"
  "  push {r2-r11, lr}\n"
  "  mov r12, r2\n"
  "  mul lr, r1, r3\n"
  "  ldr r4, [sp, #44]\n"
  "  ldr r7, [sp, #48]\n"
  "  add r4, r4, lr\n"
  "  rsb lr, lr, #0\n"
  "  strd lr, r3, [sp]\n"
  "  ldm r0, {r0-r2, r5}\n"
  "  add r0, r0, r4\n"
  "  add r1, r1, r4\n"
  "  add r2, r2, r4\n"
  "  cbz r7, 2f\n"
  "  add r3, r5, r4\n"
  "1:\n"
  "  ldr r6, [r0, lr]\n"
  "  ldr r8, [r1, lr]\n"
  "  ldr r7, [r2, lr]\n"
  "  ldr r9, [r3, lr]\n"
  "  mn_pair_rows r6, r8, r5, r10, r4\n"
  "  mn_pair_rows r7, r9, lr, r11, r5\n"
  "  stm r12!, {r4-r11}\n"
  "  ldrd lr, r4, [sp]\n"
  "  adds lr, lr, r4\n"
  "  str lr, [sp]\n"
  "  bne.n 1b\n"
  "  pop {r2-r11, pc}\n"
  "2:\n"
  "  ldr r6, [r0, lr]\n"
  "  ldr r8, [r1, lr]\n"
  "  ldr r7, [r2, lr]\n"
  "  mn_pair_rows r6, r8, r5, r10, r4\n"
  "  sxtb16 r5, r7\n"
  "  sxtb16 r7, r7, ror #8\n"
  "  asr r9, r5, #16\n"
  "  asr r11, r7, #16\n"
  "  stm r12!, {r4-r11}\n"
  "  adds lr, lr, r3\n"
  "  bne.n 2b\n"
  "  pop {r2-r11, pc}\n"
  "  .size mn_depthwise_columns_dsp, . - mn_depthwise_columns_dsp\n"

  // r0: column; r2, r3, r4: weights of rows (0, 1) per tap; r10, r11: inputs; lr: output.
  // [sp] columns of the channel, count, constants, rounding, [sp, 16] offset and slope (exact: twice the bias, rounding
  // word), output, output of channel 4; [sp, 68] exact, [sp, 72] step.
  "  .macro mn_depthwise_begin\n"
  "  push {r4-r11, lr}\n"
  "  mov r6, r0\n"
  "  add r7, r0, #4\n"
  "  push {r0-r7}\n"
  "  .endm\n"

  // Leaves the column, its count, the constants (a third of taps in r8, r9: offset, r12: slope) and the rounding in r10.
  "  .macro mn_depthwise_channel\n"
  "  ldrd r0, r1, [sp]\n"
  "  ldrd lr, r10, [sp, #8]\n"
  "  ldm lr!, {r2, r3, r8, r9, r12}\n"
  "  add r5, r0, #8\n"
  "  str r5, [sp]\n"
  "  str lr, [sp, #8]\n"
  "  sxtb16 r11, r3, ror #8\n"
  "  sxtb16 r4, r3\n"
  "  sxtb16 r3, r2, ror #8\n"
  "  sxtb16 r2, r2\n"
  "  ldr lr, [sp, #24]\n"
  "  add r5, lr, #1\n"
  "  str r5, [sp, #24]\n"
  "  ldr r5, [sp, #68]\n"
  "  .endm\n"

  // Exact rounding: r1: (columns left - 1) << 8 | shift.
  "  .macro mn_depthwise_exact\n"
  "  uxtb r7, r8\n"
  "  sub r1, r1, #1\n"
  "  orr r1, r7, r1, lsl #8\n"
  "  lsl r10, r10, r7\n"
  "  strd r9, r10, [sp, #16]\n"
  "  .endm\n"

  // After the last column: the next channel, or the end.
  "  .macro mn_depthwise_end channel\n"
  "  ldrd r8, r9, [sp, #24]\n"
  "  cmp r8, r9\n"
  "  bne.w \\channel\n"
  "  add sp, sp, #32\n"
  "  pop {r4-r11, pc}\n"
  "  .endm\n"

  "  .macro mn_depthwise_byte sum\n"
  "  smmlar r10, \\sum, r12, r11\n"
  "  add r10, r10, \\sum, asr #31\n"
  "  asr r10, r10, r1\n"
  "  ssat \\sum, #8, r10, asr #1\n"
  "  .endm\n"

  // A column's tap, in two output rows.
  "  .macro mn_tap_first a, b\n"
  "  smuad \\a, r10, r2\n"
  "  smultb \\b, r10, r2\n"
  "  smlabt \\a, r11, r5, \\a\n"
  "  smlad \\b, r11, r5, \\b\n"
  "  .endm\n"
  "  .macro mn_tap a, b, upper, lower\n"
  "  smlad \\a, r10, \\upper, \\a\n"
  "  smlatb \\b, r10, \\upper, \\b\n"
  "  smlabt \\a, r11, \\lower, \\a\n"
  "  smlad \\b, r11, \\lower, \\b\n"
  "  .endm\n"

  // r5, r6, r7: weights of rows (1, 2); r8, r9: sums of the two rows, r1, r12: of the next column's.
  "  .thumb_func\n"
  "  .type mn_depthwise_two_dsp, %function\n"
  "mn_depthwise_two_dsp:\n"
  "  mn_depthwise_begin\n"
  "1:\n"
  "  mn_depthwise_channel\n"
  "  cbz r5, 2f\n"
  "  mn_depthwise_exact\n"
  "  b.n 3f\n"
  "2:\n"
  "  strd r9, r12, [sp, #16]\n"
  "  and r7, r1, #1\n"
  "  sub r7, r7, r1\n"
  "  sub r7, r0, r7, lsl #5\n"
  "  str r7, [sp, #76]\n"
  "3:\n"
  "  asr r8, r8, #8\n"
  "  pkhtb r5, r11, r2, asr #16\n"
  "  asr r6, r3, #16\n"
  "  pkhbt r6, r6, r11, lsl #16\n"
  "  asr r7, r4, #16\n"
  "  pkhbt r7, r7, r8, lsl #16\n"
  "  ldr r10, [sp, #68]\n"
  "  cmp r10, #0\n"
  "  bne.w 5f\n"
  "  cmp r1, #1\n"
  "  beq.w 5f\n"
  "4:\n"
  "  ldrd r10, r11, [r0], #32\n"
  "  mn_tap_first r8, r9\n"
  "  ldrd r10, r11, [r0], #32\n"
  "  mn_tap r8, r9, r3, r6\n"
  "  mn_tap_first r1, r12\n"
  "  ldrd r10, r11, [r0]\n"
  "  mn_tap r8, r9, r4, r7\n"
  "  mn_tap r1, r12, r3, r6\n"
  "  ldrd r10, r11, [r0, #32]\n"
  "  mn_tap r1, r12, r4, r7\n"
  "  ldrd r10, r11, [sp, #16]\n"
  "  add r8, r10, r8, lsl #10\n"
  "  add r9, r10, r9, lsl #10\n"
  "  add r1, r10, r1, lsl #10\n"
  "  add r12, r10, r12, lsl #10\n"
  "  ldr r10, [sp, #12]\n"
  "  smmla r8, r8, r11, r10\n"
  "  smmla r9, r9, r11, r10\n"
  "  smmla r1, r1, r11, r10\n"
  "  smmla r12, r12, r11, r10\n"
  "  ssat r8, #8, r8, asr #12\n"
  "  ssat r9, #8, r9, asr #12\n"
  "  ssat r1, #8, r1, asr #12\n"
  "  ssat r12, #8, r12, asr #12\n"
  "  strb r9, [lr, #4]\n"
  "  strb r1, [lr, #32]\n"
  "  strb r12, [lr, #36]\n"
  "  strb r8, [lr], #64\n"
  "  ldr r10, [sp, #76]\n"
  "  cmp r0, r10\n"
  "  bne.n 4b\n"
  "  ldr r1, [sp, #4]\n"
  "  lsls r1, r1, #31\n"
  "  beq.n 7f\n"
  "5:\n"
  "  ldrd r10, r11, [r0], #32\n"
  "  mn_tap_first r8, r9\n"
  "  ldrd r10, r11, [r0]\n"
  "  mn_tap r8, r9, r3, r6\n"
  "  ldrd r10, r11, [r0, #32]\n"
  "  mn_tap r8, r9, r4, r7\n"
  "  ldr r10, [sp, #68]\n"
  "  cmp r10, #0\n"
  "  bne.n 6f\n"
  "  ldrd r10, r11, [sp, #16]\n"
  "  ldr r1, [sp, #12]\n"
  "  add r8, r10, r8, lsl #10\n"
  "  add r9, r10, r9, lsl #10\n"
  "  smmla r8, r8, r11, r1\n"
  "  smmla r9, r9, r11, r1\n"
  "  ssat r8, #8, r8, asr #12\n"
  "  ssat r9, #8, r9, asr #12\n"
  "  strb r8, [lr]\n"
  "  strb r9, [lr, #4]\n"
  "  b.n 7f\n"
  "6:\n"
  "  ldrd r10, r11, [sp, #16]\n"
  "  add r8, r10, r8, lsl #1\n"
  "  add r9, r10, r9, lsl #1\n"
  "  mn_depthwise_byte r8\n"
  "  mn_depthwise_byte r9\n"
  "  strb r8, [lr], #4\n"
  "  strb r9, [lr], #28\n"
  "  subs r1, r1, #256\n"
  "  bpl.n 5b\n"
  "7:\n"
  "  mn_depthwise_end 1b\n"
  "  .size mn_depthwise_two_dsp, . - mn_depthwise_two_dsp\n"

  // r5, r6: weights of row 2 at taps (1, 0) and 2; lines: r7: rounding; r9: offset; exact: r9: step.
  "  .macro mn_one_first\n"
  "  smuad r8, r10, r2\n"
  "  smlabt r8, r11, r5, r8\n"
  "  .endm\n"
  "  .macro mn_one_second\n"
  "  smlad r8, r10, r3, r8\n"
  "  smlabb r8, r11, r5, r8\n"
  "  .endm\n"
  "  .macro mn_one_third\n"
  "  smlad r8, r10, r4, r8\n"
  "  smlabb r8, r11, r6, r8\n"
  "  .endm\n"
  "  .macro mn_one_line loop\n"
  "  add r8, r9, r8, lsl #10\n"
  "  smmla r8, r8, r12, r7\n"
  "  ssat r8, #8, r8, asr #12\n"
  "  strb r8, [lr], #32\n"
  "  subs r1, r1, #1\n"
  "  bne.n \\loop\n"
  "  .endm\n"

  "  .thumb_func\n"
  "  .type mn_depthwise_one_dsp, %function\n"
  "mn_depthwise_one_dsp:\n"
  "  mn_depthwise_begin\n"
  "1:\n"
  "  mn_depthwise_channel\n"
  "  asr r6, r8, #8\n"
  "  cmp r5, #0\n"
  "  bne.n 4f\n"
  "  mov r5, r11\n"
  "  mov r7, r10\n"
  "  ldr r10, [sp, #72]\n"
  "  cmp r10, #32\n"
  "  beq.n 3f\n"
  "  ldrd r10, r11, [r0]\n"
  "2:\n"
  "  mn_one_first\n"
  "  ldrd r10, r11, [r0, #32]\n"
  "  mn_one_second\n"
  "  ldrd r10, r11, [r0, #64]!\n"
  "  mn_one_third\n"
  "  mn_one_line 2b\n"
  "  b.n 6f\n"
  "3:\n"
  "  ldrd r10, r11, [r0], #32\n"
  "  mn_one_first\n"
  "  ldrd r10, r11, [r0]\n"
  "  mn_one_second\n"
  "  ldrd r10, r11, [r0, #32]\n"
  "  mn_one_third\n"
  "  mn_one_line 3b\n"
  "  b.n 6f\n"
  "4:\n"
  "  mn_depthwise_exact\n"
  "  mov r5, r11\n"
  "  ldr r9, [sp, #72]\n"
  "5:\n"
  "  ldrd r10, r11, [r0]\n"
  "  mn_one_first\n"
  "  ldrd r10, r11, [r0, #32]\n"
  "  mn_one_second\n"
  "  ldrd r10, r11, [r0, #64]\n"
  "  mn_one_third\n"
  "  ldrd r10, r11, [sp, #16]\n"
  "  add r0, r0, r9\n"
  "  add r8, r10, r8, lsl #1\n"
  "  mn_depthwise_byte r8\n"
  "  strb r8, [lr], #32\n"
  "  subs r1, r1, #256\n"
  "  bpl.n 5b\n"
  "6:\n"
  "  mn_depthwise_end 1b\n"
  "  .size mn_depthwise_one_dsp, . - mn_depthwise_one_dsp\n"

  "  .purgem mn_pair_rows\n"
  "  .purgem mn_depthwise_begin\n"
  "  .purgem mn_depthwise_channel\n"
  "  .purgem mn_depthwise_exact\n"
  "  .purgem mn_depthwise_end\n"
  "  .purgem mn_depthwise_byte\n"
  "  .purgem mn_tap_first\n"
  "  .purgem mn_tap\n"
  "  .purgem mn_one_first\n"
  "  .purgem mn_one_second\n"
  "  .purgem mn_one_third\n"
  "  .purgem mn_one_line\n"
  "  .popsection\n");

#else

static void mn_depthwise_columns_dsp(const int8_t *const rows[4], int32_t count, uint32_t *columns, int32_t step,
                                     int32_t at, int32_t fourth)
{
  for (int32_t x = 0; x < count; x++, columns += MN_COLUMN_WORDS) {
    for (int32_t pair = 0; pair < 2; pair++) {
      const uint32_t a = mn_load_word(rows[2 * pair] + at + x * step),
                     b = pair == 1 && !fourth ? 0 : mn_load_word(rows[2 * pair + 1] + at + x * step);

      columns[pair] = mn_low_halves(mn_widen_even(a), mn_widen_even(b));
      columns[pair + 2] = mn_low_halves(mn_widen_odd(a), mn_widen_odd(b));
      columns[pair + 4] = mn_high_halves(mn_widen_even(a), mn_widen_even(b));
      columns[pair + 6] = mn_high_halves(mn_widen_odd(a), mn_widen_odd(b));
    }
  }
}

// Three taps by three of one channel; first_row: the first of the four input rows.
static uint32_t mn_depthwise_sum(const uint32_t *v, const uint32_t *constants, int32_t first_row)
{
  const int8_t *const w = (const int8_t *)constants, last = (int8_t)(constants[2] >> 8);
  const int32_t upper[3] = {w[0], w[1], w[4]}, middle[3] = {w[2], w[3], w[6]}, lower[3] = {w[7], w[5], last};
  uint32_t sum = 0;

  for (int32_t k = 0; k < 3; k++, v += MN_COLUMN_WORDS) {
    const int32_t rows[4] = {mn_lane(v[0], 0), mn_lane(v[0], 1), mn_lane(v[1], 0), mn_lane(v[1], 1)};

    sum += (uint32_t)(rows[first_row] * upper[k] + rows[first_row + 1] * middle[k] + rows[first_row + 2] * lower[k]);
  }
  return sum;
}

static void mn_depthwise_rows(uint32_t *columns, int32_t count, const uint32_t *constants, uint32_t rounding,
                              int32_t exact, int32_t step, int32_t rows)
{
  for (int32_t channel = 0; channel < 4; channel++, constants += MN_DEPTHWISE_WORDS) {
    for (int32_t x = 0; x < count; x++) {
      int8_t *const out = (int8_t *)(columns + x * MN_COLUMN_WORDS) + channel;
      int8_t bytes[2];

      for (int32_t row = 0; row < rows; row++) {
        const uint32_t sum = mn_depthwise_sum(columns + x * (step / 4) + 2 * channel, constants, row);

        bytes[row] = exact ? mn_requantize_short(constants[3] + (sum << 1), constants[4], constants[2] & 0xffu, rounding)
                           : mn_requantize_line(constants[3] + (sum << MN_LINE_SHIFT), constants[4], rounding);
      }
      for (int32_t row = 0; row < rows; row++) {
        out[4 * row] = bytes[row];
      }
    }
  }
}

static void mn_depthwise_two_dsp(uint32_t *columns, int32_t count, const uint32_t *constants, uint32_t rounding,
                                 int32_t exact, int32_t step, int32_t room)
{
  (void)step;
  (void)room;
  mn_depthwise_rows(columns, count, constants, rounding, exact, MN_COLUMN_BYTES, 2);
}

static void mn_depthwise_one_dsp(uint32_t *columns, int32_t count, const uint32_t *constants, uint32_t rounding,
                                 int32_t exact, int32_t step)
{
  mn_depthwise_rows(columns, count, constants, rounding, exact, step, 1);
}

#endif
#endif
#endif
