// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution with int4 weights. A channel's taps are unpacked as its inputs are read.
#include <stdbool.h>

#include "mn_inline.h"
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_rows.h"
#include "mn_window.h"

// The taps of one output pixel that lie on the input, and their rows in its buffer.
struct patch {
  struct mn_taps rows, cols;
  struct mn_lines lines;
};

static inline int32_t low_half(int32_t byte)
{
  return (int8_t)(byte * 16) >> 4;
}

static inline int32_t tap(const int8_t *w, int32_t index)
{
  return index & 1 ? w[index >> 1] >> 4 : low_half(w[index >> 1]);
}

// All channels of a pixel whose 3x3 taps lie inside, one output channel per input channel. x: the first tap's pixel.
static MN_NOINLINE void inside_3x3(const struct mn_depthwise_s4 *p, const struct mn_lines *lines, const int8_t *x,
                                   int8_t *out)
{
  const int32_t right = p->dilation_w * p->in_step, step = p->requant_step;
  const int8_t *w = p->weights, *shift = p->shift, *const end = out + p->in_c;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const int8_t *y = x + lines->step - (lines->wrap == 1 ? lines->ring : 0);
  const int8_t *z = y + lines->step - (lines->wrap == 2 ? lines->ring : 0);

  for (; out != end; x++, y++, z++, w += 5) {
    uint32_t acc = (uint32_t)*bias++;

    acc += (uint32_t)(x[0] * low_half(w[0]));
    acc += (uint32_t)(x[right] * (w[0] >> 4));
    acc += (uint32_t)(x[2 * right] * low_half(w[1]));
    acc += (uint32_t)(y[0] * (w[1] >> 4));
    acc += (uint32_t)(y[right] * low_half(w[2]));
    acc += (uint32_t)(y[2 * right] * (w[2] >> 4));
    acc += (uint32_t)(z[0] * low_half(w[3]));
    acc += (uint32_t)(z[right] * (w[3] >> 4));
    acc += (uint32_t)(z[2 * right] * low_half(w[4]));
    *out++ = mn_requantize_s8(acc, *multiplier, *shift, p->output_zero_point, p->low, p->high);
    multiplier += step;
    shift += step;
  }
}

// One channel of any pixel; x: its byte of the first tap inside.
static uint32_t channel(const struct mn_depthwise_s4 *p, const struct patch *a, const int8_t *x, const int8_t *w)
{
  const int32_t right = p->dilation_w * p->in_step;
  uint32_t acc = 0;
  int32_t index = 0, row = 0;

  for (int32_t ky = 0; ky < p->kernel_h; ky++) {
    const bool inside = ky >= a->rows.from && ky < a->rows.to;

    if (inside && row++ == a->lines.wrap) {
      x -= a->lines.ring;
    }
    for (int32_t kx = 0; kx < p->kernel_w; kx++, index++) {
      const bool is_read = inside && kx >= a->cols.from && kx < a->cols.to;

      acc += (uint32_t)(tap(w, index) * (is_read ? x[(kx - a->cols.from) * right] : p->input_zero_point));
    }
    if (inside) {
      x += a->lines.step;
    }
  }
  return acc;
}

// All channels of any pixel. x: the pixel of the first tap inside.
static MN_NOINLINE void pixel(const struct mn_depthwise_s4 *p, const struct patch *a, const int8_t *x, int8_t *out)
{
  const int32_t bytes = (p->kernel_h * p->kernel_w + 1) / 2;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const int8_t *shift = p->shift, *w = p->weights;

  for (int32_t c = 0; c < p->in_c; c++, x++) {
    for (int32_t m = 0; m < p->multiplier_c; m++, w += bytes) {
      const uint32_t acc = (uint32_t)*bias++ + channel(p, a, x, w);

      *out++ = mn_requantize_s8(acc, *multiplier, *shift, p->output_zero_point, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
  }
}

void mn_depthwise_s4(const struct mn_depthwise_s4 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);
  const bool is_3x3 = p->kernel_h == 3 && p->kernel_w == 3 && p->multiplier_c == 1;
  struct patch a;

  for (int32_t oy = rows.first; oy != rows.end; oy += rows.step) {
    const int32_t y = oy * p->stride_h - p->pad_top;
    int8_t *const result = out + mn_slot(oy, p->out_ring) * p->out_w * p->out_step;

    a.rows = mn_taps_inside(y, p->in_h, p->kernel_h, p->dilation_h);
    a.lines = mn_lines(y + a.rows.from * p->dilation_h, a.rows.to - a.rows.from, p->dilation_h, p->in_ring,
                       p->in_w * p->in_step);
    for (int32_t ox = cols.first; ox != cols.end; ox += cols.step) {
      const int32_t x = ox * p->stride_w - p->pad_left;

      a.cols = mn_taps_inside(x, p->in_w, p->kernel_w, p->dilation_w);
      const bool misses = a.rows.from == a.rows.to || a.cols.from == a.cols.to;
      const int32_t at = misses ? 0 : a.lines.first + (x + a.cols.from * p->dilation_w) * p->in_step;

      if (is_3x3 && a.rows.to - a.rows.from == 3 && a.cols.to - a.cols.from == 3) {
        inside_3x3(p, &a.lines, in + at, result + ox * p->out_step);
      } else {
        pixel(p, &a, in + at, result + ox * p->out_step);
      }
    }
  }
}
