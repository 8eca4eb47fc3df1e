// SPDX-License-Identifier: Apache-2.0
// Depthwise 3x3: the input columns of four channels are widened and paired into scratch, then each channel runs along
// its columns and leaves its output bytes there; whole pixels are written at the end.
#include "mn_depthwise_block_dsp.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

// `count` output columns from `ox` on of one or two output rows.
struct strip {
  const int8_t *row[4];      // the input rows at column 0, channel 0; any row for those outside
  uint32_t outside;          // bit i: row i is padding
  int32_t ox, count, rows;
};

static uint32_t *put_padding(uint32_t *to, int32_t columns, uint32_t padding)
{
  for (uint32_t *const end = to + columns * MN_COLUMN_WORDS; to < end; to++) {
    *to = padding;
  }
  return to;
}

// Rows outside the input, in columns that were read as if they were inside.
static void pad_rows(uint32_t *columns, const uint32_t *end, uint32_t outside, uint32_t padding)
{
  const uint32_t upper = (outside & 1u ? 0xffffu : 0u) | (outside & 2u ? 0xffff0000u : 0u);
  const uint32_t lower = (outside & 4u ? 0xffffu : 0u) | (outside & 8u ? 0xffff0000u : 0u);

  for (; columns != end; columns += 2) {
    columns[0] = (columns[0] & ~upper) | (padding & upper);
    columns[1] = (columns[1] & ~lower) | (padding & lower);
  }
}

// The input columns of a strip for channels c..c+3.
static void put_columns(const struct mn_depthwise_s8_dsp *p, const struct strip *s, int32_t c, uint32_t *to)
{
  const uint32_t padding = mn_both(p->input_zero_point);
  const int32_t first = s->ox * p->stride - p->pad_left, last = first + (s->count - 1) * p->stride + 3;
  const int32_t begin = first < 0 ? 0 : first, end = last > p->in_w ? p->in_w : last;
  const int32_t at = begin * p->channels + c;
  const int8_t *const rows[4] = {s->row[0] + at, s->row[1] + at, s->row[2] + at, s->row[3] + at};
  uint32_t *inside = put_padding(to, begin - first, padding);

  to = inside + (end - begin) * MN_COLUMN_WORDS;
  mn_depthwise_columns_dsp(rows, end - begin, inside, p->channels);
  if (s->outside != 0) {
    pad_rows(inside, to, s->outside, padding);
  }
  put_padding(to, last - end, padding);
}

// Channels c..c+3 of a strip; out: its first output pixel in both rows.
static void four_channels(const struct mn_depthwise_s8_dsp *p, const struct strip *s, int32_t c, const uint32_t *constants,
                          uint32_t *columns, int8_t *const out[2])
{
  const uint32_t zero2 = (uint32_t)(2 * p->output_zero_point + 1), *const end = columns + s->count * MN_COLUMN_WORDS;
  int8_t *out0 = out[0] + c, *out1 = out[1] + c;

  put_columns(p, s, c, columns);
  if (s->rows == 1) {
    mn_depthwise_one_dsp(columns, s->count, constants, zero2, MN_COLUMN_BYTES * p->stride);
    out1 = out0;                                            // row 0 is written last
  } else {
    mn_depthwise_two_dsp(columns, s->count, constants, zero2);
  }
  for (; columns != end; columns += MN_COLUMN_WORDS, out0 += p->channels, out1 += p->channels) {
    mn_store_word(out1, columns[1]);
    mn_store_word(out0, columns[0]);
  }
}

// Output rows oy.. (one or two), all columns and channels.
static void rows_at(const struct mn_depthwise_s8_dsp *p, const int8_t *in, int8_t *out, uint32_t *columns, int32_t oy,
                    int32_t rows)
{
  struct strip s = {.rows = rows};

  for (int32_t i = 0; i < 4; i++) {
    const int32_t y = oy * p->stride - p->pad_top + (i < rows + 2 ? i : rows + 1);
    const int32_t inside = y < 0 ? 0 : y < p->in_h ? y : p->in_h - 1;

    s.row[i] = in + inside % p->in_ring * p->in_w * p->channels;
    s.outside |= (uint32_t)(y != inside) << i;
  }
  for (s.ox = 0; s.ox < p->out_w; s.ox += s.count) {
    const int32_t left = p->out_w - s.ox;
    const uint32_t *constants = p->constants;
    int8_t *to[2];

    s.count = left < p->strip ? left : p->strip;
    for (int32_t row = 0; row < 2; row++) {
      to[row] = out + ((oy + row) % p->out_ring * p->out_w + s.ox) * p->channels;
    }
    for (int32_t c = 0; c < p->channels; c += 4, constants += 4 * MN_DEPTHWISE_WORDS) {
      // The last four channels may repeat some: nothing they read has been overwritten.
      four_channels(p, &s, c + 4 <= p->channels ? c : p->channels - 4, constants, columns, to);
    }
    if (p->low > INT8_MIN || p->high < INT8_MAX) {
      for (int32_t row = 0; row < rows; row++) {
        mn_clamp_bytes(to[row], s.count * p->channels, p->low, p->high);
      }
    }
  }
}

void mn_depthwise_s8_dsp(const struct mn_depthwise_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                         int32_t to)
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
