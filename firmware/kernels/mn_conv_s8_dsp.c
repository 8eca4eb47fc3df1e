// SPDX-License-Identifier: Apache-2.0
// Convolution: the windows of two output pixels are widened into scratch, then multiplied with all channels.
#include "mn_conv_block_dsp.h"
#include "mn_nn_dsp.h"

#if MN_HAS_DSP

// Scratch holds words of (pixel 0, pixel 1) in turn: a quad of one pixel is words 0 and 2 from `to`.
static inline uint32_t *put_quad(uint32_t *to, uint32_t bytes)
{
  to[0] = mn_widen_even(bytes);
  to[2] = mn_widen_odd(bytes);
  return to + 4;
}

// A run of at least four bytes that lies on the input.
static inline uint32_t *put_run(uint32_t *to, const int8_t *x, int32_t bytes)
{
  const int8_t *const end = x + bytes;

  for (; end - x >= 8; x += 8) {
    to = put_quad(to, mn_load_word(x));
    to = put_quad(to, mn_load_word(x + 4));
  }
  if (end - x >= 4) {
    to = put_quad(to, mn_load_word(x));
    x += 4;
  }
  return x == end ? to : put_quad(to, mn_load_word(end - 4));
}

// Any run: its bytes low..high-1 lie on the input, the others are padding. x: byte 0, read only where it exists.
static uint32_t *put_border(uint32_t *to, const int8_t *x, int32_t at, int32_t bytes, int32_t low, int32_t high,
                            uint32_t padding)
{
  for (int32_t i = 0; i < bytes; i += 4) {
    const int32_t first = i + 4 <= bytes || bytes < 4 ? i : bytes - 4;

    if (first + 4 <= low || first >= high) {
      to[0] = to[2] = padding;
      to += 4;
    } else {
      uint32_t word = 0;

      for (int32_t k = first + 3; k >= first; k--) {
        word = word << 8 | (uint8_t)(k >= low && k < high ? (uint32_t)x[at + k] : padding);
      }
      to = put_quad(to, word);
    }
  }
  return to;
}

// The window of output pixel (oy, ox).
static void put_window(const struct mn_conv_s8_dsp *p, const int8_t *in, int32_t oy, int32_t ox, uint32_t *to)
{
  const int32_t row_bytes = p->in_w * p->in_c, at = (ox * p->stride_w - p->pad_left) * p->in_c, run = p->run_bytes;
  const int32_t low = at < 0 ? -at : 0, high = at + run > row_bytes ? row_bytes - at : run;
  const uint32_t padding = mn_both(p->input_zero_point);
  int32_t y = oy * p->stride_h - p->pad_top;

  for (int32_t i = 0; i < p->kernel_h; i++, y += p->dilation_h) {
    if (y < 0 || y >= p->in_h) {
      to = put_border(to, in, 0, run, 0, 0, padding);
      continue;
    }
    const int8_t *const row = in + y % p->in_ring * row_bytes;

    if (low == 0 && high == run && run >= 4) {
      to = put_run(to, row + at, run);
    } else {
      to = put_border(to, row, at, run, low, high, padding);
    }
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
static void tail_channels(const struct mn_conv_s8_dsp *p, const uint32_t *x, const uint32_t *x_end, int8_t *out[2])
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

void mn_conv_s8_dsp(const struct mn_conv_s8_dsp *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to)
{
  const int32_t quads = p->kernel_h * ((p->run_bytes + 3) / 4), skip = MN_BLOCK_SKIP(quads);
  const int32_t step = from < to ? 1 : -1, last_x = p->out_w - 1;
  uint32_t *const x = scratch, *const x_end = x + 4 * quads;
  int32_t left = (to - from) * step * p->out_w, oy = from < to ? from : from - 1, ox = from < to ? 0 : last_x;

  for (; left > 0; left -= 2) {
    int8_t *write[2];

    for (int32_t pixel = 0; pixel < 2; pixel++) {
      put_window(p, in, oy, ox, x + pixel);
      write[pixel] = out + (oy % p->out_ring * p->out_w + ox) * p->out_c;
      if (left == 1) {                      // the last one alone: computed twice
        continue;
      }
      ox += step;
      if (ox < 0 || ox > last_x) {
        ox = step > 0 ? 0 : last_x;
        oy += step;
      }
    }
    if (p->out_c >= 4) {
      mn_conv_block_dsp(x, x_end, p->weights, p->requant, write[0], write[1], p->out_c / 4,
                        (uint32_t)(2 * p->output_zero_point + 1), (uint32_t)skip);
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
