// SPDX-License-Identifier: Apache-2.0
#include "mn_nn_s16.h"
#include "mn_rows.h"
#include "mn_s16.h"
#include "mn_window.h"

// Mean of one channel over rows x cols pixels, half away from zero. `pixel` is the channel in the first of them.
static int32_t average(const struct mn_average_pool_s16 *p, const struct mn_lines *lines, const int16_t *pixel, int32_t rows,
                       int32_t cols)
{
  const int32_t count = rows * cols;
  int32_t sum = 0;

  for (int32_t y = 0; y < rows; y++, pixel += lines->step) {
    if (y == lines->wrap) {
      pixel -= lines->ring;
    }
    for (int32_t x = 0; x < cols; x++) {
      sum += pixel[x * p->channels];
    }
  }
  // NOLINTNEXTLINE(clang-analyzer-core.*): every window meets the input, or verify() refuses the model
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

void mn_average_pool_s16(const struct mn_average_pool_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->out_w);

  for (int32_t oy = rows.first; oy != rows.end; oy += rows.step) {
    const int32_t y = oy * p->stride_h - p->pad_top;
    const struct mn_taps high = mn_taps_inside(y, p->in_h, p->kernel_h, 1);
    const int32_t height = high.to - high.from;
    const struct mn_lines lines = mn_lines(y + high.from, height, 1, p->in_ring, p->in_w * p->channels);
    int16_t *const result = out + mn_slot(oy, p->out_ring) * p->out_w * p->channels;

    for (int32_t ox = cols.first; ox != cols.end; ox += cols.step) {
      const int32_t x = ox * p->stride_w - p->pad_left;
      const struct mn_taps wide = mn_taps_inside(x, p->in_w, p->kernel_w, 1);
      const int16_t *const v = in + lines.first + (x + wide.from) * p->channels;
      int16_t *const u = result + ox * p->channels;

      for (int32_t c = 0; c < p->channels; c++) {
        u[c] = mn_clamp_s16(average(p, &lines, v + c, height, wide.to - wide.from), p->low, p->high);
      }
    }
  }
}
