// SPDX-License-Identifier: Apache-2.0
// The inner part of 3x3 depthwise convolutions: a strip of four channels of two output rows, or of one, in assembly on
// the core (mn_depthwise_asm_dsp.h) because it needs all fourteen registers. Vertical neighbours share a word, so that a
// column of three taps takes two multiplications.
//
// Before inclusion: MN_DEPTHWISE_BITS: of a weight in flash, 4 or 8.
#ifndef MN_DEPTHWISE_BLOCK_DSP_H
#define MN_DEPTHWISE_BLOCK_DSP_H

#include "mn_dsp.h"

#if MN_HAS_DSP

// A strip's columns of inputs, widened: per channel a word of rows 0 and 1, and one of rows 2 and 3.
#define MN_COLUMN_WORDS 8
#define MN_COLUMN_BYTES 32

// Each has names of its own, for a program that is compiled as a whole may hold both.
#if MN_DEPTHWISE_BITS == 4
#define MN_DEPTHWISE_COLUMNS mn_depthwise_columns_s4_dsp
#define MN_DEPTHWISE_TWO mn_depthwise_two_s4_dsp
#define MN_DEPTHWISE_ONE mn_depthwise_one_s4_dsp
#else
#define MN_DEPTHWISE_COLUMNS mn_depthwise_columns_dsp
#define MN_DEPTHWISE_TWO mn_depthwise_two_dsp
#define MN_DEPTHWISE_ONE mn_depthwise_one_dsp
#endif

// One channel's constants, as mn_nn_dsp.h describes them for int8.
#define MN_DEPTHWISE_WORDS 5

// Writes `count` (at least 1) columns of four channels from byte `at` on of input rows; columns lie `step` bytes apart.
// fourth: 0 when there are three rows.
MN_DSP_ASSEMBLY void MN_DEPTHWISE_COLUMNS(const int8_t *const rows[4], int32_t count, uint32_t *columns,
                                              int32_t step, int32_t at, int32_t fourth);

// Computes `count` (at least 1) output columns. The bytes of four channels end in the first word of each column, those
// of a second row in the next word. _one computes one row only, from input columns `step` bytes apart, one or two
// times MN_COLUMN_BYTES, so that bytes land where inputs have been used.
// rounding, exact: as in struct mn_conv_run.
MN_DSP_ASSEMBLY void MN_DEPTHWISE_TWO(uint32_t *columns, int32_t count, const uint32_t *constants,
                                          uint32_t rounding, int32_t exact);
MN_DSP_ASSEMBLY void MN_DEPTHWISE_ONE(uint32_t *columns, int32_t count, const uint32_t *constants,
                                          uint32_t rounding, int32_t exact, int32_t step);

#if defined(__arm__)

#include "mn_depthwise_asm_dsp.h"

#else

static void MN_DEPTHWISE_COLUMNS(const int8_t *const rows[4], int32_t count, uint32_t *columns, int32_t step,
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

static void MN_DEPTHWISE_TWO(uint32_t *columns, int32_t count, const uint32_t *constants, uint32_t rounding,
                                 int32_t exact)
{
  mn_depthwise_rows(columns, count, constants, rounding, exact, MN_COLUMN_BYTES, 2);
}

static void MN_DEPTHWISE_ONE(uint32_t *columns, int32_t count, const uint32_t *constants, uint32_t rounding,
                                 int32_t exact, int32_t step)
{
  mn_depthwise_rows(columns, count, constants, rounding, exact, step, 1);
}

#endif
#endif
#endif
