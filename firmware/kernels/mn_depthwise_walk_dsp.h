// SPDX-License-Identifier: Apache-2.0
// Depthwise 3x3: the input columns of four channels are widened and paired into scratch, then each channel runs along
// its columns and leaves its output bytes there; whole pixels are written at the end.
//
// Before inclusion: MN_DEPTHWISE_BITS (mn_depthwise_block_dsp.h), MN_DEPTHWISE_MEMBERS: the name of the kernel's struct.
#ifndef MN_DEPTHWISE_WALK_DSP_H
#define MN_DEPTHWISE_WALK_DSP_H

#include "mn_depthwise_block_dsp.h"
#include "mn_inline.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

// Output columns of one or two rows that are computed at a time, and the input columns that they read.
struct strip {
  const int8_t *row[4];      // the input rows at column 0, channel 0; any row for those outside
  uint32_t outside;          // bit i: row i is padding
  int32_t rows, count;
  int32_t at;                // first input byte, in channel 0
  int32_t before, inside, after;        // input columns: padding, input, padding
};

static MN_NOINLINE void put_padding(uint32_t *to, int32_t columns, uint32_t padding)
{
  for (; columns > 0; columns--) {
    for (int32_t i = 0; i < MN_COLUMN_WORDS; i++) {
      *to++ = padding;
    }
  }
}

// Rows outside the input, in columns that were read as if they were inside.
static MN_NOINLINE void pad_rows(uint32_t *columns, const uint32_t *end, uint32_t outside, uint32_t padding)
{
  const uint32_t upper = (outside & 1u ? 0xffffu : 0u) | (outside & 2u ? 0xffff0000u : 0u);
  const uint32_t lower = (outside & 4u ? 0xffffu : 0u) | (outside & 8u ? 0xffff0000u : 0u);

  for (; columns != end; columns += 2) {
    columns[0] = (columns[0] & ~upper) | (padding & upper);
    columns[1] = (columns[1] & ~lower) | (padding & lower);
  }
}

// A strip's bytes of four channels, from the first words of its columns to its output row.
static MN_NOINLINE void put_pixels(int8_t *out, const uint32_t *columns, int32_t count, int32_t step)
{
  for (; count > 0; count--, columns += MN_COLUMN_WORDS, out += step) {
    mn_store_word(out, *columns);
  }
}

// Channels c..c+3 of a strip whose padding columns are in place; out: its first output pixel in both rows.
static void four_channels(const struct MN_DEPTHWISE_MEMBERS *p, const struct strip *s, int32_t c,
                          const uint32_t *constants, uint32_t *columns, int8_t *const out[2])
{
  const uint32_t rounding = (uint32_t)(2 * p->output_zero_point + 1) << (p->exact ? 0 : MN_LINE_POINT - 1);
  uint32_t *const inside = columns + s->before * MN_COLUMN_WORDS;

  MN_DEPTHWISE_COLUMNS(s->row, s->inside, inside, p->in_step, s->at + c, s->rows == 2);
  if (s->outside != 0) {
    pad_rows(inside, inside + s->inside * MN_COLUMN_WORDS, s->outside, mn_both(p->input_zero_point));
  }
  if (s->rows == 1) {
    MN_DEPTHWISE_ONE(columns, s->count, constants, rounding, p->exact, MN_COLUMN_BYTES * p->stride);
  } else {
    MN_DEPTHWISE_TWO(columns, s->count, constants, rounding, p->exact);
    put_pixels(out[1] + c, columns + 1, s->count, p->out_step);
  }
  put_pixels(out[0] + c, columns, s->count, p->out_step);
}

#if MN_DEPTHWISE_BITS == 4

// The constants of four channels, as they are with int8 weights; returns where the next ones lie.
static const uint32_t *unpack(const uint32_t *from, int32_t exact, uint32_t *to)
{
  const int8_t *const last = (const int8_t *)(from + 4);
  const uint8_t *const shift = (const uint8_t *)(from + 5);
  const uint32_t *finish = from + 5 + exact;

  for (int32_t k = 0; k < 4; k++, to += MN_DEPTHWISE_WORDS, finish += 2) {
    to[0] = mn_ssub8(from[k] & 0x0f0f0f0fu, 0x08080808u);
    to[1] = mn_ssub8(from[k] >> 4 & 0x0f0f0f0fu, 0x08080808u);
    to[2] = (uint32_t)(last[k] * 256) | (exact ? shift[k] : 0u);
    to[3] = finish[0];
    to[4] = finish[1];
  }
  return finish;
}

#endif

// All channels of a strip.
static void all_channels(const struct MN_DEPTHWISE_MEMBERS *p, const struct strip *s, uint32_t *columns,
                         int8_t *const out[2])
{
  const uint32_t padding = mn_both(p->input_zero_point), *constants = p->constants;

  put_padding(columns + s->before * MN_COLUMN_WORDS + s->inside * MN_COLUMN_WORDS, s->after, padding);
  for (int32_t c = 0; c < p->channels; c += 4) {
    put_padding(columns, s->before, padding);               // output bytes were there
    // The last four channels may repeat some: nothing they read has been overwritten.
    const int32_t first = c + 4 <= p->channels ? c : p->channels - 4;
#if MN_DEPTHWISE_BITS == 4
    uint32_t unpacked[4 * MN_DEPTHWISE_WORDS];

    constants = unpack(constants, p->exact, unpacked);
    four_channels(p, s, first, unpacked, columns, out);
#else
    four_channels(p, s, first, constants, columns, out);
    constants += 4 * MN_DEPTHWISE_WORDS;
#endif
  }
  if (p->low > INT8_MIN || p->high < INT8_MAX) {
    for (int32_t row = 0; row < s->rows; row++) {
      mn_clamp_pixels(out[row], s->count, p->channels, p->out_step, p->low, p->high);
    }
  }
}

// Output rows oy.. (one or two), all columns and channels.
static void rows_at(const struct MN_DEPTHWISE_MEMBERS *p, const int8_t *in, int8_t *out, uint32_t *columns, int32_t oy,
                    int32_t rows)
{
  struct strip s;

  s.rows = rows;
  s.outside = 0;
  for (int32_t i = 0; i < 4; i++) {
    const int32_t y = oy * p->stride - p->pad_top + (i < rows + 2 ? i : rows + 1);
    const int32_t inside = y < 0 ? 0 : y < p->in_h ? y : p->in_h - 1;

    s.row[i] = in + inside % p->in_ring * p->in_w * p->in_step;
    s.outside |= (uint32_t)(y != inside) << i;
  }
  for (int32_t ox = 0; ox < p->out_w; ox += s.count) {
    const int32_t left = p->out_w - ox, first = ox * p->stride - p->pad_left;
    int8_t *to[2];

    s.count = left < p->strip ? left : p->strip;
    const int32_t last = first + (s.count - 1) * p->stride + 3;
    const int32_t begin = first < 0 ? 0 : first, end = last > p->in_w ? p->in_w : last;

    s.at = begin * p->in_step;
    s.before = begin - first;
    s.inside = end - begin;
    s.after = last - end;
    for (int32_t row = 0; row < 2; row++) {
      to[row] = out + ((oy + row) % p->out_ring * p->out_w + ox) * p->out_step;
    }
    all_channels(p, &s, columns, to);
  }
}

static inline void mn_depthwise_walk(const struct MN_DEPTHWISE_MEMBERS *p, const int8_t *in, int8_t *out, void *scratch,
                                     int32_t from, int32_t to)
{
  int32_t rows;

  for (; from < to; from += rows) {
    rows = p->stride == 1 && to - from >= 2 ? 2 : 1;
    rows_at(p, in, out, scratch, from, rows);
  }
  for (; from > to; from -= rows) {
    rows = p->stride == 1 && from - to >= 2 ? 2 : 1;
    rows_at(p, in, out, scratch, from - rows, rows);
  }
}

#endif
#endif
