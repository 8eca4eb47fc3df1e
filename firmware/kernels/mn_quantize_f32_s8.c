// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "mn_math.h"
#include "mn_nearest.h"
#include "mn_tensor.h"

void mn_quantize_f32_s8(const struct mn_quantize_f32_s8 *p, const float *in, int8_t *out)
{
  float scale;

  memcpy(&scale, &p->scale_bits, sizeof scale);
  for (int32_t i = 0; i < p->count; i++) {
    out[i] = mn_clamp_s8(mn_nearest(in[i] / scale, 512) + p->zero_point, -128, 127);
  }
}
