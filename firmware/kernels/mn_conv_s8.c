// SPDX-License-Identifier: Apache-2.0
#define MN_CONV_MEMBERS mn_conv_s8
#include "mn_conv_walk.h"
#include "mn_dot.h"
#include "mn_math.h"

static void products(const struct patch *a, const int8_t *x, const int8_t *w, int32_t w_stride, int32_t lanes,
                     uint32_t acc[MN_LANES])
{
  w += a->w_first;
  for (int32_t i = 0; i < a->calls; i++, x += a->lines.step, w += a->w_row) {
    if (i == a->lines.wrap) {
      x -= a->lines.ring;
    }
    if (lanes == MN_LANES) {
      mn_dot_lanes(&a->runs, x, w, w_stride, acc);
    } else {
      acc[0] += mn_dot_one(&a->runs, x, w);
    }
  }
}

static void pixel(const struct mn_conv_s8 *p, const struct patch *a, const int8_t *x, int8_t *out)
{
  const int32_t w_stride = p->kernel_h * p->kernel_w * p->group_c;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const int8_t *w = p->weights, *shift = p->shift;
  int32_t in_group = 0, lanes;

  for (int32_t c = 0; c < p->out_c; c += lanes, w += lanes * w_stride) {
    uint32_t acc[MN_LANES];

    lanes = p->group_out_c - in_group >= MN_LANES ? MN_LANES : 1;
    for (int32_t k = 0; k < lanes; k++) {
      acc[k] = (uint32_t)*bias++;
      if (a->border) {
        const int32_t sum = mn_padding_sum(w + k * w_stride, p->kernel_h, p->kernel_w, p->group_c, a->rows, a->cols);

        acc[k] += (uint32_t)sum * (uint32_t)p->input_zero_point;
      }
    }
    products(a, x, w, w_stride, lanes, acc);
    for (int32_t k = 0; k < lanes; k++) {
      *out++ = mn_requantize_s8(acc[k], *multiplier, *shift, p->output_zero_point, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
    in_group += lanes;
    if (in_group == p->group_out_c) {
      in_group = 0;
      x += p->group_c;
    }
  }
}

void mn_conv_s8(const struct mn_conv_s8 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to)
{
  mn_conv_walk(p, in, out, from, to);
}
