// SPDX-License-Identifier: Apache-2.0
#include "mn_dot_s16.h"
#include "mn_nn_s16.h"
#include "mn_reach.h"
#include "mn_s16.h"

// acc[k] += what reaches a pixel, for `lanes` output channels from the one that `w` begins.
static void gather(const struct mn_transpose_conv_s16 *p, const int16_t *in, const int8_t *w, struct mn_reach rows,
                   struct mn_reach cols, int32_t lanes, int64_t acc[MN_S16_LANES])
{
  const int32_t w_stride = p->kernel_h * p->kernel_w * p->in_c;
  const struct mn_runs runs = {cols.count, p->in_c, -p->in_c, p->stride_w * p->in_c};

  for (int32_t i = 0; i < rows.count; i++) {
    const int16_t *x = in + ((rows.input - i) * p->in_w + cols.input) * p->in_c;
    const int8_t *u = w + ((rows.kernel + i * p->stride_h) * p->kernel_w + cols.kernel) * p->in_c;

    if (lanes == MN_S16_LANES) {
      mn_dot_lanes_s16(&runs, x, u, w_stride, acc);
    } else {
      acc[0] += mn_dot_one_s16(&runs, x, u);
    }
  }
}

static void pixel(const struct mn_transpose_conv_s16 *p, const int16_t *in, struct mn_reach rows, struct mn_reach cols,
                  int16_t *out)
{
  const int32_t w_stride = p->kernel_h * p->kernel_w * p->in_c;
  const int16_t *multiplier = p->multiplier;
  const int8_t *shift = p->shift;

  for (int32_t c = 0, lanes; c < p->out_c; c += lanes) {
    int64_t acc[MN_S16_LANES];

    lanes = p->out_c - c >= MN_S16_LANES ? MN_S16_LANES : 1;
    for (int32_t k = 0; k < lanes; k++) {
      acc[k] = p->bias[c + k];
    }
    gather(p, in, p->weights + c * w_stride, rows, cols, lanes, acc);
    for (int32_t k = 0; k < lanes; k++) {
      *out++ = mn_requantize_s16(acc[k], *multiplier, *shift, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
  }
}

void mn_transpose_conv_s16(const struct mn_transpose_conv_s16 *p, const int16_t *in, int16_t *out)
{
  for (int32_t n = 0; n < p->batches; n++, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t y = 0; y < p->out_h; y++) {
      const struct mn_reach rows = mn_reach(y + p->pad_top, p->stride_h, p->kernel_h, p->in_h);

      for (int32_t x = 0; x < p->out_w; x++, out += p->out_c) {
        pixel(p, in, rows, mn_reach(x + p->pad_left, p->stride_w, p->kernel_w, p->in_w), out);
      }
    }
  }
}
