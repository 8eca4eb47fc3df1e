// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "mn_nearest.h"
#include "mn_nn_s16.h"
#include "mn_s16.h"

void mn_quantize_f32_s16(const struct mn_quantize_f32_s16 *p, const float *in, int16_t *out)
{
  float scale;

  memcpy(&scale, &p->scale_bits, sizeof scale);
  for (int32_t i = 0; i < p->count; i++) {
    out[i] = mn_clamp_s16(mn_nearest(in[i] / scale, 131072), INT16_MIN, INT16_MAX);
  }
}
