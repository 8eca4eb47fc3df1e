// SPDX-License-Identifier: Apache-2.0
// Convolution: the windows of two output pixels are gathered into scratch, then multiplied with all channels, four at a
// time: eight sums, as many as there are registers that can take them.
#include "mn_mve.h"

#if MN_HAS_MVE
#include "mn_block4_mve.h"
#include "mn_nn_mve.h"
#include "mn_rows.h"

// A run of taps: bytes low..high-1 lie on the input. x: byte 0, read only where it exists.
static inline void put_run(int8_t *to, const int8_t *row, int32_t at, int32_t low, int32_t high, int32_t bytes,
                           int8_t padding)
{
  if (low != 0) {
    mn_fill_mve(to, padding, low);
  }
  mn_copy_mve(to + low, row + at + low, high - low);
  if (high != bytes) {
    mn_fill_mve(to + high, padding, bytes - high);
  }
}

// The window of output pixel (oy, ox).
static void put_window(const struct mn_conv_s8_mve *p, const int8_t *in, int32_t oy, int32_t ox, int8_t *to)
{
  const int32_t row_bytes = p->in_w * p->in_c, at = (ox * p->stride_w - p->pad_left) * p->in_c, run = p->run_bytes;
  const int32_t left = at < 0 ? -at : 0, right = at + run > row_bytes ? row_bytes - at : run;
  const int32_t low = left < run ? left : run, high = right > low ? right : low;
  int32_t y = oy * p->stride_h - p->pad_top;

  for (int32_t i = 0; i < p->kernel_h; i++, y += p->dilation_h, to += run) {
    if (y < 0 || y >= p->in_h) {
      mn_fill_mve(to, p->input_zero_point, run);
    } else {
      put_run(to, in + mn_slot(y, p->in_ring) * row_bytes, at, low, high, run, p->input_zero_point);
    }
  }
}

void mn_conv_s8_mve(const struct mn_conv_s8_mve *p, const int8_t *in, int8_t *out, void *scratch, int32_t from,
                    int32_t to)
{
  const int32_t depth = p->kernel_h * p->run_bytes, steps = (depth + MN_STEP - 1) / MN_STEP, whole = p->out_c & ~3;
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);
  int8_t *const x[2] = {scratch, (int8_t *)scratch + steps * MN_STEP};
  int32_t left = (rows.end - rows.first) * rows.step * p->out_w, oy = rows.first, ox = cols.first;

  while (left > 0) {
    int8_t *u[2];
    const int32_t pixels = left > 1 ? 2 : 1;

    for (int32_t k = 0; k < pixels; k++) {
      put_window(p, in, oy, ox, x[k]);
      u[k] = out + (mn_slot(oy, p->out_ring) * p->out_w + ox) * p->out_c;
      ox += cols.step;
      if (ox == cols.end) {
        ox = cols.first;
        oy += rows.step;
      }
    }
    left -= pixels;
    if (whole > 0) {
      const struct mn_job4_mve job = {x[0], x[pixels - 1], steps, p->ties, u[pixels - 1] - u[0], u[0] + whole,
                                      p->weights, p->requant, u[0], p->output_zero_point};

      mn_blocks4_mve(&job);
    }
    for (int32_t k = 0; k < pixels; k++) {
      mn_single_channels_mve(x[k], depth, p->weights + steps * MN_STEP * whole, p->requant + whole / 4 * 9,
                             p->out_c - whole, p->output_zero_point, u[k] + whole);
      mn_clamp_mve(u[k], p->out_c, p->low, p->high);
    }
  }
}

#endif
