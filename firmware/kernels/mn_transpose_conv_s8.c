// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_reach.h"

static uint32_t gather(const struct mn_transpose_conv_s8 *p, const int8_t *in, const int8_t *weights, struct mn_reach rows,
                       struct mn_reach cols)
{
  uint32_t acc = 0;

  for (int32_t i = 0; i < rows.count; i++) {
    for (int32_t j = 0; j < cols.count; j++) {
      const int8_t *x = in + ((rows.input - i) * p->in_w + cols.input - j) * p->in_c;
      const int8_t *w = weights
          + ((rows.kernel + i * p->stride_h) * p->kernel_w + cols.kernel + j * p->stride_w) * p->in_c;

      for (int32_t c = 0; c < p->in_c; c++) {
        acc += (uint32_t)((x[c] - p->input_zero_point) * w[c]);
      }
    }
  }
  return acc;
}

void mn_transpose_conv_s8(const struct mn_transpose_conv_s8 *p, const int8_t *in, int8_t *out)
{
  for (int32_t n = 0; n < p->batches; n++, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t y = 0; y < p->out_h; y++) {
      const struct mn_reach rows = mn_reach(y + p->pad_top, p->stride_h, p->kernel_h, p->in_h);

      for (int32_t x = 0; x < p->out_w; x++) {
        const struct mn_reach cols = mn_reach(x + p->pad_left, p->stride_w, p->kernel_w, p->in_w);

        for (int32_t c = 0; c < p->out_c; c++) {
          const uint32_t q = (uint32_t)c * p->requant_step;
          const uint32_t acc = (uint32_t)p->bias[c]
              + gather(p, in, p->weights + c * p->kernel_h * p->kernel_w * p->in_c, rows, cols);

          *out++ = mn_requantize_s8(acc, p->multiplier[q], p->shift[q], p->output_zero_point, p->low, p->high);
        }
      }
    }
  }
}
