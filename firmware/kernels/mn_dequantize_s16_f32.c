// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "mn_nn_s16.h"

void mn_dequantize_s16_f32(const struct mn_dequantize_s16_f32 *p, const int16_t *in, float *out)
{
  float scale;

  memcpy(&scale, &p->scale_bits, sizeof scale);
  for (int32_t i = 0; i < p->count; i++) {
    out[i] = scale * (float)in[i];
  }
}
