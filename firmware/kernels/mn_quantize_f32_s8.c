// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "mn_math.h"
#include "mn_tensor.h"

// Nearest integer, ties away from zero; beyond +-512 saturated, NaN is 0. The fraction is exact, so no library is needed.
static inline int32_t nearest(float x)
{
  if (!(x > -512.0f)) {
    return x < 0.0f ? -512 : 0;
  }
  if (x > 512.0f) {
    return 512;
  }
  const int32_t whole = (int32_t)x;
  const float fraction = x - (float)whole;

  return whole + (fraction >= 0.5f ? 1 : fraction <= -0.5f ? -1 : 0);
}

void mn_quantize_f32_s8(const struct mn_quantize_f32_s8 *p, const float *in, int8_t *out)
{
  float scale;

  memcpy(&scale, &p->scale_bits, sizeof scale);
  for (int32_t i = 0; i < p->count; i++) {
    out[i] = mn_clamp_s8(nearest(in[i] / scale) + p->zero_point, -128, 127);
  }
}
