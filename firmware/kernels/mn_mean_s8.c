// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_nn.h"

static int32_t reduce(const struct mn_mean_s8 *p, const int8_t *in)
{
  int32_t sum = 0;

  for (uint32_t i = 0; i < p->reduce[0]; i++) {
    for (uint32_t j = 0; j < p->reduce[1]; j++) {
      const int8_t *v = in + i * p->reduce_stride[0] + j * p->reduce_stride[1];

      for (uint32_t k = 0; k < p->reduce[2]; k++) {
        sum += v[k * p->reduce_stride[2]];
      }
    }
  }
  return sum;
}

void mn_mean_s8(const struct mn_mean_s8 *p, const int8_t *in, int8_t *out)
{
  for (uint32_t i = 0; i < p->keep[0]; i++) {
    for (uint32_t j = 0; j < p->keep[1]; j++) {
      const int8_t *v = in + i * p->keep_stride[0] + j * p->keep_stride[1];

      for (uint32_t k = 0; k < p->keep[2]; k++) {
        const int32_t sum = reduce(p, v + k * p->keep_stride[2]) + p->offset;

        *out++ = mn_requantize_s8((uint32_t)sum, p->multiplier, p->shift, p->output_zero_point, INT8_MIN, INT8_MAX);
      }
    }
  }
}
