// SPDX-License-Identifier: Apache-2.0
#include "mn_math.h"
#include "mn_nn_s16.h"
#include "mn_s16.h"

static int32_t reduce(const struct mn_mean_s16 *p, const int16_t *in)
{
  int32_t sum = 0;

  for (uint32_t i = 0; i < p->reduce[0]; i++) {
    for (uint32_t j = 0; j < p->reduce[1]; j++) {
      const int16_t *v = in + i * p->reduce_stride[0] + j * p->reduce_stride[1];

      for (uint32_t k = 0; k < p->reduce[2]; k++) {
        sum += v[k * p->reduce_stride[2]];
      }
    }
  }
  return sum;
}

void mn_mean_s16(const struct mn_mean_s16 *p, const int16_t *in, int16_t *out)
{
  for (uint32_t i = 0; i < p->keep[0]; i++) {
    for (uint32_t j = 0; j < p->keep[1]; j++) {
      const int16_t *v = in + i * p->keep_stride[0] + j * p->keep_stride[1];

      for (uint32_t k = 0; k < p->keep[2]; k++) {
        const int32_t sum = reduce(p, v + k * p->keep_stride[2]);

        *out++ = mn_clamp_s16(mn_scale(sum, p->multiplier, p->shift), INT16_MIN, INT16_MAX);
      }
    }
  }
}
