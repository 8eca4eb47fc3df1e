// SPDX-License-Identifier: Apache-2.0
#define MN_CONV_MEMBERS mn_conv_s4
#include "mn_conv_walk.h"
#include "mn_math.h"
#include "mn_pairs.h"

static void products(const struct patch *a, const int8_t *x, const int8_t *w, int32_t w_stride, int32_t pairs,
                     uint32_t acc[4])
{
  w += a->w_first;
  for (int32_t i = 0; i < a->calls; i++, x += a->lines.step, w += a->w_row) {
    if (i == a->lines.wrap) {
      x -= a->lines.ring;
    }
    if (pairs == 2) {
      mn_dot_pairs(&a->runs, x, w, w_stride, acc);
    } else {
      mn_dot_pair(&a->runs, x, w, acc);
    }
  }
}

// The sum of all inputs of a pixel's window; what lies outside reads the zero point.
static uint32_t inputs_of(const struct mn_conv_s4 *p, const struct patch *a, const int8_t *x)
{
  const int32_t inside = (a->rows.to - a->rows.from) * (a->cols.to - a->cols.from);
  uint32_t sum = (uint32_t)((p->kernel_h * p->kernel_w - inside) * p->group_c * p->input_zero_point);

  for (int32_t i = 0; i < a->calls; i++, x += a->lines.step) {
    if (i == a->lines.wrap) {
      x -= a->lines.ring;
    }
    sum += mn_sum_runs(&a->runs, x);
  }
  return sum;
}

static void pixel(const struct mn_conv_s4 *p, const struct patch *a, const int8_t *x, int8_t *out)
{
  const int32_t w_stride = p->kernel_h * p->kernel_w * p->group_c;
  const int32_t *bias = p->bias, *multiplier = p->multiplier;
  const int8_t *w = p->weights, *shift = p->shift;
  const uint32_t inputs = inputs_of(p, a, x);
  int32_t pairs;

  for (int32_t c = 0; c < p->out_c; w += pairs * w_stride) {
    uint32_t acc[4] = {0};

    pairs = p->out_c - c > 2 ? 2 : 1;
    for (int32_t k = 0; a->border && k < pairs; k++) {
      mn_pad_pair(w + k * w_stride, p->kernel_h, p->kernel_w, p->group_c, a->rows, a->cols, p->input_zero_point,
                  acc + 2 * k);
    }
    products(a, x, w, w_stride, pairs, acc);
    mn_part_pair(acc, inputs);
    mn_part_pair(acc + 2, inputs);
    for (int32_t k = 0; k < 2 * pairs && c < p->out_c; k++, c++) {
      *out++ = mn_requantize_s8(acc[k] + (uint32_t)*bias++, *multiplier, *shift, p->output_zero_point, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
  }
}

void mn_conv_s4(const struct mn_conv_s4 *p, const int8_t *in, int8_t *out, int32_t from, int32_t to)
{
  mn_conv_walk(p, in, out, from, to);
}
