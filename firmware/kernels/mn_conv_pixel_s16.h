// SPDX-License-Identifier: Apache-2.0
// A pixel of a convolution on int16, and the walk over all of them. Before inclusion: MN_CONV_MEMBERS: the name of the
// kernel's struct; mn_dot_s16.h or mn_dot_s16_dsp.h.
#ifndef MN_CONV_PIXEL_S16_H
#define MN_CONV_PIXEL_S16_H

#define MN_CONV_VALUE int16_t
#include "mn_conv_walk.h"
#include "mn_s16.h"

static void products(const struct patch *a, const int16_t *x, const int8_t *w, int32_t w_stride, int32_t lanes,
                     int64_t acc[MN_S16_LANES])
{
  w += a->w_first;
  for (int32_t i = 0; i < a->calls; i++, x += a->lines.step, w += a->w_row) {
    if (i == a->lines.wrap) {
      x -= a->lines.ring;
    }
    if (lanes == MN_S16_LANES) {
      mn_dot_lanes_s16(&a->runs, x, w, w_stride, acc);
    } else {
      acc[0] += mn_dot_one_s16(&a->runs, x, w);
    }
  }
}

static void pixel(const struct MN_CONV_MEMBERS *p, const struct patch *a, const int16_t *x, int16_t *out)
{
  const int32_t w_stride = p->kernel_h * p->kernel_w * p->group_c;
  const int64_t *bias = p->bias;
  const int16_t *multiplier = p->multiplier;
  const int8_t *w = p->weights, *shift = p->shift;
  int32_t in_group = 0, lanes;

  for (int32_t c = 0; c < p->out_c; c += lanes, w += lanes * w_stride) {
    int64_t acc[MN_S16_LANES];

    lanes = p->group_out_c - in_group >= MN_S16_LANES ? MN_S16_LANES : 1;
    for (int32_t k = 0; k < lanes; k++) {
      acc[k] = *bias++;
    }
    products(a, x, w, w_stride, lanes, acc);
    for (int32_t k = 0; k < lanes; k++) {
      *out++ = mn_requantize_s16(acc[k], *multiplier, *shift, p->low, p->high);
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

#endif
