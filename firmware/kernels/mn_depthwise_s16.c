// SPDX-License-Identifier: Apache-2.0
#define MN_CONV_MEMBERS mn_depthwise_s16
#define MN_CONV_VALUE int16_t
#define MN_CONV_WITHOUT_RUNS
#include "mn_conv_walk.h"
#include "mn_s16.h"

// All channels of a pixel whose 3x3 taps lie inside, one output channel per input channel. x: the first tap's pixel.
static MN_NOINLINE void inside_3x3(const struct mn_depthwise_s16 *p, const struct mn_lines *lines, const int16_t *x,
                                   int16_t *out)
{
  const int32_t tap = p->dilation_w * p->in_step, step = p->requant_step;
  const int64_t *bias = p->bias;
  const int16_t *multiplier = p->multiplier, *const end = out + p->in_c;
  const int8_t *w = p->weights, *shift = p->shift;
  const int16_t *y = x + lines->step - (lines->wrap == 1 ? lines->ring : 0);
  const int16_t *z = y + lines->step - (lines->wrap == 2 ? lines->ring : 0);

  for (; out != end; x++, y++, z++, w += 9) {
    int32_t sum = x[0] * w[0] + x[tap] * w[1] + x[2 * tap] * w[2];

    sum += y[0] * w[3] + y[tap] * w[4] + y[2 * tap] * w[5];
    sum += z[0] * w[6] + z[tap] * w[7] + z[2 * tap] * w[8];
    *out++ = mn_requantize_s16(*bias++ + sum, *multiplier, *shift, p->low, p->high);
    multiplier += step;
    shift += step;
  }
}

static void pixel(const struct mn_depthwise_s16 *p, const struct patch *a, const int16_t *x, int16_t *out)
{
  const int32_t height = a->rows.to - a->rows.from, width = a->cols.to - a->cols.from, tap = p->dilation_w * p->in_step;
  const int32_t area = p->kernel_h * p->kernel_w;
  const int64_t *bias = p->bias;
  const int16_t *multiplier = p->multiplier;
  const int8_t *shift = p->shift, *w = p->weights + (a->rows.from * p->kernel_w + a->cols.from);

  if (area == 9 && height == 3 && width == 3 && p->multiplier_c == 1) {
    inside_3x3(p, &a->lines, x, out);
    return;
  }
  for (int32_t c = 0; c < p->in_c; c++, x++) {
    for (int32_t m = 0; m < p->multiplier_c; m++, w += area) {
      const int16_t *v = x;
      const int8_t *u = w;
      int64_t acc = *bias++;

      for (int32_t i = 0; i < height; i++, v += a->lines.step, u += p->kernel_w) {
        int32_t sum = 0;

        if (i == a->lines.wrap) {
          v -= a->lines.ring;
        }
        for (int32_t k = 0; k < width; k++) {
          sum += v[k * tap] * u[k];
        }
        acc += sum;
      }
      *out++ = mn_requantize_s16(acc, *multiplier, *shift, p->low, p->high);
      multiplier += p->requant_step;
      shift += p->requant_step;
    }
  }
}

void mn_depthwise_s16(const struct mn_depthwise_s16 *p, const int16_t *in, int16_t *out, int32_t from, int32_t to)
{
  mn_conv_walk(p, in, out, from, to);
}
