// SPDX-License-Identifier: Apache-2.0
// Pixels of int16 times a matrix. Before inclusion: MN_DENSE: the name of the kernel's struct; mn_dot_s16.h or
// mn_dot_s16_dsp.h.
#ifndef MN_DENSE_S16_H
#define MN_DENSE_S16_H

#include "mn_nn_s16.h"
#include "mn_rows.h"
#include "mn_s16.h"

static MN_NOINLINE void pixel(const struct MN_DENSE *p, const int16_t *in, int16_t *out)
{
  const struct mn_runs run = {1, p->depth, 0, 0};
  const int64_t *bias = p->bias;
  const int16_t *multiplier = p->multiplier;
  const int8_t *w = p->weights, *shift = p->shift;
  int32_t lanes;

  for (int32_t c = 0; c < p->outputs; c += lanes, w += lanes * p->depth) {
    int64_t acc[MN_S16_LANES];

    if (p->outputs - c >= MN_S16_LANES) {
      lanes = MN_S16_LANES;
      for (int32_t k = 0; k < MN_S16_LANES; k++) {
        acc[k] = *bias++;
      }
      mn_dot_lanes_s16(&run, in, w, p->depth, acc);
    } else {
      lanes = 1;
      acc[0] = *bias++ + mn_dot_one_s16(&run, in, w);
    }
    for (int32_t k = 0; k < lanes; k++) {
      *out++ = mn_requantize_s16(acc[k], *multiplier, *shift, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
  }
}

static inline void mn_dense_s16(const struct MN_DENSE *p, const int16_t *in, int16_t *out, int32_t from, int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->width);

  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    const int16_t *const v = in + mn_slot(y, p->in_ring) * p->width * p->in_step;
    int16_t *const u = out + mn_slot(y, p->out_ring) * p->width * p->out_step;

    for (int32_t x = cols.first; x != cols.end; x += cols.step) {
      pixel(p, v + x * p->in_step, u + x * p->out_step);
    }
  }
}

#endif
