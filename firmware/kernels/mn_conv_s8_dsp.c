// SPDX-License-Identifier: Apache-2.0
// Convolution: the windows of two output pixels are widened into scratch, then multiplied with all channels.
#include <stdbool.h>

#include "mn_conv_block_dsp.h"
#include "mn_inline.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

// Whole quads that hold this many bytes.
#define MN_QUAD_BYTES(bytes) (((bytes) + 3) / 4 * 4)

// Scratch holds words of (pixel 0, pixel 1) in turn: a quad of one pixel is words 0 and 2 from `to`.
static inline void put_quad(uint32_t *to, uint32_t bytes)
{
  to[0] = mn_widen_even(bytes);
  to[2] = mn_widen_odd(bytes);
}

// The bytes low..high-1 of a run lie on the input at row[at + byte], the others are padding.
struct border {
  int32_t at, bytes, low, high, padding;
};

static MN_NOINLINE void copy_run(int8_t *to, const int8_t *row, const struct border *b)
{
  for (int32_t i = 0; i < b->bytes; i++) {
    to[i] = i >= b->low && i < b->high ? row[b->at + i] : (int8_t)b->padding;
  }
}

// The quads of a run of four or more bytes, a multiple of four.
static MN_NOINLINE void put_border(uint32_t *to, const int8_t *row, const struct border *b)
{
  for (int32_t i = 0; i < b->bytes; i += 4, to += 4) {
    uint32_t word = mn_both(b->padding);

    if (i + 4 <= b->low || i >= b->high) {
      to[0] = to[2] = word;
      continue;
    }
    if (i >= b->low && i + 4 <= b->high) {
      word = mn_load_word(row + b->at + i);
    } else {
      for (int32_t k = i + 3; k >= i; k--) {
        word = word << 8 | (uint8_t)(k >= b->low && k < b->high ? row[b->at + k] : b->padding);
      }
    }
    put_quad(to, word);
  }
}

// The window of any output pixel. bytes: where a joined window is put together.
static MN_NOINLINE void put_window(const struct mn_conv_s8_dsp *p, const int8_t *in, int32_t oy, int32_t ox,
                                   uint32_t *to, int8_t *bytes)
{
  const int32_t row_bytes = p->in_w * p->in_c, run = p->run_bytes;
  struct border b = {(ox * p->stride_w - p->pad_left) * p->in_c, run, 0, run, p->input_zero_point};

  b.low = b.at < 0 ? -b.at : 0;
  b.high = b.at + run > row_bytes ? row_bytes - b.at : run;
  for (int32_t i = 0; i < p->kernel_h; i++) {
    const int32_t y = oy * p->stride_h - p->pad_top + i * p->dilation_h;
    const bool inside = y >= 0 && y < p->in_h;
    const struct border all = {0, run, 0, 0, p->input_zero_point};
    const int8_t *const row = inside ? in + y % p->in_ring * row_bytes : in;

    if (p->joined) {
      copy_run(bytes + i * run, row, inside ? &b : &all);
    } else {
      if (inside && b.low == 0 && b.high == run) {
        mn_conv_widen_dsp(to, row + b.at, run, 1, 0);
      } else {
        put_border(to, row, inside ? &b : &all);
      }
      to += run;
    }
  }
  if (p->joined) {
    mn_conv_widen_dsp(to, bytes, MN_QUAD_BYTES(p->kernel_h * run), 1, 0);
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
static MN_NOINLINE void tail_channels(const struct mn_conv_s8_dsp *p, const uint32_t *x, const uint32_t *x_end,
                                      int8_t *out[2])
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
  int8_t *out, *bytes;       // bytes: where joined windows are put together
  int32_t step;              // 1 or -1
  int32_t row_step, in_step, out_step;          // bytes: from row to row of taps, from pixel to pixel
  uint32_t first_x, whole;   // columns from first_x on, `whole` of them, have windows that lie inside the rows

  int32_t oy, ox;
  int32_t row_left;          // pixels left in this row, this one included
  bool inside;               // all rows of the window lie in the input, without a turn of the ring
  const int8_t *from;        // then: the window's first byte (outside the row for columns that are not whole)
  int8_t *to;
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
  w->from = w->in + (slot * p->in_w - p->pad_left + w->ox * p->stride_w) * p->in_c;
  w->to = w->out + (oy % p->out_ring * p->out_w + w->ox) * p->out_c;
}

// Widens the window of the pixel, and gives its place in the output.
static inline int8_t *take(const struct walk *w, uint32_t *x)
{
  const struct mn_conv_s8_dsp *const p = w->p;

  if (!w->inside || (uint32_t)w->ox - w->first_x >= w->whole) {
    put_window(p, w->in, w->oy, w->ox, x, w->bytes);
  } else if (p->joined) {
    mn_conv_join_dsp(w->bytes, w->from, p->run_bytes, p->kernel_h, w->row_step);
    mn_conv_widen_dsp(x, w->bytes, MN_QUAD_BYTES(p->kernel_h * p->run_bytes), 1, 0);
  } else {
    mn_conv_widen_dsp(x, w->from, p->run_bytes, p->kernel_h, w->row_step);
  }
  return w->to;
}

static inline void advance(struct walk *w, int32_t left)
{
  w->ox += w->step;
  w->from += w->in_step;
  w->to += w->out_step;
  if (--w->row_left == 0 && left > 0) {
    enter_row(w, w->oy + w->step);
  }
}

// Channels of two pixels whose windows are in x..x_end.
static inline void multiply(const struct mn_conv_s8_dsp *p, const uint32_t *x, const uint32_t *x_end, uint32_t skip,
                            int8_t *out[2])
{
  if (p->out_c >= 4) {
    mn_conv_block_dsp(x, x_end, p->weights, p->requant, out[0], out[1], p->out_c / 4,
                      (uint32_t)(2 * p->output_zero_point + 1), skip, p->low >= p->output_zero_point);
  }
  if (p->out_c % 4 != 0) {
    tail_channels(p, x, x_end, out);
  }
  if (p->low > INT8_MIN || p->high < INT8_MAX) {
    mn_clamp_bytes(out[0], p->out_c, p->low, p->high);
    mn_clamp_bytes(out[1], p->out_c, p->low, p->high);
  }
}

void mn_conv_s8_dsp(const struct mn_conv_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to)
{
  const int32_t quads = p->joined ? MN_QUAD_BYTES(p->kernel_h * p->run_bytes) / 4
                                  : p->kernel_h * MN_QUAD_BYTES(p->run_bytes) / 4;
  const int32_t room = p->in_w + p->pad_left - p->run_bytes / p->in_c, step = from < to ? 1 : -1;
  const int32_t first = (p->pad_left + p->stride_w - 1) / p->stride_w, end = room < 0 ? 0 : room / p->stride_w + 1;
  const uint32_t skip = MN_BLOCK_SKIP((uint32_t)quads);
  uint32_t *const x = scratch, *const x_end = x + 4 * quads;
  struct walk w = {.p = p, .in = in, .out = out, .bytes = (int8_t *)x_end, .step = step,
                   .row_step = p->dilation_h * p->in_w * p->in_c, .in_step = step * p->stride_w * p->in_c,
                   .out_step = step * p->out_c, .first_x = (uint32_t)first,
                   .whole = end > first ? (uint32_t)(end - first) : 0};
  int32_t left = (to - from) * step * p->out_w;

  if (left == 0) {
    return;
  }
  if (p->joined) {
    mn_store_word(x_end + quads - 1, 0);     // what follows a joined window in its last quad is multiplied by 0
  }
  enter_row(&w, from < to ? from : from - 1);
  while (left > 0) {
    int8_t *write[2];

    write[0] = take(&w, x);
    if (left > 1) {
      advance(&w, --left);
    }
    write[1] = take(&w, x + 1);              // the last pixel, alone, is computed twice
    advance(&w, --left);
    multiply(p, x, x_end, skip, write);
  }
}

#endif
