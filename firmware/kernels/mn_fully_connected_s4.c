// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_nn.h"
#include "mn_pairs.h"
#include "mn_rows.h"

static MN_NOINLINE void pixel(const struct mn_fully_connected_s4 *p, const int8_t *in, int8_t *out)
{
  const struct mn_runs run = {1, p->depth, 0, 0};
  const int8_t *w = p->weights, *shift = p->shift;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const uint32_t inputs = mn_sum_runs(&run, in);

  for (int32_t c = 0; c < p->outputs;) {
    uint32_t acc[4] = {0};

    if (p->outputs - c > 2) {
      mn_dot_pairs(&run, in, w, p->depth, acc);
    } else {
      mn_dot_pair(&run, in, w, acc);
    }
    w += 2 * p->depth;
    mn_part_pair(acc, inputs);
    mn_part_pair(acc + 2, inputs);
    for (int32_t k = 0; k < 4 && c < p->outputs; k++, c++) {
      *out++ = mn_requantize_s8(acc[k] + (uint32_t)*bias++, *multiplier, *shift, p->output_zero_point, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
  }
}

void mn_fully_connected_s4(const struct mn_fully_connected_s4 *p, const int8_t *in, int8_t *out, int32_t from,
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
