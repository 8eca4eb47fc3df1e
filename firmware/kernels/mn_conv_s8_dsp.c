// SPDX-License-Identifier: Apache-2.0
// Convolution: the windows of two output pixels are widened into scratch, then multiplied with all channels.
#include <stdbool.h>

#include "mn_conv_block_dsp.h"
#include "mn_inline.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

// Scratch holds words of (pixel 0, pixel 1) in turn: a quad of one pixel is words 0 and 2 from `to`.
static inline uint32_t *put_quad(uint32_t *to, uint32_t bytes)
{
  to[0] = mn_widen_even(bytes);
  to[2] = mn_widen_odd(bytes);
  return to + 4;
}

// Any run: its bytes low..high-1 lie on the input at row[at + byte], the others are padding.
static MN_NOINLINE uint32_t *put_border(uint32_t *to, const int8_t *row, int32_t at, int32_t bytes, int32_t low,
                                        int32_t high, uint32_t padding)
{
  for (int32_t i = 0; i < bytes; i += 4) {
    const int32_t first = i + 4 <= bytes || bytes < 4 ? i : bytes - 4;

    if (first + 4 <= low || first >= high) {
      to[0] = to[2] = padding;
      to += 4;
    } else if (first >= low && first + 4 <= high) {
      to = put_quad(to, mn_load_word(row + at + first));
    } else {
      uint32_t word = 0;

      for (int32_t k = first + 3; k >= first; k--) {
        word = word << 8 | (uint8_t)(k >= low && k < high ? (uint32_t)row[at + k] : padding);
      }
      to = put_quad(to, word);
    }
  }
  return to;
}

// The window of output pixel (oy, ox).
static MN_NOINLINE void put_window(const struct mn_conv_s8_dsp *p, const int8_t *in, int32_t oy, int32_t ox, uint32_t *to)
{
  const int32_t row_bytes = p->in_w * p->in_c, at = (ox * p->stride_w - p->pad_left) * p->in_c, run = p->run_bytes;
  const int32_t low = at < 0 ? -at : 0, high = at + run > row_bytes ? row_bytes - at : run, height = p->dilation_h;
  const uint32_t padding = mn_both(p->input_zero_point);
  int32_t y = oy * p->stride_h - p->pad_top, taps;

  for (int32_t left = p->kernel_h; left > 0; left -= taps, y += taps * height) {
    taps = 1;
    if (y < 0 || y >= p->in_h) {
      to = put_border(to, in, 0, run, 0, 0, padding);
      continue;
    }
    const int32_t slot = y % p->in_ring;
    const int8_t *const row = in + slot * row_bytes;

    if (low > 0 || high < run || run < 4) {
      to = put_border(to, row, at, run, low, high, padding);
      continue;
    }
    // As many rows of taps as follow inside the input without a turn of the ring.
    const int32_t rows = p->in_h - y < p->in_ring - slot ? p->in_h - y : p->in_ring - slot;

    taps = height == 1 ? rows : (rows + height - 1) / height;
    taps = taps < left ? taps : left;
    mn_conv_widen_dsp(to, row + at, run, taps, height * row_bytes);
    to += taps * ((run + 3) / 4 * 4);
  }
}

// One channel of both pixels from its sums, scaled to twice the accumulator.
static void finish(const int32_t *requant, uint32_t shift, uint32_t zero2, const uint32_t sum2[2], int8_t *out[2],
                   int32_t c)
{
  for (int32_t pixel = 0; pixel < 2; pixel++) {
    out[pixel][c] = mn_requantize_short((uint32_t)requant[0] + sum2[pixel], (uint32_t)requant[1], shift, zero2);
  }
}

// The channels after the last block of four, in pairs.
static MN_NOINLINE void tail_channels(const struct mn_conv_s8_dsp *p, const uint32_t *x, const uint32_t *x_end, int8_t *out[2])
{
  const int32_t first = p->out_c & ~3;
  const uint32_t *w = p->weights + (x_end - x) / 4 * first, zero2 = (uint32_t)(2 * p->output_zero_point + 1);
  const int32_t *requant = p->requant + first / 4 * 9;
  uint32_t shifts = (uint32_t)*requant++;

  for (int32_t c = first; c < p->out_c; c += 2, requant += 4, shifts >>= 16) {
    uint32_t s[2] = {0, 0}, t[2] = {0, 0};

    for (const uint32_t *v = x; v != x_end; v += 2) {
      const uint32_t both = *w++, a = mn_widen_even(both);

      s[0] = mn_smlad(both, v[0], s[0]);
      s[1] = mn_smlad(both, v[1], s[1]);
      t[0] = mn_smlad(a, v[0], t[0]);
      t[1] = mn_smlad(a, v[1], t[1]);
    }
    for (int32_t pixel = 0; pixel < 2; pixel++) {
      s[pixel] = (uint32_t)((int32_t)(s[pixel] - t[pixel]) >> 7);
      t[pixel] <<= 1;
    }
    finish(requant, shifts & 0xffu, zero2, t, out, c);
    if (c + 1 < p->out_c) {
      finish(requant + 2, shifts >> 8 & 0xffu, zero2, s, out, c + 1);
    }
  }
}

// Where a walk over output pixels stands.
struct walk {
  const struct mn_conv_s8_dsp *p;
  const int8_t *in;
  int8_t *out;
  int32_t oy, ox, step;      // step: 1 or -1
  int32_t row_left;          // pixels left in this row, this one included
  int32_t first_x, end_x;    // columns whose windows lie inside the rows
  bool inside;               // all rows of the window lie in the input, without a turn of the ring
  const int8_t *in_row;      // then: the first row's byte that column 0 begins with (it may lie before the row)
  int8_t *out_row;
};

static MN_NOINLINE void enter_row(struct walk *w, int32_t oy)
{
  const struct mn_conv_s8_dsp *const p = w->p;
  const int32_t y = oy * p->stride_h - p->pad_top, reach = (p->kernel_h - 1) * p->dilation_h;
  const int32_t slot = y < 0 ? 0 : y % p->in_ring;

  w->oy = oy;
  w->ox = w->step > 0 ? 0 : p->out_w - 1;
  w->row_left = p->out_w;
  w->inside = y >= 0 && y + reach < p->in_h && slot + reach < p->in_ring && p->run_bytes >= 4;
  w->in_row = w->in + (slot * p->in_w - p->pad_left) * p->in_c;
  w->out_row = w->out + oy % p->out_ring * p->out_w * p->out_c;
}

// Widens the window of the pixel, and gives its place in the output.
static inline int8_t *take(const struct walk *w, uint32_t *x)
{
  const struct mn_conv_s8_dsp *const p = w->p;

  if (w->inside && w->ox >= w->first_x && w->ox < w->end_x) {
    mn_conv_widen_dsp(x, w->in_row + w->ox * p->stride_w * p->in_c, p->run_bytes, p->kernel_h,
                      p->dilation_h * p->in_w * p->in_c);
  } else {
    put_window(p, w->in, w->oy, w->ox, x);
  }
  return w->out_row + w->ox * p->out_c;
}

static inline void advance(struct walk *w, int32_t left)
{
  w->ox += w->step;
  if (--w->row_left == 0 && left > 0) {
    enter_row(w, w->oy + w->step);
  }
}

void mn_conv_s8_dsp(const struct mn_conv_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to)
{
  const int32_t quads = p->kernel_h * ((p->run_bytes + 3) / 4), room = p->in_w + p->pad_left - p->run_bytes / p->in_c;
  uint32_t *const x = scratch, *const x_end = x + 4 * quads;
  struct walk w = {.p = p, .in = in, .out = out, .step = from < to ? 1 : -1};
  int32_t left = (to - from) * w.step * p->out_w;

  if (left == 0) {
    return;
  }
  w.first_x = (p->pad_left + p->stride_w - 1) / p->stride_w;
  w.end_x = room < 0 ? 0 : room / p->stride_w + 1;
  enter_row(&w, from < to ? from : from - 1);
  while (left > 0) {
    int8_t *write[2];

    write[0] = take(&w, x);
    if (left > 1) {
      advance(&w, --left);
    }
    write[1] = take(&w, x + 1);              // the last pixel, alone, is computed twice
    advance(&w, --left);
    if (p->out_c >= 4) {
      mn_conv_block_dsp(x, x_end, p->weights, p->requant, write[0], write[1], p->out_c / 4,
                        (uint32_t)(2 * p->output_zero_point + 1), MN_BLOCK_SKIP((uint32_t)quads),
                        p->low >= p->output_zero_point);
    }
    if (p->out_c % 4 != 0) {
      tail_channels(p, x, x_end, write);
    }
    if (p->low > INT8_MIN || p->high < INT8_MAX) {
      mn_clamp_bytes(write[0], p->out_c, p->low, p->high);
      mn_clamp_bytes(write[1], p->out_c, p->low, p->high);
    }
  }
}

#endif
