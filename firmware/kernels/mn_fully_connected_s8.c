// SPDX-License-Identifier: Apache-2.0
#include "mn_dot.h"
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_rows.h"

static MN_NOINLINE void pixel(const struct mn_fully_connected_s8 *p, const int8_t *in, int8_t *out)
{
  const struct mn_runs run = {1, p->depth, 0, 0};
  const int8_t *w = p->weights, *shift = p->shift;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  int32_t lanes;

  for (int32_t c = 0; c < p->outputs; c += lanes, w += lanes * p->depth) {
    uint32_t acc[MN_LANES];

    if (p->outputs - c >= MN_LANES) {
      lanes = MN_LANES;
      for (int32_t k = 0; k < MN_LANES; k++) {
        acc[k] = (uint32_t)*bias++;
      }
      mn_dot_lanes(&run, in, w, p->depth, acc);
    } else {
      lanes = 1;
      acc[0] = (uint32_t)*bias++ + mn_dot_one(&run, in, w);
    }
    for (int32_t k = 0; k < lanes; k++) {
      *out++ = mn_requantize_s8(acc[k], *multiplier, *shift, p->output_zero_point, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
  }
}

void mn_fully_connected_s8(const struct mn_fully_connected_s8 *p, const int8_t *in, int8_t *out, int32_t from,
                           int32_t to)
{
  const struct mn_span rows = mn_span(from, to), cols = mn_across(&rows, p->width);

  for (int32_t y = rows.first; y != rows.end; y += rows.step) {
    const int8_t *const v = in + mn_slot(y, p->in_ring) * p->width * p->in_step;
    int8_t *const u = out + mn_slot(y, p->out_ring) * p->width * p->out_step;

    for (int32_t x = cols.first; x != cols.end; x += cols.step) {
      pixel(p, v + x * p->in_step, u + x * p->out_step);
    }
  }
}
